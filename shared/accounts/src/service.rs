//! What each of the functions works with.

use std::error::Error;

use crate::aws;
use crate::keys::Use;
use crate::links::{self, Links};
use crate::mailer::Mailer;
use crate::sender::Sender;
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
    /// Reads the settings, all before the first call to AWS, which fetches the keys.
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
        let links = Links::from_env(&config, keys, &site, max_age).await?;
        Ok(Self {
            site,
            users,
            links,
            mailer,
            max_age,
        })
    }
}
