//! Following a link: confirming an address, choosing a password, asking for a fresh link, changing an address.

mod change;

use std::error::Error;

use accounts::clock;
use accounts::email_address::EmailAddress;
use accounts::lambda::Function;
use accounts::links::keys::Use;
use accounts::links::{Link, Purpose};
use accounts::mail::mails::Mail;
use accounts::outcome::Outcome;
use accounts::service::Service;
use accounts::settings;
use accounts::unavailable::Unavailable;
use accounts::users::Confirmation;
use accounts::users::user::State;
use accounts::web::answer::{Answer, Problem, Refusal};
use accounts::web::form::Form;
use accounts::web::pages;
use accounts::web::request::{Request, Route};
use lambda_http::http::{Method, StatusCode};

/// What the function works with.
pub struct ConfirmEmail {
    service: Service,
    confirm_on: ConfirmOn,
}

/// `CONFIRM_ON`: what confirms an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConfirmOn {
    /// Opening the link.
    Visit,
    /// The button of the page that the link opens.
    Button,
}

impl ConfirmOn {
    fn parse(value: &str) -> Option<Self> {
        match value {
            "visit" => Some(Self::Visit),
            "button" => Some(Self::Button),
            _ => None,
        }
    }
}

impl Function for ConfirmEmail {
    async fn from_env() -> Result<Self, Box<dyn Error>> {
        let confirm_on = settings::optional("CONFIRM_ON", "visit or button", ConfirmOn::parse)?;
        let service = Service::from_env(Use::SignAndVerify).await?;
        Ok(Self {
            service,
            confirm_on: confirm_on.unwrap_or(ConfirmOn::Visit),
        })
    }

    fn service(&self) -> &Service {
        &self.service
    }

    async fn answer(&self, request: &Request, route: &Route) -> Result<Answer, Refusal> {
        match route {
            Route::Confirm { token } => self.follow(request, token).await,
            Route::Confirmed => {
                let html = || pages::confirmed(&self.service.site);
                let outcome = Outcome::named("confirmed-page");
                Ok(Answer::message(
                    request,
                    "Your address is confirmed.",
                    html,
                    outcome,
                ))
            }
            _ => Err(Problem::NOT_FOUND.into()),
        }
    }
}

impl ConfirmEmail {
    async fn follow(&self, request: &Request, token: &str) -> Result<Answer, Refusal> {
        let is_post = request.method == Method::POST;
        if !is_post && request.is_prefetch() {
            return Err(Problem::PREFETCH.into());
        }
        let form = if is_post {
            Form::read(request, &["password"])?
        } else {
            Form::default()
        };
        let link = self
            .service
            .links
            .read(token)
            .await
            .ok_or(Problem::INVALID_LINK)?;

        let confirms =
            is_post || (request.method == Method::GET && self.confirm_on == ConfirmOn::Visit);
        match &link.purpose {
            Purpose::SignUp(email) if link.expired && is_post => {
                self.send_fresh_link(request, email).await
            }
            Purpose::SignUp(_) if link.expired => Ok(self.expired(request)),
            Purpose::SignUp(email) if confirms => self.confirm(request, &link, email, &form).await,
            Purpose::SignUp(email) => self.show(request, email).await,
            // A fresh link would need a fresh proof of the password.
            Purpose::Change { .. } if link.expired => Err(Problem::EXPIRED_CHANGE.into()),
            Purpose::Change { old, new } if confirms => {
                self.change(link.date_signed, old, new).await
            }
            Purpose::Change { old, new } => {
                self.show_change(request, link.date_signed, old, new).await
            }
        }
    }

