//! Events as AWS sends them, and events that nobody should send.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tests::{Source, World, event};

use crate::steps::{ADA, PASSWORD, is_confirmed, sign_up};

#[tokio::test]
async fn every_kind_of_event_signs_up() {
    for name in [
        "http-api-sign-up",
        "http-api-named-stage-sign-up",
        "http-api-json-sign-up",
        "http-api-payload-1-sign-up",
        "rest-api-sign-up",
        "function-url-sign-up",
    ] {
        let world = World::start().await;

        let answer = world.invoke("create-account", &event(name)).await;

        let expected = if name.contains("json") { 202 } else { 303 };
        assert_eq!(answer.status, expected, "{name}: {}", answer.text());
        assert!(answer.cookie().is_some(), "{name}");
        assert!(world.row("ada@example.com").is_some(), "{name}");
        assert_eq!(world.mails_to("ada@example.com").len(), 1, "{name}");
    }
}

#[tokio::test]
async fn an_answer_has_the_payload_format_of_its_event() {
    let world = World::start().await;
    let payload_1 = ["body", "isBase64Encoded", "multiValueHeaders", "statusCode"];
    let payload_2 = [
        "body",
        "cookies",
        "headers",
        "isBase64Encoded",
        "statusCode",
    ];

    for (name, fields) in [
        ("http-api-sign-up", &payload_2[..]),
        ("http-api-named-stage-sign-up", &payload_2),
        ("http-api-json-sign-up", &payload_2),
        ("http-api-payload-1-sign-up", &payload_1),
        ("rest-api-sign-up", &payload_1),
        ("function-url-sign-up", &payload_2),
        ("not-http-schedule", &payload_2),
    ] {
        let event = event(name).to_string();

        let answer = world.function("create-account").invoke(event).await;

        let answer: Value = serde_json::from_slice(&answer.unwrap()).unwrap();
        let found: Vec<_> = answer.as_object().unwrap().keys().collect();
        assert_eq!(found, fields, "{name}");
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_answered_in_its_own_format_and_in_our_language() {
    let english = World::start().await;
    let german = World::builder().setting("LANGUAGE", "de").start().await;

    for (name, headers) in [
        ("http-api-sign-up", "headers"),
        ("http-api-payload-1-sign-up", "multiValueHeaders"),
        ("rest-api-sign-up", "multiValueHeaders"),
    ] {
        let mut event = event(name);
        event["isBase64Encoded"] = true.into();
        event["body"] = "*".into();
        let mut bodies = Vec::new();
        for world in [&english, &german] {
            let answer = world.function("create-account").invoke(event.to_string());

            let answer: Value = serde_json::from_slice(&answer.await.unwrap()).unwrap();
            assert_eq!(answer["statusCode"], 400, "{name}");
            assert!(answer[headers].is_object(), "{name}: {answer}");
            bodies.push(answer["body"].to_string());
        }
        assert_ne!(bodies[0], bodies[1], "{name}");
    }
}

#[tokio::test]
async fn no_event_ends_the_process() {
    let world = World::start().await;

    for name in [
        "broken-host-with-a-space",
        "broken-host-with-an-impossible-port",
        "broken-empty-forwarded-proto",
        "broken-base64",
        "broken-path",
        "not-http-empty",
        "not-http-schedule",
    ] {
        for function in [
            "create-account",
            "confirm-email",
            "change-email",
            "reset-password",
        ] {
            let answer = world.try_invoke(function, &event(name)).await;

            let answer = answer.unwrap_or_else(|error| panic!("{function}, {name}: {error}"));
            assert!(answer.status < 500, "{function}, {name}: {}", answer.status);
        }
    }
    assert!(world.is_untouched());
}

/// Each kind of event, with the stages that it can have.
const SOURCES: [(Source, &str); 6] = [
    (Source::HttpApi, "$default"),
    (Source::HttpApi, "prod"),
    (Source::HttpApiPayload1, "$default"),
    (Source::HttpApiPayload1, "prod"),
    (Source::RestApi, "prod"),
    (Source::FunctionUrl, "$default"),
];

#[tokio::test]
async fn every_kind_of_event_leads_from_the_form_to_the_confirmed_address() {
    let world = World::builder()
        .setting("RESEND_COOLDOWN", "0")
        .start()
        .await;

    for (source, stage) in SOURCES {
        let what = format!("{source:?} {stage}");
        world.delete_row(ADA);
        let request = |method, path: &str| {
            let request = world.request(method, path);
            request.source(source).stage(stage)
        };
        let fields = [("email", ADA), ("password", PASSWORD)];

        let form = request("GET", "/accounts/create").send().await;
        let sent = request("POST", "/accounts/create").form(&fields);
        let sent = sent.send().await;
        let created = request("GET", "/accounts/created").send().await;
        let link = world.mail_to(ADA).link();
        let elsewhere = request("GET", &link).send().await;
        let followed = request("GET", &link).header("cookie", "a=1");
        let followed = followed.browser_of(&sent).send().await;
        let confirmed = request("GET", "/accounts/confirmed").send().await;
        let unknown = request("GET", "/accounts/nothing").function("confirm-email");
        let unknown = unknown.send().await;

        assert_eq!([form.status, sent.status], [200, 303], "{what}");
        assert_eq!([created.status, confirmed.status], [200, 200], "{what}");
        assert_eq!([elsewhere.status, unknown.status], [200, 404], "{what}");
        assert_eq!(followed.status, 303, "{what}");
        assert!(is_confirmed(&world, ADA), "{what}");
    }
}

#[tokio::test]
async fn two_cookies_of_the_name_count_as_none_in_every_kind_of_event() {
    let world = World::start().await;
    let signed_up = sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();

    for (source, stage) in SOURCES {
        let request = || world.request("GET", &link).source(source).stage(stage);
        let own = signed_up.cookie().unwrap();

        for cookies in [
            &[own, own][..],
            &["__Host-accounts=x", own],
            &[&format!("{own}; __Host-accounts=x")],
        ] {
            let request = cookies.iter().fold(request(), |request, cookie| {
                request.header("cookie", cookie)
            });
            let page = request.send().await;

            assert_eq!(page.status, 200, "{source:?} {stage} {cookies:?}");
        }
    }
    assert!(!is_confirmed(&world, ADA));
}

#[tokio::test]
async fn a_cookie_is_read_beside_one_of_another_application_in_any_script() {
    for (source, stage) in SOURCES {
        let world = World::start().await;
        let signed_up = sign_up(&world, ADA).await;
        let cookies = format!("name=Jos\u{e9}; {}", signed_up.cookie().unwrap());
        let request = world.request("GET", &world.mail_to(ADA).link());

        let request = request.source(source).stage(stage);
        let answer = request.header("cookie", &cookies).send().await;

        assert_eq!(answer.status, 303, "{source:?} {stage}");
    }
}

#[tokio::test]
async fn a_cookie_is_read_where_each_kind_of_event_has_it_and_as_cargo_lambda_watch_has_it() {
    for (what, in_cookies, in_headers) in [
        ("cookies", true, false),
        ("both", true, true),
        ("headers", false, true),
    ] {
        let world = World::start().await;
        let signed_up = sign_up(&world, ADA).await;
        let cookie = signed_up.cookie().unwrap();
        let (function, mut event) = world.request("GET", &world.mail_to(ADA).link()).event();
        if in_cookies {
            event["cookies"] = json!([cookie]);
        }
        if in_headers {
            event["headers"]["cookie"] = cookie.into();
        }

        let answer = world.invoke(&function, &event).await;

        assert_eq!(answer.status, 303, "{what}");
        assert!(is_confirmed(&world, ADA), "{what}");
    }
}

#[tokio::test]
async fn a_base_path_is_part_of_the_links_and_may_be_part_of_the_path() {
    let world = World::builder()
        .setting("BASE_URL", "https://example.com/my/app")
        .setting("CONFIRM_ON", "visit")
        .start()
        .await;
    sign_up(&world, ADA).await;
    let token = world.mail_to(ADA).token();
    let link = world.mail_to(ADA).link();
    assert_eq!(
        link,
        format!("https://example.com/my/app/accounts/confirm/{token}")
    );

    for (source, stage) in SOURCES {
        for base in ["", "/my/app"] {
            let path = format!("{base}/accounts/confirm/{token}");
            let request = world.request("GET", &path).function("confirm-email");

            let answer = request.source(source).stage(stage).send().await;

            assert_eq!(answer.status, 303, "{source:?} {stage} {path}");
            assert_eq!(
                answer.header("location"),
                Some("https://example.com/my/app/accounts/confirmed")
            );
        }
        let path = format!("/other/accounts/confirm/{token}");
        let request = world.request("GET", &path).function("confirm-email");
        let elsewhere = request.source(source).stage(stage).send().await;
        assert_eq!(elsewhere.status, 404, "{source:?} {stage}");
    }
}

#[tokio::test]
async fn a_stage_named_like_a_part_of_the_path_does_no_harm() {
    for (base, stage) in [
        ("https://example.com", "accounts"),
        ("https://example.com/prod", "prod"),
        ("https://example.com/accounts", "accounts"),
    ] {
        let world = World::builder().setting("BASE_URL", base).start().await;

        let request = world.request("GET", "/accounts/create").stage(stage);

        assert_eq!(request.send().await.status, 200, "{base} {stage}");
    }
}

#[tokio::test]
async fn a_body_is_read_with_and_without_base64() {
    let form = "email=ada%40example.com&password=correct+horse+battery";
    let json = r#"{"email":"ada@example.com","password":"correct horse battery"}"#;
    for (content_type, body, status) in [
        ("application/x-www-form-urlencoded", form, 303),
        ("application/json", json, 202),
    ] {
        for (source, stage) in SOURCES {
            for is_base64 in [false, true] {
                let world = World::start().await;
                let request = world.request("POST", "/accounts/create");
                let request = request.header("content-type", content_type).body(body);
                let (function, mut event) = request.source(source).stage(stage).event();
                let text = if is_base64 {
                    BASE64.encode(body)
                } else {
                    body.to_owned()
                };
                event["body"] = text.into();
                event["isBase64Encoded"] = is_base64.into();

                let answer = world.invoke(&function, &event).await;

                let what = format!("{source:?} {stage} {content_type} {is_base64}");
                assert_eq!(answer.status, status, "{what}: {}", answer.text());
                assert!(world.row(ADA).is_some(), "{what}");
            }
        }
    }
}
