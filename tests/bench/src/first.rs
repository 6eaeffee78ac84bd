//! The first request over TLS, with the key in the environment and in Secrets Manager.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use tests::Tls;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::lambda::Event;
use crate::process::Environment;
use crate::table::{median, print};
use crate::variant::{self, Variant};

/// Processes of each variant, by turns.
const ROUNDS: usize = 31;

const SERVICES: [&str; 3] = [
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_SESV2",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
];

/// Prints how long a start and the first request take where each service has a TLS endpoint of its own.
///
/// # Errors
///
/// If a function fails.
pub fn print_all(folder: &Path, aws: SocketAddr) -> io::Result<()> {
    let runtime = Runtime::new()?;
    let mut rows = Vec::new();
    for round_trip in [Duration::ZERO, Duration::from_millis(2)] {
        let (endpoints, settings) = runtime.block_on(endpoints(aws, round_trip))?;
        let mut from_secret = settings.clone();
        from_secret.insert("SECRET_KEY", String::new());
        from_secret.insert("SECRET_KEY_ARN", "key".to_owned());
        let functions: [(_, Event); 2] = [
            ("create-account", variant::sign_ups("new".to_owned())),
            ("confirm-email", variant::confirmations()),
        ];
        for (name, event) in functions {
            for (key, settings) in [
                ("in the environment", &settings),
                ("in Secrets Manager", &from_secret),
            ] {
                let variant = Variant {
                    settings: settings.clone(),
                    ..Variant::new(name, &variant::bootstrap(folder, name), event.clone(), aws)
                };
                let mut row = vec![
                    format!("{} ms", round_trip.as_millis()),
                    name.to_owned(),
                    key.to_owned(),
                ];
                row.extend(measure(&variant)?);
                rows.push(row);
            }
        }
        drop(endpoints);
    }
    print(
        &[
            "round trip",
            "function",
            "key",
            "start, ms",
            "first request, ms",
            "both, ms",
        ],
        &rows,
    );
    Ok(())
}

fn measure(variant: &Variant) -> io::Result<[String; 3]> {
    let (mut starts, mut firsts, mut sums) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let running = variant.start()?;
        let start = begin.elapsed().as_secs_f64();
        running.lambda.allow(1);
        running.lambda.wait()?;
        let latencies = running.lambda.latencies();
        let first = latencies.first().map_or(0.0, Duration::as_secs_f64);
        starts.push(start);
        firsts.push(first);
        sums.push(start + first);
    }
    Ok([starts, firsts, sums].map(|times| format!("{:.1}", median(times) * 1e3)))
}

/// A TLS endpoint for each service, `round_trip` away, and the settings that name them.
async fn endpoints(aws: SocketAddr, round_trip: Duration) -> io::Result<(Vec<Tls>, Environment)> {
    let mut settings = Environment::new();
    let mut endpoints = Vec::new();
    let mut authorities = String::new();
    for service in SERVICES {
        let tls = Tls::start().await;
        tls.pass_to(aws);
        let far = far_away(tls.address(), round_trip / 2).await?;
        settings.insert(service, format!("https://localhost:{}", far.port()));
        authorities.push_str(tls.authority());
        settings.insert("AWS_CA_BUNDLE", tls.bundle(&authorities));
        endpoints.push(tls);
    }
    Ok((endpoints, settings))
}

/// Passes on to `near`, each piece after a `delay`.
async fn far_away(near: SocketAddr, delay: Duration) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(async move {
                client.set_nodelay(true)?;
                // A connection is made in a round trip as well.
                tokio::time::sleep(delay * 2).await;
                let server = TcpStream::connect(near).await?;
                server.set_nodelay(true)?;
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::try_join!(
                    pass_on(from_client, to_server, delay),
                    pass_on(from_server, to_client, delay)
                )
            });
        }
    });
    Ok(address)
}

async fn pass_on(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    delay: Duration,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        let Some(piece) = buffer.get(..length).filter(|piece| !piece.is_empty()) else {
            return to.shutdown().await;
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        to.write_all(piece).await?;
    }
}
