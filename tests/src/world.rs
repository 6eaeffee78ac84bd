//! Everything that one end-to-end test needs, started within milliseconds and gone with it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use local::answer::Answer;
use local::challenge;
use local::dynamodb::{LIMITS_TABLE, Store, USERS_TABLE};
use local::lambda::{self, Function};
use local::secrets::{self, Secrets};
use local::ses::Ses;
use local::{Error, gateway};
use serde_json::Value;
use signing::UrlSafeTimedSerializer;
use tokio::net::TcpListener;

use crate::faults::{ANY, Proxy};
use crate::mail::Mail;
use crate::request::Request;
use crate::rows::{self, Row};
use crate::wait::eventually;

const FUNCTIONS: [&str; 4] = [
    "create-account",
    "confirm-email",
    "change-email",
    "reset-password",
];
/// Part of the line that a function writes at its start.
const STARTED: &str = r#""message":"started""#;
const SECRET_KEY: &str = "a key for tests, and nothing else";
const SECRET_NAME: &str = "signing-key";

/// What a world is to be like; see [`World::builder`].
#[must_use]
pub struct Builder {
    settings: BTreeMap<String, String>,
    without: Vec<String>,
    processes: usize,
    timeout: Duration,
    key_in_secrets_manager: bool,
    over_http: bool,
    programs: PathBuf,
}

impl Builder {
    /// Sets an environment variable of the functions.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Leaves out an environment variable that the functions would have.
    pub fn without(mut self, name: &str) -> Self {
        self.without.push(name.to_owned());
        self
    }

    /// How many processes of each function may run side by side; without this, 1.
    pub fn processes(mut self, processes: usize) -> Self {
        self.processes = processes;
        self
    }

    /// How long an invocation may take before Lambda ends the process; without this, 30 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Has the functions read their key from Secrets Manager (`SECRET_KEY_ARN`) and not from `SECRET_KEY`.
    pub fn key_in_secrets_manager(mut self) -> Self {
        self.key_in_secrets_manager = true;
        self
    }

    /// Serves the functions over HTTP at [`World::base_url`] too, for browsers and other clients.
    pub fn over_http(mut self) -> Self {
        self.over_http = true;
        self
    }

    /// Has forms ask for a challenge of this provider (`turnstile` or `hcaptcha`), for which [`World::provider`] stands in.
    pub fn challenge(self, provider: &str) -> Self {
        self.setting("CHALLENGE", provider)
            .setting("CHALLENGE_SITE_KEY", challenge::SITE_KEY)
            .setting("CHALLENGE_SECRET", challenge::SECRET)
    }

    /// Takes the functions' binaries from another folder, those of another version for instance.
    pub fn programs(mut self, folder: PathBuf) -> Self {
        self.programs = folder;
        self
    }

