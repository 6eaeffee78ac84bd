//! The pages: what they look like, their headers, and that they work for everybody.

use serde_json::json;
use tests::{Answer, World};

use crate::steps::{
    ADA, OTHER_PASSWORD, PASSWORD, expired_link, have_account, have_contested_row, python, sign_up,
    sign_up_with,
};

/// The reset link in the newest mail to an address.
async fn reset_link(world: &World, email: &str) -> String {
    let form = [("email", email)];
    world.post_form("/accounts/password", &form).await;
    let links = world.mail_to(email).links();
    let mut links = links.into_iter();
    links
        .find(|link| link.contains("/accounts/password/"))
        .unwrap()
}

/// A link of a change of address that `eve@example.com` has asked for.
async fn change_link(world: &World) -> String {
    let form = [
        ("email", "eve@example.com"),
        ("password", PASSWORD),
        ("new_email", "new@example.com"),
    ];
    world.post_form("/accounts/email", &form).await;
    world.mail_to("new@example.com").link()
}

/// Every page that a person can meet, by name, and everything else that is answered.
async fn every_answer(world: &World) -> Vec<(&'static str, Answer)> {
    let contested = have_contested_row(world, "bob@example.com").await;
    have_account(world, "eve@example.com").await;
    world.put_row(&json!({ "email": "invited@example.com" }));
    let invited = format!(
        "/accounts/confirm/{}",
        world.token("invited@example.com", 1)
    );
    let waiting = format!("/accounts/confirm/{}", world.token(ADA, 1));
    let change = change_link(world).await;
    let reset = reset_link(world, "eve@example.com").await;
    let get = |path: &str| world.request("GET", path);
    let post = |path: &str| world.request("POST", path);
    let create = "/accounts/create";
    let signs_up = [("email", ADA), ("password", PASSWORD)];
    let json = json!({ "email": "joe@example.com", "password": PASSWORD });

    let mut answers = Vec::new();
    for (what, request) in [
        ("form", get(create)),
        (
            "errors",
            post(create).form(&[("email", "ada"), ("password", "x")]),
        ),
        ("errors as JSON", post(create).json(&json!({}))),
        ("signed up", post(create).form(&signs_up)),
        ("signed up with JSON", post(create).json(&json)),
        ("created", get("/accounts/created")),
        (
            "created as JSON",
            get("/accounts/created").header("accept", "application/json"),
        ),
        ("password", get(&waiting)),
        (
            "password as JSON",
            get(&waiting).header("accept", "application/json"),
        ),
        ("HEAD", world.request("HEAD", &waiting)),
        ("prefetch", get(&waiting).header("sec-purpose", "prefetch")),
        (
            "a wrong one",
            post(&waiting).form(&[("password", OTHER_PASSWORD)]),
        ),
        ("choose a password", get(&contested)),
        ("choose the first one", get(&invited)),
        (
            "two that differ",
            post(&contested).form(&[("password", PASSWORD), ("password_again", OTHER_PASSWORD)]),
        ),
        ("a bad one", post(&contested).form(&[("password", "x")])),
        (
            "confirmed before",
            get(&format!(
                "/accounts/confirm/{}",
                world.token("eve@example.com", 1)
            )),
        ),
        ("confirmed", get("/accounts/confirmed")),
        ("change", get("/accounts/email")),
        (
            "change errors",
            post("/accounts/email").form(&[("email", "ada"), ("new_email", "@")]),
        ),
        ("change link", get(&change)),
        (
            "change link, wrong password",
            post(&change).form(&[("password", OTHER_PASSWORD)]),
        ),
        ("reset", get("/accounts/password")),
        ("reset errors", post("/accounts/password").form(&[])),
        ("new password", get(&reset)),
        (
            "new password errors",
            post(&reset).form(&[("password", "password123")]),
        ),
        (
            "new password set",
            post(&reset).form(&[("password", OTHER_PASSWORD)]),
        ),
        ("dead reset link", get(&reset)),
        ("superseded change", get(&change)),
        ("expired", get(&expired_link(world, ADA))),
        ("fresh link", post(&expired_link(world, ADA))),
        ("invalid link", get("/accounts/confirm/token")),
        (
            "not found",
            get("/accounts/nothing").function("create-account"),
        ),
        ("method", world.request("DELETE", create)),
        (
            "cross-site",
            post(create).header("origin", "https://evil.example.com"),
        ),
        (
            "preflight",
            world
                .request("OPTIONS", create)
                .header("origin", "https://www.example.com"),
        ),
        (
            "unreadable",
            post(create).form(&[("email", ADA), ("email", ADA)]),
        ),
        (
            "too large",
            post(create).form(&[("x", &"x".repeat(20_000))]),
        ),
        (
            "media type",
            post(create).body("x").header("content-type", "text/plain"),
        ),
    ] {
        answers.push((what, request.send().await));
    }
    world
        .dynamodb
        .always(tests::ANY, tests::Fault::access_denied());
    answers.push(("unavailable", post(create).form(&signs_up).send().await));
    world.dynamodb.heal();
    answers
}

