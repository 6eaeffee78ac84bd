//! Signing up: the form, the row that waits for its confirmation, and the mail with the link.

use std::error::Error;

use accounts::answer::{Answer, Problem, Refusal};
use accounts::clock;
use accounts::email_address::EmailAddress;
use accounts::form::Form;
use accounts::keys::Use;
use accounts::lambda::Function;
use accounts::links::{self, Links};
use accounts::mailer::Mailer;
use accounts::mails::Mail;
use accounts::outcome::Outcome;
use accounts::request::{Request, Route};
use accounts::sender::Sender;
use accounts::site::Site;
use accounts::unavailable::Unavailable;
use accounts::users::{SignUp, Users};
use accounts::{aws, pages};
use lambda_http::http::{Method, StatusCode};

/// What the function works with.
pub struct CreateAccount {
    site: Site,
    users: Users,
    links: Links,
    mailer: Mailer,
    max_age: u64,
}

impl Function for CreateAccount {
    async fn from_env() -> Result<Self, Box<dyn Error>> {
        let config = aws::config()?;
        let sender = Sender::from_env()?;
        let site = Site::from_env(&sender)?;
        let max_age = links::max_age_from_env()?;
        let users = Users::from_env(&config, max_age)?;
        let mailer = Mailer::from_env(&config, &sender)?;
        let links = Links::from_env(&config, Use::Sign, &site, max_age).await?;
        Ok(Self {
            site,
            users,
            links,
            mailer,
            max_age,
        })
    }

    fn site(&self) -> &Site {
        &self.site
    }

    async fn answer(&self, request: &Request) -> Answer {
        let site = &self.site;
        let answer = match request.admit(site) {
            Err(answer) => return answer,
            Ok(Route::Create) if request.method == Method::POST => self.sign_up(request).await,
            Ok(Route::Create) => Ok(Answer::page(
                StatusCode::OK,
                pages::sign_up(site, "", &[]),
                Outcome::named("form"),
            )),
            Ok(Route::Created) => {
                let html = || pages::created(site);
                Ok(Answer::message(
                    request,
                    "Look into your inbox.",
                    html,
                    Outcome::named("created"),
                ))
            }
            Ok(_) => Err(Problem::NOT_FOUND.into()),
        };
        answer.unwrap_or_else(|refusal| Answer::refusal(request, site, &refusal))
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
                    pages::sign_up(&self.site, typed, &errors)
                }));
            }
        };
        // Before the address is looked up, so that it takes the same time for every address.
        let password_hash = password.hash()?;

        let sign_up = self.users.sign_up(&email, &password_hash).await?;
        let outcome = self.mail(&email, sign_up).await?;

        Ok(Answer::accepted(request, &self.site.index_url, outcome))
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
        let mail = match has_account {
            true => Mail::account_exists(&self.site, now),
            false => self.confirmation(email, now).await?,
        };
        self.mailer
            .send_claimed(&self.users, email, claim, mail)
            .await?;
        Ok(outcome.counting("MailSent"))
    }

    async fn confirmation(&self, email: &EmailAddress, now: u64) -> Result<Mail, Unavailable> {
        let url = self.links.confirm_sign_up(email).await?;
        Ok(Mail::confirm(&self.site, &url, now, self.max_age))
    }
}
