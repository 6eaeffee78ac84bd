//! Signing up again: contested rows, the cooldown, ten mails a day, notices, and rows that have expired.

use serde_json::json;
use tests::World;

use crate::steps::{
    ADA, OTHER_PASSWORD, PASSWORD, expired_link, have_account, have_contested_row, is_confirmed,
    let_pass, now, open_in_browser_of, password_of, sign_up, sign_up_with, twice, visit_world,
};

const DAY: i64 = 86_400;

#[tokio::test]
async fn a_second_sign_up_contests_the_row_and_changes_no_password() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let first = world.row(ADA).unwrap();

    sign_up_with(&world, ADA, OTHER_PASSWORD).await;

    let row = world.row(ADA).unwrap();
    assert_eq!(world.mails().len(), 1, "the cooldown is not over");
    let expected = {
        let mut expected = first.clone();
        expected["contested"] = json!(true);
        // The newest sign-up counts.
        expected["expires_at"] = row["expires_at"].clone();
        expected
    };
    assert_eq!(row, expected);
    assert!(row["expires_at"].as_i64() >= first["expires_at"].as_i64());

    let_pass(&world, ADA, 60);
    sign_up_with(&world, ADA, OTHER_PASSWORD).await;

    let row = world.row(ADA).unwrap();
    assert_eq!(world.mails().len(), 2);
    for name in ["user_id", "password_hash", "sign_up"] {
        assert_eq!(row[name], first[name], "{name}");
    }
}

#[tokio::test]
async fn a_second_sign_up_that_is_mailed_contests_as_well() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let_pass(&world, ADA, 60);

    sign_up_with(&world, ADA, OTHER_PASSWORD).await;

    assert_eq!(world.mails().len(), 2);
    assert_eq!(world.row(ADA).unwrap()["contested"], true);
}

#[tokio::test]
async fn every_link_to_a_contested_row_asks_for_a_password() {
    let world = visit_world().await;
    have_contested_row(&world, ADA).await;
    let_pass(&world, ADA, 60);
    sign_up(&world, ADA).await;
    let links: Vec<_> = world.mails().iter().map(tests::Mail::link).collect();
    assert_eq!(links.len(), 2);

    for link in &links {
        assert_eq!(world.get(link).await.status, 200);
    }
    assert!(!is_confirmed(&world, ADA));
    let chosen = world.post_form(&links[0], &twice("mine alone!")).await;
    assert_eq!(chosen.status, 303);
    for link in &links {
        assert_eq!(world.get(link).await.status, 303);
        let late = world.post_form(link, &twice(OTHER_PASSWORD)).await;
        assert_eq!(late.status, 303);
    }
    assert!(password_of(&world.row(ADA).unwrap(), "mine alone!"));
}

#[tokio::test]
async fn signing_up_first_with_somebodys_address_gains_nothing() {
    for confirm_on in ["browser", "visit"] {
        let builder = World::builder().setting("CONFIRM_ON", confirm_on);
        let world = builder.start().await;
        sign_up_with(&world, ADA, "the attacker's password").await;
        let owners = sign_up_with(&world, ADA, "the owner's password").await;
        let link = world.mail_to(ADA).link();

        let page = open_in_browser_of(&world, &owners, &link).await;
        assert_eq!(page.status, 200);
        let tried = [("password", "the owner's password")];
        assert_eq!(world.post_form(&link, &tried).await.status, 422);
        assert!(!is_confirmed(&world, ADA));
        let chosen = world.post_form(&link, &twice("the owner's password")).await;
        assert_eq!(chosen.status, 303);

        let row = world.row(ADA).unwrap();
        assert!(password_of(&row, "the owner's password"));
        assert!(!password_of(&row, "the attacker's password"));
    }
}

