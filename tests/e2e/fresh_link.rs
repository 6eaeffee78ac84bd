//! Asking for a fresh link with an expired one.

use serde_json::json;
use tests::{Answer, World};

use crate::steps::{
    ADA, PASSWORD, expired_link, have_account, have_contested_row, is_confirmed, let_pass,
    open_in_browser_of, sign_up, visit_world,
};

async fn ask(world: &World, email: &str) -> Answer {
    world.post_form(&expired_link(world, email), &[]).await
}

#[tokio::test]
async fn the_page_of_an_expired_link_has_a_button_and_opening_it_changes_nothing() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let row = world.row(ADA);
    world.forget_calls();

    let page = world.get(&expired_link(&world, ADA)).await;

    assert_eq!(page.status, 404);
    assert!(page.text().contains("<button>Send a fresh link</button>"));
    assert_eq!(world.row(ADA), row);
    assert!(world.is_untouched());
}

#[tokio::test]
async fn its_button_mails_a_link_that_confirms() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let_pass(&world, ADA, 86_400 + 60);

    let answer = ask(&world, ADA).await;

    assert_eq!(answer.status, 303);
    assert_eq!(
        answer.header("location"),
        Some("https://app.example.com/accounts/created")
    );
    assert_eq!(world.mails_to(ADA).len(), 2);
    let fresh = world.mail_to(ADA).link();
    assert!(fresh.starts_with("https://app.example.com/accounts/confirm/"));
    assert!(!is_confirmed(&world, ADA));
    assert_eq!(world.row(ADA).unwrap().get("contested"), None);
    assert_eq!(answer.header("set-cookie"), None, "it proves no browser");
    assert_eq!(world.get(&fresh).await.status, 200, "it asks who opens it");
    let password = world.post_form(&fresh, &[("password", PASSWORD)]).await;
    assert_eq!(password.status, 303);
    assert!(is_confirmed(&world, ADA));
}

#[tokio::test]
async fn in_visit_mode_the_fresh_link_confirms_whoever_opens_it() {
    let world = visit_world().await;
    sign_up(&world, ADA).await;
    let_pass(&world, ADA, 86_400 + 60);
    ask(&world, ADA).await;

    let answer = world.get(&world.mail_to(ADA).link()).await;

    assert_eq!(answer.status, 303);
    assert!(is_confirmed(&world, ADA));
}

#[tokio::test]
async fn a_fresh_link_confirms_in_a_browser_that_still_holds_the_cookie() {
    let world = World::start().await;
    let signed_up = sign_up(&world, ADA).await;
    let_pass(&world, ADA, 86_400 + 60);
    ask(&world, ADA).await;

    let answer = open_in_browser_of(&world, &signed_up, &world.mail_to(ADA).link()).await;

    assert_eq!(answer.status, 303);
    assert!(is_confirmed(&world, ADA));
}

#[tokio::test]
async fn asked_for_with_a_link_that_is_older_than_the_row_it_contests_the_row() {
    for confirm_on in ["browser", "visit"] {
        let builder = World::builder().setting("CONFIRM_ON", confirm_on);
        let world = builder.start().await;
        for (email, cools_down) in [(ADA, false), ("bob@example.com", true)] {
            // The mail of nine days ago was about an earlier row.
            sign_up(&world, email).await;
            if !cools_down {
                let_pass(&world, email, 60);
            }
            let mails = world.mails_to(email).len();

            let answer = ask(&world, email).await;

            assert_eq!(answer.status, 303);
            assert_eq!(
                world.mails_to(email).len() == mails,
                cools_down,
                "{confirm_on}"
            );
            assert_eq!(world.row(email).unwrap()["contested"], true, "{email}");
            let page = world.get(&world.mail_to(email).link()).await;
            assert_eq!(page.status, 200, "{confirm_on}");
            assert!(page.text().contains("password_again"), "{confirm_on}");
            assert!(!is_confirmed(&world, email));
        }
    }
}

#[tokio::test]
async fn a_link_of_the_row_itself_does_not_contest_it() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let_pass(&world, ADA, 2 * 86_400);

    ask(&world, ADA).await;

    assert_eq!(world.mails_to(ADA).len(), 2);
    assert_eq!(world.row(ADA).unwrap().get("contested"), None);
}

#[tokio::test]
async fn the_answer_is_the_same_mail_or_no_mail() {
    for is_json in [false, true] {
        let world = World::start().await;
        sign_up(&world, "waiting@example.com").await;
        let_pass(&world, "waiting@example.com", 60);
        world.put_row(&json!({ "email": "invited@example.com", "role": "admin" }));
        sign_up(&world, "cooling-down@example.com").await;
        have_contested_row(&world, "contested@example.com").await;
        let_pass(&world, "contested@example.com", 60);
        have_account(&world, "confirmed@example.com").await;
        let_pass(&world, "confirmed@example.com", 60);
        sign_up(&world, "expired@example.com").await;
        let_pass(&world, "expired@example.com", 9 * 86_400);
        let rows = world.rows();

        let mut answers = Vec::new();
        for (name, mails) in [
            ("waiting", 1),
            ("cooling-down", 0),
            ("contested", 1),
            ("confirmed", 0),
            ("expired", 0),
            ("nobody", 0),
            ("invited", 0),
        ] {
            let email = format!("{name}@example.com");
            let before = world.mails_to(&email).len();
            let mut request = world.request("POST", &expired_link(&world, &email));
            if is_json {
                request = request.header("accept", "application/json");
            }

            answers.push(request.send().await);

            assert_eq!(world.mails_to(&email).len(), before + mails, "{name}");
        }
        assert_eq!(answers[0].status, if is_json { 202 } else { 303 });
        assert!(answers.iter().all(|answer| answer == &answers[0]));
        assert_eq!(world.rows().len(), rows.len());
        assert_eq!(
            world.row("contested@example.com").unwrap()["contested"],
            true,
            "it still asks for a password"
        );
    }
}

#[tokio::test]
async fn fresh_links_have_a_cooldown() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let_pass(&world, ADA, 90_000);

    for _ in 0..3 {
        assert_eq!(ask(&world, ADA).await.status, 303);
    }

    assert_eq!(world.mails_to(ADA).len(), 2);
    assert_eq!(sign_up(&world, ADA).await.status, 303);
    assert_eq!(world.mails_to(ADA).len(), 2, "sign-ups share it");
}

#[tokio::test]
async fn a_password_in_the_post_of_an_expired_link_is_ignored() {
    let world = World::start().await;
    let row = json!({ "email": ADA, "password_hash": "$argon2id$x", "contested": true });
    world.put_row(&row);

    let answer = world
        .post_form(&expired_link(&world, ADA), &[("password", PASSWORD)])
        .await;

    assert_eq!(answer.status, 303);
    assert_eq!(world.mails_to(ADA).len(), 1);
    assert!(!is_confirmed(&world, ADA));
    assert_eq!(world.row(ADA).unwrap()["password_hash"], "$argon2id$x");
}

#[tokio::test]
async fn a_row_of_other_code_gets_its_fresh_link_as_well() {
    let world = visit_world().await;
    world.put_row(&json!({ "email": ADA, "password_hash": "$argon2id$x" }));

    ask(&world, ADA).await;

    let fresh = world.mail_to(ADA).link();
    assert_eq!(world.get(&fresh).await.status, 303);
    assert!(is_confirmed(&world, ADA));
}
