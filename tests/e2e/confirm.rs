//! Following the link of a mail.

use jiff::Timestamp;
use serde_json::{Value, json};
use tests::{Answer, World};

use crate::steps::{
    ADA, OTHER_PASSWORD, PASSWORD, expired_link, have_contested_row, is_confirmed, let_pass, now,
    open_in_browser_of, password_of, sign_up, sign_up_with, twice, visit_world,
};

/// Every path of a link that leads nowhere.
fn dead_links(world: &World) -> Vec<(&'static str, String)> {
    let token = world.token(ADA, 1);
    let (payload, rest) = token.split_once('.').unwrap();
    let (timestamp, signature) = rest.split_once('.').unwrap();
    let with_salt = |key: &str, salt: &str, payload: &Value| {
        let serializer = signing::UrlSafeTimedSerializer::new(key.as_bytes(), salt);
        serializer.dumps(payload).unwrap()
    };
    let salt = "email-confirm-key";
    let key = world.secret_key();
    let tokens = vec![
        ("no token", "token".to_owned()),
        ("dots", "..".to_owned()),
        ("no signature", format!("{payload}.{timestamp}")),
        ("an empty signature", format!("{payload}.{timestamp}.")),
        (
            "a signature's beginning",
            token[..token.len() - 1].to_owned(),
        ),
        ("something after it", format!("{token}x")),
        ("a dot after it", format!("{token}.")),
        ("padding", format!("{token}=")),
        ("a line break", format!("{token}%0A")),
        ("a space before it", format!("%20{token}")),
        ("another time", format!("{payload}.aaaaaa.{signature}")),
        ("another payload", format!("ImEi.{timestamp}.{signature}")),
        (
            "another salt",
            with_salt(key, "password-reset", &json!(ADA)),
        ),
        (
            "another key",
            with_salt("another key, which is as long", salt, &json!(ADA)),
        ),
        (
            "another purpose",
            with_salt(key, "email-update-key", &json!(ADA)),
        ),
        ("a list", with_salt(key, salt, &json!([ADA]))),
        (
            "a list of two",
            with_salt(key, salt, &json!([ADA, "b@example.com"])),
        ),
        ("an object", with_salt(key, salt, &json!({ "email": ADA }))),
        ("null", with_salt(key, salt, &json!(null))),
        ("a number", with_salt(key, salt, &json!(1))),
        ("an empty text", with_salt(key, salt, &json!(""))),
        ("no address", with_salt(key, salt, &json!("ada"))),
        (
            "two addresses",
            with_salt(key, salt, &json!("ada@example.com,b@example.com")),
        ),
        ("too far in the future", world.token(ADA, -60)),
        ("far in the future", world.token(ADA, -1_000_000_000)),
        (
            "huge",
            format!("{}.{timestamp}.{signature}", "A".repeat(100_000)),
        ),
        ("not UTF-8", "%ff%fe".to_owned()),
        ("blank", "%20".to_owned()),
    ];
    tokens
        .into_iter()
        .map(|(what, token)| (what, format!("/accounts/confirm/{token}")))
        .collect()
}

fn problem(answer: &Answer) -> Value {
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    serde_json::from_slice(&answer.body).unwrap()
}

/// In each mode: the default, and `visit`.
const MODES: [&str; 2] = ["browser", "visit"];

async fn world_of(confirm_on: &str) -> World {
    World::builder()
        .setting("CONFIRM_ON", confirm_on)
        .start()
        .await
}

fn assert_leads_to_sign_in(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 303, "{what}: {}", answer.text());
    assert_eq!(
        answer.header("location"),
        Some("https://app.example.com/accounts/confirmed"),
        "{what}"
    );
    assert!(answer.body.is_empty(), "{what}");
}

