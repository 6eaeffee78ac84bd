//! Signing up: the form, the row that waits for its confirmation, and the mail with the link.

use std::error::Error;

use accounts::clock;
use accounts::email_address::EmailAddress;
use accounts::lambda::Function;
use accounts::links::keys::Use;
use accounts::mail::mails::Mail;
use accounts::outcome::Outcome;
use accounts::service::Service;
use accounts::unavailable::Unavailable;
use accounts::users::SignUp;
use accounts::web::answer::{Answer, Problem, Refusal};
use accounts::web::form::Form;
use accounts::web::pages;
use accounts::web::request::{Request, Route};
use lambda_http::http::{Method, StatusCode};

/// The function.
pub struct CreateAccount {
    service: Service,
}

impl Function for CreateAccount {
    async fn from_env() -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            service: Service::from_env(Use::Sign).await?,
        })
    }

    fn service(&self) -> &Service {
        &self.service
    }

    async fn answer(&self, request: &Request, route: &Route) -> Result<Answer, Refusal> {
        let site = &self.service.site;
        match route {
            Route::Create if request.method == Method::POST => self.sign_up(request).await,
            Route::Create => Ok(Answer::page(
                StatusCode::OK,
                pages::sign_up(site, "", &[]),
                Outcome::named("form"),
            )),
            Route::Created => {
                let html = || pages::created(site);
                Ok(Answer::message(
                    request,
                    "Look into your inbox.",
                    html,
                    Outcome::named("created"),
                ))
            }
            _ => Err(Problem::NOT_FOUND.into()),
        }
    }
}

impl CreateAccount {
    async fn sign_up(&self, request: &Request) -> Result<Answer, Refusal> {
        let form = Form::read(request, &["email", "password"])?;
        let (email, password) = match (form.email("email"), form.new_password("password")) {
            (Ok(email), Ok(password)) => (email, password),
            (email, password) => {
                let errors: Vec<_> = [email.err(), password.err()]
                    .into_iter()
                    .flatten()
                    .collect();
                let typed = form.text("email").unwrap_or_default();
                return Ok(Answer::invalid(request, &errors, || {
                    pages::sign_up(&self.service.site, typed, &errors)
                }));
            }
        };
        // Before the address is looked up, so that it takes the same time for every address.
        let password_hash = password.hash().map_err(Unavailable::from)?;

        let sign_up = self.service.users.sign_up(&email, &password_hash).await?;
        let outcome = self.mail(&email, sign_up).await?;

        Ok(Answer::accepted(
            request,
            &self.service.site.index_url,
            outcome,
        ))
    }

    async fn mail(&self, email: &EmailAddress, sign_up: SignUp) -> Result<Outcome, Unavailable> {
        let now = clock::now();
        let (outcome, claim, has_account) = match sign_up {
            SignUp::New(claim) => (
                Outcome::named("signed-up").counting("SignedUp"),
                claim,
                false,
            ),
            SignUp::Repeated(claim) => (Outcome::named("repeated"), claim, false),
            SignUp::HasAccount(claim) => (Outcome::named("has-account"), claim, true),
        };
        let Some(claim) = claim else {
            return Ok(outcome);
        };
        let mail = if has_account {
            Mail::account_exists(&self.service.site, now)
        } else {
            self.confirmation(email, now).await?
        };
        self.service
            .mailer
            .send_claimed(&self.service.users, email, claim, mail)
            .await?;
        Ok(outcome.counting("MailSent"))
    }

    async fn confirmation(&self, email: &EmailAddress, now: u64) -> Result<Mail, Unavailable> {
        let url = self.service.links.confirm_sign_up(email).await?;
        Ok(Mail::confirm(
            &self.service.site,
            &url,
            now,
            self.service.max_age,
        ))
    }
}
