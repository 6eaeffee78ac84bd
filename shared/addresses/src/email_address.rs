use std::fmt;

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// The longest local part, in bytes (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL_PART: usize = 64;

/// The longest label of a domain, in bytes (RFC 1035, 2.3.4).
const MAX_LABEL: usize = 63;

/// The longest address, in bytes (RFC 5321, 4.5.3.1.3, without the angle brackets).
const MAX_ADDRESS: usize = 254;

/// The longest domain that is converted, in bytes: no real one is spelled longer. Bounds the work.
const MAX_TYPED_DOMAIN: usize = 4 * MAX_ADDRESS;

/// An e-mail address in canonical form, as the [crate](crate) describes it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// Why a text is not an address that mail can be sent to.
///
/// If there are several causes, the local part's is named before the domain's, and [`Other`](Self::Other) before one
/// that would mislead: `Zoë <zoe@example.com>` is not an address with a `ë`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidEmailAddress {
    /// Nothing was typed, or only white space and invisible characters.
    Missing,
    /// There is no `@`.
    NoAt,
    /// The local part, before the `@`, has characters that are not ASCII. There are such addresses (RFC 6531), but SES
    /// cannot mail them.
    LocalPartNotAscii,
    /// The local part has two dots in a row, or one at an end. Some Japanese carriers issued such addresses; standard
    /// mail has none.
    Dots,
    /// The domain's last part is missing (`ada@example`, `ada@example.`) or is a number, as in an IPv4 address.
    NoTopLevelDomain,
    /// The local part, a label of the domain, or the address is longer than standard mail allows.
    TooLong,
    /// Anything else: spaces, a second `@`, an empty part, a character that no domain has, display names, quoted local
    /// parts, comments, address literals, encoded words.
    Other,
}

impl EmailAddress {
    /// Brings `text` to canonical form.
    ///
    /// # Errors
    ///
    /// [`InvalidEmailAddress`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidEmailAddress> {
        let text = text.trim_matches(is_invisible);
        if text.is_empty() {
            return Err(InvalidEmailAddress::Missing);
        }
        let (local, domain) = text.split_once('@').ok_or(InvalidEmailAddress::NoAt)?;
        let local = parse_local_part(local)?;
        let domain = parse_domain(domain)?;
        let address = format!("{local}@{domain}");
        if address.len() > MAX_ADDRESS {
            return Err(InvalidEmailAddress::TooLong);
        }
        Ok(Self(address))
    }

    /// The canonical address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.parts().0
    }

    /// The address in a form that its owner recognizes and nobody else can use: `j…n@example.com` for
    /// `john@example.com`. Of a local part with one or two characters only the first is shown.
    #[must_use]
    pub fn masked(&self) -> String {
        let (local, domain) = self.parts();
        let mut characters = local.chars();
        let first = characters.next().map_or_else(String::new, String::from);
        let last = characters.next_back();
        match last.filter(|_| characters.next().is_some()) {
            Some(last) => format!("{first}…{last}@{domain}"),
            None => format!("{first}…@{domain}"),
        }
    }

    fn parts(&self) -> (&str, &str) {
        self.0.split_once('@').unwrap_or_default()
    }
}

/// Shows no address: what is printed for debugging ends up in logs.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(..)")
    }
}

/// White space, and what Unicode says is not to be shown: zero-width spaces and joiners, byte order marks, soft hyphens,
/// marks of writing direction.
fn is_invisible(character: char) -> bool {
    character.is_whitespace()
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

/// The local part in lower case.
fn parse_local_part(local: &str) -> Result<String, InvalidEmailAddress> {
    if local.is_empty() || local.contains(is_forbidden) {
        return Err(InvalidEmailAddress::Other);
    }
    if !local.is_ascii() {
        return Err(InvalidEmailAddress::LocalPartNotAscii);
    }
    if local.split('.').any(str::is_empty) {
        return Err(InvalidEmailAddress::Dots);
    }
    if local.len() > MAX_LOCAL_PART {
        return Err(InvalidEmailAddress::TooLong);
    }
    if has_encoded_word(local) {
        return Err(InvalidEmailAddress::Other);
    }
    Ok(local.to_ascii_lowercase())
}

/// White space, and ASCII that is neither `atext` nor a dot.
fn is_forbidden(character: char) -> bool {
    let is_forbidden_ascii = character.is_ascii() && character != '.' && !is_atext(character);
    is_forbidden_ascii || character.is_whitespace()
}

/// RFC 5322, 3.2.3.
fn is_atext(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(character)
}

/// RFC 2047, 2. Mail software may decode `=?utf-8?q?=61=40=62?=` to another address than the one that was checked.
fn has_encoded_word(local: &str) -> bool {
    local
        .split_once("=?")
        .is_some_and(|(_, rest)| rest.contains("?="))
}

/// The domain in its ASCII form.
fn parse_domain(domain: &str) -> Result<String, InvalidEmailAddress> {
    if domain.is_empty() {
        return Err(InvalidEmailAddress::Other);
    }
    if domain.len() > MAX_TYPED_DOMAIN {
        return Err(InvalidEmailAddress::TooLong);
    }
    // Lengths are checked below, to tell them apart from other causes.
    let domain = Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Ignore,
        )
        .map_err(|_| InvalidEmailAddress::Other)?;
    let top = domain.rsplit_once('.').map_or("", |(_, top)| top);
    if top.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidEmailAddress::NoTopLevelDomain);
    }
    if domain.split('.').any(str::is_empty) {
        return Err(InvalidEmailAddress::Other);
    }
    if domain.split('.').any(|label| label.len() > MAX_LABEL) {
        return Err(InvalidEmailAddress::TooLong);
    }
    Ok(domain.into_owned())
}
