//! Tokens: those of Python's itsdangerous, how long they live, and which keys they may be signed with.

use serde_json::json;
use tests::{Builder, World};

use crate::steps::{ADA, is_confirmed, python, sign_up, within_one_second};

const LOADS: &str = "
from itsdangerous import URLSafeTimedSerializer
serializer = URLSafeTimedSerializer(input['key'])
output = serializer.loads(input['token'], salt='email-confirm-key', max_age=60)";

const DUMPS: &str = "
from itsdangerous import URLSafeTimedSerializer
serializer = URLSafeTimedSerializer(input['key'])
output = [serializer.dumps(email, salt='email-confirm-key') for email in input['emails']]";

/// A world that trusts whoever opens a link, since these tests are about links alone.
fn world() -> Builder {
    World::builder().setting("CONFIRM_ON", "visit")
}

fn link(token: &str) -> String {
    format!("/accounts/confirm/{token}")
}

#[tokio::test]
async fn a_link_that_python_signed_confirms() {
    let world = world().start().await;
    // The last is long and uniform enough for Python to compress it.
    let emails = [
        ADA,
        "user@b\u{fc}cher.example",
        &format!("{}@example.com", "a".repeat(64)),
    ];
    let input = json!({ "key": world.secret_key(), "emails": emails });
    let tokens = python(DUMPS, &input);

    for (index, email) in emails.into_iter().enumerate() {
        sign_up(&world, email).await;
        let token = tokens[index].as_str().unwrap();

        let answer = world.get(&link(token)).await;

        assert_eq!(answer.status, 303, "{email}");
    }
    assert!(tokens[2].as_str().unwrap().starts_with('.'), "{tokens}");
    assert!(
        world
            .rows()
            .iter()
            .all(|row| row["email_confirmed"] == true)
    );
}

#[tokio::test]
async fn the_link_in_a_mail_is_read_by_python() {
    let world = world().start().await;

    for (typed, canonical) in [
        ("Ada@Example.com", ADA.to_owned()),
        (
            "user@b\u{fc}cher.example",
            "user@xn--bcher-kva.example".to_owned(),
        ),
        (
            &format!("{}@example.com", "a".repeat(64)),
            format!("{}@example.com", "a".repeat(64)),
        ),
    ] {
        sign_up(&world, typed).await;
        let token = world.mail_to(&canonical).token();

        let read = python(LOADS, &json!({ "key": world.secret_key(), "token": token }));

        assert_eq!(read, canonical);
        assert!(!token.starts_with('.'), "short payloads are not compressed");
    }
}

#[tokio::test]
async fn the_address_in_a_token_is_brought_to_canonical_form() {
    let world = world().start().await;

    for spelling in [" User@B\u{fc}cher.example\n", "USER@XN--BCHER-KVA.EXAMPLE"] {
        world.delete_row("user@xn--bcher-kva.example");
        sign_up(&world, "user@b\u{fc}cher.example").await;

        let answer = world.get(&link(&world.token(spelling, 1))).await;

        assert_eq!(answer.status, 303, "{spelling}");
        assert!(is_confirmed(&world, "user@xn--bcher-kva.example"));
    }
}

#[tokio::test]
async fn a_link_lives_exactly_as_long_as_confirm_max_age_says() {
    for (max_age, seconds) in [(None, 86_400), (Some("1"), 1), (Some("604800"), 604_800)] {
        let mut builder = world();
        if let Some(max_age) = max_age {
            builder = builder.setting("CONFIRM_MAX_AGE", max_age);
        }
        let world = builder.start().await;
        let follow = async |age| {
            world.delete_row(ADA);
            world.put_row(&json!({ "email": ADA, "password_hash": "$argon2id$x" }));
            let answer = within_one_second(async || world.get(&link(&world.token(ADA, age))).await);
            let status = answer.await.status;
            assert_eq!(is_confirmed(&world, ADA), status == 303);
            status
        };

        assert_eq!(follow(seconds).await, 303, "{seconds}");
        assert_eq!(follow(seconds + 1).await, 404, "{seconds}");
    }
}

