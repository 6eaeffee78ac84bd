//! A link proves the mailbox and nothing more. Attacks that worked on the first version, in both modes.

use serde_json::json;
use tests::{Answer, World};

use crate::steps::{
    ADA, OTHER_PASSWORD, PASSWORD, expired_link, have_account, is_confirmed, let_pass,
    open_in_browser_of, password_of, reset_link, sign_up, sign_up_with, twice,
};

const MALLORY: &str = "mallory@example.org";
const MALLORYS_PASSWORD: &str = "mallory's own password";

/// A world in each mode.
async fn worlds() -> [(&'static str, World); 2] {
    let world = async |confirm_on| {
        let builder = World::builder().setting("CONFIRM_ON", confirm_on);
        (confirm_on, builder.start().await)
    };
    [world("browser").await, world("visit").await]
}

/// An account with a password of its own.
async fn have_account_of(world: &World, email: &str, password: &str) {
    let signed_up = sign_up_with(world, email, password).await;
    let link = world.mail_to(email).link();
    let opened = open_in_browser_of(world, &signed_up, &link).await;
    assert_eq!(opened.status, 303);
}

async fn ask_for_change(world: &World, old: &str, password: &str, new: &str) -> Answer {
    let fields = [("email", old), ("password", password), ("new_email", new)];
    world.post_form("/accounts/email", &fields).await
}

/// Opens a link from everywhere but `browsers`, as scanners, previews and a reader in a hurry do, and posts what their
/// scripts might post.
async fn open_from_anywhere(world: &World, link: &str) {
    for method in ["HEAD", "GET", "GET", "POST"] {
        world.request(method, link).send().await;
    }
    let json = world.request("GET", link);
    json.header("accept", "application/json").send().await;
}

// 1. A change of address captures a sign-up.

#[tokio::test]
async fn a_change_of_address_does_not_capture_the_sign_up_of_its_victim() {
    for (mode, world) in worlds().await {
        have_account_of(&world, MALLORY, MALLORYS_PASSWORD).await;
        let mallorys = world.row(MALLORY).unwrap();

        let asked = ask_for_change(&world, MALLORY, MALLORYS_PASSWORD, ADA).await;
        assert_eq!(asked.status, 303, "{mode}");
        let change = world.mail_to(ADA).link();
        let signed_up = sign_up(&world, ADA).await;

        // The victim's own mail goes out: a change of address has limits of its own.
        let mails = world.mails_to(ADA);
        assert_eq!(mails.len(), 2, "{mode}");
        assert!(
            mails[0].text().contains("m…y@example.org"),
            "it names the account"
        );

        // The victim opens the wrong one of the two, from wherever.
        open_from_anywhere(&world, &change).await;
        let page = open_in_browser_of(&world, &signed_up, &change).await;
        assert_eq!(page.status, 200, "{mode}");
        assert!(page.text().contains("m…y@example.org"), "{mode}");
        let posted = world.post_form(&change, &[("password", PASSWORD)]).await;
        assert_eq!(posted.status, 422, "the victim's password is not Mallory's");
        assert_eq!(world.row(MALLORY).unwrap()["user_id"], mallorys["user_id"]);

        // And the victim's own link makes the account, with the victim's password.
        let link = world.mail_to(ADA).link();
        let confirmed = open_in_browser_of(&world, &signed_up, &link).await;
        assert_eq!(confirmed.status, 303, "{mode}");
        let row = world.row(ADA).unwrap();
        assert_ne!(row["user_id"], mallorys["user_id"], "{mode}");
        assert!(password_of(&row, PASSWORD), "{mode}");

        // Now the address is somebody's: Mallory's link is dead, even with the password.
        let late = [("password", MALLORYS_PASSWORD)];
        assert_eq!(world.post_form(&change, &late).await.status, 404, "{mode}");
        assert_eq!(world.row(ADA).unwrap()["user_id"], row["user_id"]);
    }
}

#[tokio::test]
async fn in_reverse_order_a_sign_up_is_not_captured_either() {
    for (mode, world) in worlds().await {
        have_account_of(&world, MALLORY, MALLORYS_PASSWORD).await;
        let signed_up = sign_up(&world, ADA).await;
        let own = world.mail_to(ADA).link();

        ask_for_change(&world, MALLORY, MALLORYS_PASSWORD, ADA).await;
        let change = world.mail_to(ADA).link();
        assert_ne!(own, change);
        open_from_anywhere(&world, &change).await;

        let confirmed = open_in_browser_of(&world, &signed_up, &own).await;
        assert_eq!(confirmed.status, 303, "{mode}");
        let row = world.row(ADA).unwrap();
        assert!(password_of(&row, PASSWORD), "{mode}");
        assert!(is_confirmed(&world, MALLORY), "{mode}");
    }
}

#[tokio::test]
async fn a_link_of_before_a_change_of_address_does_not_sign_in_to_the_account_that_came() {
    for (mode, world) in worlds().await {
        // The owner of both addresses may move there: then the waiting row is replaced, and its link leads to sign-in without
        // having changed anything.
        have_account_of(&world, MALLORY, MALLORYS_PASSWORD).await;
        sign_up(&world, ADA).await;
        let own = world.mail_to(ADA).link();
        let asked = ask_for_change(&world, MALLORY, MALLORYS_PASSWORD, ADA).await;
        let change = world.mail_to(ADA).link();
        let moved = open_in_browser_of(&world, &asked, &change).await;
        assert_eq!(moved.status, 303, "{mode}");
        let row = world.row(ADA).unwrap();
        assert!(password_of(&row, MALLORYS_PASSWORD), "{mode}");

        open_from_anywhere(&world, &own).await;
        world.post_form(&own, &twice(PASSWORD)).await;

        assert_eq!(world.row(ADA), Some(row), "{mode}");
    }
}

// 2. A scanner confirms the attacker's account.

#[tokio::test]
async fn a_scanner_of_mail_confirms_nobodys_account() {
    let world = World::start().await;
    let ceo = "ceo@bigcorp.example";
    let mallorys_browser = sign_up_with(&world, ceo, MALLORYS_PASSWORD).await;
    let link = world.mail_to(ceo).link();
    let row = world.row(ceo);

    open_from_anywhere(&world, &link).await;

    assert_eq!(world.row(ceo), row);
    // Mallory has the cookie and the password, but no link.
    for path in [
        "/accounts/confirm/",
        "/accounts/confirm/x",
        "/accounts/confirmed",
    ] {
        let request = world.request("GET", path).function("confirm-email");
        request.browser_of(&mallorys_browser).send().await;
    }
    assert!(!is_confirmed(&world, ceo));
}

#[tokio::test]
async fn in_visit_mode_a_scanner_is_trusted_until_somebody_else_signs_up_too() {
    let world = World::builder()
        .setting("CONFIRM_ON", "visit")
        .start()
        .await;
    let ceo = "ceo@bigcorp.example";
    sign_up_with(&world, ceo, MALLORYS_PASSWORD).await;
    sign_up(&world, ceo).await;
    let row = world.row(ceo);

    open_from_anywhere(&world, &world.mail_to(ceo).link()).await;

    assert_eq!(
        world.row(ceo),
        row,
        "a contested row is not confirmed by a link"
    );
}

#[tokio::test]
async fn the_person_behind_the_scanner_gets_the_account_with_a_password_of_their_own() {
    for (mode, world) in worlds().await {
        let ceo = "ceo@bigcorp.example";
        sign_up_with(&world, ceo, MALLORYS_PASSWORD).await;
        let owners = sign_up(&world, ceo).await;
        let link = world.mail_to(ceo).link();
        open_from_anywhere(&world, &link).await;

        let page = open_in_browser_of(&world, &owners, &link).await;
        assert_eq!(page.status, 200, "{mode}");
        let chosen = world.post_form(&link, &twice(PASSWORD)).await;

        assert_eq!(chosen.status, 303, "{mode}");
        let row = world.row(ceo).unwrap();
        assert!(password_of(&row, PASSWORD), "{mode}");
        assert!(!password_of(&row, MALLORYS_PASSWORD), "{mode}");
    }
}

// 3. Links of one sign-up act on a later one.

#[tokio::test]
async fn a_fresh_link_for_an_old_mail_does_not_confirm_the_attackers_row() {
    for (mode, world) in worlds().await {
        // Nine days ago the victim signed up, and never followed the link; now Mallory signs up with the address.
        sign_up(&world, ADA).await;
        let_pass(&world, ADA, 9 * 86_400);
        let old = expired_link(&world, ADA);
        sign_up_with(&world, ADA, MALLORYS_PASSWORD).await;
        let_pass(&world, ADA, 60);

        // The victim finds the old mail and asks for a fresh link.
        assert_eq!(world.post_form(&old, &[]).await.status, 303, "{mode}");
        let fresh = world.mail_to(ADA).link();
        let page = world.get(&fresh).await;

        assert_eq!(page.status, 200, "{mode}");
        assert!(page.text().contains("password_again"), "{mode}");
        assert!(!is_confirmed(&world, ADA), "{mode}");
        let chosen = world.post_form(&fresh, &twice(PASSWORD)).await;
        assert_eq!(chosen.status, 303, "{mode}");
        let row = world.row(ADA).unwrap();
        assert!(!password_of(&row, MALLORYS_PASSWORD), "{mode}");
    }
}

/// The link of an account's own sign-up, made a minute before the account is gone from the address.
async fn used_link(world: &World, email: &str) -> (Answer, String) {
    let signed_up = sign_up(world, email).await;
    let link = format!("/accounts/confirm/{}", world.token(email, 60));
    let_pass(world, email, 60);
    let opened = open_in_browser_of(world, &signed_up, &link).await;
    assert_eq!(opened.status, 303);
    (signed_up, link)
}

#[tokio::test]
async fn a_used_link_does_nothing_to_the_row_that_somebody_makes_after_the_account_moved_away() {
    for (mode, world) in worlds().await {
        let (browser, link) = used_link(&world, ADA).await;
        let asked = ask_for_change(&world, ADA, PASSWORD, "new@example.com").await;
        let change = world.mail_to("new@example.com").link();
        assert_eq!(
            open_in_browser_of(&world, &asked, &change).await.status,
            303
        );
        assert_eq!(world.row(ADA), None, "{mode}");
        sign_up_with(&world, ADA, MALLORYS_PASSWORD).await;
        let row = world.row(ADA);

        for browser in [&browser, &asked] {
            let opened = open_in_browser_of(&world, browser, &link).await;
            assert_eq!(opened.status, 404, "{mode}");
        }
        open_from_anywhere(&world, &link).await;
        for fields in [&[("password", MALLORYS_PASSWORD)][..], &twice(PASSWORD)] {
            assert_eq!(world.post_form(&link, fields).await.status, 404, "{mode}");
        }

        assert_eq!(world.row(ADA), row, "{mode}");
    }
}

#[tokio::test]
async fn a_used_link_sets_no_password_of_the_row_that_comes_after_a_deletion() {
    for (mode, world) in worlds().await {
        let (browser, link) = used_link(&world, ADA).await;
        let reset = {
            let key = world.secret_key().as_bytes();
            let serializer = signing::UrlSafeTimedSerializer::new(key, "recover-key");
            let then = u64::try_from(crate::steps::now() - 60).unwrap();
            format!(
                "/accounts/password/{}",
                serializer.dumps_at(ADA, then).unwrap()
            )
        };
        world.delete_row(ADA);
        sign_up_with(&world, ADA, OTHER_PASSWORD).await;
        sign_up_with(&world, ADA, MALLORYS_PASSWORD).await;
        let row = world.row(ADA);
        assert_eq!(row.as_ref().unwrap()["contested"], true);

        open_in_browser_of(&world, &browser, &link).await;
        open_from_anywhere(&world, &link).await;
        let chosen = world.post_form(&link, &twice("somebody else's")).await;
        let set = world
            .post_form(&reset, &[("password", "somebody else's")])
            .await;
        let form = world.get(&reset).await;

        assert_eq!((chosen.status, set.status), (404, 404), "{mode}");
        assert_eq!(form.status, 404, "{mode}");
        assert_eq!(world.row(ADA), row, "{mode}");
    }
}

// 7. A sign-up erases rows without a password, and forgets what is known of their delivery.

#[tokio::test]
async fn a_row_without_a_password_is_somebodys_and_no_sign_up_touches_it() {
    for (mode, world) in worlds().await {
        let invited = json!({
            "email": ADA, "role": "admin", "suspended": true, "user_id": "42", "email_confirmed": false,
        });
        world.put_row(&invited);

        let answer = sign_up_with(&world, ADA, MALLORYS_PASSWORD).await;

        assert_eq!(answer.status, 303, "{mode}");
        assert_eq!(world.row(ADA), Some(invited), "{mode}");
        let mail = world.mail_to(ADA);
        assert!(mail.text().contains("already have an account"), "{mode}");
        assert!(!mail.text().contains("/accounts/confirm/"), "{mode}");

        // A reset link sets the first password.
        let reset = reset_link(&world, ADA).await;
        let set = world.post_form(&reset, &[("password", PASSWORD)]).await;
        assert_eq!(set.status, 303, "{mode}");
        let row = world.row(ADA).unwrap();
        assert!(password_of(&row, PASSWORD), "{mode}");
        assert_eq!(row["email_confirmed"], true, "{mode}");
        assert_eq!(
            (&row["role"], &row["suspended"]),
            (&json!("admin"), &json!(true))
        );
    }
}

#[tokio::test]
async fn what_is_known_of_the_delivery_survives_the_place_of_a_reserved_row() {
    for (mode, world) in worlds().await {
        let reserved = json!({
            "email": ADA, "mail_claim": "x", "mailed_at": 1_700_000_000, "recent_mails": [1_700_000_000],
            "undeliverable": true, "expires_at": 99_999_999_999_u64,
        });
        world.put_row(&reserved);

        let answer = sign_up(&world, ADA).await;

        assert_eq!(answer.status, 303, "{mode}");
        assert_eq!(world.row(ADA).unwrap()["undeliverable"], true, "{mode}");
        for forgotten in ["mail_claim", "mailed_at", "recent_mails"] {
            assert_eq!(world.row(ADA).unwrap().get(forgotten), None, "{forgotten}");
        }
    }
}

#[tokio::test]
async fn a_complaint_does_not_make_a_takeover_silent() {
    for (mode, world) in worlds().await {
        for undeliverable in [json!(true), json!("complaint")] {
            let email = if undeliverable == json!(true) {
                ADA
            } else {
                "bob@example.com"
            };
            have_account(&world, email).await;
            world.change_row(email, &json!({ "undeliverable": undeliverable }));
            let row = world.row(email);
            let mails = world.mails().len();

            let asked = ask_for_change(&world, email, PASSWORD, "new@example.com").await;

            assert_eq!(asked.status, 422, "{mode} {undeliverable}");
            assert_eq!(world.mails().len(), mails, "{mode}");
            assert_eq!(world.row(email), row, "{mode}");
            let wrong = ask_for_change(&world, email, OTHER_PASSWORD, "new@example.com").await;
            assert_eq!(asked, wrong, "as for a wrong password");
        }
    }
}

#[tokio::test]
async fn a_complaint_after_the_request_ends_the_change_and_the_reset() {
    for (mode, world) in worlds().await {
        have_account(&world, ADA).await;
        let asked = ask_for_change(&world, ADA, PASSWORD, "new@example.com").await;
        let change = world.mail_to("new@example.com").link();
        let reset = reset_link(&world, ADA).await;
        world.change_row(ADA, &json!({ "undeliverable": "complaint" }));
        let row = world.row(ADA);
        let mails = world.mails().len();

        let moved = open_in_browser_of(&world, &asked, &change).await;
        let set = world
            .post_form(&reset, &[("password", OTHER_PASSWORD)])
            .await;

        assert_eq!((moved.status, set.status), (422, 422), "{mode}");
        assert_eq!(world.row(ADA), row, "{mode}");
        assert_eq!(world.row("new@example.com"), None, "{mode}");
        assert_eq!(world.mails().len(), mails, "{mode}");
    }
}
