//! Following the link of a mail.

use serde_json::{Value, json};
use tests::{Answer, World};

use crate::steps::{
    ADA, OTHER_PASSWORD, PASSWORD, expired_link, have_account, have_contested_row, is_confirmed,
    let_pass, password_of, sign_up,
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

#[tokio::test]
async fn following_the_link_confirms_and_leads_to_sign_in() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    assert!(!is_confirmed(&world, ADA));

    let answer = world.get(&world.mail_to(ADA).link()).await;

    assert_eq!(answer.status, 303);
    assert_eq!(
        answer.header("location"),
        Some("https://app.example.com/accounts/confirmed")
    );
    assert!(is_confirmed(&world, ADA));
}

#[tokio::test]
async fn following_it_again_leads_there_again_and_changes_nothing() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    let first = world.get(&link).await;
    let row = world.row(ADA);

    for method in ["GET", "POST", "HEAD", "GET"] {
        let again = world.request(method, &link).send().await;

        assert_eq!(again, first, "{method}");
        assert_eq!(world.row(ADA), row, "{method}");
    }
    assert_eq!(world.mails().len(), 1);
}

#[tokio::test]
async fn a_link_posted_confirms_too() {
    let world = World::start().await;
    sign_up(&world, ADA).await;

    let answer = world.post_form(&world.mail_to(ADA).link(), &[]).await;

    assert_eq!(answer.status, 303);
    assert!(is_confirmed(&world, ADA));
}

#[tokio::test]
async fn a_client_that_wants_json_is_redirected_as_well() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let request = world.request("GET", &world.mail_to(ADA).link());

    let answer = request.header("accept", "application/json").send().await;

    assert_eq!(answer.status, 303);
    assert!(is_confirmed(&world, ADA));
}

#[tokio::test]
async fn with_a_button_opening_the_link_changes_nothing_and_its_button_confirms() {
    let world = World::builder()
        .setting("CONFIRM_ON", "button")
        .start()
        .await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    let row = world.row(ADA);

    let page = world.get(&link).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<button>Confirm my address</button>"));
    assert_eq!(world.row(ADA), row);

    let answer = world.post_form(&link, &[]).await;
    assert_eq!(answer.status, 303);
    assert_eq!(
        answer.header("location"),
        Some("https://app.example.com/accounts/confirmed")
    );
    assert!(is_confirmed(&world, ADA));

    let again = world.get(&link).await;
    assert_eq!(again, answer, "there is nothing left to press");
}

#[tokio::test]
async fn with_a_button_a_dead_link_has_none() {
    let world = World::builder()
        .setting("CONFIRM_ON", "button")
        .start()
        .await;

    for path in [
        "/accounts/confirm/token".to_owned(),
        format!("/accounts/confirm/{}", world.token("nobody@example.com", 1)),
    ] {
        let answer = world.get(&path).await;

        assert_eq!(answer.status, 404);
        assert!(!answer.text().contains("<button>"));
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
async fn an_answer_never_repeats_the_token_or_the_address() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let bob = have_contested_row(&world, "bob@example.com").await;

    for path in [
        bob,
        expired_link(&world, ADA),
        format!("/accounts/confirm/{}", world.token("eve@example.com", 1)),
        world.mail_to(ADA).link(),
    ] {
        let token = path.rsplit('/').next().unwrap();
        for request in [world.request("GET", &path), world.request("POST", &path)] {
            let answer = request.send().await;

            let text = format!("{:?} {}", answer.headers, answer.text());
            assert!(!text.contains(token), "{text}");
            for name in ["ada", "bob", "eve"] {
                assert!(!text.contains(&format!("{name}@")), "{text}");
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
async fn the_link_of_a_contested_row_asks_for_a_password_and_does_not_confirm() {
    for confirm_on in ["visit", "button"] {
        let builder = World::builder().setting("CONFIRM_ON", confirm_on);
        let world = builder.start().await;
        let link = have_contested_row(&world, ADA).await;
        let row = world.row(ADA);

        let page = world.get(&link).await;
        let json = world.request("GET", &link);
        let json = json.header("accept", "application/json").send().await;
        let without = world.post_form(&link, &[]).await;

        assert_eq!(page.status, 200);
        assert!(page.text().contains("name=\"password\""));
        assert!(page.text().contains("autocomplete=\"new-password\""));
        assert_eq!(json.status, 200);
        assert_eq!(json.header("content-type"), Some("application/json"));
        assert_eq!(without, page, "a post without a password asks again");
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
            world.post_json(&link, &json!({ "password": chosen })).await
        } else {
            world.post_form(&link, &[("password", chosen)]).await
        };

        assert_eq!(answer.status, 303);
        assert_eq!(
            answer.header("location"),
            Some("https://app.example.com/accounts/confirmed")
        );
        let row = world.row(ADA).unwrap();
        assert!(is_confirmed(&world, ADA));
        assert!(password_of(&row, chosen));
        assert!(!password_of(&row, PASSWORD));
        assert!(!password_of(&row, OTHER_PASSWORD));
        assert_eq!(row.get("contested"), None);
        assert_eq!(row["user_id"], before["user_id"]);
        assert_eq!(row["created_at"], before["created_at"]);
    }
}

#[tokio::test]
async fn a_chosen_password_follows_the_rules_of_a_sign_up() {
    let world = World::start().await;
    let link = have_contested_row(&world, ADA).await;
    let row = world.row(ADA);

    for password in [
        "",
        "7 chars",
        "            ",
        "password123",
        &"x".repeat(129),
    ] {
        let page = world.post_form(&link, &[("password", password)]).await;
        let json = world
            .post_json(&link, &json!({ "password": password }))
            .await;

        assert_eq!((page.status, json.status), (422, 422), "{password}");
        assert!(page.text().contains("id=\"password-error\""), "{password}");
        assert!(password.is_empty() || !page.text().contains(&format!("value=\"{password}")));
        assert_eq!(problem(&json)["errors"][0]["pointer"], "#/password");
    }
    assert!(world.is_untouched());

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
    assert!(world.is_untouched());
    assert_eq!(world.row(ADA), row);
}

#[tokio::test]
async fn a_confirmed_rows_password_is_never_set_by_its_link() {
    let world = World::start().await;
    have_account(&world, ADA).await;
    let row = world.row(ADA);

    let answer = world
        .post_form(&world.mail_to(ADA).link(), &[("password", OTHER_PASSWORD)])
        .await;

    assert_eq!(answer.status, 303);
    assert_eq!(world.row(ADA), row);
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
    let confirmed = world.get(&world.mail_to(ADA).link()).await;
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
