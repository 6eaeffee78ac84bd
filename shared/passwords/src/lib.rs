//! Passwords: which ones are accepted, and what is stored of them. Of use without the rest, where people sign in.
//!
//! ```
//! use passwords::{InvalidPassword, Password, is_password_of};
//!
//! let hash = Password::parse("correct horse battery")?.hash().unwrap();
//!
//! assert!(is_password_of(Some(hash.as_str()), "correct horse battery"));
//! assert_eq!(Password::parse("password1").err(), Some(InvalidPassword::Common));
//! # Ok::<_, InvalidPassword>(())
//! ```

use std::fmt;
use std::sync::{Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Block, Params, PasswordVerifier as _, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use icu_normalizer::ComposingNormalizerBorrowed;

/// The fewest characters of a password (NIST SP 800-63B, 5.1.1.2).
pub const MIN_LENGTH: usize = 8;

/// The most characters of a password: more than NIST's least upper bound of 64.
pub const MAX_LENGTH: usize = 128;

/// The 11,611 most common passwords of eight characters or more, one a line, the most common first: from the frequency
/// list of zxcvbn (MIT; its licence is beside the file).
const COMMON: &str = include_str!("common-passwords.txt");

/// OWASP's first choice for Argon2id without parallelism: 19 MiB, two passes
/// (<https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>).
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

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
    /// One of the most common ones, in any case.
    Common,
}

impl Password {
    /// Accepts what NIST SP 800-63B, 5.1.1.2 says: a length, no rules of composition, and no well-known password.
    ///
    /// # Errors
    ///
    /// [`InvalidPassword`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidPassword> {
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
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| HashError("no random bytes".to_owned()))?;
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(argon2_failed)?;
        let mut hash = [0; Params::DEFAULT_OUTPUT_LEN];
        fill(params, self.0.as_bytes(), &salt, &mut hash)?;
        Ok(PasswordHash(format!(
            "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(hash)
        )))
    }
}

/// A hash of no password, with the parameters of ours: what a password is checked against if there is no account, so that
/// this takes as long.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdC4uLg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Whether `typed` is the password behind `hash`, a PHC string of any Argon2 parameters. Without a hash it is not, and that
/// takes as long.
#[must_use]
pub fn is_password_of(hash: Option<&str>, typed: &str) -> bool {
    let matches = Argon2::default()
        .verify_password(normalised(typed).as_bytes(), hash.unwrap_or(NOBODY))
        .is_ok();
    matches && hash.is_some()
}

impl InvalidPassword {
    /// One sentence for the person who chose it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::TooShort => "Use at least 8 characters.",
            Self::TooLong => "Use at most 128 characters.",
            Self::Blank => "Use more than spaces.",
            Self::Common => "This password is one of the most common ones. Choose another.",
        }
    }
}

/// What is stored of a password: a PHC string
/// (<https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md>).
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The PHC string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a password could not be hashed; says nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashError(String);

impl fmt::Display for HashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HashError {}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Normalisation form C, as RFC 8265 (`OpaqueString`) asks.
fn normalised(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc()
        .normalize(text)
        .into_owned()
}

/// Runs Argon2id over memory that is allocated by the first call and kept, so that neither the start nor any other call
/// pays for it.
fn fill(params: Params, password: &[u8], salt: &[u8], hash: &mut [u8]) -> Result<(), HashError> {
    static MEMORY: Mutex<Vec<Block>> = Mutex::new(Vec::new());
    let mut memory = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    if memory.len() < params.block_count() {
        memory.resize(params.block_count(), Block::default());
    }
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password, salt, hash, memory.as_mut_slice())
        .map_err(argon2_failed)
}

fn argon2_failed(error: argon2::Error) -> HashError {
    HashError(error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by a panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn length_is_counted_in_characters_after_normalisation() {
        assert_eq!(
            Password::parse("sh0rt!!").err(),
            Some(InvalidPassword::TooShort)
        );
        assert!(Password::parse("l0ng-eno").is_ok());
        assert!(Password::parse(&"\u{1f600}".repeat(128)).is_ok());
        assert_eq!(
            Password::parse(&"x".repeat(129)).err(),
            Some(InvalidPassword::TooLong)
        );
        assert_eq!(
            Password::parse("a\u{308}o\u{308}u\u{308}e\u{301}").err(),
            Some(InvalidPassword::TooShort)
        );
    }

    #[test]
    fn blank_and_common_passwords_are_refused_and_nothing_else() {
        assert_eq!(
            Password::parse(&" ".repeat(12)).err(),
            Some(InvalidPassword::Blank)
        );
        assert_eq!(
            Password::parse(&"\u{3000}".repeat(12)).err(),
            Some(InvalidPassword::Blank)
        );
        assert_eq!(
            Password::parse("password123").err(),
            Some(InvalidPassword::Common)
        );
        assert_eq!(
            Password::parse("PassWord123").err(),
            Some(InvalidPassword::Common)
        );
        assert!(Password::parse("aaaaaaaab").is_ok());
        assert!(Password::parse("        password123").is_ok());
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
    fn a_hash_is_a_phc_string_with_owasps_parameters_and_a_salt_of_its_own() {
        let password = Password::parse("correct horse battery staple").unwrap();

        let (one, two) = (password.hash().unwrap(), password.hash().unwrap());

        assert!(one.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(one, two);
    }

    #[test]
    fn a_typed_password_is_that_of_its_hash_from_any_keyboard_and_of_no_other() {
        let hash = Password::parse("gr\u{fc}ne B\u{e4}ume")
            .unwrap()
            .hash()
            .unwrap();

        assert!(is_password_of(
            Some(hash.as_str()),
            "gru\u{308}ne Ba\u{308}ume"
        ));
        assert!(!is_password_of(Some(hash.as_str()), "gr\u{fc}ne B\u{e4}um"));
        assert!(!is_password_of(
            Some("$2b$12$not-argon2"),
            "gr\u{fc}ne B\u{e4}ume"
        ));
        assert!(!is_password_of(None, ""));
    }

    #[test]
    fn nothing_of_a_password_is_printed() {
        let password = Password::parse("correct horse battery staple").unwrap();
        let hash = password.hash().unwrap();

        assert_eq!(
            format!("{password:?} {hash:?}"),
            "Password(..) PasswordHash(..)"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = Password::parse(&text);
        }
    }
}
