//! The link of a change of address.

use accounts::outcome::Outcome;
use accounts::service::Service;
use accounts::unavailable::Unavailable;
use accounts::users::ROUNDS;
use accounts::users::change::{ChangeLink, MAX_ATTRIBUTES, PendingChange};
use accounts::web::answer::Answer;
use accounts::web::pages::Content;
use accounts::web::problem::{Cause, FieldError, Problem, Refusal};
use accounts::web::request::Request;
use addresses::EmailAddress;
use lambda_http::http::Method;

use crate::{LinkForm, browser_id};

/// A genuine link that has not expired.
pub struct Followed<'a> {
    pub token: &'a str,
    /// Epoch seconds.
    pub date_signed: u64,
    pub old: &'a EmailAddress,
    pub new: &'a EmailAddress,
}

/// Opens the link. Changes the address if this browser asked for it; otherwise asks for the account's password.
pub async fn open(
    service: &Service,
    request: &Request,
    link: &Followed<'_>,
) -> Result<Answer, Refusal> {
    let pending = match find(service, link).await? {
        ChangeLink::Pending(pending) => pending,
        ChangeLink::Done => return Ok(done(service, request, Outcome::ChangedBefore)),
        ChangeLink::Superseded => return Err(Problem::SupersededChange.into()),
    };
    let browser = browser_id(service, request).await;
    if browser.is_none() || browser != pending.id {
        let texts = request.language.texts();
        let message = texts.message_account_password_needed;
        let (content, outcome) = (page(link), Outcome::PasswordPage);
        let site = &service.site;
        return Ok(Answer::message(request, site, content, message, outcome));
    }
    if request.method == Method::HEAD {
        may_move(&pending)?;
        return Ok(done(service, request, Outcome::Head));
    }
    change(service, request, link, pending).await
}

/// Changes the address if the form holds the account's password.
pub async fn post(
    service: &Service,
    request: &Request,
    link: &Followed<'_>,
    form: &LinkForm,
) -> Result<Answer, Refusal> {
    let invalid = |error: FieldError, reason| {
        let site = &service.site;
        Ok(Answer::invalid(request, site, page(link), &[error], reason))
    };
    let password = match form.password.attempt("password") {
        Ok(password) => password,
        Err(error) => return invalid(error, "invalid-input"),
    };
    service.admit(request).await?;
    let attempt = service.attempt(link.old, request).await?;
    let pending = match find(service, link).await? {
        ChangeLink::Pending(pending) => pending,
        ChangeLink::Done => return Ok(done(service, request, Outcome::ChangedBefore)),
        ChangeLink::Superseded => return Err(Problem::SupersededChange.into()),
    };
    let hash = pending.account.password_hash();
    let is_right = passwords::is_password_of(hash, password) && attempt.allowed;
    // After a complaint the owner cannot be notified: then nothing is changed, and the answer does not tell whether the
    // password is right.
    if !is_right || pending.account.has_complained() {
        let error = FieldError {
            field: "password",
            cause: Cause::WrongPassword,
        };
        return invalid(error, "wrong-password");
    }
    change(service, request, link, pending).await
}

/// Tells the owner, and moves the account.
async fn change(
    service: &Service,
    request: &Request,
    link: &Followed<'_>,
    mut pending: Box<PendingChange>,
) -> Result<Answer, Refusal> {
    for _ in 0..ROUNDS {
        may_move(&pending)?;
        let notice = || service.writer(pending.account.locale).changed(link.old);
        service.notify(link.token, link.old, notice).await?;
        if service
            .users
            .move_account(&pending, link.old, link.new)
            .await?
        {
            // The address is changed already: if the network cannot be noted, that is no reason to report a failure.
            let network = service.network(request);
            let known = service
                .limits
                .know_network(link.new, &pending.account, &network);
            let _ = known.await;
            return Ok(done(service, request, Outcome::Changed));
        }
        pending = match find(service, link).await? {
            ChangeLink::Pending(again) if again.id == pending.id => again,
            ChangeLink::Done => return Ok(done(service, request, Outcome::ChangedBefore)),
            ChangeLink::Pending(_) | ChangeLink::Superseded => {
                return Err(Problem::SupersededChange.into());
            }
        };
    }
    Err(Unavailable::new("TransactWriteItems", "contention").into())
}

/// Refuses what was refused at the request too, as the row may have changed since.
fn may_move(pending: &PendingChange) -> Result<(), Problem> {
    if pending.account.has_complained() {
        return Err(Problem::Complaint);
    }
    if pending.account.attributes > MAX_ATTRIBUTES {
        return Err(Problem::SupersededChange);
    }
    Ok(())
}

async fn find(service: &Service, link: &Followed<'_>) -> Result<ChangeLink, Unavailable> {
    service
        .users
        .find_change(link.old, link.new, link.date_signed)
        .await
}

fn page<'a>(link: &Followed<'a>) -> Content<'a> {
    Content::ChangeLink {
        account: link.old,
        new_email: link.new,
    }
}

fn done(service: &Service, request: &Request, outcome: Outcome) -> Answer {
    let message = request.language.texts().message_address_changed;
    Answer::done(request, &service.site.sign_in_url, message, outcome)
}
