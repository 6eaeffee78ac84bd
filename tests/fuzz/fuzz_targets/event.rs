//! Whole events through the functions, beside the store and the mail catcher of the local run. In this crate's folder:
//!
//! ```console
//! cargo +nightly fuzz run event corpus/event seeds/event
//! ```
//!
//! The first byte chooses the function and how the rest is read, the next two what the rows of [`ADA`] and [`NEW`] are, and the
//! fourth how often the event is sent. The rest is the event itself, or the parts of a request, each ended by a NUL byte:
//! method, path, stage, body, and names and values of headers.

#![no_main]

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use accounts::lambda::{Exchange, answer_event};
use accounts::links::keys::Use;
use accounts::links::signers::{CHANGE_SALT, COOKIE_SALT, RESET_SALT, SIGN_UP_SALT};
use accounts::service::Service;
use accounts::settings::Environment;
use confirm_email::ConfirmOn;
use libfuzzer_sys::fuzz_target;
use local::dynamodb::{LIMITS_TABLE, Store, USERS_TABLE};
use local::ses::Ses;
use serde_json::{Map, Value, json};
use signing::UrlSafeTimedSerializer;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

const KEY: &str = "a key for fuzzing, and nothing else";

/// Whose address the links name.
const ADA: &str = "a@b.cd";

/// What Ada's address is to become.
const NEW: &str = "c@d.ef";

/// The sign-up and the change of address that the browser with a genuine cookie asked for.
const ID: &str = "3f1c";

/// What is in a row beside `email`; an empty one is no row.
static ROWS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    // Of "correct horse battery", as cheap as can be.
    let hash = json!({ "S": "$argon2id$v=19$m=8,t=1,p=1$tjDwc7HjthJ1PwoMl/z2Ow$Y1wJ3bYILeuFNq+/zqFLUqHzGsIlj3oy0Stp6AZW9U0" });
    let yes = json!({ "BOOL": true });
    let change = json!({ "M": { "id": { "S": ID }, "new_email": { "S": NEW }, "requested_at": { "N": "1700000000" }, "password_hash": hash } });
    vec![
        json!({}),
        json!({ "password_hash": hash, "user_id": { "S": "1" }, "email_confirmed": yes, "role": { "S": "admin" } }),
        json!({ "password_hash": hash, "email_confirmed": { "BOOL": false }, "sign_up": { "S": ID }, "expires_at": { "N": "99999999999" } }),
        json!({ "password_hash": hash, "contested": yes, "expires_at": { "N": "99999999999" } }),
        json!({ "password_hash": hash, "expires_at": { "N": "1" } }),
        json!({ "role": { "S": "invited" } }),
        // Rows of the first version: one that only remembers mails, and an account.
        json!({ "mail_claim": { "S": "x" }, "undeliverable": yes, "expires_at": { "N": "99999999999" } }),
        json!({ "password_hash": hash, "email_confirmed": yes, "mailed_at": { "N": "1700000000" }, "recent_mails": { "L": [{ "N": "1700000000" }] }, "password_tries": { "M": {} } }),
        // Of every attribute another type than ours.
        json!({ "password_hash": { "N": "1" }, "email_confirmed": { "S": "yes" }, "sign_up": { "L": [] }, "expires_at": { "S": "x" }, "created_at": { "N": "1e40" } }),
        json!({ "password_hash": { "S": "" }, "email_confirmed": yes, "email_change": { "S": "x" }, "email_changed": { "M": {} }, "undeliverable": { "NULL": true } }),
        json!({ "password_hash": hash, "email_confirmed": yes, "email_change": change, "password_changed_at": { "S": "yesterday" } }),
        json!({ "password_hash": hash, "email_confirmed": yes, "undeliverable": { "S": "complaint" }, "locale": { "S": "tlh" } }),
        json!({ "password_hash": hash, "created_at": { "S": "9999-12-31T23:59:59Z" } }),
    ]
});

struct World {
    runtime: Runtime,
    store: Store,
    service: Service,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (store, service) = runtime.block_on(start());
    World {
        runtime,
        store,
        service,
    }
});

async fn start() -> (Store, Service) {
    let listener = || TcpListener::bind("127.0.0.1:0");
    let store = Store::start(listener().await.expect("a port"), None).expect("a store");
    let ses = Ses::start(listener().await.expect("a port"), None).expect("a mail catcher");
    let environment = Environment::from([
        ("USERS_TABLE", USERS_TABLE),
        ("LIMITS_TABLE", LIMITS_TABLE),
        ("SECRET_KEY", KEY),
        ("BASE_URL", "https://app.example.com"),
        ("MAIL_FROM", "no-reply@app.example.com"),
        ("ALLOWED_ORIGINS", "https://www.example.com"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "fuzz"),
        ("AWS_SECRET_ACCESS_KEY", "fuzz"),
        (
            "AWS_ENDPOINT_URL_DYNAMODB",
            &format!("http://{}", store.address()),
        ),
        (
            "AWS_ENDPOINT_URL_SESV2",
            &format!("http://{}", ses.address()),
        ),
    ]);
    let service = Service::from_env(&environment, Use::SignAndVerify).await;
    (store, service.expect("settings"))
}

