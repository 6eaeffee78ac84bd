//! A change of address: who asks for it, the request that the old row keeps, and the move of the row.
//!
//! What holds at all times: the account is under exactly one address; it moves there whole, with the attributes of other
//! code, and only if the request that the link belongs to is still the one in the row and the password is the same as
//! when it was made; a confirmed account is never replaced.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, KeysAndAttributes, Put, TransactWriteItem};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use crate::clock;
use crate::email_address::EmailAddress;
use crate::guesses::{Guesses, Verdict};
use crate::links::LEEWAY;
use crate::unavailable::Unavailable;
use crate::users::user::{Item, Mailings, State, User};
use crate::users::{
    Contest, MailClaim, NOT_CONFIRMED, ROUNDS, Refused, Users, end_of_two_calls, mailed_at_is,
    number, numbers, reserved_until, send, text,
};

/// How many tries of a password at the same time are waited for: each but one of them has to look at the row again, and
/// who asks for guesses in crowds must not make the owner's try fail.
const TRIES_AT_ONCE: usize = 64;

/// An account whose owner has proved to know the password.
pub struct Owner {
    password_hash: String,
    mailings: Mailings,
}

impl Owner {
    fn still_has(&self, row: &Item) -> bool {
        row.get("email_confirmed") == Some(&AttributeValue::Bool(true))
            && row.get("password_hash") == Some(&text(&self.password_hash))
    }
}

/// A request that was accepted. What is claimed is to be mailed, the notice first, so that no link goes out in silence.
#[derive(Debug)]
pub struct ChangeRequest {
    /// The right to mail the notice to the old address; `None` if mail to it comes back.
    pub notice: Option<MailClaim>,
    /// The right to mail the new address.
    pub claim: MailClaim,
    /// Whether the new address has an account: then it gets no link.
    pub taken: bool,
}

/// What following a link came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The account has the new address now.
    Done {
        /// Whether the notice to the old address is still to be mailed.
        notice_due: bool,
    },
    /// It has had it before.
    DoneBefore {
        /// The same.
        notice_due: bool,
    },
    /// The link has outlived its purpose.
    Outlived,
}

/// What a link would come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// It would change the address.
    Waits,
    /// It has.
    Done {
        /// Whether the notice to the old address is still to be mailed.
        notice_due: bool,
    },
    /// It has outlived its purpose.
    Outlived,
}

/// The rows of both addresses.
struct Rows {
    old: Option<Item>,
    new: Option<Item>,
}

impl Users {
    /// Finds the confirmed account with this address if the password is right and was not tried too often from `network`.
    /// Whatever is wrong, it takes one read, one write and one hash.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if `DynamoDB` fails.
    pub async fn prove_owner(
        &self,
        email: &EmailAddress,
        typed: &str,
        network: &str,
    ) -> Result<Option<Owner>, Unavailable> {
        let mut row = self.get(email).await?;
        for _ in 0..TRIES_AT_ONCE {
            let now = clock::now();
            let user = row.as_ref().and_then(|item| User::from_item(item, now));
            let user = user.filter(|user| user.state == State::Confirmed);
            let seen = row.as_ref().and_then(|item| item.get("password_tries"));
            let mut guesses = Guesses::from_attribute(seen);
            let verdict = guesses.try_from_network(network, now);
            // Counted before the password is checked, so that tries at the same time all count.
            let update = self
                .update(email)
                .update_expression("SET password_tries = :tries")
                .expression_attribute_values(":tries", guesses.to_attribute())
                .expression_attribute_values(":true", AttributeValue::Bool(true));
            let update = match seen {
                Some(seen) => update
                    .condition_expression("email_confirmed = :true AND password_tries = :seen")
                    .expression_attribute_values(":seen", seen.clone()),
                None => update.condition_expression(
                    "email_confirmed = :true AND attribute_not_exists(password_tries)",
                ),
            };
            if let (Err(changed), true) = (send(update).await?, user.is_some()) {
                row = changed;
                continue;
            }
            let hash = user.as_ref().and_then(|user| user.password_hash.clone());
            let is_right =
                passwords::is_password_of(hash.as_deref(), typed) && verdict == Verdict::Allowed;
            let owner = user.zip(hash).map(|(user, password_hash)| Owner {
                password_hash,
                mailings: user.mailings,
            });
            return Ok(owner.filter(|_| is_right));
        }
        Err(Unavailable::new("UpdateItem", "contention"))
    }

