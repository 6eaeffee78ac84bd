//! A request as the handlers see it.

use lambda_http::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, ORIGIN};
use lambda_http::http::{HeaderValue, Method};

use crate::site::Site;
use crate::web::answer::{Problem, Refusal};

/// A request: what of an event the service looks at.
#[derive(Default)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The route that the path names, if it names one.
    pub route: Option<Route>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decoded.
    pub body: Vec<u8>,
    /// The client's IP address, as API Gateway saw it.
    pub source_ip: Option<String>,
}

/// The paths of the service, without stage and base path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/accounts/create`
    Create,
    /// `/accounts/created`
    Created,
    /// `/accounts/confirm/{token}`
    Confirm {
        /// The last segment, as it stands in the path.
        token: String,
    },
    /// `/accounts/confirmed`
    Confirmed,
    /// `/accounts/email`
    Email,
}

impl Route {
    /// Finds the route of `path`, which may or may not begin with the `stage` of a REST or HTTP API and the `base_path` of
    /// `BASE_URL`: which of them an event's path holds depends on the kind of API and on whether it has its own domain.
    #[must_use]
    pub fn find(path: &str, stage: Option<&str>, base_path: &str) -> Option<Self> {
        let staged = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
        let inner = [Some(path), staged];
        let mut candidates = inner
            .into_iter()
            .flatten()
            .flat_map(|path| [Some(path), path.strip_prefix(base_path)]);
        candidates.find_map(|path| Self::parse(path?))
    }

    fn parse(path: &str) -> Option<Self> {
        match path {
            "/accounts/create" => Some(Self::Create),
            "/accounts/created" => Some(Self::Created),
            "/accounts/confirmed" => Some(Self::Confirmed),
            "/accounts/email" => Some(Self::Email),
            _ => {
                let token = path.strip_prefix("/accounts/confirm/")?;
                let is_segment = !token.is_empty() && !token.contains('/');
                is_segment.then(|| Self::Confirm {
                    token: token.to_owned(),
                })
            }
        }
    }

    /// The route's pattern, for logs: never the token.
    #[must_use]
    pub fn pattern(&self) -> &'static str {
        match self {
            Self::Create => "/accounts/create",
            Self::Created => "/accounts/created",
            Self::Confirm { .. } => "/accounts/confirm/{token}",
            Self::Confirmed => "/accounts/confirmed",
            Self::Email => "/accounts/email",
        }
    }

    fn takes_post(&self) -> bool {
        !matches!(self, Self::Created | Self::Confirmed)
    }

    /// The value of `Allow`.
    fn allow(&self) -> &'static str {
        if self.takes_post() {
            "GET, HEAD, POST, OPTIONS"
        } else {
            "GET, HEAD, OPTIONS"
        }
    }
}

impl Request {
    /// Lets through what may reach a function: a `GET`, a `HEAD`, or a `POST` that no other site's page has sent.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] of all else; a preflight of an allowed origin is not for a function either.
    pub fn admit(&self, site: &Site) -> Result<&Route, Refusal> {
        let route = self.route.as_ref().ok_or(Problem::NOT_FOUND)?;
        let allow = route.allow();
        match self.method {
            Method::POST if !route.takes_post() => Err(Refusal::Method { allow }),
            Method::POST if self.is_cross_site(site) => Err(Problem::CROSS_SITE.into()),
            Method::GET | Method::HEAD | Method::POST => Ok(route),
            Method::OPTIONS if self.allowed_origin(site).is_some() => {
                Err(Refusal::Preflight { allow })
            }
            _ => Err(Refusal::Method { allow }),
        }
    }

    /// Fetch Metadata (<https://www.w3.org/TR/fetch-metadata/>), and `Origin` for browsers that do not send it.
    fn is_cross_site(&self, site: &Site) -> bool {
        if self.allowed_origin(site).is_some() {
            return false;
        }
        match (
            self.header(&HeaderName::from_static("sec-fetch-site")),
            self.headers.get(ORIGIN),
        ) {
            (Some(relation), _) => !matches!(relation, "same-origin" | "none"),
            (None, Some(origin)) => !origin
                .to_str()
                .is_ok_and(|origin| site.is_own_origin(origin)),
            (None, None) => self.headers.contains_key("sec-fetch-site"),
        }
    }

    /// The request's `Origin` if it is in `ALLOWED_ORIGINS`.
    #[must_use]
    pub fn allowed_origin(&self, site: &Site) -> Option<&HeaderValue> {
        self.headers.get(ORIGIN).filter(|origin| {
            origin
                .to_str()
                .is_ok_and(|origin| site.allows_origin(origin))
        })
    }

