//! The functions beside an empty one, a naive one and one in Python.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::counts::{self, Kind};
use crate::package;
use crate::process;
use crate::table::{median, print};
use crate::variant::{self, Variant};

/// Processes of each variant, by turns.
const ROUNDS: usize = 15;

/// Warm invocations of each process before those that are timed.
const WARM_UP: usize = 50;

/// What one process shows: seconds and megabytes.
struct Sample {
    cold: f64,
    cold_evicted: f64,
    first: f64,
    warm: f64,
    warm_cpu: f64,
    memory: f64,
}

/// Measures and prints all.
///
/// # Errors
///
/// If a function fails or valgrind is missing.
pub fn print_all(functions: &Path, others: &Path, aws: SocketAddr) -> io::Result<()> {
    let confirmation = variant::confirmations;
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let settings = [("PYTHONPATH", others.display().to_string())];
    let variants = [
        Variant {
            status: 200,
            ..Variant::new("empty (hello)", &others.join("hello"), confirmation(), aws)
        },
        Variant::new(
            "confirm-email, a confirmation",
            &variant::bootstrap(functions, "confirm-email"),
            confirmation(),
            aws,
        ),
        Variant {
            status: 404,
            ..Variant::new(
                "confirm-email, a bad token",
                &variant::bootstrap(functions, "confirm-email"),
                variant::forgeries(),
                aws,
            )
        },
        Variant::new(
            "create-account, a sign-up",
            &variant::bootstrap(functions, "create-account"),
            variant::sign_ups("new".to_owned()),
            aws,
        ),
        Variant::new(
            "reset-password, a request",
            &variant::bootstrap(functions, "reset-password"),
            variant::resets(),
            aws,
        ),
        Variant::new(
            "naive Rust, a confirmation",
            &others.join("naive"),
            confirmation(),
            aws,
        ),
        Variant {
            command: [&python, "-m", "awslambdaric", "naive.handler"]
                .map(str::to_owned)
                .into(),
            settings: settings.into(),
            ..Variant::new("Python, a confirmation", others, confirmation(), aws)
        },
    ];
    print_times(&variants)?;
    let compiled = variants
        .split_last()
        .map_or(&[][..], |(_, compiled)| compiled);
    print_counts(compiled)
}

fn print_times(variants: &[Variant]) -> io::Result<()> {
    let awake = process::keep_awake()?;
    let mut samples: Vec<Vec<Sample>> = variants.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (variant, samples) in variants.iter().zip(&mut samples) {
            samples.push(measure(variant)?);
        }
    }
    drop(awake);
    let Some(floor) = samples.first() else {
        return Ok(());
    };
    let rows = variants.iter().zip(&samples).map(|(variant, samples)| {
        let of = |value: fn(&Sample) -> f64| median(samples.iter().map(value).collect());
        // Ratios within a round first, since a slow minute slows both variants.
        let ratio = |value: fn(&Sample) -> f64| {
            median(
                samples
                    .iter()
                    .zip(floor)
                    .map(|(own, floor)| value(own) / value(floor))
                    .collect(),
            )
        };
        vec![
            variant.name.to_owned(),
            format!("{:.2} (× {:.2})", of(|s| s.cold) * 1e3, ratio(|s| s.cold)),
            format!(
                "{:.2} (× {:.2})",
                of(|s| s.cold_evicted) * 1e3,
                ratio(|s| s.cold_evicted)
            ),
            format!("{:.2}", of(|s| s.first) * 1e3),
            format!("{:.0}", of(|s| s.warm) * 1e6),
            format!(
                "{:.0} (× {:.2})",
                of(|s| s.warm_cpu) * 1e6,
                ratio(|s| s.warm_cpu)
            ),
            format!("{:.1}", of(|s| s.memory)),
        ]
    });
    print(
        &[
            "",
            "cold start, CPU ms",
            "from disk",
            "first, ms",
            "warm p50, µs",
            "warm, CPU µs",
            "peak MB",
        ],
        &rows.collect::<Vec<_>>(),
    );
    Ok(())
}

fn measure(variant: &Variant) -> io::Result<Sample> {
    let cold = variant.start()?.process.cpu()?;
    if let Some(program) = variant.command.first() {
        process::evict(Path::new(program))?;
    }
    let running = variant.start()?;
    let (process, lambda) = (running.process, running.lambda);
    let cold_evicted = process.cpu()?;
    lambda.allow(1 + WARM_UP);
    lambda.wait()?;
    let before = process.cpu()?;
    let is_slow = lambda
        .latencies()
        .last()
        .is_some_and(|last| last.as_millis() > 5);
    let count: u16 = if is_slow { 20 } else { 5000 };
    lambda.allow(usize::from(count));
    lambda.wait()?;
    let cpu = process.cpu()? - before;
    let times: Vec<_> = lambda
        .latencies()
        .iter()
        .map(Duration::as_secs_f64)
        .collect();
    let first = times.first().copied().unwrap_or_default();
    Ok(Sample {
        cold,
        cold_evicted,
        first,
        warm: median(times.into_iter().skip(1 + WARM_UP).collect()),
        warm_cpu: cpu / f64::from(count),
        memory: process.peak_memory()?,
    })
}

fn print_counts(variants: &[Variant]) -> io::Result<()> {
    let mut rows = Vec::new();
    for variant in variants {
        let instructions = counts::count(variant, Kind::Instructions)?;
        let allocations = counts::count(variant, Kind::Allocations)?;
        let calls = counts::count(variant, Kind::SystemCalls)?;
        let program = variant.command.last().map_or("", String::as_str);
        rows.push(vec![
            variant.name.to_owned(),
            format!("{:.2}", package::size(Path::new(program))? / 1e6),
            format!("{:.2} M", instructions.start / 1e6),
            format!("{:.2} M", instructions.first / 1e6),
            format!("{:.0} k", instructions.warm / 1e3),
            format!("{:.0}", allocations.warm),
            format!("{:.0}", calls.warm),
        ]);
    }
    print(
        &[
            "",
            "package, MB",
            "instructions at start",
            "first",
            "warm",
            "allocations, warm",
            "system calls, warm",
        ],
        &rows,
    );
    Ok(())
}
