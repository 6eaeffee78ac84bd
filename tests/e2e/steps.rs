//! Steps that many tests take.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tests::{Answer, World};

/// An address.
pub const ADA: &str = "ada@example.com";

/// A password that is accepted.
pub const PASSWORD: &str = "correct horse battery";

/// Another one.
pub const OTHER_PASSWORD: &str = "a mailbox of one's own";

/// Signs up as a browser does.
pub async fn sign_up(world: &World, email: &str) -> Answer {
    sign_up_with(world, email, PASSWORD).await
}

/// Signs up with a certain password.
pub async fn sign_up_with(world: &World, email: &str, password: &str) -> Answer {
    let form = [("email", email), ("password", password)];
    world.post_form("/accounts/create", &form).await
}

/// Signs up and follows the link in the mail in the same browser, and forgets the calls that this took.
pub async fn have_account(world: &World, email: &str) {
    let signed_up = sign_up(world, email).await;
    assert_eq!(signed_up.status, 303);
    let link = world.mail_to(email).link();
    let opened = world.request("GET", &link).browser_of(&signed_up);
    assert_eq!(opened.send().await.status, 303);
    assert!(is_confirmed(world, email));
    world.forget_calls();
}

/// Signs up twice, so that nobody knows whose the address is, and returns the link in the first mail.
pub async fn have_contested_row(world: &World, email: &str) -> String {
    sign_up(world, email).await;
    sign_up_with(world, email, OTHER_PASSWORD).await;
    assert_eq!(world.row(email).unwrap()["contested"], true);
    world.forget_calls();
    world.mail_to(email).link()
}

/// A world in which whoever opens a link is trusted, as in "Explore Flask".
pub async fn visit_world() -> World {
    World::builder()
        .setting("CONFIRM_ON", "visit")
        .start()
        .await
}

/// Opens a link in the browser that got `answer` when it asked.
pub async fn open_in_browser_of(world: &World, answer: &Answer, link: &str) -> Answer {
    world.request("GET", link).browser_of(answer).send().await
}

/// An answer without the one thing in it that is always new: the cookie's value, of which only the length is kept.
pub fn without_cookie_value(mut answer: Answer) -> Answer {
    for (name, value) in &mut answer.headers {
        if name == "set-cookie" {
            let (start, rest) = value.split_once('=').unwrap();
            let (token, attributes) = rest.split_once(';').unwrap();
            *value = format!("{start}={} characters;{attributes}", token.len());
        }
    }
    answer
}

/// Asks for a new password and returns the link in the mail.
pub async fn reset_link(world: &World, email: &str) -> String {
    let asked = world
        .post_form("/accounts/password", &[("email", email)])
        .await;
    assert_eq!(asked.status, 303);
    let links = world.mail_to(email).links();
    let link = links
        .iter()
        .find(|link| link.contains("/accounts/password/"));
    link.unwrap_or_else(|| panic!("no reset link among {links:?}"))
        .clone()
}

/// Whether caches are told that an answer depends on the request's origin.
pub fn varies_by_origin(answer: &Answer) -> bool {
    let vary = answer.header("vary").unwrap_or_default();
    vary.split(',').any(|name| name.trim() == "Origin")
}

/// The fields of the page where whoever reads the mailbox chooses a password.
pub fn twice(password: &str) -> [(&'static str, &str); 2] {
    [("password", password), ("password_again", password)]
}

/// A path with a token that has outlived the longest `CONFIRM_MAX_AGE` of these tests.
pub fn expired_link(world: &World, email: &str) -> String {
    format!("/accounts/confirm/{}", world.token(email, 86_400 + 60))
}

/// Whether the row of an address is there and confirmed.
pub fn is_confirmed(world: &World, email: &str) -> bool {
    world
        .row(email)
        .is_some_and(|row| row["email_confirmed"] == true)
}

/// Lets time pass for an address: whatever its row and the limits of mails to it remember was that much earlier.
pub fn let_pass(world: &World, email: &str, seconds: i64) {
    if let Some(mut row) = world.store.item(email).unwrap() {
        for name in ["created_at", "confirmed_at", "password_changed_at"] {
            if let Some(text) = row[name]["S"].as_str() {
                let time: Timestamp = text.parse().unwrap();
                row[name]["S"] = json!((time - SignedDuration::from_secs(seconds)).to_string());
            }
        }
        make_earlier(&mut row, &["expires_at"], seconds);
        world.store.put(&row).unwrap();
    }
    for kind in ["sign-up", "reset", "change"] {
        if let Some(mut mails) = mails_of_kind(world, kind, email) {
            make_earlier(&mut mails, &NEWEST_MAILS, seconds);
            world.store.put_into("limits", &mails).unwrap();
        }
    }
}

const NEWEST_MAILS: [&str; 10] = ["m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "m9", "m10"];

/// What the limits remember of the mails of a kind to an address, as the store has it. The key is an HMAC of the address.
pub fn mails_of_kind(world: &World, kind: &str, email: &str) -> Option<Value> {
    let signer = signing::Signer::new(world.secret_key().as_bytes(), "accounts-limits");
    let limit = format!("mail-{kind}");
    let key = format!(
        "{limit}#{}",
        signer.get_signature(&format!("{limit}|{email}"))
    );
    let items = world.store.items_of("limits").unwrap();
    items
        .into_iter()
        .find(|item| item["limit"]["S"] == key.as_str())
}

fn make_earlier(item: &mut Value, names: &[&str], seconds: i64) {
    for name in names {
        let number = item[*name]["N"].as_str();
        // Zero stands for no mail at all.
        if let Some(time) = number
            .and_then(|n| n.parse::<i64>().ok())
            .filter(|n| *n > 0)
        {
            item[*name]["N"] = json!((time - seconds).to_string());
        }
    }
}

/// The time in seconds since 1970.
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs().try_into().unwrap()
}

/// What `act` gives when it began and ended within one second of the clock, so that an age is exact.
pub async fn within_one_second<T>(act: impl AsyncFn() -> T) -> T {
    for _ in 0..20 {
        let began = now();
        let result = act().await;
        if now() == began {
            return result;
        }
    }
    panic!("a request took longer than a second, twenty times");
}

/// What a Python script makes of `input`: it finds it in `input` and leaves JSON in `output`. The interpreter is the one that
/// `PYTHON` names, else `python3`; it needs itsdangerous and argon2-cffi.
pub fn python(script: &str, input: &Value) -> Value {
    let interpreter = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = format!(
        "import json, sys\ninput = json.loads(sys.argv[1])\n{script}\nprint(json.dumps(output))"
    );
    let ran = Command::new(&interpreter)
        .args(["-c", &script, &input.to_string()])
        .output()
        .unwrap_or_else(|error| panic!("cannot run {interpreter}: {error}"));
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success(),
        "{interpreter} failed (set PYTHON to one with itsdangerous and argon2-cffi):\n{errors}"
    );
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// Whether argon2's reference implementation takes `password` for a row's hash, and would hash it no stronger with OWASP's
/// first choice of parameters.
pub fn password_of(row: &Value, password: &str) -> bool {
    let script = "
import argon2
hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1, hash_len=32, salt_len=16)
assert not hasher.check_needs_rehash(input['hash'])
try:
    output = hasher.verify(input['hash'], input['password'])
except argon2.exceptions.VerifyMismatchError:
    output = False
";
    let input = json!({ "hash": row["password_hash"], "password": password });
    python(script, &input).as_bool().unwrap()
}
