//! The limits: of mail to an address, of attempts at a password, and of requests from a network.

use serde_json::{Value, json};
use tests::{ANY, Answer, Clock, Fault, Request, Source, World};

use crate::steps::{
    ADA, PASSWORD, expired_link, have_account, have_contested_row, now, sign_up, sign_up_with,
};

const NETWORK: &str = "203.0.113.7";

const MINUTE: u32 = 61;
const HOUR: u32 = 3_600;
const DAY: u32 = 86_400;

/// A world whose clock stands at the beginning of an hour and is moved by the test alone (but for the seconds that it takes), so
/// that no window of a limit ends in between.
async fn world_with(settings: &[(&str, &str)]) -> (Clock, World) {
    let (clock, mut builder) = Clock::of(World::builder());
    for (name, value) in settings {
        builder = builder.setting(name, value);
    }
    let world = builder.start().await;
    let hour = i64::from(HOUR);
    clock.advance(u32::try_from(hour - now() % hour).unwrap());
    (clock, world)
}

/// Sends a request as a client at `address` would.
async fn from(request: Request<'_>, world: &World, address: &str) -> Answer {
    let request = request.replace_header("x-forwarded-for", address);
    let (function, event) = at(&request, address);
    world.invoke(&function, &event).await
}

/// The event of a request from `address`, whatever its headers say.
fn at(request: &Request<'_>, address: &str) -> (String, Value) {
    let (function, mut event) = request.event();
    for pointer in [
        "/requestContext/http/sourceIp",
        "/requestContext/identity/sourceIp",
    ] {
        if let Some(source_ip) = event.pointer_mut(pointer) {
            *source_ip = json!(address);
        }
    }
    (function, event)
}

async fn reset(world: &World, email: &str) -> Answer {
    world
        .post_form("/accounts/password", &[("email", email)])
        .await
}

fn change_form<'a>(
    email: &'a str,
    password: &'a str,
    new: &'a str,
) -> [(&'static str, &'a str); 3] {
    [("email", email), ("password", password), ("new_email", new)]
}

async fn change(world: &World, password: &str, new: &str) -> Answer {
    world
        .post_form("/accounts/email", &change_form(ADA, password, new))
        .await
}

fn mails(world: &World, email: &str) -> usize {
    world.mails_to(email).len()
}

// Mail to an address.

#[tokio::test]
async fn each_kind_of_mail_has_a_cooldown_of_its_own() {
    let (clock, world) = world_with(&[]).await;
    have_account(&world, ADA).await;
    let bob = "bob@example.com";
    let mut expected = 0;

    for _ in 0..2 {
        // A change to the address that nobody has, a sign-up with it, and a reset.
        for step in 0..3 {
            for repeat in 0..3 {
                match step {
                    0 => drop(change(&world, PASSWORD, bob).await),
                    1 => drop(sign_up(&world, bob).await),
                    _ => drop(reset(&world, bob).await),
                }
                expected += usize::from(repeat == 0);
                assert_eq!(mails(&world, bob), expected, "{step} {repeat}");
            }
        }
        clock.advance(MINUTE);
    }
}

#[tokio::test]
async fn the_cooldown_ends_when_the_setting_says() {
    for (setting, seconds) in [(None, 60), (Some("10"), 10), (Some("86400"), DAY)] {
        let settings: Vec<_> = setting
            .into_iter()
            .map(|value| ("RESEND_COOLDOWN", value))
            .collect();
        let (clock, world) = world_with(&settings).await;
        reset(&world, ADA).await;
        sign_up(&world, ADA).await;
        assert_eq!(mails(&world, ADA), 2);

        // These requests themselves take less than three seconds.
        clock.advance(seconds - 4);
        reset(&world, ADA).await;
        sign_up(&world, ADA).await;
        assert_eq!(mails(&world, ADA), 2, "{setting:?}");

        clock.advance(4);
        reset(&world, ADA).await;
        sign_up(&world, ADA).await;
        assert_eq!(mails(&world, ADA), 4, "{setting:?}");
    }
}

