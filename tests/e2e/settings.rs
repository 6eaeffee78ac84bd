//! Every setting: its default, what is taken, and what stops the start.

use serde_json::json;
use tests::{Builder, World};

use crate::steps::{ADA, PASSWORD, have_account, is_confirmed, sign_up};

const FUNCTIONS: &[&str] = &[
    "create-account",
    "confirm-email",
    "change-email",
    "reset-password",
];

/// Those that verify links.
const VERIFYING: &[&str] = &["confirm-email", "reset-password"];

/// A variable, the functions that read it, and values that it may not hold.
const INVALID: [(&str, &[&str], &[&str]); 29] = [
    (
        "USERS_TABLE",
        FUNCTIONS,
        &["", "two words", "users;", "us\u{fc}rs"],
    ),
    (
        "LIMITS_TABLE",
        FUNCTIONS,
        &["", "two words", "limits;", "l\u{ee}mits"],
    ),
    (
        "SECRET_KEY",
        FUNCTIONS,
        &[
            "",
            "fifteen bytes!!",
            "                ",
            "aaaaaaaaaaaaaaaaaaaaaaaa",
            "changeme-changeme",
            "your-secret-key-here",
            "REPLACE_THIS_SECRET_KEY",
            "-----------------=",
        ],
    ),
    (
        "SECRET_KEY_FALLBACKS",
        VERIFYING,
        &[
            "too short",
            "long enough, is this,",
            "a key that is long enough,short",
            "a key that is long enough,changeme-changeme",
            "a key that is long enough, another with a space before",
            "a key that is long enough ,another that is long enough",
        ],
    ),
    (
        "BASE_URL",
        FUNCTIONS,
        &[
            "",
            "myapp.com",
            "//myapp.com",
            "/accounts",
            "ftp://myapp.com",
            "https://",
            "https://user:pw@myapp.com",
            "https://*.myapp.com",
            "https://myapp.com?x=1",
            "https://myapp.com#top",
            "mailto:a@myapp.com",
            "javascript:alert(1)",
        ],
    ),
    (
        "MAIL_FROM",
        FUNCTIONS,
        &[
            "",
            "My App",
            "My App <>",
            "no-reply",
            "no-reply@localhost",
            "My App <no-reply@myapp.com",
            "a@b.de, c@d.de",
            "My App <a@b.de> <c@d.de>",
            "a@b.de\r\nBcc: c@d.de",
            "\u{fc}@b.de",
        ],
    ),
    (
        "SUPPORT_EMAIL",
        FUNCTIONS,
        &[
            "support",
            "My App <help@myapp.com>",
            "a@b.de,c@d.de",
            "help@localhost",
        ],
    ),
    ("APP_NAME", FUNCTIONS, &[" ", "My\nApp", "My\u{7f}App"]),
    (
        "ACCENT_COLOR",
        FUNCTIONS,
        &[
            "red",
            "1d4ed8",
            "#1d4",
            "#1d4ed8ff",
            "#1d4ed8;",
            "#ffffff",
            "#60a5fa",
            "#gggggg",
        ],
    ),
    (
        "LOGO_URL",
        FUNCTIONS,
        &[
            "logo.png",
            "http://myapp.com/logo.png",
            "data:image/png;base64,AAAA",
            "https://*.myapp.com/logo.png",
        ],
    ),
    ("LANGUAGE", FUNCTIONS, &["tlh", "english", "-", "e"]),
    (
        "INDEX_URL",
        FUNCTIONS,
        &[
            "/welcome",
            "www.myapp.com",
            "ftp://myapp.com/",
            "javascript:alert(1)",
            "https://",
        ],
    ),
    (
        "SIGN_IN_URL",
        FUNCTIONS,
        &[
            "/sign-in",
            "id.myapp.com",
            "data:text/html,x",
            "https://a:b@myapp.com/",
        ],
    ),
    (
        "ALLOWED_ORIGINS",
        FUNCTIONS,
        &[
            "*",
            "null",
            "www.myapp.com",
            "https://www.myapp.com/path",
            "https://www.myapp.com,*",
            "https://www.myapp.com,null",
            "https://www.myapp.com,",
            "https://www.myapp.com?x",
            "https://*.myapp.com",
        ],
    ),
    (
        "CONFIRM_MAX_AGE",
        FUNCTIONS,
        &[
            "0",
            "-1",
            "1.5",
            "1d",
            "a day",
            "99999999999999999999",
            "1e3",
            " 60",
        ],
    ),
    (
        "RESET_MAX_AGE",
        &["reset-password"],
        &["0", "-1", "1h", "31536001", "an hour"],
    ),
    (
        "CONFIRM_ON",
        &["confirm-email"],
        &["click", "Visit", "button", "browser,visit"],
    ),
    (
        "RESEND_COOLDOWN",
        FUNCTIONS,
        &["-1", "86401", "1m", "0.5", "sixty"],
    ),
    (
        "REQUESTS_PER_NETWORK",
        FUNCTIONS,
        &["-1", "1.5", "thirty", "1000001"],
    ),
    (
        "TRUSTED_NETWORKS",
        FUNCTIONS,
        &[
            "*",
            "everybody",
            "203.0.113.0/33",
            "203.0.113",
            "203.0.113.0/24,",
            "203.0.113.0/24;198.51.100.0/24",
            "myapp.com",
        ],
    ),
    (
        "TRUSTED_PROXIES",
        FUNCTIONS,
        &["-1", "11", "one", "203.0.113.7"],
    ),
    (
        "CHALLENGE",
        FUNCTIONS,
        &["recaptcha", "Turnstile", "turnstile,hcaptcha"],
    ),
    (
        "SES_CONFIGURATION_SET",
        FUNCTIONS,
        &["my set", "set;", "s\u{e9}t"],
    ),
    (
        "SES_NOTICES_CONFIGURATION_SET",
        FUNCTIONS,
        &["my set", "set;", "s\u{e9}t"],
    ),
    ("AWS_REGION", FUNCTIONS, &["us east", "../x"]),
    (
        "AWS_CA_BUNDLE",
        FUNCTIONS,
        &["/no/such/file.pem", "/dev/null"],
    ),
    (
        "AWS_ENDPOINT_URL_DYNAMODB",
        FUNCTIONS,
        &["localhost:8000", "http://user:pw@127.0.0.1:8000"],
    ),
    ("AWS_ENDPOINT_URL_SESV2", FUNCTIONS, &["ftp://127.0.0.1"]),
    (
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        FUNCTIONS,
        &["ftp://127.0.0.1"],
    ),
];

