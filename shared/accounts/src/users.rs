//! The users' table, and the life of a row.
//!
//! ```text
//!            sign-up              sign-up               link + new password
//!   absent ──────────▶ waiting ──────────▶ contested ─────────────────────▶ confirmed
//!     ▲                  │ │                  │                               ▲
//!     │     expired      │ └──────────────────┼───────────────────────────────┘
//!     └──────────────────┴────────────────────┘              link
//! ```
//!
//! An address that was only mailed to, because somebody wants it for an account, has a reserved row: one without a user,
//! which remembers the mails for a day. To everything but the limits of mail it is absent.
//!
//! What holds at all times, whatever runs at once, fails or is repeated:
//!
//! 1. A confirmed row stays confirmed, and its password is that of its only sign-up or of the reader of its mailbox.
//! 2. A sign-up never changes a password; a second one makes the row contested, for good.
//! 3. Of all who want to mail one address at one time, one holds the claim (`mailed_at`, `mail_claim`).
//! 4. Every write is conditional on what was read, and is recognised if it is repeated because its answer was lost.
//! 5. Attributes that are not ours are never touched.

pub mod change;
pub mod user;

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use aws_types::SdkConfig;
use passwords::PasswordHash;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::aws::OpenConnection;
use crate::clock;
use crate::email_address::EmailAddress;
use crate::settings::{self, InvalidSetting};
use crate::unavailable::Unavailable;
use crate::users::user::{DAY, Item, Mailings, State, User};

/// How long an unconfirmed row outlives its last link: seconds.
const GRACE: u64 = 7 * 86_400;

/// The longest that a request waits so as to take as long as another one.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often an operation looks at a row again because another one was quicker.
pub(crate) const ROUNDS: usize = 8;

pub(crate) const NOT_CONFIRMED: &str =
    "(attribute_not_exists(email_confirmed) OR email_confirmed <> :true)";
const NOT_EXPIRED: &str = "(attribute_not_exists(expires_at) OR expires_at >= :now)";
const NOT_CONTESTED: &str = "(attribute_not_exists(contested) OR contested <> :true)";

/// The users.
pub struct Users {
    pub(crate) client: Client,
    pub(crate) table: String,
    /// Seconds between two mails to one address.
    pub(crate) cooldown: u64,
    /// Seconds that a link lives.
    max_age: u64,
}

/// The right to send one mail to one address.
#[derive(Debug)]
pub struct MailClaim {
    pub(crate) id: String,
    pub(crate) before: Mailings,
}

/// What a sign-up came to; to the person all are the same.
#[derive(Debug)]
pub enum SignUp {
    /// The address was free: a link is to be mailed, unless it has had enough mail for another reason.
    New(Option<MailClaim>),
    /// The address waits for its confirmation: a link is to be mailed, unless it has had enough mail.
    Repeated(Option<MailClaim>),
    /// The address has an account: a notice is to be mailed, unless it has had enough mail.
    HasAccount(Option<MailClaim>),
}

/// What following a link came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// The address is confirmed now.
    Done,
    /// It has been before.
    DoneBefore,
    /// A password is to be chosen first.
    NeedsPassword,
    /// There is no such user, or not any more.
    NoUser,
}

/// A write whose condition did not hold, with the row as it is; `None` if there is none.
pub(crate) type Refused = Option<Item>;