    /// Starts the world. Processes start with their first event.
    pub async fn start(self) -> World {
        for name in ["create-account", "confirm-email", "change-email"] {
            let program = self.programs.join(name);
            assert!(
                program.is_file(),
                "{} is missing: run `cargo build --workspace` first",
                program.display()
            );
        }
        let store = Store::start(listener().await, None).unwrap();
        let inbox = Ses::start(listener().await, None).unwrap();
        let secrets = Secrets::start(listener().await).unwrap();
        let dynamodb = Proxy::start(store.address()).await;
        let ses = Proxy::start(inbox.address()).await;
        let secrets_manager = Proxy::start(secrets.address()).await;
        let provider = challenge::Provider::start(listener().await).unwrap();
        let siteverify = Proxy::start(provider.address()).await;
        let http = if self.over_http {
            Some(listener().await)
        } else {
            None
        };

        let base_url = match &http {
            Some(listener) => format!("http://localhost:{}", listener.local_addr().unwrap().port()),
            None => "https://app.example.com".to_owned(),
        };
        let mut settings: BTreeMap<String, String> = [
            ("USERS_TABLE", USERS_TABLE),
            ("LIMITS_TABLE", LIMITS_TABLE),
            // All requests of a test come from one network.
            ("REQUESTS_PER_NETWORK", "0"),
            ("BASE_URL", &base_url),
            ("MAIL_FROM", "My App <no-reply@app.example.com>"),
            ("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb.url()),
            ("AWS_ENDPOINT_URL_SESV2", &ses.url()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &secrets_manager.url()),
            ("CHALLENGE_ENDPOINT_URL", &siteverify.url()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        if self.key_in_secrets_manager {
            secrets.set(SECRET_NAME, SECRET_KEY);
            settings.insert("SECRET_KEY_ARN".to_owned(), secrets::arn(SECRET_NAME));
        } else {
            settings.insert("SECRET_KEY".to_owned(), SECRET_KEY.to_owned());
        }
        settings.extend(self.settings);
        settings.retain(|name, _| !self.without.contains(name));

        let log = Log::default();
        let functions = FUNCTIONS.map(|name| {
            let mut function = lambda::Settings::new(name, self.programs.join(name))
                .processes(self.processes)
                .timeout(self.timeout)
                .output(log.output(name));
            for (name, value) in &settings {
                function = function.variable(name, value);
            }
            Function::new(function)
        });
        if let Some(listener) = http {
            gateway::serve(listener, functions.to_vec());
        }
        World {
            store,
            inbox,
            secrets,
            dynamodb,
            ses,
            secrets_manager,
            provider,
            siteverify,
            settings,
            functions,
            log,
        }
    }
}

/// The functions and the services around them.
pub struct World {
    /// The store itself, without the proxy.
    pub store: Store,
    /// The mail catcher itself, without the proxy.
    pub inbox: Ses,
    /// Secrets Manager itself, without the proxy.
    pub secrets: Secrets,
    /// The proxy in front of the store.
    pub dynamodb: Proxy,
    /// The proxy in front of the mail catcher.
    pub ses: Proxy,
    /// The proxy in front of Secrets Manager.
    pub secrets_manager: Proxy,
    /// The stand-in of the challenge's provider itself, without the proxy.
    pub provider: challenge::Provider,
    /// The proxy in front of the stand-in.
    pub siteverify: Proxy,
    settings: BTreeMap<String, String>,
    functions: [Function; 4],
    log: Log,
}

impl World {
    /// A world with the default settings.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// A world to be set up.
    pub fn builder() -> Builder {
        Builder {
            settings: BTreeMap::new(),
            without: Vec::new(),
            processes: 1,
            timeout: Duration::from_secs(30),
            key_in_secrets_manager: false,
            over_http: false,
            programs: programs(),
        }
    }

    // Requests.

    /// `GET`s a path, or a link below [`World::base_url`].
    pub async fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send().await
    }

    /// `POST`s a form.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.request("POST", path).form(fields).send().await
    }

    /// `POST`s JSON.
    pub async fn post_json(&self, path: &str, json: &Value) -> Answer {
        self.request("POST", path).json(json).send().await
    }

    /// A request to be put together.
    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        Request::new(self, method, path)
    }

    /// Hands an event to a function and returns its answer; fails the test if there is none.
    pub async fn invoke(&self, function: &str, event: &Value) -> Answer {
        match self.try_invoke(function, event).await {
            Ok(answer) => answer,
            Err(error) => panic!("{function} gave no answer: {error}\nevent: {event:#}"),
        }
    }

    /// Hands an event to a function and returns its answer, or why there is none.
    ///
    /// # Errors
    ///
    /// The function's failure, or an answer that API Gateway could not read.
    pub async fn try_invoke(&self, function: &str, event: &Value) -> Result<Answer, Error> {
        gateway::invoke(self.function(function), event).await
    }

    /// A function: to `kill()` or `warm_up(n)` its processes, or to `invoke()` it with text that is no JSON.
    #[must_use]
    pub fn function(&self, name: &str) -> &Function {
        let function = self
            .functions
            .iter()
            .find(|function| function.name() == name);
        function.unwrap_or_else(|| panic!("no function is called {name}"))
    }

    // Settings and tokens.