    /// Notes the request in the row of `old` and claims both mails. `None` if one of the addresses has had enough mail: then
    /// nothing changes, and an earlier request goes on.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if `DynamoDB` fails; asking again completes the job.
    pub async fn request_change(
        &self,
        owner: &Owner,
        old: &EmailAddress,
        new: &EmailAddress,
    ) -> Result<Option<ChangeRequest>, Unavailable> {
        let id = Uuid::now_v7().to_string();
        let mut before = owner.mailings.clone();
        // Mail to an old address that comes back is no reason to stay with it.
        let noticed = |before: &Mailings| {
            let reachable = Mailings {
                undeliverable: false,
                ..before.clone()
            };
            reachable.with_notice(&id, clock::now(), self.cooldown)
        };
        if noticed(&before).is_none() {
            return Ok(None);
        }
        let Some((claim, taken)) = self.claim_mail_to_new(new, &id).await? else {
            return Ok(None);
        };
        for _ in 0..ROUNDS {
            let Some(noticed) = noticed(&before) else {
                break;
            };
            let row = match self
                .note_request(owner, old, new, &before, &noticed)
                .await?
            {
                Ok(()) => None,
                // Our own write: the answer was lost, and the SDK repeated it.
                Err(Some(row)) if Mailings::from_item(&row).claim.as_deref() == Some(&id) => None,
                // Something else was mailed meanwhile.
                Err(Some(row)) if owner.still_has(&row) => Some(row),
                // The account was moved or deleted, or its password changed, since the owner proved it.
                Err(_) => break,
            };
            let Some(row) = row else {
                let notice = (!before.undeliverable).then(|| MailClaim {
                    id: id.clone(),
                    before,
                });
                return Ok(Some(ChangeRequest {
                    notice,
                    claim,
                    taken,
                }));
            };
            before = Mailings::from_item(&row);
        }
        self.lift_claim(new, claim).await?;
        Ok(None)
    }