#[tokio::test]
async fn clocks_may_differ_by_five_seconds() {
    let world = world().start().await;

    for (ahead, status) in [(4, 303), (5, 303), (6, 404), (60, 404)] {
        world.put_row(&json!({ "email": ADA, "password_hash": "$argon2id$x" }));

        let answer = within_one_second(async || world.get(&link(&world.token(ADA, -ahead))).await);

        assert_eq!(answer.await.status, status, "{ahead} s ahead");
        world.delete_row(ADA);
    }
}

#[tokio::test]
async fn a_token_has_one_spelling() {
    let world = world().start().await;
    sign_up(&world, ADA).await;
    let token = world.mail_to(ADA).token();
    let [payload, timestamp, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();

    for spelling in [
        format!("{payload}=.{timestamp}.{signature}"),
        format!("{payload}.{timestamp}.{signature}="),
        format!("{payload}\u{a0}.{timestamp}.{signature}"),
        format!("{payload}.{timestamp}.{signature}\n"),
        format!(".{payload}.{timestamp}.{signature}"),
        format!("{payload}.A{timestamp}.{signature}"),
        token.replace('-', "+").replace('_', "/") + "%2B",
    ] {
        let request = world.request("GET", &link(&spelling));
        let request = request.function("confirm-email");

        assert_eq!(request.send().await.status, 404, "{spelling:?}");
    }
    assert_eq!(world.get(&link(&token)).await.status, 303);
}

#[tokio::test]
async fn older_keys_verify_and_the_newest_signs() {
    let (old, older) = ("a key of last year's", "a key of the year before");
    let world = world()
        .setting("SECRET_KEY", "the key of this very year")
        .setting("SECRET_KEY_FALLBACKS", &format!("{old},{older}"))
        .start()
        .await;
    let emails = json!([ADA]);

    for (key, status) in [
        ("the key of this very year", 303),
        (old, 303),
        (older, 303),
        ("a key of nobody at all", 404),
    ] {
        world.delete_row(ADA);
        sign_up(&world, ADA).await;
        let tokens = python(DUMPS, &json!({ "key": key, "emails": emails }));

        let answer = world.get(&link(tokens[0].as_str().unwrap())).await;

        assert_eq!(answer.status, status, "{key}");
        assert_eq!(is_confirmed(&world, ADA), status == 303, "{key}");
    }
    let token = world.mail_to(ADA).token();
    let read = python(
        LOADS,
        &json!({ "key": "the key of this very year", "token": token }),
    );
    assert_eq!(read, ADA);
}

#[tokio::test]
async fn keys_from_secrets_manager_sign_and_verify_and_so_does_the_previous_one() {
    let fallback = "a key that no secret ever held";
    let world = world()
        .key_in_secrets_manager()
        .setting("SECRET_KEY_FALLBACKS", fallback)
        .start()
        .await;
    let previous_key = world.secret_key().to_owned();
    let new_key = "the key that a rotation has put there";
    world.rotate_key(new_key);

    for key in [new_key, &previous_key, fallback] {
        world.delete_row(ADA);
        assert_eq!(sign_up(&world, ADA).await.status, 303);
        let tokens = python(DUMPS, &json!({ "key": key, "emails": [ADA] }));

        let answer = world.get(&link(tokens[0].as_str().unwrap())).await;

        assert_eq!(answer.status, 303, "{key}");
    }
    let token = world.mail_to(ADA).token();
    assert_eq!(
        python(LOADS, &json!({ "key": new_key, "token": token })),
        ADA
    );
}

#[tokio::test]
async fn every_genuine_token_of_a_row_confirms_it_and_none_that_is_older() {
    let world = world().start().await;
    sign_up(&world, ADA).await;

    // Nothing of a token is stored, so any that was made since the sign-up will do; clocks may differ by five seconds.
    assert_eq!(world.get(&link(&world.token(ADA, 30))).await.status, 404);
    assert!(!is_confirmed(&world, ADA));
    assert_eq!(world.get(&link(&world.token(ADA, 2))).await.status, 303);
    assert_eq!(world.get(&world.mail_to(ADA).link()).await.status, 303);
    assert_eq!(world.get(&link(&world.token(ADA, 30))).await.status, 404);
}
