//! What a request costs, in calls of AWS.

use serde_json::json;
use tests::World;

use crate::steps::{
    ADA, OTHER_PASSWORD, PASSWORD, expired_link, have_account, have_contested_row, let_pass,
    open_in_browser_of, sign_up, sign_up_with, twice, visit_world,
};

/// A sign-up that is mailed, without the limit of its network, which the tests' worlds do not have.
const SIGN_UP: [&str; 4] = ["PutItem", "UpdateItem", "UpdateItem", "SendEmail"];

#[tokio::test]
async fn every_sign_up_costs_the_same_calls_whatever_the_address() {
    let world = World::start().await;
    for email in ["waiting@example.com", "expired@example.com"] {
        sign_up(&world, email).await;
    }
    have_contested_row(&world, "contested@example.com").await;
    have_account(&world, "confirmed@example.com").await;
    world.put_row(&json!({ "email": "foreign@example.com", "password_hash": "$argon2id$x" }));
    world.put_row(&json!({ "email": "invited@example.com", "role": "admin" }));
    let row = json!({
        "email": "confirmed-elsewhere@example.com", "password_hash": "$2b$12$x", "email_confirmed": true,
    });
    world.put_row(&row);

    for name in [
        "new",
        "waiting",
        "expired",
        "contested",
        "confirmed",
        "foreign",
        "invited",
        "confirmed-elsewhere",
    ] {
        let email = format!("{name}@example.com");
        let seconds = if name == "expired" { 30 * 86_400 } else { 60 };
        let_pass(&world, &email, seconds);
        world.forget_calls();

        sign_up(&world, &email).await;
        assert_eq!(world.all_calls(), SIGN_UP, "{name}");
        world.forget_calls();

        sign_up(&world, &email).await;
        assert_eq!(world.all_calls(), SIGN_UP[..3], "{name}, in the cooldown");
    }
}

#[tokio::test]
async fn with_the_limit_of_networks_a_sign_up_costs_four_writes_and_one_mail() {
    let world = World::builder()
        .setting("REQUESTS_PER_NETWORK", "30")
        .start()
        .await;

    for what in ["new", "waiting", "contested"] {
        let_pass(&world, ADA, 60);
        world.forget_calls();

        sign_up(&world, ADA).await;

        let calls = [
            "UpdateItem",
            "PutItem",
            "UpdateItem",
            "UpdateItem",
            "SendEmail",
        ];
        assert_eq!(world.all_calls(), calls, "{what}");
        for write in world.dynamodb.requests("*") {
            assert!(write["ConditionExpression"].is_string(), "{write}");
        }
    }
}

#[tokio::test]
async fn a_row_that_only_the_first_version_reserved_costs_one_write_more() {
    let world = World::start().await;
    world.put_row(&json!({ "email": ADA, "mail_claim": "x", "mailed_at": 1, "expires_at": 99_999_999_999_u64 }));

    sign_up(&world, ADA).await;

    let calls = [
        "PutItem",
        "PutItem",
        "UpdateItem",
        "UpdateItem",
        "SendEmail",
    ];
    assert_eq!(world.all_calls(), calls);
}

#[tokio::test]
async fn a_reset_request_costs_one_read_one_write_and_one_mail_whatever_the_address() {
    let world = World::start().await;
    sign_up(&world, "waiting@example.com").await;
    have_account(&world, "confirmed@example.com").await;
    world.put_row(&json!({ "email": "invited@example.com", "role": "admin" }));

    for name in ["nobody", "waiting", "confirmed", "invited"] {
        world.forget_calls();
        let email = format!("{name}@example.com");

        world
            .post_form("/accounts/password", &[("email", &email)])
            .await;

        let mut calls = world.all_calls();
        // The two are under way at once.
        calls[..2].sort();
        assert_eq!(calls, ["GetItem", "UpdateItem", "SendEmail"], "{name}");
    }
}

#[tokio::test]
async fn a_fresh_link_costs_one_read_two_writes_and_one_mail() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let_pass(&world, ADA, 60);
    world.forget_calls();
    let link = expired_link(&world, ADA);

    world.post_form(&link, &[]).await;
    assert_eq!(
        world.all_calls(),
        ["GetItem", "UpdateItem", "UpdateItem", "SendEmail"]
    );
    world.forget_calls();

    world.post_form(&link, &[]).await;
    assert_eq!(
        world.all_calls(),
        ["GetItem", "UpdateItem", "UpdateItem"],
        "in the cooldown"
    );
    world.forget_calls();

    world
        .post_form(&expired_link(&world, "nobody@example.com"), &[])
        .await;
    assert_eq!(world.all_calls(), ["GetItem"], "for nobody");
}