/// Whether a page asks for one password, and for nothing else.
fn asks_for_the_password(page: &Answer) -> bool {
    let text = page.text();
    text.contains(r#"name="password" type="password" autocomplete="current-password""#)
        && !text.contains("password_again")
}

/// Whether a page lets its reader choose a password, typed twice.
fn lets_choose_a_password(page: &Answer) -> bool {
    let text = page.text();
    ["password", "password_again"].iter().all(|name| {
        text.contains(&format!(
            r#"name="{name}" type="password" autocomplete="new-password""#
        ))
    })
}

#[tokio::test]
async fn following_the_link_in_the_browser_that_signed_up_confirms_and_leads_to_sign_in() {
    for mode in MODES {
        let world = world_of(mode).await;
        let signed_up = sign_up(&world, ADA).await;
        assert!(!is_confirmed(&world, ADA));

        let answer = open_in_browser_of(&world, &signed_up, &world.mail_to(ADA).link()).await;

        assert_leads_to_sign_in(&answer, mode);
        assert!(is_confirmed(&world, ADA));
        assert_eq!(world.row(ADA).unwrap().get("sign_up"), None);
    }
}

#[tokio::test]
async fn the_cookie_of_a_json_sign_up_confirms_too() {
    let world = World::start().await;
    let json = json!({ "email": ADA, "password": PASSWORD });
    let signed_up = world.post_json("/accounts/create", &json).await;

    let answer = open_in_browser_of(&world, &signed_up, &world.mail_to(ADA).link()).await;

    assert_eq!(answer.status, 303);
    assert!(is_confirmed(&world, ADA));
}

#[tokio::test]
async fn in_visit_mode_whoever_opens_the_link_confirms() {
    let world = visit_world().await;
    sign_up(&world, ADA).await;

    let answer = world.get(&world.mail_to(ADA).link()).await;

    assert_leads_to_sign_in(&answer, "visit");
    assert!(is_confirmed(&world, ADA));
    assert!(password_of(&world.row(ADA).unwrap(), PASSWORD));
}

#[tokio::test]
async fn from_anywhere_else_the_link_asks_for_the_password_and_changes_nothing() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    let row = world.row(ADA);

    let page = world.get(&link).await;

    assert_eq!(page.status, 200);
    assert!(asks_for_the_password(&page), "{}", page.text());
    assert!(page.text().contains("<h1>Enter your password</h1>"));
    assert!(
        page.text()
            .contains("not the browser that you signed up with")
    );
    let address =
        r#"type="email" value="ada@example.com" autocomplete="username" dir="ltr" readonly"#;
    assert!(page.text().contains(address), "{}", page.text());
    assert_eq!(page.header("set-cookie"), None);
    assert_eq!(world.row(ADA), row);

    let json = world.request("GET", &link);
    let json = json.header("accept", "application/json").send().await;
    assert_eq!(json.status, 200);
    assert!(json.text().contains("password_again"), "{}", json.text());
    assert_eq!(world.row(ADA), row);
}

#[tokio::test]
async fn only_the_cookie_of_the_sign_up_that_made_the_row_counts() {
    let world = World::start().await;
    let signed_up = sign_up(&world, ADA).await;
    let others = sign_up(&world, "bob@example.com").await;
    let link = world.mail_to(ADA).link();
    let own = signed_up.cookie().unwrap();
    let value = own.split_once('=').unwrap().1;
    let row = world.row(ADA).unwrap();
    let id = row["sign_up"].as_str().unwrap();
    let signed = |key: &str, salt: &str, id: &str, age: u64| {
        let serializer = signing::UrlSafeTimedSerializer::new(key.as_bytes(), salt);
        let then = u64::try_from(now()).unwrap() - age;
        format!("__Host-accounts={}", serializer.dumps_at(id, then).unwrap())
    };
    let (key, salt) = (world.secret_key(), "accounts-cookie");

    for (what, cookie) in [
        ("another sign-up's", others.cookie().unwrap().to_owned()),
        ("two", format!("{own}; {own}")),
        ("another beside it", format!("{own}; __Host-accounts=x")),
        ("no prefix", format!("accounts={value}")),
        ("another case", format!("__host-accounts={value}")),
        ("a piece", own[..own.len() - 1].to_owned()),
        (
            "the link's token",
            format!("__Host-accounts={}", world.mail_to(ADA).token()),
        ),
        ("the bare id", format!("__Host-accounts={id}")),
        (
            "another key's",
            signed("another key, which is as long", salt, id, 0),
        ),
        ("another salt's", signed(key, "email-confirm-key", id, 0)),
        ("too old", signed(key, salt, id, 86_400 + 60)),
        (
            "the user's id",
            signed(key, salt, row["user_id"].as_str().unwrap(), 0),
        ),
        ("nothing", "__Host-accounts=".to_owned()),
    ] {
        let page = world.request("GET", &link).header("cookie", &cookie);
        let page = page.send().await;

        assert_eq!(page.status, 200, "{what}");
        assert!(asks_for_the_password(&page), "{what}");
        assert_eq!(world.row(ADA).as_ref(), Some(&row), "{what}");
    }

    let among_others = format!("a=1; {own}; session=x.y=z");
    let answer = world.request("GET", &link).header("cookie", &among_others);
    assert_eq!(answer.send().await.status, 303);
    assert!(is_confirmed(&world, ADA));
}

