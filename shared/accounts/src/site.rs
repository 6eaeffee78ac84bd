//! What the service is called and where it stands on the web.

use crate::email_address::EmailAddress;
use crate::mail::sender::Sender;
use crate::settings::{self, InvalidSetting};

/// The public face of the service, from `BASE_URL`, `APP_NAME`, `SUPPORT_EMAIL`, `INDEX_URL`, `SIGN_IN_URL` and
/// `ALLOWED_ORIGINS`. Nothing of it is ever taken from a request.
#[derive(Clone)]
pub struct Site {
    /// Shown in pages and mails.
    pub app_name: String,
    /// The address behind "Questions? Comments?".
    pub support_email: String,
    /// Where a browser goes after signing up.
    pub index_url: String,
    /// Where a browser goes once its address is confirmed.
    pub sign_in_url: String,
    base_url: String,
    base_path: String,
    origin: String,
    allowed_origins: Vec<String>,
    content_security_policy: String,
}

impl Site {
    /// Reads the settings; `sender` gives the default of `SUPPORT_EMAIL`.
    ///
    /// # Errors
    ///
    /// [`InvalidSetting`] names the variable that is missing or wrong.
    pub fn from_env(sender: &Sender) -> Result<Self, InvalidSetting> {
        const BASE_URL: &str =
            "the public http(s) origin of the links, perhaps with a path: https://myapp.com";
        let base = settings::required("BASE_URL", BASE_URL, |value| {
            settings::web_url(value).filter(|url| url.query().is_none() && url.fragment().is_none())
        })?;
        let host = base.host_str().unwrap_or_default().to_owned();
        let base_path = base.path().trim_end_matches('/').to_owned();
        let origin = base.origin().ascii_serialization();
        let base_url = format!("{origin}{base_path}");

        let page = |variable, path| {
            let url = settings::optional(variable, "an absolute http(s) URL", settings::web_url)?;
            Ok(url.map_or_else(|| format!("{base_url}{path}"), String::from))
        };
        let index_url = page("INDEX_URL", "/accounts/created")?;
        let sign_in_url = page("SIGN_IN_URL", "/accounts/confirmed")?;
        let content_security_policy = content_security_policy([&index_url, &sign_in_url]);

        let address = |value: &str| {
            EmailAddress::parse(value)
                .ok()
                .map(|_| value.trim().to_owned())
        };
        Ok(Self {
            app_name: settings::optional("APP_NAME", "one line of text", settings::plain_text)?
                .unwrap_or(host),
            support_email: settings::optional("SUPPORT_EMAIL", "a mail address", address)?
                .unwrap_or_else(|| sender.address().to_owned()),
            allowed_origins: allowed_origins()?,
            index_url,
            sign_in_url,
            base_url,
            base_path,
            origin,
            content_security_policy,
        })
    }

    /// The public URL of a path of ours, which begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// The path of `BASE_URL`: empty, or with a slash before and none after it.
    #[must_use]
    pub fn base_path(&self) -> &str {
        &self.base_path
    }

    /// Whether `origin` is the one that `BASE_URL` names.
    #[must_use]
    pub fn is_own_origin(&self, origin: &str) -> bool {
        origin == self.origin
    }

    /// Whether `origin` is in `ALLOWED_ORIGINS`.
    #[must_use]
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.allowed_origins.iter().any(|allowed| allowed == origin)
    }

    /// The policy of every page (CSP Level 3).
    #[must_use]
    pub fn content_security_policy(&self) -> &str {
        &self.content_security_policy
    }
}

#[cfg(test)]
impl Site {
    pub(crate) fn example() -> Self {
        let (index_url, sign_in_url) = (
            "https://myapp.com/welcome".to_owned(),
            "https://id.myapp.com/sign-in".to_owned(),
        );
        Self {
            app_name: "My <App>".to_owned(),
            support_email: "support@myapp.com".to_owned(),
            content_security_policy: content_security_policy([&index_url, &sign_in_url]),
            index_url,
            sign_in_url,
            base_url: "https://myapp.com".to_owned(),
            base_path: String::new(),
            origin: "https://myapp.com".to_owned(),
            allowed_origins: vec!["https://www.myapp.com".to_owned()],
        }
    }
}

fn allowed_origins() -> Result<Vec<String>, InvalidSetting> {
    const EXPECTED: &str =
        "origins, comma-separated: https://www.myapp.com,https://admin.myapp.com";
    let origins = settings::optional("ALLOWED_ORIGINS", EXPECTED, |value| {
        value
            .split(',')
            .map(|origin| parse_origin(origin.trim()))
            .collect()
    })?;
    Ok(origins.unwrap_or_default())
}

/// An origin as a browser sends it (RFC 6454, 6.2), so that both can be compared as text.
fn parse_origin(text: &str) -> Option<String> {
    let url = settings::web_url(text)?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    is_bare.then(|| url.origin().ascii_serialization())
}

/// Browsers apply `form-action` to the redirect that answers a form, so the pages it leads to are listed.
fn content_security_policy(targets: [&String; 2]) -> String {
    use crate::web::pages::STYLE_HASH;
    let mut policy = format!(
        "default-src 'none'; style-src '{STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    );
    let mut listed = Vec::new();
    for origin in targets
        .into_iter()
        .filter_map(|url| settings::web_url(url))
        .map(|url| url.origin().ascii_serialization())
    {
        if !listed.contains(&origin) {
            policy.push(' ');
            policy.push_str(&origin);
            listed.push(origin);
        }
    }
    policy
}
