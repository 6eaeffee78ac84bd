//! The local run's own behaviour, without the functions, which would have to be built.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

struct Run {
    process: Child,
    /// Kept open, as a terminal is.
    _output: Lines<BufReader<ChildStdout>>,
    inbox: String,
}

impl Run {
    fn start(data: &Path) -> Self {
        let mut process = local(&["--services-only", "--inbox-port=0", "--dynamodb-port=0"])
            .arg("--data")
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let inbox = lines.by_ref().map_while(Result::ok).find_map(|line| {
            Some(
                line.split_once("Inbox      http://")?
                    .1
                    .trim_end_matches('/')
                    .to_owned(),
            )
        });
        Self {
            process,
            _output: lines,
            inbox: inbox.unwrap(),
        }
    }

    fn call(&self, request: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.inbox).unwrap();
        let length = body.len();
        write!(
            stream,
            "{request} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}",
            self.inbox
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn end(mut self, signal: &str) -> bool {
        let id = self.process.id().to_string();
        Command::new("kill").args([signal, &id]).status().unwrap();
        self.process.wait().unwrap().success()
    }
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("local-{name}-{}", std::process::id()))
}

fn local(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.args(arguments);
    command
}

#[test]
fn a_taken_port_is_named_with_its_option() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();

    for option in ["--port", "--inbox-port", "--dynamodb-port"] {
        let free = ["--port=0", "--inbox-port=0", "--dynamodb-port=0"];
        let output = local(&free)
            .arg(option)
            .arg(port.to_string())
            .output()
            .unwrap();

        assert!(!output.status.success());
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            format!("error: port {port} is taken: choose another one with {option}\n")
        );
    }
}

#[test]
fn an_unknown_option_is_refused() {
    let output = local(&["--prot=1"]).output().unwrap();

    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("--prot"));
}

#[test]
fn a_signal_ends_it_as_soon_as_it_runs() {
    let data = folder("signal");
    for _ in 0..5 {
        for signal in ["-INT", "-TERM"] {
            assert!(Run::start(&data).end(signal), "{signal}");
        }
    }
    std::fs::remove_dir_all(&data).unwrap();
}

#[test]
fn data_survives() {
    let data = folder("data");
    let mail = r#"{"FromEmailAddress":"a@example.com","Destination":{"ToAddresses":["b@example.com"]},
        "Content":{"Simple":{"Subject":{"Data":"A survivor"},"Body":{"Text":{"Data":"text"}}}}}"#;

    let first = Run::start(&data);
    let sent = first.call("POST /v2/email/outbound-emails", mail);
    assert!(sent.contains("MessageId"), "{sent}");
    assert!(first.end("-INT"));
    let second = Run::start(&data);
    let page = second.call("GET /", "");
    assert!(second.end("-TERM"));

    assert!(page.contains("A survivor"), "{page}");
    std::fs::remove_dir_all(&data).unwrap();
}