#[tokio::test]
async fn a_confirmation_in_the_browser_that_signed_up_costs_one_conditional_write_and_no_read() {
    let world = World::start().await;
    let signed_up = sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    world.forget_calls();

    for what in ["the first visit", "the second"] {
        open_in_browser_of(&world, &signed_up, &link).await;

        assert_eq!(world.all_calls(), ["UpdateItem"], "{what}");
        let request = &world.dynamodb.requests("UpdateItem")[0];
        assert!(request["ConditionExpression"].is_string());
        world.forget_calls();
    }

    let nobody = format!("/accounts/confirm/{}", world.token("nobody@example.com", 1));
    open_in_browser_of(&world, &signed_up, &nobody).await;
    assert_eq!(world.all_calls(), ["UpdateItem"], "nobody's");
    assert_eq!(
        world.rows().len(),
        1,
        "the condition kept it from making a row"
    );
}

#[tokio::test]
async fn in_visit_mode_a_confirmation_costs_one_conditional_write_and_no_read() {
    let world = visit_world().await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    world.forget_calls();

    for what in ["the first visit", "the second"] {
        world.get(&link).await;

        assert_eq!(world.all_calls(), ["UpdateItem"], "{what}");
        world.forget_calls();
    }
}

#[tokio::test]
async fn choosing_a_password_costs_one_read_for_the_page_and_one_write_for_the_post() {
    let world = World::start().await;
    let link = have_contested_row(&world, ADA).await;

    world.get(&link).await;
    assert_eq!(world.all_calls(), ["GetItem"]);
    world.forget_calls();

    world.post_form(&link, &twice(OTHER_PASSWORD)).await;
    assert_eq!(world.all_calls(), ["UpdateItem"]);
}

#[tokio::test]
async fn an_attempt_at_the_password_costs_three_claims_one_read_and_one_write() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    world.forget_calls();

    for (password, writes) in [("wrong", 3), (PASSWORD, 4)] {
        world.post_form(&link, &[("password", password)]).await;

        assert_eq!(world.calls("GetItem"), 1, "{password}");
        assert_eq!(world.calls("UpdateItem"), writes, "{password}");
        assert_eq!(world.all_calls().len(), writes + 1, "{password}");
        world.forget_calls();
    }
}

#[tokio::test]
async fn what_is_refused_or_only_shown_costs_nothing() {
    let world = World::start().await;
    let signed_up = sign_up(&world, "bob@example.com").await;
    world.forget_calls();
    let salted = |salt: &str| {
        let key = world.secret_key().as_bytes();
        let serializer = signing::UrlSafeTimedSerializer::new(key, salt);
        serializer.dumps(ADA).unwrap()
    };

    for path in [
        "/accounts/create",
        "/accounts/created",
        "/accounts/confirmed",
        "/accounts/email",
        "/accounts/password",
        "/accounts/confirm/no-token",
        "/accounts/password/no-token",
        &format!("/accounts/confirm/{}", world.token("no address", 1)),
        &format!("/accounts/confirm/{}", world.token(ADA, -60)),
        &format!("/accounts/confirm/{}", salted("recover-key")),
        &format!("/accounts/password/{}", salted("email-confirm-key")),
        &expired_link(&world, ADA),
    ] {
        world.get(path).await;
        open_in_browser_of(&world, &signed_up, path).await;
        world.request("HEAD", path).send().await;
        world.request("DELETE", path).send().await;
    }
    for bad in [
        "no-token",
        &salted("accounts-cookie"),
        &salted("recover-key"),
    ] {
        let link = format!("/accounts/confirm/{bad}");
        for fields in [&[][..], &[("password", PASSWORD)], &twice(PASSWORD)] {
            assert_eq!(world.post_form(&link, fields).await.status, 404);
        }
    }
    sign_up(&world, "no address").await;
    sign_up_with(&world, ADA, "short").await;

    assert!(world.is_untouched(), "{:?}", world.all_calls());
}

#[tokio::test]
async fn the_cost_does_not_depend_on_how_many_users_there_are() {
    let world = World::start().await;
    for user in 0..1_000 {
        let email = format!("user{user}@example.com");
        world.put_row(&json!({ "email": email, "password_hash": PASSWORD }));
    }

    let signed_up = sign_up(&world, ADA).await;
    assert_eq!(world.all_calls(), SIGN_UP);
    world.forget_calls();
    open_in_browser_of(&world, &signed_up, &world.mail_to(ADA).link()).await;
    assert_eq!(world.all_calls(), ["UpdateItem"]);
}
