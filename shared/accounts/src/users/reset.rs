//! A new password for the mailbox's reader.

use passwords::PasswordHash;

use crate::clock;
use crate::links::{LEEWAY, ResetLink};
use crate::table::{TRUE, Written, number, read_text, text};
use crate::texts::Language;
use crate::unavailable::Unavailable;
use crate::users::user::User;
use crate::users::{NOT_CONFIRMED, NOT_EXPIRED, NOT_YOUNGER_THAN_LINK, RESERVED, Users, time};

/// What setting a password came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    Done,
    /// The row has changed since it was read.
    Overtaken,
}

impl Users {
    /// The user whose password this link can set.
    pub async fn find_for_reset(&self, link: &ResetLink) -> Result<Option<User>, Unavailable> {
        let user = self.find(&link.email).await?;
        Ok(user.filter(|user| user.is_of_reset_link(link.date_signed)))
    }

    /// Sets the password of `user`, as it was found, and confirms an unconfirmed address: one write. It ends a pending change
    /// of address.
    pub async fn reset(
        &self,
        link: &ResetLink,
        user: &User,
        password: &PasswordHash,
        locale: Language,
    ) -> Result<Reset, Unavailable> {
        let now = clock::now();
        let date_signed = link.date_signed;
        let update = self
            .table
            .update(link.email.as_str())
            .set("password_hash", text(password.as_str()))
            .set("password_changed_at", time(now.max(date_signed)))
            .remove(&["email_change", "expires_at", "contested", "sign_up"])
            .only_if(format!("attribute_exists(email) AND NOT ({RESERVED})"))
            .only_if(NOT_YOUNGER_THAN_LINK)
            // An account that moved to this address is younger than links for the row that was waiting here before.
            .only_if(
                "attribute_not_exists(email_changed) OR attribute_not_exists(confirmed_at) OR \
                 confirmed_at <= :created_before OR (NOT attribute_type(confirmed_at, :string))",
            )
            .only_if(
                "attribute_not_exists(password_changed_at) OR password_changed_at < :signed OR \
                 (NOT attribute_type(password_changed_at, :string))",
            )
            .value(":string", text("S"))
            .value(":created_before", time(date_signed.saturating_add(LEEWAY)))
            .value(":signed", time(date_signed))
            .value(":true", TRUE);
        let update = if user.is_confirmed() {
            update.only_if("email_confirmed = :true")
        } else {
            update
                .set_to("email_confirmed", ":true")
                .set("confirmed_at", time(now))
                .set("locale", text(locale.tag()))
                .only_if(NOT_EXPIRED)
                .only_if(NOT_CONFIRMED)
                .value(":now", number(now))
        };
        match update.send().await? {
            Written::Done => Ok(Reset::Done),
            // Our own write, whose answer was lost.
            Written::Refused(Some(row))
                if read_text(&row, "password_hash") == Some(password.as_str()) =>
            {
                Ok(Reset::Done)
            }
            Written::Refused(_) => Ok(Reset::Overtaken),
        }
    }

    /// The time that a new reset link for `user` gets: after the last change of the password, which ends all older links.
    pub fn reset_date(user: &User) -> u64 {
        let after_change = user
            .password_changed_at
            .map_or(0, |changed_at| changed_at + 1);
        clock::now().max(after_change)
    }
}
