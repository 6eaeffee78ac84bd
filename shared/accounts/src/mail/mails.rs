//! What the mails say. Designers edit `templates/mails`; what stands in braces is escaped in the HTML parts.

use addresses::EmailAddress;
use askama::Template;

use crate::clock;
use crate::site::Site;
use crate::texts::{Language, Texts};

/// A mail: one subject and one text, in two formats.
pub struct Mail {
    /// One line.
    pub subject: String,
    pub html: String,
    pub text: String,
}

/// What a mail consists of, in this order; the templates put it together.
struct Letter {
    subject: String,
    before: Vec<String>,
    button: Option<Button>,
    after: Vec<String>,
}

/// A link, as a button and to be copied.
struct Button {
    label: &'static str,
    url: String,
}

#[derive(Template)]
#[template(path = "mails/mail.html")]
struct Html<'a> {
    site: &'a Site,
    language: Language,
    texts: &'static Texts,
    letter: &'a Letter,
}

#[derive(Template)]
#[template(path = "mails/mail.txt", escape = "none")]
struct Text<'a> {
    site: &'a Site,
    texts: &'static Texts,
    letter: &'a Letter,
}

/// Writes mails in one language.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    pub site: &'a Site,
    pub language: Language,
}

impl Writer<'_> {
    /// The link that confirms an address; `signed_up` and `max_age` in seconds.
    pub fn confirm(self, email: &EmailAddress, url: String, signed_up: u64, max_age: u64) -> Mail {
        let texts = self.language.texts();
        self.write(Letter {
            subject: texts.confirm_subject(&self.site.app_name),
            before: vec![texts.confirm_text(&self.site.app_name)],
            button: Some(Button::new(texts.confirm_button, url)),
            after: vec![
                texts.confirm_lifetime(&self.language.duration(max_age)),
                texts.confirm_when(email.as_str(), &self.language.time(signed_up)),
            ],
        })
    }

    /// To an address that has an account: no token, only the ways to sign in and to a new password.
    pub fn account_exists(self, email: &EmailAddress) -> Mail {
        let texts = self.language.texts();
        self.write(Letter {
            subject: texts.account_exists_subject(&self.site.app_name),
            before: vec![texts.account_exists_text(email.as_str(), &self.now())],
            button: Some(Button::new(
                texts.sign_in_button,
                self.site.sign_in_url.clone(),
            )),
            after: vec![
                self.way_to_a_new_password(texts.account_exists_forgot),
                texts.not_you.to_owned(),
            ],
        })
    }

    /// To the new address: the link that makes it the account's.
    pub fn confirm_change(
        self,
        account: &EmailAddress,
        new: &EmailAddress,
        url: String,
        max_age: u64,
    ) -> Mail {
        let texts = self.language.texts();
        let text = texts.confirm_change_text(&account.masked(), new.as_str(), &self.now());
        self.write(Letter {
            subject: texts.confirm_change_subject(&self.site.app_name),
            before: vec![text],
            button: Some(Button::new(texts.confirm_change_button, url)),
            after: vec![
                texts.confirm_lifetime(&self.language.duration(max_age)),
                texts.confirm_change_not_you.to_owned(),
            ],
        })
    }

    /// To an account's owner, when a change of address is asked for.
    pub fn change_requested(self, email: &EmailAddress) -> Mail {
        let texts = self.language.texts();
        self.write(Letter {
            subject: texts.change_requested_subject(&self.site.app_name),
            before: vec![texts.change_requested_text(email.as_str(), &self.now())],
            button: None,
            after: vec![self.way_to_a_new_password(texts.change_requested_not_you)],
        })
    }

    /// To the old address, when the account leaves it.
    pub fn changed(self, old: &EmailAddress) -> Mail {
        let texts = self.language.texts();
        self.write(Letter {
            subject: texts.changed_subject(&self.site.app_name),
            before: vec![texts.changed_text(old.as_str(), &self.now())],
            button: None,
            after: vec![texts.changed_not_you(&self.site.support_email)],
        })
    }

    /// To an address that somebody wanted for another account: no token.
    pub fn address_taken(self, email: &EmailAddress) -> Mail {
        let texts = self.language.texts();
        self.write(Letter {
            subject: texts.address_taken_subject(&self.site.app_name),
            before: vec![texts.address_taken_text(email.as_str(), &self.now())],
            button: None,
            after: vec![texts.not_you.to_owned()],
        })
    }

    /// The link that sets a password.
    pub fn reset(self, email: &EmailAddress, url: String, max_age: u64) -> Mail {
        let texts = self.language.texts();
        self.write(Letter {
            subject: texts.reset_subject(&self.site.app_name),
            before: vec![texts.reset_mail_text(email.as_str(), &self.now())],
            button: Some(Button::new(texts.reset_mail_button, url)),
            after: vec![
                texts.confirm_lifetime(&self.language.duration(max_age)),
                texts.not_you.to_owned(),
            ],
        })
    }

    /// To an address without an account for which a new password was asked.
    pub fn no_account(self, email: &EmailAddress) -> Mail {
        let texts = self.language.texts();
        self.write(Letter {
            subject: texts.no_account_subject(&self.site.app_name),
            before: vec![
                texts.no_account_text(email.as_str(), &self.now()),
                texts.no_account_hint.to_owned(),
            ],
            button: Some(Button::new(
                texts.no_account_button,
                self.site.url("/accounts/create"),
            )),
            after: vec![texts.not_you.to_owned()],
        })
    }

    /// To an account's owner, when a new password is set.
    pub fn password_changed(self, email: &EmailAddress) -> Mail {
        let texts = self.language.texts();
        self.write(Letter {
            subject: texts.password_changed_subject(&self.site.app_name),
            before: vec![texts.password_changed_text(email.as_str(), &self.now())],
            button: None,
            after: vec![self.way_to_a_new_password(texts.password_changed_not_you)],
        })
    }

    fn now(self) -> String {
        self.language.time(clock::now())
    }

    fn way_to_a_new_password(self, text: &str) -> String {
        // On a line of its own, so that it reads well from right to left too and can be copied alone.
        format!("{text}\n{}", self.site.url("/accounts/password"))
    }

    fn write(self, letter: Letter) -> Mail {
        let (site, language) = (self.site, self.language);
        let texts = language.texts();
        // Rendering writes into memory and calls nothing that fails.
        let html = Html {
            site,
            language,
            texts,
            letter: &letter,
        };
        let text = Text {
            site,
            texts,
            letter: &letter,
        };
        Mail {
            html: html.render().unwrap_or_default(),
            text: text.render().unwrap_or_default(),
            subject: letter.subject,
        }
    }
}

impl Button {
    fn new(label: &'static str, url: String) -> Self {
        Self { label, url }
    }
}

/// A text for the HTML part, split around its web address, so that the address becomes a link.
pub(crate) fn pieces(text: &str) -> (&str, Option<&str>) {
    let start = ["https://", "http://"]
        .iter()
        .filter_map(|scheme| text.find(scheme))
        .min();
    match start {
        Some(start) => {
            let (before, url) = text.split_at(start);
            (before, Some(url))
        }
        None => (text, None),
    }
}
