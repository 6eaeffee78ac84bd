//! The time.

use jiff::Timestamp;

/// Seconds since 1970, as tokens and the table count them.
#[must_use]
pub fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

/// RFC 3339, in UTC: `2026-11-23T06:00:00Z`.
#[must_use]
pub fn rfc3339(seconds: u64) -> String {
    timestamp(seconds).to_string()
}

/// For people: `23 November 2026, 06:00 UTC`.
#[must_use]
pub fn in_words(seconds: u64) -> String {
    timestamp(seconds)
        .strftime("%-d %B %Y, %H:%M UTC")
        .to_string()
}

/// The reverse of [`rfc3339`]; `None` for what is no such time.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    text.parse::<Timestamp>()
        .ok()
        .and_then(|time| u64::try_from(time.as_second()).ok())
}

fn timestamp(seconds: u64) -> Timestamp {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::MAX)
}
