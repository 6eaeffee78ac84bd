//! What each of the functions works with.

use std::error::Error;

use crate::aws;
use crate::links::keys::{KeySource, Use};
use crate::links::{self, Links};
use crate::mail::mailer::Mailer;
use crate::mail::sender::Sender;
use crate::site::Site;
use crate::users::Users;

/// The site, and the clients, made once at start.
pub struct Service {
    /// The public face.
    pub site: Site,
    /// The table.
    pub users: Users,
    /// The signer of links.
    pub links: Links,
    /// SES.
    pub mailer: Mailer,
    /// Seconds that a link lives.
    pub max_age: u64,
}

impl Service {
    /// Reads the settings, all before the first call to AWS, which fetches the keys. The connections that the first request
    /// needs are opened meanwhile.
    ///
    /// # Errors
    ///
    /// What keeps the function from starting, in one line that names the variable.
    pub async fn from_env(keys: Use) -> Result<Self, Box<dyn Error>> {
        let config = aws::config()?;
        let sender = Sender::from_env()?;
        let site = Site::from_env(&sender)?;
        let max_age = links::max_age_from_env()?;
        let users = Users::from_env(&config, max_age)?;
        let mailer = Mailer::from_env(&config, &sender)?;
        let source = KeySource::from_env(&config, keys)?;
        if matches!(source, KeySource::SecretsManager(_)) {
            // Not waited for: a start neither fails nor takes longer for a connection.
            tokio::spawn(users.open_connection());
            // What only signs mails what it signs; what verifies rarely mails.
            if keys == Use::Sign {
                tokio::spawn(mailer.open_connection());
            }
        }
        let links = Links::fetch_keys(source, &site, max_age).await?;
        Ok(Self {
            site,
            users,
            links,
            mailer,
            max_age,
        })
    }
}
