//! Addresses, in the one form in which they are stored, compared and mailed.

use std::fmt;

/// The longest local part, in bytes (RFC 5321, 4.5.3.1.1).
const MAX_LOCAL_PART: usize = 64;

/// The longest address, in bytes (RFC 5321, 4.5.3.1.3, less the angle brackets).
const MAX_ADDRESS: usize = 254;

/// A mail address in canonical form: what the table's key holds and what mail is sent to.
///
/// The local part is an ASCII dot-atom (RFC 5322, 3.2.3) in lower case, since SES mails no other; the domain is in its
/// ASCII form (UTS #46, strict), has two labels or more and does not end in a number. Every spelling of an address
/// parses to the same value, so none evades a limit that is kept for another.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// The text is not an address that mail can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidEmailAddress;

impl EmailAddress {
    /// Brings `text` to canonical form.
    ///
    /// # Errors
    ///
    /// [`InvalidEmailAddress`] if `text` is not one plain address: also for quoted local parts, comments, address
    /// literals, display names, and for local parts that are not ASCII.
    pub fn parse(text: &str) -> Result<Self, InvalidEmailAddress> {
        let (local, domain) = text.trim().split_once('@').ok_or(InvalidEmailAddress)?;
        if local.len() > MAX_LOCAL_PART || !is_dot_atom(local) {
            return Err(InvalidEmailAddress);
        }
        // An encoded domain is never shorter in bytes than a quarter of what was typed: no need to map more than this.
        if domain.len() > 4 * MAX_ADDRESS {
            return Err(InvalidEmailAddress);
        }
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| InvalidEmailAddress)?;
        let (_, top) = domain.rsplit_once('.').ok_or(InvalidEmailAddress)?;
        // RFC 3696, 2: a top-level domain of digits would be an IPv4 address.
        if top.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidEmailAddress);
        }
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        if address.len() > MAX_ADDRESS {
            return Err(InvalidEmailAddress);
        }
        Ok(Self(address))
    }

    /// The canonical address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Shows no address: what is printed for debugging ends up in logs.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(..)")
    }
}

/// RFC 5322, 3.2.3: one or more atoms of `atext`, separated by single dots.
fn is_dot_atom(local: &str) -> bool {
    let is_atext =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    local
        .split('.')
        .all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> Option<String> {
        EmailAddress::parse(text)
            .ok()
            .map(|address| address.as_str().to_owned())
    }

    #[test]
    fn every_spelling_of_an_address_has_one_canonical_form() {
        for spelling in [
            "user@xn--bcher-kva.example",
            " User@B\u{fc}cher.example ",
            "USER@BU\u{308}CHER.EXAMPLE",
            "user@XN--BCHER-KVA.example",
            "user@b\u{fc}cher\u{3002}example",
            "\u{a0}user@\u{ff42}\u{fc}cher.example\r\n",
        ] {
            assert_eq!(
                canonical(spelling).as_deref(),
                Some("user@xn--bcher-kva.example"),
                "{spelling:?}"
            );
        }
    }

    #[test]
    fn what_is_not_one_plain_address_is_refused() {
        for text in [
            "",
            " ",
            "@",
            "user",
            "user@",
            "@example.com",
            "user@localhost",
            "user@example.123",
            "user@127.0.0.1",
            "user@[127.0.0.1]",
            "user@example..com",
            "user@.example.com",
            "user@example.com.",
            "user@-example.com",
            "user@exa mple.com",
            "user@exam_ple.com",
            "user@example.com, other@example.com",
            "user@example.com other@example.com",
            "user@example.com\nbcc: other@example.com",
            "User <user@example.com>",
            "\"user\"@example.com",
            "user(comment)@example.com",
            "us er@example.com",
            ".user@example.com",
            "user.@example.com",
            "us..er@example.com",
            "us@er@example.com",
            "\u{fc}ser@example.com",
            "us\u{0}er@example.com",
            "\u{212a}ate@example.com",
            "user@xn--a.example",
        ] {
            assert_eq!(canonical(text), None, "{text:?}");
        }
    }

    #[test]
    fn lengths_are_those_of_rfc_5321() {
        let local = "l".repeat(64);
        let domain = format!(
            "{}.{}.{}.example",
            "d".repeat(63),
            "e".repeat(63),
            "f".repeat(53)
        );
        assert_eq!(format!("{local}@{domain}").len(), 254);

        assert!(canonical(&format!("{local}@{domain}")).is_some());
        assert!(canonical(&format!("{local}@f{domain}")).is_none());
        assert!(canonical(&format!("{local}l@example.com")).is_none());
    }

    proptest! {
        #[test]
        fn a_canonical_form_is_its_own_canonical_form(text in "\\PC{0,20}@\\PC{1,20}\\.[a-z\u{e4}]{1,10}") {
            if let Some(once) = canonical(&text) {
                prop_assert_eq!(canonical(&once), Some(once.clone()));
                prop_assert!(once.is_ascii() && !once.contains(char::is_whitespace));
                prop_assert_eq!(once.to_ascii_lowercase(), once);
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = EmailAddress::parse(&text);
        }
    }
}
