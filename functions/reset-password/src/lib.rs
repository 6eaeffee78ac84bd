//! Forgotten passwords: the form, the mail with the link, and the link.

mod ask;
mod set;

use accounts::outcome::Outcome;
use accounts::service::Service;
use accounts::settings::{Environment, InvalidSetting};
use accounts::web::answer::Answer;
use accounts::web::pages::Content;
use accounts::web::problem::{Problem, Refusal};
use accounts::web::request::Request;
use accounts::web::route::Route;
use lambda_http::http::Method;

/// What only this function reads.
pub struct Settings {
    /// `RESET_MAX_AGE`: seconds that a reset link lives.
    max_age: u64,
}

impl Settings {
    /// Reads `RESET_MAX_AGE`.
    pub fn from_env(environment: &Environment) -> Result<Self, InvalidSetting> {
        const EXPECTED: &str = "a whole number of seconds from 1 to 31536000";
        let max_age = environment.number("RESET_MAX_AGE", EXPECTED, 1..=31_536_000, 3_600)?;
        Ok(Self { max_age })
    }
}

/// Answers a request.
pub async fn answer(
    service: &Service,
    settings: &Settings,
    request: &Request,
    route: &Route,
) -> Result<Answer, Refusal> {
    let is_post = request.method == Method::POST;
    match route {
        Route::Password if is_post => ask::post(service, settings, request).await,
        Route::Password => {
            let content = Content::AskForReset { email: "" };
            let (site, outcome) = (&service.site, Outcome::Form);
            Ok(Answer::page(request, site, content, outcome))
        }
        Route::NewPassword { token } if is_post => {
            set::post(service, settings, request, token).await
        }
        Route::NewPassword { token } => set::open(service, settings, request, token).await,
        _ => Err(Problem::NotFound.into()),
    }
}