#[tokio::test]
async fn a_cookie_proves_no_row_but_that_of_its_own_sign_up() {
    for mode in MODES {
        let world = world_of(mode).await;
        let first = sign_up(&world, ADA).await;
        let second = sign_up_with(&world, ADA, OTHER_PASSWORD).await;
        let link = world.mail_to(ADA).link();

        let page = open_in_browser_of(&world, &second, &link).await;
        assert_eq!(page.status, 200, "{mode}");
        assert!(lets_choose_a_password(&page), "{mode}");
        assert!(!is_confirmed(&world, ADA));

        // The row is the first one's, with its password: contested or not.
        let answer = open_in_browser_of(&world, &first, &link).await;
        assert_leads_to_sign_in(&answer, mode);
        let row = world.row(ADA).unwrap();
        assert!(password_of(&row, PASSWORD));
        assert_eq!(row.get("contested"), None);
    }
}

#[tokio::test]
async fn a_cookie_of_an_earlier_row_proves_nothing_of_a_later_one() {
    let world = World::start().await;
    let earlier = sign_up(&world, ADA).await;
    world.delete_row(ADA);
    let_pass(&world, ADA, 60);
    sign_up_with(&world, ADA, OTHER_PASSWORD).await;

    let page = open_in_browser_of(&world, &earlier, &world.mail_to(ADA).link()).await;

    assert_eq!(page.status, 200);
    assert!(!is_confirmed(&world, ADA));
}

#[tokio::test]
async fn following_it_again_leads_there_again_and_changes_nothing() {
    for mode in MODES {
        let world = world_of(mode).await;
        let signed_up = sign_up(&world, ADA).await;
        let link = world.mail_to(ADA).link();
        let first = open_in_browser_of(&world, &signed_up, &link).await;
        let row = world.row(ADA);

        for method in ["GET", "POST", "HEAD", "GET"] {
            let elsewhere = world.request(method, &link).send().await;
            let there = world.request(method, &link).browser_of(&signed_up);

            assert_eq!(elsewhere, first, "{mode} {method}");
            assert_eq!(there.send().await, first, "{mode} {method}");
            assert_eq!(world.row(ADA), row, "{mode} {method}");
        }
        for fields in [
            &[("password", PASSWORD)][..],
            &[("password", "wrong")],
            &twice(OTHER_PASSWORD),
            &[("password", "x"), ("password_again", "y")],
        ] {
            let posted = world.post_form(&link, fields).await;

            assert_eq!(posted, first, "{mode} {fields:?}");
            assert_eq!(world.row(ADA), row, "{mode} {fields:?}");
        }
        assert_eq!(world.mails().len(), 1);
    }
}

