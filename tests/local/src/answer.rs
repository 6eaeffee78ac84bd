//! What a function answers, as API Gateway reads it.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case and values, repeated names included (`set-cookie`).
    pub headers: Vec<(String, String)>,
    /// The decoded body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads a function's answer: `statusCode`, `headers`, `multiValueHeaders` (payload 1.0), `cookies` (payload 2.0), `body`,
    /// `isBase64Encoded`; or, for payload 2.0, any JSON without a `statusCode`, which is the body of a `200`.
    ///
    /// # Errors
    ///
    /// What API Gateway would call a malformed answer and turn into a `500`.
    pub fn read(answer: &Value, payload_2: bool) -> Result<Self, &'static str> {
        if !payload_2 && answer.get("cookies").is_some() {
            return Err("payload 1.0 has no cookies");
        }
        let Some(status) = answer.get("statusCode") else {
            return if payload_2 {
                Ok(Self::bare(answer))
            } else {
                Err("there is no statusCode")
            };
        };
        let status = status
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (100..=599).contains(status))
            .ok_or("the statusCode is no HTTP status")?;
        let body = match answer.get("body") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(body))
                if answer.get("isBase64Encoded") == Some(&Value::Bool(true)) =>
            {
                BASE64_STANDARD
                    .decode(body)
                    .map_err(|_| "the body is not base64")?
            }
            Some(Value::String(body)) => body.clone().into_bytes(),
            Some(_) => return Err("the body is no string"),
        };
        Ok(Self {
            status,
            headers: headers(answer, payload_2)?,
            body,
        })
    }

    fn bare(answer: &Value) -> Self {
        let body = answer
            .as_str()
            .map_or_else(|| answer.to_string(), str::to_owned);
        Self {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.into_bytes(),
        }
    }

    /// The answer of API Gateway itself: a status and a message.
    #[must_use]
    pub fn of_gateway(status: u16, message: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: serde_json::json!({ "message": message })
                .to_string()
                .into_bytes(),
        }
    }

    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The cookie that it sets, as a browser sends it back: `name=value`.
    #[must_use]
    pub fn cookie(&self) -> Option<&str> {
        self.header("set-cookie")?.split(';').next()
    }

    /// The body as text. Invalid UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn headers(answer: &Value, payload_2: bool) -> Result<Vec<(String, String)>, &'static str> {
    let mut headers = Vec::new();
    let multiple = if payload_2 {
        None
    } else {
        object(answer, "multiValueHeaders")?
    };
    for (name, value) in object(answer, "headers")?.into_iter().flatten() {
        // If a name is in both maps, the one that can hold all its values counts.
        if !multiple.is_some_and(|multiple| {
            multiple
                .keys()
                .any(|other| other.eq_ignore_ascii_case(name))
        }) {
            headers.push((name.to_ascii_lowercase(), text(value)?));
        }
    }
    for (name, values) in multiple.into_iter().flatten() {
        for value in values.as_array().ok_or("a multi-value header is no list")? {
            headers.push((name.to_ascii_lowercase(), text(value)?));
        }
    }
    if payload_2 {
        for cookie in answer
            .get("cookies")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            headers.push(("set-cookie".to_owned(), text(cookie)?));
        }
    }
    Ok(headers)
}

fn object<'a>(
    answer: &'a Value,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, &'static str> {
    match answer.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err("the headers are no object"),
    }
}

fn text(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err("a header's value is no text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn headers_and_cookies_of_payload_2() {
        let answer = json!({
            "statusCode": 303,
            "headers": {"Location": "/x", "retry-after": 5},
            "multiValueHeaders": {"ignored": ["x"]},
            "cookies": ["a=1", "b=2"],
            "body": "aGk=",
            "isBase64Encoded": true,
        });

        let answer = Answer::read(&answer, true).unwrap();

        assert_eq!(answer.status, 303);
        assert_eq!(answer.text(), "hi");
        let headers: Vec<_> = answer
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        assert_eq!(
            headers,
            [
                "location: /x",
                "retry-after: 5",
                "set-cookie: a=1",
                "set-cookie: b=2"
            ]
        );
    }

    #[test]
    fn headers_of_payload_1_are_merged() {
        let answer = json!({
            "statusCode": 200,
            "headers": {"A": "1", "B": "1"},
            "multiValueHeaders": {"b": ["2", "3"]},
        });

        let answer = Answer::read(&answer, false).unwrap();

        let headers: Vec<_> = answer
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        assert_eq!(headers, ["a: 1", "b: 2", "b: 3"]);
    }

    #[test]
    fn bare_json_is_the_body_of_a_200_in_payload_2_only() {
        let bare = json!({"hello": "world"});

        assert_eq!(
            Answer::read(&bare, true).unwrap().text(),
            r#"{"hello":"world"}"#
        );
        assert!(Answer::read(&bare, false).is_err());
    }

    #[test]
    fn cookies_are_malformed_in_payload_1() {
        let answer = json!({ "statusCode": 200, "headers": {}, "cookies": [] });

        assert!(Answer::read(&answer, true).is_ok());
        assert!(Answer::read(&answer, false).is_err());
    }

    #[test]
    fn malformed_answers_are_told_apart_from_good_ones() {
        for malformed in [
            json!({"statusCode": "200"}),
            json!({"statusCode": 0}),
            json!({"statusCode": 200, "body": {}}),
            json!({"statusCode": 200, "body": "?", "isBase64Encoded": true}),
            json!({"statusCode": 200, "headers": {"a": null}}),
        ] {
            assert!(Answer::read(&malformed, true).is_err(), "{malformed}");
        }
    }
}