    async fn confirm(
        &self,
        request: &Request,
        link: &Link,
        email: &EmailAddress,
        form: &Form,
    ) -> Result<Answer, Refusal> {
        let password_hash = if form.has("password") {
            match form.new_password("password") {
                Ok(password) => Some(password.hash().map_err(Unavailable::from)?),
                Err(error) => {
                    let html = || pages::choose_password(&self.service.site, &[error]);
                    return Ok(Answer::invalid(request, &[error], html));
                }
            }
        } else {
            None
        };
        match self
            .service
            .users
            .confirm(email, password_hash.as_ref())
            .await?
        {
            Confirmation::Done => {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "an age in seconds is far below 2^52"
                )]
                let age = clock::now().saturating_sub(link.date_signed) as f64;
                let outcome = Outcome::named("confirmed").counting("Confirmed").measuring(
                    "ConfirmedAfter",
                    "Seconds",
                    age,
                );
                let outcome = if link.by_older_key {
                    outcome.counting("FallbackKey")
                } else {
                    outcome
                };
                Ok(Answer::redirect(&self.service.site.sign_in_url, outcome))
            }
            Confirmation::DoneBefore => Ok(self.confirmed_before()),
            Confirmation::NeedsPassword => Ok(self.choose_password(request)),
            Confirmation::NoUser => Err(Problem::INVALID_LINK.into()),
        }
    }

    /// What following the link would lead to, without following it.
    async fn show(&self, request: &Request, email: &EmailAddress) -> Result<Answer, Refusal> {
        match self.service.users.find(email).await?.map(|user| user.state) {
            None | Some(State::Reserved) => Err(Problem::INVALID_LINK.into()),
            Some(State::Confirmed) => Ok(self.confirmed_before()),
            Some(State::Contested) => Ok(self.choose_password(request)),
            Some(State::Waiting) => Ok(self.would_confirm(request)),
        }
    }

    /// The answer to a `GET` or `HEAD` that would confirm if it did not have to change nothing.
    fn would_confirm(&self, request: &Request) -> Answer {
        match self.confirm_on {
            ConfirmOn::Visit => {
                Answer::redirect(&self.service.site.sign_in_url, Outcome::named("head"))
            }
            ConfirmOn::Button => {
                let html = || pages::confirm(&self.service.site);
                Answer::message(
                    request,
                    "Post to this URL to confirm.",
                    html,
                    Outcome::named("button"),
                )
            }
        }
    }

    fn confirmed_before(&self) -> Answer {
        Answer::redirect(
            &self.service.site.sign_in_url,
            Outcome::named("confirmed-before"),
        )
    }

    fn choose_password(&self, request: &Request) -> Answer {
        let html = || pages::choose_password(&self.service.site, &[]);
        let message = "Post a password to this URL to set it and to confirm.";
        Answer::message(request, message, html, Outcome::named("needs-password"))
    }

    fn expired(&self, request: &Request) -> Answer {
        let outcome = Outcome::refused("expired");
        if request.wants_json() {
            Answer::problem_details(&Problem::EXPIRED_LINK, outcome)
        } else {
            Answer::page(
                StatusCode::NOT_FOUND,
                pages::expired(&self.service.site),
                outcome,
            )
        }
    }

    /// The holder of an expired token reads the mailbox; whether the mail goes out is not shown all the same.
    async fn send_fresh_link(
        &self,
        request: &Request,
        email: &EmailAddress,
    ) -> Result<Answer, Refusal> {
        let mut outcome = Outcome::named("fresh-link");
        if let Some((claim, user)) = self.service.users.claim_fresh_link(email).await? {
            let url = self.service.links.confirm_sign_up(email).await?;
            let signed_up = user
                .created_at
                .as_deref()
                .and_then(clock::parse_rfc3339)
                .unwrap_or_else(clock::now);
            let mail = Mail::confirm(&self.service.site, &url, signed_up, self.service.max_age);
            self.service
                .mailer
                .send_claimed(&self.service.users, email, claim, mail)
                .await?;
            outcome = outcome.counting("MailSent");
        }
        Ok(Answer::accepted(
            request,
            &self.service.site.index_url,
            outcome,
        ))
    }
}
