use std::time::{SystemTime, UNIX_EPOCH};

use crate::Error;
use crate::encoding::{decode_into, encode_onto, encoded_len};
use crate::signer::{SIGNATURE_LEN, Signer};

/// What a timestamp, a signature and their separators add to a value at most.
pub(crate) const SUFFIX_LEN: usize = 1 + encoded_len(size_of::<u64>()) + SIGNATURE_LEN;

/// Signs a string and the time: Python's `itsdangerous.TimestampSigner`.
///
/// Times are whole seconds since 1970. The methods whose name ends in `_at` take the time, the others read the clock.
///
/// ```
/// use signing::{Error, TimestampSigner};
///
/// let signer = TimestampSigner::new(b"a secret key", "activate");
/// let signed = signer.sign_at("my string", 1_700_000_000);
///
/// assert_eq!(signed, "my string.ZVPxAA.duXBp-nbsm09K31Yq6vNZ-9YMmo");
/// assert_eq!(signer.unsign_at(&signed, Some(60), 1_700_000_060), Ok(("my string", 1_700_000_000)));
/// assert_eq!(
///     signer.unsign_at(&signed, Some(60), 1_700_000_061),
///     Err(Error::SignatureExpired { date_signed: 1_700_000_000 }),
/// );
/// ```
#[derive(Debug, Clone)]
pub struct TimestampSigner {
    signer: Signer,
}

/// A value whose signature and age are right.
pub(crate) struct Verified<'a> {
    pub(crate) value: &'a str,
    pub(crate) date_signed: u64,
    pub(crate) key: usize,
}

impl TimestampSigner {
    /// A signer with one key; see [`Signer::new`].
    #[must_use]
    pub fn new(secret_key: &[u8], salt: &str) -> Self {
        Self {
            signer: Signer::new(secret_key, salt),
        }
    }

    /// Adds older keys, newest first, that still verify but do not sign.
    #[must_use]
    pub fn with_fallbacks<K: AsRef<[u8]>>(self, older: impl IntoIterator<Item = K>) -> Self {
        Self {
            signer: self.signer.with_fallbacks(older),
        }
    }

    /// The value with the current time and its signature.
    #[must_use]
    pub fn sign(&self, value: &str) -> String {
        self.sign_at(value, epoch_seconds())
    }

    /// The value with the given time and its signature.
    #[must_use]
    pub fn sign_at(&self, value: &str, now: u64) -> String {
        let mut signed = String::with_capacity(value.len() + SUFFIX_LEN);
        signed.push_str(value);
        self.sign_in_place(&mut signed, now);

        signed
    }

    /// The value without its signature, and when it was signed.
    ///
    /// # Errors
    ///
    /// Those of [`TimestampSigner::unsign_at`].
    pub fn unsign<'a>(
        &self,
        signed: &'a str,
        max_age: Option<u64>,
    ) -> Result<(&'a str, u64), Error> {
        self.unsign_at(signed, max_age, epoch_seconds())
    }

    /// The value without its signature, and when it was signed, judged at the given time.
    ///
    /// Without `max_age` the time is not checked at all, as in Python. An age of exactly `max_age` seconds passes.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] without a readable signature and timestamp, [`Error::BadSignature`] if no key verifies
    /// it, [`Error::SignatureExpired`] if it is older than `max_age` or from the future.
    pub fn unsign_at<'a>(
        &self,
        signed: &'a str,
        max_age: Option<u64>,
        now: u64,
    ) -> Result<(&'a str, u64), Error> {
        let verified = self.verify(signed, max_age, now)?;

        Ok((verified.value, verified.date_signed))
    }

    pub(crate) fn sign_in_place(&self, value: &mut String, now: u64) {
        let bytes = now.to_be_bytes();
        let first = bytes
            .iter()
            .position(|&byte| byte != 0)
            .unwrap_or(bytes.len());

        value.push('.');
        encode_onto(value, bytes.get(first..).unwrap_or_default());
        self.signer.sign_in_place(value);
    }

    pub(crate) fn verify<'a>(
        &self,
        signed: &'a str,
        max_age: Option<u64>,
        now: u64,
    ) -> Result<Verified<'a>, Error> {
        let (value, key) = self.signer.unsign_with_key(signed)?;
        let (value, date_signed) = split_timestamp(value)?;

        if let Some(max_age) = max_age {
            let age = now.checked_sub(date_signed);
            if age.is_none_or(|age| age > max_age) {
                return Err(Error::SignatureExpired { date_signed });
            }
        }

        Ok(Verified {
            value,
            date_signed,
            key,
        })
    }
}

/// Splits a value without its signature from its timestamp.
pub(crate) fn split_timestamp(stamped: &str) -> Result<(&str, u64), Error> {
    let (value, encoded) = stamped.rsplit_once('.').ok_or(Error::Malformed)?;
    let mut buffer = [0; size_of::<u64>()];
    let bytes = decode_into(encoded, &mut buffer).ok_or(Error::Malformed)?;
    let date_signed = bytes
        .iter()
        .fold(0, |seconds, &byte| seconds << 8 | u64::from(byte));

    Ok((value, date_signed))
}

pub(crate) fn epoch_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
