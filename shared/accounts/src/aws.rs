//! The SDK's configuration from environment variables, as AWS documents them. `aws-config` would cost more: it also asks
//! files, processes and servers, which a function does not have.

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

use crate::settings::{self, Environment, InvalidSetting};

/// Time-outs of one attempt, and of a call with its retries. `lambda::DEADLINE` bounds the whole request.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(1_500);
const OPERATION_TIMEOUT: Duration = Duration::from_millis(3_500);

/// The roots that AWS publishes for its endpoints (<https://www.amazontrust.com/repository/>): Amazon Root CA 1 to 4 and
/// Starfield Services Root CA – G2. Parsing the system's 150 instead is 90 % of a start.
const AMAZON_ROOTS: &str = include_str!("amazon-roots.pem");

/// What every client of the SDK is made from: region, credentials, endpoints, trust, time-outs and retries.
///
/// # Errors
///
/// [`InvalidSetting`] names the variable that is missing or wrong.
pub fn config(environment: &Environment) -> Result<SdkConfig, InvalidSetting> {
    let region = region(environment)?;
    let trust = trust_store(environment, &region)?;
    let tls = TlsContext::builder().with_trust_store(trust).build();
    let tls = tls.map_err(|_| InvalidSetting::new("AWS_CA_BUNDLE", CA_BUNDLE))?;
    // One connector for all clients. By default the SDK makes one for each set of time-outs, and one more as a check.
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
    for variable in SERVICE_ENDPOINTS {
        environment.optional(variable, ENDPOINT, endpoint_url)?;
    }
    let endpoint = environment.optional("AWS_ENDPOINT_URL", ENDPOINT, endpoint_url)?;
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials(environment)?))
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
        // The time-outs bound a stalled stream already.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .service_config(ServiceEndpoints::of(environment))
        .use_fips(switch(environment, "AWS_USE_FIPS_ENDPOINT")?)
        .use_dual_stack(switch(environment, "AWS_USE_DUALSTACK_ENDPOINT")?);
    Ok(
        match endpoint.filter(|_| !ignores_configured_endpoints(environment)) {
            Some(endpoint) => config.endpoint_url(endpoint).build(),
            None => config.build(),
        },
    )
}

const ENDPOINT: &str = "an http(s) URL";
/// The SDK would pass over an invalid one, and call Amazon.
const SERVICE_ENDPOINTS: [&str; 3] = [
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_SESV2",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
];
const CA_BUNDLE: &str = "the path of a file with PEM certificates of authorities";

/// Turns a call into an unsigned `GET /`, to open a connection: the SDK has no other way. No service charges for this request
/// or logs it as a call.
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
        // The SDK cannot parse this response and would retry.
        state.interceptor_state().store_put(RetryConfig::disabled());
        let root = Url::parse(context.request().uri())?.join("/")?;
        *context.request_mut() = HttpRequest::get(root)?;
        Ok(())
    }
}

fn endpoint_url(url: &str) -> Option<String> {
    settings::web_url(url).map(|_| url.to_owned())
}

fn region(environment: &Environment) -> Result<String, InvalidSetting> {
    const EXPECTED: &str = "an AWS region, for example eu-central-1";
    let name = |value: &str| {
        value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            .then(|| value.to_owned())
    };
    match environment.optional("AWS_REGION", EXPECTED, name)? {
        Some(region) => Ok(region),
        None => environment
            .required("AWS_DEFAULT_REGION", EXPECTED, name)
            .map_err(|_| InvalidSetting::new("AWS_REGION", EXPECTED)),
    }
}

/// Lambda puts the role's credentials into the environment, and ends the process before they expire.
fn credentials(environment: &Environment) -> Result<Credentials, InvalidSetting> {
    let text = |value: &str| Some(value.to_owned());
    let id = environment.required("AWS_ACCESS_KEY_ID", "an access key's id", text)?;
    let secret = environment.required("AWS_SECRET_ACCESS_KEY", "an access key", text)?;
    let token = environment.optional("AWS_SESSION_TOKEN", "a session token", text)?;
    Ok(Credentials::new(id, secret, token, None, "environment"))
}

fn switch(environment: &Environment, variable: &'static str) -> Result<bool, InvalidSetting> {
    let parse = |value: &str| match value.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    Ok(environment
        .optional(variable, "true or false", parse)?
        .unwrap_or(false))
}

/// Whether DynamoDB is a local stand-in, which is reached by plain HTTP.
pub fn is_local(environment: &Environment) -> bool {
    let endpoint = environment
        .get("AWS_ENDPOINT_URL_DYNAMODB")
        .or_else(|| environment.get("AWS_ENDPOINT_URL"));
    let is_plain = endpoint.is_some_and(|url| url.to_string_lossy().starts_with("http:"));
    is_plain && !ignores_configured_endpoints(environment)
}

