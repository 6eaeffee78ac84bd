use std::fmt;

/// Why a token was refused, or could not be made.
///
/// Neither the payload nor a key is in it, so it may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// This is no token: a part is missing, or the signature or the timestamp is not canonical base64 of the right size.
    Malformed,
    /// No key verifies the signature: the token was changed, or made with another key or salt.
    BadSignature,
    /// The signature is good, but the token is older than allowed, or from the future.
    SignatureExpired {
        /// When the token was signed, in seconds since 1970.
        date_signed: u64,
    },
    /// The signature is good, but what was signed is not the JSON (or zlib, or base64) that was asked for.
    BadPayload,
    /// The value to sign has no JSON form, such as a map whose keys are not strings.
    Unserializable,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("not a signed token"),
            Self::BadSignature => f.write_str("the signature does not match"),
            Self::SignatureExpired { date_signed } => {
                write!(
                    f,
                    "the token, signed at {date_signed}, is not valid at this time"
                )
            }
            Self::BadPayload => f.write_str("the signed payload cannot be read"),
            Self::Unserializable => f.write_str("the value cannot be written as JSON"),
        }
    }
}

impl std::error::Error for Error {}
