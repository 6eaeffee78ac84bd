//! The challenge that a person passes before anything is mailed: Turnstile or hCaptcha, for which a stand-in stands in.

use std::time::{Duration, Instant};

use fantoccini::Locator;
use local::challenge::{SECRET, SITE_KEY};
use serde_json::{Value, json};
use tests::{ANY, Answer, Browser, Fault, World};

use crate::steps::{ADA, PASSWORD, expired_link, is_confirmed, sign_up};

const PROVIDERS: [(&str, &str); 2] = [
    ("turnstile", "cf-turnstile-response"),
    ("hcaptcha", "h-captcha-response"),
];
const SITEVERIFY: &str = "POST /siteverify";
const BOB: &str = "bob@example.com";

async fn with_turnstile() -> World {
    World::builder().challenge("turnstile").start().await
}

/// Every post that may cause a mail, by its path and its fields.
fn posts(world: &World) -> [(String, Vec<(&'static str, &'static str)>); 4] {
    [
        (
            "/accounts/create".to_owned(),
            vec![("email", BOB), ("password", PASSWORD)],
        ),
        (expired_link(world, ADA), Vec::new()),
        (
            "/accounts/email".to_owned(),
            vec![("email", ADA), ("password", PASSWORD), ("new_email", BOB)],
        ),
        ("/accounts/password".to_owned(), vec![("email", ADA)]),
    ]
}

/// Has Ada sign up, and confirm her address if `confirmed`, as somebody who passes challenges; nothing is in a cooldown.
async fn have_ada(world: &World, confirmed: bool) {
    let response = world.provider.pass(SITE_KEY);
    let form = [
        ("email", ADA),
        ("password", PASSWORD),
        ("cf-turnstile-response", &response),
    ];
    let signed_up = world.post_form("/accounts/create", &form).await;
    assert_eq!(signed_up.status, 303);
    if confirmed {
        let link = world.mail_to(ADA).link();
        let opened = world.request("GET", &link).browser_of(&signed_up);
        assert_eq!(opened.send().await.status, 303);
        assert!(is_confirmed(world, ADA));
    }
}

async fn sign_up_with_response(world: &World, email: &str, response: &str) -> Answer {
    let form = [
        ("email", email),
        ("password", PASSWORD),
        ("cf-turnstile-response", response),
    ];
    world.post_form("/accounts/create", &form).await
}