#[tokio::test]
async fn an_address_is_mailed_again_after_the_cooldown_and_not_before() {
    for (setting, cooldown) in [(None, 60), (Some("1"), 1), (Some("3600"), 3_600)] {
        let mut builder = World::builder();
        if let Some(setting) = setting {
            builder = builder.setting("RESEND_COOLDOWN", setting);
        }
        let world = builder.start().await;
        for email in [ADA, "bob@example.com"] {
            sign_up(&world, email).await;
        }
        have_account(&world, "eve@example.com").await;
        assert_eq!(world.mails().len(), 3);
        let everybody = [ADA, "bob@example.com", "eve@example.com"];

        for email in everybody {
            let_pass(&world, email, cooldown - 30.min(cooldown));
            if cooldown > 30 {
                sign_up(&world, email).await;
            }
        }
        assert_eq!(world.mails().len(), 3, "{cooldown}");

        for email in everybody {
            let_pass(&world, email, 30.min(cooldown));
            sign_up(&world, email).await;
        }
        assert_eq!(world.mails().len(), 6, "{cooldown}");
    }
}

#[tokio::test]
async fn without_a_cooldown_every_sign_up_is_mailed() {
    let world = World::builder()
        .setting("RESEND_COOLDOWN", "0")
        .start()
        .await;
    have_account(&world, "eve@example.com").await;

    for _ in 0..12 {
        sign_up(&world, ADA).await;
        sign_up(&world, "eve@example.com").await;
    }

    assert_eq!(world.mails_to(ADA).len(), 12);
    assert_eq!(world.mails_to("eve@example.com").len(), 13);
}

#[tokio::test]
async fn no_more_than_ten_mails_a_day_go_to_an_address() {
    let world = World::start().await;
    // Links, fresh links and, once confirmed, notices: all count.
    for round in 0..14 {
        if round == 4 {
            let link = world.mail_to(ADA).link();
            let chosen = world.post_form(&link, &twice(PASSWORD)).await;
            assert_eq!(chosen.status, 303);
        }
        if round == 2 {
            world.post_form(&expired_link(&world, ADA), &[]).await;
        } else {
            sign_up(&world, " ADA@example.com").await;
        }
        assert_eq!(world.mails_to(ADA).len(), 10.min(round + 1));
        let_pass(&world, ADA, 3_600);
    }

    // The first of them went out 14 hours ago; ten more, and it is forgotten.
    let_pass(&world, ADA, DAY - 14 * 3_600);
    sign_up(&world, ADA).await;
    assert_eq!(world.mails_to(ADA).len(), 11);
    let_pass(&world, ADA, 60);
    sign_up(&world, ADA).await;
    assert_eq!(world.mails_to(ADA).len(), 11, "the second is not a day old");
    let_pass(&world, ADA, 3_600);
    sign_up(&world, ADA).await;
    assert_eq!(world.mails_to(ADA).len(), 12);
}

/// As strangers could: all ten mails of a day, as quickly as the cooldown lets them.
async fn use_up_the_mails_of_a_day(world: &World, email: &str) {
    for _ in 0..10 {
        let_pass(world, email, 60);
        sign_up(world, email).await;
    }
    let mails = world.mails_to(email).len();
    let_pass(world, email, 60);
    sign_up(world, email).await;
    assert_eq!(world.mails_to(email).len(), mails, "ten are enough");
}

#[tokio::test]
async fn who_makes_the_row_is_mailed_however_many_went_out() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    let_pass(&world, ADA, DAY);
    use_up_the_mails_of_a_day(&world, ADA).await;
    let mails = world.mails_to(ADA).len();

    // The account is deleted, and its owner comes back.
    world.delete_row(ADA);
    let_pass(&world, ADA, 60);
    let signed_up = sign_up(&world, ADA).await;

    assert_eq!(world.mails_to(ADA).len(), mails + 1);
    let link = world.mail_to(ADA).link();
    let opened = open_in_browser_of(&world, &signed_up, &link).await;
    assert_eq!(opened.status, 303);
}

#[tokio::test]
async fn an_address_whose_newest_link_is_dead_is_mailed_one_that_lives() {
    let world = World::builder()
        .setting("CONFIRM_MAX_AGE", "3600")
        .start()
        .await;
    use_up_the_mails_of_a_day(&world, ADA).await;
    let mails = world.mails_to(ADA).len();

    let_pass(&world, ADA, 3_600);
    sign_up(&world, ADA).await;
    assert_eq!(world.mails_to(ADA).len(), mails + 1);

    let_pass(&world, ADA, 60);
    sign_up(&world, ADA).await;
    assert_eq!(world.mails_to(ADA).len(), mails + 1, "that one lives");
}

