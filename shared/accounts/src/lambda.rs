//! From Lambda's events to requests, and from answers to what Lambda sends back.

use std::cell::Cell;
use std::error::Error;
use std::panic::PanicHookInfo;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lambda_http::http::{HeaderMap, Method, StatusCode};
use lambda_http::lambda_runtime::{self, LambdaEvent};
use lambda_http::service_fn;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::links::keys::Use;
use crate::log::{self, Record};
use crate::outcome::Outcome;
use crate::service::Service;
use crate::settings::{Environment, InvalidSetting};
use crate::unavailable::Unavailable;
use crate::web::answer::{Answer, Sent};
use crate::web::event;
use crate::web::problem::{Problem, Refusal};
use crate::web::request::{Payload, Request};
use crate::web::route::Route;

/// How long a request may take, whatever fails: half of what the template gives a function. Each call to AWS has time-outs of
/// its own; this bounds their sum.
pub const DEADLINE: Duration = Duration::from_secs(14);

/// What an event came to.
pub struct Exchange {
    request: Request,
    sent: Sent,
    outcome: Outcome,
}

/// A function's `main`: starts it and answers events until Lambda ends the process. Writes one line of log for the start and
/// one for each event. No event makes it fail. `settings` reads what only this function needs. `answer` answers a request for
/// any route of the service; it answers those of other functions with "not found".
pub async fn run<S>(
    keys: Use,
    settings: impl FnOnce(&Environment) -> Result<S, InvalidSetting>,
    answer: impl AsyncFn(&Service, &S, &Request, &Route) -> Result<Answer, Refusal>,
) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| eprintln!("{}", described(panic))));
    let environment = Environment::of_process();
    let started = async {
        let settings = settings(&environment)?;
        let service = Service::from_env(&environment, keys).await?;
        Ok::<_, Box<dyn Error>>((service, settings))
    };
    let ended = match started.await {
        Ok((service, settings)) => {
            log::write_start(service.log_level);
            answer_events(&service, &settings, &answer)
                .await
                .map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            eprintln!("{line}");
            ExitCode::FAILURE
        }
    }
}

/// A panic, for the log: its place only, since its message can hold anything, personal data included.
fn described(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map(ToString::to_string);
    format!("panicked at {}", place.unwrap_or_default())
}

async fn answer_events<S>(
    service: &Service,
    settings: &S,
    answer: &impl AsyncFn(&Service, &S, &Request, &Route) -> Result<Answer, Refusal>,
) -> Result<(), lambda_http::Error> {
    let cold = &Cell::new(true);
    lambda_runtime::run(service_fn(
        move |event: LambdaEvent<Box<RawValue>>| async move {
            let start = Instant::now();
            let exchange = answer_event(service, settings, answer, event.payload.get()).await;
            let record = Record {
                function: &event.context.env_config.function_name,
                request_id: &event.context.request_id,
                method: known_method(&exchange.request.method),
                route: exchange
                    .request
                    .route
                    .as_ref()
                    .map_or("none", Route::pattern),
                status: exchange.sent.status.as_u16(),
                duration: start.elapsed(),
                cold: cold.replace(false),
                timestamp: Timestamp::now().as_millisecond(),
                outcome: &exchange.outcome,
            };
            record.write(service.log_level);
            Ok::<_, lambda_http::Error>(Reply(exchange))
        },
    ))
    .await
}

/// Answers one event, the text of a JSON value.
pub async fn answer_event<S>(
    service: &Service,
    settings: &S,
    answer: &impl AsyncFn(&Service, &S, &Request, &Route) -> Result<Answer, Refusal>,
    event: &str,
) -> Exchange {
    let site = &service.site;
    let (request, answer) = match event::read(event, site.base_path(), site.language) {
        Ok(request) => {
            let answer = answer_request(service, settings, answer, &request).await;
            (request, answer)
        }
        Err(payload) => {
            let request = Request {
                payload,
                language: site.language,
                ..Request::default()
            };
            let mut answer = Answer::problem_details(&request, site, Problem::Unreadable);
            answer.outcome = Outcome::Refused("event");
            (request, answer)
        }
    };
    let outcome = answer.outcome.clone();
    let sent = answer.into_sent(&request, site, &service.policies);
    Exchange {
        request,
        sent,
        outcome,
    }
}

async fn answer_request<S>(
    service: &Service,
    settings: &S,
    answer: &impl AsyncFn(&Service, &S, &Request, &Route) -> Result<Answer, Refusal>,
    request: &Request,
) -> Answer {
    let site = &service.site;
    let answer = match request.admit(site) {
        Ok(route) => {
            let answer = answer(service, settings, request, route);
            let late = |_| Err(Unavailable::new("request", "timeout").into());
            timeout(DEADLINE, answer).await.unwrap_or_else(late)
        }
        Err(refusal) => Err(refusal),
    };
    answer.unwrap_or_else(|refusal| Answer::refusal(request, site, &refusal))
}

/// The method's name if it is a usual one. Any other is untrusted text, and becomes `other`.
fn known_method(method: &Method) -> &'static str {
    ["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"]
        .into_iter()
        .find(|known| method.as_str() == *known)
        .unwrap_or("other")
}

impl Exchange {
    pub fn status(&self) -> StatusCode {
        self.sent.status
    }

    pub fn headers(&self) -> &HeaderMap {
        &self.sent.headers
    }

    pub fn body(&self) -> &str {
        &self.sent.body
    }
}

/// An exchange as the reply to its event. A REST API rejects a reply with `cookies` as malformed. `cargo lambda watch`
/// rejects one of payload 2.0 without `cookies`.
struct Reply(Exchange);

impl Serialize for Reply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Exchange { request, sent, .. } = &self.0;
        let mut reply = serializer.serialize_map(None)?;
        reply.serialize_entry("statusCode", &sent.status.as_u16())?;
        match request.payload {
            Payload::V1 => reply.serialize_entry("multiValueHeaders", &MultiValueHeaders(sent))?,
            Payload::V2 => {
                reply.serialize_entry("headers", &Headers(sent))?;
                reply.serialize_entry("cookies", &sent.cookie.iter().collect::<Vec<_>>())?;
            }
        }
        reply.serialize_entry("body", &sent.body)?;
        reply.serialize_entry("isBase64Encoded", &false)?;
        reply.end()
    }
}

struct Headers<'a>(&'a Sent);

struct MultiValueHeaders<'a>(&'a Sent);

/// Each of our headers has one value, and that is text.
fn texts(sent: &Sent) -> impl Iterator<Item = (&str, &str)> {
    let headers = sent.headers.iter();
    headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()))
}

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(texts(self.0))
    }
}

impl Serialize for MultiValueHeaders<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let cookie = self
            .0
            .cookie
            .as_deref()
            .map(|cookie| ("set-cookie", cookie));
        let headers = texts(self.0).chain(cookie);
        serializer.collect_map(headers.map(|(name, value)| (name, [value])))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn of_a_panic_only_the_place_is_logged() {
        let logged = Arc::new(Mutex::new(String::new()));
        let log = Arc::clone(&logged);
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            log.lock().unwrap().push_str(&described(panic));
        }));

        let panicked = std::panic::catch_unwind(|| panic!("ada@example.com"));

        std::panic::set_hook(usual);
        assert!(panicked.is_err());
        let logged = logged.lock().unwrap();
        assert!(logged.starts_with("panicked at ") && logged.contains("lambda.rs:"));
        assert!(!logged.contains("ada@example.com"), "{logged}");
    }
}
