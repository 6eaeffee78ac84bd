//! A sign-up's link.

use accounts::clock;
use accounts::links::Link;
use accounts::outcome::Outcome;
use accounts::service::Service;
use accounts::unavailable::Unavailable;
use accounts::users::user::{State, User};
use accounts::users::{Confirmation, Proof};
use accounts::web::answer::Answer;
use accounts::web::pages::{Content, WhyChoose};
use accounts::web::problem::{Cause, FieldError, Problem, Refusal};
use accounts::web::request::Request;
use addresses::EmailAddress;
use lambda_http::http::Method;

use crate::{ConfirmOn, LinkForm, browser_id};

/// Opens the link. Confirms if the cookie is that of the sign-up, or if `CONFIRM_ON=visit` and the row is not contested.
/// Otherwise asks for the password.
pub async fn open(
    service: &Service,
    confirm_on: ConfirmOn,
    request: &Request,
    email: &EmailAddress,
    link: &Link,
) -> Result<Answer, Refusal> {
    let browser = browser_id(service, request).await;
    if request.method == Method::HEAD {
        return look(service, confirm_on, browser, request, email, link).await;
    }
    let by_browser = browser.as_deref().map(Proof::SignUp);
    let by_link = (confirm_on == ConfirmOn::Visit).then_some(Proof::Link);
    let mut waiting = None;
    for proof in by_browser.into_iter().chain(by_link) {
        match confirm(service, request, email, link, proof).await? {
            Confirmation::NotProved(user) => waiting = Some(user),
            confirmation => return answer(service, request, email, link, confirmation),
        }
    }
    match waiting {
        Some(user) => Ok(password_page(service, request, email, &user)),
        None => look(service, confirm_on, None, request, email, link).await,
    }
}

/// Answers as if it opened the link. Changes nothing, but removes an expiry that other code has left in a confirmed row.
async fn look(
    service: &Service,
    confirm_on: ConfirmOn,
    browser: Option<String>,
    request: &Request,
    email: &EmailAddress,
    link: &Link,
) -> Result<Answer, Refusal> {
    let user = find(service, email, link).await?;
    let is_browsers = browser.is_some() && browser == user.sign_up && user.is_waiting();
    let is_trusted = confirm_on == ConfirmOn::Visit && user.state == State::Waiting;
    if user.is_confirmed() {
        if request.method == Method::GET {
            service.users.keep_confirmed(email, &user).await?;
        }
        Ok(done(service, request, Outcome::ConfirmedBefore))
    } else if is_browsers || is_trusted {
        Ok(done(service, request, Outcome::Head))
    } else {
        Ok(password_page(service, request, email, &user))
    }
}

/// Takes the password that was signed up with, or a new one that is typed twice.
pub async fn post(
    service: &Service,
    request: &Request,
    email: &EmailAddress,
    link: &Link,
    form: &LinkForm,
) -> Result<Answer, Refusal> {
    if form.password_again.is_empty() {
        try_password(service, request, email, link, form).await
    } else {
        choose_password(service, request, email, link, form).await
    }
}

async fn try_password(
    service: &Service,
    request: &Request,
    email: &EmailAddress,
    link: &Link,
    form: &LinkForm,
) -> Result<Answer, Refusal> {
    let password = match form.password.attempt("password") {
        Ok(password) => password,
        Err(error) => return reject(service, request, email, link, error).await,
    };
    service.admit(request).await?;
    let attempt = service.attempt(email, request).await?;
    let user = attempt
        .user
        .filter(|user| user.is_of_link(link.date_signed));
    let user = user.ok_or(Problem::InvalidLink)?;
    let is_right = passwords::is_password_of(user.password_hash(), password) && attempt.allowed;
    if user.is_confirmed() {
        service.users.keep_confirmed(email, &user).await?;
        return Ok(done(service, request, Outcome::ConfirmedBefore));
    }
    if let (true, Some(hash)) = (is_right, user.password_hash()) {
        let proof = Proof::Password(hash);
        let confirmation = confirm(service, request, email, link, proof).await?;
        return answer(service, request, email, link, confirmation);
    }
    let error = FieldError {
        field: "password",
        cause: Cause::WrongSignUpPassword,
    };
    Ok(invalid(
        service,
        request,
        email,
        &user,
        &[error],
        "wrong-password",
    ))
}

