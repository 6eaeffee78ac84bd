//! Mail to one address, by kind, and requests for changes of address: ten in a day.

use addresses::EmailAddress;

use crate::clock;
use crate::limits::{Claim, DAY, Limits};
use crate::table::number;
use crate::unavailable::Unavailable;

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
}
