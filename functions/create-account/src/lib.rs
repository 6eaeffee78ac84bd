//! Signing up: the form, the waiting row, and the mail with the link.

use accounts::limits::MailKind;
use accounts::outcome::Outcome;
use accounts::service::Service;
use accounts::unavailable::Unavailable;
use accounts::users::{Created, NewUser};
use accounts::web::answer::Answer;
use accounts::web::cookie;
use accounts::web::form::{self, Field};
use accounts::web::pages::Content;
use accounts::web::problem::{FieldError, Problem, Refusal};
use accounts::web::request::Request;
use accounts::web::route::Route;
use lambda_http::http::Method;
use serde::Deserialize;
use uuid::Uuid;

#[derive(Default, Deserialize)]
#[serde(default)]
struct SignUpForm {
    email: Field,
    password: Field,
    /// In forms, the provider's script chooses this name.
    #[serde(alias = "cf-turnstile-response", alias = "h-captcha-response")]
    challenge: Field,
}

/// Answers a request.
pub async fn answer(
    service: &Service,
    (): &(),
    request: &Request,
    route: &Route,
) -> Result<Answer, Refusal> {
    let site = &service.site;
    match route {
        Route::Create if request.method == Method::POST => sign_up(service, request).await,
        Route::Create => {
            let content = Content::SignUp { email: "" };
            Ok(Answer::page(request, site, content, Outcome::Form))
        }
        Route::Created => {
            let message = request.language.texts().message_accepted;
            let outcome = Outcome::CreatedPage;
            Ok(Answer::message(
                request,
                site,
                Content::Created,
                message,
                outcome,
            ))
        }
        _ => Err(Problem::NotFound.into()),
    }
}

async fn sign_up(service: &Service, request: &Request) -> Result<Answer, Refusal> {
    let Service {
        site, users, links, ..
    } = service;
    let form: SignUpForm = form::read(request)?;
    let invalid = |errors: &[FieldError], reason| {
        let content = Content::SignUp {
            email: form.email.typed(),
        };
        Ok(Answer::invalid(request, site, content, errors, reason))
    };
    let email = form.email.email("email");
    let password = form.password.new_password("password", email.as_ref().ok());
    let (email, password) = match (email, password) {
        (Ok(email), Ok(password)) => (email, password),
        (email, password) => {
            let errors: Vec<_> = email.err().into_iter().chain(password.err()).collect();
            return invalid(&errors, "invalid-input");
        }
    };
    service.admit(request).await?;
    if let Err(error) = service.check_challenge(request, &form.challenge).await? {
        return invalid(&[error], "challenge");
    }

    // Hashed before the address is looked up, so that every address takes the same time.
    let password = password.hash().map_err(Unavailable::from)?;
    let id = Uuid::new_v4().to_string();
    let new = NewUser {
        email: &email,
        password: &password,
        sign_up: &id,
        locale: request.language,
    };
    let found = users.create(&new).await?;
    let outcome = mail(service, &new, found).await?;

    let cookie = cookie::set(site, &links.cookie(&id).await?, links.max_age);
    Ok(Answer::accepted(request, &site.index_url, outcome).with_cookie(cookie))
}

/// Sends the mail that fits what the sign-up found, unless the address has reached its limit.
async fn mail(
    service: &Service,
    new: &NewUser<'_>,
    found: Created,
) -> Result<Outcome, Unavailable> {
    let Service {
        users,
        limits,
        links,
        ..
    } = service;
    let kind = MailKind::SignUp {
        made_row: matches!(found, Created::New),
    };
    let found = users.contest(new, found).await?;
    // Claimed last: if a later step failed, the claim would hold back the next mail.
    let claim = limits.claim_mail(kind, new.email, links.max_age).await?;
    let claim = match &found {
        // No more mail to an address that complained.
        Created::Exists(user) if user.has_complained() => None,
        _ => claim,
    };
    let mailed = claim.is_some();
    let (outcome, user) = match &found {
        Created::New => (Outcome::SignedUp { mailed }, None),
        Created::Exists(user) if user.is_waiting() => (Outcome::Repeated { mailed }, Some(user)),
        Created::Exists(user) => (Outcome::HasAccount { mailed }, Some(user)),
    };
    if let Some(claim) = claim {
        let language = user.map_or(Some(new.locale), |user| user.locale);
        let writer = service.writer(language);
        let mail = if matches!(outcome, Outcome::HasAccount { .. }) {
            writer.account_exists(new.email)
        } else {
            let url = links.confirm_sign_up(new.email).await?;
            let now = accounts::clock::now();
            writer.confirm(new.email, url, now, links.max_age)
        };
        service.mail(new.email, claim, mail).await?;
    }
    Ok(outcome)
}
