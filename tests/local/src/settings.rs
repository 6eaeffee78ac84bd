//! The functions' settings for local use.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;

use local::challenge;
use local::dynamodb::{LIMITS_TABLE, USERS_TABLE};

/// Signs links on this machine only; it stands in the repository for all to read.
const SECRET_KEY: &str = "for local use only, known to everybody";

/// Settings that the caller's environment may override or add.
const FROM_CALLER: [&str; 26] = [
    "ACCENT_COLOR",
    "ALLOWED_ORIGINS",
    "APP_NAME",
    "AWS_LAMBDA_LOG_LEVEL",
    "BASE_URL",
    "CHALLENGE",
    "CHALLENGE_ENDPOINT_URL",
    "CHALLENGE_SECRET",
    "CHALLENGE_SITE_KEY",
    "CONFIRM_MAX_AGE",
    "CONFIRM_ON",
    "INDEX_URL",
    "LANGUAGE",
    "LOGO_URL",
    "MAIL_FROM",
    "REQUESTS_PER_NETWORK",
    "RESEND_COOLDOWN",
    "RESET_MAX_AGE",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "SES_CONFIGURATION_SET",
    "SES_NOTICES_CONFIGURATION_SET",
    "SIGN_IN_URL",
    "SUPPORT_EMAIL",
    "TRUSTED_NETWORKS",
    "TRUSTED_PROXIES",
];

/// Whether the caller asks for a challenge without a site key of its own, so that the stand-in serves it.
pub fn wants_challenge() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_none = std::env::var_os("CHALLENGE").is_some_and(|value| value == "none");
    is_set("CHALLENGE") && !is_none && !is_set("CHALLENGE_SITE_KEY")
}

/// The settings of functions that are reached at `base_url` and use these services.
pub fn settings(
    base_url: &str,
    dynamodb: SocketAddr,
    ses: SocketAddr,
    challenge: Option<SocketAddr>,
) -> BTreeMap<&'static str, OsString> {
    let mut settings: BTreeMap<_, _> = [
        ("APP_NAME", "My App".to_owned()),
        ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{dynamodb}")),
        ("AWS_ENDPOINT_URL_SESV2", format!("http://{ses}")),
        ("BASE_URL", base_url.to_owned()),
        ("LIMITS_TABLE", LIMITS_TABLE.to_owned()),
        ("MAIL_FROM", "My App <no-reply@example.com>".to_owned()),
        ("SECRET_KEY", SECRET_KEY.to_owned()),
        ("USERS_TABLE", USERS_TABLE.to_owned()),
    ]
    .map(|(name, value)| (name, OsString::from(value)))
    .into();
    if let Some(provider) = challenge {
        settings.extend([
            (
                "CHALLENGE_ENDPOINT_URL",
                format!("http://{provider}").into(),
            ),
            ("CHALLENGE_SECRET", challenge::SECRET.into()),
            ("CHALLENGE_SITE_KEY", challenge::SITE_KEY.into()),
        ]);
    }
    for name in FROM_CALLER {
        if let Some(value) = std::env::var_os(name) {
            settings.insert(name, value);
        }
    }
    settings
}
