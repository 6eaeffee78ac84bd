//! One signer for each purpose of a key.

use signing::{Signer, UrlSafeTimedSerializer};

/// The salt of a sign-up's token, as in "Explore Flask"; its payload is the address.
pub const SIGN_UP_SALT: &str = "email-confirm-key";

/// The salt of a change of address; its payload is the old and the new address.
pub const CHANGE_SALT: &str = "email-update-key";

/// The salt of a reset token, as in "Explore Flask"; its payload is the address.
pub const RESET_SALT: &str = "recover-key";

/// The salt of the cookie of a browser that signed up or asked for a change of address; its payload is the id of that sign-up
/// or request.
pub const COOKIE_SALT: &str = "accounts-cookie";

/// The salt of the HMACs that stand for addresses and networks in the keys of the limits' table.
pub const LIMITS_SALT: &str = "accounts-limits";

/// Signers, made once of the keys.
pub struct Signers {
    pub(crate) sign_up: UrlSafeTimedSerializer,
    pub(crate) change: UrlSafeTimedSerializer,
    pub(crate) reset: UrlSafeTimedSerializer,
    pub(crate) cookie: UrlSafeTimedSerializer,
    limits: Signer,
}

impl Signers {
    /// Signers that sign with the newest key and verify with the older ones too.
    pub fn new(newest: &str, older: &[String]) -> Self {
        let serializer =
            |salt| UrlSafeTimedSerializer::new(newest.as_bytes(), salt).with_fallbacks(older);
        Self {
            sign_up: serializer(SIGN_UP_SALT),
            change: serializer(CHANGE_SALT),
            reset: serializer(RESET_SALT),
            cookie: serializer(COOKIE_SALT),
            limits: Signer::new(newest.as_bytes(), LIMITS_SALT),
        }
    }

    /// An HMAC of `text`, to be kept in place of the text itself.
    pub fn digest(&self, text: &str) -> String {
        self.limits.get_signature(text)
    }
}