async fn world() -> World {
    World::builder()
        .setting("APP_NAME", "My App")
        .setting("ALLOWED_ORIGINS", "https://www.example.com")
        .setting("INDEX_URL", "https://www.example.com/welcome")
        .setting("SIGN_IN_URL", "https://id.example.com:8443/sign-in")
        .start()
        .await
}

/// The sources that a directive of a policy lists.
fn directive<'a>(policy: &'a str, name: &str) -> Vec<&'a str> {
    let directives = policy
        .split(';')
        .map(|directive| directive.trim().split(' '));
    for mut words in directives {
        if words.next() == Some(name) {
            return words.collect();
        }
    }
    panic!("no {name} in {policy}");
}

#[tokio::test]
async fn every_answer_has_every_security_header() {
    let world = world().await;

    for (what, answer) in every_answer(&world).await {
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
        assert_eq!(
            answer.header("referrer-policy"),
            Some("strict-origin"),
            "{what}"
        );
        assert_eq!(answer.header("content-language"), Some("en"), "{what}");
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{what}"
        );
        let vary = Some("Origin, Accept, Accept-Language, Cookie");
        assert_eq!(answer.header("vary"), vary, "{what}");
        let policy = answer.header("content-security-policy").unwrap();
        assert_eq!(directive(policy, "default-src"), ["'none'"], "{what}");
        assert_eq!(directive(policy, "frame-ancestors"), ["'none'"], "{what}");
        assert_eq!(directive(policy, "base-uri"), ["'none'"], "{what}");
        assert!(!policy.contains("unsafe"), "{what}: {policy}");
        assert!(!policy.contains("script-src"), "{what}: {policy}");
        let sets_a_cookie = what.starts_with("signed up");
        assert_eq!(answer.cookie().is_some(), sets_a_cookie, "{what}");
        let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        assert_eq!(
            names.len(),
            answer.headers.len(),
            "{what}: no header stands twice"
        );
    }
}

#[tokio::test]
async fn every_answer_has_the_status_of_the_contract() {
    let world = world().await;

    let statuses: Vec<_> = every_answer(&world)
        .await
        .into_iter()
        .map(|(what, answer)| format!("{} {what}", answer.status))
        .collect();

    assert_eq!(
        statuses,
        [
            "200 form",
            "422 errors",
            "422 errors as JSON",
            "303 signed up",
            "202 signed up with JSON",
            "200 created",
            "200 created as JSON",
            "200 password",
            "200 password as JSON",
            "200 HEAD",
            "503 prefetch",
            "422 a wrong one",
            "200 choose a password",
            "200 choose the first one",
            "422 two that differ",
            "422 a bad one",
            "303 confirmed before",
            "200 confirmed",
            "200 change",
            "422 change errors",
            "200 change link",
            "422 change link, wrong password",
            "200 reset",
            "422 reset errors",
            "200 new password",
            "422 new password errors",
            "303 new password set",
            "404 dead reset link",
            "404 superseded change",
            "404 expired",
            "303 fresh link",
            "404 invalid link",
            "404 not found",
            "405 method",
            "403 cross-site",
            "204 preflight",
            "400 unreadable",
            "413 too large",
            "415 media type",
            "503 unavailable",
        ]
    );
}

