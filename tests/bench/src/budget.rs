//! What a change may not make larger: packages and counts, never times.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::counts::{self, Kind};
use crate::package;
use crate::variant::{self, Variant};

/// How much larger a number may become.
const TOLERANCE: f64 = 1.03;

/// The most bytes of a package, whatever the budget says.
const MAX_PACKAGE: f64 = 2_600_000.0;
const MAX_RESET_PASSWORD: f64 = 2_500_000.0;

/// Measures the functions in `folder` and compares with the file `budget`; with `write`, writes the file instead. Says
/// whether all is within it.
///
/// # Errors
///
/// If something cannot be measured, or the file cannot be read or written.
pub fn check(folder: &Path, budget: &Path, write: bool, aws: SocketAddr) -> io::Result<bool> {
    let measured = measure(folder, aws)?;
    let within_bounds = check_bounds(&measured);
    if write {
        let mut text = String::new();
        for (name, value) in &measured {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name} = {value:.0}");
        }
        fs::write(budget, text)?;
        return Ok(within_bounds);
    }
    let allowed = fs::read_to_string(budget)?;
    let allowed = |name: &str| {
        allowed.lines().find_map(|line| {
            let (key, value) = line.split_once(" = ")?;
            (key == name).then(|| value.parse::<f64>().ok())?
        })
    };
    let mut within = within_bounds;
    for (name, value) in &measured {
        let Some(before) = allowed(name) else {
            println!("{name}: {value:.0}, NOT IN THE BUDGET");
            within = false;
            continue;
        };
        let verdict = if *value > before * TOLERANCE {
            within = false;
            "TOO MUCH"
        } else {
            "ok"
        };
        let change = (value / before - 1.0) * 100.0;
        println!("{name}: {value:.0}, {change:+.1} % of {before:.0}, {verdict}");
    }
    Ok(within)
}

/// Checks the bounds that hold whatever the budget says: the size of packages, and that `reset-password` starts about as fast
/// as `change-email`.
fn check_bounds(measured: &[(String, f64)]) -> bool {
    let reference = "change-email instructions at start";
    let reference = measured.iter().find(|(name, _)| name == reference);
    let max_start = reference.map_or(0.0, |(_, value)| value * TOLERANCE);
    let mut within = true;
    for (name, value) in measured {
        let max = if name == "reset-password package bytes" {
            MAX_RESET_PASSWORD
        } else if name.ends_with("package bytes") {
            MAX_PACKAGE
        } else if name == "reset-password instructions at start" {
            max_start
        } else {
            continue;
        };
        if *value > max {
            println!("{name}: {value:.0}, more than {max:.0}, TOO MUCH");
            within = false;
        }
    }
    within
}

/// Measures what the budget holds: the package and the start of every function, and a request of some.
fn measure(folder: &Path, aws: SocketAddr) -> io::Result<Vec<(String, f64)>> {
    let confirmation = ("a warm confirmation", variant::confirmations(), 303);
    let bad_token = ("a bad token", variant::forgeries(), 404);
    let reset = ("a warm reset request", variant::resets(), 303);
    let mut measured = Vec::new();
    for (function, requests) in [
        ("create-account", vec![]),
        ("confirm-email", vec![confirmation, bad_token]),
        ("change-email", vec![]),
        ("reset-password", vec![reset]),
    ] {
        let program = variant::bootstrap(folder, function);
        let package = package::size(&program)?;
        measured.push((format!("{function} package bytes"), package));
        // No invocation, so no event.
        let variant = Variant::new(function, &program, variant::confirmations(), aws);
        let start = counts::start(&variant, Kind::Instructions)?;
        measured.push((format!("{function} instructions at start"), start));
        for (what, event, status) in requests {
            let variant = Variant {
                event,
                status,
                ..variant.clone()
            };
            let warm = counts::warm(&variant, Kind::Instructions)?;
            measured.push((format!("{function} instructions of {what}"), warm));
        }
    }
    Ok(measured)
}
