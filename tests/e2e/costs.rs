//! What a request costs, in calls of AWS.

use tests::World;

use crate::steps::{
    ADA, OTHER_PASSWORD, PASSWORD, expired_link, have_account, have_contested_row, let_pass,
    sign_up, sign_up_with,
};

#[tokio::test]
async fn a_new_address_costs_one_write_and_one_mail() {
    let world = World::start().await;

    sign_up(&world, ADA).await;

    assert_eq!(world.all_calls(), ["PutItem", "SendEmail"]);
}

#[tokio::test]
async fn the_place_of_an_expired_row_is_taken_in_one_write() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let_pass(&world, ADA, 9 * 86_400);
    world.forget_calls();

    sign_up(&world, ADA).await;

    assert_eq!(world.all_calls(), ["PutItem", "SendEmail"]);
}

#[tokio::test]
async fn a_repeat_costs_at_most_two_writes_and_one_mail() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    world.forget_calls();

    sign_up(&world, ADA).await;
    assert_eq!(
        world.all_calls(),
        ["PutItem", "UpdateItem"],
        "the first, in the cooldown"
    );
    world.forget_calls();

    sign_up(&world, ADA).await;
    assert_eq!(
        world.all_calls(),
        ["PutItem"],
        "nothing to write that is not there"
    );
    world.forget_calls();

    let_pass(&world, ADA, 60);
    sign_up(&world, ADA).await;
    assert_eq!(world.all_calls(), ["PutItem", "UpdateItem", "SendEmail"]);
}

#[tokio::test]
async fn a_notice_costs_at_most_two_writes_and_one_mail() {
    let world = World::start().await;
    have_account(&world, ADA).await;

    sign_up(&world, ADA).await;
    assert_eq!(world.all_calls(), ["PutItem"], "in the cooldown");
    world.forget_calls();

    let_pass(&world, ADA, 60);
    sign_up(&world, ADA).await;
    assert_eq!(world.all_calls(), ["PutItem", "UpdateItem", "SendEmail"]);
}

#[tokio::test]
async fn a_fresh_link_costs_at_most_two_writes_and_one_mail() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let_pass(&world, ADA, 60);
    world.forget_calls();
    let link = expired_link(&world, ADA);

    world.post_form(&link, &[]).await;
    assert_eq!(world.all_calls(), ["GetItem", "UpdateItem", "SendEmail"]);
    world.forget_calls();

    world.post_form(&link, &[]).await;
    assert_eq!(world.all_calls(), ["GetItem"], "in the cooldown");
    world.forget_calls();

    world
        .post_form(&expired_link(&world, "nobody@example.com"), &[])
        .await;
    assert_eq!(world.all_calls(), ["GetItem"], "for nobody");
}

#[tokio::test]
async fn a_confirmation_costs_one_conditional_write_and_no_read() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    world.forget_calls();

    for what in ["the first visit", "the second"] {
        world.get(&link).await;

        assert_eq!(world.all_calls(), ["UpdateItem"], "{what}");
        let request = &world.dynamodb.requests("UpdateItem")[0];
        assert!(request["ConditionExpression"].is_string());
        world.forget_calls();
    }

    let nobody = format!("/accounts/confirm/{}", world.token("nobody@example.com", 1));
    world.get(&nobody).await;
    assert_eq!(world.all_calls(), ["UpdateItem"], "nobody's");
    assert_eq!(
        world.rows().len(),
        1,
        "the condition kept it from making a row"
    );
}

#[tokio::test]
async fn choosing_a_password_costs_one_write_each_for_page_and_post() {
    let world = World::start().await;
    let link = have_contested_row(&world, ADA).await;

    world.get(&link).await;
    assert_eq!(world.all_calls(), ["UpdateItem"]);
    world.forget_calls();

    world
        .post_form(&link, &[("password", OTHER_PASSWORD)])
        .await;
    assert_eq!(world.all_calls(), ["UpdateItem"]);
}

#[tokio::test]
async fn a_button_costs_one_read_for_its_page_and_one_write_for_its_post() {
    let world = World::builder()
        .setting("CONFIRM_ON", "button")
        .start()
        .await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    world.forget_calls();

    world.get(&link).await;
    assert_eq!(world.all_calls(), ["GetItem"]);
    world.forget_calls();

    world.post_form(&link, &[]).await;
    assert_eq!(world.all_calls(), ["UpdateItem"]);
}

#[tokio::test]
async fn what_is_refused_or_only_shown_costs_nothing() {
    let world = World::builder()
        .setting("CONFIRM_ON", "button")
        .start()
        .await;

    for path in [
        "/accounts/create",
        "/accounts/created",
        "/accounts/confirmed",
        "/accounts/confirm/no-token",
        &format!("/accounts/confirm/{}", world.token("no address", 1)),
        &format!("/accounts/confirm/{}", world.token(ADA, -60)),
        &expired_link(&world, ADA),
    ] {
        world.get(path).await;
        world.request("HEAD", path).send().await;
        world.request("DELETE", path).send().await;
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
        world.put_row(&serde_json::json!({ "email": email, "password_hash": PASSWORD }));
    }

    sign_up(&world, ADA).await;
    world.get(&world.mail_to(ADA).link()).await;

    assert_eq!(world.all_calls(), ["PutItem", "UpdateItem", "SendEmail"]);
}
