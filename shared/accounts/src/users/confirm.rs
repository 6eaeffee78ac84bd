//! Confirming an address.

use addresses::EmailAddress;
use passwords::PasswordHash;

use crate::clock;
use crate::links::LEEWAY;
use crate::table::{Item, TRUE, Written, number, read_text, text};
use crate::texts::Language;
use crate::unavailable::Unavailable;
use crate::users::user::User;
use crate::users::{NOT_CONFIRMED, NOT_EXPIRED, NOT_YOUNGER_THAN_LINK, RESERVED, Users, time};

/// What proves, beside the link, that the password belongs to the mailbox's reader.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// Nothing: anybody who opens the link is trusted, unless the row is contested.
    Link,
    /// The cookie of the sign-up with this id.
    SignUp(&'a str),
    /// The password behind this hash was typed.
    Password(&'a str),
    /// A new password was chosen.
    NewPassword(&'a PasswordHash),
}

/// What following a link came to.
#[derive(Debug)]
pub enum Confirmation {
    Done,
    /// Another request was quicker, or the link was followed again.
    DoneBefore,
    /// The proof is not sufficient for the row in its state.
    NotProved(User),
    /// There is no such user: never made, gone, or made after the link.
    NoUser,
}

impl Users {
    /// Confirms an address, for a link made at `date_signed` (epoch seconds) and opened by somebody who reads `locale`, in the
    /// network that `from` stands for: one write, no read.
    pub async fn confirm(
        &self,
        email: &EmailAddress,
        date_signed: u64,
        proof: Proof<'_>,
        locale: Language,
        from: &str,
    ) -> Result<Confirmation, Unavailable> {
        let now = clock::now();
        let update = self
            .table
            .update(email.as_str())
            .set_to("email_confirmed", ":true")
            .set("confirmed_at", time(now))
            .set("confirmed_from", text(from))
            .set("locale", text(locale.tag()))
            .remove(&["expires_at", "contested", "sign_up"])
            .only_if(NOT_EXPIRED)
            .only_if(NOT_YOUNGER_THAN_LINK)
            .only_if(NOT_CONFIRMED)
            .value(":true", TRUE)
            .value(":now", number(now))
            .value(":string", text("S"))
            .value(":created_before", time(date_signed.saturating_add(LEEWAY)));
        let update = match proof {
            Proof::Link => update
                .only_if("attribute_exists(password_hash)")
                .only_if("attribute_not_exists(contested) OR contested <> :true"),
            Proof::SignUp(id) => update
                .only_if("attribute_exists(password_hash) AND sign_up = :sign_up")
                .value(":sign_up", text(id)),
            Proof::Password(hash) => update
                .only_if("password_hash = :password")
                .value(":password", text(hash)),
            Proof::NewPassword(hash) => update
                .only_if(format!("attribute_exists(email) AND NOT ({RESERVED})"))
                .set("password_hash", text(hash.as_str()))
                .set("password_changed_at", time(now)),
        };
        match update.send().await? {
            Written::Done => Ok(Confirmation::Done),
            Written::Refused(None) => Ok(Confirmation::NoUser),
            Written::Refused(Some(row)) => self.refused(email, date_signed, proof, &row, now).await,
        }
    }

    /// The result of a confirmation that the row's state did not allow.
    async fn refused(
        &self,
        email: &EmailAddress,
        date_signed: u64,
        proof: Proof<'_>,
        row: &Item,
        now: u64,
    ) -> Result<Confirmation, Unavailable> {
        let Some(user) = User::from_item(row, now).filter(|user| user.is_of_link(date_signed))
        else {
            return Ok(Confirmation::NoUser);
        };
        if !user.is_confirmed() {
            return Ok(Confirmation::NotProved(user));
        }
        // Our own write, whose answer was lost.
        if let Proof::NewPassword(hash) = proof
            && read_text(row, "password_hash") == Some(hash.as_str())
        {
            return Ok(Confirmation::Done);
        }
        self.keep_confirmed(email, &user).await?;
        Ok(Confirmation::DoneBefore)
    }

    /// Removes an expiry that other code left when it confirmed the row. DynamoDB would delete the user by it.
    pub async fn keep_confirmed(
        &self,
        email: &EmailAddress,
        user: &User,
    ) -> Result<(), Unavailable> {
        if !user.expires {
            return Ok(());
        }
        let update = self
            .table
            .update(email.as_str())
            .remove(&["expires_at"])
            .only_if("email_confirmed = :true")
            .value(":true", TRUE);
        update.send().await.map(|_| ())
    }
}
