//! What a request came to, for the log line and the metrics. Holds nothing of the person.

use crate::unavailable::Unavailable;

/// What a request came to: a name that an operator can count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    // A page, and nothing else.
    Form,
    CreatedPage,
    ConfirmedPage,
    PasswordPage,
    /// A `HEAD` of a link that a `GET` would have followed.
    Head,
    Preflight,
    // A sign-up.
    SignedUp {
        mailed: bool,
    },
    Repeated {
        mailed: bool,
    },
    HasAccount {
        mailed: bool,
    },
    // A link.
    Confirmed {
        /// Seconds since the link was made.
        after: u64,
        by_older_key: bool,
    },
    ConfirmedBefore,
    FreshLink {
        mailed: bool,
    },
    // A change of address.
    ChangeAsked,
    /// The new address has an account.
    ChangeToTaken,
    Changed,
    ChangedBefore,
    // A new password.
    ResetAsked {
        mailed: bool,
    },
    /// The address has no account.
    ResetUnknown {
        mailed: bool,
    },
    PasswordChanged,
    // Not accepted.
    /// Why: the name of a problem.
    Refused(&'static str),
    Unavailable(Unavailable),
}

/// A metric of CloudWatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    SignedUp,
    Confirmed,
    ConfirmedAfter,
    FallbackKey,
    EmailChanged,
    PasswordChanged,
    MailSent,
    MailFailed,
    Refused,
    NetworkLimited,
    Unavailable,
}

impl Metric {
    pub fn name(self) -> &'static str {
        match self {
            Self::SignedUp => "SignedUp",
            Self::Confirmed => "Confirmed",
            Self::ConfirmedAfter => "ConfirmedAfter",
            Self::FallbackKey => "FallbackKey",
            Self::EmailChanged => "EmailChanged",
            Self::PasswordChanged => "PasswordChanged",
            Self::MailSent => "MailSent",
            Self::MailFailed => "MailFailed",
            Self::Refused => "Refused",
            Self::NetworkLimited => "NetworkLimited",
            Self::Unavailable => "Unavailable",
        }
    }

    pub fn unit(self) -> &'static str {
        match self {
            Self::ConfirmedAfter => "Seconds",
            _ => "Count",
        }
    }
}

impl Outcome {
    /// The name in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::CreatedPage => "created",
            Self::ConfirmedPage => "confirmed-page",
            Self::PasswordPage => "needs-password",
            Self::Head => "head",
            Self::Preflight => "preflight",
            Self::SignedUp { .. } => "signed-up",
            Self::Repeated { .. } => "repeated",
            Self::HasAccount { .. } => "has-account",
            Self::Confirmed { .. } => "confirmed",
            Self::ConfirmedBefore => "confirmed-before",
            Self::FreshLink { .. } => "fresh-link",
            Self::ChangeAsked => "change-asked",
            Self::ChangeToTaken => "change-to-taken",
            Self::Changed => "changed",
            Self::ChangedBefore => "changed-before",
            Self::ResetAsked { .. } => "reset-asked",
            Self::ResetUnknown { .. } => "reset-unknown",
            Self::PasswordChanged => "password-changed",
            Self::Refused(_) => "refused",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// More about it: why it was refused, which call failed.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Refused(reason) => Some((*reason).to_owned()),
            Self::Unavailable(cause) => Some(cause.to_string()),
            _ => None,
        }
    }

    /// Whether the request failed for a reason on our side.
    pub fn failed(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// The metrics that this request adds to, each with its value.
    pub fn metrics(&self) -> Vec<(Metric, u64)> {
        let mut metrics = match self {
            Self::SignedUp { .. } => vec![(Metric::SignedUp, 1)],
            Self::Confirmed {
                after,
                by_older_key,
            } => {
                let mut metrics = vec![(Metric::Confirmed, 1), (Metric::ConfirmedAfter, *after)];
                metrics.extend(by_older_key.then_some((Metric::FallbackKey, 1)));
                metrics
            }
            Self::Changed => vec![(Metric::EmailChanged, 1)],
            Self::PasswordChanged => vec![(Metric::PasswordChanged, 1)],
            Self::Refused("network-limit") => {
                vec![(Metric::Refused, 1), (Metric::NetworkLimited, 1)]
            }
            Self::Refused(_) => vec![(Metric::Refused, 1)],
            Self::Unavailable(cause) if cause.operation() == "SendEmail" => {
                vec![(Metric::Unavailable, 1), (Metric::MailFailed, 1)]
            }
            Self::Unavailable(_) => vec![(Metric::Unavailable, 1)],
            _ => Vec::new(),
        };
        metrics.extend((self.mails() > 0).then_some((Metric::MailSent, self.mails())));
        metrics
    }

    fn mails(&self) -> u64 {
        match self {
            Self::SignedUp { mailed }
            | Self::Repeated { mailed }
            | Self::HasAccount { mailed }
            | Self::FreshLink { mailed }
            | Self::ResetAsked { mailed }
            | Self::ResetUnknown { mailed } => u64::from(*mailed),
            Self::ChangeAsked | Self::ChangeToTaken => 2,
            Self::Changed | Self::PasswordChanged => 1,
            _ => 0,
        }
    }
}
