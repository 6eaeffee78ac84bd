//! Asks a provider whether a person fills in a form. Turnstile
//! (<https://developers.cloudflare.com/turnstile/get-started/server-side-validation/>) and hCaptcha
//! (<https://docs.hcaptcha.com/#verify-the-user-response-server-side>) share the `siteverify` protocol.
//!
//! The optional `remoteip` is not sent: if the provider has IPv6 and the API has not, they see different addresses of one
//! person.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider as TlsProvider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpConnector as _, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use tokio::time::timeout;

use crate::settings::{self, Environment, InvalidSetting};
use crate::unavailable::Unavailable;

/// How long the provider may take. After that a request is let through to the other limits.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The most bytes of a response. Turnstile's have at most 2,048. hCaptcha documents no bound; its widget sends the response
/// twice in a body of at most 16 KiB. A longer response could make the provider refuse the call without a verdict, and would
/// so be let through.
const MAX_RESPONSE: usize = 8 * 1024;

/// The most bytes of a verdict; the usual ones have 300.
const MAX_VERDICT: usize = 16 * 1024;

/// The call, in errors.
const OPERATION: &str = "siteverify";

/// The provider of the challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Provider {
    Turnstile,
    Hcaptcha,
}

/// What the forms show of the challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Widget {
    /// The class of the element that the provider's script fills.
    pub class: &'static str,
    pub site_key: String,
    pub script_url: String,
    /// The sources that the content security policy must allow.
    pub sources: String,
    /// Whether the script loads styles and calls its server from the page itself, not from its frame.
    pub works_in_page: bool,
}

/// What came of asking the provider.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Failed,
    /// The provider does not know our secret, so that nobody can pass.
    UnknownSecret(Unavailable),
    /// The provider is down or slow, or its answer is not a verdict.
    None(Unavailable),
}

/// Why there is no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoAnswer {
    Connection,
    Unreadable,
}

impl NoAnswer {
    fn name(self) -> &'static str {
        match self {
            Self::Connection => "no connection",
            Self::Unreadable => "unreadable answer",
        }
    }
}

/// Asks the provider whether a challenge was passed.
pub struct Challenge {
    verify_url: String,
    secret: String,
    /// For hCaptcha only: its secret is valid for all site keys of a team, so a response must be checked against this key.
    site_key: Option<String>,
    /// Made by the first request: reading the system's roots would take most of a start.
    connector: OnceLock<SharedHttpConnector>,
}

/// Where the provider's secret is.
enum ChallengeSecret {
    /// `CHALLENGE_SECRET`.
    Text(String),
    /// `CHALLENGE_SECRET_ARN`.
    Arn(String),
}

/// The challenge's settings. The secret may still have to be fetched.
pub struct ChallengeSettings {
    pub widget: Widget,
    provider: Provider,
    secret: ChallengeSecret,
    verify_url: String,
}

/// Why there is no secret at start.
#[derive(Debug)]
pub struct NoSecret(String);

impl fmt::Display for NoSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CHALLENGE_SECRET_ARN: the secret could not be read: {}",
            self.0
        )
    }
}

impl std::error::Error for NoSecret {}

/// The members of a `siteverify` answer that count.
#[derive(Deserialize)]
struct SiteVerify {
    success: bool,
    #[serde(default, rename = "error-codes")]
    error_codes: Vec<String>,
}

impl From<SiteVerify> for Verdict {
    fn from(answer: SiteVerify) -> Self {
        let names = |code: &str| answer.error_codes.iter().any(|other| other == code);
        if answer.success {
            Self::Passed
        } else if names("invalid-input-secret") || names("missing-input-secret") {
            Self::UnknownSecret(Unavailable::new(OPERATION, "invalid-input-secret"))
        } else if names("internal-error") {
            Self::None(Unavailable::new(OPERATION, "internal-error"))
        } else {
            Self::Failed
        }
    }
}

