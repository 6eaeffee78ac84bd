//! Environment variables, read once at start.

use std::fmt;

use url::{Host, Url};

/// A variable that is missing or holds something else than it should. Never holds or prints the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSetting {
    variable: &'static str,
    expected: &'static str,
}

impl InvalidSetting {
    /// `variable` should hold `expected`, a noun phrase, and does not.
    #[must_use]
    pub fn new(variable: &'static str, expected: &'static str) -> Self {
        Self { variable, expected }
    }
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is missing or invalid: it should hold {}",
            self.variable, self.expected
        )
    }
}

impl std::error::Error for InvalidSetting {}

/// Reads a variable that need not be there; an empty one, as a template's empty parameter makes it, counts as absent.
///
/// # Errors
///
/// [`InvalidSetting`] if it is there and `parse` gives nothing for it.
pub fn optional<T>(
    variable: &'static str,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, InvalidSetting> {
    let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let parsed = value.to_str().and_then(parse);
    parsed
        .map(Some)
        .ok_or(InvalidSetting { variable, expected })
}

/// Reads a variable that must be there.
///
/// # Errors
///
/// [`InvalidSetting`] if it is absent or empty, or if `parse` gives nothing for it.
pub fn required<T>(
    variable: &'static str,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, InvalidSetting> {
    optional(variable, expected, parse)?.ok_or(InvalidSetting { variable, expected })
}

/// Reads a whole number of seconds.
///
/// # Errors
///
/// [`InvalidSetting`] if it is not a whole number within `bounds`.
pub fn seconds(
    variable: &'static str,
    expected: &'static str,
    bounds: std::ops::RangeInclusive<u64>,
    default: u64,
) -> Result<u64, InvalidSetting> {
    let number = |value: &str| {
        value
            .parse()
            .ok()
            .filter(|seconds| bounds.contains(seconds))
    };
    Ok(optional(variable, expected, number)?.unwrap_or(default))
}

/// An absolute `http` or `https` URL that names a host, which a pattern with `*` does not, and holds no credentials.
#[must_use]
pub fn web_url(value: &str) -> Option<Url> {
    let url = Url::parse(value).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none();
    let names_a_host = matches!(url.host(), Some(Host::Domain(name)) if !name.is_empty() && !name.contains('*'))
        || is_ip_address(&url);
    (is_web && names_a_host).then_some(url)
}

fn is_ip_address(url: &Url) -> bool {
    matches!(url.host(), Some(Host::Ipv4(_) | Host::Ipv6(_)))
}

/// Text for people: no control characters, which would end a mail's header or a log's line.
#[must_use]
pub fn plain_text(value: &str) -> Option<String> {
    let text = value.trim();
    (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
}
