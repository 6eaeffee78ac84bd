//! How cost grows: with instances side by side, and with users in the table.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use local::dynamodb::Store;
use serde_json::json;
use tokio::net::TcpListener;

use crate::process;
use crate::table::{median, print};
use crate::variant::{self, Running, Variant};

/// Confirmations per second of 1, 2, 4 and 8 processes at once.
///
/// # Errors
///
/// If a function fails.
pub fn instances(folder: &Path, aws: SocketAddr) -> io::Result<()> {
    const EACH: u32 = 4000;
    let event = variant::confirmations();
    let variant = Variant::new(
        "confirm-email",
        &variant::bootstrap(folder, "confirm-email"),
        event,
        aws,
    );
    let _awake = process::keep_awake()?;
    let mut rows = Vec::new();
    for count in [1_u32, 2, 4, 8] {
        let running: Vec<_> = (0..count)
            .map(|_| variant.start())
            .collect::<Result<_, _>>()?;
        answer(&running, 100)?;
        let before = cpu(&running)?;
        let start = Instant::now();
        answer(&running, EACH)?;
        let (took, cpu) = (start.elapsed(), cpu(&running)? - before);
        let requests = f64::from(count * EACH);
        rows.push(vec![
            count.to_string(),
            format!("{:.0}", requests / took.as_secs_f64()),
            format!("{:.0}", cpu / requests * 1e6),
        ]);
    }
    print(&["instances", "confirmations/s", "CPU µs each"], &rows);
    Ok(())
}

fn answer(running: &[Running], count: u32) -> io::Result<()> {
    let count = usize::try_from(count).map_err(io::Error::other)?;
    for one in running {
        one.lambda.allow(count);
    }
    running.iter().try_for_each(|running| running.lambda.wait())
}

/// The processor time of all of them, in seconds.
fn cpu(running: &[Running]) -> io::Result<f64> {
    running.iter().map(|running| running.process.cpu()).sum()
}

/// A sign-up's and a confirmation's cost with 10^3 to 10^6 users in a local table.
///
/// # Errors
///
/// If a function or the table fails.
pub fn users(folder: &Path, aws: SocketAddr) -> io::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let store = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        Store::start(listener, None).map_err(|error| io::Error::other(error.to_string()))
    })?;
    let mut rows = Vec::new();
    let mut next = 1;
    for users in [1_000, 10_000, 100_000, 1_000_000] {
        for number in next..=users {
            let row = json!({
                "email": { "S": variant::address(number) },
                "user_id": { "S": format!("01a2075d-80cf-7242-bcf8-{number:012}") },
                "email_confirmed": { "BOOL": false },
                "sign_up": { "S": variant::sign_up_id(number) },
                "password_hash": { "S": "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdC4uLg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },
                "created_at": { "S": "2025-11-23T06:00:00Z" }
            });
            store
                .put(&row)
                .map_err(|error| io::Error::other(error.to_string()))?;
        }
        next = users + 1;

        // Each time other rows, all over the table.
        let confirmation =
            Arc::new(move |number: usize| variant::confirmations()(number * users / 1_000));
        let prefix = format!("new{users}");
        let (confirm_cpu, confirm) = cost(
            "confirm-email",
            folder,
            confirmation,
            400,
            aws,
            store.address(),
        )?;
        let (sign_up_cpu, sign_up) = cost(
            "create-account",
            folder,
            variant::sign_ups(prefix),
            40,
            aws,
            store.address(),
        )?;
        rows.push(vec![
            users.to_string(),
            confirm_cpu,
            confirm,
            sign_up_cpu,
            sign_up,
        ]);
    }
    print(
        &[
            "users",
            "confirmation: CPU µs",
            "µs",
            "sign-up: CPU µs",
            "µs",
        ],
        &rows,
    );
    Ok(())
}

/// The processor time and the median time of an invocation, the first ten left out.
fn cost(
    name: &'static str,
    folder: &Path,
    event: crate::lambda::Event,
    count: u32,
    aws: SocketAddr,
    table: SocketAddr,
) -> io::Result<(String, String)> {
    const WARM_UP: usize = 10;
    let variant = Variant {
        table,
        ..Variant::new(name, &variant::bootstrap(folder, name), event, aws)
    };
    let running = [variant.start()?];
    answer(&running, 10)?;
    let before = cpu(&running)?;
    answer(&running, count)?;
    let cpu = (cpu(&running)? - before) / f64::from(count);
    let [running] = running;
    let times = running.lambda.latencies().into_iter().skip(WARM_UP);
    let median = median(times.map(|time| time.as_secs_f64()).collect());
    Ok((format!("{:.0}", cpu * 1e6), format!("{:.0}", median * 1e6)))
}
