//! Lambda: functions as processes that fetch their events from a Runtime API of their own.
//!
//! As in the cloud, a process handles one event at a time, is started when there is work and none is idle, and is
//! kept warm afterwards; one that dies or takes too long fails its invocation and is replaced for the next.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use uuid::Uuid;

const REGION: &str = "us-east-1";
/// Lambda's own limit for an answer.
const ANSWER_LIMIT: usize = 6 * 1024 * 1024;

/// Takes each line that a function writes.
pub type Output = Arc<dyn Fn(&str) + Send + Sync>;

/// What a function is made of.
#[derive(Clone)]
pub struct Settings {
    name: String,
    program: PathBuf,
    environment: BTreeMap<String, OsString>,
    processes: usize,
    timeout: Duration,
    output: Output,
}

impl Settings {
    /// The function `name`, whose bootstrap is `program`: one process, 30 seconds, and its lines go to standard error.
    #[must_use]
    pub fn new(name: &str, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            environment: lambda_environment(name),
            processes: 1,
            timeout: Duration::from_secs(30),
            output: Arc::new(|line| eprintln!("{line}")),
        }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// How many processes may run side by side.
    #[must_use]
    pub fn processes(mut self, processes: usize) -> Self {
        self.processes = processes;
        self
    }

    /// How long an invocation may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Where the function's lines go.
    #[must_use]
    pub fn output(mut self, output: Output) -> Self {
        self.output = output;
        self
    }
}

/// The environment that Lambda sets; nothing else of the caller's environment reaches a function.
fn lambda_environment(name: &str) -> BTreeMap<String, OsString> {
    let mut environment: BTreeMap<String, OsString> = [
        ("AWS_LAMBDA_FUNCTION_NAME", name),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{name}")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_SESSION_TOKEN", "local"),
        ("LANG", "en_US.UTF-8"),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("TZ", ":UTC"),
        ("_HANDLER", "bootstrap"),
    ]
    .map(|(name, value)| (name.to_owned(), OsString::from(value)))
    .into();
    // What a coverage run needs, beside what every program needs.
    for name in ["PATH", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            environment.insert(name.to_owned(), value);
        }
    }
    environment
}

