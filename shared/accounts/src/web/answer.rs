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
use crate::web::pages::{self, Content};
use crate::web::policy::Policies;
use crate::web::problem::{FieldError, Problem, Refusal};
use crate::web::request::Request;

/// An answer: a status, a few headers, a body, and what happened, for the log.
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, Cow<'static, str>)>,
    /// The value of `Set-Cookie`.
    cookie: Option<String>,
    body: String,
    /// Whether it is a page whose form has the challenge.
    has_challenge: bool,
    /// What the request came to.
    pub outcome: Outcome,
}

/// An answer as it is sent.
pub struct Sent {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The value of `Set-Cookie`.
    pub cookie: Option<String>,
    pub body: String,
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
    detail: Cow<'static, str>,
    pointer: String,
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
}

impl Answer {
    fn new(status: StatusCode, outcome: Outcome) -> Self {
        Self {
            status,
            headers: Vec::new(),
            cookie: None,
            body: String::new(),
            has_challenge: false,
            outcome,
        }
    }

    fn with(mut self, name: HeaderName, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds a cookie, as `Set-Cookie` has it.
    #[must_use]
    pub fn with_cookie(mut self, cookie: String) -> Self {
        self.cookie = Some(cookie);
        self
    }

    fn html(
        status: StatusCode,
        request: &Request,
        site: &Site,
        content: Content<'_>,
        errors: &[FieldError],
        outcome: Outcome,
    ) -> Self {
        let mut answer =
            Self::new(status, outcome).with(header::CONTENT_TYPE, "text/html; charset=utf-8");
        answer.has_challenge = content.has_challenge();
        answer.body = pages::render(site, request.language, content, errors);
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

    /// A page.
    pub fn page(request: &Request, site: &Site, content: Content<'_>, outcome: Outcome) -> Self {
        Self::html(StatusCode::OK, request, site, content, &[], outcome)
    }

    /// A page for browsers, or `message` for a client of the JSON API.
    pub fn message(
        request: &Request,
        site: &Site,
        content: Content<'_>,
        message: &str,
        outcome: Outcome,
    ) -> Self {
        if !request.wants_json() {
            return Self::page(request, site, content, outcome);
        }
        let message = Message {
            message,
            location: None,
        };
        Self::json(StatusCode::OK, "application/json", &message, outcome)
    }

    /// A request that was accepted, whatever came of it: a browser goes to `url`, another client gets `202`.
    pub fn accepted(request: &Request, url: &str, outcome: Outcome) -> Self {
        let message = request.language.texts().message_accepted;
        Self::redirect(request, StatusCode::ACCEPTED, url, message, outcome)
    }

    /// What was asked for is done: a browser goes to `url`, another client gets `200`.
    pub fn done(request: &Request, url: &str, message: &str, outcome: Outcome) -> Self {
        Self::redirect(request, StatusCode::OK, url, message, outcome)
    }

    /// `303 See Other`, or the same said in JSON.
    fn redirect(
        request: &Request,
        status: StatusCode,
        url: &str,
        message: &str,
        outcome: Outcome,
    ) -> Self {
        if !request.wants_json() {
            return Self::new(StatusCode::SEE_OTHER, outcome)
                .with(header::LOCATION, url.to_owned());
        }
        let message = Message {
            message,
            location: Some(url),
        };
        Self::json(status, "application/json", &message, outcome)
    }

    /// The answer to a request that was not accepted.
    pub fn refusal(request: &Request, site: &Site, refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Problem(problem) => Self::problem(request, site, *problem),
            Refusal::Later(problem, seconds) => Self::problem(request, site, *problem)
                .with(header::RETRY_AFTER, seconds.to_string()),
            Refusal::Unavailable(cause) => Self::unavailable(request, site, cause),
            Refusal::Method { allow } => {
                Self::problem(request, site, Problem::MethodNotAllowed).with(header::ALLOW, *allow)
            }
            Refusal::Preflight { allow } => Self::preflight(allow),
        }
    }

    /// A refusal, as a page or as problem details.
    fn problem(request: &Request, site: &Site, problem: Problem) -> Self {
        if request.wants_json() {
            return Self::problem_details(request, site, problem);
        }
        // A genuine link that has expired: its page sends a fresh one.
        let content = match problem {
            Problem::ExpiredLink => Content::Expired,
            problem => Content::Problem(problem),
        };
        let outcome = Outcome::Refused(problem.reason());
        Self::html(problem.status(), request, site, content, &[], outcome)
    }

    /// A refusal as problem details (RFC 9457).
    pub fn problem_details(request: &Request, site: &Site, problem: Problem) -> Self {
        let (status, texts) = (problem.status(), request.language.texts());
        let details = ProblemDetails {
            status: status.as_u16(),
            title: problem.title(texts),
            detail: &problem.detail(texts, site),
            errors: Vec::new(),
        };
        let outcome = Outcome::Refused(problem.reason());
        Self::json(status, "application/problem+json", &details, outcome)
    }

    /// Input that cannot be accepted: the form again, or problem details that point at the fields.
    pub fn invalid(
        request: &Request,
        site: &Site,
        content: Content<'_>,
        errors: &[FieldError],
        reason: &'static str,
    ) -> Self {
        let (status, outcome) = (StatusCode::UNPROCESSABLE_ENTITY, Outcome::Refused(reason));
        if !request.wants_json() {
            return Self::html(status, request, site, content, errors, outcome);
        }
        let texts = request.language.texts();
        let errors = errors.iter().map(|error| ErrorDetail {
            detail: error.cause.text(texts, site),
            pointer: format!("#/{}", error.field),
        });
        let details = ProblemDetails {
            status: status.as_u16(),
            title: texts.invalid_fields_title,
            detail: texts.invalid_fields_detail,
            errors: errors.collect(),
        };
        Self::json(status, "application/problem+json", &details, outcome)
    }

    /// A dependency failed: `503`, to be tried again.
    fn unavailable(request: &Request, site: &Site, cause: &Unavailable) -> Self {
        let mut answer =
            Self::problem(request, site, Problem::Unavailable).with(header::RETRY_AFTER, "60");
        answer.outcome = Outcome::Unavailable(cause.clone());
        answer
    }

    /// `204` to the preflight of an allowed origin.
    fn preflight(methods: &'static str) -> Self {
        Self::new(StatusCode::NO_CONTENT, Outcome::Preflight)
            .with(ACCESS_CONTROL_ALLOW_METHODS, methods)
            .with(ACCESS_CONTROL_ALLOW_HEADERS, "content-type")
            .with(ACCESS_CONTROL_MAX_AGE, "600")
    }

    /// The answer as it is sent. All answers have the same security headers. One to an allowed origin has CORS headers. One
    /// to a `HEAD` has no body.
    pub fn into_sent(self, request: &Request, site: &Site, policies: &Policies) -> Sent {
        let policy = if self.has_challenge {
            &policies.with_challenge
        } else {
            &policies.plain
        };
        let mut headers = HeaderMap::with_capacity(12);
        let mut set = |name: HeaderName, value: &str| {
            // Values are ours or from settings that were parsed as URLs: visible ASCII.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(header::CACHE_CONTROL, "no-store");
        set(header::CONTENT_LANGUAGE, request.language.tag());
        set(header::CONTENT_SECURITY_POLICY, policy);
        // No `Referer` shows a token, not even to pages of the same origin.
        set(header::REFERRER_POLICY, "strict-origin");
        set(header::VARY, "Origin, Accept, Accept-Language, Cookie");
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
        Sent {
            status: self.status,
            headers,
            cookie: self.cookie,
            body: if request.method == Method::HEAD {
                String::new()
            } else {
                self.body
            },
        }
    }
}