/// What the start writes, if it fails.
async fn start(world: &World, function: &str) -> Option<Vec<String>> {
    if world.function(function).warm_up(1).await.is_ok() {
        return None;
    }
    let prefix = format!("{function}: ");
    let lines = world.final_logs().await;
    Some(
        lines
            .iter()
            .map(|line| line.strip_prefix(&prefix).unwrap().to_owned())
            .collect(),
    )
}

async fn assert_stops(builder: Builder, function: &str, variable: &str, value: &str) {
    let world = builder.start().await;

    let lines = start(&world, function).await;

    let lines = lines.unwrap_or_else(|| panic!("{function} starts with {variable}={value:?}"));
    let [line] = lines.as_slice() else {
        panic!("{function} with {variable}={value:?} writes {lines:#?}");
    };
    assert!(line.starts_with(variable), "{variable}={value:?}: {line}");
    assert!(line.contains("should hold"), "{variable}={value:?}: {line}");
}

#[tokio::test]
async fn an_invalid_setting_stops_the_start_with_one_line_that_names_it() {
    for (variable, functions, values) in INVALID {
        for function in functions {
            for value in values {
                let builder = World::builder().setting(variable, value);
                assert_stops(builder, function, variable, value).await;
            }
        }
    }
}

#[tokio::test]
async fn a_required_setting_that_is_missing_stops_the_start() {
    for variable in [
        "USERS_TABLE",
        "LIMITS_TABLE",
        "SECRET_KEY",
        "BASE_URL",
        "MAIL_FROM",
    ] {
        for &function in FUNCTIONS {
            assert_stops(World::builder().without(variable), function, variable, "").await;
        }
    }
}

#[tokio::test]
async fn there_is_one_source_of_the_key_and_not_two() {
    for &function in FUNCTIONS {
        let builder = World::builder().setting("SECRET_KEY_ARN", "a-secret");
        assert_stops(builder, function, "SECRET_KEY", "a-secret").await;
    }
}

