//! API Gateway: an HTTP API in front of the functions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, request::Parts};
use axum::response::Response;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::timeout;
use uuid::Uuid;

use crate::answer::Answer;
use crate::event::{DEFAULT_STAGE, Request, Route, Source};
use crate::lambda::Function;

/// Every route (method `ANY`) and the function behind it.
pub const ROUTES: [(&str, &str); 7] = [
    ("/accounts/create", "create-account"),
    ("/accounts/created", "create-account"),
    ("/accounts/confirm/{token}", "confirm-email"),
    ("/accounts/confirmed", "confirm-email"),
    ("/accounts/email", "change-email"),
    ("/accounts/password", "reset-password"),
    ("/accounts/password/{token}", "reset-password"),
];

/// The page that everything begins with.
const FORM: &str = "/accounts/create";

/// An HTTP API's limit for a request's body.
const BODY_LIMIT: usize = 10 * 1024 * 1024;
/// An HTTP API's limit for a function's time.
const PATIENCE: Duration = Duration::from_secs(30);

/// The route of `path`, if there is one, and the name of its function.
#[must_use]
pub fn route(path: &str) -> Option<(Route, &'static str)> {
    ROUTES.iter().find_map(|(resource, function)| {
        let parameters = parameters(resource, path)?;
        Some((
            Route {
                resource: (*resource).to_owned(),
                parameters,
            },
            *function,
        ))
    })
}

fn parameters(resource: &str, path: &str) -> Option<Vec<(String, String)>> {
    if resource.split('/').count() != path.split('/').count() {
        return None;
    }
    let mut parameters = Vec::new();
    for (expected, found) in resource.split('/').zip(path.split('/')) {
        match expected
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            Some(name) if !found.is_empty() => parameters.push((name.to_owned(), found.to_owned())),
            None if expected == found => {}
            _ => return None,
        }
    }
    Some(parameters)
}

/// Sends `event` to `function` and reads its answer, as the kind of event demands.
///
/// # Errors
///
/// Why the function did not answer, or what is wrong with its answer.
pub async fn invoke(function: &Function, event: &Value) -> Result<Answer, crate::Error> {
    // A REST API's events have no `version`.
    let context = event.get("requestContext").and_then(Value::as_object);
    let payload_2 = context.is_none_or(|context| context.contains_key("http"));
    let answer = function.invoke(event.to_string()).await?;
    Ok(Answer::read(&serde_json::from_slice(&answer)?, payload_2)?)
}

/// Serves the functions on `listener` as long as the runtime lives.
pub fn serve(listener: TcpListener, functions: Vec<Function>) {
    let routes = Router::new()
        .fallback(answer)
        .with_state(Arc::new(functions));
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(axum::serve(listener, service).into_future());
}

async fn answer(
    State(functions): State<Arc<Vec<Function>>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: axum::extract::Request,
) -> Response {
    let (head, body) = request.into_parts();
    if head.uri.path() == "/" {
        return to_http(to_the_form());
    }
    let Some((route, name)) = route(head.uri.path()) else {
        return to_http(Answer::of_gateway(404, "Not Found"));
    };
    let Some(function) = functions.iter().find(|function| function.name() == name) else {
        return to_http(Answer::of_gateway(404, "Not Found"));
    };
    let Ok(body) = axum::body::to_bytes(body, BODY_LIMIT).await else {
        return to_http(Answer::of_gateway(413, "Request Entity Too Large"));
    };

    let event =
        as_request(&head, body.to_vec(), client).event(Source::HttpApi, DEFAULT_STAGE, &route);
    match timeout(PATIENCE, invoke(function, &event)).await {
        Ok(Ok(answer)) => to_http(answer),
        Ok(Err(error)) => {
            eprintln!("{name}: {error}");
            to_http(Answer::of_gateway(500, "Internal Server Error"))
        }
        Err(_) => to_http(Answer::of_gateway(503, "Service Unavailable")),
    }
}

/// The answer to the address without a path. API Gateway has no such redirect, but a person on this machine expects a page.
fn to_the_form() -> Answer {
    Answer {
        status: 303,
        headers: vec![("location".to_owned(), FORM.to_owned())],
        body: Vec::new(),
    }
}

fn as_request(head: &Parts, body: Vec<u8>, client: SocketAddr) -> Request {
    let source_ip = client.ip().to_string();
    Request {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: forwarded(&head.headers, &source_ip),
        body,
        source_ip,
    }
}

/// The request's headers and those that API Gateway adds.
fn forwarded(headers: &HeaderMap, source_ip: &str) -> Vec<(String, String)> {
    // These describe the connection to the gateway, and never reach a function.
    const HOP_BY_HOP: [&str; 4] = ["connection", "keep-alive", "transfer-encoding", "upgrade"];
    let mut forwarded: Vec<_> = headers
        .iter()
        .filter(|(name, _)| !HOP_BY_HOP.contains(&name.as_str()))
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    forwarded.extend([
        (
            "x-amzn-trace-id".to_owned(),
            format!("Root=1-{}", Uuid::now_v7().simple()),
        ),
        ("x-forwarded-for".to_owned(), source_ip.to_owned()),
        ("x-forwarded-port".to_owned(), "443".to_owned()),
        ("x-forwarded-proto".to_owned(), "https".to_owned()),
    ]);
    forwarded
}

fn to_http(answer: Answer) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    // The gateway counts the bytes itself.
    headers.remove("content-length");
    headers
        .entry("content-type")
        .or_insert(HeaderValue::from_static("text/plain;charset=UTF-8"));
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_matches_whole_segments() {
        let (found, function) = route("/accounts/confirm/a.b.c").unwrap();

        assert_eq!(function, "confirm-email");
        assert_eq!(found.parameters, [("token".to_owned(), "a.b.c".to_owned())]);
        for unknown in [
            "/",
            "/accounts",
            "/accounts/create/",
            "/accounts/confirm/",
            "/accounts/confirm/a/b",
            "/Accounts/create",
        ] {
            assert!(route(unknown).is_none(), "{unknown}");
        }
    }
}
