//! The users' table, and the life of a row.
//!
//! ```text
//!            sign-up              sign-up               both passwords, or the cookie
//!   absent ──────────▶ waiting ──────────▶ contested ─────────────────────▶ confirmed
//!     ▲                  │ │                  │                               ▲
//!     │     expired      │ └──────────────────┼───────────────────────────────┘
//!     └──────────────────┴────────────────────┘   link + cookie, or a password
//! ```
//!
//! What holds at all times, whatever runs at once, fails or is repeated:
//!
//! 1. A confirmed row stays confirmed. Its password is one that a reader of its mailbox has shown to know or has chosen
//!    (with `CONFIRM_ON=visit`: or that of the only sign-up, if somebody opened its link).
//! 2. A sign-up never changes a row but to make it contested. Nothing replaces a row but a confirmed change of address, and
//!    that replaces waiting rows only.
//! 3. A link acts only on the row that it was made for: none that is younger than the link.
//! 4. Every write is conditional, and is recognised if it is repeated because its answer was lost.
//! 5. Attributes that are not ours are never touched.

pub mod change;
mod confirm;
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

/// How long an unconfirmed row outlives its last link: seconds.
const GRACE: u64 = 7 * 86_400;

/// `:true` must be given.
const NOT_CONFIRMED: &str = "attribute_not_exists(email_confirmed) OR email_confirmed <> :true";

/// `:now` must be given.
const NOT_EXPIRED: &str = "attribute_not_exists(expires_at) OR expires_at >= :now";

/// `:created_before` and `:string` must be given: RFC 3339 texts compare as times do, and other code may have put something else
/// there.
const NOT_YOUNGER_THAN_LINK: &str = "attribute_not_exists(created_at) OR created_at <= :created_before OR \
                                     (NOT attribute_type(created_at, :string))";

/// A row of the first version that only remembers mails, and is nobody's.
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

    /// When an unconfirmed row expires whose last sign-up or mail is of `now`.
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
