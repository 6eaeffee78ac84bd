//! Steps that many tests take.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

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

/// Lets time pass for a row: whatever it remembers was that much earlier.
pub fn let_pass(world: &World, email: &str, seconds: i64) {
    let row = world.row(email).unwrap();
    let earlier = |time: &Value| json!(time.as_i64().unwrap() - seconds);
    let mut changes = json!({});
    for name in ["mailed_at", "expires_at"] {
        if row[name].is_number() {
            changes[name] = earlier(&row[name]);
        }
    }
    if let Some(times) = row["recent_mails"].as_array() {
        changes["recent_mails"] = times.iter().map(earlier).collect();
    }
    world.change_row(email, &changes);
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