#[tokio::test]
async fn without_a_cooldown_there_is_no_limit_of_mail() {
    let (_clock, world) = world_with(&[("RESEND_COOLDOWN", "0")]).await;

    for count in 1..=12 {
        reset(&world, ADA).await;
        assert_eq!(mails(&world, ADA), count);
    }
}

#[tokio::test]
async fn ten_mails_of_a_kind_are_enough_for_24_hours() {
    let (clock, world) = world_with(&[("RESET_MAX_AGE", "172800")]).await;
    for count in 1..=10 {
        reset(&world, ADA).await;
        assert_eq!(mails(&world, ADA), count);
        clock.advance(MINUTE);
    }

    reset(&world, ADA).await;
    clock.advance(12 * HOUR);
    reset(&world, ADA).await;
    assert_eq!(mails(&world, ADA), 10);
    // The other kinds have their own.
    sign_up(&world, ADA).await;
    assert_eq!(mails(&world, ADA), 11);

    // The first of the ten is a day old, and the second one a minute later.
    clock.advance(12 * HOUR - 10 * MINUTE);
    for expected in [12, 12] {
        reset(&world, ADA).await;
        assert_eq!(mails(&world, ADA), expected);
    }
    clock.advance(MINUTE);
    reset(&world, ADA).await;
    assert_eq!(mails(&world, ADA), 13);
}

#[tokio::test]
async fn there_is_always_a_mail_when_the_last_link_has_died() {
    let (clock, world) = world_with(&[]).await;
    for _ in 0..10 {
        reset(&world, ADA).await;
        clock.advance(MINUTE);
    }
    reset(&world, ADA).await;
    assert_eq!(mails(&world, ADA), 10);

    // A reset link lives an hour.
    clock.advance(HOUR - MINUTE);
    reset(&world, ADA).await;
    assert_eq!(mails(&world, ADA), 11);
    clock.advance(MINUTE);
    reset(&world, ADA).await;
    assert_eq!(mails(&world, ADA), 11);
}

#[tokio::test]
async fn there_is_always_a_mail_for_a_sign_up_that_made_its_row() {
    let (clock, world) = world_with(&[]).await;
    for count in 1..=10 {
        sign_up(&world, ADA).await;
        assert_eq!(mails(&world, ADA), count);
        clock.advance(MINUTE);
    }
    sign_up(&world, ADA).await;
    world.post_form(&expired_link(&world, ADA), &[]).await;
    assert_eq!(mails(&world, ADA), 10);

    // After the row is gone, deleted or expired, whoever signs up gets a link.
    world.delete_row(ADA);
    sign_up(&world, ADA).await;
    assert_eq!(mails(&world, ADA), 11);
    world.delete_row(ADA);
    sign_up(&world, ADA).await;
    assert_eq!(mails(&world, ADA), 11, "not in the cooldown");
    clock.advance(MINUTE);
    world.change_row(ADA, &json!({ "expires_at": now() - 10 }));
    sign_up(&world, ADA).await;
    assert_eq!(mails(&world, ADA), 12);
}

#[tokio::test]
async fn strangers_cannot_use_up_the_mails_of_an_owner() {
    let (clock, world) = world_with(&[]).await;
    have_account(&world, ADA).await;
    // Each of these has ten of its own a day.
    for _ in 0..12 {
        clock.advance(MINUTE);
        sign_up_with(&world, ADA, "of a stranger").await;
        reset(&world, ADA).await;
    }
    let before = mails(&world, ADA);
    clock.advance(MINUTE);

    // The notice, and the link to the new address.
    assert_eq!(
        change(&world, PASSWORD, "new@example.com").await.status,
        303
    );
    assert_eq!(mails(&world, ADA), before + 1);
    assert_eq!(mails(&world, "new@example.com"), 1);
    let link = world.mail_to("new@example.com").link();
    let moved = world.post_form(&link, &[("password", PASSWORD)]).await;
    assert_eq!(moved.status, 303);
    assert_eq!(mails(&world, ADA), before + 2);
}

