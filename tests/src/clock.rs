//! A clock that tests can move while functions run: libfaketime, loaded into them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Builder;

const LIBRARY: &str = "faketime/libfaketime.so.1";

/// The clock of one world's functions: the system's time, plus what [`Clock::advance`] has added.
pub struct Clock {
    file: PathBuf,
    seconds: AtomicU32,
}

impl Clock {
    /// Gives the functions of `world` a clock of their own.
    pub fn of(world: Builder) -> (Self, Builder) {
        static CLOCKS: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "clock-{}-{}",
            std::process::id(),
            CLOCKS.fetch_add(1, Ordering::Relaxed)
        );
        let file = std::env::temp_dir().join(name);
        fs::write(&file, "+0").unwrap();
        let world = world
            .setting("LD_PRELOAD", library().to_str().unwrap())
            .setting("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap())
            .setting("FAKETIME_NO_CACHE", "1")
            // Time-outs use the monotonic clock, which stays real.
            .setting("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let seconds = AtomicU32::new(0);
        (Self { file, seconds }, world)
    }

    /// Lets seconds pass.
    pub fn advance(&self, seconds: u32) {
        let passed = self.seconds.fetch_add(seconds, Ordering::Relaxed) + seconds;
        // Renamed, so that nobody reads half a file.
        let new = self.file.with_extension("new");
        fs::write(&new, format!("+{passed}")).unwrap();
        fs::rename(new, &self.file).unwrap();
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

/// Debian has it in a folder for each architecture.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = folders
        .map(|folder| folder.path().join(LIBRARY))
        .chain([Path::new("/usr/lib").join(LIBRARY)])
        .find(|library| library.is_file());
    found.expect("libfaketime is needed (Debian: apt-get install libfaketime)")
}
