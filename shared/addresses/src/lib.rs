//! E-mail addresses in one canonical form: what is stored, compared and mailed. Also usable alone, in a sign-in.
//!
//! ```
//! use addresses::{EmailAddress, InvalidEmailAddress};
//!
//! let address = EmailAddress::parse(" Ada@B\u{fc}cher.example\u{200b}")?;
//!
//! assert_eq!(address.as_str(), "ada@xn--bcher-kva.example");
//! assert_eq!(address.masked(), "a…a@xn--bcher-kva.example");
//! assert_eq!(
//!     EmailAddress::parse("ada@example").err(),
//!     Some(InvalidEmailAddress::NoTopLevelDomain)
//! );
//! # Ok::<_, InvalidEmailAddress>(())
//! ```
//!
//! All spellings of an address parse to the same [`EmailAddress`], so a limit or a row that is kept for one of them holds
//! for all.
//!
//! # What is accepted
//!
//! What SES can mail and people use, which is less than RFC 5322 allows and more than some forms do:
//!
//! | part | rule |
//! |---|---|
//! | around the address | white space and invisible characters are dropped: a paste brings them along |
//! | local part | ASCII dot-atom (RFC 5322, 3.2.3), made lower case, at most 64 characters; no quoted string, comment or encoded word (RFC 2047) |
//! | domain | converted to lower-case ASCII (UTS #46, strict), two labels or more, none over 63 characters; no address literal, no final dot |
//! | hyphens | allowed in third and fourth place, as in browsers; not first or last in a label |
//! | last label | not all digits, which would be an IPv4 address (RFC 3696, 2) |
//! | whole address | at most 254 characters (RFC 5321, 4.5.3.1.3) |
//!
//! A local part of another case is another mailbox by RFC 5321, but at no provider that people use; so it is made lower
//! case. Dots and `+tags` are kept: what they mean differs from provider to provider.
#![warn(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]

mod email_address;

pub use email_address::{EmailAddress, InvalidEmailAddress};
