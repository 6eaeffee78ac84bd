//! What the service reads of an event: of an HTTP API's and a function URL's (payload 2.0), and of a REST API's (1.0).
//!
//! `lambda_http`'s own types are not used: its conversion panics on a host, a forwarded protocol, a query or a body that it
//! cannot read, and the header map in its events panics when there are more than it can hold.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;

use crate::request::{Request, Route};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    request_context: Context,
    /// Payload 2.0.
    raw_path: Option<String>,
    /// Payload 1.0.
    path: Option<String>,
    http_method: Option<String>,
    multi_value_headers: Option<BTreeMap<String, Option<Vec<String>>>>,
    /// Both.
    headers: Option<BTreeMap<String, Option<String>>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    stage: Option<String>,
    /// Payload 2.0.
    http: Option<Http>,
    /// Payload 1.0.
    identity: Option<Client>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: String,
    path: Option<String>,
    source_ip: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Client {
    source_ip: Option<String>,
}

/// The payload format of an event. The answer has to be in the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadFormat {
    /// 1.0: REST APIs, and HTTP APIs on demand.
    V1,
    /// 2.0: HTTP APIs and function URLs.
    V2,
}

/// The payload format of an event (2.0 if that cannot be told), and the request in it: `None` if it is no HTTP request, or if
/// the body is not the base64 that it is said to be.
#[must_use]
pub fn read(json: &str, base_path: &str) -> (PayloadFormat, Option<Request>) {
    let Ok(event) = serde_json::from_str::<Event>(json) else {
        return (PayloadFormat::V2, None);
    };
    let format = match event.request_context.http {
        Some(_) => PayloadFormat::V2,
        None => PayloadFormat::V1,
    };
    (format, request(event, base_path))
}

fn request(event: Event, base_path: &str) -> Option<Request> {
    let context = event.request_context;
    let (method, path, source_ip) = if let Some(http) = context.http {
        (http.method, event.raw_path.or(http.path), http.source_ip)
    } else {
        let source_ip = context.identity.and_then(|client| client.source_ip);
        (event.http_method?, event.path, source_ip)
    };
    let path = path.unwrap_or_default();
    let body = event.body.unwrap_or_default();
    Some(Request {
        method: Method::from_bytes(method.as_bytes()).ok()?,
        route: Route::find(&path, context.stage.as_deref(), base_path),
        headers: headers(
            event.headers.unwrap_or_default(),
            event.multi_value_headers.unwrap_or_default(),
        )?,
        body: if event.is_base64_encoded == Some(true) {
            STANDARD.decode(body).ok()?
        } else {
            body.into_bytes()
        },
        source_ip,
    })
}

/// Payload 1.0 has each header in both maps, in one of them with its last value only: that counts.
fn headers(
    single: BTreeMap<String, Option<String>>,
    multiple: BTreeMap<String, Option<Vec<String>>>,
) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in single {
        if let Some(value) = value {
            let (name, value) = (HeaderName::try_from(name), HeaderValue::try_from(value));
            headers.try_insert(name.ok()?, value.ok()?).ok()?;
        }
    }
    for (name, values) in multiple {
        let name = HeaderName::try_from(name).ok()?;
        if let Some(value) = values.and_then(|mut values| values.pop())
            && !headers.contains_key(&name)
        {
            headers
                .try_insert(name, HeaderValue::try_from(value).ok()?)
                .ok()?;
        }
    }
    Some(headers)
}
