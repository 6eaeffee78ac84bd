//! Attempts at a password.

use addresses::EmailAddress;

use crate::clock;
use crate::limits::{DAY, HOUR, Limits};
use crate::table::{Written, number};
use crate::unavailable::Unavailable;
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
        let from_here = from(account, network);
        self.count("attempts", &from_here, HOUR, FROM_A_NETWORK)
            .await
    }

    /// Counts an attempt from a network that the account does not know. All those together are limited too, so that many
    /// networks do not add up; known ones are not among them, so that strangers cannot shut the owner out.
    pub async fn claim_attempt_from_unknown(
        &self,
        account: &EmailAddress,
    ) -> Result<bool, Unavailable> {
        let account = account.as_str();
        self.count("attempts", account, HOUR, FROM_UNKNOWN_NETWORKS)
            .await
    }

    /// Notes that the account's owner was seen in this network.
    pub async fn know_network(
        &self,
        account: &EmailAddress,
        network: &Network,
    ) -> Result<(), Unavailable> {
        let key = self.key("known", &from(account, network)).await;
        let until = number(clock::now() + KNOWN_FOR);
        let known = self.settings.table.update(key).set("expires_at", until);
        known.send().await.map(|_| ())
    }

    /// Whether the account's owner was seen in this network: a write that changes nothing, since its refusal tells as much as a
    /// read.
    pub async fn is_known(
        &self,
        account: &EmailAddress,
        network: &Network,
    ) -> Result<bool, Unavailable> {
        let key = self.key("known", &from(account, network)).await;
        let touched = self
            .settings
            .table
            .update(key)
            .set_to("expires_at", "expires_at")
            .only_if("expires_at >= :now")
            .value(":now", number(clock::now()));
        Ok(matches!(touched.send().await?, Written::Done))
    }
}

/// Whether a network that was noted at `confirmed_at` (epoch seconds) is still known.
pub fn is_recent(confirmed_at: u64) -> bool {
    clock::now() <= confirmed_at.saturating_add(KNOWN_FOR)
}

fn from(account: &EmailAddress, network: &Network) -> String {
    format!("{}|{}", account.as_str(), network.as_str())
}