impl ChallengeSettings {
    /// Reads `CHALLENGE`, and with a provider `CHALLENGE_SITE_KEY` and `CHALLENGE_SECRET` or `CHALLENGE_SECRET_ARN`;
    /// `CHALLENGE_ENDPOINT_URL` is the origin of a stand-in of the provider, in tests and local runs.
    pub fn from_env(environment: &Environment) -> Result<Option<Self>, InvalidSetting> {
        const SECRET: &str =
            "the provider's secret, unless CHALLENGE_SECRET_ARN names it; not both";
        let parse = |value: &str| match value {
            "none" => Some(None),
            "turnstile" => Some(Some(Provider::Turnstile)),
            "hcaptcha" => Some(Some(Provider::Hcaptcha)),
            _ => None,
        };
        let provider = environment.optional("CHALLENGE", "none, turnstile or hcaptcha", parse)?;
        let Some(provider) = provider.flatten() else {
            return Ok(None);
        };
        let plain = |value: &str| settings::plain_text(value);
        let site_key =
            environment.required("CHALLENGE_SITE_KEY", "the provider's site key", plain)?;
        let secret = environment.optional("CHALLENGE_SECRET", SECRET, plain)?;
        let arn = environment.optional("CHALLENGE_SECRET_ARN", "the ARN of a secret", plain)?;
        let secret = match (secret, arn) {
            (Some(secret), None) => ChallengeSecret::Text(secret),
            (None, Some(arn)) => ChallengeSecret::Arn(arn),
            (Some(_), Some(_)) | (None, None) => {
                return Err(InvalidSetting::new("CHALLENGE_SECRET", SECRET));
            }
        };
        let stand_in =
            environment.optional("CHALLENGE_ENDPOINT_URL", "an http(s) URL", |value| {
                settings::web_url(value).map(|url| url.origin().ascii_serialization())
            })?;
        Ok(Some(Self::new(provider, site_key, secret, stand_in)))
    }

    fn new(
        provider: Provider,
        site_key: String,
        secret: ChallengeSecret,
        stand_in: Option<String>,
    ) -> Self {
        let (class, script_url, verify_url, sources) = match provider {
            // https://developers.cloudflare.com/turnstile/reference/content-security-policy/
            Provider::Turnstile => (
                "cf-turnstile",
                "https://challenges.cloudflare.com/turnstile/v0/api.js",
                "https://challenges.cloudflare.com/turnstile/v0/siteverify",
                "https://challenges.cloudflare.com",
            ),
            // https://docs.hcaptcha.com/#content-security-policy-settings
            Provider::Hcaptcha => (
                "h-captcha",
                "https://js.hcaptcha.com/1/api.js",
                "https://api.hcaptcha.com/siteverify",
                "https://hcaptcha.com https://*.hcaptcha.com",
            ),
        };
        let (script_url, verify_url, sources) = match stand_in {
            Some(origin) => (
                format!("{origin}/api.js"),
                format!("{origin}/siteverify"),
                origin,
            ),
            None => (script_url.into(), verify_url.into(), sources.into()),
        };
        Self {
            widget: Widget {
                class,
                site_key,
                script_url,
                sources,
                works_in_page: provider == Provider::Hcaptcha,
            },
            provider,
            secret,
            verify_url,
        }
    }

    /// Fetches the secret, if Secrets Manager has it.
    pub async fn fetch_secret(self, config: &SdkConfig) -> Result<Challenge, NoSecret> {
        let secret = match self.secret {
            ChallengeSecret::Text(secret) => secret,
            ChallengeSecret::Arn(arn) => {
                let call = Client::new(config).get_secret_value().secret_id(arn);
                let value = call.send().await;
                let value = value.map_err(|error| {
                    NoSecret(Unavailable::from_sdk("GetSecretValue", &error).to_string())
                })?;
                let text = value.secret_string.as_deref().map(str::trim);
                let text = text.filter(|secret| !secret.is_empty());
                text.ok_or_else(|| NoSecret("it holds no text".to_owned()))?
                    .to_owned()
            }
        };
        Ok(Challenge {
            verify_url: self.verify_url,
            secret,
            site_key: (self.provider == Provider::Hcaptcha).then_some(self.widget.site_key),
            connector: OnceLock::new(),
        })
    }
}

