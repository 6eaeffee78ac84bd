//! The pages. Designers edit `templates/pages`; what stands in braces is escaped.

use addresses::EmailAddress;
use askama::Template;
use passwords::MIN_LENGTH;

use crate::site::Site;
use crate::texts::{Language, Texts};
use crate::web::problem::{FieldError, Problem};

/// The style sheet, in the team's colour.
#[derive(Template)]
#[template(path = "pages/style.css", escape = "none")]
struct Style<'a> {
    site: &'a Site,
}

/// A page: its title, and which one it is.
#[derive(Template)]
#[template(path = "pages/page.html")]
struct Page<'a> {
    site: &'a Site,
    language: Language,
    texts: &'static Texts,
    style: String,
    title: &'a str,
    content: Content<'a>,
    errors: Errors<'a>,
}

/// The errors of a form.
#[derive(Clone, Copy)]
struct Errors<'a> {
    fields: &'a [FieldError],
    site: &'a Site,
    texts: &'static Texts,
}

impl Errors<'_> {
    fn of(&self, field: &str) -> Option<String> {
        let error = self.fields.iter().find(|error| error.field == field)?;
        Some(error.cause.text(self.texts, self.site).into_owned())
    }
}

/// What a page shows.
pub enum Content<'a> {
    SignUp {
        email: &'a str,
    },
    Created,
    /// Asks for the password that was signed up with.
    Password {
        email: &'a EmailAddress,
    },
    /// Takes a new password, typed twice.
    ChoosePassword {
        email: &'a EmailAddress,
        why: WhyChoose,
    },
    Confirmed,
    Expired,
    ChangeEmail {
        email: &'a str,
        new_email: &'a str,
    },
    /// Asks for the password of the account whose address is to change.
    ChangeLink {
        account: &'a EmailAddress,
        new_email: &'a EmailAddress,
    },
    AskForReset {
        email: &'a str,
    },
    NewPassword {
        email: &'a EmailAddress,
    },
    Problem(Problem),
}

/// Why a new password may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyChoose {
    /// There was more than one sign-up.
    Contested,
    /// The password that was tried is not that of the sign-up.
    Wrong,
    /// There is none yet.
    First,
}

impl Content<'_> {
    /// Whether it is a form that causes a mail, which has the challenge.
    pub fn has_challenge(&self) -> bool {
        matches!(
            self,
            Self::SignUp { .. }
                | Self::Expired
                | Self::ChangeEmail { .. }
                | Self::AskForReset { .. }
        )
    }

    fn title(&self, texts: &Texts) -> &'static str {
        match self {
            Self::SignUp { .. } => texts.sign_up_title,
            Self::Created => texts.created_title,
            Self::Password { .. } => texts.password_title,
            Self::ChoosePassword { .. } => texts.choose_title,
            Self::Confirmed => texts.confirmed_title,
            Self::Expired => texts.expired_title,
            Self::ChangeEmail { .. } => texts.change_title,
            Self::ChangeLink { .. } => texts.change_link_title,
            Self::AskForReset { .. } => texts.reset_title,
            Self::NewPassword { .. } => texts.new_password_title,
            Self::Problem(problem) => problem.title(texts),
        }
    }
}

/// The page with this content, and the errors of its form.
pub fn render(
    site: &Site,
    language: Language,
    content: Content<'_>,
    errors: &[FieldError],
) -> String {
    let texts = language.texts();
    // Rendering writes into memory and calls nothing that fails.
    Page {
        site,
        language,
        texts,
        style: style(site),
        title: content.title(texts),
        content,
        errors: Errors {
            fields: errors,
            site,
            texts,
        },
    }
    .render()
    .unwrap_or_default()
}

/// The style sheet of every page.
pub fn style(site: &Site) -> String {
    Style { site }.render().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use addresses::InvalidEmailAddress;

    use super::*;
    use crate::web::problem::Cause;

    #[test]
    fn what_was_typed_is_escaped_and_each_error_is_beside_its_field() {
        let error = FieldError {
            field: "email",
            cause: Cause::Email(InvalidEmailAddress::NoAt),
        };
        let content = Content::SignUp {
            email: "\"><script>alert(1)</script>",
        };

        let html = render(&Site::example(), Language::En, content, &[error]);

        assert!(!html.contains("<script"));
        assert!(html.contains("aria-invalid=\"true\" aria-describedby=\"email-error\""));
        assert!(html.contains("id=\"email-error\" role=\"alert\">Enter an address like"));
        assert!(!html.contains("id=\"password-error\""));
    }
}
