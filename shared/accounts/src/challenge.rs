//! The check of a provider that a person fills in a form, by the `siteverify` protocol that Turnstile
//! (<https://developers.cloudflare.com/turnstile/get-started/server-side-validation/>) and hCaptcha
//! (<https://docs.hcaptcha.com/#verify-the-user-response-server-side>) share.

use std::fmt;
use std::net::IpAddr;
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
use serde::Deserialize;
use tokio::time::timeout;

use crate::settings::{self, Environment, InvalidSetting};
use crate::unavailable::Unavailable;

/// How long the provider may take. After that a request is let through to the other limits.
const TIMEOUT: Duration = Duration::from_secs(3);

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
}

/// Asks the provider whether a challenge was passed.
pub struct Challenge {
    verify_url: String,
    secret: String,
    /// Made by the first request: the system's roots take most of a start.
    connector: OnceLock<SharedHttpConnector>,
}

/// Where the provider's secret is.
enum ChallengeSecret {
    /// `CHALLENGE_SECRET`.
    Text(String),
    /// `CHALLENGE_SECRET_ARN`.
    Arn(String),
}

/// The challenge as it is set, whose secret may still have to be fetched.
pub struct ChallengeSettings {
    pub widget: Widget,
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

#[derive(Deserialize)]
struct Verdict {
    success: bool,
}

impl ChallengeSettings {
    /// Reads `CHALLENGE`, and with a provider `CHALLENGE_SITE_KEY` and `CHALLENGE_SECRET` or `CHALLENGE_SECRET_ARN`;
    /// `CHALLENGE_ENDPOINT_URL` is for a stand-in of the provider.
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
            Provider::Turnstile => (
                "cf-turnstile",
                "https://challenges.cloudflare.com/turnstile/v0/api.js",
                "https://challenges.cloudflare.com/turnstile/v0/siteverify",
                "https://challenges.cloudflare.com",
            ),
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
            },
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
                let text = value.secret_string.filter(|secret| !secret.is_empty());
                text.ok_or_else(|| NoSecret("it holds no text".to_owned()))?
            }
        };
        Ok(Challenge {
            verify_url: self.verify_url,
            secret,
            connector: OnceLock::new(),
        })
    }
}

impl Challenge {
    /// Whether the provider says that the challenge was passed. A provider that does not answer in time counts as a yes.
    pub async fn is_passed(&self, response: &str, client: Option<IpAddr>) -> bool {
        let asked = timeout(TIMEOUT, self.ask(response, client)).await;
        asked.ok().flatten().is_none_or(|verdict| verdict.success)
    }

    async fn ask(&self, response: &str, client: Option<IpAddr>) -> Option<Verdict> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("secret", &self.secret);
        form.append_pair("response", response);
        if let Some(client) = client {
            form.append_pair("remoteip", &client.to_string());
        }
        let mut request = HttpRequest::new(SdkBody::from(form.finish()));
        request.set_method("POST").ok()?;
        request.set_uri(self.verify_url.as_str()).ok()?;
        let headers = request.headers_mut();
        headers.insert("content-type", "application/x-www-form-urlencoded");
        let answer = self.connector()?.call(request).await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        let body = http_body_util::BodyExt::collect(answer.into_body())
            .await
            .ok()?;
        serde_json::from_slice(&body.to_bytes()).ok()
    }

    /// The functions trust Amazon's roots only; the provider's certificate is another authority's.
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
