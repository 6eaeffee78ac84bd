//! The links in mails: signed, timestamped tokens that nobody stores.

pub mod keys;

use signing::{Loaded, UrlSafeTimedSerializer};

use crate::clock;
use crate::email_address::EmailAddress;
use crate::links::keys::{KeySource, KeyStore, Keys, NoKeys};
use crate::settings::{self, InvalidSetting};
use crate::site::Site;
use crate::unavailable::Unavailable;

/// How far apart two functions' clocks may be: seconds.
pub const LEEWAY: u64 = 5;

/// Reads `CONFIRM_MAX_AGE`: how many seconds a link lives.
///
/// # Errors
///
/// [`InvalidSetting`] if it is not a number of seconds.
pub fn max_age_from_env() -> Result<u64, InvalidSetting> {
    settings::seconds(
        "CONFIRM_MAX_AGE",
        "a whole number of seconds from 1 to 31536000",
        1..=31_536_000,
        86_400,
    )
}

/// Makes and reads links.
pub struct Links {
    keys: KeyStore<Serializers>,
    confirm_url: String,
    max_age: u64,
}

struct Serializers {
    sign_up: UrlSafeTimedSerializer,
    change: UrlSafeTimedSerializer,
}

/// What a genuine link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it is for.
    pub purpose: Purpose,
    /// When it was made: epoch seconds.
    pub date_signed: u64,
    /// Whether it has outlived `CONFIRM_MAX_AGE`.
    pub expired: bool,
    /// Whether an older key has signed it.
    pub by_older_key: bool,
}

/// What a link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To confirm an address that somebody signed up with.
    SignUp(EmailAddress),
    /// To change an account's address.
    Change {
        /// The address that the account has.
        old: EmailAddress,
        /// The address that it is to have.
        new: EmailAddress,
    },
}

impl Links {
    /// Fetches the keys; links live `max_age` seconds.
    ///
    /// # Errors
    ///
    /// [`NoKeys`] if there are none.
    pub async fn fetch_keys(source: KeySource, site: &Site, max_age: u64) -> Result<Self, NoKeys> {
        Ok(Self {
            keys: KeyStore::fetch(source, Serializers::new).await?,
            confirm_url: site.url("/accounts/confirm/"),
            max_age,
        })
    }

    /// The URL that confirms `email`.
    ///
    /// # Errors
    ///
    /// None in practice: text can always be serialised.
    pub async fn confirm_sign_up(&self, email: &EmailAddress) -> Result<String, Unavailable> {
        let token = self
            .keys
            .current()
            .await
            .sign_up
            .dumps(email.as_str())
            .map_err(unsigned)?;
        Ok(format!("{}{token}", self.confirm_url))
    }

    /// The URL that changes `old` to `new`.
    ///
    /// # Errors
    ///
    /// None in practice: text can always be serialised.
    pub async fn confirm_change(
        &self,
        old: &EmailAddress,
        new: &EmailAddress,
    ) -> Result<String, Unavailable> {
        let token = self
            .keys
            .current()
            .await
            .change
            .dumps(&[old.as_str(), new.as_str()])
            .map_err(unsigned)?;
        Ok(format!("{}{token}", self.confirm_url))
    }

    /// What `token` says, or `None` if it is malformed, forged, from the future, or holds no address.
    pub async fn read(&self, token: &str) -> Option<Link> {
        let now = clock::now();
        let link = match self.keys.current().await.read(token) {
            Err(signing::Error::BadSignature) => self.keys.renewed().await?.read(token),
            read => read,
        };
        let mut link = link.ok().flatten()?;
        if link.date_signed > now.saturating_add(LEEWAY) {
            return None;
        }
        link.expired = now.saturating_sub(link.date_signed) > self.max_age;
        Some(link)
    }
}

impl Serializers {
    fn new(keys: &Keys) -> Self {
        let serializer = |salt| {
            UrlSafeTimedSerializer::new(keys.newest.as_bytes(), salt).with_fallbacks(&keys.older)
        };
        Self {
            sign_up: serializer("email-confirm-key"),
            change: serializer("email-update-key"),
        }
    }

    /// `None` if the token is genuine and holds something else than addresses.
    fn read(&self, token: &str) -> Result<Option<Link>, signing::Error> {
        match self.sign_up.loads_at::<String>(token, None, 0) {
            Err(signing::Error::BadSignature) => {
                let loaded = self.change.loads_at::<(String, String)>(token, None, 0)?;
                let (old, new) = &loaded.value;
                let addresses =
                    EmailAddress::parse(old).and_then(|old| Ok((old, EmailAddress::parse(new)?)));
                let addresses = addresses.ok().filter(|(old, new)| old != new);
                Ok(addresses.map(|(old, new)| Link::new(Purpose::Change { old, new }, &loaded)))
            }
            loaded => {
                let loaded = loaded?;
                let address = EmailAddress::parse(&loaded.value);
                Ok(address
                    .ok()
                    .map(|address| Link::new(Purpose::SignUp(address), &loaded)))
            }
        }
    }
}

fn unsigned(error: signing::Error) -> Unavailable {
    Unavailable::new("dumps", error.to_string())
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
