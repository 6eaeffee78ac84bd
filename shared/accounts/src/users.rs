//! The users' table, and the life of a row.
//!
//! ```text
//!            sign-up              sign-up
//!   absent ──────────▶ waiting ──────────▶ contested
//!     ▲                 │   │               │   │
//!     └──── expired ────┴───┼───────────────┘   │
//!                           ▼                   │
//!                       confirmed ◀─────────────┘
//! ```
//!
//! A link confirms together with the cookie of the sign-up that made the row, with the row's password, or with a new password
//! typed twice. With `CONFIRM_ON=visit` it confirms alone, unless the row is contested. A reset link confirms with a new password.
//!
//! Invariants, whatever runs at once, fails or is repeated:
//!
//! 1. A confirmed row stays confirmed. A reader of its mailbox has chosen its password or has shown to know it (with
//!    `CONFIRM_ON=visit` it may also be the password of the only sign-up, once somebody has opened its link).
//! 2. A sign-up changes an existing row in one way only: it makes the row contested. Only a confirmed change of address
//!    replaces a row, and only a waiting one.
//! 3. A link acts only on the row that it was made for, never on one that is younger than the link.
//! 4. Every write is conditional. If it is repeated because its answer was lost, it is recognised or changes nothing.
//! 5. Attributes that are not ours are never touched.

pub mod change;
mod confirm;
mod moved;
mod reset;
mod sign_up;
pub mod user;

use addresses::EmailAddress;
use aws_sdk_dynamodb::Client;

pub use self::confirm::{Confirmation, Proof};
pub use self::reset::Reset;
pub use self::sign_up::{Created, NewUser};
use self::user::User;
use crate::clock;
use crate::settings::{Environment, InvalidSetting};
pub use crate::table::ROUNDS;
use crate::table::{Item, Table, text};
use crate::unavailable::Unavailable;

/// How long an unconfirmed row is kept after its last link has expired: seconds.
const GRACE: u64 = 7 * 86_400;

/// `:true` must be given.
const NOT_CONFIRMED: &str = "attribute_not_exists(email_confirmed) OR email_confirmed <> :true";

/// `:now` must be given.
const NOT_EXPIRED: &str = "attribute_not_exists(expires_at) OR expires_at >= :now";

/// `:created_before` and `:string` must be given. RFC 3339 texts compare as times do. Other code may have put another type
/// there.
const NOT_YOUNGER_THAN_LINK: &str = "attribute_not_exists(created_at) OR created_at <= :created_before OR \
                                     (NOT attribute_type(created_at, :string))";

/// A row of the first version that only counts mails and belongs to no user.
const RESERVED: &str = "attribute_exists(mail_claim) AND attribute_not_exists(user_id) AND \
                        attribute_not_exists(password_hash)";

/// The users.
pub struct Users {
    table: Table,
    /// Seconds that a confirmation link lives.
    max_age: u64,
}

impl Users {
    /// Reads `USERS_TABLE`; `max_age` is that of confirmation links, in seconds.
    pub fn from_env(
        environment: &Environment,
        client: &Client,
        max_age: u64,
    ) -> Result<Self, InvalidSetting> {
        Ok(Self {
            table: Table::from_env(environment, client, "USERS_TABLE", "email")?,
            max_age,
        })
    }

    /// Opens the connection that the first request will use. If that fails, the request opens it.
    pub fn open_connection(&self) -> impl Future<Output = ()> + use<> {
        self.table.open_connection()
    }

    /// The user with this address.
    pub async fn find(&self, email: &EmailAddress) -> Result<Option<User>, Unavailable> {
        let item = self.table.get(email.as_str()).await?;
        Ok(item.and_then(|item| User::from_item(&item, clock::now())))
    }

    /// When an unconfirmed row expires if its last sign-up or mail is at `now`.
    fn expiry(&self, now: u64) -> u64 {
        now.saturating_add(self.max_age).saturating_add(GRACE)
    }
}

fn item<const N: usize>(attributes: [(&str, aws_sdk_dynamodb::types::AttributeValue); N]) -> Item {
    attributes
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

fn time(seconds: u64) -> aws_sdk_dynamodb::types::AttributeValue {
    text(&clock::rfc3339(seconds))
}