#[tokio::test]
async fn an_owner_may_ask_for_ten_changes_a_day_and_hears_of_each() {
    let (clock, world) = world_with(&[]).await;
    have_account(&world, ADA).await;
    let asked = async |n: usize| {
        let new = format!("new-{n}@example.com");
        let answer = change(&world, PASSWORD, &new).await;
        (answer.status, mails(&world, &new))
    };
    for n in 1..=10 {
        assert_eq!(asked(n).await, (303, 1), "{n}");
    }
    assert_eq!(mails(&world, ADA), 11);
    // A day without a window that could end; attempts are counted by the hour.
    clock.advance(HOUR);

    assert_eq!(asked(11).await, (422, 0));
    let wrong = change(&world, "not the password", "new-12@example.com").await;
    assert_eq!(mails(&world, ADA), 12, "a right password is never silent");
    let right = change(&world, PASSWORD, "new-12@example.com").await;
    assert_eq!(right, wrong, "held back is told like wrong");
    assert_eq!(mails(&world, ADA), 13);

    clock.advance(DAY);
    assert_eq!(asked(13).await, (303, 1));
}

#[tokio::test]
async fn a_bounced_address_is_handed_to_ses_and_one_that_complained_is_not() {
    let (clock, world) = world_with(&[]).await;
    have_account(&world, ADA).await;

    for (undeliverable, mailed) in [
        (json!("bounce"), true),
        (json!("complaint"), false),
        (json!(true), false),
    ] {
        clock.advance(MINUTE);
        world.change_row(ADA, &json!({ "undeliverable": undeliverable }));
        let before = mails(&world, ADA);

        assert_eq!(sign_up(&world, ADA).await.status, 303);
        assert_eq!(reset(&world, ADA).await.status, 303);
        let changed = change(&world, PASSWORD, "new@example.com").await;

        assert_eq!(changed.status, if mailed { 303 } else { 422 });
        let expected = if mailed { 3 } else { 0 };
        assert_eq!(mails(&world, ADA) - before, expected, "{undeliverable}");
    }
}

#[tokio::test]
async fn a_mail_that_ses_refused_does_not_count() {
    let refused = || Fault::error(400, "MessageRejected");
    let (clock, world) = world_with(&[("RESET_MAX_AGE", "172800")]).await;
    for count in 1..=10 {
        world.ses.once("SendEmail", refused());
        assert_eq!(reset(&world, ADA).await.status, 503, "{count}");
        assert_eq!(reset(&world, ADA).await.status, 303);
        assert_eq!(mails(&world, ADA), count);
        clock.advance(MINUTE);
    }
    world.ses.once("SendEmail", refused());
    assert_eq!(reset(&world, ADA).await.status, 303, "nothing is sent");
    assert_eq!(mails(&world, ADA), 10);
}

#[tokio::test]
async fn a_claim_whose_answer_is_lost_counts_once() {
    let (clock, world) =
        world_with(&[("RESET_MAX_AGE", "172800"), ("REQUESTS_PER_NETWORK", "11")]).await;
    for count in 1..=10 {
        // That of the network, and that of the mail.
        world.dynamodb.times(2, "UpdateItem", Fault::DropAnswer);
        world
            .dynamodb
            .times(2, "UpdateItem", Fault::Delay(std::time::Duration::ZERO));
        assert_eq!(reset(&world, ADA).await.status, 303);
        world.dynamodb.heal();
        assert_eq!(mails(&world, ADA), count);
        clock.advance(MINUTE);
    }
    assert_eq!(reset(&world, ADA).await.status, 303);
    assert_eq!(mails(&world, ADA), 10);
    assert_eq!(reset(&world, ADA).await.status, 429);
}

// Attempts at a password.

