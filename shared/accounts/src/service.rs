//! What each of the functions works with.

use std::error::Error;
use std::sync::Arc;

use addresses::EmailAddress;
use aws_sdk_dynamodb::Client;

use crate::aws;
use crate::challenge::{Challenge, ChallengeSettings, Verdict};
use crate::limits::attempts;
use crate::limits::requests::retry_after;
use crate::limits::{Claim, Limits, LimitsSettings};
use crate::links::keys::{KeySource, KeyStore, Use};
use crate::links::{self, Links};
use crate::log::{self, Level};
use crate::mail::mailer::Mailer;
use crate::mail::mails::{Mail, Writer};
use crate::mail::sender::Sender;
use crate::settings::Environment;
use crate::site::Site;
use crate::texts::Language;
use crate::unavailable::Unavailable;
use crate::users::Users;
use crate::users::user::User;
use crate::web::client::{Clients, Network};
use crate::web::form::Field;
use crate::web::policy::Policies;
use crate::web::problem::{Cause, FieldError, Problem, Refusal};
use crate::web::request::Request;

/// The settings and the clients, made once at start.
pub struct Service {
    pub site: Site,
    pub users: Users,
    pub limits: Limits,
    pub links: Links,
    pub mailer: Mailer,
    pub(crate) policies: Policies,
    pub(crate) log_level: Level,
    clients: Clients,
    challenge: Option<Challenge>,
}

/// An attempt at a password.
pub struct Attempt {
    /// Whether the attempt is within the limits.
    pub allowed: bool,
    /// The row of the address, if there is one.
    pub user: Option<User>,
}

impl Service {
    /// Reads all settings before the first call to AWS, which fetches the keys. Meanwhile it opens the connections that the
    /// first request needs. An error is one line that names the variable.
    pub async fn from_env(environment: &Environment, keys: Use) -> Result<Self, Box<dyn Error>> {
        let config = aws::config(environment)?;
        let sender = Sender::from_env(environment)?;
        let challenge = ChallengeSettings::from_env(environment)?;
        let widget = challenge.as_ref().map(|challenge| challenge.widget.clone());
        let site = Site::from_env(environment, sender.address(), widget)?;
        let clients = Clients::from_env(environment)?;
        let mailer = Mailer::from_env(environment, &config, &sender)?;
        let max_age = links::max_age(environment)?;
        // One client for both tables: making one is a good part of a start.
        let dynamodb = Client::new(&config);
        let users = Users::from_env(environment, &dynamodb, max_age)?;
        let limits = LimitsSettings::from_env(environment, &dynamodb)?;
        let source = KeySource::from_env(environment, &config, keys)?;
        if matches!(source, KeySource::SecretsManager(_)) {
            // Not awaited: a connection must neither fail nor delay the start.
            tokio::spawn(users.open_connection());
            // A function that only signs also mails its links. The others open this connection with their first mail.
            if keys == Use::Sign {
                tokio::spawn(mailer.open_connection());
            }
        }
        let keys = Arc::new(KeyStore::fetch(source).await?);
        let challenge = match challenge {
            Some(challenge) => Some(challenge.fetch_secret(&config).await?),
            None => None,
        };
        Ok(Self {
            policies: Policies::of(&site),
            log_level: Level::from_env(environment),
            limits: limits.with_keys(Arc::clone(&keys)),
            links: Links::new(&site, max_age, keys),
            site,
            users,
            mailer,
            clients,
            challenge,
        })
    }

    /// The network of the client.
    pub fn network(&self, request: &Request) -> Network {
        self.clients.network(request)
    }

    /// Counts a request that may cause a mail or a password's hash. A team's own backend has no limit.
    pub async fn admit(&self, request: &Request) -> Result<(), Refusal> {
        if self.clients.is_trusted(request)
            || self.limits.claim_request(&self.network(request)).await?
        {
            return Ok(());
        }
        Err(Refusal::Later(Problem::TooManyRequests, retry_after()))
    }

    /// Counts an attempt at the password of the account with this address, and reads the account.
    pub async fn attempt(
        &self,
        account: &EmailAddress,
        request: &Request,
    ) -> Result<Attempt, Unavailable> {
        let network = self.network(request);
        let (allowed, user, digest) = tokio::try_join!(
            self.limits.claim_attempt_from(account, &network),
            self.users.find(account),
            async { Ok(self.limits.digest(&network).await) },
        )?;
        let is_known = async || {
            let user = user.as_ref();
            self.limits.is_known(account, user, &network).await
        };
        let was_seen_here = is_known().await?;
        let was_confirmed_here = user.as_ref().is_some_and(|user| {
            user.confirmed_from.as_ref() == Some(&digest)
                && user.confirmed_at.is_some_and(attempts::is_recent)
        });
        // One more write in every case, so that the number of calls does not tell which networks an account knows.
        let is_free = if was_seen_here || was_confirmed_here || !allowed {
            is_known().await?;
            true
        } else {
            self.limits.claim_attempt_from_unknown(account).await?
        };
        Ok(Attempt {
            allowed: allowed && is_free,
            user,
        })
    }

    /// Whether the client has passed the challenge, if there is one. Without a verdict of the provider it counts as passed:
    /// then only the other limits hold, and the log says so.
    pub async fn check_challenge(
        &self,
        request: &Request,
        response: &Field,
    ) -> Result<Result<(), FieldError>, Unavailable> {
        let Some(challenge) = &self.challenge else {
            return Ok(Ok(()));
        };
        if self.clients.is_trusted(request) {
            return Ok(Ok(()));
        }
        let verdict = match response.text() {
            Ok(response) if !response.is_empty() => challenge.verify(response).await,
            _ => Verdict::Failed,
        };
        match verdict {
            Verdict::Passed => Ok(Ok(())),
            Verdict::Failed => Ok(Err(FieldError {
                field: "challenge",
                cause: Cause::Challenge,
            })),
            Verdict::UnknownSecret(cause) => Err(cause),
            Verdict::None(cause) => {
                log::went_on_without(self.log_level, "challenge-unanswered", &cause);
                Ok(Ok(()))
            }
        }
    }

    /// Writes mails in `language`, or else in that of the service.
    pub fn writer(&self, language: Option<Language>) -> Writer<'_> {
        Writer {
            site: &self.site,
            language: language.unwrap_or(self.site.language),
        }
    }

    /// Sends the mail that `claim` gives the right to; if that fails, gives the right back.
    pub async fn mail(
        &self,
        to: &EmailAddress,
        claim: Claim,
        mail: Mail,
    ) -> Result<(), Unavailable> {
        let sent = self.mailer.send(to, mail).await;
        if sent.is_err() {
            // If this fails too, the next mail to the address waits for the cooldown. The error to report is the first one.
            let _ = self.limits.lift(claim).await;
        }
        sent
    }

    /// Sends the notice of what the link with this token is about to do, once for each link.
    pub async fn notify(
        &self,
        token: &str,
        to: &EmailAddress,
        notice: impl FnOnce() -> Mail,
    ) -> Result<(), Unavailable> {
        let Some(claim) = self.limits.claim_notice(token).await? else {
            return Ok(());
        };
        if let Err(cause) = self.mailer.send_notice(to, notice()).await {
            let _ = self.limits.notice_failed(claim).await;
            return Err(cause);
        }
        self.limits.notice_sent(claim).await
    }
}
