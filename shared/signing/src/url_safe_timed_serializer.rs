use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::payload::{dump_payload, load_payload};
use crate::timestamp_signer::{TimestampSigner, epoch_seconds, split_timestamp};

/// Turns values into tokens, and tokens into values: Python's `itsdangerous.URLSafeTimedSerializer`.
///
/// A token holds the value as JSON, signed but not encrypted, and is safe in a URL. The methods whose name ends in `_at`
/// take the time, in seconds since 1970, the others read the clock.
///
/// ```
/// use signing::UrlSafeTimedSerializer;
///
/// let serializer = UrlSafeTimedSerializer::new(b"a secret key", "activate");
/// let token = serializer.dumps_at(&("ada@example.com", 3), 1_700_000_000)?;
/// let loaded = serializer.loads_at::<(String, u8)>(&token, Some(60), 1_700_000_060)?;
///
/// assert_eq!(token, "WyJhZGFAZXhhbXBsZS5jb20iLDNd.ZVPxAA.Jx9FtJYvkZibbSrxb-SyAMUYbpE");
/// assert_eq!(loaded.value, ("ada@example.com".to_owned(), 3));
/// assert_eq!(loaded.date_signed, 1_700_000_000);
/// # Ok::<(), signing::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct UrlSafeTimedSerializer {
    signer: TimestampSigner,
    ascii_only: bool,
}

/// What was in a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded<T> {
    /// What was signed.
    pub value: T,
    /// When it was signed, in seconds since 1970.
    pub date_signed: u64,
    /// Which key verified it: 0 is the newest, 1 the first of the fallbacks.
    pub key: usize,
}

impl UrlSafeTimedSerializer {
    /// A serializer with one key; see [`Signer::new`](crate::Signer::new).
    #[must_use]
    pub fn new(secret_key: &[u8], salt: &str) -> Self {
        Self {
            signer: TimestampSigner::new(secret_key, salt),
            ascii_only: false,
        }
    }

    /// Adds older keys, newest first, that still verify but do not sign.
    #[must_use]
    pub fn with_fallbacks<K: AsRef<[u8]>>(self, older: impl IntoIterator<Item = K>) -> Self {
        Self {
            signer: self.signer.with_fallbacks(older),
            ..self
        }
    }

    /// Escapes all but ASCII in the JSON of new tokens: Python's `serializer_kwargs={"ensure_ascii": True}`.
    #[must_use]
    pub fn ascii_only(self) -> Self {
        Self {
            ascii_only: true,
            ..self
        }
    }

    /// A token for a value, made now.
    ///
    /// # Errors
    ///
    /// [`Error::Unserializable`] if the value has no JSON form.
    pub fn dumps<T: Serialize + ?Sized>(&self, value: &T) -> Result<String, Error> {
        self.dumps_at(value, epoch_seconds())
    }

    /// A token for a value, made at the given time.
    ///
    /// # Errors
    ///
    /// [`Error::Unserializable`] if the value has no JSON form.
    pub fn dumps_at<T: Serialize + ?Sized>(&self, value: &T, now: u64) -> Result<String, Error> {
        let mut token = dump_payload(value, self.ascii_only)?;
        self.signer.sign_in_place(&mut token, now);

        Ok(token)
    }

    /// The value in a token.
    ///
    /// # Errors
    ///
    /// Those of [`UrlSafeTimedSerializer::loads_at`].
    pub fn loads<T: DeserializeOwned>(
        &self,
        token: &str,
        max_age: Option<u64>,
    ) -> Result<Loaded<T>, Error> {
        self.loads_at(token, max_age, epoch_seconds())
    }

    /// The value in a token, judged at the given time.
    ///
    /// Without `max_age` the time is not checked at all, as in Python. An age of exactly `max_age` seconds passes.
    ///
    /// # Errors
    ///
    /// Those of [`TimestampSigner::unsign_at`], and [`Error::BadPayload`] if what was signed is not a `T`.
    pub fn loads_at<T: DeserializeOwned>(
        &self,
        token: &str,
        max_age: Option<u64>,
        now: u64,
    ) -> Result<Loaded<T>, Error> {
        let verified = self.signer.verify(token, max_age, now)?;

        Ok(Loaded {
            value: load_payload(verified.value)?,
            date_signed: verified.date_signed,
            key: verified.key,
        })
    }

    /// The value and the time that a token claims, **unverified**: to look at a token without its key, never for a
    /// decision.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] if this is no token, [`Error::BadPayload`] if what it holds is not a `T`.
    pub fn loads_unverified<T: DeserializeOwned>(token: &str) -> Result<(T, u64), Error> {
        let (stamped, _) = token.rsplit_once('.').ok_or(Error::Malformed)?;
        let (payload, date_signed) = split_timestamp(stamped)?;

        Ok((load_payload(payload)?, date_signed))
    }
}
