//! A process of a function, and what the kernel says of it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The environment of the functions.
pub type Environment = BTreeMap<&'static str, String>;

/// A running process; it ends when this is dropped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `command`, a program and its arguments, with nothing but `environment`. Its log is dropped.
    ///
    /// # Errors
    ///
    /// If the program cannot be started.
    pub fn start(command: &[String], environment: &Environment) -> io::Result<Self> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| io::Error::other("no program"))?;
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(environment)
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| io::Error::other(format!("{program}: {error}")))?;
        Ok(Self { child })
    }

    /// The processor time of all its threads, in seconds.
    ///
    /// # Errors
    ///
    /// If the process is gone.
    pub fn cpu(&self) -> io::Result<f64> {
        let mut nanoseconds = 0.0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let statistics = fs::read_to_string(task?.path().join("schedstat"))?;
            nanoseconds += statistics
                .split(' ')
                .next()
                .and_then(|spent| spent.parse::<f64>().ok())
                .unwrap_or_default();
        }
        Ok(nanoseconds / 1e9)
    }

    /// The most memory that it has had, in megabytes of 10^6 bytes.
    ///
    /// # Errors
    ///
    /// If the process is gone.
    pub fn peak_memory(&self) -> io::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
        let kib: f64 = kib.and_then(|kib| kib.parse().ok()).unwrap_or(0.0);
        Ok(kib * 1.024 / 1000.0)
    }

    /// Ends it as Lambda does, so that valgrind writes its totals.
    ///
    /// # Errors
    ///
    /// If there is no program `kill`.
    pub fn terminate(mut self) -> io::Result<()> {
        Command::new("kill")
            .arg(self.child.id().to_string())
            .status()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps idle processors from sleeping, until dropped: in a virtual machine a processor takes longer to wake up than a
/// function takes to answer.
///
/// # Errors
///
/// If there is no program `chrt`.
pub fn keep_awake() -> io::Result<Vec<Process>> {
    let spin = ["chrt", "--idle", "0", "sh", "-c", "while :; do :; done"].map(str::to_owned);
    let path = [("PATH", "/usr/bin:/bin".to_owned())].into();
    let processors = std::thread::available_parallelism()?.get();
    (0..processors)
        .map(|_| Process::start(&spin, &path))
        .collect()
}

/// Makes the kernel forget a file's pages, as on a machine that has not run the function before.
///
/// # Errors
///
/// If there is no program `dd`.
pub fn evict(file: &Path) -> io::Result<()> {
    Command::new("dd")
        .arg(format!("if={}", file.display()))
        .args(["iflag=nocache", "count=0", "status=none"])
        .status()?;
    Ok(())
}
