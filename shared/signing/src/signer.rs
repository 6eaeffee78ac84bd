use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};

use crate::Error;
use crate::encoding::{decode_into, encode_onto, encoded_len};

const SIGNATURE_BYTES: usize = 20;

/// What a signature and its separator add to a value.
pub(crate) const SIGNATURE_LEN: usize = 1 + encoded_len(SIGNATURE_BYTES);

/// Signs a string: Python's `itsdangerous.Signer`.
///
/// ```
/// use signing::{Error, Signer};
///
/// let signer = Signer::new(b"a secret key", "activate");
///
/// assert_eq!(signer.sign("my string"), "my string.jJL-qTzw-Lda3XafLVKBAkKwbEI");
/// assert_eq!(signer.unsign("my string.jJL-qTzw-Lda3XafLVKBAkKwbEI"), Ok("my string"));
/// assert_eq!(signer.unsign("my String.jJL-qTzw-Lda3XafLVKBAkKwbEI"), Err(Error::BadSignature));
/// ```
#[derive(Clone)]
pub struct Signer {
    /// SHA-1 of what comes before the key in the key derivation.
    derivation: Sha1,
    newest: Hmac<Sha1>,
    /// Newest first.
    older: Vec<Hmac<Sha1>>,
}

impl Signer {
    /// A signer that signs and verifies with one key. The key is derived here, once.
    ///
    /// The salt is no secret. It keeps apart tokens for different purposes under one key.
    #[must_use]
    pub fn new(secret_key: &[u8], salt: &str) -> Self {
        let derivation = Sha1::new_with_prefix(salt).chain_update("signer");
        let newest = derive(&derivation, secret_key);

        Self {
            derivation,
            newest,
            older: Vec::new(),
        }
    }

    /// Adds older keys, newest first, that still verify but do not sign.
    #[must_use]
    pub fn with_fallbacks<K: AsRef<[u8]>>(mut self, older: impl IntoIterator<Item = K>) -> Self {
        for key in older {
            self.older.push(derive(&self.derivation, key.as_ref()));
        }

        self
    }

    /// The signature alone, without the value: Python's `Signer.get_signature`.
    ///
    /// It also serves as a keyed hash. Only a holder of the key can compute it, and equal values have equal
    /// signatures, so a value can be looked up without being stored. Use a salt of its own for that: anybody who sees
    /// a signature can make a signed value with it.
    ///
    /// ```
    /// use signing::Signer;
    ///
    /// let signer = Signer::new(b"a secret key", "activate");
    ///
    /// assert_eq!(signer.get_signature("my string"), "jJL-qTzw-Lda3XafLVKBAkKwbEI");
    /// ```
    #[must_use]
    pub fn get_signature(&self, value: &str) -> String {
        let mut signature = String::with_capacity(encoded_len(SIGNATURE_BYTES));
        encode_onto(&mut signature, &self.mac(value));

        signature
    }

    /// The value with its signature.
    #[must_use]
    pub fn sign(&self, value: &str) -> String {
        let mut signed = String::with_capacity(value.len() + SIGNATURE_LEN);
        signed.push_str(value);
        self.sign_in_place(&mut signed);

        signed
    }

    /// The value without its signature.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`] without a readable signature, [`Error::BadSignature`] if no key verifies it.
    pub fn unsign<'a>(&self, signed: &'a str) -> Result<&'a str, Error> {
        let (value, _) = self.unsign_with_key(signed)?;

        Ok(value)
    }

    pub(crate) fn sign_in_place(&self, value: &mut String) {
        let signature = self.mac(value);

        value.push('.');
        encode_onto(value, &signature);
    }

    fn mac(&self, value: &str) -> [u8; SIGNATURE_BYTES] {
        let mut mac = self.newest.clone();
        mac.update(value.as_bytes());

        mac.finalize().into_bytes().into()
    }

    /// The value and which key verified it, 0 being the newest.
    pub(crate) fn unsign_with_key<'a>(&self, signed: &'a str) -> Result<(&'a str, usize), Error> {
        let (value, encoded) = split_signature(signed).ok_or(Error::Malformed)?;
        let mut signature = [0; SIGNATURE_BYTES];
        decode_into(encoded, &mut signature).ok_or(Error::Malformed)?;

        let keys = std::iter::once(&self.newest).chain(&self.older);
        for (index, key) in keys.enumerate() {
            let mut mac = key.clone();
            mac.update(value.as_bytes());
            // In constant time, as hmac documents.
            if mac.verify(&signature.into()).is_ok() {
                return Ok((value, index));
            }
        }

        Err(Error::BadSignature)
    }
}

/// Shows how many keys there are, but no key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("keys", &(1 + self.older.len()))
            .finish_non_exhaustive()
    }
}

/// All signatures have the same length and hold no separator, so the last separator need not be searched for.
fn split_signature(signed: &str) -> Option<(&str, &str)> {
    let (value, signature) = signed.split_at_checked(signed.len().checked_sub(SIGNATURE_LEN)?)?;

    Some((value, signature.strip_prefix('.')?))
}

/// The key derivation that itsdangerous calls `django-concat`.
fn derive(derivation: &Sha1, secret_key: &[u8]) -> Hmac<Sha1> {
    let derived = derivation.clone().chain_update(secret_key).finalize();

    // HMAC itself fills a key up to a block with zeros.
    let mut block = hmac::digest::Key::<Hmac<Sha1>>::default();
    for (to, from) in block.iter_mut().zip(derived) {
        *to = from;
    }

    Hmac::new(&block)
}
