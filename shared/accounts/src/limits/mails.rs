//! Mail to one address, by kind, and requests for changes of address: ten in a day.

use addresses::EmailAddress;
use uuid::Uuid;

use crate::clock;
use crate::limits::{DAY, Limits, is_ours};
use crate::table::{Write, Written, number, text};
use crate::unavailable::Unavailable;

/// The newest ten of a kind, newest first: epoch seconds.
const NEWEST: [&str; 10] = ["m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9", "m10"];

/// What a mail is about. Each kind has limits of its own, so that nobody can use up what another person needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailKind {
    /// A sign-up's: a link, or "you have an account".
    SignUp {
        /// Whether the sign-up made its row: then the daily limit of ten does not apply.
        made_row: bool,
    },
    /// A reset's: a link, or "you have no account".
    Reset,
    /// To the new address of a change: a link, or "somebody tried to use your address".
    Change,
}

impl MailKind {
    fn limit(self) -> &'static str {
        match self {
            Self::SignUp { .. } => "mail-sign-up",
            Self::Reset => "mail-reset",
            Self::Change => "mail-change",
        }
    }
}

/// The right to send one mail, or to ask for one change of address.
#[must_use]
#[derive(Debug)]
pub struct Claim {
    key: String,
    id: String,
}

impl Limits {
    /// Claims one mail of a kind whose link lives `max_age` seconds; `None` if the limit is reached: one mail in the
    /// cooldown, or ten in a day while the newest one's link still lives.
    pub async fn claim_mail(
        &self,
        kind: MailKind,
        to: &EmailAddress,
        max_age: u64,
    ) -> Result<Option<Claim>, Unavailable> {
        let now = clock::now();
        let claim = self.claim(kind.limit(), to).await;
        let mut write = self.shift(&claim, now, max_age.max(DAY));
        if self.settings.cooldown > 0 {
            write = match kind {
                MailKind::SignUp { made_row: true } => {
                    write.only_if("attribute_not_exists(m1) OR m1 <= :cooled")
                }
                _ => write
                    .only_if(
                        "attribute_not_exists(m1) OR (m1 <= :cooled AND (m10 <= :a_day_ago OR m1 <= :link_is_dead))",
                    )
                    .value(":a_day_ago", number(now.saturating_sub(DAY)))
                    .value(":link_is_dead", number(now.saturating_sub(max_age))),
            };
            let cooled = now.saturating_sub(self.settings.cooldown);
            write = write.value(":cooled", number(cooled));
        }
        claim.made_by(write).await
    }

    /// Claims one request for a change of address; `None` if the account has made ten in a day.
    pub async fn claim_change(&self, account: &EmailAddress) -> Result<Option<Claim>, Unavailable> {
        let now = clock::now();
        let claim = self.claim("changes", account).await;
        let mut write = self.shift(&claim, now, DAY);
        if self.settings.cooldown > 0 {
            write = write
                .only_if("attribute_not_exists(m10) OR m10 <= :a_day_ago")
                .value(":a_day_ago", number(now.saturating_sub(DAY)));
        }
        claim.made_by(write).await
    }

    async fn claim(&self, limit: &str, whom: &EmailAddress) -> Claim {
        Claim {
            key: self.key(limit, whom.as_str()).await,
            id: Uuid::new_v4().to_string(),
        }
    }

    /// The write that puts `now` in front of the newest ten, and is kept `seconds`.
    fn shift(&self, claim: &Claim, now: u64, seconds: u64) -> Write<'_> {
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
    async fn made_by(self, write: Write<'_>) -> Result<Option<Self>, Unavailable> {
        let is_made = match write.send().await? {
            Written::Done => true,
            Written::Refused(item) => is_ours(item.as_ref(), "claim", &self.id),
        };
        Ok(is_made.then_some(self))
    }
}
