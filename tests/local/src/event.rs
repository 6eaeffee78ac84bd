//! What API Gateway and function URLs hand to a function for an HTTP request.
//!
//! Modelled on AWS' documentation and, where it says nothing, on observed events: an HTTP API decodes the path (and
//! puts the stage in front of it), drops `Cookie` in favour of `cookies`, and base64-encodes every body but those of
//! a few textual content types, forms included.

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The stage that adds nothing to the path.
pub const DEFAULT_STAGE: &str = "$default";

/// Where an event comes from; each writes it differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// HTTP API, payload format 2.0.
    #[default]
    HttpApi,
    /// HTTP API, payload format 1.0.
    HttpApiPayload1,
    /// REST API (payload 1.0 is all that it knows).
    RestApi,
    /// A function's own URL (payload 2.0 without a route).
    FunctionUrl,
}

/// The route that API Gateway found for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The path with its parameters, such as `/accounts/confirm/{token}`.
    pub resource: String,
    /// The parameters' values, as they stand in the path.
    pub parameters: Vec<(String, String)>,
}

/// An HTTP request, as it came over the wire.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path, percent-encoded, without the stage.
    pub path: String,
    /// What follows the `?`, percent-encoded.
    pub query: String,
    /// Names and values, in order, repeated names included.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
    /// The client's address.
    pub source_ip: String,
}

impl Request {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The event that `source` makes of this request for `route` in `stage`.
    #[must_use]
    pub fn event(&self, source: Source, stage: &str, route: &Route) -> Value {
        match source {
            Source::HttpApi | Source::FunctionUrl => self.payload_2(source, stage, route),
            Source::HttpApiPayload1 | Source::RestApi => self.payload_1(source, stage, route),
        }
    }

