//! What the mails say. Designers edit `templates/mails`; what stands in braces is escaped in the HTML parts.

use askama::Template;

use crate::clock;
use crate::site::Site;

/// A mail: one subject and one text, in two formats.
pub struct Mail {
    /// The subject: one line.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The text part.
    pub text: String,
}

/// The parts of which every mail is made; the templates put them together.
#[derive(Template)]
#[template(path = "mails/mail.html")]
struct Html<'a> {
    site: &'a Site,
    subject: &'a str,
    content: &'a Content<'a>,
}

/// The same as text.
#[derive(Template)]
#[template(path = "mails/mail.txt", escape = "none")]
struct Text<'a> {
    site: &'a Site,
    content: &'a Content<'a>,
}

/// What differs from mail to mail.
enum Content<'a> {
    /// The link that confirms an address somebody has signed up with.
    Confirm {
        url: &'a str,
        when: String,
        lifetime: String,
    },
    /// Somebody has signed up with an address that has an account.
    AccountExists { when: String },
    /// The link that makes this address an account's.
    ConfirmChange {
        url: &'a str,
        when: String,
        lifetime: String,
    },
    /// To the old address: somebody asks for another one.
    ChangeRequested { when: String },
    /// To the old address: the account has another one now.
    Changed { when: String },
    /// To an address that has an account: somebody wanted it for another.
    AddressTaken { when: String },
}

impl Mail {
    /// The link that confirms an address; `signed_up` and `max_age` in seconds.
    #[must_use]
    pub fn confirm(site: &Site, url: &str, signed_up: u64, max_age: u64) -> Self {
        let content = Content::Confirm {
            url,
            when: clock::in_words(signed_up),
            lifetime: lifetime(max_age),
        };
        Self::new(
            site,
            format!("Confirm your address for {}", site.app_name),
            &content,
        )
    }

    /// To an address that has an account: no token, only the way to sign in.
    #[must_use]
    pub fn account_exists(site: &Site, now: u64) -> Self {
        let content = Content::AccountExists {
            when: clock::in_words(now),
        };
        Self::new(
            site,
            format!("You already have an account at {}", site.app_name),
            &content,
        )
    }

    /// To the new address: the link that makes it an account's.
    #[must_use]
    pub fn confirm_change(site: &Site, url: &str, now: u64, max_age: u64) -> Self {
        let content = Content::ConfirmChange {
            url,
            when: clock::in_words(now),
            lifetime: lifetime(max_age),
        };
        Self::new(
            site,
            format!("Confirm your new address for {}", site.app_name),
            &content,
        )
    }

    /// To the old address, when a change is asked for.
    #[must_use]
    pub fn change_requested(site: &Site, now: u64) -> Self {
        let content = Content::ChangeRequested {
            when: clock::in_words(now),
        };
        Self::new(
            site,
            format!("A new address for your account at {}", site.app_name),
            &content,
        )
    }

    /// To the old address, when it has been changed.
    #[must_use]
    pub fn changed(site: &Site, now: u64) -> Self {
        let content = Content::Changed {
            when: clock::in_words(now),
        };
        Self::new(
            site,
            format!(
                "The address of your account at {} has changed",
                site.app_name
            ),
            &content,
        )
    }

    /// To an address that somebody wanted for another account: no token.
    #[must_use]
    pub fn address_taken(site: &Site, now: u64) -> Self {
        let content = Content::AddressTaken {
            when: clock::in_words(now),
        };
        Self::new(
            site,
            format!("Somebody tried to use your address at {}", site.app_name),
            &content,
        )
    }

    fn new(site: &Site, subject: String, content: &Content<'_>) -> Self {
        // Rendering writes into memory and calls nothing that fails.
        let html = Html {
            site,
            subject: &subject,
            content,
        }
        .render()
        .unwrap_or_default();
        let text = Text { site, content }.render().unwrap_or_default();
        Self {
            subject,
            html,
            text,
        }
    }
}

/// A number of seconds as people say it: the largest unit that fits without a rest.
fn lifetime(seconds: u64) -> String {
    let (count, unit) = match seconds {
        s if s % 86_400 == 0 && s > 86_400 => (s / 86_400, "day"),
        s if s % 3_600 == 0 => (s / 3_600, "hour"),
        s if s % 60 == 0 => (s / 60, "minute"),
        s => (s, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
