//! Rows and links as the first version wrote them go on working.

use serde_json::{Value, json};
use tests::World;

use crate::steps::{
    ADA, OTHER_PASSWORD, PASSWORD, have_account, is_confirmed, now, open_in_browser_of,
    password_of, reset_link, sign_up, sign_up_with, twice, visit_world,
};

/// What the first version kept of mails and tries in each row.
const MEMORY: [&str; 4] = ["mailed_at", "recent_mails", "mail_claim", "password_tries"];

/// A time before `now()`, as rows have it.
fn earlier(seconds: i64) -> String {
    let then = jiff::Timestamp::from_second(now() - seconds).unwrap();
    then.to_string()
}

/// The hash of [`PASSWORD`], which has the same form in both versions.
async fn hash(world: &World) -> Value {
    sign_up(world, "somebody@example.com").await;
    let row = world.row("somebody@example.com").unwrap();
    world.delete_row("somebody@example.com");
    row["password_hash"].clone()
}

/// A row that a sign-up of the first version made `age` seconds ago.
async fn waiting_row(world: &World, age: i64) -> Value {
    json!({
        "email": ADA,
        "user_id": "0190d7c5-8f2a-7b31-9c44-5f3e2d1c0b9a",
        "email_confirmed": false,
        "password_hash": hash(world).await,
        "created_at": earlier(age),
        "mailed_at": now() - age,
        "recent_mails": [now() - age],
        "mail_claim": "0190d7c5-8f2a-7b31-9c44-5f3e2d1c0b9a",
        "expires_at": now() - age + 8 * 86_400,
    })
}

/// A confirmed one, of an owner who has mistyped the password twice.
async fn confirmed_row(world: &World) -> Value {
    let mut row = waiting_row(world, 86_400).await;
    row["email_confirmed"] = json!(true);
    row["confirmed_at"] = json!(earlier(86_000));
    row["password_tries"] = json!({ "203.0.113.0/24": [2, now() - 60] });
    row.as_object_mut().unwrap().remove("expires_at");
    row
}

/// The link that the first version mailed for the row.
fn link(world: &World, age: i64) -> String {
    format!("/accounts/confirm/{}", world.token(ADA, age))
}

#[tokio::test]
async fn a_waiting_row_is_confirmed_by_its_link_in_visit_mode() {
    let world = visit_world().await;
    let row = waiting_row(&world, 3_600).await;
    world.put_row(&row);

    assert_eq!(world.get(&link(&world, 3_600)).await.status, 303);

    let confirmed = world.row(ADA).unwrap();
    assert_eq!(confirmed["email_confirmed"], true);
    assert_eq!(confirmed.get("expires_at"), None);
    for kept in ["user_id", "password_hash", "created_at"]
        .iter()
        .chain(&MEMORY[..3])
    {
        assert_eq!(confirmed[kept], row[kept], "{kept}");
    }
}

#[tokio::test]
async fn a_waiting_row_is_confirmed_by_its_password_in_browser_mode() {
    let world = World::start().await;
    let row = waiting_row(&world, 3_600).await;
    world.put_row(&row);
    let link = link(&world, 3_600);

    // No browser holds a cookie of the first version, and a cookie of a later sign-up is not the row's.
    let later = sign_up_with(&world, "bob@example.com", PASSWORD).await;
    assert_eq!(open_in_browser_of(&world, &later, &link).await.status, 200);
    assert_eq!(world.row(ADA), Some(row));

    let fields = [("password", PASSWORD)];
    assert_eq!(world.post_form(&link, &fields).await.status, 303);
    assert!(is_confirmed(&world, ADA));
}

#[tokio::test]
async fn a_contested_row_takes_a_password_and_its_mail_memory_holds_no_mail_back() {
    let world = World::start().await;
    let mut row = waiting_row(&world, 10).await;
    row["contested"] = json!(true);
    row["recent_mails"] = vec![now() - 10; 10].into();
    world.put_row(&row);

    sign_up(&world, ADA).await;

    let mail = world.mail_to(ADA);
    assert_eq!(world.get(&mail.link()).await.status, 200);
    let chosen = world.post_form(&mail.link(), &twice(OTHER_PASSWORD)).await;
    assert_eq!(chosen.status, 303);
    assert!(password_of(&world.row(ADA).unwrap(), OTHER_PASSWORD));
}

#[tokio::test]
async fn a_second_sign_up_contests_a_waiting_row() {
    let world = World::start().await;
    world.put_row(&waiting_row(&world, 3_600).await);

    sign_up_with(&world, ADA, OTHER_PASSWORD).await;

    let row = world.row(ADA).unwrap();
    assert_eq!(row["contested"], true);
    assert!(password_of(&row, PASSWORD));
}

#[tokio::test]
async fn an_expired_row_counts_as_absent() {
    let world = World::start().await;
    let row = waiting_row(&world, 9 * 86_400).await;
    world.put_row(&row);

    let signed_up = sign_up_with(&world, ADA, OTHER_PASSWORD).await;

    let new = world.row(ADA).unwrap();
    assert_ne!(new["user_id"], row["user_id"]);
    for name in MEMORY {
        assert_eq!(new.get(name), None, "{name}");
    }
    let opened = open_in_browser_of(&world, &signed_up, &world.mail_to(ADA).link()).await;
    assert_eq!(opened.status, 303);
}

