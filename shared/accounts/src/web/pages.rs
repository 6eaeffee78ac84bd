//! The pages. Designers edit `templates/pages`; what stands in braces is escaped.

use askama::Template;

use crate::site::Site;
use crate::web::answer::{FieldError, Problem};

/// The hash of the style sheet in `templates/pages/page.html`, for the content security policy (CSP Level 3, 2.3.1).
pub const STYLE_HASH: &str = "sha256-JEb0f2FV8BAil2rZnHHFWKSScIDpAkar3F46TmAL8Xc=";

/// The errors of a form, by field.
#[derive(Clone, Copy)]
struct Errors<'a>(&'a [FieldError]);

impl Errors<'_> {
    fn of(&self, field: &str) -> Option<&'static str> {
        self.0
            .iter()
            .find(|error| error.field == field)
            .map(|error| error.advice)
    }
}

/// A page: its title, and which one it is.
#[derive(Template)]
#[template(path = "pages/page.html")]
struct Page<'a> {
    site: &'a Site,
    title: &'a str,
    content: Content<'a>,
}

enum Content<'a> {
    SignUp {
        email: &'a str,
        errors: Errors<'a>,
    },
    Created,
    Confirm,
    ChoosePassword {
        errors: Errors<'a>,
    },
    Confirmed,
    Expired,
    ChangeEmail {
        email: &'a str,
        new_email: &'a str,
        errors: Errors<'a>,
    },
    Problem {
        advice: &'a str,
    },
}

fn page(site: &Site, title: &str, content: Content<'_>) -> String {
    // Rendering writes into memory and calls nothing that fails.
    Page {
        site,
        title,
        content,
    }
    .render()
    .unwrap_or_default()
}

/// The sign-up form, with what was typed and what is wrong with it.
#[must_use]
pub fn sign_up(site: &Site, email: &str, errors: &[FieldError]) -> String {
    page(
        site,
        "Create your account",
        Content::SignUp {
            email,
            errors: Errors(errors),
        },
    )
}

/// "Look into your inbox".
#[must_use]
pub fn created(site: &Site) -> String {
    page(site, "Look into your inbox", Content::Created)
}

/// The button that confirms.
#[must_use]
pub fn confirm(site: &Site) -> String {
    page(site, "Confirm your address", Content::Confirm)
}

/// The form that chooses a password and confirms.
#[must_use]
pub fn choose_password(site: &Site, errors: &[FieldError]) -> String {
    page(
        site,
        "Choose your password",
        Content::ChoosePassword {
            errors: Errors(errors),
        },
    )
}

/// "Your address is confirmed".
#[must_use]
pub fn confirmed(site: &Site) -> String {
    page(site, "Your address is confirmed", Content::Confirmed)
}

/// The button that sends a fresh link.
#[must_use]
pub fn expired(site: &Site) -> String {
    page(site, "This link has expired", Content::Expired)
}

/// The form that asks for another address.
#[must_use]
pub fn change_email(site: &Site, email: &str, new_email: &str, errors: &[FieldError]) -> String {
    page(
        site,
        "Change your address",
        Content::ChangeEmail {
            email,
            new_email,
            errors: Errors(errors),
        },
    )
}

/// A refusal.
#[must_use]
pub fn problem(site: &Site, problem: &Problem) -> String {
    page(
        site,
        problem.title,
        Content::Problem {
            advice: problem.advice,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn the_policy_knows_the_style_sheet() {
        let html = confirmed(&Site::example());
        let style = html
            .split_once("<style>")
            .unwrap()
            .1
            .split_once("</style>")
            .unwrap()
            .0;

        assert_eq!(
            format!("sha256-{}", STANDARD.encode(Sha256::digest(style))),
            STYLE_HASH
        );
    }

    #[test]
    fn what_was_typed_is_escaped_and_each_error_is_beside_its_field() {
        let error = FieldError {
            field: "email",
            advice: "Enter an address.",
        };

        let html = sign_up(&Site::example(), "\"><script>alert(1)</script>", &[error]);

        assert!(!html.contains("<script"));
        assert!(html.contains("aria-invalid=\"true\" aria-describedby=\"email-error\""));
        assert!(html.contains("id=\"email-error\" role=\"alert\">Enter an address.</p>"));
        assert!(!html.contains("id=\"password-error\""));
    }
}
