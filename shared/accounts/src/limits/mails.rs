//! Mail to one address, by kind.

use addresses::EmailAddress;
use uuid::Uuid;

use crate::clock;
use crate::limits::{DAY, Limits, is_ours};
use crate::links::LEEWAY;
use crate::table::{Written, number, text};
use crate::unavailable::Unavailable;

/// The newest ten mails of a kind, newest first: epoch seconds.
const NEWEST: [&str; 10] = ["m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9", "m10"];

/// What a mail is about. Each kind has limits of its own, so that nobody can use up what another person needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailKind {
    /// A sign-up's: a link, or "you have an account".
    SignUp {
        /// Whether the sign-up made its row: then the daily ten do not hold it back.
        made_row: bool,
    },
    /// A reset's: a link, or "you have no account".
    Reset,
    /// To the new address of a change: a link, or "somebody tried to use your address".
    Change,
    /// Asking for a change of address: ten requests in a day for an account, without a cooldown.
    Request,
}

impl MailKind {
    fn limit(self) -> &'static str {
        match self {
            Self::SignUp { .. } => "mail-sign-up",
            Self::Reset => "mail-reset",
            Self::Change => "mail-change",
            Self::Request => "changes",
        }
    }
}

/// The right to send one mail.
#[must_use]
#[derive(Debug)]
pub struct MailClaim {
    key: String,
    id: String,
}

impl Limits {
    /// Claims one mail of a kind whose link lives `max_age` seconds; `None` if the address has had enough: one in the cooldown,
    /// or ten in a day, the newest of them with a link that still lives.
    pub async fn claim_mail(
        &self,
        kind: MailKind,
        to: &EmailAddress,
        max_age: u64,
    ) -> Result<Option<MailClaim>, Unavailable> {
        let now = clock::now();
        let claim = MailClaim {
            key: self.key(kind.limit(), to.as_str()).await,
            id: Uuid::new_v4().to_string(),
        };
        let mut write = self.settings.table.update(&claim.key);
        for (older, newer) in NEWEST.iter().zip(NEWEST.iter().skip(1)) {
            write = write.set_to(newer, &format!("if_not_exists({older}, :zero)"));
        }
        write = write
            .set("m1", number(now))
            .set("claim", text(&claim.id))
            .set("expires_at", number(now + max_age.max(DAY)))
            .only_if("attribute_not_exists(claim) OR claim <> :claim")
            .value(":zero", number(0));
        if self.settings.cooldown > 0 {
            let cooled = match kind {
                // Without a cooldown, and whatever the clock says that counted the last one.
                MailKind::Request => now.saturating_add(LEEWAY),
                _ => now.saturating_sub(self.settings.cooldown),
            };
            write = write.value(":cooled", number(cooled));
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
        }
        Ok(match write.send().await? {
            Written::Refused(item) if !is_ours(item.as_ref(), "claim", &claim.id) => None,
            Written::Done | Written::Refused(_) => Some(claim),
        })
    }

    /// Gives back the right to a mail that could not be sent, so that the next request mails at once. A claim that somebody
    /// else has taken over needs no lifting.
    pub async fn lift(&self, claim: MailClaim) -> Result<(), Unavailable> {
        let MailClaim { key, id } = claim;
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
