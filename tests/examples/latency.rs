//! How long a sign-up takes for addresses of each kind, side by side: what somebody could learn from the time of an answer.
//!
//! ```console
//! cargo build --workspace --bins && cargo run -p tests --example latency
//! ```
//!
//! The functions are whole processes, those of the `dev` profile unless `FUNCTIONS_DIR` names a folder with others. DynamoDB
//! answers after 5 ms and SES after 60 ms, so that the number of calls is what shows. The network between the client and
//! API Gateway, which would blur it, is left out.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark may end in a panic"
)]

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{ANY, Fault, Row, World};

const DYNAMODB: Duration = Duration::from_millis(5);
const SES: Duration = Duration::from_millis(60);
const REQUESTS: usize = 300;
const PASSWORD: &str = "correct horse battery";

/// What an address may be, and what is in its row.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    New,
    Waiting,
    Contested,
    Confirmed,
    WaitingMailed,
    ContestedMailed,
    ConfirmedMailed,
}

const KINDS: [(Kind, &str); 7] = [
    (Kind::New, "new"),
    (Kind::Waiting, "waiting"),
    (Kind::Contested, "contested"),
    (Kind::Confirmed, "confirmed"),
    (Kind::WaitingMailed, "waiting, mailed just now"),
    (Kind::ContestedMailed, "contested, mailed just now"),
    (Kind::ConfirmedMailed, "confirmed, mailed just now"),
];

impl Kind {
    fn row(self, email: &str) -> Option<Row> {
        let now = jiff::Timestamp::now().as_second();
        let mut row = json!({
            "email": email,
            "user_id": "01900000-0000-7000-8000-000000000000",
            "password_hash": "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAA",
            "email_confirmed": matches!(self, Self::Confirmed | Self::ConfirmedMailed),
            "mailed_at": now - 100,
            "recent_mails": [now - 100],
        });
        if row["email_confirmed"] == false {
            row["expires_at"] = json!(now + 86_400);
        }
        match self {
            Self::New => return None,
            Self::Waiting | Self::Confirmed => {}
            Self::Contested => row["contested"] = json!(true),
            Self::WaitingMailed | Self::ConfirmedMailed => row["mailed_at"] = json!(now),
            Self::ContestedMailed => {
                row["contested"] = json!(true);
                row["mailed_at"] = json!(now);
            }
        }
        Some(row)
    }
}

#[tokio::main]
async fn main() {
    let world = World::start().await;
    world.dynamodb.always(ANY, Fault::Delay(DYNAMODB));
    world.ses.always(ANY, Fault::Delay(SES));
    for _ in 0..10 {
        sign_up(&world, "warm@example.com").await;
    }

    let mut times = vec![Vec::new(); KINDS.len()];
    let mut calls = vec![String::new(); KINDS.len()];
    for request in 0..REQUESTS {
        // One of each kind in turn, so that whatever else the machine does meets all alike.
        for (index, (kind, _)) in KINDS.iter().enumerate() {
            let email = format!("{index}-{request}@example.com");
            if let Some(row) = kind.row(&email) {
                world.put_row(&row);
            }
            world.forget_calls();
            times[index].push(sign_up(&world, &email).await);
            calls[index] = world.all_calls().join(", ");
        }
    }

    println!(
        "{REQUESTS} requests of each kind, milliseconds; DynamoDB {DYNAMODB:?}, SES {SES:?} a call"
    );
    println!(
        "{:28}{:>8}{:>8}{:>8}{:>8}{:>8}  calls",
        "", "p5", "p25", "p50", "p75", "p95"
    );
    for (index, (_, name)) in KINDS.iter().enumerate() {
        times[index].sort_unstable();
        print!("{name:28}");
        for percent in [5, 25, 50, 75, 95] {
            print!(
                "{:>8.1}",
                milliseconds(times[index][REQUESTS * percent / 100])
            );
        }
        println!("  {}", calls[index]);
    }
    println!("\nHow often one request tells two kinds apart, at best (50 % is chance):");
    for (one, other) in [
        (0, 1),
        (0, 3),
        (1, 3),
        (2, 3),
        (4, 6),
        (5, 6),
        (0, 6),
        (3, 6),
    ] {
        let share = told_apart(&times[one], &times[other]);
        let (one, other) = (KINDS[one].1, KINDS[other].1);
        println!("  {share:>3.0} %  {one} / {other}");
    }
}

async fn sign_up(world: &World, email: &str) -> Duration {
    let fields = [("email", email), ("password", PASSWORD)];
    let started = Instant::now();
    let answer = world.post_form("/accounts/create", &fields).await;
    let time = started.elapsed();
    assert_eq!(answer.status, 303, "{}", answer.text());
    time
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The share of right answers of whoever knows both distributions (both sorted) and draws the best line between them.
fn told_apart(one: &[Duration], other: &[Duration]) -> f64 {
    let share_below = |times: &[Duration], line: Duration| {
        let below = times.partition_point(|time| *time <= line);
        f64::from(u32::try_from(below).unwrap()) / f64::from(u32::try_from(times.len()).unwrap())
    };
    let difference = |line: &Duration| (share_below(one, *line) - share_below(other, *line)).abs();
    let best = one.iter().chain(other).map(difference).fold(0.0, f64::max);
    50.0 + 50.0 * best
}