async fn choose_password(
    service: &Service,
    request: &Request,
    email: &EmailAddress,
    link: &Link,
    form: &LinkForm,
) -> Result<Answer, Refusal> {
    let is_same = form.password == form.password_again;
    let differ = FieldError {
        field: "password_again",
        cause: Cause::PasswordsDiffer,
    };
    let password = match form.password.new_password("password", Some(email)) {
        Ok(password) if is_same => password,
        rejected => {
            let error = rejected.err().unwrap_or(differ);
            return reject(service, request, email, link, error).await;
        }
    };
    service.admit(request).await?;
    let hash = password.hash().map_err(Unavailable::from)?;
    let proof = Proof::NewPassword(&hash);
    let confirmation = confirm(service, request, email, link, proof).await?;
    answer(service, request, email, link, confirmation)
}

/// The answer to invalid input. If the address is confirmed already, it says that instead.
async fn reject(
    service: &Service,
    request: &Request,
    email: &EmailAddress,
    link: &Link,
    error: FieldError,
) -> Result<Answer, Refusal> {
    let user = find(service, email, link).await?;
    if user.is_confirmed() {
        service.users.keep_confirmed(email, &user).await?;
        return Ok(done(service, request, Outcome::ConfirmedBefore));
    }
    let (errors, reason) = (&[error], "invalid-input");
    Ok(invalid(service, request, email, &user, errors, reason))
}

async fn confirm(
    service: &Service,
    request: &Request,
    email: &EmailAddress,
    link: &Link,
    proof: Proof<'_>,
) -> Result<Confirmation, Unavailable> {
    let from = service.limits.digest(&service.network(request)).await;
    service
        .users
        .confirm(email, link.date_signed, proof, request.language, &from)
        .await
}

fn answer(
    service: &Service,
    request: &Request,
    email: &EmailAddress,
    link: &Link,
    confirmation: Confirmation,
) -> Result<Answer, Refusal> {
    let outcome = match confirmation {
        Confirmation::Done => Outcome::Confirmed {
            after: clock::now().saturating_sub(link.date_signed),
            by_older_key: link.by_older_key,
        },
        Confirmation::DoneBefore => Outcome::ConfirmedBefore,
        Confirmation::NotProved(user) => {
            return Ok(password_page(service, request, email, &user));
        }
        Confirmation::NoUser => return Err(Problem::InvalidLink.into()),
    };
    Ok(done(service, request, outcome))
}

/// The user that this link is for.
async fn find(service: &Service, email: &EmailAddress, link: &Link) -> Result<User, Refusal> {
    let user = service.users.find(email).await?;
    let user = user.filter(|user| user.is_of_link(link.date_signed));
    user.ok_or(Problem::InvalidLink.into())
}

fn password_page(
    service: &Service,
    request: &Request,
    email: &EmailAddress,
    user: &User,
) -> Answer {
    let content = match user.state {
        State::Waiting | State::Confirmed => Content::Password { email },
        State::Contested => choose(email, WhyChoose::Contested),
        State::Invited => choose(email, WhyChoose::First),
    };
    let message = request.language.texts().message_password_needed;
    let outcome = Outcome::PasswordPage;
    Answer::message(request, &service.site, content, message, outcome)
}

fn choose(email: &EmailAddress, why: WhyChoose) -> Content<'_> {
    Content::ChoosePassword { email, why }
}

/// The page again, with both password fields: after a wrong password the person may type it again, or choose a new one if the
/// sign-up was somebody else's. A confirmed address needs neither.
fn invalid(
    service: &Service,
    request: &Request,
    email: &EmailAddress,
    user: &User,
    errors: &[FieldError],
    reason: &'static str,
) -> Answer {
    let why = match user.state {
        State::Contested => WhyChoose::Contested,
        State::Invited => WhyChoose::First,
        State::Waiting => WhyChoose::Wrong,
        State::Confirmed => return done(service, request, Outcome::ConfirmedBefore),
    };
    let content = choose(email, why);
    Answer::invalid(request, &service.site, content, errors, reason)
}

fn done(service: &Service, request: &Request, outcome: Outcome) -> Answer {
    let message = request.language.texts().message_confirmed;
    Answer::done(request, &service.site.sign_in_url, message, outcome)
}
