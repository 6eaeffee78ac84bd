//! An SES that delivers nothing: it keeps each mail and shows it in an inbox.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::{Error, inbox};

/// A mail that was given to SES.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The `MessageId` that SES answered.
    pub id: String,
    /// When it came in, RFC 3339.
    pub received_at: String,
    /// The sender, with its display name if it has one.
    pub from: String,
    /// The recipients: to, cc and bcc.
    pub to: Vec<String>,
    /// `Reply-To` addresses.
    pub reply_to: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The HTML part.
    pub html: Option<String>,
    /// The text part.
    pub text: Option<String>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The configuration set.
    pub configuration_set: Option<String>,
    /// Message tags.
    pub tags: Vec<(String, String)>,
}

/// The catcher, which is served as long as the runtime lives.
#[derive(Clone)]
pub struct Ses {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    mails: Vec<Mail>,
    file: Option<File>,
}

impl Ses {
    /// Serves the catcher and its inbox on `listener`, and keeps the mails in memory or also, as JSON lines, in the
    /// file `data`.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or holds something else.
    pub fn start(listener: TcpListener, data: Option<&Path>) -> Result<Self, Error> {
        let kept = match data {
            Some(path) => Kept {
                mails: read_mails(path)?,
                file: Some(appended(path)?),
            },
            None => Kept::default(),
        };
        let kept = Arc::new(Mutex::new(kept));
        let address = listener.local_addr()?;
        let routes = Router::new()
            .route("/", get(list))
            .route("/mail/{id}", get(mail))
            .route("/mails", get(mails))
            .route("/v2/email/outbound-emails", post(send))
            .with_state(Arc::clone(&kept));
        tokio::spawn(axum::serve(listener, routes).into_future());
        Ok(Self { address, kept })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All mails, oldest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        lock(&self.kept).mails.clone()
    }
}

fn read_mails(path: &Path) -> Result<Vec<Mail>, Error> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mails = std::fs::read_to_string(path)?;
    Ok(mails
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?)
}

fn appended(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

async fn send(State(kept): State<Arc<Mutex<Kept>>>, body: Bytes) -> Response {
    let mail = match serde_json::from_slice(&body)
        .map_err(|error| error.to_string())
        .and_then(|sent| read(&sent))
    {
        Ok(mail) => mail,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, "BadRequestException", &why),
    };
    let answer = Json(json!({ "MessageId": mail.id })).into_response();
    let mut kept = lock(&kept);
    if let Some(file) = &mut kept.file
        && let Err(error) = write_line(file, &mail)
    {
        return refusal(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalServiceErrorException",
            &error.to_string(),
        );
    }
    kept.mails.push(mail);
    answer
}

fn write_line(file: &mut File, mail: &Mail) -> Result<(), Error> {
    let line = serde_json::to_string(mail)? + "\n";
    file.write_all(line.as_bytes())?;
    Ok(())
}

/// Reads `SendEmail`'s request, `Content.Simple` only:
/// <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>.
fn read(sent: &Value) -> Result<Mail, String> {
    let text = |pointer: &str| {
        sent.pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let texts = |pointer: &str| -> Vec<String> {
        let list = sent.pointer(pointer).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let pairs = |pointer: &str| -> Vec<(String, String)> {
        let list = sent.pointer(pointer).and_then(Value::as_array);
        let pair = |pair: &Value| {
            let part = |name| pair.get(name).and_then(Value::as_str).map(str::to_owned);
            Some((part("Name")?, part("Value")?))
        };
        list.into_iter().flatten().filter_map(pair).collect()
    };

    let mut to = texts("/Destination/ToAddresses");
    to.extend(texts("/Destination/CcAddresses"));
    to.extend(texts("/Destination/BccAddresses"));
    if to.is_empty() {
        return Err("Missing required destination".to_owned());
    }
    // SES has no SMTPUTF8.
    if let Some(address) = to.iter().find(|address| !address.is_ascii()) {
        return Err(format!(
            "Local address contains control or whitespace, or is not ASCII: {address}"
        ));
    }
    Ok(Mail {
        id: Uuid::now_v7().to_string(),
        received_at: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        from: text("/FromEmailAddress").ok_or("Missing required sender")?,
        to,
        reply_to: texts("/ReplyToAddresses"),
        subject: text("/Content/Simple/Subject/Data").ok_or("Missing required subject")?,
        html: text("/Content/Simple/Body/Html/Data"),
        text: text("/Content/Simple/Body/Text/Data"),
        headers: pairs("/Content/Simple/Headers"),
        configuration_set: text("/ConfigurationSetName"),
        tags: pairs("/EmailTags"),
    })
}

fn refusal(status: StatusCode, kind: &'static str, message: &str) -> Response {
    (
        status,
        [("x-amzn-errortype", kind)],
        Json(json!({ "message": message })),
    )
        .into_response()
}

async fn mails(State(kept): State<Arc<Mutex<Kept>>>) -> Json<Vec<Mail>> {
    Json(lock(&kept).mails.clone())
}

async fn list(State(kept): State<Arc<Mutex<Kept>>>) -> Response {
    page(StatusCode::OK, inbox::page(&lock(&kept).mails, None))
}

async fn mail(State(kept): State<Arc<Mutex<Kept>>>, UrlPath(id): UrlPath<String>) -> Response {
    let kept = lock(&kept);
    let mail = kept.mails.iter().find(|mail| mail.id == id);
    let status = if mail.is_some() {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    page(status, inbox::page(&kept.mails, mail))
}

fn page(status: StatusCode, page: Result<String, askama::Error>) -> Response {
    match page {
        Ok(page) => (
            status,
            [("content-security-policy", inbox::POLICY)],
            Html(page),
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Takes a poisoned lock too: its mails are still valid.
fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_read_as_the_sdk_writes_it() {
        let sent = json!({
            "FromEmailAddress": "My App <no-reply@example.com>",
            "Destination": { "ToAddresses": ["a@example.com"] },
            "Content": { "Simple": {
                "Subject": { "Data": "Hello", "Charset": "UTF-8" },
                "Body": { "Text": { "Data": "text" }, "Html": { "Data": "<p>html</p>" } },
                "Headers": [{ "Name": "X-A", "Value": "1" }],
            } },
            "ConfigurationSetName": "set",
        });

        let mail = read(&sent).unwrap();

        assert_eq!(mail.to, ["a@example.com"]);
        assert_eq!(mail.subject, "Hello");
        assert_eq!(mail.html.as_deref(), Some("<p>html</p>"));
        assert_eq!(mail.headers, [("X-A".to_owned(), "1".to_owned())]);
        assert_eq!(mail.configuration_set.as_deref(), Some("set"));
    }

    #[test]
    fn a_mail_to_nobody_is_refused() {
        assert!(read(&json!({ "FromEmailAddress": "a@example.com" })).is_err());
    }
}
