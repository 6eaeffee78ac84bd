//! Who may post the forms: this site's own pages, those of allowed origins, and whoever is no browser.

use tests::{Answer, Request, World};

use crate::steps::{ADA, PASSWORD, expired_link, is_confirmed, sign_up, varies_by_origin};

const ALLOWED: &str = "https://www.example.com";

/// `Sec-Fetch-Site`, `Origin`, and whether the post is let through.
const POSTS: [(Option<&str>, Option<&str>, bool); 21] = [
    (None, None, true),
    (Some("same-origin"), Some("https://app.example.com"), true),
    (Some("same-origin"), None, true),
    (Some("none"), None, true),
    (Some("none"), Some("https://evil.example.com"), true),
    (Some("cross-site"), None, false),
    (Some("cross-site"), Some("https://evil.example.com"), false),
    (Some("same-site"), None, false),
    (Some("same-site"), Some("https://app.example.com"), false),
    (Some("cross-site"), Some("https://app.example.com"), false),
    (Some("cross-site"), Some("null"), false),
    (Some("Same-Origin"), None, false),
    (Some(""), None, false),
    (None, Some("https://app.example.com"), true),
    (None, Some("https://evil.example.com"), false),
    (None, Some("http://app.example.com"), false),
    (None, Some("https://app.example.com:8443"), false),
    (None, Some("https://app.example.com.evil.com"), false),
    (None, Some("null"), false),
    (Some("cross-site"), Some(ALLOWED), true),
    (None, Some(ALLOWED), true),
];

async fn world() -> World {
    let origins = format!("https://other.example.com, {ALLOWED}");
    World::builder()
        .setting("ALLOWED_ORIGINS", &origins)
        .start()
        .await
}

async fn send(mut request: Request<'_>, relation: Option<&str>, origin: Option<&str>) -> Answer {
    if let Some(relation) = relation {
        request = request.header("sec-fetch-site", relation);
    }
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    request.send().await
}

#[tokio::test]
async fn a_sign_up_from_another_sites_page_is_refused_and_changes_nothing() {
    let world = world().await;

    for (relation, origin, allowed) in POSTS {
        world.delete_row(ADA);
        world.forget_calls();
        let fields = [("email", ADA), ("password", PASSWORD)];
        let request = world.request("POST", "/accounts/create").form(&fields);

        let answer = send(request, relation, origin).await;

        let expected = if allowed { 303 } else { 403 };
        assert_eq!(answer.status, expected, "{relation:?} {origin:?}");
        assert_eq!(world.is_untouched(), !allowed, "{relation:?} {origin:?}");
    }
}

#[tokio::test]
async fn a_link_posted_from_another_sites_page_is_refused_and_changes_nothing() {
    let world = world().await;

    for (round, (relation, origin, allowed)) in POSTS.into_iter().enumerate() {
        // Another account each time: attempts at one are limited.
        let email = format!("user{round}@example.com");
        sign_up(&world, &email).await;
        world.forget_calls();
        let link = world.mail_to(&email).link();

        let request = world.request("POST", &link).form(&[("password", PASSWORD)]);
        let answer = send(request, relation, origin).await;

        let expected = if allowed { 303 } else { 403 };
        assert_eq!(answer.status, expected, "{relation:?} {origin:?}");
        assert_eq!(world.is_untouched(), !allowed, "{relation:?} {origin:?}");
        assert_eq!(is_confirmed(&world, &email), allowed);
    }
}

#[tokio::test]
async fn a_fresh_link_asked_for_by_another_sites_page_is_refused() {
    let world = world().await;
    let request = world.request("POST", &expired_link(&world, ADA));

    let answer = send(request, Some("cross-site"), None).await;

    assert_eq!(answer.status, 403);
    assert!(world.is_untouched());
}

#[tokio::test]
async fn links_are_followed_from_anywhere() {
    let world = world().await;
    let signed_up = sign_up(&world, ADA).await;
    let request = world.request("GET", &world.mail_to(ADA).link());
    let request = request.browser_of(&signed_up);

    let answer = send(request, Some("cross-site"), None).await;

    assert_eq!(answer.status, 303);
    assert!(is_confirmed(&world, ADA));
}

#[tokio::test]
async fn a_port_that_goes_without_saying_makes_no_other_origin() {
    let world = World::builder()
        .setting("BASE_URL", "https://app.example.com:443/v1")
        .start()
        .await;
    let request = world.request("POST", "/accounts/create");
    let request = request.form(&[("email", ADA), ("password", PASSWORD)]);

    let answer = send(request, None, Some("https://app.example.com")).await;

    assert_eq!(answer.status, 303);
}

#[tokio::test]
async fn answers_to_allowed_origins_can_be_read_by_their_scripts_and_no_others() {
    let world = world().await;
    let link = expired_link(&world, ADA);
    let sign_up = || world.request("POST", "/accounts/create");

    for (status, request) in [
        (
            303,
            sign_up().form(&[("email", ADA), ("password", PASSWORD)]),
        ),
        (422, sign_up().form(&[("email", ADA)])),
        (
            415,
            sign_up().body("x").header("content-type", "text/plain"),
        ),
        (200, world.request("GET", "/accounts/create")),
        (405, world.request("PUT", "/accounts/create")),
        (404, world.request("GET", &link)),
        (303, world.request("POST", &link)),
    ] {
        let answer = send(request, Some("cross-site"), Some(ALLOWED)).await;

        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(ALLOWED));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert!(varies_by_origin(&answer));
    }
    for origin in [
        "https://app.example.com",
        "https://evil.example.com",
        "null",
    ] {
        let answer = send(world.request("GET", "/accounts/create"), None, Some(origin)).await;

        let cors = answer.headers.iter();
        let cors = cors.filter(|(name, _)| name.starts_with("access-control-"));
        assert_eq!(cors.count(), 0, "{origin}");
        assert!(varies_by_origin(&answer));
    }
}
