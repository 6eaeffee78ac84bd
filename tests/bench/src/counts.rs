//! What valgrind counts: instructions, allocations and system calls. Noise does not change them, and they are nearly the
//! same on every machine. Valgrind hides the processor's SHA instructions, so that hashing weighs more there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::variant::Variant;

/// Warm invocations that a count is the mean of.
const WARM: usize = 20;

/// Counts of one kind.
#[derive(Clone, Copy)]
pub struct Counts {
    /// From the program's start to its first poll.
    pub start: f64,
    /// Of the first invocation.
    pub first: f64,
    /// Of a later one.
    pub warm: f64,
}

/// What is counted.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Instructions.
    Instructions,
    /// Allocations on the heap.
    Allocations,
    /// System calls.
    SystemCalls,
}

/// Counts a start alone.
///
/// # Errors
///
/// If valgrind is missing or the function fails.
pub fn start(variant: &Variant, kind: Kind) -> io::Result<f64> {
    let folder = Folder::new()?;
    run(variant, kind, 0, &folder.log())
}

/// Counts a warm invocation alone, in two runs.
///
/// # Errors
///
/// If valgrind is missing or the function fails.
pub fn warm(variant: &Variant, kind: Kind) -> io::Result<f64> {
    let folder = Folder::new()?;
    let first = run(variant, kind, 1, &folder.log())?;
    warm_after(first, variant, kind, &folder.log())
}

/// Runs `variant` three times to count.
///
/// # Errors
///
/// If valgrind is missing or the function fails.
pub fn count(variant: &Variant, kind: Kind) -> io::Result<Counts> {
    let folder = Folder::new()?;
    let log = folder.log();
    let start = run(variant, kind, 0, &log)?;
    let first = run(variant, kind, 1, &log)?;
    Ok(Counts {
        start,
        first: first - start,
        warm: warm_after(first, variant, kind, &log)?,
    })
}

/// A warm invocation, where a run up to the first one counts `first`.
fn warm_after(first: f64, variant: &Variant, kind: Kind, log: &Path) -> io::Result<f64> {
    let all = run(variant, kind, 1 + WARM, log)?;
    Ok((all - first) / f64::from(u8::try_from(WARM).unwrap_or(u8::MAX)))
}

/// A folder for valgrind's log, gone when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    fn log(&self) -> PathBuf {
        self.0.join("valgrind.log")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that is left does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(variant: &Variant, kind: Kind, invocations: usize, log: &Path) -> io::Result<f64> {
    let options: &[&str] = match kind {
        Kind::Instructions => &["--tool=callgrind", "--callgrind-out-file=/dev/null"],
        Kind::Allocations => &[
            "--tool=memcheck",
            "--leak-check=no",
            "--undef-value-errors=no",
        ],
        Kind::SystemCalls => &["--tool=none", "--trace-syscalls=yes"],
    };
    let log_file = format!("--log-file={}", log.display());
    let valgrind = ["valgrind", &log_file].into_iter();
    let command = valgrind
        .chain(options.iter().copied())
        .map(str::to_owned)
        .chain(variant.command.iter().cloned())
        .collect();
    let variant = Variant {
        command,
        ..variant.clone()
    };
    let running = variant.start()?;
    running.lambda.allow(invocations);
    running.lambda.wait()?;
    // The poll is read here before the process has finished sending it.
    thread::sleep(Duration::from_millis(300));
    running.process.terminate()?;
    let log = fs::read_to_string(log)?;
    let total = |label| {
        let (_, rest) = log.split_once(label)?;
        let number = rest.split_whitespace().next()?;
        number.replace(',', "").parse().ok()
    };
    let total = match kind {
        Kind::Instructions => total("Collected :"),
        Kind::Allocations => total("total heap usage:"),
        Kind::SystemCalls => u32::try_from(log.lines().filter(is_system_call).count())
            .ok()
            .map(f64::from),
    };
    total.ok_or_else(|| io::Error::other(format!("valgrind says no total: {log}")))
}

/// Whether a line reports a system call, not the end of one. Reading the clock is left out: without valgrind it is no system
/// call.
fn is_system_call(line: &&str) -> bool {
    line.starts_with("SYSCALL[")
        && !line.contains(") ... [async]")
        && !line.contains("sys_clock_gettime")
}
