//! What a request came to, for the log line and the metrics.

use crate::unavailable::Unavailable;

/// What a request came to. Holds nothing of the person: names, counts and durations only.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// A name that an operator can count.
    pub name: &'static str,
    /// More about it: why it was refused, which call failed.
    pub reason: Option<String>,
    /// Metrics that this request adds to: name, unit, value.
    pub metrics: Vec<Metric>,
    /// Whether the request failed for a reason on our side.
    pub failed: bool,
}

/// A value for `CloudWatch`: name, unit, value.
pub type Metric = (&'static str, &'static str, f64);

impl Outcome {
    /// An outcome that no metric counts.
    #[must_use]
    pub fn named(name: &'static str) -> Self {
        Self {
            name,
            reason: None,
            metrics: Vec::new(),
            failed: false,
        }
    }

    /// A request that was not accepted, and why.
    #[must_use]
    pub fn refused(reason: &str) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            ..Self::named("refused")
        }
        .counting("Refused")
    }

    /// A request that met a failure of a dependency.
    #[must_use]
    pub fn unavailable(cause: &Unavailable) -> Self {
        let outcome = Self {
            reason: Some(cause.to_string()),
            failed: true,
            ..Self::named("unavailable")
        };
        let outcome = outcome.counting("Unavailable");
        if cause.operation() == "SendEmail" {
            outcome.counting("MailFailed")
        } else {
            outcome
        }
    }

    /// Adds one to a metric.
    #[must_use]
    pub fn counting(self, metric: &'static str) -> Self {
        self.measuring(metric, "Count", 1.0)
    }

    /// Adds a value to a metric.
    #[must_use]
    pub fn measuring(mut self, metric: &'static str, unit: &'static str, value: f64) -> Self {
        self.metrics.push((metric, unit, value));
        self
    }
}
