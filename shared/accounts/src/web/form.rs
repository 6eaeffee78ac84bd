//! The fields of a body: a form, or a JSON object.

use std::fmt;

use addresses::EmailAddress;
use passwords::Password;
use percent_encoding::percent_decode;
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::web::problem::{Cause, FieldError, Problem};
use crate::web::request::Request;

/// The most bytes of a body.
const MAX_BODY: usize = 16 * 1024;

/// One field, as it was sent. It may hold a password.
#[derive(Default, PartialEq, Eq)]
pub enum Field {
    #[default]
    Missing,
    Text(String),
    /// JSON of another type.
    Other,
}

/// Reads a body. `T` is a struct of [`Field`]s: a field that it does not have is ignored. A field that occurs twice makes the
/// body unreadable, since nothing tells which one was meant.
pub fn read<T: DeserializeOwned + Default>(request: &Request) -> Result<T, Problem> {
    let body = request.body.as_slice();
    if body.len() > MAX_BODY {
        return Err(Problem::TooLarge);
    }
    match request.media_type() {
        Some("application/json") => from_json(body),
        Some("application/x-www-form-urlencoded") => from_urlencoded(body),
        Some("") if body.is_empty() => Ok(T::default()),
        _ => Err(Problem::MediaType),
    }
}

/// URL Standard, 5.1.
fn from_urlencoded<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // The parser below would replace invalid UTF-8 by U+FFFD.
    let is_text = percent_decode(body).decode_utf8().is_ok();
    let fields = MapDeserializer::<_, serde::de::value::Error>::new(form_urlencoded::parse(body));
    T::deserialize(fields)
        .ok()
        .filter(|_| is_text)
        .ok_or(Problem::Unreadable)
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(body).map_err(|_| Problem::Unreadable)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // A derived `Deserialize` also accepts an array, as the list of the fields.
    let is_object = text.trim_ascii_start().starts_with('{');
    serde_json::from_str(text)
        .ok()
        .filter(|_| is_object)
        .ok_or(Problem::Unreadable)
}

impl Field {
    /// The text, or why there is none.
    pub fn text(&self) -> Result<&str, Cause> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Other => Err(Cause::NotText),
            Self::Missing => Err(Cause::Missing),
        }
    }

    /// The text to show again.
    pub fn typed(&self) -> &str {
        self.text().unwrap_or_default()
    }

    /// Whether nothing was typed.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Missing => true,
            Self::Text(text) => text.is_empty(),
            Self::Other => false,
        }
    }

    /// The address in the field called `field`.
    pub fn email(&self, field: &'static str) -> Result<EmailAddress, FieldError> {
        let parsed = self
            .text()
            .and_then(|text| EmailAddress::parse(text).map_err(Cause::Email));
        parsed.map_err(|cause| FieldError { field, cause })
    }

    /// The password that somebody tries in the field called `field`.
    pub fn attempt(&self, field: &'static str) -> Result<&str, FieldError> {
        let text = self.text();
        let text = text.and_then(|text| (!text.is_empty()).then_some(text).ok_or(Cause::Missing));
        text.map_err(|cause| FieldError { field, cause })
    }

    /// The password that somebody chooses for `email` in the field called `field`.
    pub fn new_password(
        &self,
        field: &'static str,
        email: Option<&EmailAddress>,
    ) -> Result<Password, FieldError> {
        let parse = |text: &str| {
            // Another spelling of the address is the address too.
            let is_address = EmailAddress::parse(text).is_ok_and(|parsed| Some(&parsed) == email);
            let identifiers = match email {
                Some(_) if is_address => vec![text],
                Some(email) => vec![email.as_str(), email.local_part()],
                None => Vec::new(),
            };
            Password::parse(text, &identifiers).map_err(Cause::Password)
        };
        let parsed = self.text().and_then(parse);
        parsed.map_err(|cause| FieldError { field, cause })
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Field(..)")
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer) {
            Ok(serde_json::Value::String(text)) => Ok(Self::Text(text)),
            Ok(_) => Ok(Self::Other),
            Err(error) => Err(D::Error::custom(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_http::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
    use lambda_http::http::{Method, StatusCode};
    use proptest::prelude::*;

    const FORM: &str = "application/x-www-form-urlencoded";
    const JSON: &str = "application/json";

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Fields {
        email: Field,
        password: Field,
    }

    fn fields(content_type: &str, body: &[u8]) -> Result<Fields, StatusCode> {
        let headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap())]);
        let request = Request {
            method: Method::POST,
            headers,
            body: body.to_vec(),
            ..Request::default()
        };
        read(&request).map_err(Problem::status)
    }

    fn email(content_type: &str, body: &[u8]) -> Result<String, StatusCode> {
        fields(content_type, body).map(|form| form.email.text().unwrap().to_owned())
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
        assert_eq!(
            email(JSON, b"\xef\xbb\xbf{\"email\":\"a@c.de\"}").as_deref(),
            Ok("a@c.de")
        );
    }

    #[test]
    fn a_field_that_stands_twice_makes_the_body_unreadable() {
        for (content_type, body) in [
            (FORM, "email=a@b.de&email=a@b.de"),
            (FORM, "email=a@b.de&%65mail=c@d.ef"),
            (JSON, r#"{"email":"a@b.de","email":null}"#),
        ] {
            let read = email(content_type, body.as_bytes());
            assert_eq!(read, Err(StatusCode::BAD_REQUEST), "{body}");
        }
    }

    #[test]
    fn what_is_not_utf_8_or_not_an_object_is_unreadable() {
        for (content_type, body) in [
            (FORM, &b"email=%ff"[..]),
            (FORM, b"email=\xff"),
            (JSON, b"{\"x\":\"\xff\"}"),
            (JSON, b""),
            (JSON, b"[]"),
            (JSON, br#"["a@b.de","x"]"#),
            (JSON, b"{"),
            (JSON, b"null"),
            (JSON, b"\"email\""),
            (JSON, b"{} {}"),
            (JSON, br#"{"email":"\ud800"}"#),
            (JSON, "[".repeat(10_000).as_bytes()),
        ] {
            let read = fields(content_type, body).err();
            assert_eq!(read, Some(StatusCode::BAD_REQUEST), "{body:?}");
        }
    }

    #[test]
    fn other_types_and_sizes_are_refused() {
        for content_type in [
            "multipart/form-data; boundary=x",
            "text/plain",
            "application/json; charset=utf-16",
        ] {
            let read = fields(content_type, b"{}").err();
            assert_eq!(read, Some(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let too_large = fields(FORM, &vec![b'x'; MAX_BODY + 1]).err();
        assert_eq!(too_large, Some(StatusCode::PAYLOAD_TOO_LARGE));
        assert!(fields(FORM, &vec![b'x'; MAX_BODY]).is_ok());
    }

    #[test]
    fn a_field_of_another_type_is_there_but_no_text() {
        let form = fields(JSON, br#"{"email":5,"password":null}"#).unwrap();

        assert_eq!(form.email.text(), Err(Cause::NotText));
        assert_eq!(form.password.text(), Err(Cause::NotText));
        assert!(!form.password.is_empty());
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body in any::<Vec<u8>>(), json in any::<bool>()) {
            let _ = fields(if json { JSON } else { FORM }, &body);
        }
    }
}
