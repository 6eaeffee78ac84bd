//! The limits, in a table of their own. Each is claimed by one conditional write, without a read, before the action that it
//! limits.
//!
//! An item's key holds the limit's name and an HMAC of whom it is for, so no address is kept here. Items expire by TTL when
//! they no longer count. Invariants:
//!
//! 1. However many requests claim a right at once, no more get it than the limit allows.
//! 2. A claim that is repeated because its answer was lost counts once, or twice if another claim came in between.
//! 3. A rejected claim is not recorded, so every window ends.

pub mod attempts;
mod claim;
mod mails;
mod notices;
pub mod requests;

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use uuid::Uuid;

pub use self::claim::Claim;
pub use self::mails::MailKind;
pub use self::notices::NoticeClaim;
use crate::clock;
use crate::links::keys::KeyStore;
use crate::settings::{Environment, InvalidSetting};
use crate::table::{Table, Written, number, read_text, text};
use crate::unavailable::Unavailable;
use crate::web::client::Network;

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

pub struct Limits {
    settings: LimitsSettings,
    keys: Arc<KeyStore>,
}

/// The limits' settings, without the keys of the HMACs.
pub struct LimitsSettings {
    table: Table,
    /// `RESEND_COOLDOWN`: seconds between two mails of a kind to one address; 0 lifts the daily limits too.
    cooldown: u64,
    /// `REQUESTS_PER_NETWORK`, in an hour; 0 means no limit.
    requests_per_network: u64,
}

impl LimitsSettings {
    /// Reads `LIMITS_TABLE`, `RESEND_COOLDOWN` and `REQUESTS_PER_NETWORK`.
    pub fn from_env(environment: &Environment, client: &Client) -> Result<Self, InvalidSetting> {
        const COOLDOWN: &str = "a whole number of seconds from 0 to 86400";
        const REQUESTS: &str = "a whole number of requests in an hour from 0 to 1000000";
        Ok(Self {
            table: Table::from_env(environment, client, "LIMITS_TABLE", "limit")?,
            cooldown: environment.number("RESEND_COOLDOWN", COOLDOWN, 0..=DAY, 60)?,
            requests_per_network: environment.number(
                "REQUESTS_PER_NETWORK",
                REQUESTS,
                0..=1_000_000,
                30,
            )?,
        })
    }

    pub fn with_keys(self, keys: Arc<KeyStore>) -> Limits {
        Limits {
            settings: self,
            keys,
        }
    }
}

impl Limits {
    /// Adds one to the counter of `limit` for `whom` in the current window; `false` if it has reached `max`.
    async fn count(
        &self,
        limit: &str,
        whom: &str,
        window: u64,
        max: u64,
    ) -> Result<bool, Unavailable> {
        let now = clock::now();
        let key = self.key(limit, whom).await;
        let number_of_window = now / window;
        let id = Uuid::new_v4().to_string();
        let written = self
            .settings
            .table
            .update(format!("{key}#{number_of_window}"))
            .set_to("n", "if_not_exists(n, :zero) + :one")
            .set("op", text(&id))
            .set("expires_at", number((number_of_window + 2) * window))
            .only_if("attribute_not_exists(n) OR n < :max")
            .only_if("attribute_not_exists(op) OR op <> :op")
            .value(":zero", number(0))
            .value(":one", number(1))
            .value(":max", number(max))
            .send()
            .await?;
        Ok(match written {
            Written::Done => true,
            Written::Refused(item) => is_ours(item.as_ref(), "op", &id),
        })
    }

    /// The HMAC that stands for a network in a user's row.
    pub async fn digest(&self, network: &Network) -> String {
        self.key("network", network.as_str()).await
    }

    async fn key(&self, limit: &str, whom: &str) -> String {
        let signers = self.keys.current().await;
        format!("{limit}#{}", signers.digest(&format!("{limit}|{whom}")))
    }
}

/// Whether a write was refused because our own had succeeded before: its answer was lost, so the SDK repeated it.
fn is_ours(item: Option<&crate::table::Item>, attribute: &str, id: &str) -> bool {
    item.and_then(|item| read_text(item, attribute)) == Some(id)
}
