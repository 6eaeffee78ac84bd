//! The content security policy of every page (CSP Level 3).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::settings;
use crate::site::Site;
use crate::web::pages;

/// What pages may load, and where their forms may lead.
pub fn content_security_policy(site: &Site) -> String {
    let style = STANDARD.encode(Sha256::digest(pages::style(site)));
    let mut policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    );
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
    if let Some(widget) = &site.widget {
        let sources = &widget.sources;
        let _ = write!(
            policy,
            "; script-src {sources}; frame-src {sources}; connect-src {sources}"
        );
    }
    policy
}
