//! `cargo lambda watch` with the router and the settings that are checked in, and a client that keeps cookies.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{COOKIE, SET_COOKIE};
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use local::answer::Answer;
use local::dynamodb::Store;
use local::ses::Ses;

use crate::mail::Mail;
use crate::rows::{self, Row};
use crate::wait::eventually;
use crate::world;

/// A function that does not start leaves a request without an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The variables that cargo and its tools need. No other variable of the test reaches the functions.
const KEPT_VARIABLES: [&str; 5] = [
    "CARGO_HOME",
    "HOME",
    "PATH",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
];

/// `cargo lambda watch`, the store and the inbox beside it, and a person with a browser. It ends with the test.
pub struct Watch {
    store: Store,
    inbox: Ses,
    process: Child,
    base_url: String,
    folder: PathBuf,
    client: Client<HttpConnector, Full<Bytes>>,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Watch {
    /// Starts it. The functions start with their first request.
    pub async fn start() -> Self {
        let store = Store::start(world::listener().await, None).unwrap();
        let inbox = Ses::start(world::listener().await, None).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let base_url = format!("http://localhost:{}", address.port());
        let folder = std::env::temp_dir().join(format!("watch-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let settings = settings(&store, &inbox, &base_url);
        fs::write(folder.join("watch.env"), settings).unwrap();

        let process = start_process(&folder, address);
        let mut watch = Self {
            store,
            inbox,
            process,
            base_url,
            folder,
            client: Client::builder(TokioExecutor::new()).build_http(),
            cookies: Mutex::default(),
        };
        eventually("cargo lambda watch to listen", || {
            let ended = watch.process.try_wait().unwrap();
            assert!(ended.is_none(), "cargo lambda watch ended: {ended:?}");
            TcpStream::connect(address).ok()
        })
        .await;
        watch
    }

    /// `GET`s a path, or a link.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path), String::new()).await
    }

    /// `POST`s a form.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = self.request("POST", path);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.send(request, form).await
    }

    fn request(&self, method: &str, path: &str) -> hyper::http::request::Builder {
        let uri: Uri = self.url(path).parse().unwrap();
        Request::builder().method(method).uri(uri)
    }

    async fn send(&self, mut request: hyper::http::request::Builder, body: String) -> Answer {
        if let Some(cookies) = self.cookies() {
            request = request.header(COOKIE, cookies);
        }
        let request = request.body(Full::from(body)).unwrap();
        let what = format!("{} {}", request.method(), request.uri());

        let exchange = async {
            let (head, body) = self.client.request(request).await.unwrap().into_parts();
            Response::from_parts(head, body.collect().await.unwrap().to_bytes())
        };
        let response = tokio::time::timeout(PATIENCE, exchange).await;
        let response = response.unwrap_or_else(|_| panic!("{what}: no answer in {PATIENCE:?}"));

        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), text(value.as_bytes())));
        let answer = Answer {
            status: response.status().as_u16(),
            headers: headers.collect(),
            body: response.into_body().to_vec(),
        };
        self.keep_cookies(&answer);
        answer
    }

    fn cookies(&self) -> Option<String> {
        let cookies = self.cookies.lock().unwrap();
        let pairs = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        Some(pairs.collect::<Vec<_>>().join("; ")).filter(|pairs| !pairs.is_empty())
    }

    /// Keeps what a browser would keep of an `http:` origin: no `Secure` cookie.
    fn keep_cookies(&self, answer: &Answer) {
        let set = answer.headers.iter();
        for (_, cookie) in set.filter(|(name, _)| name == SET_COOKIE.as_str()) {
            let mut parts = cookie.split("; ");
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            if !parts.any(|attribute| attribute.eq_ignore_ascii_case("secure")) {
                let mut cookies = self.cookies.lock().unwrap();
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Goes on in another browser.
    pub fn forget_cookies(&self) {
        self.cookies.lock().unwrap().clear();
    }

    /// A path below `BASE_URL`; a link stays as it is.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        if path.starts_with('/') {
            format!("{}{path}", self.base_url)
        } else {
            path.to_owned()
        }
    }

    /// The row of an address.
    #[must_use]
    pub fn row(&self, email: &str) -> Option<Row> {
        self.store.item(email).unwrap().as_ref().map(rows::plain)
    }

    /// The newest mail to an address; fails the test if there is none.
    #[must_use]
    pub fn mail_to(&self, email: &str) -> Mail {
        let mails = self.inbox.mails();
        let mail = mails.into_iter().rfind(|mail| mail.to == [email]);
        Mail(mail.unwrap_or_else(|| panic!("no mail to {email}")))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // On this signal it ends the functions too.
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let end = Instant::now() + Duration::from_secs(10);
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() > end {
                let _ = self.process.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            eprintln!("cargo lambda watch wrote:\n{log}");
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn start_process(folder: &Path, address: SocketAddr) -> Child {
    let log = File::create(folder.join("log")).unwrap();
    let mut command = Command::new("cargo-lambda");
    command
        .args(["lambda", "watch", "--disable-cors", "--ignore-changes"])
        .args(["--invoke-address", &address.ip().to_string()])
        .args(["--invoke-port", &address.port().to_string()])
        .arg("--env-file")
        .arg(folder.join("watch.env"))
        .current_dir(repository())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    for name in KEPT_VARIABLES {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    // Its cargo runs the functions that are built already.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    command
        .env("CARGO", repository().join("tests/src/watch-cargo"))
        .env("REAL_CARGO", cargo)
        .env("FUNCTIONS_DIR", world::programs());
    command.spawn().unwrap_or_else(|error| {
        panic!("cargo-lambda is needed (pip install cargo-lambda): {error}")
    })
}

/// The settings that are checked in, with the ports of this test in place of those of the README.
fn settings(store: &Store, inbox: &Ses, base_url: &str) -> String {
    let mut settings = fs::read_to_string(repository().join("tests/local/watch.env")).unwrap();
    for (there, here) in [
        (
            "http://127.0.0.1:8000",
            format!("http://{}", store.address()),
        ),
        (
            "http://127.0.0.1:8025",
            format!("http://{}", inbox.address()),
        ),
        ("http://localhost:9000", base_url.to_owned()),
    ] {
        assert_eq!(settings.matches(there).count(), 1, "{there} in watch.env");
        settings = settings.replace(there, &here);
    }
    settings
}

/// A free port that the system does not give to other programs: ephemeral ports begin at 32768.
fn free_port() -> u16 {
    let first = 10_000 + u16::try_from(std::process::id() % 20_000).unwrap();
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..32_768).find(is_free).expect("a free port")
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
