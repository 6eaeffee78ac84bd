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

/// Measures the functions in `folder` and compares with the file `budget`; with `write`, writes the file instead. Says
/// whether all is within it.
///
/// # Errors
///
/// If something cannot be measured, or the file cannot be read or written.
pub fn check(folder: &Path, budget: &Path, write: bool, aws: SocketAddr) -> io::Result<bool> {
    let measured = measure(folder, aws)?;
    if write {
        let mut text = String::new();
        for (name, value) in &measured {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name} = {value:.0}");
        }
        fs::write(budget, text)?;
        return Ok(true);
    }
    let allowed = fs::read_to_string(budget)?;
    let allowed = |name: &str| {
        allowed.lines().find_map(|line| {
            let (key, value) = line.split_once(" = ")?;
            (key == name).then(|| value.parse::<f64>().ok())?
        })
    };
    let mut within = true;
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

fn measure(folder: &Path, aws: SocketAddr) -> io::Result<Vec<(String, f64)>> {
    let mut measured = Vec::new();
    for function in ["create-account", "confirm-email", "change-email"] {
        let package = package::size(&variant::bootstrap(folder, function))?;
        measured.push((format!("{function} package bytes"), package));
        let event = variant::confirmations();
        let variant = Variant::new(function, &variant::bootstrap(folder, function), event, aws);
        let counted = counts::count(&variant, Kind::Instructions)?;
        measured.push((format!("{function} instructions at start"), counted.start));
        if function == "confirm-email" {
            measured.push((
                format!("{function} instructions of a warm confirmation"),
                counted.warm,
            ));
            let event = variant::forgeries();
            let forged = counts::count(&Variant { event, ..variant }, Kind::Instructions)?;
            measured.push((
                format!("{function} instructions of a bad token"),
                forged.warm,
            ));
        }
    }
    Ok(measured)
}
