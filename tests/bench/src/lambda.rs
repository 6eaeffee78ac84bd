//! Lambda's Runtime API for one process (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).
//!
//! Not `local::lambda`: the process may be valgrind's or Python's, its processor time is read, and the measured time of an
//! invocation must not include a scheduler's.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::http::{self, Answer};

/// What one process polls.
pub struct Lambda {
    /// For `AWS_LAMBDA_RUNTIME_API`.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

/// The event of the invocation with this number, from 1.
pub type Event = Arc<dyn Fn(usize) -> String + Send + Sync>;

struct Shared {
    event: Event,
    status: u16,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    polls: usize,
    allowed: usize,
    sent: Option<Instant>,
    latencies: Vec<Duration>,
    answer: Vec<u8>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a poll as soon as an invocation is due.
    fn next(&self) -> Answer {
        let mut state = self.state();
        state.polls += 1;
        self.changed.notify_all();
        while state.polls > state.allowed {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let deadline = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis()
            + 29_000;
        let number = state.polls;
        let headers = format!(
            "Content-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-{number:012x}\r\n\
             Lambda-Runtime-Deadline-Ms: {deadline}\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:123456789012:function:bench\r\n\
             Lambda-Runtime-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0\r\n"
        );
        let event = (self.event)(number);
        state.sent = Some(Instant::now());
        (headers, event.into_bytes())
    }

    fn answered(&self, answer: &[u8]) -> Answer {
        let mut state = self.state();
        if let Some(sent) = state.sent.take() {
            state.latencies.push(sent.elapsed());
            state.answer = answer.to_vec();
        }
        (
            "Content-Type: application/json\r\n".to_owned(),
            b"{}".to_vec(),
        )
    }
}

impl Lambda {
    /// Starts it for a process whose answers all have this status.
    ///
    /// # Errors
    ///
    /// If no port is free.
    pub fn start(event: Event, status: u16) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            event,
            status,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let served = Arc::clone(&shared);
        let address = http::serve(move |request| match request.line() {
            ("GET", _) => Ok(served.next()),
            (_, target) if target.ends_with("/response") => Ok(served.answered(&request.body)),
            (_, target) => {
                let said = String::from_utf8_lossy(&request.body);
                Err(io::Error::other(format!("{target}: {said}")))
            }
        })?;
        Ok(Self { address, shared })
    }

    /// Lets `count` more invocations through.
    pub fn allow(&self, count: usize) {
        self.shared.state().allowed += count;
        self.shared.changed.notify_all();
    }

    /// Waits until all allowed invocations are answered and the process polls again.
    ///
    /// # Errors
    ///
    /// If that takes a minute, or the last answer has another status.
    pub fn wait(&self) -> io::Result<()> {
        let is_busy = |state: &mut State| state.polls <= state.allowed;
        let state = self.shared.state();
        let (state, timeout) = self
            .shared
            .changed
            .wait_timeout_while(state, Duration::from_mins(1), is_busy)
            .unwrap_or_else(PoisonError::into_inner);
        let answer = String::from_utf8_lossy(&state.answer);
        if timeout.timed_out() {
            return Err(io::Error::other("the process does not answer"));
        }
        let status = format!(r#""statusCode":{}"#, self.shared.status);
        // Python has a space after the colon.
        if !answer.is_empty() && !answer.replace(": ", ":").contains(&status) {
            return Err(io::Error::other(answer.into_owned()));
        }
        Ok(())
    }

    /// How long each invocation took.
    #[must_use]
    pub fn latencies(&self) -> Vec<Duration> {
        self.shared.state().latencies.clone()
    }
}
