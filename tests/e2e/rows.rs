//! What other code finds in the users table.

use jiff::Timestamp;
use serde_json::{Value, json};
use tests::World;

use crate::steps::{
    ADA, OTHER_PASSWORD, PASSWORD, expired_link, have_contested_row, is_confirmed, let_pass, now,
    password_of, sign_up, sign_up_with,
};

const WEEK: i64 = 7 * 86_400;

/// The row as `DynamoDB` has it, with the types.
fn item(world: &World, email: &str) -> Value {
    world.store.item(email).unwrap().unwrap()
}

fn seconds(number: &Value) -> i64 {
    number["N"].as_str().unwrap().parse().unwrap()
}

/// Seconds since 1970 of an RFC 3339 time in UTC.
fn time(text: &Value) -> i64 {
    let text = text["S"].as_str().unwrap();
    assert!(text.ends_with('Z'), "{text} is not UTC");
    text.parse::<Timestamp>().unwrap().as_second()
}

#[tokio::test]
async fn a_sign_up_makes_a_row_with_the_attributes_of_the_contract() {
    let world = World::start().await;
    let before = now();

    sign_up(&world, " Ada@EXAMPLE.com").await;

    let row = item(&world, ADA);
    let when = before..=now();
    assert_eq!(row["email"], json!({ "S": ADA }));
    assert_eq!(row["email_confirmed"], json!({ "BOOL": false }));
    assert!(when.contains(&time(&row["created_at"])));
    assert!(when.contains(&seconds(&row["mailed_at"])));
    assert_eq!(
        seconds(&row["expires_at"]),
        seconds(&row["mailed_at"]) + 86_400 + WEEK
    );
    assert_eq!(row.get("confirmed_at"), None);
    assert_eq!(row.get("contested"), None);
}

#[tokio::test]
async fn the_user_id_is_a_uuid_of_version_7() {
    let world = World::start().await;
    let before = now();
    sign_up(&world, ADA).await;
    sign_up(&world, "bob@example.com").await;

    let ids = [ADA, "bob@example.com"].map(|email| {
        let id = item(&world, email)["user_id"]["S"].clone();
        id.as_str().unwrap().to_owned()
    });

    assert_ne!(ids[0], ids[1]);
    for id in ids {
        let parts: Vec<_> = id.split('-').collect();
        let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        assert!(id.bytes().all(|byte| b"0123456789abcdef-".contains(&byte)));
        assert!(parts[2].starts_with('7'), "{id}");
        assert!(parts[3].starts_with(['8', '9', 'a', 'b']), "{id}");
        let milliseconds = i64::from_str_radix(&[parts[0], parts[1]].concat(), 16).unwrap();
        assert!((before..=now()).contains(&(milliseconds / 1_000)), "{id}");
    }
}

#[tokio::test]
async fn the_password_hash_is_a_phc_string_that_other_implementations_verify() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let row = world.row(ADA).unwrap();

    let hash = row["password_hash"].as_str().unwrap();

    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    assert!(password_of(&row, PASSWORD));
    assert!(!password_of(&row, OTHER_PASSWORD));
}

#[tokio::test]
async fn one_password_has_another_hash_each_time() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    sign_up(&world, "bob@example.com").await;

    let hashes = world
        .rows()
        .into_iter()
        .map(|row| row["password_hash"].clone());
    let hashes: Vec<_> = hashes.collect();

    assert_ne!(hashes[0], hashes[1]);
}

#[tokio::test]
async fn confirmation_says_when_and_ends_the_expiry() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let waiting = item(&world, ADA);
    let before = now();

    world.get(&world.mail_to(ADA).link()).await;

    let confirmed = item(&world, ADA);
    assert_eq!(confirmed["email_confirmed"], json!({ "BOOL": true }));
    assert!((before..=now()).contains(&time(&confirmed["confirmed_at"])));
    assert_eq!(confirmed.get("expires_at"), None);
    for kept in [
        "email",
        "user_id",
        "password_hash",
        "created_at",
        "mailed_at",
    ] {
        assert_eq!(confirmed[kept], waiting[kept], "{kept}");
    }
}

#[tokio::test]
async fn a_contested_row_says_so_until_it_is_confirmed() {
    let world = World::start().await;

    let link = have_contested_row(&world, ADA).await;
    assert_eq!(item(&world, ADA)["contested"], json!({ "BOOL": true }));

    world
        .post_form(&link, &[("password", OTHER_PASSWORD)])
        .await;
    let row = item(&world, ADA);
    assert_eq!(row.get("contested"), None);
    assert_eq!(row.get("expires_at"), None);
    assert_eq!(row["email_confirmed"], json!({ "BOOL": true }));
}

#[tokio::test]
async fn a_row_outlives_its_newest_link_by_seven_days() {
    let max_age = 3_600;
    let world = World::builder()
        .setting("CONFIRM_MAX_AGE", &max_age.to_string())
        .start()
        .await;
    let expiry = || {
        let row = item(&world, ADA);
        (seconds(&row["expires_at"]), seconds(&row["mailed_at"]))
    };
    sign_up(&world, ADA).await;
    let (expires_at, mailed_at) = expiry();
    assert_eq!(expires_at, mailed_at + max_age + WEEK);

    sign_up(&world, ADA).await;
    assert_eq!(expiry(), (expires_at, mailed_at), "no mail, no longer life");

    let_pass(&world, ADA, 1_000);
    sign_up(&world, ADA).await;
    let (expires_at, mailed_again_at) = expiry();
    assert_eq!(world.mails().len(), 2);
    assert!(mailed_again_at >= mailed_at);
    assert_eq!(expires_at, mailed_again_at + max_age + WEEK);

    let_pass(&world, ADA, 100_000);
    world.post_form(&expired_link(&world, ADA), &[]).await;
    let (expires_at, mailed_at) = expiry();
    assert_eq!(world.mails().len(), 3);
    assert!(mailed_at >= mailed_again_at);
    assert_eq!(expires_at, mailed_at + max_age + WEEK);
}

