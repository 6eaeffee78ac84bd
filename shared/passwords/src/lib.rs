//! Passwords: which ones are accepted, and what is stored of them. Also usable alone, in a sign-in.
//!
//! ```
//! use passwords::{InvalidPassword, Password, is_password_of};
//!
//! let hash = Password::parse("correct horse battery", &["ada@example.com", "ada"])?.hash().unwrap();
//!
//! assert!(is_password_of(Some(hash.as_str()), "correct horse battery"));
//! assert!(!is_password_of(None, "correct horse battery"));
//! assert_eq!(Password::parse("password1", &[]).err(), Some(InvalidPassword::Common));
//! # Ok::<_, InvalidPassword>(())
//! ```
//!
//! # What a check costs
//!
//! [`is_password_of`] runs Argon2 exactly once, whatever it is given, so that its duration does not tell whether there is
//! an account:
//!
//! | stored | what is computed | answer |
//! |---|---|---|
//! | nothing | Argon2id with the parameters of [`Password::hash`] | no |
//! | a hash of ours | the same | whether it matches |
//! | Argon2 with other parameters, within the bounds | Argon2 with those, which may take longer or shorter | whether it matches |
//! | Argon2 beyond the bounds, bcrypt, scrypt, werkzeug, anything else | as for nothing | no |
//!
//! The bounds are [`MAX_MEMORY_KIB`] and [`MAX_WORK_KIB`]: a stored hash cannot exhaust the process's memory or keep it
//! busy for seconds. The defaults of argon2-cffi, passlib and PHP, and each of OWASP's choices, are within them.
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]

mod hash;
mod normalisation;
mod password;

pub use hash::{HashError, MAX_MEMORY_KIB, MAX_WORK_KIB, PasswordHash, is_password_of};
pub use password::{InvalidPassword, MAX_LENGTH, MIN_LENGTH, Password};
