//! What other code finds in the users table.

use jiff::Timestamp;
use serde_json::{Value, json};
use tests::World;

use crate::steps::{
    ADA, OTHER_PASSWORD, PASSWORD, expired_link, have_account, have_contested_row, is_confirmed,
    let_pass, now, open_in_browser_of, password_of, reset_link, sign_up, sign_up_with, twice,
    visit_world,
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
    assert_eq!(
        seconds(&row["expires_at"]),
        time(&row["created_at"]) + 86_400 + WEEK
    );
    assert_eq!(row["locale"], json!({ "S": "en" }));
    let names: Vec<_> = row.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "created_at",
            "email",
            "email_confirmed",
            "expires_at",
            "locale",
            "password_hash",
            "sign_up",
            "user_id",
        ],
        "and nothing of mails"
    );
}

#[tokio::test]
async fn the_id_of_a_sign_up_is_random_and_not_the_users() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    sign_up(&world, "bob@example.com").await;

    let row = world.row(ADA).unwrap();

    let id = row["sign_up"].as_str().unwrap();
    assert_eq!(id.len(), 36);
    assert_eq!(id.chars().nth(14), Some('4'), "version 4: {id}");
    assert_ne!(row["sign_up"], row["user_id"]);
    assert_ne!(
        row["sign_up"],
        world.row("bob@example.com").unwrap()["sign_up"]
    );
}

#[tokio::test]
async fn the_users_table_holds_users_and_the_limits_table_no_address() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    let fields = [
        ("email", ADA),
        ("password", PASSWORD),
        ("new_email", "new@example.com"),
    ];
    assert_eq!(
        world.post_form("/accounts/email", &fields).await.status,
        303
    );
    let unknown = [("email", "unknown@example.com")];
    assert_eq!(
        world.post_form("/accounts/password", &unknown).await.status,
        303
    );

    let rows = world.rows();
    assert_eq!(rows.len(), 1, "{rows:#?}");
    for item in world.store.items_of("limits").unwrap() {
        let text = item.to_string();
        assert!(!text.contains("example.com"), "{text}");
        assert!(!text.contains("203.0.113"), "{text}");
        assert!(seconds(&item["expires_at"]) > now(), "{text}");
    }
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
    let signed_up = sign_up(&world, ADA).await;
    let waiting = item(&world, ADA);
    let before = now();

    open_in_browser_of(&world, &signed_up, &world.mail_to(ADA).link()).await;

    let confirmed = item(&world, ADA);
    assert_eq!(confirmed["email_confirmed"], json!({ "BOOL": true }));
    assert!((before..=now()).contains(&time(&confirmed["confirmed_at"])));
    for gone in ["expires_at", "sign_up"] {
        assert_eq!(confirmed.get(gone), None, "{gone}");
    }
    for kept in ["email", "user_id", "password_hash", "created_at"] {
        assert_eq!(confirmed[kept], waiting[kept], "{kept}");
    }
}

#[tokio::test]
async fn a_contested_row_says_so_until_it_is_confirmed() {
    let world = World::start().await;

    let link = have_contested_row(&world, ADA).await;
    assert_eq!(item(&world, ADA)["contested"], json!({ "BOOL": true }));

    world.post_form(&link, &twice(OTHER_PASSWORD)).await;
    let row = item(&world, ADA);
    assert_eq!(row.get("contested"), None);
    assert_eq!(row.get("expires_at"), None);
    assert_eq!(row["email_confirmed"], json!({ "BOOL": true }));
}

