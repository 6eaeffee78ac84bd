//! The links in mails and the cookie beside them: signed, timestamped tokens that nobody stores.

pub mod keys;
pub mod signers;

use std::sync::Arc;

use addresses::EmailAddress;
use serde::Serialize;
use serde::de::DeserializeOwned;
use signing::{Loaded, UrlSafeTimedSerializer};

use crate::clock;
use crate::links::keys::KeyStore;
use crate::links::signers::Signers;
use crate::settings::{Environment, InvalidSetting};
use crate::site::Site;
use crate::unavailable::Unavailable;

/// How far apart two functions' clocks may be: seconds.
pub const LEEWAY: u64 = 5;

/// Makes and reads links.
pub struct Links {
    keys: Arc<KeyStore>,
    confirm_url: String,
    reset_url: String,
    /// `CONFIRM_MAX_AGE`: seconds that a confirmation link lives.
    pub max_age: u64,
}

/// What a genuine confirmation link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub purpose: Purpose,
    /// When it was made: epoch seconds.
    pub date_signed: u64,
    pub expired: bool,
    pub by_older_key: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To confirm an address that somebody signed up with.
    SignUp(EmailAddress),
    /// To change an account's address.
    Change {
        old: EmailAddress,
        new: EmailAddress,
    },
}

/// What a genuine reset link says, if it has not expired.
pub struct ResetLink {
    pub email: EmailAddress,
    /// When it was made: epoch seconds.
    pub date_signed: u64,
}

impl Links {
    /// Links below the site's URL that live `max_age` seconds.
    pub fn new(site: &Site, max_age: u64, keys: Arc<KeyStore>) -> Self {
        Self {
            keys,
            confirm_url: site.url("/accounts/confirm/"),
            reset_url: site.url("/accounts/password/"),
            max_age,
        }
    }

    /// The URL that confirms `email`.
    pub async fn confirm_sign_up(&self, email: &EmailAddress) -> Result<String, Unavailable> {
        let signers = self.keys.current().await;
        let token = dumps(&signers.sign_up, email.as_str(), clock::now())?;
        Ok(format!("{}{token}", self.confirm_url))
    }

    /// The URL that changes `old` to `new`, made at `now`.
    pub async fn confirm_change(
        &self,
        old: &EmailAddress,
        new: &EmailAddress,
        now: u64,
    ) -> Result<String, Unavailable> {
        let signers = self.keys.current().await;
        let token = dumps(&signers.change, &[old.as_str(), new.as_str()], now)?;
        Ok(format!("{}{token}", self.confirm_url))
    }

    /// The URL that sets a password for `email`, made at `now`.
    pub async fn reset(&self, email: &EmailAddress, now: u64) -> Result<String, Unavailable> {
        let signers = self.keys.current().await;
        let token = dumps(&signers.reset, email.as_str(), now)?;
        Ok(format!("{}{token}", self.reset_url))
    }

    /// What a confirmation token says, or `None` if it is malformed, forged, from the future, or holds no address.
    pub async fn read(&self, token: &str) -> Option<Link> {
        let mut link = self.verify(|signers| read_link(signers, token)).await??;
        let now = clock::now();
        if link.date_signed > now.saturating_add(LEEWAY) {
            return None;
        }
        link.expired = now.saturating_sub(link.date_signed) > self.max_age;
        Some(link)
    }

    /// What a reset token says. `None` as for [`Links::read`], and if it is older than `max_age` seconds.
    pub async fn read_reset(&self, token: &str, max_age: u64) -> Option<ResetLink> {
        let loaded = self
            .verify(|signers| loads::<String>(&signers.reset, token))
            .await?;
        let (date_signed, now) = (loaded.date_signed, clock::now());
        let is_alive =
            date_signed <= now.saturating_add(LEEWAY) && now.saturating_sub(date_signed) <= max_age;
        let email = EmailAddress::parse(&loaded.value).ok()?;
        is_alive.then_some(ResetLink { email, date_signed })
    }

    /// The value of the cookie for the sign-up or request with this id.
    pub async fn cookie(&self, id: &str) -> Result<String, Unavailable> {
        dumps(&self.keys.current().await.cookie, id, clock::now())
    }

    /// The id in a cookie's value.
    pub async fn read_cookie(&self, value: &str) -> Option<String> {
        let signers = self.keys.current().await;
        let max_age = Some(self.max_age.saturating_add(LEEWAY));
        let now = clock::now().saturating_add(LEEWAY);
        let loaded = signers.cookie.loads_at(value, max_age, now).ok()?;
        Some(loaded.value)
    }

    /// Reads with the current keys. If no key verifies the token, reads with newer ones, if there are any: the key may just
    /// have been rotated.
    async fn verify<T>(&self, read: impl Fn(&Signers) -> Result<T, signing::Error>) -> Option<T> {
        match read(&*self.keys.current().await) {
            Err(signing::Error::BadSignature) => read(&*self.keys.renewed().await?).ok(),
            read => read.ok(),
        }
    }
}

/// Reads `CONFIRM_MAX_AGE`, seconds.
pub fn max_age(environment: &Environment) -> Result<u64, InvalidSetting> {
    const EXPECTED: &str = "a whole number of seconds from 1 to 31536000";
    environment.number("CONFIRM_MAX_AGE", EXPECTED, 1..=31_536_000, 86_400)
}

/// `None` if the token is genuine and holds something else than addresses.
fn read_link(signers: &Signers, token: &str) -> Result<Option<Link>, signing::Error> {
    match loads::<String>(&signers.sign_up, token) {
        Err(signing::Error::BadSignature) => {
            let loaded = loads::<(String, String)>(&signers.change, token)?;
            let (old, new) = &loaded.value;
            let addresses = EmailAddress::parse(old)
                .ok()
                .zip(EmailAddress::parse(new).ok());
            let change = addresses
                .filter(|(old, new)| old != new)
                .map(|(old, new)| Purpose::Change { old, new });
            Ok(change.map(|purpose| Link::new(purpose, &loaded)))
        }
        loaded => {
            let loaded = loaded?;
            let address = EmailAddress::parse(&loaded.value).ok();
            Ok(address.map(|address| Link::new(Purpose::SignUp(address), &loaded)))
        }
    }
}

/// Does not check the age. The caller does, with a leeway for clocks that differ.
fn loads<T: DeserializeOwned>(
    serializer: &UrlSafeTimedSerializer,
    token: &str,
) -> Result<Loaded<T>, signing::Error> {
    serializer.loads_at(token, None, 0)
}

fn dumps<T: Serialize + ?Sized>(
    serializer: &UrlSafeTimedSerializer,
    value: &T,
    now: u64,
) -> Result<String, Unavailable> {
    let token = serializer.dumps_at(value, now);
    token.map_err(|error| Unavailable::new("dumps", error.to_string()))
}

impl Link {
    fn new<T>(purpose: Purpose, loaded: &Loaded<T>) -> Self {
        Self {
            purpose,
            date_signed: loaded.date_signed,
            expired: false,
            by_older_key: loaded.key > 0,
        }
    }
}