#[tokio::test]
async fn a_secret_that_is_not_there_or_too_short_stops_the_start() {
    let short = "fifteen bytes!!";
    for &function in FUNCTIONS {
        for builder in [
            World::builder()
                .without("SECRET_KEY")
                .setting("SECRET_KEY_ARN", "no-such-secret"),
            World::builder().key_in_secrets_manager(),
        ] {
            let world = builder.start().await;
            world.rotate_key(short);

            let lines = start(&world, function).await.expect("it does not start");

            assert_eq!(lines.len(), 1, "{lines:#?}");
            assert!(lines[0].starts_with("SECRET_KEY_ARN: "), "{lines:#?}");
            assert!(!lines[0].contains(short), "{lines:#?}");
        }
    }
}

#[tokio::test]
async fn a_secrets_value_is_never_printed() {
    for (variable, value) in [
        ("SECRET_KEY", "hunter2"),
        ("SECRET_KEY_FALLBACKS", "hunter2"),
        ("SECRET_KEY_FALLBACKS", "hunter2-hunter2-hunter2,hunter2"),
    ] {
        let world = World::builder().setting(variable, value).start().await;

        let lines = start(&world, "confirm-email")
            .await
            .expect("it does not start");

        assert!(!lines.concat().contains("hunter2"), "{lines:#?}");
    }
}

#[tokio::test]
async fn a_function_does_not_look_at_settings_that_it_does_not_use() {
    let world = World::builder()
        .setting("CONFIRM_ON", "nonsense")
        .setting("RESET_MAX_AGE", "nonsense")
        .setting("SECRET_KEY_FALLBACKS", "short")
        .setting("CHALLENGE_SITE_KEY", "\n")
        .start()
        .await;

    for function in ["create-account", "change-email"] {
        assert_eq!(start(&world, function).await, None, "{function}");
    }
}