    async fn note_request(
        &self,
        owner: &Owner,
        old: &EmailAddress,
        new: &EmailAddress,
        before: &Mailings,
        noticed: &Mailings,
    ) -> Result<Result<(), Refused>, Unavailable> {
        let now = noticed.last.unwrap_or_default();
        let request = HashMap::from([
            ("new_email".to_owned(), text(new.as_str())),
            ("requested_at".to_owned(), number(now)),
            ("password_hash".to_owned(), text(&owner.password_hash)),
        ]);
        let (unchanged, last) = mailed_at_is(before);
        let update = self
            .update(old)
            .update_expression(
                "SET email_change = :change, mailed_at = :now, recent_mails = :recent, mail_claim = :claim",
            )
            .condition_expression(format!("email_confirmed = :true AND password_hash = :hash AND {unchanged}"))
            .expression_attribute_values(":change", AttributeValue::M(request))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":recent", numbers(&noticed.recent))
            .expression_attribute_values(":claim", text(noticed.claim.as_deref().unwrap_or_default()))
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":hash", text(&owner.password_hash));
        send(last.into_iter().fold(update, |update, (name, value)| {
            update.expression_attribute_values(name, value)
        }))
        .await
    }

    /// Claims a mail to an address that somebody wants for an account, and says whether it has one. An address without a
    /// row gets one that only remembers the mail, so that the cooldown and the daily ten hold for it too. That is one call,
    /// and takes the time of two, as an address with a row does.
    async fn claim_mail_to_new(
        &self,
        new: &EmailAddress,
        id: &str,
    ) -> Result<Option<(MailClaim, bool)>, Unavailable> {
        let start = Instant::now();
        let reserved = self.reserve(new, id, clock::now()).await?;
        let end = end_of_two_calls(start);
        let claim = match reserved {
            Ok(claim) => Some((claim, false)),
            Err(row) => self.claim_mail_to_known(new, id, row).await?,
        };
        sleep_until(end).await;
        Ok(claim)
    }

    /// The same where there is a row, or was one a moment ago.
    async fn claim_mail_to_known(
        &self,
        new: &EmailAddress,
        id: &str,
        mut row: Refused,
    ) -> Result<Option<(MailClaim, bool)>, Unavailable> {
        for _ in 0..ROUNDS {
            let now = clock::now();
            row = match row.as_ref().and_then(|item| User::from_item(item, now)) {
                None => match self.reserve(new, id, now).await? {
                    Ok(claim) => return Ok(Some((claim, false))),
                    Err(changed) => changed,
                },
                Some(user) => match self.claim_mail(new, &user, id, now, Contest::No).await? {
                    Ok(claim) => {
                        return Ok(claim.map(|claim| (claim, user.state == State::Confirmed)));
                    }
                    Err(changed) => changed,
                },
            };
        }
        Err(Unavailable::new("UpdateItem", "contention"))
    }

    async fn reserve(
        &self,
        email: &EmailAddress,
        id: &str,
        now: u64,
    ) -> Result<Result<MailClaim, Refused>, Unavailable> {
        let row = Item::from([
            ("email".to_owned(), text(email.as_str())),
            ("mailed_at".to_owned(), number(now)),
            ("recent_mails".to_owned(), numbers(&[now])),
            ("mail_claim".to_owned(), text(id)),
            ("expires_at".to_owned(), reserved_until(now)),
        ]);
        let claim = MailClaim {
            id: id.to_owned(),
            before: Mailings::default(),
        };
        Ok(match self.put_new(row, now).await? {
            Ok(()) => Ok(claim),
            Err(Some(row)) if Mailings::from_item(&row).claim.as_deref() == Some(id) => Ok(claim),
            Err(row) => Err(row),
        })
    }

    /// Moves the account from `old` to `new`, for a link that was made at `date_signed` (epoch seconds): one read and one
    /// transaction, and again if something else was quicker.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if `DynamoDB` fails; following the link again completes the job.
    pub async fn change_email(
        &self,
        old: &EmailAddress,
        new: &EmailAddress,
        date_signed: u64,
    ) -> Result<Change, Unavailable> {
        for _ in 0..ROUNDS {
            let now = clock::now();
            let rows = self.rows_of(old, new).await?;
            match rows.outlook(old, new, date_signed, now) {
                Outlook::Outlived => return Ok(Change::Outlived),
                Outlook::Done { notice_due } => return Ok(Change::DoneBefore { notice_due }),
                Outlook::Waits => {}
            }
            let notice_due = rows.old.as_ref().is_some_and(|item| {
                Mailings::from_item(item)
                    .with_notice("", now, self.cooldown)
                    .is_some()
            });
            if self.move_row(rows, old, new, now, notice_due).await? {
                return Ok(Change::Done { notice_due });
            }
        }
        Err(Unavailable::new("TransactWriteItems", "contention"))
    }

    /// Remembers that the notice of a change to `new` was mailed.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if `DynamoDB` fails; then the link, followed again, mails it again.
    pub async fn notice_mailed(&self, new: &EmailAddress) -> Result<(), Unavailable> {
        let update = self
            .update(new)
            .update_expression("REMOVE email_changed.notice_due");
        send(update.condition_expression("attribute_exists(email_changed)"))
            .await
            .map(|_| ())
    }

    /// What following a link would come to.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if `DynamoDB` fails.
    pub async fn change_outlook(
        &self,
        old: &EmailAddress,
        new: &EmailAddress,
        date_signed: u64,
    ) -> Result<Outlook, Unavailable> {
        Ok(self
            .rows_of(old, new)
            .await?
            .outlook(old, new, date_signed, clock::now()))
    }

    async fn rows_of(&self, old: &EmailAddress, new: &EmailAddress) -> Result<Rows, Unavailable> {
        let failed = |reason: &str| Unavailable::new("BatchGetItem", reason);
        let key =
            |email: &EmailAddress| HashMap::from([("email".to_owned(), text(email.as_str()))]);
        let keys = KeysAndAttributes::builder()
            .keys(key(old))
            .keys(key(new))
            .consistent_read(true)
            .build();
        let keys = keys.map_err(|_| failed("invalid request"))?;
        let get = self
            .client
            .batch_get_item()
            .request_items(&self.table, keys);
        let output = get
            .send()
            .await
            .map_err(|error| Unavailable::from_sdk("BatchGetItem", &error))?;
        // A throttled BatchGetItem succeeds without some of the rows.
        if output.unprocessed_keys.is_some_and(|keys| !keys.is_empty()) {
            return Err(failed("unprocessed keys"));
        }
        let items: Vec<_> = output
            .responses
            .into_iter()
            .flat_map(HashMap::into_values)
            .flatten()
            .collect();
        let row = |email: &EmailAddress| {
            items
                .iter()
                .find(|item| item.get("email") == Some(&text(email.as_str())))
                .cloned()
        };
        Ok(Rows {
            old: row(old),
            new: row(new),
        })
    }

    /// Whether both rows were as they were read, and the account moved.
    async fn move_row(
        &self,
        rows: Rows,
        old: &EmailAddress,
        new: &EmailAddress,
        now: u64,
        notice_due: bool,
    ) -> Result<bool, Unavailable> {
        let Rows {
            old: Some(item),
            new: replaced,
        } = rows
        else {
            return Ok(false);
        };
        let mut moved = item.clone();
        let request = moved.remove("email_change");
        moved.insert("email".to_owned(), text(new.as_str()));
        moved.insert("confirmed_at".to_owned(), text(&clock::rfc3339(now)));
        // So that the link, followed again, is recognised as done, and a notice that failed is mailed then.
        let requested_at = request
            .as_ref()
            .and_then(|map| map.as_m().ok()?.get("requested_at"))
            .cloned();
        let done = [
            ("old_email", Some(text(old.as_str()))),
            ("requested_at", requested_at),
            (
                "notice_due",
                notice_due.then_some(AttributeValue::Bool(true)),
            ),
        ];
        let done = done
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        moved.insert("email_changed".to_owned(), AttributeValue::M(done));
        // What is known of mails to the new address goes on; what is known of those to the old one is not about it.
        for name in ["mailed_at", "recent_mails", "mail_claim", "undeliverable"] {
            match replaced.as_ref().and_then(|row| row.get(name)) {
                Some(value) => moved.insert(name.to_owned(), value.clone()),
                None => moved.remove(name),
            };
        }

        let invalid = |_| Unavailable::new("TransactWriteItems", "invalid request");
        let mut delete = Delete::builder()
            .table_name(&self.table)
            .key("email", text(old.as_str()));
        // DynamoDB cannot compare a whole row, so each attribute is compared.
        let mut unchanged = Vec::new();
        for (index, (name, value)) in item.into_iter().enumerate() {
            unchanged.push(format!("#{index} = :{index}"));
            delete = delete
                .expression_attribute_names(format!("#{index}"), name)
                .expression_attribute_values(format!(":{index}"), value);
        }
        let delete = delete
            .condition_expression(unchanged.join(" AND "))
            .build()
            .map_err(invalid)?;

        let put = Put::builder().table_name(&self.table).set_item(Some(moved));
        let put = match replaced.as_ref().map(|row| row.get("mail_claim")) {
            None => put.condition_expression("attribute_not_exists(email)"),
            Some(claim) => {
                let put = put.expression_attribute_values(":true", AttributeValue::Bool(true));
                match claim {
                    Some(claim) => put
                        .condition_expression(format!("{NOT_CONFIRMED} AND mail_claim = :claim"))
                        .expression_attribute_values(":claim", claim.clone()),
                    None => put.condition_expression(format!(
                        "{NOT_CONFIRMED} AND attribute_not_exists(mail_claim)"
                    )),
                }
            }
        };
        let put = put.build().map_err(invalid)?;

        // The SDK sends each transaction with a token of its own, by which DynamoDB knows a repeated one.
        let transaction = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().delete(delete).build())
            .transact_items(TransactWriteItem::builder().put(put).build());
        match transaction.send().await {
            Ok(_) => Ok(true),
            Err(SdkError::ServiceError(error)) if was_overtaken(error.err()) => Ok(false),
            Err(error) => Err(Unavailable::from_sdk("TransactWriteItems", &error)),
        }
    }
}

