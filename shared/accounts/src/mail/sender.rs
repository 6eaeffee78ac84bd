//! Who the mails are from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use addresses::EmailAddress;

use crate::settings::{self, Environment, InvalidSetting};

/// The most bytes of text in one encoded word: RFC 2047, 2 allows 75 characters, of which the frame takes 12.
const ENCODED_WORD_BYTES: usize = 45;

/// `MAIL_FROM`: an address, perhaps with a display name.
#[derive(Clone)]
pub struct Sender {
    name: Option<String>,
    address: String,
}

impl Sender {
    /// Reads `MAIL_FROM`.
    pub fn from_env(environment: &Environment) -> Result<Self, InvalidSetting> {
        environment.required(
            "MAIL_FROM",
            "a sender: no-reply@myapp.com or My App <no-reply@myapp.com>",
            Self::parse,
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let text = settings::plain_text(text)?;
        let (name, address) = match text.strip_suffix('>').and_then(|text| text.split_once('<')) {
            Some((name, address)) => (name.trim(), address.trim()),
            None => ("", text.as_str()),
        };
        let parsed = EmailAddress::parse(address).ok()?;
        // As it was typed, since SES compares identities with case. But SES takes no domain that is not in ASCII.
        let address = if address.is_ascii() {
            address
        } else {
            parsed.as_str()
        };
        let name = name
            .strip_prefix('"')
            .and_then(|name| name.strip_suffix('"'))
            .unwrap_or(name);
        let name = (!name.is_empty()).then(|| name.to_owned());
        Some(Self {
            name,
            address: address.to_owned(),
        })
    }

    /// The bare address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The value of a `From` field: the name as a quoted string (RFC 5322, 3.2.4), or in encoded words (RFC 2047) if it is
    /// not ASCII, as SES demands.
    pub fn mailbox(&self) -> String {
        let address = &self.address;
        match &self.name {
            None => address.clone(),
            Some(name) if name.is_ascii() => {
                format!(
                    "\"{}\" <{address}>",
                    name.replace('\\', "\\\\").replace('"', "\\\"")
                )
            }
            Some(name) => format!("{} <{address}>", encoded_words(name)),
        }
    }
}

/// RFC 2047, 2. By hand: crates for it also fold lines (RFC 5322), and SES takes the field in one line.
fn encoded_words(text: &str) -> String {
    let mut words = vec![String::new()];
    for character in text.chars() {
        if words
            .last()
            .is_some_and(|word| word.len() + character.len_utf8() > ENCODED_WORD_BYTES)
        {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(character);
        }
    }
    let words: Vec<_> = words
        .iter()
        .map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word)))
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(text: &str) -> Option<String> {
        Sender::parse(text).map(|sender| sender.mailbox())
    }

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        assert_eq!(
            mailbox("No-Reply@myapp.com").as_deref(),
            Some("No-Reply@myapp.com")
        );
        assert_eq!(
            mailbox("My App <a@myapp.com>").as_deref(),
            Some("\"My App\" <a@myapp.com>")
        );
        assert_eq!(
            mailbox("\"My, App\" <a@myapp.com>").as_deref(),
            Some("\"My, App\" <a@myapp.com>")
        );
        assert_eq!(
            mailbox("B\u{fc}cher <a@myapp.com>").as_deref(),
            Some("=?UTF-8?B?QsO8Y2hlcg==?= <a@myapp.com>")
        );
        assert_eq!(
            mailbox("No-Reply@b\u{fc}cher.example").as_deref(),
            Some("no-reply@xn--bcher-kva.example")
        );
    }

    #[test]
    fn a_long_name_is_split_between_characters() {
        let mailbox = mailbox(&format!("{} <a@myapp.com>", "\u{1f600}".repeat(20))).unwrap();

        assert_eq!(mailbox.matches("=?UTF-8?B?").count(), 2);
        assert!(mailbox.split(' ').all(|word| word.len() <= 75));
    }

    #[test]
    fn what_could_break_a_header_is_refused() {
        for text in [
            "",
            "My App",
            "My App <>",
            "a@myapp.com\r\nBcc: b@c.de",
            "a@b.de <c@d.ef> <g@h.ij>",
            "<a@b.cd",
        ] {
            assert_eq!(mailbox(text), None, "{text:?}");
        }
    }
}
