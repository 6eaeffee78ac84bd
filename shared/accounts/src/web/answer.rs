//! What a request is answered with.

use std::borrow::Cow;

use lambda_http::http::header::{
    self, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderMap, HeaderName, HeaderValue,
};
use lambda_http::http::{Method, StatusCode};
use serde::Serialize;

use crate::outcome::Outcome;
use crate::site::Site;
use crate::unavailable::Unavailable;
use crate::web::pages;
use crate::web::request::Request;

/// An answer: a status, a few headers, a body, and what happened, for the log.
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, Cow<'static, str>)>,
    body: String,
    /// What the request came to.
    pub outcome: Outcome,
}

/// A refusal: a status, and what is wrong in a few words and what to do about it in a sentence or two.
pub struct Problem {
    /// The status.
    pub status: StatusCode,
    /// What is wrong.
    pub title: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// The name of this refusal in logs.
    pub reason: &'static str,
}

impl Problem {
    /// No such path.
    pub const NOT_FOUND: Self = Self {
        status: StatusCode::NOT_FOUND,
        title: "There is no such page",
        advice: "Look at the address again, or go back to where you came from.",
        reason: "no-route",
    };
    /// The path is there, for other methods.
    pub const METHOD_NOT_ALLOWED: Self = Self {
        status: StatusCode::METHOD_NOT_ALLOWED,
        title: "That is not possible here",
        advice: "Open the page and use its form.",
        reason: "method",
    };
    /// A `POST` from another site's page.
    pub const CROSS_SITE: Self = Self {
        status: StatusCode::FORBIDDEN,
        title: "This form was sent from another site",
        advice: "Open the form on this site and send it from there.",
        reason: "cross-site",
    };
    /// The body is not what its content type says, or says something twice.
    pub const UNREADABLE: Self = Self {
        status: StatusCode::BAD_REQUEST,
        title: "The request could not be read",
        advice: "Send each field once, as a form or as a JSON object, in UTF-8.",
        reason: "unreadable",
    };
    /// The body is larger than any form of ours.
    pub const TOO_LARGE: Self = Self {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        title: "The request is too large",
        advice: "Send no more than 16 KiB.",
        reason: "too-large",
    };
    /// The body is neither a form nor JSON.
    pub const MEDIA_TYPE: Self = Self {
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        title: "The request has the wrong content type",
        advice: "Send a form (application/x-www-form-urlencoded) or JSON (application/json) in UTF-8.",
        reason: "media-type",
    };
    /// A browser fetches a link that nobody has followed yet.
    pub const PREFETCH: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "This link is not opened ahead of time",
        advice: "Follow the link to confirm your address.",
        reason: "prefetch",
    };
    /// A token that is malformed, forged or meant for something else, or whose user or request is gone.
    pub const INVALID_LINK: Self = Self {
        status: StatusCode::NOT_FOUND,
        title: "This link is not valid",
        advice: "Copy the whole link from the mail, without spaces or line breaks. If that does not help, sign up again \
                 and follow the link in the newest mail.",
        reason: "invalid-link",
    };
    /// A genuine token that has outlived its time.
    pub const EXPIRED_LINK: Self = Self {
        status: StatusCode::NOT_FOUND,
        title: "This link has expired",
        advice: "Post to this URL to get a fresh one.",
        reason: "expired",
    };
    /// The same, of a change of address.
    pub const EXPIRED_CHANGE: Self = Self {
        status: StatusCode::NOT_FOUND,
        title: "This link has expired",
        advice: "Nothing has changed. Ask for the change of address once more.",
        reason: "expired",
    };
    /// A genuine link to a change of address that cannot be made any more.
    pub const OUTLIVED_CHANGE: Self = Self {
        status: StatusCode::NOT_FOUND,
        title: "This link is not valid any more",
        advice: "Only the newest request to change an address counts, and only until the password changes. If you still \
                 want the change, ask for it once more.",
        reason: "outlived-link",
    };
    const UNAVAILABLE: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "This is not possible at the moment",
        advice: "Nothing is lost. Please try again in a minute.",
        reason: "unavailable",
    };
}

/// Why a request was not accepted.
pub enum Refusal {
    /// The request is to blame.
    Problem(Problem),
    /// A dependency is.
    Unavailable(Unavailable),
    /// The route has other methods.
    Method {
        /// Which ones: the value of `Allow`.
        allow: &'static str,
    },
    /// It only asks, for an allowed origin, which requests are possible.
    Preflight {
        /// Which methods.
        allow: &'static str,
    },
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
    /// One sentence for the person who filled it in.
    pub advice: &'static str,
}

/// RFC 9457: the members that ours have.
#[derive(Serialize)]
struct ProblemDetails<'a> {
    status: u16,
    title: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ErrorDetail>,
}