/// Why an invocation has no answer.
#[derive(Debug)]
pub enum Failure {
    /// The function's process could not be started at all.
    NotStarted(PathBuf, std::io::Error),
    /// The process ended before it asked for its first event.
    Init(ExitStatus),
    /// The process ended during the invocation.
    Exited(ExitStatus),
    /// The invocation took longer than it may; the process was killed.
    TimedOut(Duration),
    /// The function reported an error: its JSON.
    Function(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(program, error) => {
                write!(f, "{} cannot be started: {error}", program.display())
            }
            Self::Init(status) => write!(f, "the process ended during its start ({status})"),
            Self::Exited(status) => write!(f, "the process ended during the invocation ({status})"),
            Self::TimedOut(after) => write!(f, "the invocation took longer than {after:?}"),
            Self::Function(error) => write!(f, "the function reported an error: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

/// A function and its processes, which end with it.
#[derive(Clone)]
pub struct Function {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    permits: Semaphore,
    idle: Mutex<Vec<Process>>,
    /// Counts the orders to kill all processes.
    kills: watch::Sender<u64>,
    /// Tasks that read what the processes write, until they end.
    readers: Mutex<Vec<JoinHandle<()>>>,
}

impl Function {
    /// A function without a process: the first event starts one.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let permits = Semaphore::new(settings.processes);
        let (kills, _) = watch::channel(0);
        let inner = Inner {
            settings,
            permits,
            idle: Mutex::default(),
            kills,
            readers: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The function's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.settings.name
    }

    /// Starts processes until `processes` are idle, and waits until each has asked for its first event.
    ///
    /// # Errors
    ///
    /// A process that does not start, or ends before it asks.
    pub async fn warm_up(&self, processes: usize) -> Result<(), Failure> {
        let missing = processes.saturating_sub(lock(&self.inner.idle).len());
        let mut started = Vec::new();
        for _ in 0..missing {
            started.push(self.inner.start()?);
        }
        for process in &mut started {
            process.ready(self.inner.settings.timeout).await?;
        }
        lock(&self.inner.idle).append(&mut started);
        Ok(())
    }

    /// Hands `event` to an idle process, or to a new one, and returns the function's answer as it wrote it.
    ///
    /// # Errors
    ///
    /// Whatever kept the function from answering.
    pub async fn invoke(&self, event: impl Into<Bytes>) -> Result<Bytes, Failure> {
        let inner = Arc::clone(&self.inner);
        let event = event.into();
        // A task of its own: an invocation goes on when its caller hangs up, as it does in the cloud.
        let invocation = tokio::spawn(async move { inner.invoke(event).await });
        match invocation.await {
            Ok(answer) => answer,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Kills every process. An invocation that is under way fails.
    pub fn kill(&self) {
        lock(&self.inner.idle).clear();
        self.inner.kills.send_modify(|kills| *kills += 1);
    }

    /// Kills every process and returns when all that they wrote has been handed to the output.
    pub async fn stop(&self) {
        self.kill();
        let readers = std::mem::take(&mut *lock(&self.inner.readers));
        for reader in readers {
            let _ = reader.await;
        }
    }
}

impl Inner {
    async fn invoke(&self, event: Bytes) -> Result<Bytes, Failure> {
        // Never closed, so acquiring cannot fail.
        let _permit = self.permits.acquire().await;
        let mut kills = self.kills.subscribe();
        let mut process = match self.take_idle() {
            Some(process) => process,
            None => self.start()?,
        };
        let answer = process
            .invoke(event, self.settings.timeout, &mut kills)
            .await;
        if matches!(answer, Ok(_) | Err(Failure::Function(_)))
            && !kills.has_changed().unwrap_or(true)
        {
            lock(&self.idle).push(process);
        }
        answer
    }

    fn take_idle(&self) -> Option<Process> {
        let mut idle = lock(&self.idle);
        while let Some(mut process) = idle.pop() {
            if process.is_running() {
                return Some(process);
            }
        }
        None
    }

    fn start(&self) -> Result<Process, Failure> {
        let not_started = |error| Failure::NotStarted(self.settings.program.clone(), error);
        let (process, mut readers) = Process::start(&self.settings).map_err(not_started)?;
        let mut all = lock(&self.readers);
        all.retain(|reader| !reader.is_finished());
        all.append(&mut readers);
        Ok(process)
    }
}

/// One process of a function and the Runtime API that it talks to.
struct Process {
    child: Child,
    events: mpsc::UnboundedSender<Event>,
    reports: mpsc::UnboundedReceiver<Report>,
    asked: watch::Receiver<bool>,
    server: AbortHandle,
}

struct Event {
    id: String,
    body: Bytes,
    deadline: SystemTime,
}

enum Report {
    Answer { id: String, body: Bytes },
    Error { id: String, body: Bytes },
}

struct Api {
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    reports: mpsc::UnboundedSender<Report>,
    asked: watch::Sender<bool>,
    name: String,
}

impl Process {
    fn start(settings: &Settings) -> std::io::Result<(Self, Vec<JoinHandle<()>>)> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;

        let mut child = Command::new(&settings.program)
            .env_clear()
            .envs(&settings.environment)
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(read_lines(stdout, &settings.output));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(read_lines(stderr, &settings.output));
        }

        let (events, queued) = mpsc::unbounded_channel();
        let (reported, reports) = mpsc::unbounded_channel();
        let (first_poll, asked) = watch::channel(false);
        let api = Arc::new(Api {
            events: queued.into(),
            reports: reported,
            asked: first_poll,
            name: settings.name.clone(),
        });
        let server = tokio::spawn(axum::serve(listener, routes(api)).into_future()).abort_handle();
        Ok((
            Self {
                child,
                events,
                reports,
                asked,
                server,
            },
            readers,
        ))
    }

    fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    async fn ready(&mut self, timeout: Duration) -> Result<(), Failure> {
        tokio::select! {
            Ok(_) = self.asked.wait_for(|asked| *asked) => Ok(()),
            status = self.child.wait() => Err(Failure::Init(status.unwrap_or_default())),
            () = tokio::time::sleep(timeout) => Err(Failure::TimedOut(timeout)),
        }
    }

    async fn invoke(
        &mut self,
        body: Bytes,
        timeout: Duration,
        kills: &mut watch::Receiver<u64>,
    ) -> Result<Bytes, Failure> {
        let id = Uuid::now_v7().to_string();
        let deadline = SystemTime::now() + timeout;
        // The process' Runtime API may be gone already: then the process is too, which is noticed below.
        let _ = self.events.send(Event {
            id: id.clone(),
            body,
            deadline,
        });
        let too_late = tokio::time::sleep(timeout);
        tokio::pin!(too_late);

        loop {
            tokio::select! {
                // An answer that was given before the process died counts.
                biased;
                Some(report) = self.reports.recv() => match report {
                    Report::Answer { id: of, body } if of == id => return Ok(body),
                    Report::Error { id: of, body } if of == id => {
                        return Err(Failure::Function(String::from_utf8_lossy(&body).into_owned()));
                    }
                    Report::Answer { .. } | Report::Error { .. } => {}
                },
                status = self.child.wait() => return Err(self.ended(status.unwrap_or_default())),
                Ok(()) = kills.changed() => {
                    let _ = self.child.kill().await;
                    let status = self.child.wait().await.unwrap_or_default();
                    return Err(self.ended(status));
                }
                () = &mut too_late => {
                    let _ = self.child.kill().await;
                    return Err(Failure::TimedOut(timeout));
                }
            }
        }
    }

    fn ended(&self, status: ExitStatus) -> Failure {
        if *self.asked.borrow() {
            Failure::Exited(status)
        } else {
            Failure::Init(status)
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn read_lines(pipe: impl AsyncRead + Unpin + Send + 'static, output: &Output) -> JoinHandle<()> {
    let output = Arc::clone(output);
    tokio::spawn(async move {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        // Not `lines()`, which stops at the first byte that is not UTF-8.
        while pipe
            .read_until(b'\n', &mut line)
            .await
            .is_ok_and(|read| read > 0)
        {
            output(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    })
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>
fn routes(api: Arc<Api>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route(
            "/2018-06-01/runtime/invocation/{id}/response",
            post(response),
        )
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .layer(DefaultBodyLimit::max(ANSWER_LIMIT))
        .with_state(api)
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    api.asked.send_replace(true);
    let Some(event) = api.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = event
        .deadline
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", event.id),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            format!("arn:aws:lambda:{REGION}:123456789012:function:{}", api.name),
        ),
        (
            "lambda-runtime-trace-id",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0".to_owned(),
        ),
    ];
    (headers, event.body).into_response()
}

async fn response(
    State(api): State<Arc<Api>>,
    UrlPath(id): UrlPath<String>,
    body: Bytes,
) -> StatusCode {
    accepted(&api, Report::Answer { id, body })
}

async fn error(
    State(api): State<Arc<Api>>,
    UrlPath(id): UrlPath<String>,
    body: Bytes,
) -> StatusCode {
    accepted(&api, Report::Error { id, body })
}

/// The process ends after this. Its caller learns only that; the reason is in the process' output.
async fn init_error() -> StatusCode {
    StatusCode::ACCEPTED
}

fn accepted(api: &Api, report: Report) -> StatusCode {
    if api.reports.send(report).is_ok() {
        StatusCode::ACCEPTED
    } else {
        StatusCode::GONE
    }
}

/// Takes a poisoned lock too: its list of processes is still valid.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
