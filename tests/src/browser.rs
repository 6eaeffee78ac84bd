//! A headless Chromium, driven by `WebDriver`.

use std::ops::Deref;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long to wait for what a page shows, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(2);

/// A browser with an empty profile; its methods are those of [`fantoccini::Client`]. It ends with the test.
pub struct Browser {
    client: Client,
    profile: PathBuf,
    _driver: Child,
}

impl Browser {
    /// Starts `chromedriver` from the `PATH` on a free port, and a browser.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a browser with further options.
    pub async fn start_with(options: &[&str]) -> Self {
        let (driver, port) = start_driver().await;
        let profile = std::env::temp_dir().join(format!("browser-{}-{port}", std::process::id()));
        let profile_option = format!("--user-data-dir={}", profile.display());
        let mut arguments = vec![
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            // The browser ends when this pipe closes, and so with the driver, however the driver ends.
            "--remote-debugging-pipe",
            &profile_option,
        ];
        arguments.extend(options);
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
            // Some scripts look at many pages and take long.
            "timeouts": { "script": 600_000 },
        });
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.as_object().cloned().unwrap())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a browser session");
        Self {
            client,
            profile,
            _driver: driver,
        }
    }

    /// Types into the element that a CSS selector finds, once it is there.
    pub async fn type_into(&self, css: &str, text: &str) {
        until_it_stays(|| async { self.element(css).await.send_keys(text).await }).await;
    }

    /// Clicks the element that a CSS selector finds, once it is there.
    pub async fn click(&self, css: &str) {
        until_it_stays(|| async { self.element(css).await.click().await }).await;
    }

    /// The text of the page.
    pub async fn text(&self) -> String {
        until_it_stays(|| async { self.element("body").await.text().await }).await
    }

    /// Waits until the browser is at `url`.
    pub async fn wait_for_url(&self, url: &str) {
        let url = url.parse().expect("a URL");
        let waited = self.client.wait().at_most(PATIENCE).for_url(&url).await;
        if let Err(error) = waited {
            panic!(
                "the browser is at {:?}, not at {url}: {error}",
                self.client.current_url().await
            );
        }
    }

    /// The element that a CSS selector finds, once it is there.
    pub async fn element(&self, css: &str) -> Element {
        let wait = self.client.wait().at_most(PATIENCE);
        let found = wait.for_element(Locator::Css(css)).await;
        found.unwrap_or_else(|error| panic!("no {css} on the page: {error}"))
    }

    /// Ends the browser.
    pub async fn close(self) {
        self.client.clone().close().await.expect("the browser ends");
    }
}

/// Does something with an element. Repeats it if the page has just reloaded itself, as the inbox does.
async fn until_it_stays<T, F: Future<Output = Result<T, CmdError>>>(act: impl Fn() -> F) -> T {
    loop {
        match act().await {
            Err(error) if error.is_stale_element_reference() => {}
            done => return done.unwrap(),
        }
    }
}

impl Deref for Browser {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// Starts `chromedriver` on a free port. It wants a port that is free for IPv4 and IPv6, looks for one for the first only, and
/// ends if another process has it for the second: then once more.
async fn start_driver() -> (Child, u16) {
    for _ in 0..10 {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("chromedriver is needed (Debian: apt-get install chromium-driver): {error}")
            });
        if let Some(port) = port(&mut driver).await {
            return (driver, port);
        }
    }
    panic!("chromedriver does not start");
}

/// The port that a `chromedriver` says it listens at; none if it ends before.
async fn port(driver: &mut Child) -> Option<u16> {
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(port) = line.strip_prefix("ChromeDriver was started successfully on port ") {
            // Later output is not needed, but is read so that it does not fill the pipe.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Some(port.trim_end_matches('.').parse().unwrap());
        }
    }
    None
}
