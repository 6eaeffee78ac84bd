//! Asking for a change of address: the form, the proof of the password, the request, and the mails.

use std::error::Error;

use accounts::clock;
use accounts::email_address::EmailAddress;
use accounts::guesses;
use accounts::lambda::Function;
use accounts::links::keys::Use;
use accounts::mail::mails::Mail;
use accounts::outcome::Outcome;
use accounts::service::Service;
use accounts::users::change::ChangeRequest;
use accounts::web::answer::{Answer, FieldError, Problem, Refusal};
use accounts::web::form::Form;
use accounts::web::pages;
use accounts::web::request::{Request, Route};
use lambda_http::http::{Method, StatusCode};

/// The function.
pub struct ChangeEmail {
    service: Service,
}

impl Function for ChangeEmail {
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
            Route::Email if request.method == Method::POST => self.ask(request).await,
            Route::Email => {
                let html = pages::change_email(site, "", "", &[]);
                Ok(Answer::page(StatusCode::OK, html, Outcome::named("form")))
            }
            _ => Err(Problem::NOT_FOUND.into()),
        }
    }
}

impl ChangeEmail {
    async fn ask(&self, request: &Request) -> Result<Answer, Refusal> {
        let form = Form::read(request, &["email", "password", "new_email"])?;
        let invalid = |errors: &[FieldError]| {
            let typed = |field| form.text(field).unwrap_or_default();
            let html = || {
                pages::change_email(
                    &self.service.site,
                    typed("email"),
                    typed("new_email"),
                    errors,
                )
            };
            Ok(Answer::invalid(request, errors, html))
        };
        let password = form.text("password").map_err(|advice| FieldError {
            field: "password",
            advice,
        });
        let (old, password, new) = match (form.email("email"), password, form.email("new_email")) {
            (Ok(old), Ok(_), Ok(new)) if old == new => {
                return invalid(&[FieldError {
                    field: "new_email",
                    advice: "This is the current address.",
                }]);
            }
            (Ok(old), Ok(password), Ok(new)) => (old, password, new),
            (old, password, new) => {
                let errors: Vec<_> = [old.err(), password.err(), new.err()]
                    .into_iter()
                    .flatten()
                    .collect();
                return invalid(&errors);
            }
        };

        let network = guesses::network(request.source_ip.as_deref().unwrap_or_default());
        let Some(owner) = self
            .service
            .users
            .prove_owner(&old, password, &network)
            .await?
        else {
            // One sentence for a wrong password, an unknown address and too many tries, so that they are alike.
            let advice = "The address or the password is not right. After ten tries the right one counts again in an hour.";
            return invalid(&[FieldError {
                field: "password",
                advice,
            }]);
        };
        let outcome = match self
            .service
            .users
            .request_change(&owner, &old, &new)
            .await?
        {
            Some(asked) => self.mail(&old, &new, asked).await?,
            None => Outcome::named("change-not-mailed"),
        };
        Ok(Answer::accepted(
            request,
            &self.service.site.index_url,
            outcome,
        ))
    }

    /// The notice goes first: if only one of the two mails can be sent, then the one that warns.
    async fn mail(
        &self,
        old: &EmailAddress,
        new: &EmailAddress,
        asked: ChangeRequest,
    ) -> Result<Outcome, Refusal> {
        let (now, mut mails) = (clock::now(), 1.0);
        let mail = if asked.taken {
            Mail::address_taken(&self.service.site, now)
        } else {
            let url = self.service.links.confirm_change(old, new).await?;
            Mail::confirm_change(&self.service.site, &url, now, self.service.max_age)
        };
        if let Some(claim) = asked.notice {
            let notice = Mail::change_requested(&self.service.site, now);
            if let Err(cause) = self
                .service
                .mailer
                .send_claimed(&self.service.users, old, claim, notice)
                .await
            {
                // Its failure leaves the new address to wait for the cooldown; the cause to report is the first.
                let _ = self.service.users.lift_claim(new, asked.claim).await;
                return Err(cause.into());
            }
            mails += 1.0;
        }
        self.service
            .mailer
            .send_claimed(&self.service.users, new, asked.claim, mail)
            .await?;
        let name = if asked.taken {
            "change-to-taken"
        } else {
            "change-asked"
        };
        Ok(Outcome::named(name).measuring("MailSent", "Count", mails))
    }
}
