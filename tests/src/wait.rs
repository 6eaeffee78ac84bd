//! Waiting for something that must happen, without guessing how long it takes.

use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `look` finds something, and returns that; fails the test, naming `what`, after ten seconds.
pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            Instant::now() < end,
            "waited {DEADLINE:?} in vain for: {what}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}