impl Users {
    /// Reads `USERS_TABLE` and `RESEND_COOLDOWN`; `max_age` is that of links, in seconds.
    ///
    /// # Errors
    ///
    /// [`InvalidSetting`] names the variable that is missing or wrong.
    pub fn from_env(config: &SdkConfig, max_age: u64) -> Result<Self, InvalidSetting> {
        const TABLE: &str = "the name or ARN of a DynamoDB table";
        const COOLDOWN: &str = "a whole number of seconds from 0 to 86400";
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b);
        let name = |value: &str| value.bytes().all(is_name).then(|| value.to_owned());
        Ok(Self {
            client: Client::new(config),
            table: settings::required("USERS_TABLE", TABLE, name)?,
            cooldown: settings::seconds("RESEND_COOLDOWN", COOLDOWN, 0..=86_400, 60)?,
            max_age,
        })
    }

    /// Opens the connection that the first request will use. If that fails, the request opens it.
    pub fn open_connection(&self) -> impl Future<Output = ()> + use<> {
        let config = self.client.config().to_builder();
        let client = Client::from_conf(config.interceptor(OpenConnection).build());
        let call = client.get_item().table_name(&self.table);
        async {
            let _ = call.send().await;
        }
    }

    /// Signs up: makes a row, or makes a waiting one contested, and claims the mail if one is due. Where one call to
    /// `DynamoDB` does, it takes the time of two all the same: a new address needs one, and a known one most often two.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if `DynamoDB` fails; signing up again completes the job.
    pub async fn sign_up(
        &self,
        email: &EmailAddress,
        password: &PasswordHash,
    ) -> Result<SignUp, Unavailable> {
        let id = Uuid::now_v7().to_string();
        let start = Instant::now();
        let first = self
            .create(email, password, &id, clock::now(), None)
            .await?;
        let end = end_of_two_calls(start);
        let sign_up = match first {
            Ok(claim) => SignUp::New(claim),
            Err(row) => self.sign_up_again(email, password, &id, row).await?,
        };
        sleep_until(end).await;
        Ok(sign_up)
    }

    /// Signs up where there is a row, or was one a moment ago.
    async fn sign_up_again(
        &self,
        email: &EmailAddress,
        password: &PasswordHash,
        id: &str,
        mut row: Refused,
    ) -> Result<SignUp, Unavailable> {
        for _ in 0..ROUNDS {
            let now = clock::now();
            let user = row.as_ref().and_then(|item| User::from_item(item, now));
            row = match user {
                Some(user) if user.state != State::Reserved => {
                    match self.claim_mail(email, &user, id, now, Contest::Yes).await? {
                        Ok(claim) if user.state == State::Confirmed => {
                            return Ok(SignUp::HasAccount(claim));
                        }
                        Ok(claim) => return Ok(SignUp::Repeated(claim)),
                        Err(changed) => changed,
                    }
                }
                absent => {
                    let before = absent.map(|reserved| reserved.mailings);
                    match self.create(email, password, id, now, before).await? {
                        Ok(claim) => return Ok(SignUp::New(claim)),
                        Err(changed) => changed,
                    }
                }
            };
        }
        Err(Unavailable::new("UpdateItem", "contention"))
    }

    /// Confirms an address; with a new password also if the row is contested. One write, no read.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if `DynamoDB` fails; following the link again completes the job.
    pub async fn confirm(
        &self,
        email: &EmailAddress,
        password: Option<&PasswordHash>,
    ) -> Result<Confirmation, Unavailable> {
        let now = clock::now();
        let (set, condition) = match password {
            Some(_) => (", password_hash = :password", String::new()),
            None => ("", format!(" AND {NOT_CONTESTED}")),
        };
        let update = self
            .update(email)
            .update_expression(format!(
                "SET email_confirmed = :true, confirmed_at = :confirmed_at{set} REMOVE expires_at, contested"
            ))
            .condition_expression(format!(
                "attribute_exists(password_hash) AND {NOT_CONFIRMED} AND {NOT_EXPIRED}{condition}"
            ))
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":confirmed_at", text(&clock::rfc3339(now)));
        let update = match password {
            Some(password) => {
                update.expression_attribute_values(":password", text(password.as_str()))
            }
            None => update,
        };
        let Err(row) = send(update).await? else {
            return Ok(Confirmation::Done);
        };
        // If this is our own write, whose answer was lost, then the row is confirmed, with the password that we chose.
        Ok(match row.and_then(|item| User::from_item(&item, now)) {
            None => Confirmation::NoUser,
            Some(user) => match user.state {
                State::Confirmed => Confirmation::DoneBefore,
                State::Waiting | State::Contested => Confirmation::NeedsPassword,
                State::Reserved => Confirmation::NoUser,
            },
        })
    }

    /// The user with this address.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if `DynamoDB` fails.
    pub async fn find(&self, email: &EmailAddress) -> Result<Option<User>, Unavailable> {
        let row = self.get(email).await?;
        Ok(row.and_then(|item| User::from_item(&item, clock::now())))
    }

    pub(crate) async fn get(&self, email: &EmailAddress) -> Result<Option<Item>, Unavailable> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("email", text(email.as_str()));
        let output = get.consistent_read(true).send().await;
        Ok(output
            .map_err(|error| Unavailable::from_sdk("GetItem", &error))?
            .item)
    }

    /// Claims the mail with a fresh link for a row that waits; gives the row as well. `None` if there is nothing to mail.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if `DynamoDB` fails.
    pub async fn claim_fresh_link(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<(MailClaim, User)>, Unavailable> {
        let id = Uuid::now_v7().to_string();
        for _ in 0..ROUNDS {
            let Some(user) = self
                .find(email)
                .await?
                .filter(|user| matches!(user.state, State::Waiting | State::Contested))
            else {
                return Ok(None);
            };
            if let Ok(claim) = self
                .claim_mail(email, &user, &id, clock::now(), Contest::No)
                .await?
            {
                return Ok(claim.map(|claim| (claim, user)));
            }
        }
        Err(Unavailable::new("UpdateItem", "contention"))
    }

    /// Gives back the right to a mail that could not be sent, so that the next request mails at once.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if `DynamoDB` fails; then the address has to wait for the cooldown.
    pub async fn lift_claim(
        &self,
        email: &EmailAddress,
        claim: MailClaim,
    ) -> Result<(), Unavailable> {
        let update = self
            .update(email)
            .condition_expression("mail_claim = :claim");
        let update = update.expression_attribute_values(":claim", text(&claim.id));
        let MailClaim { before, .. } = claim;
        let update = match (before.last, before.claim) {
            (Some(last), Some(claim)) => update
                .update_expression(
                    "SET mailed_at = :last, recent_mails = :recent, mail_claim = :before",
                )
                .expression_attribute_values(":last", number(last))
                .expression_attribute_values(":recent", numbers(&before.recent))
                .expression_attribute_values(":before", text(&claim)),
            (Some(last), None) => update
                .update_expression("SET mailed_at = :last REMOVE recent_mails, mail_claim")
                .expression_attribute_values(":last", number(last)),
            (None, _) => update.update_expression("REMOVE mailed_at, recent_mails, mail_claim"),
        };
        // A claim that is not ours any more needs no lifting.
        send(update).await.map(|_| ())
    }

    /// Puts `row` in the place of none, or of one that has expired.
    pub(crate) async fn put_new(
        &self,
        row: Item,
        now: u64,
    ) -> Result<Result<(), Refused>, Unavailable> {
        let put = self
            .put(row)
            .condition_expression(format!(
                "attribute_not_exists(email) OR (expires_at < :now AND {NOT_CONFIRMED})"
            ))
            .expression_attribute_values(":now", number(now));
        send_put(put).await
    }

    /// Puts `row` in the place of one that only remembers the mails in `before`, and still does.
    async fn take_over(
        &self,
        row: Item,
        before: &Mailings,
    ) -> Result<Result<(), Refused>, Unavailable> {
        let (unchanged, last) = mailed_at_is(before);
        let put = self.put(row).condition_expression(format!(
            "attribute_exists(email) AND attribute_not_exists(password_hash) AND {NOT_CONFIRMED} AND {unchanged}"
        ));
        send_put(last.into_iter().fold(put, |put, (name, value)| {
            put.expression_attribute_values(name, value)
        }))
        .await
    }

    fn put(&self, row: Item) -> PutItemFluentBuilder {
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(row))
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    fn new_row(
        &self,
        email: &EmailAddress,
        password: &PasswordHash,
        id: &str,
        now: u64,
        mailings: &Mailings,
    ) -> Item {
        let attributes = [
            ("email", Some(text(email.as_str()))),
            ("user_id", Some(text(id))),
            ("email_confirmed", Some(AttributeValue::Bool(false))),
            ("password_hash", Some(text(password.as_str()))),
            ("created_at", Some(text(&clock::rfc3339(now)))),
            ("mailed_at", mailings.last.map(number)),
            ("recent_mails", Some(numbers(&mailings.recent))),
            ("mail_claim", mailings.claim.as_deref().map(text)),
            ("expires_at", Some(self.expiry(now))),
        ];
        attributes
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }

    /// Makes a user of an address that has none; `before` is what a row remembers that has only been mailed to.
    async fn create(
        &self,
        email: &EmailAddress,
        password: &PasswordHash,
        id: &str,
        now: u64,
        before: Option<Mailings>,
    ) -> Result<Result<Option<MailClaim>, Refused>, Unavailable> {
        let mailings = before.clone().unwrap_or_default();
        let claimed = mailings.with_claim(id, now, self.cooldown);
        let claim = claimed.is_some().then(|| MailClaim {
            id: id.to_owned(),
            before: mailings.clone(),
        });
        let row = self.new_row(email, password, id, now, &claimed.unwrap_or(mailings));
        let put = match &before {
            None => self.put_new(row, now).await?,
            Some(before) => self.take_over(row, before).await?,
        };
        Ok(match put {
            Ok(()) => Ok(claim),
            // Our own row: the answer was lost, and the SDK repeated the write.
            Err(Some(row)) if row.get("user_id") == Some(&text(id)) => Ok(claim),
            Err(row) => Err(row),
        })
    }

    /// Claims a mail to `user`, if the address has not had enough, and with [`Contest::Yes`] makes a waiting row contested.
    /// At most one write, on condition that the row is as `user` was read.
    pub(crate) async fn claim_mail(
        &self,
        email: &EmailAddress,
        user: &User,
        id: &str,
        now: u64,
        contest: Contest,
    ) -> Result<Result<Option<MailClaim>, Refused>, Unavailable> {
        let claimed = user.mailings.with_claim(id, now, self.cooldown);
        let contests = contest == Contest::Yes && user.state == State::Waiting;
        if claimed.is_none() && !contests {
            return Ok(Ok(None));
        }
        let mut update = self
            .update(email)
            .expression_attribute_values(":true", AttributeValue::Bool(true));
        let mut conditions = Vec::new();
        if user.state == State::Confirmed {
            conditions.push("email_confirmed = :true");
        } else {
            conditions.extend(["attribute_exists(email)", NOT_CONFIRMED, NOT_EXPIRED]);
            update = update.expression_attribute_values(":now", number(now));
        }
        let mut sets = Vec::new();
        if contests {
            sets.push("contested = :true");
        }
        if let Some(claimed) = &claimed {
            sets.push("mailed_at = :mailed_at, recent_mails = :recent, mail_claim = :claim");
            update = update
                .expression_attribute_values(":mailed_at", number(now))
                .expression_attribute_values(":recent", numbers(&claimed.recent))
                .expression_attribute_values(":claim", text(id));
            if user.expires {
                sets.push("expires_at = :expires_at");
                let expiry = if user.state == State::Reserved {
                    reserved_until(now)
                } else {
                    self.expiry(now)
                };
                update = update.expression_attribute_values(":expires_at", expiry);
            }
            let (unchanged, last) = mailed_at_is(&user.mailings);
            conditions.push(unchanged);
            if let Some((name, value)) = last {
                update = update.expression_attribute_values(name, value);
            }
        }
        let update = update
            .update_expression(format!("SET {}", sets.join(", ")))
            .condition_expression(conditions.join(" AND "));
        let claim = claimed.map(|_| MailClaim {
            id: id.to_owned(),
            before: user.mailings.clone(),
        });
        Ok(match send(update).await? {
            Ok(()) => Ok(claim),
            // Our own claim: the answer was lost, and the SDK repeated the write.
            Err(Some(row)) if Mailings::from_item(&row).claim.as_deref() == Some(id) => Ok(claim),
            Err(row) => Err(row),
        })
    }

    pub(crate) fn update(&self, email: &EmailAddress) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .key("email", text(email.as_str()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    fn expiry(&self, mailed_at: u64) -> AttributeValue {
        number(mailed_at.saturating_add(self.max_age).saturating_add(GRACE))
    }
}

/// When two calls will have taken their time if the first, just over, began at `start`.
pub(crate) fn end_of_two_calls(start: Instant) -> Instant {
    let took = start.elapsed();
    start + took + took.min(LONGEST_PAUSE)
}

/// Whether a sign-up is behind a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contest {
    Yes,
    No,
}

/// The condition that nothing has been mailed since `mailings` was read, and the value that it names.
pub(crate) fn mailed_at_is(
    mailings: &Mailings,
) -> (&'static str, Option<(&'static str, AttributeValue)>) {
    match mailings.last {
        Some(last) => ("mailed_at = :last", Some((":last", number(last)))),
        None => ("attribute_not_exists(mailed_at)", None),
    }
}