    fn payload_2(&self, source: Source, stage: &str, route: &Route) -> Value {
        let function_url = source == Source::FunctionUrl;
        let route_key = if function_url {
            DEFAULT_STAGE.to_owned()
        } else {
            format!("ANY {}", route.resource)
        };
        let path = if function_url {
            self.path.clone()
        } else {
            staged(stage, &decoded(&self.path))
        };
        let domain = self.domain();
        let now = Timestamp::now();

        let mut event = json!({
            "version": "2.0",
            "routeKey": route_key,
            "rawPath": path,
            "rawQueryString": self.query,
            "headers": self.joined_headers(),
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "local",
                "domainName": domain,
                "domainPrefix": domain.split('.').next().unwrap_or_default(),
                "http": {
                    "method": self.method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": self.source_ip,
                    "userAgent": self.header("user-agent").unwrap_or_default(),
                },
                "requestId": Uuid::now_v7().to_string(),
                "routeKey": route_key,
                "stage": if function_url { DEFAULT_STAGE } else { stage },
                "time": gateway_time(now),
                "timeEpoch": now.as_millisecond(),
            },
            "isBase64Encoded": false,
        });
        if let Some(event) = event.as_object_mut() {
            let cookies = self.cookies();
            if !cookies.is_empty() {
                event.insert("cookies".to_owned(), json!(cookies));
            }
            if !self.query.is_empty() {
                event.insert(
                    "queryStringParameters".to_owned(),
                    joined_query(&self.query),
                );
            }
            if !function_url && !route.parameters.is_empty() {
                event.insert("pathParameters".to_owned(), parameters(route));
            }
            if !self.body.is_empty() {
                let (body, base64) = self.body_of_http_api();
                event.insert("body".to_owned(), json!(body));
                event.insert("isBase64Encoded".to_owned(), json!(base64));
            }
        }
        event
    }

    fn payload_1(&self, source: Source, stage: &str, route: &Route) -> Value {
        let rest = source == Source::RestApi;
        let path = if rest {
            self.path.clone()
        } else {
            staged(stage, &decoded(&self.path))
        };
        // A REST API always has a named stage and shows it in the request's context only.
        let stage = if rest && stage == DEFAULT_STAGE {
            "prod"
        } else {
            stage
        };
        let context_path = if rest {
            staged(stage, &path)
        } else {
            path.clone()
        };
        let (headers, multi_value_headers) = self.single_and_multiple_headers(rest);
        let (query, multi_value_query) =
            single_and_multiple(form_urlencoded::parse(self.query.as_bytes()).into_owned());
        // A REST API treats every body as text unless it was told of binary media types.
        let (body, base64) = if rest {
            (String::from_utf8_lossy(&self.body).into_owned(), false)
        } else {
            self.body_of_http_api()
        };
        let domain = self.domain();
        let now = Timestamp::now();

        json!({
            "version": "1.0",
            "resource": route.resource,
            "path": path,
            "httpMethod": self.method,
            "headers": headers,
            "multiValueHeaders": multi_value_headers,
            "queryStringParameters": (!self.query.is_empty()).then_some(query),
            "multiValueQueryStringParameters": (!self.query.is_empty()).then_some(multi_value_query),
            "pathParameters": (!route.parameters.is_empty()).then(|| parameters(route)),
            "stageVariables": null,
            "requestContext": {
                "accountId": "123456789012",
                "apiId": "local",
                "domainName": domain,
                "domainPrefix": domain.split('.').next().unwrap_or_default(),
                "extendedRequestId": "local",
                "httpMethod": self.method,
                "identity": { "sourceIp": self.source_ip, "userAgent": self.header("user-agent") },
                "path": context_path,
                "protocol": "HTTP/1.1",
                "requestId": Uuid::now_v7().to_string(),
                "requestTime": gateway_time(now),
                "requestTimeEpoch": now.as_millisecond(),
                "resourceId": "local",
                "resourcePath": route.resource,
                "stage": stage,
            },
            "body": (!body.is_empty()).then_some(body),
            "isBase64Encoded": base64,
        })
    }

    /// The `Host` without its port, as AWS gives it in `domainName`.
    fn domain(&self) -> String {
        let host = self.header("host").unwrap_or("localhost");
        host.rsplit_once(':')
            .map_or(host, |(name, _)| name)
            .to_owned()
    }

    fn cookies(&self) -> Vec<String> {
        self.headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("cookie"))
            .flat_map(|(_, value)| value.split(';'))
            .map(|cookie| cookie.trim().to_owned())
            .filter(|cookie| !cookie.is_empty())
            .collect()
    }

    /// Lower-case names, repeated ones joined with commas, cookies left out.
    fn joined_headers(&self) -> Value {
        let mut joined = Map::new();
        for (name, value) in &self.headers {
            let name = name.to_ascii_lowercase();
            if name != "cookie" {
                append(&mut joined, name, value);
            }
        }
        Value::Object(joined)
    }

    fn single_and_multiple_headers(&self, title_case: bool) -> (Value, Value) {
        single_and_multiple(self.headers.iter().map(|(name, value)| {
            let name = if title_case {
                in_title_case(name)
            } else {
                name.to_ascii_lowercase()
            };
            (name, value.clone())
        }))
    }

    fn body_of_http_api(&self) -> (String, bool) {
        if self.body.is_empty() {
            return (String::new(), false);
        }
        let content_type = self
            .header("content-type")
            .unwrap_or_default()
            .to_ascii_lowercase();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let textual = essence.starts_with("text/")
            || matches!(
                essence,
                "application/json" | "application/xml" | "application/javascript"
            );
        match std::str::from_utf8(&self.body) {
            Ok(text) if textual => (text.to_owned(), false),
            _ => (BASE64_STANDARD.encode(&self.body), true),
        }
    }
}

fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

fn staged(stage: &str, path: &str) -> String {
    if stage == DEFAULT_STAGE {
        path.to_owned()
    } else {
        format!("/{stage}{path}")
    }
}

fn parameters(route: &Route) -> Value {
    let parameters = route
        .parameters
        .iter()
        .map(|(name, value)| (name.clone(), json!(decoded(value))));
    Value::Object(parameters.collect())
}

fn joined_query(query: &str) -> Value {
    let mut joined = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        append(&mut joined, name.into_owned(), &value);
    }
    Value::Object(joined)
}

