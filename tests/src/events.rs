//! Named events in `tests/events`, as AWS sent them.

use std::path::Path;

use serde_json::Value;

/// The event in `tests/events/NAME.json`.
#[must_use]
pub fn event(name: &str) -> Value {
    // Not compiled in, so that a new fixture needs no new line here.
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("tests are run by cargo");
    let path = Path::new(&folder)
        .join("events")
        .join(name)
        .with_extension("json");
    let json = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