impl Challenge {
    /// Asks the provider about the response that its widget put into a form. Every failure is a [`Verdict`] too.
    pub async fn verify(&self, response: &str) -> Verdict {
        // Both providers' tokens have the characters of RFC 6750's. Any other text might make a firewall in front of the
        // provider answer without a verdict.
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        let is_token = response.bytes().all(is_token);
        if !is_token || response.len() > MAX_RESPONSE {
            return Verdict::Failed;
        }
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("secret", &self.secret);
        form.append_pair("response", response);
        if let Some(site_key) = &self.site_key {
            form.append_pair("sitekey", site_key);
        }
        let form = form.finish();
        let asked = timeout(TIMEOUT, async {
            match self.ask(&form).await {
                // A pooled connection may have died; the second call opens a new one.
                Err(NoAnswer::Connection) => self.ask(&form).await,
                answer => answer,
            }
        });
        match asked.await {
            Ok(Ok(answer)) => answer.into(),
            Ok(Err(why)) => Verdict::None(Unavailable::new(OPERATION, why.name())),
            Err(_) => Verdict::None(Unavailable::new(OPERATION, "timeout")),
        }
    }

    async fn ask(&self, form: &str) -> Result<SiteVerify, NoAnswer> {
        let mut request = HttpRequest::new(SdkBody::from(form));
        let is_set =
            request.set_method("POST").is_ok() && request.set_uri(self.verify_url.as_str()).is_ok();
        let connector = self
            .connector()
            .filter(|_| is_set)
            .ok_or(NoAnswer::Unreadable)?;
        let headers = request.headers_mut();
        headers.insert("content-type", "application/x-www-form-urlencoded");
        let answer = connector.call(request).await;
        let answer = answer.map_err(|_| NoAnswer::Connection)?;
        // A refusal may have a status of 4xx: it is a verdict too.
        if answer.status().is_server_error() {
            return Err(NoAnswer::Unreadable);
        }
        let body = Limited::new(answer.into_body(), MAX_VERDICT).collect();
        let body = body.await.map_err(|_| NoAnswer::Unreadable)?;
        serde_json::from_slice(&body.to_bytes()).map_err(|_| NoAnswer::Unreadable)
    }

    /// A connector that trusts the system's roots. The other clients trust Amazon's only, which do not sign the provider's
    /// certificate.
    fn connector(&self) -> Option<&SharedHttpConnector> {
        if self.connector.get().is_none() {
            let tls = TlsContext::builder().with_trust_store(TrustStore::default());
            let connector = Connector::builder()
                .tls_provider(TlsProvider::rustls(CryptoMode::AwsLc))
                .tls_context(tls.build().ok()?)
                .connector_settings(
                    HttpConnectorSettings::builder()
                        .connect_timeout(TIMEOUT)
                        .build(),
                )
                .sleep_impl(TokioSleep::new())
                .build();
            let _ = self.connector.set(SharedHttpConnector::new(connector));
        }
        self.connector.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(json: &str) -> Option<Verdict> {
        serde_json::from_str::<SiteVerify>(json)
            .ok()
            .map(Verdict::from)
    }

    #[test]
    fn only_a_yes_passes_and_only_our_own_secret_or_an_error_of_the_provider_is_no_verdict() {
        let passed = r#"{"success":true,"challenge_ts":"2026-11-24T18:00:00Z","hostname":"a.example","error-codes":[]}"#;
        assert_eq!(verdict(passed), Some(Verdict::Passed));
        for code in [
            "timeout-or-duplicate",
            "already-seen-response",
            "invalid-input-response",
            "sitekey-secret-mismatch",
            "a code of next year",
        ] {
            let refused = format!(r#"{{"success":false,"error-codes":["{code}"]}}"#);
            assert_eq!(verdict(&refused), Some(Verdict::Failed), "{code}");
        }
        assert_eq!(verdict(r#"{"success":false}"#), Some(Verdict::Failed));
        let secret = verdict(r#"{"success":false,"error-codes":["invalid-input-secret"]}"#);
        assert!(matches!(secret, Some(Verdict::UnknownSecret(_))));
        let error = verdict(r#"{"success":false,"error-codes":["internal-error"]}"#);
        assert!(matches!(error, Some(Verdict::None(_))));
        for nonsense in ["{}", "[]", r#"{"success":"true"}"#, "<html>"] {
            assert_eq!(verdict(nonsense), None, "{nonsense}");
        }
    }
}
