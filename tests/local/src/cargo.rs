//! Building the functions.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;

use local::Error;
use serde_json::Value;
use tokio::process::Command;

/// Builds the functions `names` and returns where each one's binary is.
///
/// # Errors
///
/// A build that fails.
pub async fn build(
    names: &[&'static str],
    release: bool,
) -> Result<HashMap<&'static str, PathBuf>, Error> {
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The whole workspace's features, as the tests and `cargo lambda watch` build them: so the SDK is compiled once for
    // all three.
    build
        .args(["build", "--workspace"])
        .args(names.iter().flat_map(|name| ["--bin", name]));
    if release {
        build.arg("--release");
    }
    // The messages on standard output say where the binaries are, whatever the target folder is.
    build
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if let Some(folder) = std::env::var_os("CARGO_MANIFEST_DIR") {
        build.current_dir(folder);
    }
    let output = build.kill_on_drop(true).spawn()?.wait_with_output().await?;
    if !output.status.success() {
        return Err("the functions could not be built".into());
    }

    let mut programs = HashMap::new();
    for message in output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let message: Value = serde_json::from_slice(message)?;
        let (Some(name), Some(program)) =
            (message.pointer("/target/name"), message.get("executable"))
        else {
            continue;
        };
        let name = names.iter().find(|other| name == *other);
        if let (Some(name), Some(program)) = (name, program.as_str()) {
            programs.insert(*name, PathBuf::from(program));
        }
    }
    Ok(programs)
}
