//! The content security policy of every page (CSP Level 3).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::challenge::Widget;
use crate::settings;
use crate::site::Site;
use crate::web::pages;

/// What pages may load, and where their forms may lead.
pub struct Policies {
    /// Of every page without a challenge, those that hold a live token among them.
    pub plain: String,
    /// Of a page whose form has the challenge.
    pub with_challenge: String,
}

impl Policies {
    pub fn of(site: &Site) -> Self {
        let style = STANDARD.encode(Sha256::digest(pages::style(site)));
        let plain = policy(site, &style, None);
        let with_challenge = match &site.widget {
            Some(widget) => policy(site, &style, Some(widget)),
            None => plain.clone(),
        };
        Self {
            plain,
            with_challenge,
        }
    }
}

/// `style` is the hash of the style sheet.
fn policy(site: &Site, style: &str, widget: Option<&Widget>) -> String {
    let mut policy = format!("default-src 'none'; style-src 'sha256-{style}'");
    if let Some(widget) = widget {
        let sources = &widget.sources;
        if widget.works_in_page {
            let _ = write!(policy, " {sources}; connect-src {sources}");
        }
        let _ = write!(policy, "; script-src {sources}; frame-src {sources}");
    }
    policy.push_str("; base-uri 'none'; frame-ancestors 'none'; form-action 'self'");
    // Browsers apply `form-action` to the redirect that answers a form too.
    let mut listed = Vec::new();
    for url in [&site.index_url, &site.sign_in_url] {
        let origin = settings::web_url(url).map(|url| url.origin().ascii_serialization());
        if let Some(origin) = origin.filter(|origin| !listed.contains(origin)) {
            let _ = write!(policy, " {origin}");
            listed.push(origin);
        }
    }
    if let Some(logo) = &site.logo_url {
        let _ = write!(policy, "; img-src {}", logo.origin().ascii_serialization());
    }
    policy
}
