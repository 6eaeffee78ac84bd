//! A stand-in of a challenge's provider, Turnstile or hCaptcha: the script that fills the widget, and `siteverify`.
//!
//! It works as the real ones do: the widget is a frame of another origin, a response is valid for one site key and one
//! verification. It cannot tell a person from a bot: anybody who asks for a response gets one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::Error;

/// The site key that pages name.
pub const SITE_KEY: &str = "site-key-of-the-stand-in";

/// The secret that verifies its responses.
pub const SECRET: &str = "secret-of-the-stand-in";

/// The provider, which is served as long as the runtime lives.
#[derive(Clone)]
pub struct Provider {
    address: SocketAddr,
    kept: Kept,
}

type Kept = Arc<Mutex<Responses>>;
type Fields = HashMap<String, String>;

#[derive(Default)]
struct Responses {
    /// Responses that were not verified yet, and their site keys.
    unused: HashMap<String, String>,
    verifications: Vec<Fields>,
}

impl Provider {
    /// Serves the provider on `listener`.
    ///
    /// # Errors
    ///
    /// A listener without an address.
    pub fn start(listener: TcpListener) -> Result<Self, Error> {
        let address = listener.local_addr()?;
        let kept = Kept::default();
        let routes = Router::new()
            .route("/api.js", get(script))
            .route("/style.css", get(style))
            .route("/ready", get(async || "ready"))
            .route("/frame", get(async || Html(FRAME)))
            .route("/response", get(response))
            .route("/siteverify", post(verify))
            .with_state(Arc::clone(&kept));
        tokio::spawn(axum::serve(listener, routes).into_future());
        Ok(Self { address, kept })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A response, as somebody who passes the challenge of a site gets it.
    #[must_use]
    pub fn pass(&self, site_key: &str) -> String {
        pass(&self.kept, site_key)
    }

    /// The forms that `siteverify` was asked with, in order.
    #[must_use]
    pub fn verifications(&self) -> Vec<Fields> {
        lock(&self.kept).verifications.clone()
    }
}

fn pass(kept: &Kept, site_key: &str) -> String {
    let response = format!("stand-in.{}", Uuid::now_v7());
    let mut kept = lock(kept);
    kept.unused.insert(response.clone(), site_key.to_owned());
    response
}

async fn response(State(kept): State<Kept>, Query(query): Query<Fields>) -> String {
    pass(&kept, query.get("sitekey").map_or("", String::as_str))
}

/// The protocol that both providers share, with Turnstile's names of errors.
async fn verify(State(kept): State<Kept>, Form(form): Form<Fields>) -> Json<Value> {
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let refused = |code: &str| Json(json!({ "success": false, "error-codes": [code] }));
    let mut kept = lock(&kept);
    kept.verifications.push(form.clone());
    if field("secret") != SECRET {
        return refused("invalid-input-secret");
    }
    let expected = form.get("sitekey").map_or(SITE_KEY, String::as_str);
    match kept.unused.remove(field("response")) {
        Some(site_key) if site_key == expected => Json(json!({
            "success": true,
            "challenge_ts": jiff::Timestamp::now().to_string(),
            "hostname": "localhost",
            "error-codes": [],
        })),
        None if field("response").starts_with("stand-in.") => refused("timeout-or-duplicate"),
        Some(_) | None => refused("invalid-input-response"),
    }
}

async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript")], SCRIPT)
}

async fn style() -> impl IntoResponse {
    let style = ".h-captcha iframe { border: 1px solid }";
    ([(CONTENT_TYPE, "text/css")], style)
}

/// Like hCaptcha's, this script loads styles and calls its server from the page itself. It does nothing if the page forbids
/// that.
const SCRIPT: &str = r#"(() => {
  const origin = new URL(document.currentScript.src).origin;
  const show = (place, name) => {
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = name;
    const frame = document.createElement("iframe");
    frame.title = "Challenge (stand-in)";
    frame.width = "300";
    frame.height = "65";
    frame.src = `${origin}/frame?sitekey=${encodeURIComponent(place.dataset.sitekey)}`;
    addEventListener("message", (event) => {
      if (event.source === frame.contentWindow) field.value = event.data;
    });
    place.append(field, frame);
  };
  for (const place of document.querySelectorAll(".cf-turnstile")) show(place, "cf-turnstile-response");
  for (const place of document.querySelectorAll(".h-captcha")) {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = `${origin}/style.css`;
    style.addEventListener("load", async () => {
      await fetch(`${origin}/ready`, { mode: "no-cors" });
      show(place, "h-captcha-response");
    });
    document.head.append(style);
  }
})();
"#;

const FRAME: &str = r#"<!doctype html>
<html lang="en">
<title>Challenge (stand-in)</title>
<label><input type="checkbox" id="human"> I am not a robot</label>
<script>
document.getElementById("human").addEventListener("change", async ({ target }) => {
  const answer = await fetch("/response" + location.search);
  parent.postMessage(await answer.text(), "*");
  target.disabled = true;
  target.dataset.passed = "";
});
</script>
"#;

/// Takes a poisoned lock too: its responses are still valid.
fn lock(kept: &Kept) -> MutexGuard<'_, Responses> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
