//! Whole events through the functions, before services that answer as the input says. In this crate's folder:
//!
//! ```console
//! cargo +nightly fuzz run event corpus/event seeds/event
//! ```
//!
//! The first byte chooses the function and how the rest is read, the next five what the services answer. The rest is the
//! event itself, or the parts of a request, each ended by a NUL byte: method, path, stage, body, and names and values of
//! headers.

#![no_main]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use accounts::lambda::{Exchange, Function, answer_event};
use change_email::ChangeEmail;
use confirm_email::ConfirmEmail;
use create_account::CreateAccount;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use signing::UrlSafeTimedSerializer;
use tokio::runtime::{Builder, Runtime};

const KEY: &str = "a key for fuzzing, and nothing else";

/// What the services still have to answer, as indices of [`ANSWERS`]; nothing stands for the first.
static SCRIPT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

static ANSWERS: LazyLock<Vec<(u16, String)>> = LazyLock::new(|| {
    let rows = [
        json!({}),
        json!({ "email": { "S": "a@b.cd" }, "password_hash": { "S": "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAA" } }),
        json!({ "email_confirmed": { "BOOL": true }, "password_hash": { "S": "" }, "mailed_at": { "N": "99999999999" } }),
        json!({ "email_confirmed": { "BOOL": false }, "contested": { "BOOL": true }, "password_hash": { "S": "x" }, "expires_at": { "N": "99999999999" } }),
        json!({ "password_hash": { "S": "x" }, "expires_at": { "N": "1" } }),
        json!({ "email_confirmed": { "S": "yes" }, "password_hash": { "N": "1" }, "mailed_at": { "S": "x" }, "recent_mails": { "M": {} } }),
        json!({ "mailed_at": { "N": "-1.5" }, "expires_at": { "N": "1e40" }, "recent_mails": { "L": [{ "N": "0.5" }, { "NULL": true }] } }),
        json!({ "email_confirmed": { "BOOL": true }, "password_hash": { "S": "x" }, "email_change": { "M": { "new_email": { "S": "c@d.ef" }, "requested_at": { "N": "1" }, "password_hash": { "S": "x" } } } }),
        json!({ "email_confirmed": { "BOOL": true }, "email_change": { "S": "x" }, "email_changed": { "M": {} }, "password_tries": { "M": {} } }),
        json!({ "email_confirmed": { "BOOL": true }, "password_hash": { "S": "x" }, "password_tries": { "S": "x" } }),
    ];
    let mut answers = Vec::new();
    for row in rows {
        let found = json!({ "MessageId": "id", "Item": row, "Responses": { "users": [row] } });
        let refused = json!({ "__type": "ConditionalCheckFailedException", "Item": row });
        let cancelled = json!({
            "__type": "TransactionCanceledException",
            "CancellationReasons": [{ "Code": "ConditionalCheckFailed", "Item": row }, { "Code": "None" }],
        });
        answers.push((200, found.to_string()));
        answers.push((400, refused.to_string()));
        answers.push((400, cancelled.to_string()));
    }
    answers.push((400, json!({ "__type": "ValidationException" }).to_string()));
    answers.push((400, "no JSON".to_owned()));
    answers.push((200, "[]".to_owned()));
    answers
});

struct Functions {
    runtime: Runtime,
    create: CreateAccount,
    confirm: ConfirmEmail,
    change: ChangeEmail,
}

static FUNCTIONS: LazyLock<Functions> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || serve(connection));
        }
    });
    for (name, value) in [
        ("USERS_TABLE", "users"),
        ("SECRET_KEY", KEY),
        ("BASE_URL", "https://app.example.com"),
        ("MAIL_FROM", "no-reply@app.example.com"),
        ("ALLOWED_ORIGINS", "https://www.example.com"),
        ("RESEND_COOLDOWN", "0"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "fuzz"),
        ("AWS_SECRET_ACCESS_KEY", "fuzz"),
        ("AWS_ENDPOINT_URL", &url),
    ] {
        // SAFETY: nothing else reads the environment yet.
        unsafe { std::env::set_var(name, value) };
    }
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    Functions {
        create: runtime
            .block_on(CreateAccount::from_env())
            .expect("settings"),
        confirm: runtime
            .block_on(ConfirmEmail::from_env())
            .expect("settings"),
        change: runtime.block_on(ChangeEmail::from_env()).expect("settings"),
        runtime,
    }
});

