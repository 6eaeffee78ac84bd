//! The notice of what a link is about to do: once for each link, and before the link does it.

use tokio::time::sleep;
use uuid::Uuid;

use crate::clock;
use crate::limits::{DAY, Limits, is_ours};
use crate::table::{TRUE, Written, is_true, jitter, number, text};
use crate::unavailable::Unavailable;

/// Seconds that a request has to send a notice. After that another request may send it. Longer than a request's deadline.
const LEASE: u64 = 15;

/// How often to look whether another request has sent the notice. The pauses grow: several seconds in all.
const LOOKS: u32 = 15;

/// The right, and the duty, to send the notice of a link.
#[must_use]
pub struct NoticeClaim {
    key: String,
    id: String,
}

impl Limits {
    /// Claims the notice of the link with this token; `None` if it has gone out. Waits while another request sends it.
    pub async fn claim_notice(&self, token: &str) -> Result<Option<NoticeClaim>, Unavailable> {
        let claim = NoticeClaim {
            key: self.key("notice", token).await,
            id: Uuid::new_v4().to_string(),
        };
        for look in 1..=LOOKS {
            let now = clock::now();
            let write = self
                .settings
                .table
                .update(&claim.key)
                .set("lease", text(&claim.id))
                .set("leased_until", number(now + LEASE))
                .set("expires_at", number(now + DAY))
                .only_if("attribute_not_exists(sent)")
                .only_if("attribute_not_exists(leased_until) OR leased_until < :now")
                .value(":now", number(now));
            match write.send().await? {
                Written::Refused(Some(item)) if is_true(&item, "sent") => return Ok(None),
                Written::Refused(item) if !is_ours(item.as_ref(), "lease", &claim.id) => {
                    sleep(jitter() * look).await;
                }
                Written::Done | Written::Refused(_) => return Ok(Some(claim)),
            }
        }
        Err(Unavailable::new("UpdateItem", "contention"))
    }

    /// Notes that the notice has gone out.
    pub async fn notice_sent(&self, claim: NoticeClaim) -> Result<(), Unavailable> {
        let NoticeClaim { key, id } = claim;
        let write = self
            .settings
            .table
            .update(key)
            .set("sent", TRUE)
            .only_if("lease = :lease");
        write.value(":lease", text(&id)).send().await.map(|_| ())
    }

    /// Lets another request send the notice at once.
    pub async fn notice_failed(&self, claim: NoticeClaim) -> Result<(), Unavailable> {
        let NoticeClaim { key, id } = claim;
        let write = self
            .settings
            .table
            .update(key)
            .remove(&["leased_until"])
            .only_if("lease = :lease");
        write.value(":lease", text(&id)).send().await.map(|_| ())
    }
}
