//! The fields of a body.

use std::collections::HashMap;
use std::fmt;

use passwords::{InvalidPassword, Password};
use percent_encoding::percent_decode;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor,
};

use crate::email_address::EmailAddress;
use crate::web::answer::{FieldError, Problem};
use crate::web::request::Request;

/// The most bytes of a body.
const MAX_BODY: usize = 16 * 1024;

/// The fields that a form has, as text. Fields that it does not have are ignored.
#[derive(Default)]
pub struct Form(HashMap<&'static str, Value>);

enum Value {
    Text(String),
    /// JSON of another type.
    Other,
}

impl Form {
    /// Reads those of `fields` that the body holds: a form (URL Standard, 5.1) or a JSON object.
    ///
    /// # Errors
    ///
    /// [`Problem::TOO_LARGE`], [`Problem::MEDIA_TYPE`] or [`Problem::UNREADABLE`], the last also for a field that stands
    /// twice: which of its values was meant is anybody's guess.
    pub fn read(request: &Request, fields: &[&'static str]) -> Result<Self, Problem> {
        let body = request.body.as_slice();
        if body.len() > MAX_BODY {
            return Err(Problem::TOO_LARGE);
        }
        match request.media_type() {
            Some("application/json") => Self::from_json(body, fields),
            Some("application/x-www-form-urlencoded") => Self::from_urlencoded(body, fields),
            Some("") if body.is_empty() => Ok(Self::default()),
            _ => Err(Problem::MEDIA_TYPE),
        }
    }

    /// The text of a field.
    ///
    /// # Errors
    ///
    /// What to tell the person if the field is not there or is no text.
    pub fn text(&self, field: &str) -> Result<&str, &'static str> {
        match self.0.get(field) {
            Some(Value::Text(text)) => Ok(text),
            Some(Value::Other) => Err("This must be text."),
            None => Err("This is missing."),
        }
    }

    /// The address in a field.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn email(&self, field: &'static str) -> Result<EmailAddress, FieldError> {
        let text = self
            .text(field)
            .map_err(|advice| FieldError { field, advice })?;
        let advice = "Enter an address like name@example.com, without spaces.";
        EmailAddress::parse(text).map_err(|_| FieldError { field, advice })
    }

    /// The password that somebody chooses in a field.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn new_password(&self, field: &'static str) -> Result<Password, FieldError> {
        let text = self
            .text(field)
            .map_err(|advice| FieldError { field, advice })?;
        Password::parse(text, &[]).map_err(|invalid| FieldError {
            field,
            advice: password_advice(invalid),
        })
    }

    /// Whether the body holds the field.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    fn from_urlencoded(body: &[u8], fields: &[&'static str]) -> Result<Self, Problem> {
        // The parser below would put U+FFFD in the place of what is not UTF-8.
        percent_decode(body)
            .decode_utf8()
            .map_err(|_| Problem::UNREADABLE)?;
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            let known = fields.iter().find(|field| **field == name);
            if known.is_some_and(|field| {
                form.0
                    .insert(field, Value::Text(value.into_owned()))
                    .is_some()
            }) {
                return Err(Problem::UNREADABLE);
            }
        }
        Ok(form)
    }

    fn from_json(body: &[u8], fields: &[&'static str]) -> Result<Self, Problem> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let form = Fields(fields)
            .deserialize(&mut json)
            .map_err(|_| Problem::UNREADABLE)?;
        json.end().map_err(|_| Problem::UNREADABLE)?;
        Ok(form)
    }
}

/// One sentence for the person who chose the password.
fn password_advice(invalid: InvalidPassword) -> &'static str {
    match invalid {
        InvalidPassword::TooShort => "Use at least 8 characters.",
        InvalidPassword::TooLong => "Use at most 128 characters.",
        InvalidPassword::Blank => "Use more than spaces.",
        InvalidPassword::Address => "Choose a password other than your e-mail address.",
        InvalidPassword::Common => "This password is one of the most common ones. Choose another.",
    }
}

