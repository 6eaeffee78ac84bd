//! A request as the handlers see it.

use lambda_http::http::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, HeaderMap, HeaderName, ORIGIN,
};
use lambda_http::http::{HeaderValue, Method};

use crate::site::Site;
use crate::texts::Language;
use crate::web::problem::{Problem, Refusal};
use crate::web::route::Route;

/// A request: the parts of an event that the service uses.
#[derive(Default)]
pub struct Request {
    pub payload: Payload,
    pub method: Method,
    /// The route that the path names, if it names one.
    pub route: Option<Route>,
    pub headers: HeaderMap,
    /// The values of `Cookie`.
    pub cookies: Vec<String>,
    /// The body, decoded.
    pub body: Vec<u8>,
    /// The client's IP address, as API Gateway saw it.
    pub source_ip: Option<String>,
    /// The language to answer in.
    pub language: Language,
}

/// The format of an event, and so of the reply
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Payload {
    V1,
    #[default]
    V2,
}

impl Request {
    /// Lets through what may reach a function: a `GET`, a `HEAD`, or a `POST` that no other site's page has sent.
    pub fn admit(&self, site: &Site) -> Result<&Route, Refusal> {
        let route = self.route.as_ref().ok_or(Problem::NotFound)?;
        let allow = route.allow();
        match self.method {
            Method::POST if !route.takes_post() => Err(Refusal::Method { allow }),
            Method::POST if self.is_cross_site(site) => Err(Problem::CrossSite.into()),
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
    pub fn allowed_origin(&self, site: &Site) -> Option<&HeaderValue> {
        self.headers.get(ORIGIN).filter(|origin| {
            origin
                .to_str()
                .is_ok_and(|origin| site.allows_origin(origin))
        })
    }

    /// Whether a browser fetches the page before anybody asked for it: `Sec-Purpose`, and what older ones send.
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
    pub fn wants_json(&self) -> bool {
        if self.media_type() == Some("application/json") {
            return true;
        }
        let accept = self.list(&ACCEPT);
        let json = preference(
            &accept,
            &[
                "application/json",
                "application/problem+json",
                "application/*",
            ],
        );
        let html = preference(&accept, &["text/html", "application/xhtml+xml", "text/*"]);
        json > html
    }

    /// The media type of the body, without parameters, if it is one of ours and in UTF-8; `""` stands for none given.
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

    /// The language of ours that the client likes best (RFC 9110, 12.5.4); `None` if it likes none, or any (`*`) best.
    pub fn accepted_language(&self) -> Option<Language> {
        let list = self.list(&ACCEPT_LANGUAGE);
        let mut accepted: Vec<_> = weighted(&list)
            .filter(|(_, quality)| *quality > 0)
            .filter_map(|(tag, quality)| match tag {
                "*" => Some((None, quality)),
                tag => Some((Some(Language::from_tag(tag)?), quality)),
            })
            .collect();
        // A stable sort: among equals the first counts.
        accepted.sort_by_key(|(_, quality)| std::cmp::Reverse(*quality));
        accepted.first().and_then(|(language, _)| *language)
    }

    /// The whole chain of `X-Forwarded-For`.
    pub fn forwarded_for(&self) -> String {
        self.list(&HeaderName::from_static("x-forwarded-for"))
    }

    /// All lines of a header that is a list, as one (RFC 9110, 5.3).
    fn list(&self, name: &HeaderName) -> String {
        let values = self.headers.get_all(name).iter();
        let values: Vec<_> = values.filter_map(utf8).collect();
        values.join(",")
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        utf8(self.headers.get(name)?)
    }
}

/// A header's value. Events are JSON, so it is UTF-8; `to_str` would refuse what is not ASCII, and with it all the rest of a line
/// of which a client wrote only a part.
pub(super) fn utf8(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}

/// The weight that `accept` gives to the first of `names`, or to any type: (quality in thousandths, whether it was named).
fn preference(accept: &str, names: &[&str]) -> (u16, bool) {
    let mut best = (0, false);
    for (range, quality) in weighted(accept) {
        let is_ours = names.iter().any(|name| range.eq_ignore_ascii_case(name));
        if (is_ours || range == "*/*") && quality > 0 {
            best = best.max((quality, is_ours));
        }
    }
    best
}

/// The members of a list such as `Accept`, each with its quality in thousandths (RFC 9110, 12.4.2). By hand, as the crates for
/// it read either media types or languages.
fn weighted(list: &str) -> impl Iterator<Item = (&str, u16)> {
    list.split(',').map(|member| {
        let mut parts = member.split(';').map(str::trim);
        let value = parts.next().unwrap_or_default();
        let quality =
            parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality = quality.map_or(1.0, |quality| quality.parse::<f32>().unwrap_or(0.0));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0 to 1000"
        )]
        let quality = (quality.clamp(0.0, 1.0) * 1000.0) as u16;
        (value, quality)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(accept: &str) -> bool {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_str(accept).unwrap())]);
        Request {
            headers,
            ..Request::default()
        }
        .wants_json()
    }

    fn language(accepted: &str) -> Option<Language> {
        let value = HeaderValue::from_bytes(accepted.as_bytes()).unwrap();
        let headers = HeaderMap::from_iter([(ACCEPT_LANGUAGE, value)]);
        Request {
            headers,
            ..Request::default()
        }
        .accepted_language()
    }

    #[test]
    fn the_language_that_is_liked_best_is_chosen() {
        for (accepted, expected) in [
            ("de", Language::De),
            ("de-AT,de;q=0.9,en;q=0.8", Language::De),
            ("en;q=0.3, fr ;q=0.8 ,de;q=0.5", Language::Fr),
            ("de;q=0, fr;q=0.1", Language::Fr),
            ("tlh, sv;q=0.1", Language::Sv),
            ("zh-CN,zh;q=0.9", Language::ZhHans),
            ("zh-TW,en;q=0.8", Language::En),
            ("pt-PT", Language::PtBr),
            ("es, *;q=0.5", Language::Es),
            ("ar-EG", Language::Ar),
            ("uk-UA;q=1.000", Language::Uk),
            ("xx;q=9, ja;q=1", Language::Ja),
            ("it;q=0.001", Language::It),
            (",,;q=1,nl", Language::Nl),
        ] {
            assert_eq!(language(accepted), Some(expected), "{accepted}");
        }
        for accepted in [
            "",
            "*",
            "*, de;q=0.5",
            "tlh",
            "de;q=0",
            "de;q=x",
            "de;q=NaN",
            "de;q=-1",
            ";",
            "d\u{e9}",
            "zh-Hant",
        ] {
            assert_eq!(language(accepted), None, "{accepted}");
        }
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
