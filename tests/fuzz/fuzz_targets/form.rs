//! Bodies, of each content type. In this crate's folder:
//!
//! ```console
//! cargo +nightly fuzz run form corpus/form seeds/form
//! ```

#![no_main]

use accounts::web::form::Form;
use accounts::web::request::Request;
use lambda_http::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

const FIELDS: [&str; 3] = ["email", "password", "new_email"];
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

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
    let form = Form::read(&request, &FIELDS).ok()?;
    for field in FIELDS {
        let _ = form.email(field);
        let _ = form.new_password(field);
        assert!(form.has(field) || form.text(field).is_err());
    }
    let texts = FIELDS.into_iter();
    Some(
        texts
            .filter_map(|field| Some((field, form.text(field).ok()?.to_owned())))
            .collect(),
    )
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