#[tokio::test]
async fn ten_attempts_an_hour_from_one_network_and_the_right_password_is_answered_alike() {
    let (clock, world) = world_with(&[]).await;
    have_account(&world, ADA).await;
    let try_from = async |address: &str, password: &str, new: &str| {
        let request = world.request("POST", "/accounts/email");
        let request = request.form(&change_form(ADA, password, new));
        from(request, &world, address).await
    };
    let strange = "198.51.100.1";
    let wrong = try_from(strange, "wrong password", "new@example.com").await;
    assert_eq!(wrong.status, 422);
    for _ in 1..10 {
        let again = try_from(strange, "wrong password", "new@example.com").await;
        assert_eq!(again, wrong);
    }

    let right = try_from("198.51.100.200", PASSWORD, "new@example.com").await;
    assert_eq!(right, wrong, "one too many, of the same network");
    assert_eq!(mails(&world, ADA), 1);
    let elsewhere = try_from("198.51.101.1", PASSWORD, "new@example.com").await;
    assert_eq!(elsewhere.status, 303);

    clock.advance(HOUR);
    let later = try_from(strange, PASSWORD, "other@example.com").await;
    assert_eq!(later.status, 303);
}

#[tokio::test]
async fn a_hundred_attempts_an_hour_from_everywhere_but_not_from_where_the_owner_is_known() {
    let (_clock, world) = world_with(&[]).await;
    have_account(&world, ADA).await;
    let try_from = async |address: &str, password: &str| {
        let request = world.request("POST", "/accounts/email");
        let request = request.form(&change_form(ADA, password, "new@example.com"));
        from(request, &world, address).await.status
    };
    for n in 0..100 {
        let address = format!("198.51.{}.7", n / 9);
        assert_eq!(try_from(&address, "wrong password").await, 422);
    }

    assert_eq!(try_from("192.0.2.1", PASSWORD).await, 422, "one too many");
    // The network that the sign-up was confirmed from.
    assert_eq!(try_from(NETWORK, PASSWORD).await, 303);
}

// Requests from a network.

fn signs_up<'a>(world: &'a World, email: &str) -> Request<'a> {
    let request = world.request("POST", "/accounts/create");
    request.form(&[("email", email), ("password", PASSWORD)])
}

#[tokio::test]
async fn thirty_requests_an_hour_are_enough_for_a_network() {
    let (clock, builder) = Clock::of(World::builder().without("REQUESTS_PER_NETWORK"));
    let world = builder.start().await;
    let hour = i64::from(HOUR);
    clock.advance(u32::try_from(hour - now() % hour).unwrap());

    for n in 1..=30 {
        assert_eq!(
            reset(&world, &format!("a{n}@example.com")).await.status,
            303
        );
    }
    for (path, json) in [
        (
            "/accounts/create",
            json!({ "email": ADA, "password": PASSWORD }),
        ),
        ("/accounts/password", json!({ "email": ADA })),
        (
            "/accounts/email",
            json!({ "email": ADA, "password": PASSWORD, "new_email": "b@example.com" }),
        ),
    ] {
        world.forget_calls();
        let fields: Vec<_> = json
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let form = world.post_form(path, &fields).await;
        let json = world.post_json(path, &json).await;

        for answer in [&form, &json] {
            assert_eq!(answer.status, 429, "{path}");
            let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((HOUR - 60..=HOUR).contains(&seconds), "{seconds}");
            assert_eq!(answer.header("set-cookie"), None);
        }
        assert!(form.text().contains("<h1>Too many requests</h1>"));
        assert_eq!(
            json.header("content-type"),
            Some("application/problem+json")
        );
        let problem: Value = serde_json::from_slice(&json.body).unwrap();
        assert_eq!(problem["status"], 429);
        // Before anything else.
        assert_eq!(world.all_calls(), ["UpdateItem"; 2], "{path}");
    }
    assert!(world.rows().is_empty());

    clock.advance(HOUR);
    assert_eq!(reset(&world, ADA).await.status, 303);
}