#[tokio::test]
async fn a_client_that_wants_json_is_told_in_json() {
    let world = World::start().await;
    let signed_up = sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();

    for what in ["confirmed now", "confirmed before"] {
        let request = world.request("GET", &link).browser_of(&signed_up);
        let answer = request.header("accept", "application/json").send().await;

        assert_eq!(answer.status, 200, "{what}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("location"), None, "{what}");
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(
            body,
            json!({
                "message": "Your address is confirmed.",
                "location": "https://app.example.com/accounts/confirmed",
            }),
            "{what}"
        );
        assert!(is_confirmed(&world, ADA), "{what}");
    }
}

#[tokio::test]
async fn the_password_of_the_sign_up_confirms_from_anywhere() {
    for is_json in [false, true] {
        let world = World::start().await;
        sign_up(&world, ADA).await;
        let link = world.mail_to(ADA).link();
        let before = world.row(ADA).unwrap();

        let answer = if is_json {
            world
                .post_json(&link, &json!({ "password": PASSWORD }))
                .await
        } else {
            let fields = [("password", PASSWORD), ("password_again", "")];
            world.post_form(&link, &fields).await
        };

        if is_json {
            assert_eq!(answer.status, 200);
            assert!(answer.text().contains("/accounts/confirmed"));
        } else {
            assert_leads_to_sign_in(&answer, "form");
        }
        let row = world.row(ADA).unwrap();
        assert!(is_confirmed(&world, ADA));
        assert_eq!(row["password_hash"], before["password_hash"]);
        assert_eq!(row.get("password_changed_at"), None);
        assert_eq!(row["user_id"], before["user_id"]);
    }
}

#[tokio::test]
async fn a_wrong_password_is_never_set_and_leads_to_two_fields() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    let row = world.row(ADA);

    for (wrong, error) in [
        ("correct horse batteri", "not the password of the sign-up"),
        ("x", "not the password of the sign-up"),
        (&"x".repeat(500), "not the password of the sign-up"),
        ("", "This is missing."),
    ] {
        let page = world.post_form(&link, &[("password", wrong)]).await;
        let json = world.post_json(&link, &json!({ "password": wrong })).await;

        assert_eq!((page.status, json.status), (422, 422), "{wrong}");
        assert!(lets_choose_a_password(&page), "{wrong}: {}", page.text());
        assert!(page.text().contains("id=\"password-error\""), "{wrong}");
        assert!(
            page.text()
                .contains("You have the mail, so the account is yours")
        );
        assert!(page.text().contains(error), "{wrong}: {}", page.text());
        assert_eq!(problem(&json)["errors"][0]["pointer"], "#/password");
        assert_eq!(world.row(ADA), row, "{wrong}");
    }

    // There the right one still does, alone.
    let answer = world.post_form(&link, &[("password", PASSWORD)]).await;
    assert_leads_to_sign_in(&answer, "the second try");
    assert!(password_of(&world.row(ADA).unwrap(), PASSWORD));
}

#[tokio::test]
async fn a_new_password_that_is_typed_twice_is_set_and_confirms_at_once() {
    let chosen = "chosen by the reader";
    for mode in MODES {
        let world = world_of(mode).await;
        sign_up(&world, ADA).await;
        let link = world.mail_to(ADA).link();
        let before = world.row(ADA).unwrap();

        let answer = world.post_form(&link, &twice(chosen)).await;

        assert_leads_to_sign_in(&answer, mode);
        let row = world.row(ADA).unwrap();
        assert!(is_confirmed(&world, ADA));
        assert!(password_of(&row, chosen));
        assert!(!password_of(&row, PASSWORD));
        assert!(row["password_changed_at"].is_string());
        assert_eq!(row["user_id"], before["user_id"]);
    }
}

#[tokio::test]
async fn after_too_many_attempts_only_a_new_password_is_taken() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    let row = world.row(ADA);
    let mut wrong = Vec::new();
    for _ in 0..10 {
        wrong.push(world.post_form(&link, &[("password", "wrong")]).await);
    }

    let right = world.post_form(&link, &[("password", PASSWORD)]).await;

    assert_eq!(right.status, 422);
    assert!(lets_choose_a_password(&right));
    for answer in wrong {
        assert_eq!(answer, right, "the answer is that to a wrong one");
    }
    assert_eq!(world.row(ADA), row);
    let chosen = world.post_form(&link, &twice(OTHER_PASSWORD)).await;
    assert_leads_to_sign_in(&chosen, "both fields");
    assert!(password_of(&world.row(ADA).unwrap(), OTHER_PASSWORD));
}

#[tokio::test]
async fn who_is_invited_chooses_the_first_password() {
    for mode in MODES {
        let world = world_of(mode).await;
        let invited = json!({ "email": ADA, "role": "admin", "email_confirmed": false });
        world.put_row(&invited);
        let link = format!("/accounts/confirm/{}", world.token(ADA, 10));

        let page = world.get(&link).await;
        assert_eq!(page.status, 200, "{mode}");
        assert!(lets_choose_a_password(&page), "{mode}");
        assert_eq!(world.row(ADA), Some(invited), "{mode}");
        let one = world.post_form(&link, &[("password", PASSWORD)]).await;
        assert_eq!(one.status, 422, "{mode}");
        assert!(!is_confirmed(&world, ADA));

        let chosen = world.post_form(&link, &twice(PASSWORD)).await;
        assert_leads_to_sign_in(&chosen, mode);
        let row = world.row(ADA).unwrap();
        assert!(password_of(&row, PASSWORD));
        assert_eq!(row["role"], "admin");
        assert_eq!(row["email_confirmed"], true);
    }
}

