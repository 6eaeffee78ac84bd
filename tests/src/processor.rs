//! Processor time, as Linux counts it. Unlike the clock's time, it does not depend on what else the machine does.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// The processor's time for the only process of a function so far.
pub fn processor_time(function: &str) -> Duration {
    let test = std::process::id().to_string();
    let is_function = |process: &Path| {
        // proc(5): pid (name) state ppid …
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        let (command, rest) = stat.rsplit_once(')').unwrap_or_default();
        command.ends_with(&format!("({function}")) && rest.split(' ').nth(2) == Some(&test)
    };
    let mut processes = fs::read_dir("/proc").unwrap().flatten();
    let process = processes.find(|entry| is_function(&entry.path()));
    let process = process.expect("a process of the function");
    let tasks = fs::read_dir(process.path().join("task")).unwrap().flatten();
    tasks.map(|task| time_of(&task.path())).sum()
}

/// The processor's time for this thread so far.
pub fn own_processor_time() -> Duration {
    time_of(Path::new("/proc/thread-self"))
}

fn time_of(task: &Path) -> Duration {
    let schedstat = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
    let nanoseconds = schedstat.split(' ').next().map(str::parse);
    Duration::from_nanos(nanoseconds.and_then(Result::ok).unwrap_or(0))
}