#[tokio::test]
async fn no_password_is_hashed_beyond_the_limit() {
    let (_clock, world) = world_with(&[("REQUESTS_PER_NETWORK", "8")]).await;
    for _ in 0..16 {
        sign_up(&world, ADA).await;
    }

    let lines = world.final_logs().await;

    // The quickest of eight: what else the machine does makes none of them quicker.
    let quickest = |status: u64| {
        let records = lines.iter().map(|line| -> Value {
            serde_json::from_str(line.strip_prefix("create-account: ").unwrap()).unwrap()
        });
        let records: Vec<_> = records
            .filter(|record| record["status"] == status)
            .collect();
        assert_eq!(records.len(), 8);
        let durations = records.iter().map(|record| record["duration_us"].as_u64());
        durations.min().flatten().unwrap()
    };
    let (hashed, refused) = (quickest(303), quickest(429));
    assert!(2 * refused < hashed, "{refused} µs beside {hashed} µs");
}

#[tokio::test]
async fn neighbours_are_one_network() {
    for (first, same, other) in [
        ("203.0.113.7", "203.0.113.250", "203.0.114.7"),
        (
            "2001:db8:1:200::1",
            "2001:db8:1:2ff:ffff::9",
            "2001:db8:1:300::1",
        ),
        ("203.0.113.7", "::ffff:203.0.113.9", "::ffff:203.0.112.9"),
    ] {
        let (_clock, world) = world_with(&[("REQUESTS_PER_NETWORK", "1")]).await;
        let status =
            async |address: &str| from(signs_up(&world, ADA), &world, address).await.status;

        assert_eq!(status(first).await, 303);
        assert_eq!(status(same).await, 429, "{same}");
        assert_eq!(status(other).await, 303, "{other}");
    }
}

#[tokio::test]
async fn only_what_may_cause_a_mail_or_a_hash_counts() {
    let (_clock, world) = world_with(&[("REQUESTS_PER_NETWORK", "5")]).await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    let reset_link = async || {
        reset(&world, ADA).await;
        let links = world.mail_to(ADA).links();
        let mut links = links.into_iter();
        links
            .find(|link| link.contains("/accounts/password/"))
            .unwrap()
    };
    let new_password = reset_link().await;

    for _ in 0..2 {
        for path in [
            "/accounts/create",
            "/accounts/created",
            "/accounts/email",
            "/accounts/password",
            "/accounts/confirmed",
            "/accounts/confirm/nonsense",
            &expired_link(&world, ADA),
            &link,
            &new_password,
        ] {
            world.get(path).await;
            world.request("HEAD", path).send().await;
        }
        for (path, fields) in [
            (
                "/accounts/create",
                vec![("email", "ada"), ("password", PASSWORD)],
            ),
            (
                "/accounts/create",
                vec![("email", ADA), ("password", "short")],
            ),
            ("/accounts/create", vec![("email", ADA), ("email", ADA)]),
            ("/accounts/email", change_form(ADA, PASSWORD, ADA).to_vec()),
            (
                "/accounts/email",
                change_form(ADA, PASSWORD, "nobody").to_vec(),
            ),
            ("/accounts/password", vec![("email", "ada")]),
            ("/accounts/confirm/nonsense", vec![("password", PASSWORD)]),
            ("/accounts/password/nonsense", vec![("password", PASSWORD)]),
            (&link, vec![]),
            (
                &link,
                vec![("password", PASSWORD), ("password_again", "another one")],
            ),
            (&new_password, vec![("password", "short")]),
        ] {
            let answer = world.post_form(path, &fields).await;
            assert!(
                matches!(answer.status, 400 | 404 | 422),
                "{path} {fields:?}: {}",
                answer.status
            );
        }
    }

    // Two were counted so far. Each of these is one too.
    assert_eq!(
        world
            .post_form(&expired_link(&world, ADA), &[])
            .await
            .status,
        303
    );
    assert_eq!(
        world
            .post_form(&link, &[("password", "not this one")])
            .await
            .status,
        422
    );
    assert_eq!(
        change(&world, "a wrong one", "b@example.com").await.status,
        422
    );
    for (path, fields) in [
        (link.as_str(), vec![("password", PASSWORD)]),
        (
            &link,
            vec![
                ("password", "a new password"),
                ("password_again", "a new password"),
            ],
        ),
        (&new_password, vec![("password", "a new password")]),
        (&expired_link(&world, ADA), vec![]),
        (
            "/accounts/create",
            vec![("email", ADA), ("password", PASSWORD)],
        ),
    ] {
        assert_eq!(world.post_form(path, &fields).await.status, 429, "{path}");
    }
    // Links can still be opened: what a person needs most.
    assert_eq!(world.get(&link).await.status, 200);
    assert_eq!(world.get(&new_password).await.status, 200);
}