fuzz_target!(|data: &[u8]| {
    let Some((&[choice, ada, new, times], rest)) = data.split_first_chunk::<4>() else {
        return;
    };
    let event = if choice & 0x80 == 0 {
        let Ok(event) = str::from_utf8(rest) else {
            return;
        };
        event.to_owned()
    } else {
        composed(rest, choice & 0x40 != 0).to_string()
    };
    empty(&WORLD.store);
    put(&WORLD.store, ADA, ada);
    put(&WORLD.store, NEW, new);

    for _ in 0..=times % 3 {
        let before = confirmed(&WORLD.store);
        check(&WORLD.runtime.block_on(answer(choice, &event)));
        // An account keeps its confirmation and what other code wrote, also if it moves.
        let after = confirmed(&WORLD.store);
        for role in before {
            assert!(after.contains(&role), "{role:?} of {after:?}");
        }
    }
});

async fn answer(choice: u8, event: &str) -> Exchange {
    let service = &WORLD.service;
    match choice & 0x3f {
        0 => answer_event(service, &(), &create_account::answer, event).await,
        1 => answer_event(service, &ConfirmOn::Browser, &confirm_email::answer, event).await,
        2 => answer_event(service, &ConfirmOn::Visit, &confirm_email::answer, event).await,
        3 => answer_event(service, &(), &change_email::answer, event).await,
        _ => {
            let settings = reset_password::Settings::from_env(&Environment::default());
            let settings = settings.expect("defaults");
            answer_event(service, &settings, &reset_password::answer, event).await
        }
    }
}

fn empty(store: &Store) {
    for (table, key) in [(USERS_TABLE, "email"), (LIMITS_TABLE, "limit")] {
        for item in store.items_of(table).expect("items") {
            let key = json!({ key: item[key] });
            store.delete_from(table, &key).expect("a deletion");
        }
    }
}

fn put(store: &Store, email: &str, choice: u8) {
    let mut row = ROWS[usize::from(choice) % ROWS.len()].clone();
    if row != json!({}) {
        row["email"] = json!({ "S": email });
        store.put(&row).expect("a row");
    }
}

/// The roles of all confirmed users.
fn confirmed(store: &Store) -> Vec<Value> {
    let rows = store.items().expect("rows").into_iter();
    let rows = rows.filter(|row| row["email_confirmed"] == json!({ "BOOL": true }));
    rows.map(|row| row["role"].clone()).collect()
}

/// An event of a REST API or an HTTP API, of the parts of a request.
fn composed(parts: &[u8], rest: bool) -> Value {
    let mut parts = parts.split(|&b| b == 0).map(String::from_utf8_lossy);
    let mut next = || parts.next().unwrap_or_default().into_owned();
    let (method, path, stage, body) = (next(), next(), next(), next());
    let path = match path.as_str() {
        "" => "/accounts/create".to_owned(),
        "c" => "/accounts/email".to_owned(),
        "p" => "/accounts/password".to_owned(),
        "l" => format!("/accounts/confirm/{}", token(SIGN_UP_SALT, &ADA, 0)),
        "x" => format!("/accounts/confirm/{}", token(SIGN_UP_SALT, &ADA, 100_000)),
        "m" => format!("/accounts/confirm/{}", token(CHANGE_SALT, &[ADA, NEW], 0)),
        "r" => format!("/accounts/password/{}", token(RESET_SALT, &ADA, 0)),
        _ => path,
    };
    let mut headers = Map::new();
    loop {
        let name = next();
        if name.is_empty() {
            break;
        }
        let value = match (name.as_str(), next()) {
            ("cookie", value) if value.is_empty() => {
                format!("__Host-accounts={}", token(COOKIE_SALT, &ID, 0))
            }
            (_, value) => value,
        };
        headers.insert(name, value.into());
    }
    if rest {
        json!({ "httpMethod": method, "path": path, "headers": headers, "body": body, "requestContext": { "stage": stage } })
    } else {
        let http = json!({ "method": method, "path": path, "sourceIp": "203.0.113.7" });
        json!({ "rawPath": path, "headers": headers, "body": body, "requestContext": { "stage": stage, "http": http } })
    }
}

/// A token that was made so many seconds ago: no chance finds a genuine signature.
fn token<T: serde::Serialize + ?Sized>(salt: &str, payload: &T, age: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let date = now.expect("a time after 1970").as_secs() - age;
    let serializer = UrlSafeTimedSerializer::new(KEY.as_bytes(), salt);
    serializer.dumps_at(payload, date).expect("a token")
}

fn check(exchange: &Exchange) {
    let (status, body) = (exchange.status().as_u16(), exchange.body());
    let known = [
        200, 202, 204, 303, 400, 403, 404, 405, 413, 415, 422, 429, 503,
    ];
    assert!(known.contains(&status), "{status}");
    let header = |name| {
        let value = exchange.headers().get(name);
        value.and_then(|value| value.to_str().ok())
    };
    assert_eq!(header("x-content-type-options"), Some("nosniff"));
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(header("location").is_some(), status == 303);
    assert!(
        header("location").is_none_or(|url| url.starts_with("https://app.example.com/accounts/"))
    );
    let html = header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    assert!(!html || body.is_empty() || body.starts_with("<!doctype html>"));
    assert!(!body.contains("<script") && !body.contains(KEY));
    for value in exchange.headers().values() {
        assert!(value.to_str().is_ok());
    }
}
