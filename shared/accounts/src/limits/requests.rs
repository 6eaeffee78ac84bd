//! Requests from one network that may cause a mail or a password's hash.

use crate::clock;
use crate::limits::{HOUR, Limits};
use crate::unavailable::Unavailable;
use crate::web::client::Network;

impl Limits {
    /// Counts a request; `false` if `network` has had its requests of this hour.
    pub async fn claim_request(&self, network: &Network) -> Result<bool, Unavailable> {
        if self.settings.requests_per_network == 0 {
            return Ok(true);
        }
        self.count(
            "requests",
            network.as_str(),
            HOUR,
            self.settings.requests_per_network,
        )
        .await
    }
}

/// Seconds until the next window of requests.
pub fn retry_after() -> u64 {
    HOUR - clock::now() % HOUR
}
