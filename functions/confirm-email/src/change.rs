//! Following a link that changes an address.

use accounts::clock;
use accounts::email_address::EmailAddress;
use accounts::mail::mails::Mail;
use accounts::outcome::Outcome;
use accounts::users::change::{Change, Outlook};
use accounts::web::answer::{Answer, Problem, Refusal};
use accounts::web::request::Request;

use crate::ConfirmEmail;

impl ConfirmEmail {
    pub(crate) async fn change(
        &self,
        date_signed: u64,
        old: &EmailAddress,
        new: &EmailAddress,
    ) -> Result<Answer, Refusal> {
        let (outcome, notice_due) = match self
            .service
            .users
            .change_email(old, new, date_signed)
            .await?
        {
            Change::Done { notice_due } => (
                Outcome::named("changed").counting("EmailChanged"),
                notice_due,
            ),
            Change::DoneBefore { notice_due } => (Outcome::named("changed-before"), notice_due),
            Change::Outlived => return Err(Problem::OUTLIVED_CHANGE.into()),
        };
        if notice_due {
            self.service
                .mailer
                .send(old, Mail::changed(&self.service.site, clock::now()))
                .await?;
            self.service.users.notice_mailed(new).await?;
        }
        Ok(Answer::redirect(&self.service.site.sign_in_url, outcome))
    }

    /// What following the link would lead to, without following it.
    pub(crate) async fn show_change(
        &self,
        request: &Request,
        date_signed: u64,
        old: &EmailAddress,
        new: &EmailAddress,
    ) -> Result<Answer, Refusal> {
        match self
            .service
            .users
            .change_outlook(old, new, date_signed)
            .await?
        {
            Outlook::Waits => Ok(self.would_confirm(request)),
            Outlook::Done { .. } => Ok(self.confirmed_before()),
            Outlook::Outlived => Err(Problem::OUTLIVED_CHANGE.into()),
        }
    }
}
