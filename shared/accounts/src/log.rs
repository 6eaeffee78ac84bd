//! One structured line per request, and one per start.

use std::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::outcome::{Metric, Outcome};
use crate::settings::Environment;
use crate::unavailable::Unavailable;

/// The namespace of the metrics.
const NAMESPACE: &str = "Accounts";

/// A request, as the log shows it. Nothing in it identifies a person.
pub struct Record<'a> {
    /// The function's name.
    pub function: &'a str,
    /// Lambda's id of the invocation.
    pub request_id: &'a str,
    /// The method, if it is one that the service knows.
    pub method: &'a str,
    /// The route's pattern.
    pub route: &'a str,
    /// The answer's status.
    pub status: u16,
    /// How long it took.
    pub duration: Duration,
    /// Whether it was the process' first.
    pub cold: bool,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// What it came to.
    pub outcome: &'a Outcome,
}

/// Which records are written: `AWS_LAMBDA_LOG_LEVEL`, as AWS documents it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Requests that did not fail.
    Info,
    /// Failures of a dependency.
    Error,
    /// No request has this level.
    Fatal,
}

impl Level {
    /// Reads `AWS_LAMBDA_LOG_LEVEL`. Unknown or unset means `INFO`.
    pub fn from_env(environment: &Environment) -> Self {
        let level = environment.get("AWS_LAMBDA_LOG_LEVEL").unwrap_or_default();
        match level.to_string_lossy().to_ascii_uppercase().as_str() {
            "WARN" | "ERROR" => Self::Error,
            "FATAL" => Self::Fatal,
            _ => Self::Info,
        }
    }
}

/// Writes that an optional dependency failed and the request went on without it. The request's own line follows.
pub fn went_on_without(at_least: Level, outcome: &str, cause: &Unavailable) {
    if Level::Error >= at_least {
        let reason = cause.to_string();
        let line = serde_json::json!({ "level": "ERROR", "outcome": outcome, "reason": reason });
        println!("{line}");
    }
}

/// Writes at the start of a process which version runs.
pub fn write_start(at_least: Level) {
    if Level::Info >= at_least {
        println!(
            r#"{{"level":"INFO","message":"started","version":"{}"}}"#,
            env!("CARGO_PKG_VERSION")
        );
    }
}

impl Record<'_> {
    /// Writes the record as one line of JSON, with its metrics in the embedded metric format
    /// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>).
    pub fn write(&self, at_least: Level) {
        if self.level() < at_least {
            return;
        }
        if let Ok(line) = serde_json::to_string(self) {
            println!("{line}");
        }
    }

    fn level(&self) -> Level {
        if self.outcome.failed() {
            Level::Error
        } else {
            Level::Info
        }
    }
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let outcome = self.outcome;
        let metrics = outcome.metrics();
        let mut record = serializer.serialize_map(None)?;
        record.serialize_entry("level", if outcome.failed() { "ERROR" } else { "INFO" })?;
        record.serialize_entry("Function", self.function)?;
        record.serialize_entry("request_id", self.request_id)?;
        record.serialize_entry("method", self.method)?;
        record.serialize_entry("route", self.route)?;
        record.serialize_entry("status", &self.status)?;
        record.serialize_entry("outcome", outcome.name())?;
        if let Some(reason) = outcome.reason() {
            record.serialize_entry("reason", &reason)?;
        }
        record.serialize_entry("duration_us", &self.duration.as_micros())?;
        record.serialize_entry("cold", &self.cold)?;
        for (metric, value) in &metrics {
            record.serialize_entry(metric.name(), value)?;
        }
        if !metrics.is_empty() {
            record.serialize_entry("_aws", &Metadata::of(self.timestamp, &metrics))?;
        }
        record.end()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    timestamp: i64,
    cloud_watch_metrics: [Directive; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [[&'static str; 1]; 1],
    metrics: Vec<Definition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: &'static str,
}

impl Metadata {
    fn of(timestamp: i64, metrics: &[(Metric, u64)]) -> Self {
        let metrics = metrics.iter().map(|(metric, _)| Definition {
            name: metric.name(),
            unit: metric.unit(),
        });
        let metrics = metrics.collect();
        let directive = Directive {
            namespace: NAMESPACE,
            dimensions: [["Function"]],
            metrics,
        };
        Self {
            timestamp,
            cloud_watch_metrics: [directive],
        }
    }
}