/// Whether a transaction was cancelled because something else was quicker, and for no other reason.
fn was_overtaken(error: &TransactWriteItemsError) -> bool {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        return false;
    };
    let mut codes = cancelled
        .cancellation_reasons()
        .iter()
        .filter_map(|reason| reason.code());
    codes.all(|code| {
        matches!(
            code,
            "None" | "ConditionalCheckFailed" | "TransactionConflict"
        )
    })
}

impl Rows {
    fn outlook(
        &self,
        old: &EmailAddress,
        new: &EmailAddress,
        date_signed: u64,
        now: u64,
    ) -> Outlook {
        let user = |row: &Option<Item>| row.as_ref().and_then(|item| User::from_item(item, now));
        let is_taken = user(&self.new).is_some_and(|user| user.state == State::Confirmed);
        if let (Some(item), Some(account), false) = (&self.old, user(&self.old), is_taken)
            && account.state == State::Confirmed
            && Request::from_item(item, "email_change").is_some_and(|request| {
                request.new_email == Some(new.as_str())
                    && request.is_of_link(date_signed)
                    && request.password_hash == account.password_hash.as_deref()
            })
        {
            return Outlook::Waits;
        }
        let done = self
            .new
            .as_ref()
            .filter(|_| is_taken)
            .and_then(|item| Request::from_item(item, "email_changed"));
        match done
            .filter(|done| done.old_email == Some(old.as_str()) && done.is_of_link(date_signed))
        {
            Some(done) => Outlook::Done {
                notice_due: done.notice_due,
            },
            None => Outlook::Outlived,
        }
    }
}

/// A request, waiting (`email_change`, in the row of the old address) or done (`email_changed`, in that of the new one).
struct Request<'a> {
    old_email: Option<&'a str>,
    new_email: Option<&'a str>,
    password_hash: Option<&'a str>,
    /// Epoch seconds.
    requested_at: u64,
    notice_due: bool,
}

impl<'a> Request<'a> {
    fn from_item(item: &'a Item, name: &str) -> Option<Self> {
        let map = item.get(name)?.as_m().ok()?;
        let text = |name| {
            map.get(name)
                .and_then(|value| value.as_s().ok())
                .map(String::as_str)
        };
        Some(Self {
            old_email: text("old_email"),
            new_email: text("new_email"),
            password_hash: text("password_hash"),
            requested_at: map.get("requested_at")?.as_n().ok()?.parse().ok()?,
            notice_due: map.get("notice_due") == Some(&AttributeValue::Bool(true)),
        })
    }

    /// Whether a link that was made at `date_signed` can be this request's: not one of an earlier request.
    fn is_of_link(&self, date_signed: u64) -> bool {
        self.requested_at <= date_signed.saturating_add(LEEWAY)
    }
}