#[tokio::test]
async fn a_teams_own_backend_has_no_limit_of_requests_but_addresses_have_theirs() {
    let networks = "198.51.100.0/24, 2001:db8::/48,192.0.2.1";
    let (_clock, world) = world_with(&[
        ("REQUESTS_PER_NETWORK", "1"),
        ("TRUSTED_NETWORKS", networks),
    ])
    .await;
    let status = async |address: &str| from(signs_up(&world, ADA), &world, address).await.status;

    for address in [
        "198.51.100.1",
        "2001:db8:0:1::1",
        "192.0.2.1",
        "::ffff:198.51.100.9",
    ] {
        for _ in 0..3 {
            assert_eq!(status(address).await, 303, "{address}");
        }
    }
    assert_eq!(mails(&world, ADA), 1);
    for address in ["198.51.101.1", "2001:db8:1::1", "192.0.2.2"] {
        status(address).await;
        assert_eq!(status(address).await, 429, "{address}");
    }
    // No header makes anybody trusted.
    let request = signs_up(&world, ADA).replace_header("x-forwarded-for", "198.51.100.1");
    let (function, event) = at(&request, "192.0.2.2");
    assert_eq!(world.invoke(&function, &event).await.status, 429);
}

/// What a client can write itself.
const HEADERS: [&str; 11] = [
    "x-forwarded-for",
    "forwarded",
    "x-real-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "cloudfront-viewer-address",
    "via",
];

const SOURCES: [Source; 4] = [
    Source::HttpApi,
    Source::HttpApiPayload1,
    Source::RestApi,
    Source::FunctionUrl,
];

#[tokio::test]
async fn no_header_that_a_client_writes_gives_it_another_network() {
    for source in SOURCES {
        let (_clock, world) = world_with(&[("REQUESTS_PER_NETWORK", "1")]).await;
        assert_eq!(
            signs_up(&world, ADA).source(source).send().await.status,
            303
        );

        for (n, header) in HEADERS.into_iter().enumerate() {
            let address = format!("198.51.{n}.1");
            // API Gateway appends what it saw to what the client wrote.
            let value = if header == "x-forwarded-for" {
                format!("{address}, {NETWORK}")
            } else {
                address
            };
            let request = signs_up(&world, ADA).source(source);
            let answer = request.replace_header(header, &value).send().await;
            assert_eq!(answer.status, 429, "{source:?} {header}");
        }
    }
}

#[tokio::test]
async fn behind_proxies_the_client_is_the_one_that_the_nearest_trusted_proxy_saw() {
    for source in SOURCES {
        let (_clock, world) =
            world_with(&[("REQUESTS_PER_NETWORK", "1"), ("TRUSTED_PROXIES", "1")]).await;
        // The proxy's own address is the source.
        let status = async |forwarded_for: &str| {
            let request = signs_up(&world, ADA).source(source);
            let request = request.replace_header("x-forwarded-for", forwarded_for);
            let (function, event) = at(&request, "192.0.2.1");
            world.invoke(&function, &event).await.status
        };

        assert_eq!(status("198.51.100.1, 192.0.2.1").await, 303, "{source:?}");
        assert_eq!(status("198.51.100.2, 192.0.2.1").await, 429, "{source:?}");
        // What the client wrote stands further to the left, be it an address or not.
        assert_eq!(status("203.0.113.1, 198.51.100.1, 192.0.2.1").await, 429);
        assert_eq!(status("\u{e9}, 198.51.100.1, 192.0.2.1").await, 429);
        assert_eq!(status("198.51.101.1, 192.0.2.1").await, 303, "{source:?}");
        // Without an address there it is the source, as for whoever got around the proxy.
        assert_eq!(status("192.0.2.1").await, 303, "{source:?}");
        assert_eq!(status("unknown, 192.0.2.1").await, 429, "{source:?}");
        assert_eq!(status("").await, 429, "{source:?}");
    }
}