    /// Whether a browser fetches the page before anybody asked for it: `Sec-Purpose`, and what older ones send.
    #[must_use]
    pub fn is_prefetch(&self) -> bool {
        ["sec-purpose", "purpose", "x-purpose", "x-moz"]
            .into_iter()
            .any(|name| {
                self.header(&HeaderName::from_static(name))
                    .is_some_and(|value| {
                        let value = value.to_ascii_lowercase();
                        ["prefetch", "prerender", "preview"]
                            .iter()
                            .any(|purpose| value.contains(purpose))
                    })
            })
    }

    /// Whether the client sends JSON, or asks for it rather than for HTML (RFC 9110, 12.5.1).
    #[must_use]
    pub fn wants_json(&self) -> bool {
        if self.media_type() == Some("application/json") {
            return true;
        }
        let accept = self.header(&ACCEPT).unwrap_or_default();
        let json = preference(
            accept,
            &[
                "application/json",
                "application/problem+json",
                "application/*",
            ],
        );
        let html = preference(accept, &["text/html", "application/xhtml+xml", "text/*"]);
        json > html
    }

    /// The media type of the body, without parameters, if it is one of ours and in UTF-8; `""` stands for none given.
    #[must_use]
    pub fn media_type(&self) -> Option<&'static str> {
        let Some(value) = self.headers.get(CONTENT_TYPE) else {
            return Some("");
        };
        let (essence, parameters) = value
            .to_str()
            .ok()?
            .split_once(';')
            .unwrap_or((value.to_str().ok()?, ""));
        let charset = parameters
            .split(';')
            .filter_map(|parameter| parameter.trim().split_once('='));
        let is_utf8 = charset
            .filter(|(name, _)| name.eq_ignore_ascii_case("charset"))
            .all(|(_, charset)| charset.trim_matches('"').eq_ignore_ascii_case("utf-8"));
        ["application/x-www-form-urlencoded", "application/json"]
            .into_iter()
            .find(|ours| is_utf8 && essence.trim().eq_ignore_ascii_case(ours))
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The weight that `accept` gives to the first of `names`, or to any type: (quality in thousandths, whether it was named).
fn preference(accept: &str, names: &[&str]) -> (u16, bool) {
    let mut best = (0, false);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let quality =
            parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality = quality.map_or(1.0, |quality| quality.parse::<f32>().unwrap_or(0.0));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0 to 1000"
        )]
        let quality = (quality.clamp(0.0, 1.0) * 1000.0) as u16;
        let is_ours = names
            .iter()
            .any(|name| media_type.eq_ignore_ascii_case(name));
        if (is_ours || media_type == "*/*") && quality > 0 {
            best = best.max((quality, is_ours));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_what_remains_without_stage_and_base_path() {
        for (path, stage, base_path) in [
            ("/accounts/create", None, ""),
            ("/accounts/create", Some("prod"), "/prod"),
            ("/prod/accounts/create", Some("prod"), ""),
            ("/prod/accounts/create", Some("prod"), "/prod"),
            ("/v1/accounts/create", Some("$default"), "/v1"),
            ("/prod/v1/accounts/create", Some("prod"), "/v1"),
            ("/accounts/create", Some("accounts"), "/accounts"),
            ("/accounts/accounts/create", Some("accounts"), ""),
        ] {
            assert_eq!(
                Route::find(path, stage, base_path),
                Some(Route::Create),
                "{path} {stage:?} {base_path}"
            );
        }
    }

    #[test]
    fn other_paths_are_no_route() {
        for path in [
            "",
            "/",
            "accounts/create",
            "/accounts/create/",
            "/accounts/confirm/",
            "/accounts/confirm/a/b",
            "/x/accounts/create",
            "/prodaccounts/create",
        ] {
            assert_eq!(Route::find(path, Some("prod"), "/v1"), None, "{path}");
        }
    }

    fn asks(accept: &str) -> bool {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_str(accept).unwrap())]);
        Request {
            headers,
            ..Request::default()
        }
        .wants_json()
    }

    #[test]
    fn json_is_for_clients_that_prefer_it() {
        assert!(asks("application/json"));
        assert!(asks("application/json, text/plain, */*"));
        assert!(asks("text/html;q=0.5, application/json"));
        assert!(asks("application/problem+json"));

        assert!(!asks("*/*"));
        assert!(!asks(""));
        assert!(!asks(
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        ));
        assert!(!asks("text/html, application/json"));
        assert!(!asks("application/json;q=0"));
        assert!(!asks("application/json;q=NaN"));
    }
}
