//! Asking for a change of address: the form, the account's password, the request, and the mails.

use accounts::limits::MailKind;
use accounts::outcome::Outcome;
use accounts::service::Service;
use accounts::unavailable::Unavailable;
use accounts::users::Users;
use accounts::users::change::{ChangeRequest, MAX_ATTRIBUTES};
use accounts::users::user::User;
use accounts::web::answer::Answer;
use accounts::web::cookie;
use accounts::web::form::{self, Field};
use accounts::web::pages::Content;
use accounts::web::problem::{Cause, FieldError, Problem, Refusal};
use accounts::web::request::Request;
use accounts::web::route::Route;
use addresses::EmailAddress;
use lambda_http::http::Method;
use serde::Deserialize;
use uuid::Uuid;

#[derive(Default, Deserialize)]
#[serde(default)]
struct ChangeForm {
    email: Field,
    password: Field,
    new_email: Field,
    /// In forms, the provider's script chooses this name.
    #[serde(alias = "cf-turnstile-response", alias = "h-captcha-response")]
    challenge: Field,
}

/// A request that is valid as far as can be seen without the account.
struct Wanted<'a> {
    old: EmailAddress,
    password: &'a str,
    new: EmailAddress,
}

/// Why a change was not asked for.
enum NotAsked {
    /// The reason, for the log only: the person gets the same answer for each.
    Refused(&'static str),
    Unavailable(Unavailable),
}

impl From<Unavailable> for NotAsked {
    fn from(cause: Unavailable) -> Self {
        Self::Unavailable(cause)
    }
}

/// Answers a request.
pub async fn answer(
    service: &Service,
    (): &(),
    request: &Request,
    route: &Route,
) -> Result<Answer, Refusal> {
    match route {
        Route::Email if request.method == Method::POST => post(service, request).await,
        Route::Email => {
            let content = Content::ChangeEmail {
                email: "",
                new_email: "",
            };
            let (site, outcome) = (&service.site, Outcome::Form);
            Ok(Answer::page(request, site, content, outcome))
        }
        _ => Err(Problem::NotFound.into()),
    }
}

async fn post(service: &Service, request: &Request) -> Result<Answer, Refusal> {
    let form: ChangeForm = form::read(request)?;
    let invalid = |errors: &[FieldError], reason| {
        let content = Content::ChangeEmail {
            email: form.email.typed(),
            new_email: form.new_email.typed(),
        };
        let site = &service.site;
        Ok(Answer::invalid(request, site, content, errors, reason))
    };
    let wanted = match parse(&form) {
        Ok(wanted) => wanted,
        Err(errors) => return invalid(&errors, "invalid-input"),
    };
    service.admit(request).await?;
    if let Err(error) = service.check_challenge(request, &form.challenge).await? {
        return invalid(&[error], "challenge");
    }
    let id = Uuid::new_v4().to_string();
    let outcome = match ask(service, request, &wanted, &id).await {
        Ok(outcome) => outcome,
        Err(NotAsked::Refused(reason)) => {
            let error = FieldError {
                field: "password",
                cause: Cause::WrongPassword,
            };
            return invalid(&[error], reason);
        }
        Err(NotAsked::Unavailable(cause)) => return Err(cause.into()),
    };
    let Service { site, links, .. } = service;
    let cookie = cookie::set(site, &links.cookie(&id).await?, links.max_age);
    Ok(Answer::accepted(request, &site.index_url, outcome).with_cookie(cookie))
}

fn parse(form: &ChangeForm) -> Result<Wanted<'_>, Vec<FieldError>> {
    let old = form.email.email("email");
    let password = form.password.attempt("password");
    let new = form.new_email.email("new_email");
    match (old, password, new) {
        (Ok(old), Ok(_), Ok(new)) if old == new => Err(vec![FieldError {
            field: "new_email",
            cause: Cause::SameEmail,
        }]),
        (Ok(old), Ok(password), Ok(new)) => Ok(Wanted { old, password, new }),
        (old, password, new) => Err([old.err(), password.err(), new.err()]
            .into_iter()
            .flatten()
            .collect()),
    }
}

/// The account, if the password is right. Then the owner is mailed before anything else: nobody may find the password out
/// without a notice.
async fn authenticate(
    service: &Service,
    request: &Request,
    wanted: &Wanted<'_>,
) -> Result<User, NotAsked> {
    let Wanted { old, password, .. } = wanted;
    let attempt = service.attempt(old, request).await?;
    let account = attempt.user.filter(User::is_confirmed);
    let hash = account.as_ref().and_then(User::password_hash);
    // One hash in every case.
    let is_right = passwords::is_password_of(hash, password) && attempt.allowed;
    let account = account
        .filter(|_| is_right)
        .ok_or(NotAsked::Refused("wrong-password"))?;
    if account.has_complained() {
        return Err(NotAsked::Refused("complaint"));
    }
    let notice = service.writer(account.locale).change_requested(old);
    service.mailer.send_notice(old, notice).await?;
    let network = service.network(request);
    service.limits.know_network(old, &account, &network).await?;
    if account.attributes > MAX_ATTRIBUTES {
        return Err(NotAsked::Refused("too-many-attributes"));
    }
    Ok(account)
}

/// Asks for the change.
async fn ask(
    service: &Service,
    request: &Request,
    wanted: &Wanted<'_>,
    id: &str,
) -> Result<Outcome, NotAsked> {
    let account = authenticate(service, request, wanted).await?;
    let limits = &service.limits;
    let claim = limits.claim_change(&wanted.old).await?;
    let claim = claim.ok_or(NotAsked::Refused("too-many-changes"))?;
    let asked = keep_and_mail(service, wanted, id, &account).await;
    if let Err(NotAsked::Unavailable(_)) = asked {
        // If this fails too, the account has one request less today. The error to report is the first one.
        let _ = limits.lift(claim).await;
    }
    asked
}

/// Keeps the request in the account's row, and mails its link to the new address.
async fn keep_and_mail(
    service: &Service,
    wanted: &Wanted<'_>,
    id: &str,
    account: &User,
) -> Result<Outcome, NotAsked> {
    let Service {
        users,
        limits,
        links,
        ..
    } = service;
    let Wanted { old, new, .. } = wanted;
    let found = users.find(new).await?;
    let claim = limits
        .claim_mail(MailKind::Change, new, links.max_age)
        .await?
        .ok_or(NotAsked::Refused("mail-limit"))?;
    let requested = ChangeRequest {
        id,
        new_email: new,
        requested_at: Users::change_date(account),
    };
    let is_kept = users.request_change(old, account, &requested).await;
    if !matches!(is_kept, Ok(true)) {
        // If this fails too, the next mail to the address waits for the cooldown.
        let _ = limits.lift(claim).await;
        is_kept?;
        return Err(NotAsked::Refused("overtaken"));
    }
    // In the language of whoever has signed up with the new address, if somebody has.
    let locale = found.as_ref().and_then(|user| user.locale);
    let writer = service.writer(locale.or(account.locale));
    let is_taken = found.as_ref().is_some_and(|user| !user.is_waiting());
    let (mail, outcome) = if is_taken {
        (writer.address_taken(new), Outcome::ChangeToTaken)
    } else {
        let requested_at = requested.requested_at;
        let url = links.confirm_change(old, new, requested_at).await?;
        let mail = writer.confirm_change(old, new, url, links.max_age);
        (mail, Outcome::ChangeAsked)
    };
    // No more mail to an address that complained.
    if !found.is_some_and(|user| user.has_complained()) {
        service.mail(new, claim, mail).await?;
    }
    Ok(outcome)
}