#[tokio::test]
async fn a_link_acts_on_no_row_that_is_younger() {
    for mode in MODES {
        let world = world_of(mode).await;
        let signed_up = sign_up(&world, ADA).await;
        let row = world.row(ADA);

        let created_at = row.as_ref().unwrap()["created_at"].as_str().unwrap();
        let created_at = created_at.parse::<Timestamp>().unwrap().as_second();

        for (age, alive) in [(86_000, false), (60, false), (6, false), (5, true)] {
            let key = world.secret_key().as_bytes();
            let serializer = signing::UrlSafeTimedSerializer::new(key, "email-confirm-key");
            let date_signed = u64::try_from(created_at - age).unwrap();
            let token = serializer.dumps_at(ADA, date_signed).unwrap();
            let link = format!("/accounts/confirm/{token}");
            let expected = if alive { 303 } else { 404 };
            if !alive {
                for fields in [&[("password", PASSWORD)][..], &twice(PASSWORD), &[]] {
                    let posted = world.post_form(&link, fields).await;
                    assert_eq!(posted.status, 404, "{mode} {age} {fields:?}");
                }
                assert_eq!(world.request("HEAD", &link).send().await.status, 404);
                assert_eq!(world.get(&link).await.status, 404, "{mode} {age}");
            }
            let opened = open_in_browser_of(&world, &signed_up, &link).await;

            assert_eq!(opened.status, expected, "{mode} {age}");
            assert_eq!(world.row(ADA) == row, !alive, "{mode} {age}");
        }
    }
}

#[tokio::test]
async fn a_dead_links_page_does_not_tell_a_younger_row_from_none() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let younger = format!("/accounts/confirm/{}", world.token(ADA, 60));
    let nobodys = format!("/accounts/confirm/{}", world.token("eve@example.com", 60));

    assert_eq!(world.get(&younger).await, world.get(&nobodys).await);
    for fields in [&[("password", PASSWORD)][..], &twice(PASSWORD), &[]] {
        let younger = world.post_form(&younger, fields).await;
        assert_eq!(younger, world.post_form(&nobodys, fields).await);
    }
}

#[tokio::test]
async fn a_clock_that_is_five_seconds_behind_makes_no_dead_links() {
    let world = World::start().await;
    let row = |created_at: i64| {
        let created_at = Timestamp::from_second(created_at).unwrap().to_string();
        json!({ "email": ADA, "password_hash": "$argon2id$x", "created_at": created_at })
    };
    let now = now();
    let serializer =
        signing::UrlSafeTimedSerializer::new(world.secret_key().as_bytes(), "email-confirm-key");
    let token = serializer.dumps_at(ADA, u64::try_from(now - 100).unwrap());
    let link = format!("/accounts/confirm/{}", token.unwrap());

    for (created, status) in [(now - 95, 200), (now - 94, 404)] {
        world.put_row(&row(created));
        assert_eq!(world.get(&link).await.status, status);
    }
    world.put_row(&json!({ "email": ADA, "password_hash": "$argon2id$x" }));
    assert_eq!(
        world.get(&link).await.status,
        200,
        "no created_at, any link"
    );
}

#[tokio::test]
async fn a_confirmed_row_that_still_expires_is_kept_at_the_next_visit() {
    for mode in MODES {
        let world = world_of(mode).await;
        let signed_up = sign_up(&world, ADA).await;
        let link = world.mail_to(ADA).link();
        // As Flask's own view confirms: it does not know that the row expires.
        for age in [1_000, -1_000] {
            world.change_row(
                ADA,
                &json!({ "email_confirmed": true, "expires_at": now() - age }),
            );
            let before = world.row(ADA).unwrap();

            let elsewhere = world.get(&link).await;

            assert_leads_to_sign_in(&elsewhere, mode);
            let row = world.row(ADA).unwrap();
            assert_eq!(row.get("expires_at"), None, "{mode} {age}");
            assert_eq!(row["user_id"], before["user_id"]);
            assert_eq!(row["password_hash"], before["password_hash"]);
        }
        world.change_row(ADA, &json!({ "expires_at": now() + 1_000 }));
        let there = open_in_browser_of(&world, &signed_up, &link).await;
        assert_leads_to_sign_in(&there, mode);
        assert_eq!(world.row(ADA).unwrap().get("expires_at"), None, "{mode}");
    }
}