/// Attributes of every type, as other code might add them.
fn foreign_attributes() -> Value {
    json!({
        "nickname": { "S": "Ada" },
        "balance": { "N": "12345678901234567890.123" },
        "picture": { "B": "AQID" },
        "likes": { "SS": ["engines", "numbers"] },
        "scores": { "NS": ["1", "2.5"] },
        "nothing": { "NULL": true },
        "admin": { "BOOL": false },
        "address": { "M": { "city": { "S": "London" }, "rooms": { "L": [{ "N": "1" }, { "S": "x" }] } } },
    })
}

fn assert_has_foreign_attributes(world: &World, step: &str) {
    let row = item(world, ADA);
    for (name, value) in foreign_attributes().as_object().unwrap() {
        let sorted = |value: &Value| {
            let mut value = value.clone();
            if let Some(set) = value.get_mut("SS").and_then(Value::as_array_mut) {
                set.sort_by_key(ToString::to_string);
            }
            value
        };
        assert_eq!(sorted(&row[name]), sorted(value), "{name} after {step}");
    }
}

#[tokio::test]
async fn attributes_of_other_code_are_kept_in_every_write() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    let mut row = item(&world, ADA);
    let attributes = row.as_object_mut().unwrap();
    attributes.extend(foreign_attributes().as_object().unwrap().clone());
    world.store.put(&row).unwrap();

    sign_up_with(&world, ADA, OTHER_PASSWORD).await;
    assert_has_foreign_attributes(&world, "a repeat in the cooldown");
    let_pass_raw(&world);
    sign_up(&world, ADA).await;
    assert_eq!(world.mails().len(), 2);
    assert_has_foreign_attributes(&world, "a repeat that is mailed");
    let_pass_raw(&world);
    world.post_form(&expired_link(&world, ADA), &[]).await;
    assert_eq!(world.mails().len(), 3);
    assert_has_foreign_attributes(&world, "a fresh link");
    let_pass_raw(&world);
    world.ses.always(tests::ANY, tests::Fault::access_denied());
    assert_eq!(sign_up(&world, ADA).await.status, 503);
    world.ses.heal();
    assert_has_foreign_attributes(&world, "a claim that is lifted");
    world.post_form(&link, &[("password", PASSWORD)]).await;
    assert!(is_confirmed(&world, ADA));
    assert_has_foreign_attributes(&world, "the confirmation");
    let_pass_raw(&world);
    sign_up(&world, ADA).await;
    assert_eq!(world.mails().len(), 4);
    assert_has_foreign_attributes(&world, "a notice");
}

/// Lets the cooldown pass without a look at the attributes that plain JSON cannot hold.
fn let_pass_raw(world: &World) {
    let mut row = item(world, ADA);
    let earlier = seconds(&row["mailed_at"]) - 1_000;
    row["mailed_at"]["N"] = earlier.to_string().into();
    world.store.put(&row).unwrap();
}

#[tokio::test]
async fn a_waiting_row_that_other_code_wrote_is_confirmed_like_ours() {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaA";
    for row in [
        json!({ "email": ADA, "password_hash": hash }),
        json!({ "email": ADA, "password_hash": hash, "email_confirmed": false }),
        json!({ "email": ADA, "password_hash": hash, "email_confirmed": false, "user_id": "42", "plan": "pro" }),
    ] {
        let world = World::start().await;
        world.put_row(&row);
        let link = format!("/accounts/confirm/{}", world.token(ADA, 10));

        let first = world.get(&link).await;
        let again = world.get(&link).await;

        assert_eq!((first.status, again.status), (303, 303), "{row}");
        let confirmed = world.row(ADA).unwrap();
        assert_eq!(confirmed["email_confirmed"], true);
        assert!(confirmed["confirmed_at"].is_string());
        for (name, value) in row.as_object().unwrap() {
            if name != "email_confirmed" {
                assert_eq!(&confirmed[name], value, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn a_sign_up_of_a_waiting_row_of_other_code_contests_it() {
    let world = World::start().await;
    world.put_row(&json!({ "email": ADA, "password_hash": "$argon2id$x", "plan": "pro" }));

    assert_eq!(sign_up(&world, ADA).await.status, 303);

    let row = world.row(ADA).unwrap();
    assert_eq!(row["contested"], true);
    assert_eq!(row["password_hash"], "$argon2id$x");
    assert_eq!(row["plan"], "pro");
    assert_eq!(
        row.get("expires_at"),
        None,
        "other code's rows do not expire"
    );
    let link = world.mail_to(ADA).link();
    assert_eq!(world.get(&link).await.status, 200);
    let chosen = world.post_form(&link, &[("password", PASSWORD)]).await;
    assert_eq!(chosen.status, 303);
    assert!(password_of(&world.row(ADA).unwrap(), PASSWORD));
}

#[tokio::test]
async fn rows_are_found_by_the_canonical_address_alone() {
    let world = World::start().await;

    sign_up(&world, "Ada@Example.COM").await;

    assert_eq!(world.rows().len(), 1);
    assert!(world.row(ADA).is_some());
    assert!(world.row("Ada@Example.COM").is_none());
}
