//! The SDK's configuration: what AWS documents for the environment, without the cost of `aws-config`, which asks files,
//! processes and servers that a function does not have.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_types::SdkConfig;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use url::Url;

use crate::settings::{self, InvalidSetting};

/// How long one try may take, and a call with its retries. The longest request makes four calls, which fits twice into a
/// function's own time-out of 29 seconds.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1_500);
const OPERATION_TIMEOUT: Duration = Duration::from_millis(3_500);

/// The roots that AWS publishes for its endpoints (<https://www.amazontrust.com/repository/>): Amazon Root CA 1 to 4 and
/// Starfield Services Root CA – G2. Parsing the system's hundred and fifty instead is nine tenths of a start.
const AMAZON_ROOTS: &str = include_str!("amazon-roots.pem");

/// What every client of the SDK is made from: region, credentials, endpoints, trust, time-outs and retries.
///
/// # Errors
///
/// [`InvalidSetting`] names the variable that is missing or wrong.
pub fn config() -> Result<SdkConfig, InvalidSetting> {
    let region = region()?;
    let trust = trust_store(&region)?;
    let tls = TlsContext::builder().with_trust_store(trust).build();
    let tls = tls.map_err(|_| InvalidSetting::new("AWS_CA_BUNDLE", CA_BUNDLE))?;
    // One connector for all clients: the SDK would make one for each set of time-outs and one more to see whether it can.
    let connector = Connector::builder()
        .tls_provider(Provider::rustls(CryptoMode::AwsLc))
        .tls_context(tls)
        .connector_settings(
            HttpConnectorSettings::builder()
                .connect_timeout(ATTEMPT_TIMEOUT)
                .build(),
        )
        .sleep_impl(TokioSleep::new())
        .build();
    let connector = SharedHttpConnector::new(connector);
    let endpoint = settings::optional("AWS_ENDPOINT_URL", ENDPOINT, endpoint_url)?;
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials()?))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .sleep_impl(TokioSleep::new())
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(3)
                .with_initial_backoff(Duration::from_millis(50)),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(OPERATION_TIMEOUT)
                .build(),
        )
        // What it protects from, the time-outs bound as well.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .service_config(ServiceEndpoints)
        .use_fips(switch("AWS_USE_FIPS_ENDPOINT")?)
        .use_dual_stack(switch("AWS_USE_DUALSTACK_ENDPOINT")?);
    Ok(match endpoint.filter(|_| !ignores_configured_endpoints()) {
        Some(endpoint) => config.endpoint_url(endpoint).build(),
        None => config.build(),
    })
}

const ENDPOINT: &str = "an http(s) URL";
const CA_BUNDLE: &str = "the path of a file with PEM certificates of authorities";

/// Turns a call into an unsigned `GET /` that opens a connection and means nothing: no service charges it or logs it as a call.
/// The SDK cannot open one otherwise.
#[derive(Debug)]
pub(crate) struct OpenConnection;

impl Intercept for OpenConnection {
    fn name(&self) -> &'static str {
        "OpenConnection"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        state: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Its answer is not one to the call that it was, which the SDK would take for a fault.
        state.interceptor_state().store_put(RetryConfig::disabled());
        let root = Url::parse(context.request().uri())?.join("/")?;
        *context.request_mut() = HttpRequest::get(root)?;
        Ok(())
    }
}

fn endpoint_url(url: &str) -> Option<String> {
    settings::web_url(url).map(|_| url.to_owned())
}

fn region() -> Result<String, InvalidSetting> {
    const EXPECTED: &str = "an AWS region, for example eu-central-1";
    let name = |value: &str| {
        value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            .then(|| value.to_owned())
    };
    match settings::optional("AWS_REGION", EXPECTED, name)? {
        Some(region) => Ok(region),
        None => settings::required("AWS_DEFAULT_REGION", EXPECTED, name)
            .map_err(|_| InvalidSetting::new("AWS_REGION", EXPECTED)),
    }
}

/// Lambda puts the role's credentials into the environment, and ends the process before they do.
fn credentials() -> Result<Credentials, InvalidSetting> {
    let text = |value: &str| Some(value.to_owned());
    let id = settings::required("AWS_ACCESS_KEY_ID", "an access key's id", text)?;
    let secret = settings::required("AWS_SECRET_ACCESS_KEY", "an access key", text)?;
    let token = settings::optional("AWS_SESSION_TOKEN", "a session token", text)?;
    Ok(Credentials::new(id, secret, token, None, "environment"))
}

fn switch(variable: &'static str) -> Result<bool, InvalidSetting> {
    let parse = |value: &str| match value.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    Ok(settings::optional(variable, "true or false", parse)?.unwrap_or(false))
}

