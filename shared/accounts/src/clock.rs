//! The time.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Seconds since 1970, as tokens and the table count them.
pub fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

/// Nanoseconds since the current second began, for jitter.
pub(crate) fn nanosecond() -> u32 {
    Timestamp::now().subsec_nanosecond().unsigned_abs()
}

/// RFC 3339, in UTC: `2026-11-23T06:00:00Z`.
pub fn rfc3339(seconds: u64) -> String {
    timestamp(seconds).to_string()
}

/// A time's parts, as languages put them together.
pub struct Date {
    pub year: i16,
    /// From 0.
    pub month: usize,
    pub day: i8,
    /// Hours and minutes, in UTC: `06:00`.
    pub time: String,
}

impl Date {
    pub fn of(seconds: u64) -> Self {
        let time = timestamp(seconds).to_zoned(TimeZone::UTC);
        Self {
            year: time.year(),
            month: usize::try_from(time.month() - 1).unwrap_or(0),
            day: time.day(),
            time: time.strftime("%H:%M").to_string(),
        }
    }
}

/// The reverse of [`rfc3339`]; `None` if the text is no such time.
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
