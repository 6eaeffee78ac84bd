//! From Lambda's events to requests, and from answers to what Lambda sends back.

use std::cell::Cell;
use std::process::ExitCode;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use lambda_http::aws_lambda_events::apigw::{
    ApiGatewayProxyRequest, ApiGatewayProxyResponse, ApiGatewayV2httpRequest,
    ApiGatewayV2httpResponse,
};
use lambda_http::http::{HeaderMap, Method, StatusCode};
use lambda_http::lambda_runtime::{self, LambdaEvent};
use lambda_http::{Body, Error, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::answer::{Answer, Problem, Refusal};
use crate::log::{Level, Record};
use crate::outcome::Outcome;
use crate::request::{Request, Route};
use crate::service::Service;

/// An event of API Gateway or of a function URL (which has the format of an HTTP API).
enum Event {
    Http(Box<ApiGatewayV2httpRequest>),
    Rest(Box<ApiGatewayProxyRequest>),
}

/// An answer in the format of the event.
#[derive(Serialize)]
#[serde(untagged)]
enum Reply {
    Http(Box<ApiGatewayV2httpResponse>),
    Rest(Box<ApiGatewayProxyResponse>),
}

/// What an event came to.
pub struct Exchange {
    request: Request,
    is_rest: bool,
    status: StatusCode,
    headers: HeaderMap,
    body: String,
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
            Ok::<_, Error>(Reply::new(exchange))
        },
    ))
    .await
}

/// Answers one event, the text of a JSON value.
pub async fn answer_event<F: Function>(function: &F, event: &str) -> Exchange {
    let site = &function.service().site;
    let event = Event::parse(event);
    let is_rest = matches!(event, Some(Event::Rest(_)));
    let request = event.and_then(|event| event.into_request(site.base_path()));
    let answer = match &request {
        Some(request) => answer_request(function, request).await,
        None => Answer::problem_details(&Problem::UNREADABLE, Outcome::refused("event")),
    };
    let request = request.unwrap_or_default();
    let outcome = answer.outcome.clone();
    let (status, headers, body) = answer.into_parts(&request, site);
    Exchange {
        request,
        is_rest,
        status,
        headers,
        body,
        outcome,
    }
}

async fn answer_request<F: Function>(function: &F, request: &Request) -> Answer {
    let site = &function.service().site;
    match request.admit(site) {
        Ok(route) => {
            let answer = function.answer(request, route).await;
            answer.unwrap_or_else(|refusal| Answer::refusal(request, site, &refusal))
        }
        Err(answer) => answer,
    }
}

/// A method's name if it is one of the usual ones: any other is text from outside.
fn known_method(method: &Method) -> &'static str {
    ["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"]
        .into_iter()
        .find(|known| method.as_str() == *known)
        .unwrap_or("other")
}

impl Event {
    fn parse(json: &str) -> Option<Self> {
        // The first asks for `requestContext.http`, the second for `httpMethod`: no event is both.
        let http = || serde_json::from_str(json).ok().map(Self::Http);
        let rest = || serde_json::from_str(json).ok().map(Self::Rest);
        http().or_else(rest)
    }

    /// `None` if the body is not the base64 that it is said to be.
    ///
    /// `lambda_http`'s own conversion is not used: it panics on a host, a forwarded protocol, a query or a body that it
    /// cannot read.
    fn into_request(self, base_path: &str) -> Option<Request> {
        let (request, path, stage, body, is_base64) = match self {
            Self::Http(event) => {
                let (context, headers) = (event.request_context, event.headers);
                let (method, source_ip) = (context.http.method, context.http.source_ip);
                let path = event.raw_path.or(context.http.path);
                let request = Request {
                    method,
                    headers,
                    source_ip,
                    ..Request::default()
                };
                (
                    request,
                    path,
                    context.stage,
                    event.body,
                    event.is_base64_encoded,
                )
            }
            Self::Rest(event) => {
                let (context, mut headers) = (event.request_context, event.multi_value_headers);
                headers.extend(event.headers);
                let (method, source_ip) = (event.http_method, context.identity.source_ip);
                let request = Request {
                    method,
                    headers,
                    source_ip,
                    ..Request::default()
                };
                (
                    request,
                    event.path,
                    context.stage,
                    event.body,
                    event.is_base64_encoded,
                )
            }
        };
        let body = body.unwrap_or_default();
        let body = if is_base64 {
            STANDARD.decode(body).ok()?
        } else {
            body.into_bytes()
        };
        let route = Route::find(&path.unwrap_or_default(), stage.as_deref(), base_path);
        Some(Request {
            route,
            body,
            ..request
        })
    }
}

impl Reply {
    fn new(exchange: Exchange) -> Self {
        let Exchange {
            is_rest,
            status,
            headers,
            body,
            ..
        } = exchange;
        let (status_code, body) = (i64::from(status.as_u16()), Some(Body::Text(body)));
        if is_rest {
            let mut reply = ApiGatewayProxyResponse::default();
            (reply.status_code, reply.headers, reply.body) = (status_code, headers, body);
            Self::Rest(Box::new(reply))
        } else {
            let mut reply = ApiGatewayV2httpResponse::default();
            (reply.status_code, reply.headers, reply.body) = (status_code, headers, body);
            Self::Http(Box::new(reply))
        }
    }
}