fn append(map: &mut Map<String, Value>, name: String, value: &str) {
    let joined = match map.get(&name).and_then(Value::as_str) {
        Some(earlier) => format!("{earlier},{value}"),
        None => value.to_owned(),
    };
    map.insert(name, Value::String(joined));
}

/// Payload 1.0 gives the last value of a name beside the list of all.
fn single_and_multiple(pairs: impl Iterator<Item = (String, String)>) -> (Value, Value) {
    let mut single = Map::new();
    let mut multiple = Map::<String, Value>::new();
    for (name, value) in pairs {
        single.insert(name.clone(), json!(value));
        if let Some(values) = multiple
            .entry(name)
            .or_insert_with(|| json!([]))
            .as_array_mut()
        {
            values.push(json!(value));
        }
    }
    (Value::Object(single), Value::Object(multiple))
}

/// `x-forwarded-for` as `X-Forwarded-For`, the way a REST API writes most names.
fn in_title_case(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_ascii_uppercase().to_string() + &letters.as_str().to_ascii_lowercase()
        })
    });
    words.collect::<Vec<_>>().join("-")
}

fn gateway_time(now: Timestamp) -> String {
    now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            method: "POST".to_owned(),
            path: "/accounts/confirm/a%20b".to_owned(),
            query: "a=1&a=2&b=%20".to_owned(),
            headers: [
                ("Host", "api.example.com:443"),
                ("Content-Type", "application/x-www-form-urlencoded"),
                ("Accept", "text/html"),
                ("accept", "*/*"),
                ("Cookie", "a=1; b=2"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
            body: b"email=a%40example.com".to_vec(),
            source_ip: "203.0.113.7".to_owned(),
        }
    }

    fn route() -> Route {
        Route {
            resource: "/accounts/confirm/{token}".to_owned(),
            parameters: vec![("token".to_owned(), "a%20b".to_owned())],
        }
    }

    #[test]
    fn an_http_api_decodes_the_path_joins_headers_and_encodes_forms() {
        let event = request().event(Source::HttpApi, "prod", &route());

        assert_eq!(event["rawPath"], "/prod/accounts/confirm/a b");
        assert_eq!(event["pathParameters"]["token"], "a b");
        assert_eq!(event["headers"]["accept"], "text/html,*/*");
        assert_eq!(event["headers"]["cookie"], Value::Null);
        assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
        assert_eq!(
            event["queryStringParameters"],
            json!({"a": "1,2", "b": " "})
        );
        assert_eq!(event["requestContext"]["domainName"], "api.example.com");
        assert_eq!(
            event["body"],
            BASE64_STANDARD.encode("email=a%40example.com")
        );
        assert_eq!(event["isBase64Encoded"], true);
    }

    #[test]
    fn json_stays_text() {
        let mut request = request();
        request.headers = vec![(
            "content-type".to_owned(),
            "application/json; charset=utf-8".to_owned(),
        )];
        request.body = b"{}".to_vec();

        let event = request.event(Source::HttpApi, DEFAULT_STAGE, &route());

        assert_eq!(event["body"], "{}");
        assert_eq!(event["isBase64Encoded"], false);
    }

    #[test]
    fn a_rest_api_keeps_the_path_encoded_and_the_stage_out_of_it() {
        let event = request().event(Source::RestApi, "prod", &route());

        assert_eq!(event["path"], "/accounts/confirm/a%20b");
        assert_eq!(
            event["requestContext"]["path"],
            "/prod/accounts/confirm/a%20b"
        );
        assert_eq!(
            event["multiValueHeaders"]["Accept"],
            json!(["text/html", "*/*"])
        );
        assert_eq!(event["headers"]["Accept"], "*/*");
        assert_eq!(event["body"], "email=a%40example.com");
    }

    #[test]
    fn a_function_url_has_no_route_and_no_stage() {
        let event = request().event(Source::FunctionUrl, "prod", &route());

        assert_eq!(event["rawPath"], "/accounts/confirm/a%20b");
        assert_eq!(event["routeKey"], "$default");
        assert_eq!(event["requestContext"]["stage"], "$default");
        assert_eq!(event["pathParameters"], Value::Null);
    }
}
