//! Following a link: confirming an address, choosing a password, asking for a fresh link, changing an address.

mod change_link;
mod fresh_link;
mod sign_up_link;

use accounts::links::Purpose;
use accounts::outcome::Outcome;
use accounts::service::Service;
use accounts::settings::{Environment, InvalidSetting};
use accounts::web::answer::Answer;
use accounts::web::cookie;
use accounts::web::form::{self, Field};
use accounts::web::pages::Content;
use accounts::web::problem::{Problem, Refusal};
use accounts::web::request::Request;
use accounts::web::route::Route;
use lambda_http::http::Method;
use serde::Deserialize;

/// `CONFIRM_ON`: what confirms an address, beside the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConfirmOn {
    /// The browser that signed up, or the password.
    #[default]
    Browser,
    /// Nothing: anybody who opens the link is trusted.
    Visit,
}

impl ConfirmOn {
    /// Reads `CONFIRM_ON`.
    pub fn from_env(environment: &Environment) -> Result<Self, InvalidSetting> {
        let parse = |value: &str| match value {
            "browser" => Some(Self::Browser),
            "visit" => Some(Self::Visit),
            _ => None,
        };
        let confirm_on = environment.optional("CONFIRM_ON", "browser or visit", parse)?;
        Ok(confirm_on.unwrap_or_default())
    }
}

/// The fields of all pages that a link opens.
#[derive(Default, Deserialize)]
#[serde(default)]
struct LinkForm {
    password: Field,
    password_again: Field,
    /// In forms, the provider's script chooses this name.
    #[serde(alias = "cf-turnstile-response", alias = "h-captcha-response")]
    challenge: Field,
}

/// Answers a request.
pub async fn answer(
    service: &Service,
    confirm_on: &ConfirmOn,
    request: &Request,
    route: &Route,
) -> Result<Answer, Refusal> {
    match route {
        Route::Confirm { token } => follow(service, *confirm_on, request, token).await,
        Route::Confirmed => {
            let (content, outcome) = (Content::Confirmed, Outcome::ConfirmedPage);
            let message = request.language.texts().message_confirmed;
            let site = &service.site;
            Ok(Answer::message(request, site, content, message, outcome))
        }
        _ => Err(Problem::NotFound.into()),
    }
}

async fn follow(
    service: &Service,
    confirm_on: ConfirmOn,
    request: &Request,
    token: &str,
) -> Result<Answer, Refusal> {
    let form: Option<LinkForm> = if request.method == Method::POST {
        Some(form::read(request)?)
    } else if request.is_prefetch() {
        return Err(Problem::Prefetch.into());
    } else {
        None
    };
    let link = service.links.read(token).await;
    let link = link.ok_or(Problem::InvalidLink)?;
    match (&link.purpose, form) {
        (Purpose::SignUp(email), Some(form)) if link.expired => {
            fresh_link::send(service, request, email, &link, &form).await
        }
        (Purpose::SignUp(_), None) if link.expired => Err(Problem::ExpiredLink.into()),
        (Purpose::SignUp(email), Some(form)) => {
            sign_up_link::post(service, request, email, &link, &form).await
        }
        (Purpose::SignUp(email), None) => {
            sign_up_link::open(service, confirm_on, request, email, &link).await
        }
        // No fresh link: it would need the account's password again.
        (Purpose::Change { .. }, _) if link.expired => Err(Problem::ExpiredChange.into()),
        (Purpose::Change { old, new }, form) => {
            let change = change_link::Followed {
                token,
                date_signed: link.date_signed,
                old,
                new,
            };
            match form {
                Some(form) => change_link::post(service, request, &change, &form).await,
                None => change_link::open(service, request, &change).await,
            }
        }
    }
}

/// The id of the sign-up or request that this browser made.
async fn browser_id(service: &Service, request: &Request) -> Option<String> {
    let value = cookie::find(&service.site, request)?;
    service.links.read_cookie(value).await
}