#[tokio::test]
async fn forms_may_lead_to_where_the_settings_send_the_browser() {
    for (index_url, sign_in_url, sources) in [
        ("", "", vec!["'self'", "https://app.example.com"]),
        (
            "https://www.example.com/welcome?a=b",
            "https://id.example.com:8443/sign-in",
            vec![
                "'self'",
                "https://www.example.com",
                "https://id.example.com:8443",
            ],
        ),
        (
            "http://localhost:3000",
            "http://localhost:3000/in",
            vec!["'self'", "http://localhost:3000"],
        ),
        (
            "https://B\u{fc}cher.example/x",
            "",
            vec![
                "'self'",
                "https://xn--bcher-kva.example",
                "https://app.example.com",
            ],
        ),
    ] {
        let world = World::builder()
            .setting("INDEX_URL", index_url)
            .setting("SIGN_IN_URL", sign_in_url)
            .start()
            .await;

        for path in [
            "/accounts/create",
            "/accounts/confirmed",
            &expired_link(&world, ADA),
        ] {
            let page = world.get(path).await;

            let policy = page.header("content-security-policy").unwrap();
            assert_eq!(directive(policy, "form-action"), sources, "{path}");
        }
    }
}

#[tokio::test]
async fn pages_load_nothing_and_run_nothing_and_their_forms_post_to_their_own_url() {
    let world = world().await;
    let mut pages = 0;

    for (what, answer) in every_answer(&world).await {
        let html = answer.text();
        if answer.header("content-type") != Some("text/html; charset=utf-8") || html.is_empty() {
            continue;
        }
        pages += 1;
        assert!(
            html.starts_with("<!doctype html>\n<html lang=\"en\" dir=\"ltr\">"),
            "{what}"
        );
        for absent in [
            "<script", "<img", "<link", "<iframe", "src=", "@import", "url(", " action=", " on",
            "style=",
        ] {
            let inside_tags = html
                .split('<')
                .filter_map(|tag| tag.split_once('>'))
                .any(|(tag, _)| format!("<{tag}").contains(absent));
            assert!(!inside_tags, "{what} has {absent}");
        }
        assert!(
            !html.contains("@import") && !html.contains("url("),
            "{what}"
        );
        let labels = html.matches("<label for=\"").count();
        assert_eq!(
            html.matches("<input ").count(),
            labels,
            "{what}: a label for each field"
        );
        assert_eq!(html.matches(" autocomplete=\"").count(), labels, "{what}");
        assert_eq!(
            html.matches("<form ").count(),
            html.matches("<form method=\"post\">").count()
        );
        assert_eq!(html.matches("<h1>").count(), 1, "{what}");
        assert_eq!(html.matches("<main>").count(), 1, "{what}");
        assert!(html.contains("name=\"viewport\""), "{what}");
        assert!(html.contains("mailto:no-reply@app.example.com"), "{what}");
        assert!(html.contains("– My App</title>"), "{what}");
    }
    assert!(pages >= 25, "{pages}");
}

#[tokio::test]
async fn a_logo_and_a_colour_of_ones_own_are_all_that_pages_may_load_then() {
    let world = World::builder()
        .setting("LOGO_URL", "https://cdn.example.com/logo.png?a=1&b=2")
        .setting("ACCENT_COLOR", "#B91C1C")
        .start()
        .await;

    let page = world.get("/accounts/create").await;

    let html = page.text();
    let logo = "<img class=\"logo\" src=\"https://cdn.example.com/logo.png?a=1&#38;b=2\" alt=\"app.example.com\">";
    assert!(html.contains(logo), "{html}");
    assert!(html.contains("#b91c1c") && !html.contains("#1d4ed8"));
    let policy = page.header("content-security-policy").unwrap();
    assert_eq!(directive(policy, "img-src"), ["https://cdn.example.com"]);
    // The one style sheet is allowed by its hash.
    let style = html.split_once("<style>").unwrap().1;
    let style = style.split_once("</style>").unwrap().0;
    let script = "
import base64, hashlib
hash = hashlib.sha256(input.encode()).digest()
output = \"'sha256-\" + base64.b64encode(hash).decode() + \"'\"";
    let hash = python(script, &json!(style));
    assert_eq!(directive(policy, "style-src"), [hash.as_str().unwrap()]);
}