#[tokio::test]
async fn a_row_outlives_its_last_sign_up_or_mail_by_a_link_and_seven_days() {
    let max_age = 3_600;
    let world = World::builder()
        .setting("CONFIRM_MAX_AGE", &max_age.to_string())
        .start()
        .await;
    let life = |since: i64| {
        let expires_at = seconds(&item(&world, ADA)["expires_at"]);
        (since..=now()).contains(&(expires_at - max_age - WEEK))
    };
    let before = now();
    sign_up(&world, ADA).await;
    assert!(life(before));

    // A repeat in the cooldown, and one that is mailed.
    for pass in [10, 1_000] {
        let_pass(&world, ADA, pass);
        assert!(!life(before), "{pass}");
        let before = now();
        sign_up(&world, ADA).await;
        assert!(life(before), "{pass}");
    }
    assert_eq!(world.mails().len(), 2);

    let_pass(&world, ADA, 100_000);
    let before = now();
    world.post_form(&expired_link(&world, ADA), &[]).await;
    assert!(life(before));
    assert_eq!(world.mails().len(), 3);
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
    let_pass(&world, ADA, 60);
    sign_up(&world, ADA).await;
    assert_eq!(world.mails().len(), 2);
    assert_has_foreign_attributes(&world, "a repeat that is mailed");
    let_pass(&world, ADA, 60);
    world.post_form(&expired_link(&world, ADA), &[]).await;
    assert_eq!(world.mails().len(), 3);
    assert_has_foreign_attributes(&world, "a fresh link");
    let_pass(&world, ADA, 60);
    world.ses.always(tests::ANY, tests::Fault::access_denied());
    assert_eq!(sign_up(&world, ADA).await.status, 503);
    world.ses.heal();
    assert_has_foreign_attributes(&world, "a mail that fails");
    world.post_form(&link, &[("password", "wrong")]).await;
    assert_has_foreign_attributes(&world, "an attempt at the password");
    world.post_form(&link, &twice(PASSWORD)).await;
    assert!(is_confirmed(&world, ADA));
    assert_has_foreign_attributes(&world, "the confirmation");
    let_pass(&world, ADA, 60);
    sign_up(&world, ADA).await;
    assert_eq!(world.mails().len(), 4);
    assert_has_foreign_attributes(&world, "a notice");
    let reset = reset_link(&world, ADA).await;
    let set = world
        .post_form(&reset, &[("password", OTHER_PASSWORD)])
        .await;
    assert_eq!(set.status, 303);
    assert_has_foreign_attributes(&world, "a reset");
}

#[tokio::test]
async fn a_waiting_row_that_other_code_wrote_is_confirmed_like_ours() {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaA";
    for row in [
        json!({ "email": ADA, "password_hash": hash }),
        json!({ "email": ADA, "password_hash": hash, "email_confirmed": false }),
        json!({ "email": ADA, "password_hash": hash, "email_confirmed": false, "user_id": "42", "plan": "pro" }),
    ] {
        let world = visit_world().await;
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
async fn a_waiting_row_that_other_code_wrote_is_confirmed_by_its_password() {
    let world = World::start().await;
    sign_up(&world, "bob@example.com").await;
    let hash = world.row("bob@example.com").unwrap()["password_hash"].clone();
    world.put_row(&json!({ "email": ADA, "password_hash": hash, "plan": "pro" }));
    let link = format!("/accounts/confirm/{}", world.token(ADA, 10));

    assert_eq!(world.get(&link).await.status, 200);
    assert!(!is_confirmed(&world, ADA));
    let fields = [("password", PASSWORD)];
    assert_eq!(world.post_form(&link, &fields).await.status, 303);

    assert!(is_confirmed(&world, ADA));
    assert_eq!(world.row(ADA).unwrap()["plan"], "pro");
}

#[tokio::test]
async fn a_password_page_that_is_posted_after_other_code_confirmed_the_row_keeps_the_user() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    for password in [PASSWORD, ""] {
        let confirmed = json!({ "email_confirmed": true, "expires_at": now() + 100 });
        world.change_row(ADA, &confirmed);

        let posted = world.post_form(&link, &[("password", password)]).await;

        assert_eq!(posted.status, 303, "{password:?}");
        let row = world.row(ADA).unwrap();
        assert_eq!(row.get("expires_at"), None, "{password:?}");
    }
}

#[tokio::test]
async fn a_sign_up_of_a_waiting_row_of_other_code_contests_it() {
    let world = visit_world().await;
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
    let chosen = world.post_form(&link, &twice(PASSWORD)).await;
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
