//! Signing up: a new row, or a contested one.

use addresses::EmailAddress;
use aws_sdk_dynamodb::types::AttributeValue;
use passwords::PasswordHash;
use uuid::Uuid;

use crate::clock;
use crate::table::{Item, TRUE, Written, number, read_text, text};
use crate::texts::Language;
use crate::unavailable::Unavailable;
use crate::users::user::User;
use crate::users::{NOT_CONFIRMED, NOT_EXPIRED, RESERVED, Users, item, time};

/// Somebody who signs up.
pub struct NewUser<'a> {
    pub email: &'a EmailAddress,
    pub password: &'a PasswordHash,
    /// The id of this sign-up, which the browser's cookie names too.
    pub sign_up: &'a str,
    pub locale: Language,
}

/// What a sign-up found. The person sees no difference.
#[derive(Debug)]
pub enum Created {
    /// Nobody: the row is this sign-up's.
    New,
    /// A user, waiting or with an account.
    Exists(User),
}

impl Users {
    /// Makes a row if the address has none.
    pub async fn create(&self, new: &NewUser<'_>) -> Result<Created, Unavailable> {
        let now = clock::now();
        let put = self
            .table
            .put(self.new_row(new, now))
            .only_if(format!(
                "attribute_not_exists(email) OR (expires_at < :now AND ({NOT_CONFIRMED}))"
            ))
            .value(":now", number(now))
            .value(":true", TRUE);
        match put.send().await? {
            Written::Done => Ok(Created::New),
            Written::Refused(Some(row)) if is_of(&row, new) => Ok(Created::New),
            Written::Refused(row) => match row.as_ref().and_then(|row| User::from_item(row, now)) {
                Some(user) => Ok(Created::Exists(user)),
                None => self.take_over(new, row.unwrap_or_default(), now).await,
            },
        }
    }

    /// Replaces a row of the first version that only counts mails. Keeps what it says about their delivery.
    async fn take_over(
        &self,
        new: &NewUser<'_>,
        reserved: Item,
        now: u64,
    ) -> Result<Created, Unavailable> {
        let mut row = self.new_row(new, now);
        row.extend(
            reserved
                .into_iter()
                .filter(|(name, _)| name == "undeliverable"),
        );
        let put = self
            .table
            .put(row)
            .only_if(format!("attribute_not_exists(email) OR ({RESERVED})"));
        match put.send().await? {
            Written::Done => Ok(Created::New),
            Written::Refused(Some(row)) if is_of(&row, new) => Ok(Created::New),
            Written::Refused(row) => row
                .and_then(|row| User::from_item(&row, now))
                .map(Created::Exists)
                .ok_or_else(|| Unavailable::new("PutItem", "contention")),
        }
    }

    /// Makes the row contested if it is waiting and of another sign-up. For any other row the write fails by design: all
    /// addresses must cost the same calls. Returns what was `found`, or the user as confirmed since.
    pub async fn contest(&self, new: &NewUser<'_>, found: Created) -> Result<Created, Unavailable> {
        let now = clock::now();
        let update = self
            .table
            .update(new.email.as_str())
            .set("contested", TRUE)
            .only_if("attribute_exists(password_hash)")
            .only_if(NOT_CONFIRMED)
            .only_if(NOT_EXPIRED)
            .only_if("attribute_not_exists(sign_up) OR sign_up <> :sign_up")
            .value(":sign_up", text(new.sign_up))
            .value(":now", number(now))
            .value(":true", TRUE);
        // A row of other code that has no expiry gets none.
        let update = match &found {
            Created::Exists(user) if user.expires => {
                update.set("expires_at", number(self.expiry(now)))
            }
            _ => update,
        };
        let confirmed = match update.send().await? {
            Written::Refused(Some(row)) => User::from_item(&row, now).filter(User::is_confirmed),
            Written::Done | Written::Refused(None) => None,
        };
        Ok(match (found, confirmed) {
            (Created::Exists(_), Some(user)) => Created::Exists(user),
            (found, _) => found,
        })
    }

    /// Extends the life of the row, since a fresh link is mailed. With `contests`, for a link that is older than the row,
    /// also makes the row contested. `false` if the row is no longer waiting.
    pub async fn renew(
        &self,
        email: &EmailAddress,
        user: &User,
        contests: bool,
    ) -> Result<bool, Unavailable> {
        if !user.expires && !contests {
            return Ok(true);
        }
        let now = clock::now();
        let mut update = self
            .table
            .update(email.as_str())
            .only_if("attribute_exists(email)")
            .only_if(NOT_CONFIRMED)
            .only_if(NOT_EXPIRED)
            .value(":now", number(now))
            .value(":true", TRUE);
        if contests {
            update = update.set("contested", TRUE);
        }
        if user.expires {
            update = update.set("expires_at", number(self.expiry(now)));
        }
        Ok(matches!(update.send().await?, Written::Done))
    }

    fn new_row(&self, new: &NewUser<'_>, now: u64) -> Item {
        item([
            ("email", text(new.email.as_str())),
            ("user_id", text(&Uuid::now_v7().to_string())),
            ("email_confirmed", AttributeValue::Bool(false)),
            ("password_hash", text(new.password.as_str())),
            ("created_at", time(now)),
            ("sign_up", text(new.sign_up)),
            ("locale", text(new.locale.tag())),
            ("expires_at", number(self.expiry(now))),
        ])
    }
}

/// Whether this very sign-up made the row: by our own write, whose answer was lost.
fn is_of(row: &Item, new: &NewUser<'_>) -> bool {
    read_text(row, "sign_up") == Some(new.sign_up)
}
