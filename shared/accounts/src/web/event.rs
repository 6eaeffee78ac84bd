//! What the service reads of an event: payload 2.0 of HTTP APIs and function URLs, and payload 1.0 of REST APIs.
//!
//! `lambda_http`'s own types are not used: its conversion panics on a host, a forwarded protocol, a query or a body that it
//! cannot read, and the header map in its events panics on more headers than it can hold
//! (<https://github.com/aws/aws-lambda-rust-runtime/issues/515> and 517).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_http::http::header::COOKIE;
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;

use crate::texts::Language;
use crate::web::request::{Payload, Request, utf8};
use crate::web::route::Route;

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
    /// Payload 2.0 has them here and not among the headers.
    cookies: Option<Vec<String>>,
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

/// The request in an event. `language` is the default, for a request that asks for none of ours.
///
/// # Errors
///
/// If the event is no HTTP request, or its headers or body cannot be read. The error is the format of the answer.
pub fn read(json: &str, base_path: &str, language: Language) -> Result<Request, Payload> {
    let event: Event = serde_json::from_str(json).map_err(|_| {
        // A REST API rejects an answer of payload 2.0 as malformed.
        if json.contains("\"httpMethod\"") {
            Payload::V1
        } else {
            Payload::V2
        }
    })?;
    let payload = match event.request_context.http {
        Some(_) => Payload::V2,
        None => Payload::V1,
    };
    let mut request = event.into_request(payload, base_path).ok_or(payload)?;
    request.language = request.accepted_language().unwrap_or(language);
    Ok(request)
}

impl Event {
    fn into_request(self, payload: Payload, base_path: &str) -> Option<Request> {
        let context = self.request_context;
        let (method, path, source_ip) = if let Some(http) = context.http {
            (http.method, self.raw_path.or(http.path), http.source_ip)
        } else {
            let source_ip = context.identity.and_then(|client| client.source_ip);
            (self.http_method?, self.path, source_ip)
        };
        let path = path.unwrap_or_default();
        let body = self.body.unwrap_or_default();
        let headers = headers(
            self.headers.unwrap_or_default(),
            self.multi_value_headers.unwrap_or_default(),
        )?;
        // `cargo lambda watch` has cookies in both places.
        let cookies = self.cookies.unwrap_or_else(|| {
            let cookies = headers.get_all(COOKIE).iter();
            let cookies = cookies.filter_map(utf8);
            cookies.map(str::to_owned).collect()
        });
        Some(Request {
            payload,
            method: Method::from_bytes(method.as_bytes()).ok()?,
            route: Route::find(&path, context.stage.as_deref(), base_path),
            headers,
            cookies,
            body: if self.is_base64_encoded == Some(true) {
                STANDARD.decode(body).ok()?
            } else {
                body.into_bytes()
            },
            source_ip,
            language: Language::default(),
        })
    }
}

/// Payload 1.0 has each header in both maps. One of them holds the last value only, so the other one counts.
fn headers(
    single: BTreeMap<String, Option<String>>,
    multiple: BTreeMap<String, Option<Vec<String>>>,
) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, values) in multiple {
        let name = HeaderName::try_from(name).ok()?;
        for value in values.unwrap_or_default() {
            let value = HeaderValue::try_from(value).ok()?;
            headers.try_append(&name, value).ok()?;
        }
    }
    for (name, value) in single {
        let name = HeaderName::try_from(name).ok()?;
        if let Some(value) = value
            && !headers.contains_key(&name)
        {
            headers
                .try_insert(name, HeaderValue::try_from(value).ok()?)
                .ok()?;
        }
    }
    Some(headers)
}
