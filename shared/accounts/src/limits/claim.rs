//! The right to do something ten times a day, once.

use addresses::EmailAddress;
use uuid::Uuid;

use crate::limits::{Limits, is_ours};
use crate::table::{Write, Written, number, text};
use crate::unavailable::Unavailable;

/// The newest ten of a kind, newest first: epoch seconds.
const NEWEST: [&str; 10] = ["m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9", "m10"];

/// The right to send one mail, or to ask for one change of address.
#[must_use]
#[derive(Debug)]
pub struct Claim {
    key: String,
    id: String,
}

impl Limits {
    /// A claim that is not made yet.
    pub(super) async fn claim(&self, limit: &str, whom: &EmailAddress) -> Claim {
        Claim {
            key: self.key(limit, whom.as_str()).await,
            id: Uuid::new_v4().to_string(),
        }
    }

    /// The write that puts `now` in front of the newest ten, and is kept `seconds`.
    pub(super) fn shift(&self, claim: &Claim, now: u64, seconds: u64) -> Write<'_> {
        let mut write = self.settings.table.update(&claim.key);
        for (older, newer) in NEWEST.iter().zip(NEWEST.iter().skip(1)) {
            write = write.set_to(newer, &format!("if_not_exists({older}, :zero)"));
        }
        write
            .set("m1", number(now))
            .set("claim", text(&claim.id))
            .set("expires_at", number(now + seconds))
            .only_if("attribute_not_exists(claim) OR claim <> :claim")
            .value(":zero", number(0))
    }

    /// Gives back the right to what could not be done, so that the next request can do it at once. A claim that somebody
    /// else has taken over needs no lifting.
    pub async fn lift(&self, claim: Claim) -> Result<(), Unavailable> {
        let Claim { key, id } = claim;
        let mut write = self.settings.table.update(key);
        for (newer, older) in NEWEST.iter().zip(NEWEST.iter().skip(1)) {
            write = write.set_to(newer, older);
        }
        let write = write
            .set("m10", number(0))
            .remove(&["claim"])
            .only_if("claim = :claim")
            .value(":claim", text(&id));
        write.send().await.map(|_| ())
    }
}

impl Claim {
    /// This claim, if the write makes it.
    pub(super) async fn made_by(self, write: Write<'_>) -> Result<Option<Self>, Unavailable> {
        let is_made = match write.send().await? {
            Written::Done => true,
            Written::Refused(item) => is_ours(item.as_ref(), "claim", &self.id),
        };
        Ok(is_made.then_some(self))
    }
}
