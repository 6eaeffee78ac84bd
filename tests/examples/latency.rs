//! How long a sign-up, a change of address and a request for a new password take for addresses of each kind, side by side: what
//! somebody could learn from the time of an answer.
//!
//! ```console
//! cargo build --workspace --bins && cargo run -p tests --example latency
//! ```
//!
//! The functions are whole processes, those of the `dev` profile unless `FUNCTIONS_DIR` names a folder with others. DynamoDB
//! answers after 5 ms and SES after 60 ms, so that the number of calls is what shows. The network between the client and
//! API Gateway, which would blur it, is left out. `REQUESTS` sets how many of each kind there are.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark may end in a panic"
)]

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::{ANY, Fault, World};

const DYNAMODB: Duration = Duration::from_millis(5);
const SES: Duration = Duration::from_millis(60);
const PASSWORD: &str = "correct horse battery";

/// What an observer does.
#[derive(Clone, Copy, PartialEq)]
enum Operation {
    /// Signs up with the address.
    SignUp,
    /// Signs up with it once more, within the cooldown.
    SignUpAgain,
    /// Tries a wrong password for a change of this address.
    Attempt,
    /// Has an account, and asks to move it to the address.
    Change,
    /// Asks for a new password.
    Reset,
}

const OPERATIONS: [Operation; 5] = [
    Operation::SignUp,
    Operation::SignUpAgain,
    Operation::Attempt,
    Operation::Change,
    Operation::Reset,
];

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::SignUp => "sign-up",
            Self::SignUpAgain => "sign-up, mailed just now",
            Self::Attempt => "change, wrong password",
            Self::Change => "change to the address",
            Self::Reset => "reset request",
        })
    }
}

/// What the address is.
#[derive(Clone, Copy)]
enum Kind {
    New,
    Waiting,
    Confirmed,
}

const KINDS: [Kind; 3] = [Kind::New, Kind::Waiting, Kind::Confirmed];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::New => "new",
            Self::Waiting => "waiting",
            Self::Confirmed => "confirmed",
        })
    }
}

/// What is measured of one operation and one kind of address.
#[derive(Default)]
struct Measured {
    times: Vec<Duration>,
    calls: String,
}

#[tokio::main]
async fn main() {
    let requests = std::env::var("REQUESTS").map_or(300, |count| count.parse().expect("a number"));
    let world = World::builder()
        // All requests come from one network: the limit is claimed as usual and never reached.
        .setting("REQUESTS_PER_NETWORK", "1000000")
        .start()
        .await;
    let hash = hash(&world).await;
    world.dynamodb.always(ANY, Fault::Delay(DYNAMODB));
    world.ses.always(ANY, Fault::Delay(SES));

    let mut measured: Vec<Measured> = Vec::new();
    measured.resize_with(OPERATIONS.len() * KINDS.len(), Measured::default);
    // The first five warm the processes up.
    for request in 0..requests + 5 {
        // One of each kind in turn, so that whatever else the machine does meets all alike.
        for (row, operation) in OPERATIONS.into_iter().enumerate() {
            for place in 0..KINDS.len() {
                // Each kind is as often the first, which finds the processor's caches full of something else.
                let column = (place + request) % KINDS.len();
                let kind = KINDS[column];
                let subject = if operation == Operation::SignUpAgain {
                    0
                } else {
                    row
                };
                let email = format!("{subject}-{column}-{request}@example.com");
                if operation != Operation::SignUpAgain {
                    prepare(&world, kind, &email, &hash);
                }
                world.forget_calls();
                let time = ask(&world, operation, &email, &hash).await;
                if request >= 5 {
                    let measured = &mut measured[row * KINDS.len() + column];
                    measured.times.push(time);
                    measured.calls = world.all_calls().join(", ");
                }
            }
        }
    }
    print(&measured, requests);
}

/// The hash of [`PASSWORD`], as the service stores it.
async fn hash(world: &World) -> String {
    ask(world, Operation::SignUp, "me@example.com", "").await;
    let row = world.row("me@example.com").expect("a row");
    row["password_hash"].as_str().expect("a hash").to_owned()
}