#[tokio::test]
async fn a_dead_link_is_not_found_and_reaches_nothing() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let row = world.row(ADA);
    world.forget_calls();

    for (what, path) in dead_links(&world) {
        for method in ["GET", "HEAD", "POST"] {
            let request = world.request(method, &path).function("confirm-email");

            let answer = request.send().await;

            assert_eq!(answer.status, 404, "{method} with {what}");
        }
    }
    assert!(world.is_untouched());
    assert_eq!(world.row(ADA), row);
}

#[tokio::test]
async fn the_page_of_a_dead_link_says_what_to_do_next() {
    let world = World::start().await;
    let json = ("accept", "application/json");

    for (path, title, advice) in [
        (
            "/accounts/confirm/token".to_owned(),
            "This link is not valid",
            "sign up again",
        ),
        (
            format!("/accounts/confirm/{}", world.token(ADA, 1)),
            "This link is not valid",
            "sign up again",
        ),
        (
            expired_link(&world, ADA),
            "This link has expired",
            "fresh one",
        ),
    ] {
        let page = world.get(&path).await;
        let details = world.request("GET", &path).header(json.0, json.1);
        let details = details.send().await;

        assert_eq!((page.status, details.status), (404, 404));
        assert!(page.text().contains(title), "{}", page.text());
        assert!(page.text().contains(advice), "{}", page.text());
        let details = problem(&details);
        assert_eq!(details["status"], 404);
        assert_eq!(details["title"], title);
    }
}

