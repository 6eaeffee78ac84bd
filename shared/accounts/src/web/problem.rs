//! Why a request is not accepted.

use std::borrow::Cow;

use addresses::InvalidEmailAddress;
use lambda_http::http::StatusCode;
use passwords::{InvalidPassword, MAX_LENGTH, MIN_LENGTH};

use crate::site::Site;
use crate::texts::Texts;
use crate::unavailable::Unavailable;

/// What is wrong with a request as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// No such path.
    NotFound,
    /// The path is there, for other methods.
    MethodNotAllowed,
    /// A `POST` from another site's page.
    CrossSite,
    /// The body is not what its content type says, or says something twice.
    Unreadable,
    TooLarge,
    /// The body is neither a form nor JSON.
    MediaType,
    /// A browser's prefetch: nobody has followed the link yet.
    Prefetch,
    /// A token that is malformed, forged or meant for something else, or whose user is gone.
    InvalidLink,
    /// A genuine sign-up link that is too old.
    ExpiredLink,
    /// A genuine link to a change of address that is too old.
    ExpiredChange,
    /// A genuine link to a change of address that cannot be made any more.
    SupersededChange,
    /// A reset link that is invalid, expired or used.
    DeadReset,
    /// The owner reported our mail as spam, so the notice that this action needs cannot be sent.
    Complaint,
    /// The client's network has had its requests of this hour.
    TooManyRequests,
    /// A dependency failed.
    Unavailable,
}

impl Problem {
    pub fn status(self) -> StatusCode {
        match self {
            Self::NotFound
            | Self::InvalidLink
            | Self::ExpiredLink
            | Self::ExpiredChange
            | Self::SupersededChange
            | Self::DeadReset => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Unreadable => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Complaint => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Prefetch | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The name in logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "no-route",
            Self::MethodNotAllowed => "method",
            Self::CrossSite => "cross-site",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too-large",
            Self::MediaType => "media-type",
            Self::Prefetch => "prefetch",
            Self::InvalidLink => "invalid-link",
            Self::ExpiredLink | Self::ExpiredChange => "expired",
            Self::SupersededChange => "superseded-link",
            Self::DeadReset => "dead-reset-link",
            Self::Complaint => "complaint",
            Self::TooManyRequests => "network-limit",
            Self::Unavailable => "unavailable",
        }
    }

    /// What is wrong, in a few words.
    pub fn title(self, texts: &Texts) -> &'static str {
        match self {
            Self::NotFound => texts.not_found_title,
            Self::MethodNotAllowed => texts.method_title,
            Self::CrossSite => texts.cross_site_title,
            Self::Unreadable => texts.unreadable_title,
            Self::TooLarge => texts.too_large_title,
            Self::MediaType => texts.media_type_title,
            Self::Prefetch => texts.prefetch_title,
            Self::InvalidLink => texts.invalid_link_title,
            Self::ExpiredLink | Self::ExpiredChange => texts.expired_title,
            Self::SupersededChange => texts.superseded_title,
            Self::DeadReset => texts.dead_reset_title,
            Self::Complaint => texts.complaint_title,
            Self::TooManyRequests => texts.too_many_requests_title,
            Self::Unavailable => texts.unavailable_title,
        }
    }

    /// What to do about it: RFC 9457's `detail`.
    pub fn detail(self, texts: &Texts, site: &Site) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::NotFound => texts.not_found_detail,
            Self::MethodNotAllowed => texts.method_detail,
            Self::CrossSite => texts.cross_site_detail,
            Self::Unreadable => texts.unreadable_detail,
            Self::TooLarge => texts.too_large_detail,
            Self::MediaType => texts.media_type_detail,
            Self::Prefetch => texts.prefetch_detail,
            Self::InvalidLink => texts.invalid_link_detail,
            Self::ExpiredLink => texts.expired_link_detail,
            Self::ExpiredChange => texts.expired_change_detail,
            Self::SupersededChange => texts.superseded_detail,
            Self::DeadReset => texts.dead_reset_detail,
            Self::Complaint => return texts.complaint_detail(&site.support_email).into(),
            Self::TooManyRequests => texts.too_many_requests_detail,
            Self::Unavailable => texts.unavailable_detail,
        })
    }
}

/// Why a request was not accepted.
#[derive(Debug)]
pub enum Refusal {
    /// The fault is in the request.
    Problem(Problem),
    /// The same, but only for this many seconds.
    Later(Problem, u64),
    /// A dependency failed.
    Unavailable(Unavailable),
    /// The route has other methods: the value of `Allow`.
    Method { allow: &'static str },
    /// A preflight of an allowed origin, which asks what methods are possible.
    Preflight { allow: &'static str },
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Unavailable> for Refusal {
    fn from(cause: Unavailable) -> Self {
        Self::Unavailable(cause)
    }
}

/// One field of a form that cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name.
    pub field: &'static str,
    pub cause: Cause,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Missing,
    NotText,
    Email(InvalidEmailAddress),
    Password(InvalidPassword),
    PasswordsDiffer,
    /// Not the password that was signed up with, or too many attempts.
    WrongSignUpPassword,
    /// One cause for a wrong password, an unknown address and too many attempts, so that they are alike.
    WrongPassword,
    /// The new address is the old one.
    SameEmail,
    /// The challenge was not passed.
    Challenge,
}

impl Cause {
    /// One sentence for the person who filled the field in.
    pub fn text(self, texts: &Texts, site: &Site) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Missing => texts.missing,
            Self::NotText => texts.not_text,
            Self::Email(cause) => match cause {
                InvalidEmailAddress::Missing => texts.missing,
                InvalidEmailAddress::NoAt => texts.email_no_at,
                InvalidEmailAddress::LocalPartNotAscii => texts.email_local_part_not_ascii,
                InvalidEmailAddress::Dots => texts.email_dots,
                InvalidEmailAddress::NoTopLevelDomain => texts.email_no_top_level_domain,
                InvalidEmailAddress::TooLong => texts.email_too_long,
                InvalidEmailAddress::Other => texts.email_invalid,
            },
            Self::Password(cause) => match cause {
                InvalidPassword::TooShort => {
                    return texts.password_too_short(&MIN_LENGTH.to_string()).into();
                }
                InvalidPassword::TooLong => {
                    return texts.password_too_long(&MAX_LENGTH.to_string()).into();
                }
                InvalidPassword::Blank => texts.password_blank,
                InvalidPassword::Common => texts.password_common,
                InvalidPassword::Address => texts.password_address,
            },
            Self::PasswordsDiffer => texts.passwords_differ,
            Self::WrongSignUpPassword => texts.wrong_sign_up_password,
            Self::WrongPassword => return texts.wrong_password(&site.support_email).into(),
            Self::SameEmail => texts.same_email,
            Self::Challenge => texts.challenge_failed,
        })
    }
}
