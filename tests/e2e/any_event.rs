//! No event ends a process, and each is answered: what API Gateway might send, what it never would, and what chance makes
//! of either.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use tests::{Answer, World, event};

use crate::steps::ADA;

const FUNCTIONS: [&str; 4] = [
    "create-account",
    "confirm-email",
    "change-email",
    "reset-password",
];

/// Events of each format, to be spoilt.
fn good_events() -> Vec<Value> {
    [
        "http-api-sign-up",
        "http-api-named-stage-sign-up",
        "http-api-json-sign-up",
        "http-api-payload-1-sign-up",
        "rest-api-sign-up",
        "function-url-sign-up",
    ]
    .map(event)
    .to_vec()
}

/// Sends the bytes of an event and reads the answer as API Gateway would, in whichever payload format it is: a spoilt event may
/// have neither.
async fn send(world: &World, function: &str, event: impl Into<Vec<u8>>) -> Result<Answer, String> {
    let answer = world.function(function).invoke(event.into()).await;
    let answer = answer.map_err(|failure| failure.to_string())?;
    let json: Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
    let payload_2 = json.get("cookies").is_some();
    Answer::read(&json, payload_2).map_err(str::to_owned)
}

/// Asserts that no process ended, and none panicked: each function was started once.
async fn assert_nothing_ended(world: &World) {
    let logs = world.final_logs().await;
    for function in FUNCTIONS {
        let cold = |line: &&String| line.starts_with(function) && line.contains(r#""cold":true"#);
        assert_eq!(logs.iter().filter(cold).count(), 1, "{function}");
    }
    let unstructured: Vec<_> = logs.iter().filter(|line| !line.contains(": {")).collect();
    assert!(unstructured.is_empty(), "{unstructured:?}");
}

/// Starts all functions.
async fn world() -> World {
    let world = World::start().await;
    for function in FUNCTIONS {
        send(&world, function, "{}").await.unwrap();
    }
    world
}

fn with(mut event: Value, pointer: &str, value: Value) -> Option<Value> {
    *event.pointer_mut(pointer)? = value;
    Some(event)
}

#[tokio::test]
async fn every_spoilt_part_of_a_request_is_answered() {
    let world = world().await;
    let long = "x".repeat(100_000);
    let paths = ["/rawPath", "/path", "/requestContext/http/path"];
    let methods = ["/httpMethod", "/requestContext/http/method"];
    let hosts = ["/headers/host", "/headers/Host"];
    let protocols = ["/headers/x-forwarded-proto", "/headers/X-Forwarded-Proto"];
    let types = ["/headers/content-type", "/headers/Content-Type"];
    let headers = ["/headers", "/multiValueHeaders"];
    let queries = [
        "/rawQueryString",
        "/queryStringParameters",
        "/multiValueQueryStringParameters",
    ];
    let contexts = [
        "/requestContext",
        "/requestContext/http",
        "/requestContext/identity",
    ];
    let addresses = [
        "/requestContext/http/sourceIp",
        "/requestContext/identity/sourceIp",
    ];
    let stages = ["/requestContext/stage", "/version"];
    let texts = [
        "",
        " ",
        "a b",
        "\0",
        "\r\n",
        "é",
        "\u{10ffff}",
        "%",
        "%ff",
        "%zz",
        "/%00/%ff",
        "//",
        "/../..",
        "http://[",
        "host:99999",
        "::::",
        "*",
        "null",
        &long,
    ];
    let mut values: Vec<Value> = texts.map(Value::from).to_vec();
    values.extend([
        Value::Null,
        json!(true),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!([]),
        json!([null]),
        json!(["a", "b"]),
        json!({}),
        json!({ "a": null, "é": "é", "": "", "a b": "c", "x": ["y", null], "z": { "z": 1 } }),
    ]);

    for mut good in good_events() {
        // Refused in the end, so that it takes no time to hash it.
        good["body"] = json!("email=ada%40example.com&password=short");
        good["isBase64Encoded"] = json!(false);
        for pointer in [
            &paths[..],
            &methods,
            &hosts,
            &protocols,
            &types,
            &headers,
            &queries,
            &contexts,
            &addresses,
            &stages,
            &["/body", "/isBase64Encoded", "/pathParameters"],
        ]
        .concat()
        {
            for value in &values {
                let Some(spoilt) = with(good.clone(), pointer, value.clone()) else {
                    continue;
                };
                let answer = send(&world, "create-account", spoilt.to_string()).await;
                let answer = answer.unwrap_or_else(|why| panic!("{pointer} = {value}: {why}"));
                assert!(
                    answer.status < 500,
                    "{pointer} = {value}: {}",
                    answer.status
                );
            }
        }
    }
    assert_nothing_ended(&world).await;
}

#[tokio::test]
async fn what_is_no_request_at_all_is_answered() {
    let world = world().await;
    let deep = |open: &str, close: &str| open.repeat(100_000) + &close.repeat(100_000);
    let sign_up = event("http-api-sign-up").to_string();
    let inside = |json: &str| sign_up.replacen('{', &format!("{{\"inside\":{json},"), 1);

    for strange in [
        "null".to_owned(),
        "true".to_owned(),
        "0".to_owned(),
        "1e999".to_owned(),
        "\"\"".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        format!("[{sign_up}]"),
        r#"{"version":"2.0"}"#.to_owned(),
        r#"{"version":"1.0","httpMethod":"GET"}"#.to_owned(),
        r#"{"requestContext":{}}"#.to_owned(),
        r#"{"requestContext":{"http":{}}}"#.to_owned(),
        r#"{"requestContext":{"http":{"method":"GET"}}}"#.to_owned(),
        r#"{"requestContext":{"elb":{"targetGroupArn":"arn"}},"httpMethod":"GET","path":"/","headers":{}}"#.to_owned(),
        r#"{"requestContext":{"connectionId":"a","eventType":"CONNECT","routeKey":"$connect"}}"#.to_owned(),
        r#"{"Records":[{"eventSource":"aws:sqs","body":"{}"}]}"#.to_owned(),
        r#"{"source":"aws.events","detail-type":"Scheduled Event","detail":{}}"#.to_owned(),
        r#"{"a":1,"a":2}"#.to_owned(),
        r#"{"headers":{"a":"b"},"headers":{"a":"b"}}"#.to_owned(),
        r#"{"\ud800":"\udfff"}"#.to_owned(),
        deep("[", "]"),
        deep("{\"a\":", "}").replacen('}', "1}", 1),
        inside(&deep("[", "]")),
        inside("\"\\u0000\""),
    ] {
        for function in FUNCTIONS {
            let what = strange.chars().take(80).collect::<String>();
            let answer = send(&world, function, strange.clone()).await;
            let answer = answer.unwrap_or_else(|why| panic!("{function}: {what}: {why}"));
            assert!(answer.status < 500, "{what}: {}", answer.status);
        }
    }
    assert_nothing_ended(&world).await;
}

#[tokio::test]
async fn what_is_no_json_fails_its_invocation_and_no_other() {
    let world = world().await;

    for broken in [&b""[..], b"{", b"\xff", b"\"\xff\"", b"{}}", b"\0", b"nul"] {
        for function in FUNCTIONS {
            // Lambda itself never sends this.
            let _ = send(&world, function, broken).await;
            assert_eq!(send(&world, function, "{}").await.unwrap().status, 400);
        }
    }
    let logs = world.final_logs().await;
    let starts = logs.iter().filter(|line| line.contains(r#""cold":true"#));
    assert_eq!(starts.count(), FUNCTIONS.len());
}

#[tokio::test]
async fn what_is_far_too_much_is_answered() {
    let world = world().await;
    let sign_up = event("http-api-sign-up");
    let rest = event("rest-api-sign-up");
    let megabytes = BASE64.encode(vec![b'a'; 4_500_000]);
    let headers = |count| -> Value {
        let header = |n| (format!("x-header-{n}"), json!("value"));
        Value::Object((0..count).map(header).collect::<Map<_, _>>())
    };
    let values: Value = vec!["value"; 30_000].into();

    for (what, spoilt) in [
        (
            "a body of six megabytes",
            with(sign_up.clone(), "/body", json!(megabytes)),
        ),
        (
            "a path of six megabytes",
            with(sign_up.clone(), "/rawPath", json!(megabytes)),
        ),
        (
            "a token of six megabytes",
            with(
                sign_up.clone(),
                "/rawPath",
                json!(format!("/accounts/confirm/{megabytes}")),
            ),
        ),
        (
            "a header of six megabytes",
            with(sign_up.clone(), "/headers/accept", json!(megabytes)),
        ),
        (
            "a name of 100,000 bytes",
            with(
                sign_up.clone(),
                "/headers",
                json!({ "x".repeat(100_000): "y" }),
            ),
        ),
        (
            "30,000 headers",
            with(sign_up.clone(), "/headers", headers(30_000)),
        ),
        (
            "30,000 values",
            with(sign_up, "/headers/accept", values.clone()),
        ),
        (
            "30,000 headers of a REST API",
            with(rest.clone(), "/headers", headers(30_000)),
        ),
        (
            "30,000 values of a REST API",
            with(rest, "/multiValueHeaders/Accept", values),
        ),
    ] {
        for function in ["create-account", "confirm-email"] {
            let answer = send(&world, function, spoilt.as_ref().unwrap().to_string()).await;
            let answer = answer.unwrap_or_else(|why| panic!("{function}: {what}: {why}"));
            assert!(answer.status < 500, "{what}: {}", answer.status);
        }
    }
    assert_nothing_ended(&world).await;
}

#[tokio::test]
async fn a_header_that_is_none_of_our_business_keeps_nobody_out() {
    let world = World::start().await;
    for value in ["José", "\u{1f600}", ""] {
        let mut event = event("http-api-sign-up");
        event["headers"]["x-name"] = value.into();
        world.delete_row(ADA);

        let answer = world.invoke("create-account", &event).await;

        assert_eq!(answer.status, 303, "{value}");
        assert!(world.row(ADA).is_some());
    }
}

/// What chance puts in the place of some part of an event.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ -~]{0,40}".prop_map(Value::from),
        select(vec![
            "GET",
            "HEAD",
            "POST",
            "OPTIONS",
            "/accounts/create",
            "/accounts/confirm/a.b.c",
            "/accounts/email",
            "/accounts/confirmed",
            "/accounts/password",
            "/accounts/password/a.b.c",
            "$default",
            "prod",
            "1.0",
            "2.0",
            "application/json",
            "same-origin",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-zA-Z-]{0,12}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A change to some part of an event: what it becomes, or nothing if it goes.
type Change = (Index, Option<Value>);

fn any_change() -> impl Strategy<Value = Change> {
    (any::<Index>(), prop::option::weighted(0.8, any_value()))
}

fn pointers(value: &Value, at: &str, all: &mut Vec<String>) {
    let mut inner = |name: &str, value| {
        let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        all.push(at.clone());
        pointers(value, &at, all);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| inner(name, value)),
        Value::Array(values) => values.iter().for_each(|value| inner("0", value)),
        _ => {}
    }
}

fn changed(mut event: Value, changes: &[Change]) -> Value {
    for (place, new) in changes {
        let mut all = Vec::new();
        pointers(&event, "", &mut all);
        if all.is_empty() {
            return event;
        }
        let pointer = place.get(&all);
        if let Some(new) = new {
            if let Some(old) = event.pointer_mut(pointer) {
                *old = new.clone();
            }
        } else if let Some((parent, name)) = pointer.rsplit_once('/')
            && let Some(Value::Object(parent)) = event.pointer_mut(parent)
        {
            parent.remove(name);
        }
    }
    event
}

#[test]
fn what_chance_makes_of_an_event_is_answered() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(world());
    let events = (
        select(FUNCTIONS.to_vec()),
        select(good_events()),
        prop::collection::vec(any_change(), 1..6),
    );
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(1_000)
    };

    let tried = TestRunner::new(config).run(&events, |(function, event, changes)| {
        let event = changed(event, &changes);
        let answer = runtime.block_on(send(&world, function, event.to_string()));
        let answer = answer.map_err(|why| TestCaseError::fail(format!("{why}\n{event:#}")))?;
        prop_assert!(answer.status < 500, "{}\n{event:#}", answer.status);
        Ok(())
    });

    tried.unwrap_or_else(|failed| panic!("{failed}"));
    runtime.block_on(assert_nothing_ended(&world));
}