#[tokio::test]
async fn without_an_address_all_clients_are_one_network() {
    let (_clock, world) = world_with(&[("REQUESTS_PER_NETWORK", "1")]).await;
    let mut statuses = Vec::new();
    for source_ip in [Value::Null, json!(""), json!("not an address")] {
        let (function, mut event) = signs_up(&world, ADA).event();
        event["requestContext"]["http"]["sourceIp"] = source_ip;
        statuses.push(world.invoke(&function, &event).await.status);
    }

    assert_eq!(statuses, [303, 429, 429]);
}

// The table.

#[tokio::test]
async fn the_table_holds_no_address_and_no_network_and_forgets() {
    let (_clock, world) = world_with(&[("REQUESTS_PER_NETWORK", "1000")]).await;
    have_account(&world, ADA).await;
    let contested = have_contested_row(&world, "bob@example.com").await;
    world
        .post_form(&contested, &[("password", "not this one")])
        .await;
    change(&world, "wrong password", "new@example.com").await;
    assert_eq!(
        change(&world, PASSWORD, "new@example.com").await.status,
        303
    );
    let moves = world.mail_to("new@example.com").link();
    world.post_form(&moves, &[("password", PASSWORD)]).await;
    reset(&world, "new@example.com").await;
    let links = world.mail_to("new@example.com").links();
    let set = links
        .iter()
        .find(|link| link.contains("/accounts/password/"));
    let set = world
        .post_form(set.unwrap(), &[("password", "a new password")])
        .await;
    assert_eq!(set.status, 303);

    let items = world.store.items_of("limits").unwrap();

    let mut kinds: Vec<_> = items
        .iter()
        .map(|item| item["limit"]["S"].as_str().unwrap())
        .map(|key| key.split('#').next().unwrap())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "attempts",
            "changes",
            "known",
            "mail-change",
            "mail-reset",
            "mail-sign-up",
            "notice",
            "requests",
        ]
    );
    for item in &items {
        let text = item.to_string();
        for clear in [
            "@", "example", "ada", "bob", "203.0", "113.", "password", "argon2",
        ] {
            // A digest is base64, in which three letters may stand by chance.
            let by_chance = clear.len() == 3 && clear.chars().all(char::is_alphabetic);
            assert!(by_chance || !text.contains(clear), "{clear}: {text}");
        }
        let expires_at: i64 = item["expires_at"]["N"].as_str().unwrap().parse().unwrap();
        assert!(expires_at > now(), "{text}");
        assert!(expires_at < now() + 401 * i64::from(DAY), "{text}");
    }
    // Users and nothing else.
    let mut emails: Vec<_> = world
        .rows()
        .iter()
        .map(|row| row["email"].clone())
        .collect();
    emails.sort_by_key(ToString::to_string);
    assert_eq!(emails, ["bob@example.com", "new@example.com"]);
}

#[tokio::test]
async fn without_the_limits_nothing_is_mailed_and_no_password_is_looked_at() {
    let (_clock, world) = world_with(&[("LIMITS_TABLE", "missing")]).await;
    world
        .put_row(&json!({ "email": ADA, "password_hash": "$argon2id$x", "email_confirmed": true }));

    assert_eq!(sign_up(&world, "bob@example.com").await.status, 503);
    assert_eq!(reset(&world, ADA).await.status, 503);
    assert_eq!(
        change(&world, PASSWORD, "new@example.com").await.status,
        503
    );

    assert!(world.mails().is_empty());
    assert_eq!(world.ses.calls(ANY), 0);
}