/// Answers calls of AWS services until the client hangs up.
fn serve(connection: TcpStream) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let mut writer = connection.try_clone().ok()?;
    let mut reader = BufReader::new(connection);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        let next = SCRIPT.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let index = usize::from(next.unwrap_or_default()) % ANSWERS.len();
        let (status, body) = &ANSWERS[index];
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        writer.write_all(format!("{head}{body}").as_bytes()).ok()?;
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&[choice, ref script @ ..], rest)) = data.split_first_chunk::<6>() else {
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
    *SCRIPT.lock().unwrap_or_else(PoisonError::into_inner) = script.to_vec();

    let functions = &*FUNCTIONS;
    let exchange = functions.runtime.block_on(async {
        match choice % 3 {
            0 => answer_event(&functions.create, &event).await,
            1 => answer_event(&functions.confirm, &event).await,
            _ => answer_event(&functions.change, &event).await,
        }
    });
    check(&exchange);
});

/// An event of a REST API or an HTTP API, of the parts of a request.
fn composed(parts: &[u8], rest: bool) -> Value {
    let mut parts = parts.split(|&b| b == 0).map(String::from_utf8_lossy);
    let mut next = || parts.next().unwrap_or_default().into_owned();
    let (method, path, stage, body) = (next(), next(), next(), next());
    let path = match path.as_str() {
        "" => "/accounts/create".to_owned(),
        "c" => "/accounts/email".to_owned(),
        "l" => link(0),
        "x" => link(100_000),
        "m" => link_to_change(),
        _ => path,
    };
    let mut headers = Map::new();
    loop {
        let name = next();
        if name.is_empty() {
            break;
        }
        headers.insert(name, next().into());
    }
    if rest {
        json!({ "httpMethod": method, "path": path, "headers": headers, "body": body, "requestContext": { "stage": stage } })
    } else {
        let http = json!({ "method": method, "path": path, "sourceIp": "203.0.113.7" });
        json!({ "rawPath": path, "headers": headers, "body": body, "requestContext": { "stage": stage, "http": http } })
    }
}

/// A link that was mailed so many seconds ago: no chance finds a genuine signature.
fn link(age: u64) -> String {
    let links = UrlSafeTimedSerializer::new(KEY.as_bytes(), "email-confirm-key");
    let token = links.dumps_at("a@b.cd", now() - age).expect("a token");
    format!("/accounts/confirm/{token}")
}

fn link_to_change() -> String {
    let links = UrlSafeTimedSerializer::new(KEY.as_bytes(), "email-update-key");
    let token = links
        .dumps_at(&["a@b.cd", "c@d.ef"], now())
        .expect("a token");
    format!("/accounts/confirm/{token}")
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a time after 1970").as_secs()
}

fn check(exchange: &Exchange) {
    let status = exchange.status.as_u16();
    let known = [200, 202, 204, 303, 400, 403, 404, 405, 413, 415, 422, 503];
    assert!(known.contains(&status), "{status}");
    let header = |name| {
        exchange
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    assert_eq!(header("x-content-type-options"), Some("nosniff"));
    assert_eq!(header("cache-control"), Some("no-store"));
    assert_eq!(header("location").is_some(), status == 303);
    assert!(
        header("location").is_none_or(|url| url.starts_with("https://app.example.com/accounts/"))
    );
    let html = header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    let is_page = exchange.body.is_empty() || exchange.body.starts_with("<!doctype html>");
    assert!(!html || is_page);
    assert!(!exchange.body.contains("<script") && !exchange.body.contains(KEY));
    for value in exchange.headers.values() {
        assert!(value.to_str().is_ok());
    }
}
