//! Every page, and every text of one.

use accounts::challenge::Widget;
use accounts::site::Site;
use accounts::texts::{Language, Texts};
use accounts::web::pages::{Content, WhyChoose, render};
use accounts::web::problem::{Cause, FieldError, Problem};
use addresses::{EmailAddress, InvalidEmailAddress};
use passwords::InvalidPassword;

/// A page and its name.
pub struct Page {
    pub name: String,
    pub html: String,
}

/// All of them; one of each problem and at least one of each error.
pub fn all(site: &Site, language: Language) -> Result<Vec<Page>, InvalidEmailAddress> {
    let ada = &EmailAddress::parse("ada.lovelace@example.com")?;
    let new = &EmailAddress::parse("ada@example.org")?;
    let page = |name: &str, content: Content<'_>, errors: &[FieldError]| Page {
        name: format!("{}{name}", title(&content)),
        html: render(site, language, content, errors),
    };
    let choose = |why| Content::ChoosePassword { email: ada, why };
    let change = || Content::ChangeEmail {
        email: ada.as_str(),
        new_email: new.as_str(),
    };
    let email = |cause| Cause::Email(cause);
    let mut pages = vec![
        page("", Content::SignUp { email: "" }, &[]),
        page(
            "-errors",
            Content::SignUp { email: "ada" },
            &[
                error("email", email(InvalidEmailAddress::NoAt)),
                error("password", Cause::Password(InvalidPassword::TooShort)),
            ],
        ),
        page("", Content::Created, &[]),
        page("", Content::Password { email: ada }, &[]),
        page("-contested", choose(WhyChoose::Contested), &[]),
        page("-first", choose(WhyChoose::First), &[]),
        page(
            "-wrong",
            choose(WhyChoose::Wrong),
            &[error("password", Cause::WrongSignUpPassword)],
        ),
        page(
            "-differ",
            choose(WhyChoose::Contested),
            &[error("password_again", Cause::PasswordsDiffer)],
        ),
        page("", Content::Confirmed, &[]),
        page("", Content::Expired, &[]),
        page("", change(), &[]),
        page(
            "-wrong",
            change(),
            &[
                error("email", email(InvalidEmailAddress::NoTopLevelDomain)),
                error("password", Cause::WrongPassword),
                error("new_email", Cause::SameEmail),
            ],
        ),
        page(
            "-missing",
            change(),
            &[
                error("email", email(InvalidEmailAddress::LocalPartNotAscii)),
                error("password", Cause::Missing),
                error("new_email", email(InvalidEmailAddress::Dots)),
            ],
        ),
        page(
            "-not-text",
            change(),
            &[
                error("email", email(InvalidEmailAddress::TooLong)),
                error("password", Cause::NotText),
                error("new_email", email(InvalidEmailAddress::Other)),
            ],
        ),
        page(
            "",
            Content::ChangeLink {
                account: ada,
                new_email: new,
            },
            &[],
        ),
        page("", Content::AskForReset { email: "" }, &[]),
        page("", Content::NewPassword { email: ada }, &[]),
    ];
    for (name, cause) in [
        ("-too-long", InvalidPassword::TooLong),
        ("-blank", InvalidPassword::Blank),
        ("-common", InvalidPassword::Common),
        ("-address", InvalidPassword::Address),
    ] {
        let errors = [error("password", Cause::Password(cause))];
        pages.push(page(name, Content::NewPassword { email: ada }, &errors));
    }
    for problem in PROBLEMS {
        pages.push(page(problem_name(problem), Content::Problem(problem), &[]));
    }
    pages.push(challenge(site, language));
    Ok(pages)
}

/// The form with a challenge, as people without script see it: the provider's own part is not ours to show.
fn challenge(site: &Site, language: Language) -> Page {
    let mut site = site.clone();
    site.widget = Some(Widget {
        class: "challenge",
        site_key: String::new(),
        script_url: "data:text/javascript,".to_owned(),
        sources: String::new(),
        works_in_page: true,
    });
    let errors = [error("challenge", Cause::Challenge)];
    Page {
        name: "sign-up-challenge".to_owned(),
        html: render(&site, language, Content::SignUp { email: "" }, &errors),
    }
}

/// What only clients of the JSON API are told.
pub fn messages(texts: &Texts) -> Vec<&'static str> {
    vec![
        texts.message_accepted,
        texts.message_confirmed,
        texts.message_address_changed,
        texts.message_password_set,
        texts.message_password_needed,
        texts.message_new_password_needed,
        texts.message_account_password_needed,
        texts.invalid_fields_title,
        texts.invalid_fields_detail,
        texts.expired_link_detail,
    ]
}

fn error(field: &'static str, cause: Cause) -> FieldError {
    FieldError { field, cause }
}

/// A page that is not named here does not compile: show it above too.
fn title(content: &Content<'_>) -> &'static str {
    match content {
        Content::SignUp { .. } => "sign-up",
        Content::Created => "created",
        Content::Password { .. } => "password",
        Content::ChoosePassword { .. } => "choose-password",
        Content::Confirmed => "confirmed",
        Content::Expired => "expired",
        Content::ChangeEmail { .. } => "change-email",
        Content::ChangeLink { .. } => "change-link",
        Content::AskForReset { .. } => "ask-for-reset",
        Content::NewPassword { .. } => "new-password",
        Content::Problem(_) => "problem",
    }
}

/// All but `ExpiredLink`, whose page is `Expired`.
const PROBLEMS: [Problem; 14] = [
    Problem::NotFound,
    Problem::MethodNotAllowed,
    Problem::CrossSite,
    Problem::Unreadable,
    Problem::TooLarge,
    Problem::MediaType,
    Problem::Prefetch,
    Problem::InvalidLink,
    Problem::ExpiredChange,
    Problem::SupersededChange,
    Problem::DeadReset,
    Problem::Complaint,
    Problem::TooManyRequests,
    Problem::Unavailable,
];

/// A problem that is not named here does not compile: show it above too.
fn problem_name(problem: Problem) -> &'static str {
    match problem {
        Problem::NotFound => "-not-found",
        Problem::MethodNotAllowed => "-method",
        Problem::CrossSite => "-cross-site",
        Problem::Unreadable => "-unreadable",
        Problem::TooLarge => "-too-large",
        Problem::MediaType => "-media-type",
        Problem::Prefetch => "-prefetch",
        Problem::InvalidLink => "-invalid-link",
        Problem::ExpiredLink => "-expired-link",
        Problem::ExpiredChange => "-expired-change",
        Problem::SupersededChange => "-superseded-change",
        Problem::DeadReset => "-dead-reset",
        Problem::Complaint => "-complaint",
        Problem::TooManyRequests => "-too-many-requests",
        Problem::Unavailable => "-unavailable",
    }
}