#[derive(Serialize)]
struct ErrorDetail {
    detail: &'static str,
    pointer: String,
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

impl Answer {
    fn new(status: StatusCode, outcome: Outcome) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: String::new(),
            outcome,
        }
    }

    fn with(mut self, name: HeaderName, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A page, with its own status.
    #[must_use]
    pub fn page(status: StatusCode, html: String, outcome: Outcome) -> Self {
        let mut answer =
            Self::new(status, outcome).with(header::CONTENT_TYPE, "text/html; charset=utf-8");
        answer.body = html;
        answer
    }

    fn json(
        status: StatusCode,
        content_type: &'static str,
        body: &impl Serialize,
        outcome: Outcome,
    ) -> Self {
        let mut answer = Self::new(status, outcome).with(header::CONTENT_TYPE, content_type);
        // These types have string keys and no maps of their own: serialising them cannot fail.
        answer.body = serde_json::to_string(body).unwrap_or_default();
        answer
    }

    /// A page for browsers, or the same said in JSON.
    #[must_use]
    pub fn message(
        request: &Request,
        message: &str,
        html: impl FnOnce() -> String,
        outcome: Outcome,
    ) -> Self {
        if request.wants_json() {
            Self::json(
                StatusCode::OK,
                "application/json",
                &Message { message },
                outcome,
            )
        } else {
            Self::page(StatusCode::OK, html(), outcome)
        }
    }

    /// `303 See Other`: the browser fetches `url` with `GET`.
    #[must_use]
    pub fn redirect(url: &str, outcome: Outcome) -> Self {
        Self::new(StatusCode::SEE_OTHER, outcome).with(header::LOCATION, url.to_owned())
    }

    /// A request that was accepted, whatever came of it: a browser goes to `url`, another client gets `202`.
    #[must_use]
    pub fn accepted(request: &Request, url: &str, outcome: Outcome) -> Self {
        if request.wants_json() {
            let message = Message {
                message: "Look into your inbox.",
            };
            Self::json(StatusCode::ACCEPTED, "application/json", &message, outcome)
        } else {
            Self::redirect(url, outcome)
        }
    }

    /// The answer to a request that was not accepted.
    #[must_use]
    pub fn refusal(request: &Request, site: &Site, refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Problem(problem) => Self::problem(request, site, problem),
            Refusal::Unavailable(cause) => Self::unavailable(request, site, cause),
            Refusal::Method { allow } => Self::problem(request, site, &Problem::METHOD_NOT_ALLOWED)
                .with(header::ALLOW, *allow),
            Refusal::Preflight { allow } => Self::preflight(allow),
        }
    }

    /// A refusal, as a page or as problem details.
    #[must_use]
    pub fn problem(request: &Request, site: &Site, problem: &Problem) -> Self {
        let outcome = Outcome::refused(problem.reason);
        if request.wants_json() {
            Self::problem_details(problem, outcome)
        } else {
            Self::page(problem.status, pages::problem(site, problem), outcome)
        }
    }

    /// A refusal as problem details (RFC 9457).
    #[must_use]
    pub fn problem_details(problem: &Problem, outcome: Outcome) -> Self {
        let details = ProblemDetails {
            status: problem.status.as_u16(),
            title: problem.title,
            detail: problem.advice,
            errors: Vec::new(),
        };
        Self::json(
            problem.status,
            "application/problem+json",
            &details,
            outcome,
        )
    }

    /// Input that cannot be accepted: the form again, or problem details that point at the fields.
    #[must_use]
    pub fn invalid(
        request: &Request,
        errors: &[FieldError],
        form: impl FnOnce() -> String,
    ) -> Self {
        let (status, outcome) = (
            StatusCode::UNPROCESSABLE_ENTITY,
            Outcome::refused("invalid-input"),
        );
        if !request.wants_json() {
            return Self::page(status, form(), outcome);
        }
        let pointer = |field| format!("#/{field}");
        let errors = errors.iter().map(|error| ErrorDetail {
            detail: error.advice,
            pointer: pointer(error.field),
        });
        let details = ProblemDetails {
            status: status.as_u16(),
            title: "Some fields are not valid",
            detail: "Correct the fields that the errors point at.",
            errors: errors.collect(),
        };
        Self::json(status, "application/problem+json", &details, outcome)
    }

    /// A dependency failed: `503`, to be tried again.
    fn unavailable(request: &Request, site: &Site, cause: &Unavailable) -> Self {
        let mut answer =
            Self::problem(request, site, &Problem::UNAVAILABLE).with(header::RETRY_AFTER, "60");
        answer.outcome = Outcome::unavailable(cause);
        answer
    }

    /// `204` to the preflight of an allowed origin.
    fn preflight(methods: &'static str) -> Self {
        Self::new(StatusCode::NO_CONTENT, Outcome::named("preflight"))
            .with(ACCESS_CONTROL_ALLOW_METHODS, methods)
            .with(ACCESS_CONTROL_ALLOW_HEADERS, "content-type")
            .with(ACCESS_CONTROL_MAX_AGE, "600")
    }

    /// The status, all headers and the body, as they are sent: every answer has the same headers for security, those
    /// to an allowed origin have CORS headers, and the answer to a `HEAD` has no body.
    #[must_use]
    pub fn into_parts(self, request: &Request, site: &Site) -> (StatusCode, HeaderMap, String) {
        let mut headers = HeaderMap::with_capacity(12);
        let mut set = |name: HeaderName, value: &str| {
            // Values are ours or from settings that were parsed as URLs: visible ASCII.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(header::CACHE_CONTROL, "no-store");
        set(
            header::CONTENT_SECURITY_POLICY,
            site.content_security_policy(),
        );
        set(header::REFERRER_POLICY, "same-origin");
        set(header::VARY, "Origin");
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        for (name, value) in self.headers {
            set(name, &value);
        }
        if let Some(origin) = request.allowed_origin(site) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(
                ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static("retry-after"),
            );
        }
        let body = if request.method == Method::HEAD {
            String::new()
        } else {
            self.body
        };
        (self.status, headers, body)
    }
}