fn prepare(world: &World, kind: Kind, email: &str, hash: &str) {
    let now = jiff::Timestamp::now().as_second();
    let mut row = json!({
        "email": email,
        "user_id": "01900000-0000-7000-8000-000000000000",
        "password_hash": hash,
        "created_at": "2025-11-23T06:00:00Z",
        "locale": "en",
    });
    match kind {
        Kind::New => return,
        Kind::Waiting => {
            row["email_confirmed"] = json!(false);
            row["sign_up"] = json!("another sign-up");
            row["expires_at"] = json!(now + 86_400);
        }
        Kind::Confirmed => {
            row["email_confirmed"] = json!(true);
            row["confirmed_at"] = json!("2025-11-23T06:05:00Z");
        }
    }
    world.put_row(&row);
}

/// The time of the answer.
async fn ask(world: &World, operation: Operation, email: &str, hash: &str) -> Duration {
    let (path, fields, status) = match operation {
        Operation::SignUp | Operation::SignUpAgain => (
            "/accounts/create",
            vec![("email", email), ("password", PASSWORD)],
            303,
        ),
        Operation::Attempt => (
            "/accounts/email",
            vec![
                ("email", email),
                ("password", "a wrong password"),
                ("new_email", "me@example.com"),
            ],
            422,
        ),
        Operation::Change => {
            let me = format!("me-{email}");
            prepare(world, Kind::Confirmed, &me, hash);
            return time(
                world,
                "/accounts/email",
                &[("email", &me), ("password", PASSWORD), ("new_email", email)],
                303,
            )
            .await;
        }
        Operation::Reset => ("/accounts/password", vec![("email", email)], 303),
    };
    time(world, path, &fields, status).await
}

async fn time(world: &World, path: &str, fields: &[(&str, &str)], status: u16) -> Duration {
    let started = Instant::now();
    let answer = world.post_form(path, fields).await;
    let time = started.elapsed();
    assert_eq!(answer.status, status, "{path}: {}", answer.text());
    time
}

fn print(measured: &[Measured], requests: usize) {
    println!(
        "{requests} requests of each kind, milliseconds; DynamoDB {DYNAMODB:?}, SES {SES:?} a call\n"
    );
    println!("| operation | address | p5 | p50 | p95 | calls |\n|---|---|---|---|---|---|");
    for (operation, measured) in OPERATIONS.into_iter().zip(measured.chunks(KINDS.len())) {
        for (kind, Measured { times, calls }) in KINDS.into_iter().zip(measured) {
            let mut sorted = times.clone();
            sorted.sort_unstable();
            let percentile = |percent| milliseconds(sorted[sorted.len() * percent / 100]);
            let (p5, p50, p95) = (percentile(5), percentile(50), percentile(95));
            println!("| {operation} | {kind} | {p5:.1} | {p50:.1} | {p95:.1} | {calls} |");
        }
    }
    println!(
        "\nHow often one request tells two kinds apart: {NEAREST} nearest neighbours, learned on every other request and judged \
         by the rest.\n95 of 100 judges who guess are right in 50 ± {:.0} %.\n",
        98.0 / f64::from(u32::try_from(requests).unwrap()).sqrt()
    );
    println!(
        "| operation | new or waiting | new or confirmed | waiting or confirmed |\n|---|---|---|---|"
    );
    for (operation, measured) in OPERATIONS.into_iter().zip(measured.chunks(KINDS.len())) {
        let rate =
            |one: usize, other: usize| hit_rate(&measured[one].times, &measured[other].times);
        let (first, second, third) = (rate(0, 1), rate(0, 2), rate(1, 2));
        println!("| {operation} | {first:.0} % | {second:.0} % | {third:.0} % |");
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// How many neighbours vote.
const NEAREST: usize = 15;

/// The share of requests of two kinds that a classifier gets right which has learned from the requests in between. It supposes
/// nothing of the distributions.
fn hit_rate(one: &[Duration], other: &[Duration]) -> f64 {
    let labelled = |times: &[Duration], kind: bool, rest: usize| -> Vec<(Duration, bool)> {
        let times = times.iter().skip(rest).step_by(2);
        times.map(|time| (*time, kind)).collect()
    };
    let all = |rest| [labelled(one, true, rest), labelled(other, false, rest)].concat();
    let (learned, judged) = (all(0), all(1));
    let right = judged.iter().filter(|(time, kind)| {
        let mut neighbours = learned.clone();
        neighbours.sort_by_key(|(neighbour, _)| neighbour.abs_diff(*time));
        let votes = neighbours.iter().take(NEAREST);
        (votes.filter(|(_, kind)| *kind).count() > NEAREST / 2) == *kind
    });
    let share = |count: usize| f64::from(u32::try_from(count).unwrap());
    100.0 * share(right.count()) / share(judged.len())
}