#[tokio::test]
async fn an_answer_never_repeats_the_token() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let bob = have_contested_row(&world, "bob@example.com").await;

    for (path, shows) in [
        (bob, Some("bob@example.com")),
        (expired_link(&world, ADA), None),
        (
            format!("/accounts/confirm/{}", world.token("eve@example.com", 1)),
            None,
        ),
        (world.mail_to(ADA).link(), Some(ADA)),
    ] {
        let token = path.rsplit('/').next().unwrap();
        for request in [world.request("GET", &path), world.request("POST", &path)] {
            let answer = request.send().await;

            let text = format!("{:?} {}", answer.headers, answer.text());
            assert!(!text.contains(token), "{text}");
            // The password page shows the address, so that a password manager finds it. No other page does.
            for email in [ADA, "bob@example.com", "eve@example.com"] {
                assert_eq!(text.contains(email), shows == Some(email), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_link_to_a_row_that_is_gone_or_has_expired_is_dead() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    let_pass(&world, ADA, 8 * 86_400 + 1);
    let row = world.row(ADA);
    assert!(row.is_some(), "TTL has not removed it yet");

    for method in ["GET", "POST", "HEAD"] {
        let expired = world.request(method, &link).send().await;
        assert_eq!(expired.status, 404, "{method}");
    }
    assert_eq!(world.row(ADA), row);

    world.delete_row(ADA);
    for method in ["GET", "POST", "HEAD"] {
        let gone = world.request(method, &link).send().await;
        assert_eq!(gone.status, 404, "{method}");
    }
    assert_eq!(world.row(ADA), None);
}

#[tokio::test]
async fn the_link_of_a_contested_row_lets_its_reader_choose_and_does_not_confirm() {
    for mode in MODES {
        let world = world_of(mode).await;
        let link = have_contested_row(&world, ADA).await;
        let row = world.row(ADA);

        let page = world.get(&link).await;
        let json = world.request("GET", &link);
        let json = json.header("accept", "application/json").send().await;
        let without = world.post_form(&link, &[]).await;

        assert_eq!(page.status, 200, "{mode}");
        assert!(lets_choose_a_password(&page), "{mode}");
        assert!(page.text().contains("more than one sign-up"), "{mode}");
        assert_eq!(json.status, 200, "{mode}");
        assert_eq!(json.header("content-type"), Some("application/json"));
        assert_eq!(without.status, 422, "{mode}");
        assert!(lets_choose_a_password(&without), "{mode}");
        assert_eq!(world.row(ADA), row);
    }
}

#[tokio::test]
async fn the_reader_of_the_mailbox_chooses_the_password_and_confirms() {
    let chosen = "chosen by the reader";
    for is_json in [false, true] {
        let world = World::start().await;
        let link = have_contested_row(&world, ADA).await;
        let before = world.row(ADA).unwrap();

        let answer = if is_json {
            let fields = json!({ "password": chosen, "password_again": chosen });
            world.post_json(&link, &fields).await
        } else {
            world.post_form(&link, &twice(chosen)).await
        };

        assert_eq!(answer.status, if is_json { 200 } else { 303 });
        let row = world.row(ADA).unwrap();
        assert!(is_confirmed(&world, ADA));
        assert!(password_of(&row, chosen));
        assert!(!password_of(&row, PASSWORD));
        assert!(!password_of(&row, OTHER_PASSWORD));
        for gone in ["contested", "sign_up", "expires_at"] {
            assert_eq!(row.get(gone), None, "{gone}");
        }
        assert_eq!(row["user_id"], before["user_id"]);
        assert_eq!(row["created_at"], before["created_at"]);
    }
}

#[tokio::test]
async fn a_chosen_password_follows_the_rules_of_a_sign_up_and_is_typed_twice_alike() {
    let world = World::start().await;
    let link = have_contested_row(&world, ADA).await;
    let row = world.row(ADA);
    world.forget_calls();

    for (password, again, field) in [
        ("7 chars", "7 chars", "password"),
        ("            ", "            ", "password"),
        ("password123", "password123", "password"),
        (ADA, ADA, "password"),
        (&"x".repeat(129), &"x".repeat(129), "password"),
        ("", PASSWORD, "password"),
        (PASSWORD, OTHER_PASSWORD, "password_again"),
        (PASSWORD, "correct horse batterY", "password_again"),
    ] {
        let form = [("password", password), ("password_again", again)];
        let page = world.post_form(&link, &form).await;
        let json = json!({ "password": password, "password_again": again });
        let json = world.post_json(&link, &json).await;

        assert_eq!((page.status, json.status), (422, 422), "{password}");
        let error = format!("id=\"{field}-error\"");
        assert!(page.text().contains(&error), "{password}");
        assert!(
            password.is_empty()
                || !page
                    .text()
                    .contains(&format!("value=\"{password}\" type=\"password"))
        );
        let pointer = format!("#/{field}");
        assert_eq!(problem(&json)["errors"][0]["pointer"], pointer.as_str());
        assert!(lets_choose_a_password(&page), "{password}");
    }

    let missing = json!({ "password_again": PASSWORD });
    assert_eq!(world.post_json(&link, &missing).await.status, 422);
    for (what, request, status) in [
        (
            "twice",
            world
                .request("POST", &link)
                .form(&[("password", PASSWORD); 2]),
            400,
        ),
        (
            "text",
            world
                .request("POST", &link)
                .body("x")
                .header("content-type", "text/plain"),
            415,
        ),
        (
            "huge",
            world
                .request("POST", &link)
                .form(&[("x", &"x".repeat(20_000))]),
            413,
        ),
    ] {
        assert_eq!(request.send().await.status, status, "{what}");
    }
    let writes = world.all_calls();
    assert!(writes.iter().all(|call| call == "GetItem"), "{writes:?}");
    assert_eq!(world.row(ADA), row);
}

#[tokio::test]
async fn nobodys_link_takes_no_password() {
    let world = World::start().await;
    let link = format!("/accounts/confirm/{}", world.token("eve@example.com", 1));

    for fields in [&[("password", PASSWORD)][..], &twice(PASSWORD), &[]] {
        assert_eq!(world.post_form(&link, fields).await.status, 404);
    }
    assert!(world.rows().is_empty());
}

#[tokio::test]
async fn a_browser_lands_where_the_settings_say() {
    let world = World::builder()
        .setting(
            "INDEX_URL",
            "https://www.example.com/welcome?from=sign-up#top",
        )
        .setting("SIGN_IN_URL", "https://id.example.com/sign-in")
        .start()
        .await;

    let signed_up = sign_up(&world, ADA).await;
    let confirmed = open_in_browser_of(&world, &signed_up, &world.mail_to(ADA).link()).await;
    let again = world.get(&world.mail_to(ADA).link()).await;
    let fresh = world.post_form(&expired_link(&world, ADA), &[]).await;

    let index_url = Some("https://www.example.com/welcome?from=sign-up#top");
    assert_eq!(signed_up.header("location"), index_url);
    assert_eq!(fresh.header("location"), index_url);
    for answer in [confirmed, again] {
        assert_eq!(
            answer.header("location"),
            Some("https://id.example.com/sign-in")
        );
    }
}
