use std::fmt;

use crate::hash::{HashError, PasswordHash};
use crate::normalisation::normalised;

/// The fewest characters of a password (NIST SP 800-63B, 5.1.1.2).
pub const MIN_LENGTH: usize = 8;

/// The most characters of a password. NIST asks for a maximum of at least 64.
pub const MAX_LENGTH: usize = 128;

/// The 11,611 most common passwords of eight characters or more, one a line, the most common first: from the frequency
/// list of zxcvbn (MIT; its licence is beside the file).
const COMMON: &str = include_str!("common-passwords.txt");

/// A password that a person may choose, in Unicode's normalisation form C, so that it is the same bytes from any keyboard.
pub struct Password(String);

/// Why a password is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidPassword {
    /// Fewer than [`MIN_LENGTH`] characters.
    TooShort,
    /// More than [`MAX_LENGTH`] characters.
    TooLong,
    /// Nothing but white space.
    Blank,
    /// The person's own address, or another of the identifiers, in any case.
    Address,
    /// One of the most common ones, in any case.
    Common,
}

impl Password {
    /// Accepts what NIST SP 800-63B, 5.1.1.2 says: a length, no rules of composition, no well-known password, and none of
    /// `identifiers`, which is what everybody knows of the person: the e-mail address and its local part.
    ///
    /// # Errors
    ///
    /// [`InvalidPassword`] says what is wrong.
    pub fn parse(text: &str, identifiers: &[&str]) -> Result<Self, InvalidPassword> {
        let text = normalised(text);
        // NIST counts code points as characters.
        let length = text.chars().count();
        if length < MIN_LENGTH {
            return Err(InvalidPassword::TooShort);
        }
        if length > MAX_LENGTH {
            return Err(InvalidPassword::TooLong);
        }
        if text.chars().all(char::is_whitespace) {
            return Err(InvalidPassword::Blank);
        }
        if is_one_of(&text, identifiers) {
            return Err(InvalidPassword::Address);
        }
        if COMMON
            .lines()
            .any(|common| common.eq_ignore_ascii_case(&text))
        {
            return Err(InvalidPassword::Common);
        }
        Ok(Self(text))
    }

    /// Hashes the password with a fresh salt. Takes about 13 ms of CPU and 19 MiB, which are kept for the next one.
    ///
    /// # Errors
    ///
    /// [`HashError`] if the system gives no random bytes.
    pub fn hash(&self) -> Result<PasswordHash, HashError> {
        PasswordHash::of(self.0.as_bytes())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

fn is_one_of(text: &str, identifiers: &[&str]) -> bool {
    let text = text.to_lowercase();
    identifiers
        .iter()
        .any(|identifier| normalised(identifier).to_lowercase() == text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by a panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(text: &str) -> Option<InvalidPassword> {
        Password::parse(text, &[]).err()
    }

    #[test]
    fn length_is_counted_in_characters_after_normalisation() {
        assert_eq!(refusal("sh0rt!!"), Some(InvalidPassword::TooShort));
        assert_eq!(refusal("l0ng-eno"), None);
        assert_eq!(refusal(&"\u{1f600}".repeat(128)), None);
        assert_eq!(refusal(&"x".repeat(129)), Some(InvalidPassword::TooLong));
        assert_eq!(
            refusal("a\u{308}o\u{308}u\u{308}e\u{301}"),
            Some(InvalidPassword::TooShort)
        );
    }

    #[test]
    fn blank_and_common_passwords_are_refused_and_nothing_else() {
        assert_eq!(refusal(&" ".repeat(12)), Some(InvalidPassword::Blank));
        assert_eq!(
            refusal(&"\u{3000}".repeat(12)),
            Some(InvalidPassword::Blank)
        );
        assert_eq!(refusal("password123"), Some(InvalidPassword::Common));
        assert_eq!(refusal("PassWord123"), Some(InvalidPassword::Common));
        assert_eq!(refusal("aaaaaaaab"), None);
        assert_eq!(refusal("        password123"), None);
    }

    #[test]
    fn an_address_or_its_local_part_is_no_password_for_its_owner() {
        let identifiers = ["ada.lovelace@example.com", "ada.lovelace"];
        let refusal = |text| Password::parse(text, &identifiers).err();

        assert_eq!(
            refusal("ada.lovelace@example.com"),
            Some(InvalidPassword::Address)
        );
        assert_eq!(refusal("Ada.LOVELACE"), Some(InvalidPassword::Address));
        assert_eq!(refusal("ada.lovelace1"), None);
        assert_eq!(refusal("lovelace@example.com"), None);
    }

    #[test]
    fn identifiers_are_compared_in_any_case_and_from_any_keyboard() {
        assert_eq!(
            Password::parse("BU\u{308}CHERWURM", &["b\u{fc}cherwurm"]).err(),
            Some(InvalidPassword::Address)
        );
        assert_eq!(
            Password::parse("b\u{fc}cherwurm", &["Bu\u{308}cherwurm"]).err(),
            Some(InvalidPassword::Address)
        );
    }

    #[test]
    fn the_list_holds_about_ten_thousand_passwords_that_the_length_alone_would_let_pass() {
        assert!((10_000..13_000).contains(&COMMON.lines().count()));
        assert!(
            COMMON
                .lines()
                .all(|line| line.chars().count() >= MIN_LENGTH && line.trim() == line)
        );
    }

    #[test]
    fn nothing_of_a_password_is_printed() {
        let password = Password::parse("correct horse battery staple", &[]).unwrap();

        assert_eq!(format!("{password:?}"), "Password(..)");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>(), identifier in any::<String>()) {
            let _ = Password::parse(&text, &[&identifier]);
        }
    }
}
