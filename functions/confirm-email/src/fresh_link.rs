//! A fresh link, for the holder of one that has expired.

use accounts::clock;
use accounts::limits::MailKind;
use accounts::links::Link;
use accounts::outcome::Outcome;
use accounts::service::Service;
use accounts::users::user::User;
use accounts::web::answer::Answer;
use accounts::web::pages::Content;
use accounts::web::problem::Refusal;
use accounts::web::request::Request;
use addresses::EmailAddress;

use crate::LinkForm;

/// Mails a fresh link if the address still has a waiting row. The answer does not show whether it has one.
pub async fn send(
    service: &Service,
    request: &Request,
    email: &EmailAddress,
    link: &Link,
    form: &LinkForm,
) -> Result<Answer, Refusal> {
    let Service {
        site,
        users,
        limits,
        links,
        ..
    } = service;
    service.admit(request).await?;
    if let Err(error) = service.check_challenge(request, &form.challenge).await? {
        let (content, reason) = (Content::Expired, "challenge");
        return Ok(Answer::invalid(request, site, content, &[error], reason));
    }
    let mut mailed = false;
    let user = users.find(email).await?.filter(User::is_waiting);
    if let Some(user) = user {
        // A link that is older than the row may be of another person's sign-up.
        let contests = !user.is_of_link(link.date_signed);
        let still_waits = users.renew(email, &user, contests).await?;
        let kind = MailKind::SignUp { made_row: false };
        let claim = if still_waits && !user.has_complained() {
            limits.claim_mail(kind, email, links.max_age).await?
        } else {
            None
        };
        if let Some(claim) = claim {
            let url = links.confirm_sign_up(email).await?;
            let signed_up = user.created_at.unwrap_or_else(clock::now);
            let writer = service.writer(user.locale);
            let mail = writer.confirm(email, url, signed_up, links.max_age);
            service.mail(email, claim, mail).await?;
            mailed = true;
        }
    }
    let outcome = Outcome::FreshLink { mailed };
    Ok(Answer::accepted(request, &site.index_url, outcome))
}