#[tokio::test]
async fn the_language_is_one_that_the_service_has() {
    let world = World::start().await;
    for accepted in ["en", "en-GB,en;q=0.9", "tlh", "*", "", "de;q=0, en;q=0.1"] {
        let request = world.request("GET", "/accounts/create");
        let page = request.header("accept-language", accepted).send().await;

        assert_eq!(page.header("content-language"), Some("en"), "{accepted}");
        assert!(page.text().contains("<html lang=\"en\" dir=\"ltr\">"));
    }
}

#[tokio::test]
async fn an_error_is_tied_to_its_field_for_screen_readers() {
    let world = World::start().await;

    let page = sign_up_with(&world, "ada", "short").await.text();

    for field in ["email", "password"] {
        let input = page
            .split("<input ")
            .find(|input| input.starts_with(&format!("id=\"{field}\"")));
        let input = input.unwrap().split('>').next().unwrap();
        assert!(input.contains("aria-invalid=\"true\""), "{input}");
        assert!(
            input.contains(&format!("aria-describedby=\"{field}-error\"")),
            "{input}"
        );
    }
}

#[tokio::test]
async fn settings_are_escaped_in_pages() {
    let world = World::builder()
        .setting("APP_NAME", "<b>Fish</b> & \"Chips\"")
        .setting("SUPPORT_EMAIL", "o'neill&co@example.com")
        .start()
        .await;

    let page = world.get("/accounts/create").await.text();

    assert!(
        page.contains("&#60;b&#62;Fish&#60;/b&#62; &#38; &#34;Chips&#34;"),
        "{page}"
    );
    assert!(
        page.contains("mailto:o&#39;neill&#38;co@example.com"),
        "{page}"
    );
    assert!(!page.contains("<b>"));
}

#[tokio::test]
async fn the_pages() {
    let world = world().await;
    sign_up(&world, ADA).await;
    let waiting = world.mail_to(ADA).link();
    let contested = have_contested_row(&world, "bob@example.com").await;
    have_account(&world, "eve@example.com").await;
    world.put_row(&json!({ "email": "invited@example.com" }));
    let invited = format!(
        "/accounts/confirm/{}",
        world.token("invited@example.com", 1)
    );
    let wrong = [("password", OTHER_PASSWORD)];
    let differ = [("password", PASSWORD), ("password_again", OTHER_PASSWORD)];
    let change = change_link(&world).await;
    let reset = reset_link(&world, "eve@example.com").await;
    let create = "/accounts/create";

    for (name, page) in [
        ("sign-up", world.get(create).await),
        (
            "sign-up-with-errors",
            sign_up_with(&world, "ada", "short").await,
        ),
        ("created", world.get("/accounts/created").await),
        ("password", world.get(&waiting).await),
        ("password-wrong", world.post_form(&waiting, &wrong).await),
        ("choose-password", world.get(&contested).await),
        (
            "choose-password-with-errors",
            world.post_form(&contested, &differ).await,
        ),
        ("choose-first-password", world.get(&invited).await),
        ("confirmed", world.get("/accounts/confirmed").await),
        ("expired", world.get(&expired_link(&world, ADA)).await),
        ("invalid-link", world.get("/accounts/confirm/token").await),
        ("change", world.get("/accounts/email").await),
        (
            "change-with-errors",
            world.post_form("/accounts/email", &[]).await,
        ),
        ("change-link", world.get(&change).await),
        ("change-link-wrong", world.post_form(&change, &wrong).await),
        ("reset", world.get("/accounts/password").await),
        ("new-password", world.get(&reset).await),
        (
            "dead-reset-link",
            world.get("/accounts/password/token").await,
        ),
    ] {
        // The style is the same everywhere, and none of these pages' business.
        let html = page.text();
        let (head, rest) = html.split_once("<style>").unwrap();
        let (_, body) = rest.split_once("</style>").unwrap();
        insta::assert_snapshot!(name, format!("{head}<style>[style]</style>{body}"));
    }
}