fn says_what_to_do(answer: &Answer) -> bool {
    answer
        .text()
        .contains(r#"role="alert">Please show that you are not a robot."#)
}

#[tokio::test]
async fn every_post_that_may_cause_a_mail_needs_the_providers_answer_and_shows_its_form_again() {
    let world = World::builder()
        .challenge("turnstile")
        .setting("RESEND_COOLDOWN", "0")
        .start()
        .await;
    for (index, confirmed) in [(0, true), (1, false), (2, true), (3, true)] {
        world.store.delete(ADA).unwrap();
        have_ada(&world, confirmed).await;
        let (path, fields) = &posts(&world)[index];
        let (rows, mails) = (world.rows(), world.mails().len());

        // Without an answer, with an empty one, with one that somebody made up.
        for response in [None, Some(""), Some("made-up")] {
            let mut fields = fields.clone();
            fields.extend(response.map(|response| ("cf-turnstile-response", response)));
            let answer = world.post_form(path, &fields).await;

            assert_eq!(answer.status, 422, "{path} {response:?}");
            assert!(says_what_to_do(&answer), "{path}: {}", answer.text());
            assert!(answer.text().contains(r#"<div class="cf-turnstile""#));
            for (name, value) in &fields {
                let shown = answer.text().contains(&format!(r#"value="{value}""#));
                let is_shown_again = matches!(*name, "email" | "new_email");
                assert!(shown == is_shown_again || value.is_empty(), "{path} {name}");
            }
        }
        assert_eq!(world.rows(), rows, "{path}");
        assert_eq!(world.mails().len(), mails, "{path}");

        let mut fields = fields.clone();
        let response = world.provider.pass(SITE_KEY);
        fields.push(("cf-turnstile-response", &response));
        let answer = world.post_form(path, &fields).await;

        assert_eq!(answer.status, 303, "{path}: {}", answer.text());
        assert!(world.mails().len() > mails, "{path}");
    }
}

#[tokio::test]
async fn links_and_what_they_ask_for_need_no_challenge() {
    let world = with_turnstile().await;
    have_ada(&world, false).await;
    let link = world.mail_to(ADA).link();

    let page = world.get(&link).await;
    let confirmed = world.post_form(&link, &[("password", PASSWORD)]).await;

    assert_eq!(page.status, 200);
    assert!(!page.text().contains("cf-turnstile"));
    assert_eq!(confirmed.status, 303);
    assert!(is_confirmed(&world, ADA));
    assert_eq!(world.provider.verifications().len(), 1);
}

#[tokio::test]
async fn the_siteverify_protocol_of_each_provider() {
    for (provider, field) in PROVIDERS {
        let world = World::builder().challenge(provider).start().await;
        let response = world.provider.pass(SITE_KEY);
        let form = [("email", ADA), ("password", PASSWORD), (field, &response)];

        let answer = world.post_form("/accounts/create", &form).await;

        assert_eq!(answer.status, 303, "{provider}: {}", answer.text());
        let mut expected = json!({ "secret": SECRET, "response": response });
        if provider == "hcaptcha" {
            // Its secret is good for all of a team's site keys.
            expected["sitekey"] = json!(SITE_KEY);
        }
        assert_eq!(json!(world.provider.verifications()), json!([expected]));
    }
}

#[tokio::test]
async fn json_has_the_answer_in_challenge_and_an_error_that_points_there() {
    let world = with_turnstile().await;
    let mut json = json!({ "email": ADA, "password": PASSWORD });

    let without = world.post_json("/accounts/create", &json).await;
    json["challenge"] = json!(5);
    let no_text = world.post_json("/accounts/create", &json).await;
    json["challenge"] = json!(world.provider.pass(SITE_KEY));
    let with = world.post_json("/accounts/create", &json).await;

    for refused in [without, no_text] {
        let problem: Value = serde_json::from_str(&refused.text()).unwrap();
        assert_eq!(refused.status, 422);
        assert_eq!(problem["errors"][0]["pointer"], "#/challenge");
    }
    assert_eq!(with.status, 202, "{}", with.text());
    assert_eq!(world.mails_to(ADA).len(), 1);
}

#[tokio::test]
async fn a_used_answer_or_one_of_another_site_is_none() {
    for (provider, field) in PROVIDERS {
        let world = World::builder().challenge(provider).start().await;
        let response = world.provider.pass(SITE_KEY);
        let elsewhere = world.provider.pass("another site's key");
        let form = |email, response| [("email", email), ("password", PASSWORD), (field, response)];

        let first = world
            .post_form("/accounts/create", &form(ADA, &response))
            .await;
        let again = world
            .post_form("/accounts/create", &form(BOB, &response))
            .await;
        let other = world
            .post_form("/accounts/create", &form(BOB, &elsewhere))
            .await;

        let statuses = [first.status, again.status, other.status];
        assert_eq!(statuses, [303, 422, 422], "{provider}");
        assert!(world.row(BOB).is_none());
    }
}

#[tokio::test]
async fn no_answer_of_a_bot_makes_the_provider_stumble() {
    let world = with_turnstile().await;
    for response in [
        "x".repeat(8 * 1024 + 1),
        "line\nbreak".to_owned(),
        "ü".to_owned(),
        "&secret=mine&response=mine".to_owned(),
        "<script>".to_owned(),
    ] {
        let answer = sign_up_with_response(&world, ADA, &response).await;
        assert_eq!(answer.status, 422, "{response:?}");
    }
    assert!(world.provider.verifications().is_empty());

    let could_be_one = "0.a-b_c~d+e/f==";
    let answer = sign_up_with_response(&world, ADA, could_be_one).await;
    assert_eq!(answer.status, 422);
    let asked = world.provider.verifications();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["secret"], SECRET);
    assert_eq!(asked[0]["response"], could_be_one);
}

#[tokio::test]
async fn a_refused_challenge_costs_no_hash_and_no_row() {
    let world = World::builder()
        .challenge("turnstile")
        .setting("REQUESTS_PER_NETWORK", "2")
        .start()
        .await;

    let statuses = [
        sign_up(&world, ADA).await.status,
        sign_up_with_response(&world, ADA, "made-up").await.status,
        sign_up(&world, ADA).await.status,
    ];

    // The network's limit comes first, so that not even the provider is asked without end.
    assert_eq!(statuses, [422, 422, 429]);
    assert_eq!(world.provider.verifications().len(), 1);
    assert!(world.rows().is_empty());
    let tables = world.dynamodb.all_calls();
    assert!(
        tables
            .iter()
            .all(|call| call.request["TableName"] == "limits")
    );
}

#[tokio::test]
async fn invalid_input_asks_no_provider_so_that_the_answer_is_still_good() {
    let world = with_turnstile().await;
    let response = world.provider.pass(SITE_KEY);
    let form = [
        ("email", "no address"),
        ("password", PASSWORD),
        ("cf-turnstile-response", response.as_str()),
    ];

    let answer = world.post_form("/accounts/create", &form).await;

    assert_eq!(answer.status, 422);
    assert!(world.provider.verifications().is_empty());
}

#[tokio::test]
async fn a_trusted_network_needs_no_challenge() {
    let world = World::builder()
        .challenge("turnstile")
        .setting("TRUSTED_NETWORKS", "203.0.113.0/24")
        .start()
        .await;

    let trusted = sign_up(&world, ADA).await;

    assert_eq!(trusted.status, 303);
    assert!(world.provider.verifications().is_empty());
}

#[tokio::test]
async fn a_provider_that_fails_lets_requests_through_to_the_other_limits_and_the_log_says_so() {
    let no_verdict = Fault::error(200, "no verdict");
    let blocked = Fault::error(403, "Forbidden");
    for (fault, reason) in [
        (Fault::DropCall, "no connection"),
        (Fault::DropAnswer, "no connection"),
        (Fault::unavailable(), "unreadable answer"),
        (no_verdict, "unreadable answer"),
        (blocked, "unreadable answer"),
    ] {
        let world = World::builder()
            .challenge("turnstile")
            .setting("REQUESTS_PER_NETWORK", "1")
            .start()
            .await;
        world.siteverify.always(ANY, fault);

        let through = sign_up_with_response(&world, ADA, "whatever").await;
        let limited = sign_up_with_response(&world, BOB, "whatever").await;

        assert_eq!((through.status, limited.status), (303, 429), "{reason}");
        assert_eq!(world.mails_to(ADA).len(), 1);
        let line = world.log_line("challenge-unanswered").await;
        assert!(
            line.contains(&format!("siteverify: {reason}")) && line.contains("ERROR"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_form_without_an_answer_is_refused_even_while_the_provider_is_down() {
    let world = with_turnstile().await;
    world.siteverify.always(ANY, Fault::DropCall);

    assert_eq!(sign_up(&world, ADA).await.status, 422);
    let empty = sign_up_with_response(&world, ADA, "").await;
    assert_eq!(empty.status, 422);
}

#[tokio::test]
async fn a_provider_that_hangs_costs_bounded_time() {
    for fault in [Fault::Hang, Fault::Stall] {
        let world = with_turnstile().await;
        world.siteverify.always(ANY, fault);

        let started = Instant::now();
        let answer = sign_up_with_response(&world, ADA, "whatever").await;

        assert_eq!(answer.status, 303);
        // Half of what a request may take altogether.
        assert!(started.elapsed() < Duration::from_secs(7));
        world.log_line("siteverify: timeout").await;
    }
}

#[tokio::test]
async fn a_connection_that_died_since_is_no_way_past_the_challenge() {
    let world = with_turnstile().await;
    let response = world.provider.pass(SITE_KEY);
    assert_eq!(
        sign_up_with_response(&world, ADA, &response).await.status,
        303
    );
    world.siteverify.once(SITEVERIFY, Fault::DropCall);

    let answer = sign_up_with_response(&world, BOB, "made-up").await;

    assert_eq!(answer.status, 422);
    assert_eq!(world.siteverify.calls(SITEVERIFY), 3);
}

#[tokio::test]
async fn a_secret_that_the_provider_does_not_know_is_our_fault_and_lets_nobody_through() {
    let world = World::builder()
        .challenge("turnstile")
        .setting("CHALLENGE_SECRET", "another secret")
        .start()
        .await;
    let response = world.provider.pass(SITE_KEY);

    let answer = sign_up_with_response(&world, ADA, &response).await;

    assert_eq!(answer.status, 503);
    assert!(world.row(ADA).is_none());
    let line = world.log_line("unavailable").await;
    assert!(line.contains("siteverify: invalid-input-secret"), "{line}");
}

#[tokio::test]
async fn the_secret_comes_from_secrets_manager_and_is_in_no_line() {
    let world = World::builder()
        .challenge("hcaptcha")
        .without("CHALLENGE_SECRET")
        .setting(
            "CHALLENGE_SECRET_ARN",
            &local::secrets::arn("challenge-secret"),
        )
        .setting("AWS_LAMBDA_LOG_LEVEL", "TRACE")
        .start()
        .await;
    // As an editor leaves it.
    world
        .secrets
        .set("challenge-secret", &format!("{SECRET}\n"));
    let response = world.provider.pass(SITE_KEY);
    let form = [
        ("email", ADA),
        ("password", PASSWORD),
        ("h-captcha-response", response.as_str()),
    ];

    let passed = world.post_form("/accounts/create", &form).await;
    let refused = world.post_form("/accounts/create", &form).await;
    world.siteverify.always(ANY, Fault::DropCall);
    let unanswered = world.post_form("/accounts/create", &form).await;

    let statuses = [passed.status, refused.status, unanswered.status];
    assert_eq!(statuses, [303, 422, 303]);
    assert_eq!(world.secrets.reads("challenge-secret"), 1);
    let lines = world.final_logs().await.join("\n");
    for secret in [SECRET, response.as_str(), ADA] {
        assert!(!lines.contains(secret), "{lines}");
    }
}

#[tokio::test]
async fn a_provider_without_its_key_or_secret_stops_the_start_with_one_line() {
    for (without, named) in [
        ("CHALLENGE_SITE_KEY", "CHALLENGE_SITE_KEY"),
        ("CHALLENGE_SECRET", "CHALLENGE_SECRET"),
    ] {
        let world = World::builder()
            .challenge("turnstile")
            .without(without)
            .start()
            .await;

        let ended = world.function("create-account").warm_up(1).await;

        assert!(ended.is_err(), "{without}");
        let lines = world.final_logs().await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(&format!("{named} is missing or invalid")));
        assert!(!lines[0].contains(SECRET));
    }
}

#[tokio::test]
async fn without_a_provider_there_is_no_widget_and_the_field_is_ignored() {
    let world = World::start().await;

    let form = world.get("/accounts/create").await;
    let signed_up = sign_up_with_response(&world, ADA, "whatever").await;

    assert!(!form.text().contains("<script"));
    let policy = form.header("content-security-policy").unwrap();
    assert!(!policy.contains("script-src") && !policy.contains("frame-src"));
    assert_eq!(signed_up.status, 303);
    assert_eq!(world.siteverify.connections(), 0);
}

/// The directives of a page's policy that a challenge may extend, `style-src` without the page's own style.
fn extended(answer: &Answer) -> Vec<String> {
    let policy = answer.header("content-security-policy").unwrap();
    let directives = policy.split("; ").filter(|directive| {
        ["style-src", "script-src", "frame-src", "connect-src"]
            .iter()
            .any(|name| directive.starts_with(name))
    });
    let without_hash = |directive: &str| {
        let sources = directive.split(' ');
        let sources = sources.filter(|source| !source.starts_with("'sha256-"));
        sources.collect::<Vec<_>>().join(" ")
    };
    let mut directives: Vec<_> = directives.map(without_hash).collect();
    directives.sort();
    directives
}

#[tokio::test]
async fn the_policy_is_extended_by_what_each_provider_documents_and_only_where_its_widget_is() {
    for (provider, script, class, expected) in [
        (
            "turnstile",
            "https://challenges.cloudflare.com/turnstile/v0/api.js",
            "cf-turnstile",
            vec![
                "frame-src https://challenges.cloudflare.com",
                "script-src https://challenges.cloudflare.com",
                "style-src",
            ],
        ),
        (
            "hcaptcha",
            "https://js.hcaptcha.com/1/api.js",
            "h-captcha",
            vec![
                "connect-src https://hcaptcha.com https://*.hcaptcha.com",
                "frame-src https://hcaptcha.com https://*.hcaptcha.com",
                "script-src https://hcaptcha.com https://*.hcaptcha.com",
                "style-src https://hcaptcha.com https://*.hcaptcha.com",
            ],
        ),
    ] {
        let world = World::builder()
            .challenge(provider)
            .without("CHALLENGE_ENDPOINT_URL")
            .start()
            .await;
        for path in [
            "/accounts/create",
            "/accounts/email",
            "/accounts/password",
            &expired_link(&world, ADA),
        ] {
            let page = world.get(path).await;

            let widget = format!(r#"<div class="{class}" data-sitekey="{SITE_KEY}"></div>"#);
            assert!(page.text().contains(&widget), "{path}");
            let script = format!(r#"<script src="{script}" async defer></script>"#);
            assert!(page.text().contains(&script), "{path}");
            assert!(page.text().contains("<noscript>"), "{path}");
            assert_eq!(extended(&page), expected, "{path}");
        }
        world.put_row(&json!({ "email": ADA, "password_hash": "!", "email_confirmed": false }));
        let live = format!("/accounts/confirm/{}", world.token(ADA, 0));
        for path in ["/accounts/created", "/accounts/nowhere", live.as_str()] {
            let page = world.request("GET", path).function("confirm-email");
            let page = match path {
                "/accounts/created" => world.get(path).await,
                _ => page.send().await,
            };

            assert!(!page.text().contains("<script"), "{path}");
            assert_eq!(extended(&page), ["style-src"], "{path}");
        }
    }
}

#[tokio::test]
async fn a_person_passes_the_challenge_in_a_browser() {
    for (provider, _) in PROVIDERS {
        let world = World::builder()
            .challenge(provider)
            .over_http()
            .start()
            .await;
        let browser = Browser::start().await;
        browser.goto(&world.url("/accounts/create")).await.unwrap();
        browser.type_into("#email", ADA).await;
        browser.type_into("#password", PASSWORD).await;

        // Too early: the page says what is missing, and a new widget stands there.
        browser.click("button").await;
        let error = Locator::Css("#challenge-error");
        browser.wait().for_element(error).await.unwrap();
        assert!(browser.text().await.contains("not a robot"));
        assert!(world.rows().is_empty());

        let frame = browser.wait().for_element(Locator::Css("main iframe"));
        frame.await.unwrap().enter_frame().await.unwrap();
        browser.click("#human").await;
        let passed = Locator::Css("#human[data-passed]");
        browser.wait().for_element(passed).await.unwrap();
        browser.enter_parent_frame().await.unwrap();
        browser.type_into("#password", PASSWORD).await;
        browser.click("button").await;
        browser.wait_for_url(&world.url("/accounts/created")).await;

        assert_eq!(world.mails_to(ADA).len(), 1, "{provider}");
        browser.close().await;
    }
}

#[tokio::test]
async fn whoever_has_no_script_is_told_what_to_do() {
    let world = with_turnstile().await;

    let page = world.get("/accounts/create").await.text();
    let (_, noscript) = page.split_once("<noscript>").unwrap();
    let (noscript, _) = noscript.split_once("</noscript>").unwrap();

    assert!(noscript.contains("needs JavaScript"), "{noscript}");
    assert!(noscript.contains("write to us"), "{noscript}");
    // Whom to write to is at the foot of every page.
    assert!(page.contains(r#"href="mailto:no-reply@app.example.com""#));
}

#[tokio::test]
async fn the_provider_is_believed_by_the_systems_roots_and_not_by_amazons() {
    let (tls, other) = (tests::Tls::start().await, tests::Tls::start().await);
    tls.pass_to(World::start().await.provider.address());
    for (authority, reason) in [
        (tls.authority(), None),
        (other.authority(), Some("no connection")),
    ] {
        let world = World::builder()
            .challenge("turnstile")
            .setting("CHALLENGE_ENDPOINT_URL", &tls.url())
            .setting("SSL_CERT_FILE", &tls.bundle(authority))
            .start()
            .await;

        let answer = sign_up_with_response(&world, ADA, "made-up").await;

        match reason {
            None => assert_eq!(answer.status, 422),
            Some(reason) => {
                assert_eq!(answer.status, 303);
                world.log_line(reason).await;
            }
        }
    }
}