/// Reads an object's members of these names. `serde_json`'s own maps let a later member replace an earlier one.
struct Fields<'a>(&'a [&'static str]);

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = Form;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Form, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = Form;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Form, A::Error> {
        let mut form = Form::default();
        while let Some(name) = members.next_key::<String>()? {
            let Some(field) = self.0.iter().find(|field| **field == name) else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            if form.0.insert(field, members.next_value()?).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(form)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Self::Text(text),
            _ => Self::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
    use lambda_http::http::{Method, StatusCode};
    use proptest::prelude::*;

    const FORM: &str = "application/x-www-form-urlencoded";

    fn read(content_type: &str, body: &[u8]) -> Result<Form, StatusCode> {
        let headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap())]);
        let request = Request {
            method: Method::POST,
            headers,
            body: body.to_vec(),
            ..Request::default()
        };
        Form::read(&request, &["email", "password"]).map_err(|problem| problem.status)
    }

    fn email(content_type: &str, body: &[u8]) -> Result<String, StatusCode> {
        read(content_type, body).map(|form| form.text("email").unwrap().to_owned())
    }

    #[test]
    fn forms_and_json_objects_are_read_and_unknown_fields_ignored() {
        assert_eq!(
            email(FORM, b"x=1&email=a%2Bb%40c.de&x=2&email_confirmed=true").as_deref(),
            Ok("a+b@c.de")
        );
        assert_eq!(
            email(
                "application/json; charset=\"UTF-8\"",
                br#" {"x":[{}],"x":1,"\u0065mail":"a@c.de"} "#
            )
            .as_deref(),
            Ok("a@c.de")
        );
    }

    #[test]
    fn a_field_that_stands_twice_makes_the_body_unreadable() {
        assert_eq!(
            email(FORM, b"email=a@b.de&email=a@b.de"),
            Err(StatusCode::BAD_REQUEST)
        );
        assert_eq!(
            email(FORM, b"email=a@b.de&%65mail=c@d.ef"),
            Err(StatusCode::BAD_REQUEST)
        );
        assert_eq!(
            email("application/json", br#"{"email":"a@b.de","email":null}"#),
            Err(StatusCode::BAD_REQUEST)
        );
    }

    #[test]
    fn what_is_not_utf_8_or_not_an_object_is_unreadable() {
        assert_eq!(email(FORM, b"email=%ff"), Err(StatusCode::BAD_REQUEST));
        assert_eq!(email(FORM, b"email=\xff"), Err(StatusCode::BAD_REQUEST));
        for body in [
            "",
            "[]",
            "{",
            "null",
            "\"email\"",
            "{} {}",
            r#"{"email":"\ud800"}"#,
        ] {
            assert_eq!(
                email("application/json", body.as_bytes()),
                Err(StatusCode::BAD_REQUEST),
                "{body}"
            );
        }
        assert_eq!(
            email("application/json", "[".repeat(10_000).as_bytes()),
            Err(StatusCode::BAD_REQUEST)
        );
    }

    #[test]
    fn other_types_and_sizes_are_refused() {
        assert_eq!(
            email("multipart/form-data; boundary=x", b"--x"),
            Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        );
        assert_eq!(
            email("text/plain", b"email=a@b.de"),
            Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        );
        assert_eq!(
            email("application/json; charset=utf-16", b"{}"),
            Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        );
        assert_eq!(
            read(FORM, &vec![b'x'; 16 * 1024 + 1]).err(),
            Some(StatusCode::PAYLOAD_TOO_LARGE)
        );
        assert!(read(FORM, &vec![b'x'; 16 * 1024]).is_ok());
    }

    #[test]
    fn a_field_of_another_type_is_there_but_no_text() {
        let form = read("application/json", br#"{"email":5,"password":null}"#).unwrap();

        assert_eq!(form.text("email"), Err("This must be text."));
        assert!(form.has("password"));
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in any::<Vec<u8>>(), json in any::<bool>()) {
            let _ = read(if json { "application/json" } else { FORM }, &body);
        }
    }
}
