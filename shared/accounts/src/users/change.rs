//! A change of address: the request that the account's row keeps, and what its link can do. `moved` moves the row.
//!
//! Invariants: the account is under exactly one address. It moves as a whole, with the attributes of other code. It moves
//! only if the row still holds the request that the link belongs to, and the password has not changed since that request.
//! Only an unconfirmed row is ever replaced.

use std::collections::HashMap;

use addresses::EmailAddress;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha1::{Digest as _, Sha1};
use tokio::time::sleep;

use crate::clock;
use crate::links::LEEWAY;
use crate::table::{Item, TRUE, Written, jitter, number, read_number, read_text, text};
use crate::unavailable::Unavailable;
use crate::users::user::{State, User};
use crate::users::{Users, item};

/// The most attributes of a row that can move. The move compares each, at two operators of the 300 that DynamoDB allows in an
/// expression (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>), and adds a few.
pub const MAX_ATTRIBUTES: usize = 140;

/// A request for a change of address.
pub struct ChangeRequest<'a> {
    /// A random id, which the browser's cookie names too.
    pub id: &'a str,
    pub new_email: &'a EmailAddress,
    /// When it was made: epoch seconds.
    pub requested_at: u64,
}

/// What a link of a change of address can do.
pub enum ChangeLink {
    /// It can change the address.
    Pending(Box<PendingChange>),
    /// It has changed the address already.
    Done,
    /// A newer request, a new password or the new address' owner has ended it.
    Superseded,
}

/// A pending change, with both rows as they were read.
pub struct PendingChange {
    pub account: User,
    /// The request's id; `None` in a request of the first version.
    pub id: Option<String>,
    pub(super) old: Item,
    pub(super) new: Option<Item>,
}

/// A request in a row: pending (`email_change`, under the old address) or done (`email_changed`, under the new one).
struct Kept<'a>(&'a Item);

impl Users {
    /// The time that a new request of `account` gets: after the last change of the password, which ends all older requests.
    pub fn change_date(account: &User) -> u64 {
        let after_change = account
            .password_changed_at
            .map_or(0, |changed_at| changed_at + 1);
        clock::now().max(after_change)
    }

    /// Keeps the request in the account's row, in the place of an earlier one; `false` if the account has been moved or deleted,
    /// or its password changed, since `account` was read.
    pub async fn request_change(
        &self,
        email: &EmailAddress,
        account: &User,
        request: &ChangeRequest<'_>,
    ) -> Result<bool, Unavailable> {
        let hash = account.password_hash().unwrap_or_default();
        let kept = item([
            ("id", text(request.id)),
            ("new_email", text(request.new_email.as_str())),
            ("requested_at", number(request.requested_at)),
            ("password", text(&fingerprint(hash))),
        ]);
        let update = self
            .table
            .update(email.as_str())
            .set("email_change", AttributeValue::M(kept))
            .only_if("email_confirmed = :true AND password_hash = :hash")
            .value(":true", TRUE)
            .value(":hash", text(hash));
        Ok(matches!(update.send().await?, Written::Done))
    }

    /// What a link from `old` to `new`, made at `date_signed` (epoch seconds), can do: one read of both rows.
    ///
    /// If the link looks superseded they are read once more: a batch does not read its rows at one moment
    /// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>, isolation levels), so while the
    /// account moves neither may be seen.
    pub async fn find_change(
        &self,
        old: &EmailAddress,
        new: &EmailAddress,
        date_signed: u64,
    ) -> Result<ChangeLink, Unavailable> {
        let read = async || {
            let mut rows = self.rows_of([old, new]).await?;
            let mut row = |email: &EmailAddress| rows.remove(email.as_str());
            let (old, new) = ((old, row(old)), (new, row(new)));
            Ok(judge(old, new, date_signed, clock::now()))
        };
        match read().await? {
            ChangeLink::Superseded => {
                sleep(jitter()).await;
                read().await
            }
            link => Ok(link),
        }
    }

    async fn rows_of(
        &self,
        emails: [&EmailAddress; 2],
    ) -> Result<HashMap<String, Item>, Unavailable> {
        let failed = |reason: &str| Unavailable::new("BatchGetItem", reason);
        let mut keys = KeysAndAttributes::builder().consistent_read(true);
        for email in emails {
            keys = keys.keys(item([("email", text(email.as_str()))]));
        }
        let keys = keys.build().map_err(|_| failed("invalid request"))?;
        let get = self.table.client.batch_get_item();
        let output = get.request_items(&self.table.name, keys).send();
        let output = Box::pin(output).await;
        let output = output.map_err(|error| Unavailable::from_sdk("BatchGetItem", &error))?;
        // A throttled BatchGetItem succeeds without some of the rows.
        if output.unprocessed_keys.is_some_and(|keys| !keys.is_empty()) {
            return Err(failed("unprocessed keys"));
        }
        let items = output.responses.into_iter().flat_map(HashMap::into_values);
        let by_email = items.flatten().filter_map(|item| {
            let email = read_text(&item, "email")?.to_owned();
            Some((email, item))
        });
        Ok(by_email.collect())
    }
}

/// What a link can do, by the rows of both addresses.
fn judge(
    (old_email, old): (&EmailAddress, Option<Item>),
    (new_email, new): (&EmailAddress, Option<Item>),
    date_signed: u64,
    now: u64,
) -> ChangeLink {
    let user = |item: &Option<Item>| item.as_ref().and_then(|item| User::from_item(item, now));
    let taken = user(&new).filter(|user| matches!(user.state, State::Confirmed | State::Invited));
    if let (Some(_), Some(item)) = (taken, &new) {
        let done = Kept::read(item, "email_changed").is_some_and(|done| {
            done.text("old_email") == Some(old_email.as_str()) && done.is_of_link(date_signed)
        });
        return if done {
            ChangeLink::Done
        } else {
            ChangeLink::Superseded
        };
    }
    let account = user(&old).filter(User::is_confirmed);
    let (Some(account), Some(old)) = (account, old) else {
        return ChangeLink::Superseded;
    };
    let id = Kept::read(&old, "email_change")
        .filter(|request| {
            request.text("new_email") == Some(new_email.as_str())
                && request.is_of_link(date_signed)
                && request.has_same_password(&account)
        })
        .map(|request| request.text("id").map(str::to_owned));
    match id {
        Some(id) => ChangeLink::Pending(Box::new(PendingChange {
            account,
            id,
            old,
            new,
        })),
        None => ChangeLink::Superseded,
    }
}

impl<'a> Kept<'a> {
    fn read(row: &'a Item, name: &str) -> Option<Self> {
        row.get(name)?.as_m().ok().map(Self)
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        read_text(self.0, name)
    }

    /// Whether a link that was made at `date_signed` can be this request's, and not an earlier one's.
    fn is_of_link(&self, date_signed: u64) -> bool {
        read_number(self.0, "requested_at")
            .is_some_and(|requested_at| requested_at <= date_signed.saturating_add(LEEWAY))
    }

    fn has_same_password(&self, account: &User) -> bool {
        let Some(hash) = account.password_hash() else {
            return false;
        };
        // The first version kept the hash itself.
        let is_same = match self.text("password") {
            Some(kept) => kept == fingerprint(hash),
            None => self.text("password_hash") == Some(hash),
        };
        let requested_at = read_number(self.0, "requested_at");
        is_same && account.password_changed_at < requested_at
    }
}

/// Stands for a password's hash in a request, since the hash must not be kept longer than the password. It reveals nothing
/// about the hash, which has a random salt.
fn fingerprint(hash: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha1::digest(hash))
}