fn ignores_configured_endpoints() -> bool {
    std::env::var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        .is_ok_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Whom to believe: `AWS_CA_BUNDLE` alone if it is set; Amazon's own roots for Amazon's own endpoints; the system's roots
/// for whatever else is configured, and for partitions whose certificates Amazon's published roots may not have signed.
fn trust_store(region: &str) -> Result<TrustStore, InvalidSetting> {
    if let Some(bundle) = settings::optional("AWS_CA_BUNDLE", CA_BUNDLE, read_ca_bundle)? {
        return Ok(bundle
            .into_iter()
            .fold(TrustStore::empty(), TrustStore::with_pem_certificate));
    }
    let has_own_endpoints = std::env::vars_os().any(|(name, value)| {
        let is_tls = value.to_string_lossy().starts_with("https:");
        is_tls && name.to_string_lossy().starts_with("AWS_ENDPOINT_URL")
    });
    let is_other_partition = ["cn-", "us-iso", "eu-iso", "eusc-"]
        .iter()
        .any(|prefix| region.starts_with(prefix));
    if has_own_endpoints || is_other_partition {
        return Ok(TrustStore::default());
    }
    Ok(TrustStore::empty().with_pem_certificate(AMAZON_ROOTS))
}

/// The certificates of a PEM file that rustls can use, each a PEM text of its own: the HTTP client panics on any other, and
/// companies' bundles hold some.
fn read_ca_bundle(path: &str) -> Option<Vec<String>> {
    const END: &str = "-----END CERTIFICATE-----";
    let is_usable = |pem: &&str| {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes());
        certificate.is_ok_and(|certificate| webpki::anchor_from_trusted_cert(&certificate).is_ok())
    };
    let pem = std::fs::read_to_string(path).ok()?;
    let usable: Vec<_> = pem
        .split_inclusive(END)
        .filter(is_usable)
        .map(str::to_owned)
        .collect();
    (!usable.is_empty()).then_some(usable)
}

/// `AWS_ENDPOINT_URL_DYNAMODB` and its like
/// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
#[derive(Debug)]
struct ServiceEndpoints;

impl LoadServiceConfig for ServiceEndpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        if ignores_configured_endpoints() {
            return None;
        }
        let service = key.service_id().to_ascii_uppercase().replace(' ', "_");
        std::env::var(format!("{}_{service}", key.env()))
            .ok()
            .and_then(|url| endpoint_url(&url))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use aws_sdk_dynamodb::Client;
    use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
    use aws_smithy_runtime_api::client::result::ConnectorError;

    use super::*;

    /// Prints the URL that it is to call.
    #[derive(Debug)]
    struct Printer;

    impl HttpConnector for Printer {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            println!("called {}", request.uri());
            HttpConnectorFuture::ready(Err(ConnectorError::user("no network".into())))
        }
    }

    #[tokio::test]
    #[ignore = "a part of other tests, which run it with environments of their own"]
    async fn print_the_url() {
        let http = http_client_fn(|_, _| SharedHttpConnector::new(Printer));
        let config = config().unwrap().into_builder().http_client(http).build();

        let _ = Client::new(&config).list_tables().send().await;
    }

    /// The URL that a function calls `DynamoDB` at in an environment.
    fn url(environment: &[(&str, &str)]) -> String {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "aws::tests::print_the_url"])
            .args(["--ignored", "--nocapture"])
            .env_clear()
            .envs([
                ("AWS_ACCESS_KEY_ID", "id"),
                ("AWS_SECRET_ACCESS_KEY", "key"),
            ])
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let (_, url) = printed.split_once("called ").unwrap_or(("", &printed));
        url.lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn endpoints_are_those_of_the_region_and_its_partition() {
        for (region, expected) in [
            (
                "eu-central-1",
                "https://dynamodb.eu-central-1.amazonaws.com/",
            ),
            (
                "us-gov-west-1",
                "https://dynamodb.us-gov-west-1.amazonaws.com/",
            ),
            (
                "cn-north-1",
                "https://dynamodb.cn-north-1.amazonaws.com.cn/",
            ),
            (
                "us-iso-east-1",
                "https://dynamodb.us-iso-east-1.c2s.ic.gov/",
            ),
            (
                "eusc-de-east-1",
                "https://dynamodb.eusc-de-east-1.amazonaws.eu/",
            ),
        ] {
            assert_eq!(url(&[("AWS_REGION", region)]), expected);
        }
        assert_eq!(
            url(&[("AWS_DEFAULT_REGION", "us-east-1")]),
            "https://dynamodb.us-east-1.amazonaws.com/"
        );
    }

    #[test]
    fn switches_choose_fips_and_dual_stack_endpoints() {
        let region = ("AWS_REGION", "us-east-1");
        let (fips, dual_stack) = (
            ("AWS_USE_FIPS_ENDPOINT", "true"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
        );

        assert_eq!(
            url(&[region, fips]),
            "https://dynamodb-fips.us-east-1.amazonaws.com/"
        );
        assert_eq!(
            url(&[region, dual_stack]),
            "https://dynamodb.us-east-1.api.aws/"
        );
        assert_eq!(
            url(&[region, fips, dual_stack]),
            "https://dynamodb-fips.us-east-1.api.aws/"
        );
    }

    #[test]
    fn endpoints_of_ones_own_come_first_unless_they_are_to_be_ignored() {
        let region = ("AWS_REGION", "us-east-1");
        let all = ("AWS_ENDPOINT_URL", "https://aws.example.com");
        let one = ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000");
        let other = ("AWS_ENDPOINT_URL_SESV2", "http://127.0.0.1:8001");
        let ignored = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");

        assert_eq!(url(&[region, all, other]), "https://aws.example.com/");
        assert_eq!(url(&[region, all, one]), "http://127.0.0.1:8000/");
        assert_eq!(
            url(&[region, all, one, ignored]),
            "https://dynamodb.us-east-1.amazonaws.com/"
        );
    }
}