/// Until when a row is kept that only remembers mails: as long as they count.
pub(crate) fn reserved_until(now: u64) -> AttributeValue {
    number(now.saturating_add(DAY))
}

async fn send_put(put: PutItemFluentBuilder) -> Result<Result<(), Refused>, Unavailable> {
    match put.send().await {
        Ok(_) => Ok(Ok(())),
        Err(SdkError::ServiceError(error))
            if error.err().is_conditional_check_failed_exception() =>
        {
            Ok(Err(match error.into_err() {
                PutItemError::ConditionalCheckFailedException(failure) => failure.item,
                _ => None,
            }))
        }
        Err(error) => Err(Unavailable::from_sdk("PutItem", &error)),
    }
}

pub(crate) async fn send(
    update: UpdateItemFluentBuilder,
) -> Result<Result<(), Refused>, Unavailable> {
    match update.send().await {
        Ok(_) => Ok(Ok(())),
        Err(SdkError::ServiceError(error))
            if error.err().is_conditional_check_failed_exception() =>
        {
            Ok(Err(match error.into_err() {
                UpdateItemError::ConditionalCheckFailedException(failure) => failure.item,
                _ => None,
            }))
        }
        Err(error) => Err(Unavailable::from_sdk("UpdateItem", &error)),
    }
}

pub(crate) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(crate) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(crate) fn numbers(numbers: &[u64]) -> AttributeValue {
    AttributeValue::L(numbers.iter().copied().map(number).collect())
}
