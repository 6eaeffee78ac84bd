//! Environment variables, read once at start.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

use url::{Host, Url};

/// A variable that is missing or invalid. Never holds or prints the value.
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

/// The environment variables that a function starts with: the process' own, or a test's.
#[derive(Clone, Default)]
pub struct Environment(HashMap<OsString, OsString>);

impl Environment {
    pub fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// A variable's text. An empty one counts as absent, since an empty parameter of the template makes an empty variable.
    pub fn get(&self, variable: &str) -> Option<&OsStr> {
        self.0
            .get(OsStr::new(variable))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// The variables whose name begins with `prefix`.
    #[must_use]
    pub fn with_prefix(&self, prefix: &str) -> Self {
        let begins = |name: &OsString| name.to_string_lossy().starts_with(prefix);
        let chosen = self.0.iter().filter(|(name, _)| begins(name));
        Self(
            chosen
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    /// Whether a variable's value begins with `prefix`.
    pub fn has_value_with_prefix(&self, prefix: &str) -> bool {
        self.0
            .values()
            .any(|value| value.to_string_lossy().starts_with(prefix))
    }

    /// Reads a variable that may be absent; `expected` is a noun phrase for the error.
    pub fn optional<T>(
        &self,
        variable: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, InvalidSetting> {
        let Some(value) = self.get(variable) else {
            return Ok(None);
        };
        let parsed = value.to_str().and_then(parse);
        parsed
            .map(Some)
            .ok_or(InvalidSetting { variable, expected })
    }

    /// Reads a variable that must be there.
    pub fn required<T>(
        &self,
        variable: &'static str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, InvalidSetting> {
        self.optional(variable, expected, parse)?
            .ok_or(InvalidSetting { variable, expected })
    }

    /// Reads a whole number within `bounds`.
    pub fn number(
        &self,
        variable: &'static str,
        expected: &'static str,
        bounds: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, InvalidSetting> {
        let parse = |value: &str| value.parse().ok().filter(|number| bounds.contains(number));
        Ok(self.optional(variable, expected, parse)?.unwrap_or(default))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        Self(
            variables
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
        )
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        Self(
            variables
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// Shows no value: some are secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment(..)")
    }
}

/// An absolute `http` or `https` URL that has a concrete host (no `*`) and no credentials.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_what_they_begin_with() {
        let environment = Environment::from([("ONE", "http://a"), ("OTHER", "b https:")]);

        assert!(environment.has_value_with_prefix("http:"));
        assert!(!environment.has_value_with_prefix("https:"));
    }
}