#[tokio::test]
async fn the_limits_of_one_address_are_not_those_of_another() {
    let world = World::start().await;

    sign_up(&world, ADA).await;
    sign_up(&world, "ada+news@example.com").await;
    sign_up(&world, "ada@example.org").await;

    assert_eq!(world.mails().len(), 3);
}

#[tokio::test]
async fn a_confirmed_address_gets_a_notice_without_a_token_and_stays_as_it_is() {
    let world = World::builder()
        .setting("SIGN_IN_URL", "https://id.example.com/sign-in")
        .start()
        .await;
    have_account(&world, ADA).await;
    let_pass(&world, ADA, 60);
    let before = world.row(ADA).unwrap();

    sign_up_with(&world, ADA, OTHER_PASSWORD).await;

    let mails = world.mails_to(ADA);
    assert_eq!(mails.len(), 2);
    let notice = &mails[1];
    assert_eq!(
        notice.links(),
        [
            "https://id.example.com/sign-in",
            "https://app.example.com/accounts/password",
        ]
    );
    for part in [&notice.text, &notice.html] {
        let part = part.as_deref().unwrap();
        assert!(part.contains("already have an account"), "{part}");
        assert!(!part.contains("/accounts/confirm/"), "{part}");
    }
    let row = world.row(ADA).unwrap();
    assert_eq!(row, before);
    assert!(password_of(&row, PASSWORD));

    sign_up(&world, ADA).await;
    assert_eq!(world.mails_to(ADA).len(), 2, "notices have a cooldown too");
}

#[tokio::test]
async fn a_confirmed_row_of_other_code_gets_a_notice() {
    let world = World::start().await;
    let row = json!({ "email": ADA, "password_hash": "$argon2id$x", "email_confirmed": true });
    world.put_row(&row);

    sign_up(&world, ADA).await;

    assert_eq!(world.mails_to(ADA).len(), 1);
    assert_eq!(world.row(ADA).unwrap()["password_hash"], "$argon2id$x");
    assert!(is_confirmed(&world, ADA));
}

#[tokio::test]
async fn an_expired_row_counts_as_absent() {
    let world = World::start().await;
    have_contested_row(&world, ADA).await;
    let old = world.row(ADA).unwrap();
    let_pass(&world, ADA, 8 * DAY + 1);

    let signed_up = sign_up_with(&world, ADA, "a new beginning").await;

    let row = world.row(ADA).unwrap();
    assert_ne!(row["user_id"], old["user_id"]);
    assert_eq!(row.get("contested"), None);
    assert!(password_of(&row, "a new beginning"));
    assert!(row["expires_at"].as_i64().unwrap() > now() + 7 * DAY);
    assert_eq!(world.mails_to(ADA).len(), 2);
    let link = world.mail_to(ADA).link();
    let opened = open_in_browser_of(&world, &signed_up, &link).await;
    assert_eq!(opened.status, 303);
}

#[tokio::test]
async fn a_row_expires_when_its_time_is_over_and_not_before() {
    for (left, expired) in [(30, false), (-30, true)] {
        let world = World::start().await;
        sign_up(&world, ADA).await;
        let id = world.row(ADA).unwrap()["user_id"].clone();
        world.change_row(ADA, &json!({ "expires_at": now() + left }));

        sign_up(&world, ADA).await;

        let row = world.row(ADA).unwrap();
        assert_eq!(row["user_id"] != id, expired, "{left}");
        assert_eq!(row["contested"] == true, !expired, "{left}");
    }
}

#[tokio::test]
async fn a_confirmed_row_never_expires() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    let id = world.row(ADA).unwrap()["user_id"].clone();
    world.change_row(ADA, &json!({ "expires_at": now() - DAY }));

    sign_up(&world, ADA).await;

    assert!(is_confirmed(&world, ADA));
    assert_eq!(world.row(ADA).unwrap()["user_id"], id);
    assert_eq!(world.get(&world.mails()[0].link()).await.status, 303);
    assert_eq!(world.row(ADA).unwrap().get("expires_at"), None);
}
