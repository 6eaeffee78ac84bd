//! Signing up again: contested rows, the cooldown, ten mails a day, notices, and rows that have expired.

use serde_json::json;
use tests::World;

use crate::steps::{
    ADA, OTHER_PASSWORD, PASSWORD, expired_link, have_account, have_contested_row, is_confirmed,
    let_pass, now, password_of, sign_up, sign_up_with,
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
        let mut row = first.clone();
        row["contested"] = json!(true);
        row
    };
    assert_eq!(row, expected);

    let_pass(&world, ADA, 60);
    sign_up_with(&world, ADA, OTHER_PASSWORD).await;

    let row = world.row(ADA).unwrap();
    assert_eq!(world.mails().len(), 2);
    for name in ["user_id", "password_hash", "created_at"] {
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
    let world = World::start().await;
    have_contested_row(&world, ADA).await;
    let_pass(&world, ADA, 60);
    sign_up(&world, ADA).await;
    let links: Vec<_> = world.mails().iter().map(tests::Mail::link).collect();
    assert_eq!(links.len(), 2);

    for link in &links {
        assert_eq!(world.get(link).await.status, 200);
    }
    assert!(!is_confirmed(&world, ADA));
    let chosen = world.post_form(&links[0], &[("password", "mine alone!")]);
    assert_eq!(chosen.await.status, 303);
    for link in &links {
        assert_eq!(world.get(link).await.status, 303);
        let late = world.post_form(link, &[("password", OTHER_PASSWORD)]);
        assert_eq!(late.await.status, 303);
    }
    assert!(password_of(&world.row(ADA).unwrap(), "mine alone!"));
}

#[tokio::test]
async fn signing_up_first_with_somebodys_address_gains_nothing() {
    let world = World::start().await;
    sign_up_with(&world, ADA, "the attacker's password").await;
    sign_up_with(&world, ADA, "the owner's password").await;
    let link = world.mail_to(ADA).link();

    assert_eq!(world.get(&link).await.status, 200);
    let chosen = world.post_form(&link, &[("password", "the owner's password")]);
    assert_eq!(chosen.await.status, 303);

    let row = world.row(ADA).unwrap();
    assert!(password_of(&row, "the owner's password"));
    assert!(!password_of(&row, "the attacker's password"));
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

        // As if the mails had gone out this very second.
        for email in everybody {
            world.change_row(
                email,
                &json!({ "mailed_at": now(), "recent_mails": [now()] }),
            );
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
            world.post_form(&link, &[("password", PASSWORD)]).await;
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
    assert_eq!(notice.links(), ["https://id.example.com/sign-in"]);
    for part in [&notice.text, &notice.html] {
        let part = part.as_deref().unwrap();
        assert!(part.contains("already have an account"), "{part}");
        assert!(!part.contains("/accounts/confirm/"), "{part}");
    }
    let row = world.row(ADA).unwrap();
    for name in [
        "user_id",
        "password_hash",
        "created_at",
        "confirmed_at",
        "email_confirmed",
    ] {
        assert_eq!(row[name], before[name], "{name}");
    }
    for name in ["expires_at", "contested"] {
        assert_eq!(row.get(name), None, "{name}");
    }
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

    sign_up_with(&world, ADA, "a new beginning").await;

    let row = world.row(ADA).unwrap();
    assert_ne!(row["user_id"], old["user_id"]);
    assert_eq!(row.get("contested"), None);
    assert!(password_of(&row, "a new beginning"));
    assert!(row["expires_at"].as_i64().unwrap() > now() + 7 * DAY);
    assert_eq!(world.mails_to(ADA).len(), 2);
    assert_eq!(world.get(&world.mail_to(ADA).link()).await.status, 303);
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
}
