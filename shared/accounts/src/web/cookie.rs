//! The cookie of the browser that asked.

use crate::site::Site;
use crate::web::request::Request;

/// The cookie's name: with the prefix that keeps other hosts and plain HTTP from setting it (RFC 6265bis, 4.1.3.2), where the
/// service is reached by TLS.
pub fn name(site: &Site) -> &'static str {
    if site.is_secure() {
        "__Host-accounts"
    } else {
        "accounts"
    }
}

/// The value of `Set-Cookie` for a `value` that lives `max_age` seconds.
pub fn set(site: &Site, value: &str, max_age: u64) -> String {
    let secure = if site.is_secure() { "; Secure" } else { "" };
    let name = name(site);
    format!("{name}={value}; Max-Age={max_age}; Path=/; HttpOnly; SameSite=Lax{secure}")
}

/// The cookie's value in a request. Two cookies with the name count as none, since nothing tells which one is ours.
pub fn find<'a>(site: &Site, request: &'a Request) -> Option<&'a str> {
    let name = name(site);
    let mut values = request
        .cookies
        .iter()
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(other, _)| *other == name)
        .map(|(_, value)| value);
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cookies: &[&str]) -> Option<String> {
        let request = Request {
            cookies: cookies.iter().map(ToString::to_string).collect(),
            ..Request::default()
        };
        find(&Site::example(), &request).map(str::to_owned)
    }

    #[test]
    fn a_cookie_is_found_among_others_if_it_is_the_only_one_of_its_name() {
        assert_eq!(
            found(&["a=1", "__Host-accounts=x.y"]).as_deref(),
            Some("x.y")
        );
        assert_eq!(found(&["a=1; __Host-accounts=x; b"]).as_deref(), Some("x"));
        assert_eq!(found(&["__Host-accounts=x; __Host-accounts=x"]), None);
        assert_eq!(found(&["__Host-accounts=x", "__Host-accounts=y"]), None);
        assert_eq!(found(&["accounts=x", "__host-accounts=y"]), None);
    }

    #[test]
    fn attributes_are_those_that_the_prefix_demands() {
        assert_eq!(
            set(&Site::example(), "x.y", 86_400),
            "__Host-accounts=x.y; Max-Age=86400; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
    }
}