#[tokio::test]
async fn valid_settings_are_taken() {
    for (variable, values) in [
        (
            "USERS_TABLE",
            vec![
                "users",
                "My.Users_Table-1",
                "arn:aws:dynamodb:us-east-1:123456789012:table/users",
            ],
        ),
        (
            "SECRET_KEY",
            vec![
                "sixteen bytes!!!",
                " a key with spaces around it ",
                "\u{1f511}\u{1f512}\u{1f513}\u{1f5dd}",
            ],
        ),
        (
            "SECRET_KEY_FALLBACKS",
            vec![
                "",
                "a key that is long enough",
                "a key that is long enough,another that is long enough",
            ],
        ),
        (
            "BASE_URL",
            vec![
                "https://myapp.com",
                "https://myapp.com/",
                "https://myapp.com/a/b/",
                "http://localhost:3000",
                "http://127.0.0.1:9000",
                "https://[::1]:8443",
            ],
        ),
        (
            "MAIL_FROM",
            vec![
                "no-reply@myapp.com",
                "My App <no-reply@myapp.com>",
                "\"My, App\" <No-Reply@MyApp.com>",
                " No-Reply@myapp.com ",
            ],
        ),
        (
            "SUPPORT_EMAIL",
            vec!["", "help@myapp.com", "Help@B\u{fc}cher.example"],
        ),
        ("APP_NAME", vec!["", "My App", "\u{fc}\u{1f600} & <sons>"]),
        (
            "INDEX_URL",
            vec![
                "",
                "https://www.myapp.com",
                "http://localhost:3000/welcome?x=1#top",
            ],
        ),
        ("SIGN_IN_URL", vec!["", "https://id.myapp.com/sign-in"]),
        (
            "ALLOWED_ORIGINS",
            vec![
                "",
                "https://a.myapp.com",
                "https://a.myapp.com/ , http://localhost:3000",
            ],
        ),
        ("CONFIRM_MAX_AGE", vec!["", "1", "31536000"]),
        ("CONFIRM_ON", vec!["", "visit", "browser"]),
        ("RESET_MAX_AGE", vec!["", "1", "31536000"]),
        ("REQUESTS_PER_NETWORK", vec!["", "0", "1", "1000000"]),
        (
            "TRUSTED_NETWORKS",
            vec!["", "203.0.113.0/24", "203.0.113.7, 2001:db8::/48,::1"],
        ),
        ("TRUSTED_PROXIES", vec!["", "0", "10"]),
        ("CHALLENGE", vec!["", "none"]),
        ("LIMITS_TABLE", vec!["limits", "My.Limits_Table-1"]),
        ("ACCENT_COLOR", vec!["", "#1d4ed8", "#B91C1C", "#000000"]),
        ("LOGO_URL", vec!["", "https://myapp.com/logo.png?v=1"]),
        ("LANGUAGE", vec!["", "en", "EN", "en-GB"]),
        ("SES_NOTICES_CONFIGURATION_SET", vec!["", "notices-1"]),
        ("RESEND_COOLDOWN", vec!["", "0", "86400"]),
        ("SES_CONFIGURATION_SET", vec!["", "my_set-1"]),
        ("AWS_USE_FIPS_ENDPOINT", vec!["", "false"]),
        ("AWS_USE_DUALSTACK_ENDPOINT", vec!["", "False"]),
        ("AWS_ENDPOINT_URL", vec!["", "http://127.0.0.1:1"]),
    ] {
        for value in values {
            let world = World::builder().setting(variable, value).start().await;
            for &function in FUNCTIONS {
                assert_eq!(
                    start(&world, function).await,
                    None,
                    "{function}: {variable}={value:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_defaults_are_those_of_the_contract() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    sign_up(&world, ADA).await;
    let mail = world.mail_to(ADA);
    let page = world.get("/accounts/create").await;

    // APP_NAME, SUPPORT_EMAIL, INDEX_URL and SIGN_IN_URL.
    assert!(page.text().contains("– app.example.com</title>"));
    assert!(page.text().contains("mailto:no-reply@app.example.com"));
    assert!(mail.subject.ends_with("for app.example.com"));
    let index_url = sign_up(&world, "bob@example.com").await;
    assert_eq!(
        index_url.header("location"),
        Some("https://app.example.com/accounts/created")
    );
    // CONFIRM_ON is browser.
    let link = world.mail_to("bob@example.com").link();
    assert_eq!(world.get(&link).await.status, 200);
    let request = world.request("GET", &link).browser_of(&index_url);
    let sign_in_url = request.send().await;
    assert_eq!(
        sign_in_url.header("location"),
        Some("https://app.example.com/accounts/confirmed")
    );
    assert!(is_confirmed(&world, "bob@example.com"));
    // CONFIRM_MAX_AGE is a day, RESEND_COOLDOWN more than a moment, SES_CONFIGURATION_SET none.
    assert!(mail.text().contains("24 hours"));
    assert_eq!(world.mails_to(ADA).len(), 1);
    assert_eq!(mail.configuration_set, None);
    // RESET_MAX_AGE is an hour, LANGUAGE English, LOGO_URL none, CHALLENGE none.
    world
        .post_form("/accounts/password", &[("email", "bob@example.com")])
        .await;
    assert!(world.mail_to("bob@example.com").text().contains("1 hour."));
    assert_eq!(page.header("content-language"), Some("en"));
    assert!(!page.text().contains("<img") && !page.text().contains("<script"));
    assert!(page.text().contains("#1d4ed8"));
    // ALLOWED_ORIGINS is none.
    let request = world.request("GET", "/accounts/create");
    let request = request.header("origin", "https://www.example.com");
    assert_eq!(
        request.send().await.header("access-control-allow-origin"),
        None
    );
}

#[tokio::test]
async fn an_empty_setting_is_a_missing_one() {
    let names = [
        "SECRET_KEY_ARN",
        "SECRET_KEY_FALLBACKS",
        "SUPPORT_EMAIL",
        "APP_NAME",
        "INDEX_URL",
        "SIGN_IN_URL",
        "ALLOWED_ORIGINS",
        "CONFIRM_MAX_AGE",
        "CONFIRM_ON",
        "RESET_MAX_AGE",
        "RESEND_COOLDOWN",
        "TRUSTED_NETWORKS",
        "TRUSTED_PROXIES",
        "CHALLENGE",
        "CHALLENGE_SITE_KEY",
        "CHALLENGE_SECRET",
        "CHALLENGE_SECRET_ARN",
        "ACCENT_COLOR",
        "LOGO_URL",
        "LANGUAGE",
        "SES_CONFIGURATION_SET",
        "SES_NOTICES_CONFIGURATION_SET",
    ];
    let builder = names
        .into_iter()
        .fold(World::builder(), |builder, name| builder.setting(name, ""));
    let world = builder.start().await;
    let defaults = World::start().await;

    let answer = sign_up(&world, ADA).await;

    // The cookie is another one each time.
    let without_cookie = |mut answer: tests::Answer| {
        assert!(answer.cookie().is_some());
        answer.headers.retain(|(name, _)| name != "set-cookie");
        answer
    };
    let expected = sign_up(&defaults, ADA).await;
    assert_eq!(without_cookie(answer), without_cookie(expected));
    assert_eq!(world.mail_to(ADA).subject, defaults.mail_to(ADA).subject);
    assert_eq!(
        world.get("/accounts/create").await,
        defaults.get("/accounts/create").await
    );
}

#[tokio::test]
async fn a_slash_at_the_end_of_the_base_url_is_not_doubled() {
    for (base_url, link) in [
        (
            "https://example.com/",
            "https://example.com/accounts/confirm/",
        ),
        (
            "https://example.com/a/b/",
            "https://example.com/a/b/accounts/confirm/",
        ),
        (
            "HTTPS://Example.COM:443",
            "https://example.com/accounts/confirm/",
        ),
        (
            "http://localhost:3000",
            "http://localhost:3000/accounts/confirm/",
        ),
    ] {
        let world = World::builder().setting("BASE_URL", base_url).start().await;
        let request = world
            .request("POST", "/accounts/create")
            .function("create-account");

        request
            .form(&[("email", ADA), ("password", PASSWORD)])
            .send()
            .await;

        let token = world.mail_to(ADA).token();
        assert_eq!(world.mail_to(ADA).link(), format!("{link}{token}"));
    }
}

#[tokio::test]
async fn the_endpoint_of_one_service_goes_before_that_of_all() {
    let world = World::builder()
        .setting("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .start()
        .await;

    assert_eq!(sign_up(&world, ADA).await.status, 303);
    assert_eq!(world.calls("PutItem"), 1);
    assert_eq!(world.calls("SendEmail"), 1);
}

#[tokio::test]
async fn the_tables_are_those_that_are_named() {
    for (variable, operation, other) in [
        ("USERS_TABLE", "PutItem", "other-users"),
        ("LIMITS_TABLE", "UpdateItem", "other-limits"),
    ] {
        let world = World::builder().setting(variable, other).start().await;

        sign_up(&world, ADA).await;

        let tables: Vec<_> = world
            .dynamodb
            .requests(operation)
            .iter()
            .map(|request| request["TableName"].clone())
            .collect();
        assert!(tables.contains(&json!(other)), "{variable}: {tables:?}");
    }
}

#[tokio::test]
async fn the_key_of_the_local_run_is_for_local_services_only() {
    let local = "for local use only, known to everybody";
    for &function in FUNCTIONS {
        let at_home = World::builder().setting("SECRET_KEY", local).start().await;
        assert_eq!(start(&at_home, function).await, None, "{function}");

        let mut at_amazons = World::builder().setting("SECRET_KEY", local);
        for service in ["DYNAMODB", "SESV2", "SECRETS_MANAGER"] {
            at_amazons = at_amazons.without(&format!("AWS_ENDPOINT_URL_{service}"));
        }
        assert_stops(at_amazons, function, "SECRET_KEY", local).await;
    }
}

#[tokio::test]
async fn a_challenge_needs_a_site_key_and_one_source_of_its_secret() {
    let challenge = || World::builder().setting("CHALLENGE", "turnstile");
    let with_site_key = || challenge().setting("CHALLENGE_SITE_KEY", "a-site-key");
    for &function in FUNCTIONS {
        let secret = challenge().setting("CHALLENGE_SECRET", "a secret");
        assert_stops(secret, function, "CHALLENGE_SITE_KEY", "").await;
        assert_stops(with_site_key(), function, "CHALLENGE_SECRET", "").await;
        let both = with_site_key()
            .setting("CHALLENGE_SECRET", "a secret")
            .setting("CHALLENGE_SECRET_ARN", "a-secret");
        assert_stops(both, function, "CHALLENGE_SECRET", "both").await;

        for provider in ["turnstile", "hcaptcha"] {
            let builder = with_site_key().setting("CHALLENGE", provider);
            let builder = builder.setting("CHALLENGE_SECRET", "a secret");
            let world = builder.start().await;
            assert_eq!(start(&world, function).await, None, "{function} {provider}");
        }
    }
    let gone = with_site_key().setting("CHALLENGE_SECRET_ARN", "no-such-secret");
    let world = gone.start().await;
    let lines = start(&world, "create-account").await.expect("no secret");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].starts_with("CHALLENGE_SECRET_ARN: "), "{lines:#?}");
}

#[tokio::test]
async fn a_secret_may_be_named_instead_of_its_arn() {
    let world = World::builder()
        .key_in_secrets_manager()
        .setting("SECRET_KEY_ARN", "signing-key")
        .start()
        .await;

    have_account(&world, ADA).await;

    assert!(is_confirmed(&world, ADA));
}
