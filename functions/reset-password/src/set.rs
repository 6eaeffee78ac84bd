//! Following a link and setting the password.

use accounts::links::ResetLink;
use accounts::outcome::Outcome;
use accounts::service::Service;
use accounts::unavailable::Unavailable;
use accounts::users::{ROUNDS, Reset};
use accounts::web::answer::Answer;
use accounts::web::form::{self, Field};
use accounts::web::pages::Content;
use accounts::web::problem::{Problem, Refusal};
use accounts::web::request::Request;
use serde::Deserialize;

use crate::Settings;

#[derive(Default, Deserialize)]
#[serde(default)]
struct PasswordForm {
    password: Field,
}

/// Shows the form, and changes nothing.
pub async fn open(
    service: &Service,
    settings: &Settings,
    request: &Request,
    token: &str,
) -> Result<Answer, Refusal> {
    if request.is_prefetch() {
        return Err(Problem::Prefetch.into());
    }
    let link = read(service, settings, token).await?;
    let user = service.users.find_for_reset(&link).await?;
    user.ok_or(Problem::DeadReset)?;
    let content = Content::NewPassword { email: &link.email };
    let message = request.language.texts().message_new_password_needed;
    let (site, outcome) = (&service.site, Outcome::PasswordPage);
    Ok(Answer::message(request, site, content, message, outcome))
}

/// Sets the password, once for each link. The owner is told first.
pub async fn post(
    service: &Service,
    settings: &Settings,
    request: &Request,
    token: &str,
) -> Result<Answer, Refusal> {
    let Service {
        site,
        users,
        limits,
        ..
    } = service;
    let form: PasswordForm = form::read(request)?;
    let link = read(service, settings, token).await?;
    let password = match form.password.new_password("password", Some(&link.email)) {
        Ok(password) => password,
        Err(error) => {
            let content = Content::NewPassword { email: &link.email };
            let reason = "invalid-input";
            return Ok(Answer::invalid(request, site, content, &[error], reason));
        }
    };
    service.admit(request).await?;
    let mut user = users.find_for_reset(&link).await?;
    if user.is_none() {
        return Err(Problem::DeadReset.into());
    }
    let password = password.hash().map_err(Unavailable::from)?;
    for _ in 0..ROUNDS {
        let Some(found) = user else {
            return Err(Problem::DeadReset.into());
        };
        if found.has_complained() {
            return Err(Problem::Complaint.into());
        }
        let notice = || service.writer(found.locale).password_changed(&link.email);
        service.notify(token, &link.email, notice).await?;
        let language = request.language;
        if users.reset(&link, &found, &password, language).await? == Reset::Done {
            let network = service.network(request);
            // The password is set already: if the network cannot be noted, that is no reason to report a failure.
            let _ = limits.know_network(&link.email, &found, &network).await;
            let message = language.texts().message_password_set;
            let (url, outcome) = (&site.sign_in_url, Outcome::PasswordChanged);
            return Ok(Answer::done(request, url, message, outcome));
        }
        user = users.find_for_reset(&link).await?;
    }
    Err(Unavailable::new("UpdateItem", "contention").into())
}

async fn read(service: &Service, settings: &Settings, token: &str) -> Result<ResetLink, Problem> {
    let link = service.links.read_reset(token, settings.max_age).await;
    link.ok_or(Problem::DeadReset)
}
