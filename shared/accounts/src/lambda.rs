//! From Lambda's events to requests, and from answers to what Lambda sends back.

use std::cell::Cell;
use std::process::ExitCode;
use std::time::Instant;

use jiff::Timestamp;
use lambda_http::http::{HeaderMap, Method, StatusCode};
use lambda_http::lambda_runtime::{self, LambdaEvent};
use lambda_http::{Error, service_fn};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::answer::{Answer, Problem, Refusal};
use crate::event::{self, PayloadFormat};
use crate::log::{Level, Record};
use crate::outcome::Outcome;
use crate::request::{Request, Route};
use crate::service::Service;

/// An answer in the payload format of its event.
#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Reply {
    /// A REST API takes an answer with `cookies` for malformed.
    V1 {
        status_code: u16,
        #[serde(serialize_with = "as_lists")]
        multi_value_headers: HeaderMap,
        body: String,
        is_base64_encoded: bool,
    },
    /// `cargo lambda watch` takes an answer without `cookies` for malformed.
    V2 {
        status_code: u16,
        #[serde(serialize_with = "as_text")]
        headers: HeaderMap,
        cookies: [&'static str; 0],
        body: String,
        is_base64_encoded: bool,
    },
}

/// What an event came to.
pub struct Exchange {
    format: PayloadFormat,
    request: Request,
    /// The answer's status.
    pub status: StatusCode,
    /// Its headers, all of them.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
    outcome: Outcome,
}

/// One of the service's functions.
pub trait Function: Sized {
    /// Reads the settings and makes the clients.
    ///
    /// # Errors
    ///
    /// What keeps the function from starting, in one line that names the variable.
    fn from_env() -> impl Future<Output = Result<Self, Box<dyn std::error::Error>>>;

    /// What the function works with.
    fn service(&self) -> &Service;

    /// Answers a request for a route of the service; one of another function's is not found.
    fn answer(
        &self,
        request: &Request,
        route: &Route,
    ) -> impl Future<Output = Result<Answer, Refusal>>;
}

/// A function's `main`: starts it, answers events until Lambda ends the process, and writes one line of log for each.
/// No event makes it fail.
pub async fn run<F: Function>() -> ExitCode {
    // A panic's message can hold anything; its place cannot.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!(
            "panicked at {}",
            panic
                .location()
                .map(ToString::to_string)
                .unwrap_or_default()
        );
    }));
    let result = match F::from_env().await {
        Ok(function) => answer_events(&function)
            .await
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("{line}");
            ExitCode::FAILURE
        }
    }
}

async fn answer_events<F: Function>(function: &F) -> Result<(), Error> {
    let level = Level::from_env();
    let cold = Cell::new(true);
    let cold = &cold;
    lambda_runtime::run(service_fn(
        move |event: LambdaEvent<Box<RawValue>>| async move {
            let start = Instant::now();
            let exchange = answer_event(function, event.payload.get()).await;
            let record = Record {
                function: &event.context.env_config.function_name,
                request_id: &event.context.request_id,
                method: known_method(&exchange.request.method),
                route: exchange
                    .request
                    .route
                    .as_ref()
                    .map_or("none", Route::pattern),
                status: exchange.status.as_u16(),
                duration: start.elapsed(),
                cold: cold.replace(false),
                timestamp: Timestamp::now().as_millisecond(),
                outcome: &exchange.outcome,
            };
            record.write(level);
            Ok::<_, Error>(exchange.into_reply())
        },
    ))
    .await
}

impl Exchange {
    fn into_reply(self) -> Reply {
        match self.format {
            PayloadFormat::V1 => Reply::V1 {
                status_code: self.status.as_u16(),
                multi_value_headers: self.headers,
                body: self.body,
                is_base64_encoded: false,
            },
            PayloadFormat::V2 => Reply::V2 {
                status_code: self.status.as_u16(),
                headers: self.headers,
                cookies: [],
                body: self.body,
                is_base64_encoded: false,
            },
        }
    }
}

/// Answers one event, the text of a JSON value.
pub async fn answer_event<F: Function>(function: &F, event: &str) -> Exchange {
    let site = &function.service().site;
    let (format, request) = event::read(event, site.base_path());
    let answer = match &request {
        Some(request) => answer_request(function, request).await,
        None => Answer::problem_details(&Problem::UNREADABLE, Outcome::refused("event")),
    };
    let request = request.unwrap_or_default();
    let outcome = answer.outcome.clone();
    let (status, headers, body) = answer.into_parts(&request, site);
    Exchange {
        format,
        request,
        status,
        headers,
        body,
        outcome,
    }
}

async fn answer_request<F: Function>(function: &F, request: &Request) -> Answer {
    let site = &function.service().site;
    let answer = match request.admit(site) {
        Ok(route) => function.answer(request, route).await,
        Err(refusal) => Err(refusal),
    };
    answer.unwrap_or_else(|refusal| Answer::refusal(request, site, &refusal))
}

/// A method's name if it is one of the usual ones: any other is text from outside.
fn known_method(method: &Method) -> &'static str {
    ["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"]
        .into_iter()
        .find(|known| method.as_str() == *known)
        .unwrap_or("other")
}

/// Each of our headers has one value, and that is text.
fn as_text<S: Serializer>(headers: &HeaderMap, serializer: S) -> Result<S::Ok, S::Error> {
    let headers = headers.iter();
    serializer.collect_map(
        headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default())),
    )
}

/// The same as lists of one value.
fn as_lists<S: Serializer>(headers: &HeaderMap, serializer: S) -> Result<S::Ok, S::Error> {
    let headers = headers.iter();
    serializer.collect_map(
        headers.map(|(name, value)| (name.as_str(), [value.to_str().unwrap_or_default()])),
    )
}
