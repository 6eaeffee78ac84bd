//! Runs the service on this machine: `cargo run -p local`, see `--help`.

mod cargo;
mod options;
mod settings;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use local::challenge::Provider;
use local::dynamodb::{Store, USERS_TABLE};
use local::lambda::{self, Function};
use local::ses::Ses;
use local::{Error, gateway};
use options::{HELP, Options};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

const FUNCTIONS: [&str; 4] = [
    "create-account",
    "confirm-email",
    "change-email",
    "reset-password",
];

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::read(lexopt::Parser::from_env()) {
        Ok(options) if options.help => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Ok(options) => options,
        Err(error) => return failure(&format!("{error} (--help lists the options)")),
    };
    // Before the run, or a signal that comes while it starts would kill it.
    let interrupted = match interrupted() {
        Ok(interrupted) => interrupted,
        Err(error) => return failure(&error.to_string()),
    };
    // Dropping the run ends the functions' processes.
    tokio::select! {
        ended = run(&options) => ended.map_or_else(|error| failure(&error.to_string()), |()| ExitCode::SUCCESS),
        () = interrupted => ExitCode::SUCCESS,
    }
}

fn failure(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::FAILURE
}

/// Listens from now on, and waits for Ctrl-C or an order to end.
fn interrupted() -> std::io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Writes all pages and mails in all languages.
async fn write_gallery(options: &Options, folder: &Path) -> Result<(), Error> {
    let programs = cargo::build(&["gallery"], options.release).await?;
    let program = programs.get("gallery").ok_or("cargo built no gallery")?;
    let written = Command::new(program).arg(folder).status().await?;
    if !written.success() {
        return Err("the gallery could not be written".into());
    }
    println!("Open {}", folder.join("index.html").display());
    Ok(())
}

/// Starts everything and waits for ever.
async fn run(options: &Options) -> Result<(), Error> {
    if let Some(folder) = &options.gallery {
        return write_gallery(options, folder).await;
    }
    // The ports first, so that a taken one is reported before minutes of building.
    let app = if options.services_only {
        None
    } else {
        Some(listen(options.port, "--port").await?)
    };
    let inbox = listen(options.inbox_port, "--inbox-port").await?;
    let dynamodb = listen(options.dynamodb_port, "--dynamodb-port").await?;

    let (users, mails) = match &options.data {
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("--data {}: {error}", folder.display()))?;
            (
                Some(folder.join("users.db")),
                Some(folder.join("mails.jsonl")),
            )
        }
        None => (None, None),
    };
    let store = Store::start(dynamodb, users.as_deref())?;
    let inbox = Ses::start(inbox, mails.as_deref())?;

    if let Some(app) = app {
        let base_url = format!("http://localhost:{}", app.local_addr()?.port());
        let functions = start_functions(options, &base_url, &store, &inbox).await?;
        gateway::serve(app, functions);
        println!("\n  Sign up    {base_url}/accounts/create");
        println!("  New e-mail {base_url}/accounts/email");
        println!("  Forgotten  {base_url}/accounts/password");
    } else {
        println!("\n  Functions  none here: `cargo lambda watch` runs them");
    }
    welcome(options, &store, &inbox);
    std::future::pending().await
}

async fn listen(port: u16, option: &str) -> Result<TcpListener, Error> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.map_err(|error| {
        let why = match error.kind() {
            ErrorKind::AddrInUse => "is taken".to_owned(),
            _ => format!("cannot be used ({error})"),
        };
        format!("port {port} {why}: choose another one with {option}").into()
    })
}

async fn start_functions(
    options: &Options,
    base_url: &str,
    store: &Store,
    inbox: &Ses,
) -> Result<Vec<Function>, Error> {
    println!("Building the functions; the first time this takes some minutes.");
    let mut programs = cargo::build(&FUNCTIONS, options.release).await?;
    let challenge = if settings::wants_challenge() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Some(Provider::start(listener)?.address())
    } else {
        None
    };
    let settings = settings::settings(base_url, store.address(), inbox.address(), challenge);

    let mut functions = Vec::new();
    for name in FUNCTIONS {
        let program = programs
            .remove(name)
            .ok_or_else(|| format!("cargo built no {name}"))?;
        let mut function = lambda::Settings::new(name, program)
            .processes(options.processes)
            .output(Arc::new(move |line| eprintln!("{name} | {line}")));
        for (variable, value) in &settings {
            function = function.variable(variable, value);
        }
        functions.push(Function::new(function));
    }
    // Started now, so that an invalid setting is reported before the first request.
    for function in &functions {
        function
            .warm_up(1)
            .await
            .map_err(|error| format!("{} does not start: {error}", function.name()))?;
    }
    Ok(functions)
}

fn welcome(options: &Options, store: &Store, inbox: &Ses) {
    let kept = options.data.as_ref().map_or_else(
        || "in memory: users and mails are gone when this ends (--data DIR keeps them)".to_owned(),
        |folder| format!("kept in {}", folder.display()),
    );
    println!("  Inbox      http://localhost:{}/", inbox.address().port());
    println!("  Store      http://{}, {kept}", store.address());
    println!("\n  A row:");
    println!(
        "  AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local aws dynamodb get-item --region us-east-1 \\"
    );
    println!(
        "    --endpoint-url http://{} --table-name {USERS_TABLE} \\",
        store.address()
    );
    println!("    --key '{{\"email\": {{\"S\": \"you@example.com\"}}}}'");
    println!(
        "\n  Ctrl-C ends it. The key that signs links here is known to everybody: for local use only.\n"
    );
}
