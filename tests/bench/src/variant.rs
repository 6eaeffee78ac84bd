//! What is compared: a program and the event that it gets.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use signing::UrlSafeTimedSerializer;

use crate::lambda::{Event, Lambda};
use crate::process::{Environment, Process};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A program and the event that it gets.
#[derive(Clone)]
pub struct Variant {
    /// What the tables call it.
    pub name: &'static str,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What every invocation brings.
    pub event: Event,
    /// The status that every answer must have.
    pub status: u16,
    /// Where AWS is.
    pub aws: SocketAddr,
    /// Where `DynamoDB` is.
    pub table: SocketAddr,
    /// Settings that differ from the usual ones.
    pub settings: Environment,
}

/// A process with what it polls.
pub struct Running {
    /// The process.
    pub process: Process,
    /// What it polls.
    pub lambda: Lambda,
}

impl Variant {
    /// A program without arguments.
    #[must_use]
    pub fn new(name: &'static str, program: &Path, event: Event, aws: SocketAddr) -> Self {
        let command = vec![program.display().to_string()];
        Self {
            name,
            command,
            event,
            status: 303,
            aws,
            table: aws,
            settings: Environment::new(),
        }
    }

    /// Starts a process and waits for its first poll.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn start(&self) -> io::Result<Running> {
        let lambda = Lambda::start(Arc::clone(&self.event), self.status)?;
        let process = Process::start(&self.command, &self.environment(lambda.address))?;
        lambda.wait()?;
        Ok(Running { process, lambda })
    }

    /// What Lambda and template.yaml set, with the key in the environment.
    fn environment(&self, lambda: SocketAddr) -> Environment {
        let fixed = [
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            (
                "AWS_SECRET_ACCESS_KEY",
                "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            ),
            ("AWS_SESSION_TOKEN", "session-token"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_DEFAULT_REGION", "eu-central-1"),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
            ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
            ("_HANDLER", "bootstrap"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("TZ", ":UTC"),
            ("SECRET_KEY", KEY),
            ("USERS_TABLE", "users"),
            ("LIMITS_TABLE", "limits"),
            // All requests come from one network: the limit is claimed as usual and never reached.
            ("REQUESTS_PER_NETWORK", "1000000"),
            ("BASE_URL", "https://myapp.com"),
            ("MAIL_FROM", "no-reply@myapp.com"),
            ("SES_CONFIGURATION_SET", "accounts"),
        ];
        let addresses = [
            ("AWS_LAMBDA_RUNTIME_API", lambda.to_string()),
            ("AWS_ENDPOINT_URL", format!("http://{}", self.aws)),
            (
                "AWS_ENDPOINT_URL_DYNAMODB",
                format!("http://{}", self.table),
            ),
        ];
        let fixed = fixed.map(|(name, value)| (name, value.to_owned()));
        let usual = fixed.into_iter().chain(addresses);
        usual.chain(self.settings.clone()).collect()
    }
}

/// Where `cargo lambda build` puts a function, below its folder `lambda`.
#[must_use]
pub fn bootstrap(folder: &Path, function: &str) -> PathBuf {
    folder.join(function).join("bootstrap")
}

/// Somebody's address, 25 bytes long.
#[must_use]
pub fn address(number: usize) -> String {
    format!("grace.{number:07}@example.com")
}

/// The id of the sign-up of [`address`] with this number, which the browser's cookie names.
#[must_use]
pub fn sign_up_id(number: usize) -> String {
    format!("8d0e3f52-64a1-4b0c-9f10-{number:012}")
}

/// A visit of the link that was mailed to [`address`] 1, 2, 3, …, by the browser that signed up.
#[must_use]
pub fn confirmations() -> Event {
    let links = UrlSafeTimedSerializer::new(KEY.as_bytes(), "email-confirm-key");
    let cookies = UrlSafeTimedSerializer::new(KEY.as_bytes(), "accounts-cookie");
    Arc::new(move |number| {
        let token = links.dumps(&address(number)).unwrap_or_default();
        let cookie = cookies.dumps(&sign_up_id(number)).unwrap_or_default();
        event(
            "GET",
            &format!("/accounts/confirm/{token}"),
            Some(&format!("__Host-accounts={cookie}")),
            None,
        )
    })
}

/// A visit of a link that another key has signed.
#[must_use]
pub fn forgeries() -> Event {
    let signer = UrlSafeTimedSerializer::new(b"another key of some bytes", "email-confirm-key");
    Arc::new(move |number| {
        let token = signer.dumps(&address(number)).unwrap_or_default();
        event("GET", &format!("/accounts/confirm/{token}"), None, None)
    })
}

/// A sign-up of addresses that begin with `prefix`.
#[must_use]
pub fn sign_ups(prefix: String) -> Event {
    Arc::new(move |number| {
        let email = format!("{prefix}.{}", address(number)).replace('@', "%40");
        let form = format!("email={email}&password=correct+horse+battery");
        event("POST", "/accounts/create", None, Some(&form))
    })
}

/// A request for a reset link.
#[must_use]
pub fn resets() -> Event {
    Arc::new(move |number| {
        let form = format!("email={}", address(number).replace('@', "%40"));
        event("POST", "/accounts/password", None, Some(&form))
    })
}

/// An event of an HTTP API, as API Gateway sends it.
fn event(method: &str, path: &str, cookie: Option<&str>, form: Option<&str>) -> String {
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "cookies": cookie.map(|cookie| [cookie]),
        "headers": {
            "accept": "text/html",
            "content-length": form.map_or(0, str::len).to_string(),
            "content-type": "application/x-www-form-urlencoded",
            "host": "abcdefghij.execute-api.eu-central-1.amazonaws.com",
            "user-agent": "curl/8.5.0",
            "x-amzn-trace-id": "Root=1-65a1b2c3-0123456789abcdef01234567",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https"
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abcdefghij",
            "domainName": "abcdefghij.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "abcdefghij",
            "http": { "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7", "userAgent": "curl/8.5.0" },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": "$default",
            "time": "23/Nov/2026:06:00:00 +0000",
            "timeEpoch": 1_795_413_600_000_u64
        },
        "body": form,
        "isBase64Encoded": false
    })
    .to_string()
}