fn ignores_configured_endpoints(environment: &Environment) -> bool {
    environment
        .get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The trusted roots: `AWS_CA_BUNDLE` alone if it is set; Amazon's own roots for Amazon's own endpoints; the system's roots
/// for other endpoints, and for partitions whose certificates Amazon's published roots may not have signed.
fn trust_store(environment: &Environment, region: &str) -> Result<TrustStore, InvalidSetting> {
    if let Some(bundle) = environment.optional("AWS_CA_BUNDLE", CA_BUNDLE, read_ca_bundle)? {
        return Ok(bundle
            .into_iter()
            .fold(TrustStore::empty(), TrustStore::with_pem_certificate));
    }
    let endpoints = environment.with_prefix("AWS_ENDPOINT_URL");
    let has_own_endpoints = endpoints.has_value_with_prefix("https:");
    let is_other_partition = ["cn-", "us-iso", "eu-iso", "eusc-"]
        .iter()
        .any(|prefix| region.starts_with(prefix));
    if has_own_endpoints || is_other_partition {
        return Ok(TrustStore::default());
    }
    Ok(TrustStore::empty().with_pem_certificate(AMAZON_ROOTS))
}

/// The certificates of a PEM file that rustls can use, each as a PEM text of its own. The HTTP client panics on other
/// certificates, and companies' bundles hold some.
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
struct ServiceEndpoints(Environment);

impl ServiceEndpoints {
    fn of(environment: &Environment) -> Self {
        if ignores_configured_endpoints(environment) {
            Self(Environment::default())
        } else {
            Self(environment.with_prefix("AWS_ENDPOINT_URL_"))
        }
    }
}

impl LoadServiceConfig for ServiceEndpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_ascii_uppercase().replace(' ', "_");
        let url = self.0.get(&format!("{}_{service}", key.env()))?;
        endpoint_url(url.to_str()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_sdk_dynamodb::Client;
    use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
    use aws_smithy_runtime_api::client::result::ConnectorError;

    use super::*;

    /// Notes the URL that it is to call.
    #[derive(Debug, Clone, Default)]
    struct Notes(Arc<Mutex<String>>);

    impl HttpConnector for Notes {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            request.uri().clone_into(&mut self.0.lock().unwrap());
            HttpConnectorFuture::ready(Err(ConnectorError::user("no network".into())))
        }
    }

    /// The URL that a function calls `DynamoDB` at in an environment.
    async fn url(variables: &[(&str, &str)]) -> String {
        let credentials = [
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "key"),
        ];
        let environment = variables.iter().chain(&credentials);
        let environment = environment.map(|(name, value)| (name.to_string(), value.to_string()));
        let notes = Notes::default();
        let connector = SharedHttpConnector::new(notes.clone());
        let http = http_client_fn(move |_, _| connector.clone());
        let config = config(&environment.collect()).unwrap();
        let config = config.into_builder().http_client(http).build();

        let _ = Client::new(&config).list_tables().send().await;

        let called = notes.0.lock().unwrap();
        called.clone()
    }

    #[tokio::test]
    async fn endpoints_are_those_of_the_region_and_its_partition() {
        for (region, host) in [
            ("eu-central-1", "eu-central-1.amazonaws.com"),
            ("us-gov-west-1", "us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "cn-north-1.amazonaws.com.cn"),
            ("us-iso-east-1", "us-iso-east-1.c2s.ic.gov"),
            ("eusc-de-east-1", "eusc-de-east-1.amazonaws.eu"),
        ] {
            let expected = format!("https://dynamodb.{host}/");
            assert_eq!(url(&[("AWS_REGION", region)]).await, expected);
        }
        assert_eq!(
            url(&[("AWS_DEFAULT_REGION", "us-east-1")]).await,
            "https://dynamodb.us-east-1.amazonaws.com/"
        );
    }

    #[tokio::test]
    async fn switches_choose_fips_and_dual_stack_endpoints() {
        let region = ("AWS_REGION", "us-east-1");
        let fips = ("AWS_USE_FIPS_ENDPOINT", "true");
        let dual_stack = ("AWS_USE_DUALSTACK_ENDPOINT", "true");

        for (switches, host) in [
            (&[region, fips][..], "dynamodb-fips.us-east-1.amazonaws.com"),
            (&[region, dual_stack], "dynamodb.us-east-1.api.aws"),
            (
                &[region, fips, dual_stack],
                "dynamodb-fips.us-east-1.api.aws",
            ),
        ] {
            assert_eq!(url(switches).await, format!("https://{host}/"));
        }
    }

    #[tokio::test]
    async fn configured_endpoints_come_first_unless_they_are_to_be_ignored() {
        let region = ("AWS_REGION", "us-east-1");
        let all = ("AWS_ENDPOINT_URL", "https://aws.example.com");
        let one = ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8000");
        let other = ("AWS_ENDPOINT_URL_SESV2", "http://127.0.0.1:8001");
        let ignored = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");

        for (endpoints, expected) in [
            (&[region, all, other][..], "https://aws.example.com/"),
            (&[region, all, one], "http://127.0.0.1:8000/"),
            (
                &[region, all, one, ignored],
                "https://dynamodb.us-east-1.amazonaws.com/",
            ),
        ] {
            assert_eq!(url(endpoints).await, expected);
        }
    }
}