#[tokio::test]
async fn a_reserved_row_counts_as_absent_everywhere() {
    for (what, expires_at) in [("live", now() + 80_000), ("expired", now() - 10)] {
        let world = World::start().await;
        let reserved = json!({
            "email": ADA, "mailed_at": now() - 10, "recent_mails": [now() - 10],
            "mail_claim": "0190d7c5-8f2a-7b31-9c44-5f3e2d1c0b9a", "expires_at": expires_at,
        });
        world.put_row(&reserved);

        // To a link, to a reset, and to a change of address.
        assert_eq!(world.get(&link(&world, 1)).await.status, 404, "{what}");
        let posted = world.post_form(&link(&world, 1), &twice(PASSWORD)).await;
        assert_eq!(posted.status, 404, "{what}");
        world
            .post_form("/accounts/password", &[("email", ADA)])
            .await;
        assert!(world.mail_to(ADA).text().contains("no account"), "{what}");
        assert_eq!(world.row(ADA), Some(reserved.clone()), "{what}");

        // And to a sign-up.
        let signed_up = sign_up(&world, ADA).await;
        let row = world.row(ADA).unwrap();
        assert!(password_of(&row, PASSWORD), "{what}");
        assert!(row["expires_at"].as_i64().unwrap() > now() + 86_400);
        for name in MEMORY {
            assert_eq!(row.get(name), None, "{what} {name}");
        }
        let opened = open_in_browser_of(&world, &signed_up, &world.mail_to(ADA).link()).await;
        assert_eq!(opened.status, 303, "{what}");
    }
}

#[tokio::test]
async fn an_address_with_a_reserved_row_can_be_moved_to() {
    let world = World::start().await;
    have_account(&world, "bob@example.com").await;
    world.put_row(&json!({ "email": ADA, "mail_claim": "x", "mailed_at": now() }));
    let fields = [
        ("email", "bob@example.com"),
        ("password", PASSWORD),
        ("new_email", ADA),
    ];

    let asked = world.post_form("/accounts/email", &fields).await;
    let moved = open_in_browser_of(&world, &asked, &world.mail_to(ADA).link()).await;

    assert_eq!(moved.status, 303);
    assert!(is_confirmed(&world, ADA));
    assert_eq!(world.row("bob@example.com"), None);
}

#[tokio::test]
async fn a_confirmed_row_keeps_its_password_and_its_link_leads_to_sign_in() {
    let world = World::start().await;
    let row = confirmed_row(&world).await;
    world.put_row(&row);

    assert_eq!(world.get(&link(&world, 80_000)).await.status, 303);
    sign_up_with(&world, ADA, OTHER_PASSWORD).await;
    assert_eq!(world.row(ADA), Some(row));
    assert!(
        world
            .mail_to(ADA)
            .text()
            .contains("already have an account")
    );

    let reset = reset_link(&world, ADA).await;
    let set = world
        .post_form(&reset, &[("password", OTHER_PASSWORD)])
        .await;
    assert_eq!(set.status, 303);
    assert!(password_of(&world.row(ADA).unwrap(), OTHER_PASSWORD));
}

#[tokio::test]
async fn a_confirmed_row_moves_whole() {
    let world = World::start().await;
    let row = confirmed_row(&world).await;
    world.put_row(&row);
    let new = "new@example.com";
    let fields = [("email", ADA), ("password", PASSWORD), ("new_email", new)];

    let asked = world.post_form("/accounts/email", &fields).await;
    assert_eq!(asked.status, 303);
    let moved = open_in_browser_of(&world, &asked, &world.mail_to(new).link()).await;

    assert_eq!(moved.status, 303);
    let moved = world.row(new).unwrap();
    assert_eq!(moved["user_id"], row["user_id"]);
    for name in MEMORY {
        assert_eq!(moved[name], row[name], "{name}");
    }
}

#[tokio::test]
async fn a_change_that_the_first_version_was_asked_for_needs_the_accounts_password() {
    for confirm_on in ["browser", "visit"] {
        let builder = World::builder().setting("CONFIRM_ON", confirm_on);
        let world = builder.start().await;
        let mut row = confirmed_row(&world).await;
        let new = "new@example.com";
        let asked_at = now() - 100;
        // It kept the hash itself, and no id.
        row["email_change"] = json!({
            "new_email": new, "requested_at": asked_at, "password_hash": row["password_hash"],
        });
        world.put_row(&row);
        let serializer =
            signing::UrlSafeTimedSerializer::new(world.secret_key().as_bytes(), "email-update-key");
        let token = serializer.dumps_at(&[ADA, new], u64::try_from(asked_at).unwrap());
        let link = format!("/accounts/confirm/{}", token.unwrap());

        let page = world.get(&link).await;
        assert_eq!(page.status, 200, "{confirm_on}");
        assert!(page.text().contains("a…a@example.com"));
        assert_eq!(world.row(ADA), Some(row.clone()), "{confirm_on}");
        let moved = world.post_form(&link, &[("password", PASSWORD)]).await;

        assert_eq!(moved.status, 303, "{confirm_on}: {}", moved.text());
        assert_eq!(world.row(new).unwrap()["user_id"], row["user_id"]);
        assert_eq!(world.row(ADA), None);
        assert_eq!(world.get(&link).await.status, 303, "{confirm_on}: again");
    }
}

#[tokio::test]
async fn an_undeliverable_row_counts_as_one_of_a_complaint() {
    let world = World::start().await;
    let mut row = confirmed_row(&world).await;
    row["undeliverable"] = json!(true);
    world.put_row(&row);

    let signed_up = sign_up(&world, ADA).await;
    let asked = world
        .post_form("/accounts/password", &[("email", ADA)])
        .await;

    assert_eq!((signed_up.status, asked.status), (303, 303));
    assert!(world.mails_to(ADA).is_empty());
    assert_eq!(world.row(ADA), Some(row));
}
