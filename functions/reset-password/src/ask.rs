//! Asking for a link.

use accounts::limits::MailKind;
use accounts::outcome::Outcome;
use accounts::service::Service;
use accounts::users::Users;
use accounts::users::user::User;
use accounts::web::answer::Answer;
use accounts::web::form::{self, Field};
use accounts::web::pages::Content;
use accounts::web::problem::{FieldError, Refusal};
use accounts::web::request::Request;
use serde::Deserialize;

use crate::Settings;

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResetForm {
    email: Field,
    /// In forms, the provider's script chooses this name.
    #[serde(alias = "cf-turnstile-response", alias = "h-captcha-response")]
    challenge: Field,
}

/// Makes the same calls and sends a mail for every address: a link, or the note that it has no account.
pub async fn post(
    service: &Service,
    settings: &Settings,
    request: &Request,
) -> Result<Answer, Refusal> {
    let Service {
        site,
        users,
        limits,
        links,
        ..
    } = service;
    let form: ResetForm = form::read(request)?;
    let invalid = |error: FieldError, reason| {
        let content = Content::AskForReset {
            email: form.email.typed(),
        };
        Ok(Answer::invalid(request, site, content, &[error], reason))
    };
    let email = match form.email.email("email") {
        Ok(email) => email,
        Err(error) => return invalid(error, "invalid-input"),
    };
    service.admit(request).await?;
    if let Err(error) = service.check_challenge(request, &form.challenge).await? {
        return invalid(error, "challenge");
    }
    let user = users.find(&email).await?;
    let claim = limits
        .claim_mail(MailKind::Reset, &email, settings.max_age)
        .await?;
    // No more mail to an address that complained.
    let has_complained = user.as_ref().is_some_and(User::has_complained);
    let claim = claim.filter(|_| !has_complained);
    let mailed = claim.is_some();
    let outcome = match &user {
        Some(_) => Outcome::ResetAsked { mailed },
        None => Outcome::ResetUnknown { mailed },
    };
    if let Some(claim) = claim {
        let mail = match &user {
            Some(user) => {
                let url = links.reset(&email, Users::reset_date(user)).await?;
                let writer = service.writer(user.locale);
                writer.reset(&email, url, settings.max_age)
            }
            None => service.writer(Some(request.language)).no_account(&email),
        };
        service.mail(&email, claim, mail).await?;
    }
    Ok(Answer::accepted(request, &site.index_url, outcome))
}
