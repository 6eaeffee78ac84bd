//! Failures of what the service depends on.

use std::fmt;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use passwords::HashError;

/// A dependency failed, and trying again later may help. Holds names only: an SDK error's own text can hold a row or an
/// address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    operation: &'static str,
    reason: String,
}

impl Unavailable {
    /// `operation` failed for `reason`, which names no person.
    #[must_use]
    pub fn new(operation: &'static str, reason: impl Into<String>) -> Self {
        Self {
            operation,
            reason: reason.into(),
        }
    }

    /// The call that failed.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Why it failed.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The failure of an SDK call, by its kind or by AWS' name of the error.
    #[must_use]
    pub fn from_sdk<E: ProvideErrorMetadata, R>(
        operation: &'static str,
        error: &SdkError<E, R>,
    ) -> Self {
        let reason = match error {
            SdkError::ConstructionFailure(_) => "invalid request",
            SdkError::TimeoutError(_) => "timeout",
            SdkError::DispatchFailure(failure) if failure.is_timeout() => "timeout",
            SdkError::DispatchFailure(_) => "no connection",
            SdkError::ResponseError(_) => "unreadable answer",
            SdkError::ServiceError(error) => error.err().code().unwrap_or("unknown error"),
            _ => "unknown failure",
        };
        Self::new(operation, reason)
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.reason)
    }
}

impl std::error::Error for Unavailable {}

impl From<HashError> for Unavailable {
    fn from(error: HashError) -> Self {
        Self::new("hash", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::result::ConnectorError;
    use aws_smithy_types::error::ErrorMetadata;

    use super::*;

    type Failure = SdkError<ErrorMetadata, ()>;

    #[test]
    fn the_reason_is_the_kind_of_failure_or_awss_name_of_it() {
        let text = "ada@example.com";
        let throttled = ErrorMetadata::builder().code("Throttling").message(text);
        for (error, reason) in [
            (Failure::construction_failure(text), "invalid request"),
            (Failure::timeout_error(text), "timeout"),
            (
                Failure::dispatch_failure(ConnectorError::timeout(text.into())),
                "timeout",
            ),
            (
                Failure::dispatch_failure(ConnectorError::io(text.into())),
                "no connection",
            ),
            (Failure::response_error(text, ()), "unreadable answer"),
            (Failure::service_error(throttled.build(), ()), "Throttling"),
            (
                Failure::service_error(ErrorMetadata::builder().build(), ()),
                "unknown error",
            ),
        ] {
            let failure = Unavailable::from_sdk("GetItem", &error);

            assert_eq!(failure.to_string(), format!("GetItem: {reason}"));
        }
    }
}