    /// `BASE_URL`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.settings.get("BASE_URL").map_or("", String::as_str)
    }

    /// A path below [`World::base_url`].
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url())
    }

    /// The inbox's page.
    #[must_use]
    pub fn inbox_url(&self) -> String {
        format!("http://{}/", self.inbox.address())
    }

    /// The signing key that the functions started with.
    #[must_use]
    pub fn secret_key(&self) -> &str {
        self.settings
            .get("SECRET_KEY")
            .map_or(SECRET_KEY, String::as_str)
    }

    /// A sign-up's token for `email`, signed with the functions' key `age` seconds ago (or, if negative, in the future).
    #[must_use]
    pub fn token(&self, email: &str, age: i64) -> String {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let serializer =
            UrlSafeTimedSerializer::new(self.secret_key().as_bytes(), "email-confirm-key");
        serializer
            .dumps_at(email, now.checked_add_signed(-age).unwrap())
            .unwrap()
    }

    /// Gives the key in Secrets Manager a new value; the current one becomes the previous one.
    pub fn rotate_key(&self, key: &str) {
        self.secrets.rotate(SECRET_NAME, key);
    }

    // What the functions did.

    /// The row of an address.
    #[must_use]
    pub fn row(&self, email: &str) -> Option<Row> {
        self.store.item(email).unwrap().as_ref().map(rows::plain)
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.store
            .items()
            .unwrap()
            .iter()
            .map(rows::plain)
            .collect()
    }

    /// Writes a row as other code might have: `json!({"email": …, "password_hash": …})`.
    pub fn put_row(&self, row: &Row) {
        self.store.put(&rows::item(row)).unwrap();
    }

    /// Changes attributes of an existing row; `null` removes one.
    pub fn change_row(&self, email: &str, changes: &Row) {
        let mut row = self
            .row(email)
            .unwrap_or_else(|| panic!("no row of {email}"));
        let attributes = row.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                attributes.remove(name);
            } else {
                attributes.insert(name.clone(), value.clone());
            }
        }
        self.put_row(&row);
    }

    /// Deletes a row.
    pub fn delete_row(&self, email: &str) {
        self.store.delete(email).unwrap();
    }

    /// All mails, oldest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.inbox.mails().into_iter().map(Mail).collect()
    }

    /// The mails to an address, oldest first.
    #[must_use]
    pub fn mails_to(&self, email: &str) -> Vec<Mail> {
        self.mails()
            .into_iter()
            .filter(|mail| mail.to == [email])
            .collect()
    }

    /// The newest mail to an address; fails the test if there is none.
    #[must_use]
    pub fn mail_to(&self, email: &str) -> Mail {
        let mail = self.mails_to(email).pop();
        mail.unwrap_or_else(|| panic!("no mail to {email} among {:#?}", self.mails()))
    }

    /// How many calls of an AWS operation (`PutItem`, `SendEmail`, …) the functions made, retries included.
    #[must_use]
    pub fn calls(&self, operation: &str) -> usize {
        self.proxies()
            .iter()
            .map(|proxy| proxy.calls(operation))
            .sum()
    }

    /// Every AWS operation that the functions called, service by service (`DynamoDB`, SES, Secrets Manager), in order.
    #[must_use]
    pub fn all_calls(&self) -> Vec<String> {
        self.proxies()
            .iter()
            .flat_map(|proxy| proxy.all_calls())
            .map(|call| call.operation)
            .collect()
    }

    /// Whether no AWS service was called.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.calls(ANY) == 0
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        for proxy in self.proxies() {
            proxy.forget_calls();
        }
    }

    fn proxies(&self) -> [&Proxy; 3] {
        [&self.dynamodb, &self.ses, &self.secrets_manager]
    }

    /// The lines that the functions have written so far, without those of `starts`; the newest ones may still be on their way.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        let lines = self.log.lines().into_iter();
        lines.filter(|line| !line.contains(STARTED)).collect()
    }

    /// The line of each start, which says which version runs.
    #[must_use]
    pub fn starts(&self) -> Vec<String> {
        let lines = self.log.lines().into_iter();
        lines.filter(|line| line.contains(STARTED)).collect()
    }

    /// Waits for a line of the functions that holds `part`.
    pub async fn log_line(&self, part: &str) -> String {
        let what = format!("a log line with {part:?}");
        eventually(&what, || {
            self.logs().into_iter().find(|line| line.contains(part))
        })
        .await
    }

    /// Ends all processes and returns every line that the functions have written, so that a test can show what they did
    /// not write.
    pub async fn final_logs(&self) -> Vec<String> {
        for function in &self.functions {
            function.stop().await;
        }
        self.logs()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("The functions wrote:\n{}", self.logs().join("\n"));
        }
    }
}

/// The lines of all functions.
#[derive(Clone, Default)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Log {
    fn output(&self, function: &str) -> lambda::Output {
        let lines = Arc::clone(&self.lines);
        let function = function.to_owned();
        Arc::new(move |line| lines.lock().unwrap().push(format!("{function}: {line}")))
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Where the functions' binaries are: in `FUNCTIONS_DIR`, or where the test's own build put them.
pub(crate) fn programs() -> PathBuf {
    std::env::var_os("FUNCTIONS_DIR").map_or_else(built, PathBuf::from)
}

/// Where the test's own build put binaries.
pub(crate) fn built() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(std::path::Path::parent);
    folder.unwrap().to_owned()
}
