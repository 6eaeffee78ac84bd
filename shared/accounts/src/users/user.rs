//! A user, as an item of the table holds one.

use crate::clock;
use crate::links::LEEWAY;
use crate::table::{Item, is_true, read_number, read_text};
use crate::texts::Language;

/// What the service reads of a row. An expired row counts as absent, although DynamoDB may keep it for days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub state: State,
    /// The PHC string of the password, or what other code put in its place. A secret.
    pub password_hash: Option<PasswordHashText>,
    /// The id, which survives a change of address; rows of other code may have none.
    pub user_id: Option<String>,
    /// Epoch seconds.
    pub password_changed_at: Option<u64>,
    /// Epoch seconds; `None` in a row of other code that does not say.
    pub created_at: Option<u64>,
    /// The id of the sign-up that made the row, until it is confirmed.
    pub sign_up: Option<String>,
    /// The network that the address was confirmed from, as the limits note networks.
    pub confirmed_from: Option<String>,
    /// Epoch seconds.
    pub confirmed_at: Option<u64>,
    /// The language of mails to the address.
    pub locale: Option<Language>,
    pub undeliverable: Option<Undeliverable>,
    /// Whether the row has an expiry, after which DynamoDB deletes it.
    pub expires: bool,
    /// Whether the account has come here from another address.
    pub has_moved: bool,
    /// How many attributes the row has, those of other code included, and a pending change of address left out.
    pub attributes: usize,
}

/// Where a user is on the way to a confirmed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Made by other code, without a password yet.
    Invited,
    /// One sign-up, whose link confirms.
    Waiting,
    /// More than one sign-up: only the mailbox's reader may choose the password.
    Contested,
    Confirmed,
}

/// Why mail does not reach the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undeliverable {
    Bounce,
    Complaint,
}

/// A stored hash. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHashText(String);

impl PasswordHashText {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PasswordHashText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHashText(..)")
    }
}

impl User {
    /// Reads an item. `None` if it is no user: expired at `now`, or a row of the first version that only counts mails.
    pub fn from_item(item: &Item, now: u64) -> Option<Self> {
        let is_reserved = item.contains_key("mail_claim")
            && !item.contains_key("user_id")
            && !item.contains_key("password_hash");
        let state = match (
            is_true(item, "email_confirmed"),
            is_true(item, "contested"),
            item.contains_key("password_hash"),
        ) {
            (true, _, _) => State::Confirmed,
            (false, _, false) if is_reserved => return None,
            (false, _, false) => State::Invited,
            (false, true, true) => State::Contested,
            (false, false, true) => State::Waiting,
        };
        let has_expired =
            read_number(item, "expires_at").is_some_and(|expires_at| expires_at < now);
        if state != State::Confirmed && has_expired {
            return None;
        }
        let time = |name| clock::parse_rfc3339(read_text(item, name)?);
        Some(Self {
            state,
            password_hash: read_text(item, "password_hash")
                .map(|hash| PasswordHashText(hash.to_owned())),
            user_id: read_text(item, "user_id").map(str::to_owned),
            password_changed_at: time("password_changed_at"),
            created_at: time("created_at"),
            sign_up: read_text(item, "sign_up").map(str::to_owned),
            confirmed_from: read_text(item, "confirmed_from").map(str::to_owned),
            confirmed_at: time("confirmed_at"),
            locale: read_text(item, "locale").and_then(Language::from_tag),
            undeliverable: match (
                read_text(item, "undeliverable"),
                is_true(item, "undeliverable"),
            ) {
                (Some("complaint"), _) | (_, true) => Some(Undeliverable::Complaint),
                (Some("bounce"), _) => Some(Undeliverable::Bounce),
                _ => None,
            },
            expires: item.contains_key("expires_at"),
            has_moved: item.contains_key("email_changed"),
            attributes: item.len() - usize::from(item.contains_key("email_change")),
        })
    }

    /// Whether a token made at `date_signed` is for this row, and not for an earlier one of the same address.
    pub fn is_of_link(&self, date_signed: u64) -> bool {
        let is_before_link = |time| time <= date_signed.saturating_add(LEEWAY);
        self.created_at.is_none_or(is_before_link)
    }

    /// Whether a reset token made at `date_signed` is for this account: not for a row that was waiting here before the
    /// account moved here, and not for an earlier password.
    pub fn is_of_reset_link(&self, date_signed: u64) -> bool {
        let is_before_link = |time| time <= date_signed.saturating_add(LEEWAY);
        let was_here = !self.has_moved || self.confirmed_at.is_none_or(is_before_link);
        let is_newest = |changed_at| changed_at < date_signed;
        was_here && self.is_of_link(date_signed) && self.password_changed_at.is_none_or(is_newest)
    }

    pub fn is_confirmed(&self) -> bool {
        self.state == State::Confirmed
    }

    /// Whether the row waits for its confirmation by a link.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting | State::Contested)
    }

    pub fn has_complained(&self) -> bool {
        self.undeliverable == Some(Undeliverable::Complaint)
    }

    /// The stored hash's text, for a check of a password.
    pub fn password_hash(&self) -> Option<&str> {
        self.password_hash.as_ref().map(PasswordHashText::as_str)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;
    use crate::table::{TRUE, number, text};

    const NOW: u64 = 1_700_000_000;

    fn user(attributes: &[(&str, AttributeValue)]) -> Option<User> {
        let item = attributes.iter().cloned();
        let item = item.map(|(name, value)| (name.to_owned(), value)).collect();
        User::from_item(&item, NOW)
    }

    #[test]
    fn a_row_of_the_first_version_that_only_remembers_mails_is_nobodys() {
        assert_eq!(user(&[("mail_claim", text("x"))]), None);

        let invited = user(&[("role", text("admin"))]).unwrap();
        assert_eq!(invited.state, State::Invited);
        let invited = user(&[("mail_claim", text("x")), ("user_id", text("1"))]).unwrap();
        assert_eq!(invited.state, State::Invited);
    }

    #[test]
    fn only_an_unconfirmed_row_expires() {
        let (hash, past) = (
            ("password_hash", text("x")),
            ("expires_at", number(NOW - 1)),
        );

        assert_eq!(user(&[hash.clone(), past.clone()]), None);
        assert!(user(&[hash.clone(), ("expires_at", number(NOW))]).is_some());
        assert!(user(&[hash, past, ("email_confirmed", TRUE)]).is_some());
    }

    #[test]
    fn the_first_versions_undeliverable_counts_as_a_complaint() {
        let undeliverable = |value| user(&[("undeliverable", value)]).unwrap().undeliverable;

        assert_eq!(undeliverable(TRUE), Some(Undeliverable::Complaint));
        assert_eq!(
            undeliverable(text("complaint")),
            Some(Undeliverable::Complaint)
        );
        assert_eq!(undeliverable(text("bounce")), Some(Undeliverable::Bounce));
        assert_eq!(undeliverable(text("?")), None);
    }

    #[test]
    fn a_link_is_for_rows_that_are_no_younger() {
        let user = user(&[("created_at", text("2023-11-14T22:13:20Z"))]).unwrap();

        assert!(user.is_of_link(NOW));
        assert!(user.is_of_link(NOW - LEEWAY));
        assert!(!user.is_of_link(NOW - LEEWAY - 1));
    }
}
