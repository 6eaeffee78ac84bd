//! A Secrets Manager that knows `GetSecretValue`.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::Error;

/// The secrets, which are served as long as the runtime lives.
#[derive(Clone)]
pub struct Secrets {
    address: SocketAddr,
    kept: Kept,
}

type Kept = Arc<Mutex<HashMap<String, Secret>>>;

struct Secret {
    created: Timestamp,
    current: Version,
    previous: Option<Version>,
    reads: usize,
}

struct Version {
    id: String,
    value: String,
}

impl Version {
    fn new(value: &str) -> Self {
        Self {
            id: Uuid::now_v7().to_string(),
            value: value.to_owned(),
        }
    }
}

impl Secrets {
    /// Serves secrets on `listener`, none to begin with.
    ///
    /// # Errors
    ///
    /// A listener without an address.
    pub fn start(listener: TcpListener) -> Result<Self, Error> {
        let address = listener.local_addr()?;
        let kept = Kept::default();
        let routes = Router::new()
            .route("/", post(answer))
            .with_state(Arc::clone(&kept));
        tokio::spawn(axum::serve(listener, routes).into_future());
        Ok(Self { address, kept })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Creates the secret `name`, or makes it anew without a previous value.
    pub fn set(&self, name: &str, value: &str) {
        let secret = Secret {
            created: Timestamp::now(),
            current: Version::new(value),
            previous: None,
            reads: 0,
        };
        lock(&self.kept).insert(name.to_owned(), secret);
    }

    /// Gives the secret a new value and makes its current one the previous one.
    pub fn rotate(&self, name: &str, value: &str) {
        if let Some(secret) = lock(&self.kept).get_mut(name) {
            secret.previous = Some(std::mem::replace(&mut secret.current, Version::new(value)));
        }
    }

    /// Deletes the secret.
    pub fn delete(&self, name: &str) {
        lock(&self.kept).remove(name);
    }

    /// How often the secret has been read, whichever version.
    #[must_use]
    pub fn reads(&self, name: &str) -> usize {
        lock(&self.kept).get(name).map_or(0, |secret| secret.reads)
    }
}

/// The ARN of the secret `name`; the real ones end in six random characters.
#[must_use]
pub fn arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-a1b2c3")
}

async fn answer(State(kept): State<Kept>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok());
    if target != Some("secretsmanager.GetSecretValue") {
        return refusal(
            "InvalidRequestException",
            "Only GetSecretValue is known here.",
        );
    }
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return refusal("InvalidRequestException", "The request is no JSON.");
    };
    let text = |name| request.get(name).and_then(Value::as_str);
    let id = text("SecretId").unwrap_or_default();
    let stage = text("VersionStage").unwrap_or("AWSCURRENT");

    let mut kept = lock(&kept);
    let Some((name, secret)) = kept
        .iter_mut()
        .find(|(name, _)| id == name.as_str() || id == arn(name))
    else {
        return refusal(
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret.",
        );
    };
    secret.reads += 1;
    let version = match stage {
        "AWSCURRENT" => Some(&secret.current),
        "AWSPREVIOUS" => secret.previous.as_ref(),
        _ => None,
    };
    match version {
        Some(version) => json_answer(
            StatusCode::OK,
            &json!({
                "ARN": arn(name),
                "Name": name,
                "SecretString": version.value,
                "VersionId": version.id,
                "VersionStages": [stage],
                "CreatedDate": secret.created.as_second(),
            }),
        ),
        None => refusal(
            "ResourceNotFoundException",
            &format!(
                "Secrets Manager can't find the specified secret value for staging label: {stage}"
            ),
        ),
    }
}

fn refusal(kind: &str, message: &str) -> Response {
    json_answer(
        StatusCode::BAD_REQUEST,
        &json!({ "__type": kind, "Message": message }),
    )
}

fn json_answer(status: StatusCode, body: &Value) -> Response {
    (
        status,
        [("content-type", "application/x-amz-json-1.1")],
        body.to_string(),
    )
        .into_response()
}

/// Takes a poisoned lock too: its secrets are still valid.
fn lock(kept: &Kept) -> MutexGuard<'_, HashMap<String, Secret>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
