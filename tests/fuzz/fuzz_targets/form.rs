//! Bodies, of each content type. In this crate's folder:
//!
//! ```console
//! cargo +nightly fuzz run form corpus/form seeds/form
//! ```

#![no_main]

use accounts::web::form::{self, Field};
use accounts::web::request::Request;
use lambda_http::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::{Map, Value, json};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    email: Field,
    password: Field,
    new_email: Field,
}

fuzz_target!(|data: &[u8]| {
    for content_type in [FORM, JSON] {
        if let Some(fields) = read(content_type, data.to_vec()) {
            same_as_json(&fields);
            twice_is_refused(content_type, &fields);
        }
    }
    // The first line is the content type.
    if let Some(end) = data.iter().position(|&b| b == b'\n') {
        let (content_type, body) = data.split_at(end);
        if let Ok(content_type) = str::from_utf8(content_type) {
            read(content_type, body.to_vec());
        }
    }
});

/// The fields that are text; `None` if the body is refused.
fn read(content_type: &str, body: Vec<u8>) -> Option<Vec<(&'static str, String)>> {
    let content_type = HeaderValue::from_str(content_type).ok()?;
    let request = Request {
        headers: HeaderMap::from_iter([(CONTENT_TYPE, content_type)]),
        body,
        ..Request::default()
    };
    let fields: Fields = form::read(&request).ok()?;
    let fields = [
        ("email", &fields.email),
        ("password", &fields.password),
        ("new_email", &fields.new_email),
    ];
    for (name, field) in fields {
        let address = field.email(name);
        let _ = field.new_password(name, address.as_ref().ok());
    }
    let texts = fields.into_iter();
    let texts = texts.filter_map(|(name, field)| Some((name, field.text().ok()?.to_owned())));
    Some(texts.collect())
}

/// What was read, written as JSON, is read as the same.
fn same_as_json(fields: &[(&'static str, String)]) {
    let object: Map<String, Value> = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let body = Value::Object(object).to_string().into_bytes();
    if body.len() <= 16 * 1024 {
        assert_eq!(read(JSON, body).as_deref(), Some(fields));
    }
}

/// One field more, if it is there already, makes a body unreadable.
fn twice_is_refused(content_type: &str, fields: &[(&'static str, String)]) {
    let Some((name, _)) = fields.first() else {
        return;
    };
    let body = if content_type == FORM {
        format!("{name}=a&{name}=b")
    } else {
        format!("{{\"{name}\":\"a\",\"{name}\":\"b\"}}")
    };
    assert_eq!(read(content_type, body.into_bytes()), None);
}
