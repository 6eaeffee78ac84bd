//! Events as AWS sends them, and events that nobody should send.

use tests::{World, event};

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
        assert!(world.row("ada@example.com").is_some(), "{name}");
        assert_eq!(world.mails_to("ada@example.com").len(), 1, "{name}");
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
        for function in ["create-account", "confirm-email"] {
            let answer = world.try_invoke(function, &event(name)).await;

            let answer = answer.unwrap_or_else(|error| panic!("{function}, {name}: {error}"));
            assert!(answer.status < 500, "{function}, {name}: {}", answer.status);
        }
    }
    assert!(world.is_untouched());
}
