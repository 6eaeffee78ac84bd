//! A user, as the table's row holds one.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// A row, as the SDK has it.
pub type Item = HashMap<String, AttributeValue>;

/// Seconds in which no more than [`DAILY_MAILS`] go to one address.
pub(crate) const DAY: u64 = 86_400;

/// The most mails to one address in a day, notices included.
const DAILY_MAILS: usize = 10;

/// What the service reads of a row that is there. An expired row, which DynamoDB may keep for days, is not.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Whether the address is confirmed, and if not whether it is contested.
    pub state: State,
    /// RFC 3339.
    pub created_at: Option<String>,
    /// The PHC string of the password.
    pub password_hash: Option<String>,
    /// Whether DynamoDB is to delete the row some day. Ours do while they wait; other code's may not.
    pub expires: bool,
    /// What has been mailed to the address.
    pub mailings: Mailings,
}

/// Where a user is on the way to a confirmed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody's yet: the row only remembers what was mailed to the address.
    Reserved,
    /// One sign-up, whose link confirms.
    Waiting,
    /// More than one sign-up: only the mailbox's reader may choose the password.
    Contested,
    /// The address is confirmed.
    Confirmed,
}

/// What has been mailed to an address, as its row remembers it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mailings {
    /// Epoch seconds of the newest claim on a mail (`mailed_at`).
    pub last: Option<u64>,
    /// Epoch seconds of the claims of the last day, oldest first (`recent_mails`).
    pub recent: Vec<u64>,
    /// Whose the newest claim is (`mail_claim`).
    pub claim: Option<String>,
    /// Whether mail to the address came back for good, or was complained about (`undeliverable`): it gets no more.
    pub undeliverable: bool,
}

impl User {
    /// Reads an item; `None` if it has expired at `now`.
    #[must_use]
    pub fn from_item(item: &Item, now: u64) -> Option<Self> {
        let is_true = |name| matches!(item.get(name), Some(AttributeValue::Bool(true)));
        let state = match (is_true("email_confirmed"), is_true("contested")) {
            (true, _) => State::Confirmed,
            (false, _) if !item.contains_key("password_hash") => State::Reserved,
            (false, true) => State::Contested,
            (false, false) => State::Waiting,
        };
        let has_expired = number(item.get("expires_at")).is_some_and(|expires_at| expires_at < now);
        if state != State::Confirmed && has_expired {
            return None;
        }
        let text = |name| item.get(name)?.as_s().ok().cloned();
        Some(Self {
            state,
            created_at: text("created_at"),
            password_hash: text("password_hash"),
            expires: state != State::Confirmed && item.contains_key("expires_at"),
            mailings: Mailings::from_item(item),
        })
    }
}

impl Mailings {
    /// Reads what an item remembers of mails.
    #[must_use]
    pub fn from_item(item: &Item) -> Self {
        let recent = item.get("recent_mails").and_then(|list| list.as_l().ok());
        Self {
            last: number(item.get("mailed_at")),
            recent: recent
                .into_iter()
                .flatten()
                .filter_map(|time| number(Some(time)))
                .collect(),
            undeliverable: matches!(item.get("undeliverable"), Some(AttributeValue::Bool(true))),
            claim: item
                .get("mail_claim")
                .and_then(|claim| claim.as_s().ok())
                .cloned(),
        }
    }

    /// What is remembered after the claim on a notice at `now` that must not wait for the cooldown, or `None` if the
    /// address has had its ten mails of a day.
    #[must_use]
    pub fn with_notice(&self, claim: &str, now: u64, cooldown: u64) -> Option<Self> {
        Self {
            last: None,
            ..self.clone()
        }
        .with_claim(claim, now, cooldown)
    }

    /// What is remembered after a claim at `now`, or `None` if the address has had enough mail: one in the last
    /// `cooldown` seconds or ten in a day. A `cooldown` of 0 lifts both limits.
    #[must_use]
    pub fn with_claim(&self, claim: &str, now: u64, cooldown: u64) -> Option<Self> {
        let mut recent: Vec<_> = self
            .recent
            .iter()
            .copied()
            .filter(|time| time.saturating_add(DAY) > now)
            .collect();
        let cools_down = self
            .last
            .is_some_and(|last| last.saturating_add(cooldown) > now);
        if self.undeliverable {
            return None;
        }
        if cooldown > 0 && (cools_down || recent.len() >= DAILY_MAILS) {
            return None;
        }
        recent.push(now);
        let kept = recent.split_off(recent.len().saturating_sub(DAILY_MAILS));
        Some(Self {
            last: Some(now),
            recent: kept,
            claim: Some(claim.to_owned()),
            undeliverable: false,
        })
    }
}

/// An attribute of type N, if it is one and a whole number. DynamoDB may write one with a fraction of zero.
fn number(value: Option<&AttributeValue>) -> Option<u64> {
    value?.as_n().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailings(times: impl IntoIterator<Item = u64>) -> Mailings {
        let recent: Vec<_> = times.into_iter().collect();
        Mailings {
            last: recent.last().copied(),
            recent,
            claim: None,
            undeliverable: false,
        }
    }

    #[test]
    fn a_mail_may_follow_another_after_the_cooldown_and_not_before() {
        let one = mailings([1_000]);

        assert!(one.with_claim("x", 1_059, 60).is_none());
        assert!(one.with_claim("x", 1_060, 60).is_some());
    }

    #[test]
    fn ten_mails_go_to_an_address_in_any_24_hours() {
        let ten = mailings((0..10).map(|n| 1_000 + n * 60));

        assert!(ten.with_claim("x", 1_000 + DAY - 1, 60).is_none());
        let eleventh = ten.with_claim("x", 1_000 + DAY, 60).unwrap();
        assert_eq!(eleventh.recent.len(), 10);
        assert!(eleventh.with_claim("x", 1_000 + DAY + 59, 60).is_none());
        assert!(eleventh.with_claim("x", 1_000 + DAY + 60, 60).is_some());
    }

    #[test]
    fn an_undeliverable_address_gets_no_mail_whatever_the_cooldown() {
        let undeliverable = Mailings {
            undeliverable: true,
            ..mailings([1_000])
        };

        assert!(undeliverable.with_claim("x", 9_000, 60).is_none());
        assert!(undeliverable.with_claim("x", 9_000, 0).is_none());
        assert!(undeliverable.with_notice("x", 9_000, 60).is_none());
    }

    #[test]
    fn no_cooldown_lifts_both_limits() {
        let ten = mailings([1_000; 10]);

        assert_eq!(ten.with_claim("x", 1_000, 0).unwrap().recent.len(), 10);
    }
}
