//! Attempts at a password.

use addresses::EmailAddress;

use crate::clock;
use crate::limits::{DAY, HOUR, Limits};
use crate::table::{Written, number};
use crate::unavailable::Unavailable;
use crate::users::user::User;
use crate::web::client::Network;

/// Attempts in an hour at one account's password from one network.
const FROM_A_NETWORK: u64 = 10;

/// Attempts in an hour at one account's password from all networks that it does not know.
const FROM_UNKNOWN_NETWORKS: u64 = 100;

/// How long an account knows a network: seconds.
const KNOWN_FOR: u64 = 400 * DAY;

impl Limits {
    /// Counts an attempt at the account's password from one network; `false` if it is one too many.
    pub async fn claim_attempt_from(
        &self,
        account: &EmailAddress,
        network: &Network,
    ) -> Result<bool, Unavailable> {
        let from_here = from(account.as_str(), network);
        self.count("attempts", &from_here, HOUR, FROM_A_NETWORK)
            .await
    }

    /// Counts an attempt from a network that the account does not know. All unknown networks share one limit, so that using
    /// many of them gives no more attempts. Known networks are not counted here, so that strangers cannot lock the owner out.
    pub async fn claim_attempt_from_unknown(
        &self,
        account: &EmailAddress,
    ) -> Result<bool, Unavailable> {
        let account = account.as_str();
        self.count("attempts", account, HOUR, FROM_UNKNOWN_NETWORKS)
            .await
    }

    /// Notes that the owner of `user`, the account at `email`, was seen in this network.
    pub async fn know_network(
        &self,
        email: &EmailAddress,
        user: &User,
        network: &Network,
    ) -> Result<(), Unavailable> {
        let key = self.known(email, Some(user), network).await;
        let until = number(clock::now() + KNOWN_FOR);
        let known = self.settings.table.update(key).set("expires_at", until);
        known.send().await.map(|_| ())
    }

    /// Whether the owner of `user`, the account at `email`, was seen in this network. Asks by a write that changes nothing:
    /// whether it is refused tells as much as a read.
    pub async fn is_known(
        &self,
        email: &EmailAddress,
        user: Option<&User>,
        network: &Network,
    ) -> Result<bool, Unavailable> {
        let key = self.known(email, user, network).await;
        let touched = self
            .settings
            .table
            .update(key)
            .set_to("expires_at", "expires_at")
            .only_if("expires_at >= :now")
            .value(":now", number(clock::now()));
        Ok(matches!(touched.send().await?, Written::Done))
    }

    /// The key of a known network. Of the account's id, if it has one: known networks follow the account to a new address.
    async fn known(&self, email: &EmailAddress, user: Option<&User>, network: &Network) -> String {
        let id = user.and_then(|user| user.user_id.as_deref());
        let account = id.unwrap_or(email.as_str());
        self.key("known", &from(account, network)).await
    }
}

/// Whether a network that was noted at `confirmed_at` (epoch seconds) is still known.
pub fn is_recent(confirmed_at: u64) -> bool {
    clock::now() <= confirmed_at.saturating_add(KNOWN_FOR)
}

fn from(account: &str, network: &Network) -> String {
    format!("{account}|{}", network.as_str())
}
