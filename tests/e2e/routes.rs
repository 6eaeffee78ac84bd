//! Which methods and paths are answered, and how.

use serde_json::Value;
use tests::World;

use crate::steps::{
    ADA, expired_link, have_account, have_contested_row, is_confirmed, sign_up, varies_by_origin,
};

const WITH_POST: &str = "GET, HEAD, POST, OPTIONS";
const WITHOUT_POST: &str = "GET, HEAD, OPTIONS";

const ROUTES: [(&str, &str, &str); 7] = [
    ("create-account", "/accounts/create", WITH_POST),
    ("create-account", "/accounts/created", WITHOUT_POST),
    ("confirm-email", "/accounts/confirm/a-token", WITH_POST),
    ("confirm-email", "/accounts/confirmed", WITHOUT_POST),
    ("change-email", "/accounts/email", WITH_POST),
    ("reset-password", "/accounts/password", WITH_POST),
    ("reset-password", "/accounts/password/a-token", WITH_POST),
];

#[tokio::test]
async fn the_pages_are_there() {
    let world = World::start().await;

    for (path, title) in [
        ("/accounts/create", "Create your account"),
        ("/accounts/created", "Look into your inbox"),
        ("/accounts/confirmed", "Your address is confirmed"),
        ("/accounts/email", "Change your address"),
        ("/accounts/password", "Choose a new password"),
    ] {
        let page = world.get(path).await;

        assert_eq!(page.status, 200, "{path}");
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert!(
            page.text().contains(&format!("<h1>{title}</h1>")),
            "{path}: {}",
            page.text()
        );
    }
    assert!(world.is_untouched());
}

#[tokio::test]
async fn head_is_get_without_a_body_and_changes_nothing() {
    for confirm_on in ["browser", "visit"] {
        let builder = World::builder().setting("CONFIRM_ON", confirm_on);
        let world = builder.start().await;
        let signed_up = sign_up(&world, ADA).await;
        have_contested_row(&world, "bob@example.com").await;
        have_account(&world, "eve@example.com").await;
        let link = |email| format!("/accounts/confirm/{}", world.token(email, 1));
        let rows = world.rows();
        world.forget_calls();

        for path in [
            "/accounts/create",
            "/accounts/created",
            "/accounts/confirmed",
            "/accounts/email",
            "/accounts/password",
            "/accounts/password/no-token",
            "/accounts/confirm/no-token",
            &link("nobody@example.com"),
            &expired_link(&world, ADA),
            &link("bob@example.com"),
            &link("eve@example.com"),
            // Last, since the GET confirms, in the browser that asked or in visit mode.
            &link(ADA),
        ] {
            for there in [false, true] {
                let request = |method| {
                    let request = world.request(method, path);
                    if there {
                        request.browser_of(&signed_up)
                    } else {
                        request
                    }
                };
                let before = world.rows();
                let head = request("HEAD").send().await;
                assert_eq!(world.rows(), before, "{path}");
                let get = request("GET").send().await;

                assert_eq!(
                    (head.status, &head.headers),
                    (get.status, &get.headers),
                    "{confirm_on} {path} {there}"
                );
                assert!(head.body.is_empty(), "{path}: {}", head.text());
            }
        }
        assert!(is_confirmed(&world, ADA));
        assert_eq!(world.rows().len(), rows.len());
        assert_eq!(world.mails().len(), 3);
    }
}

#[tokio::test]
async fn a_prefetch_of_a_link_is_refused_and_changes_nothing() {
    let world = World::start().await;
    let signed_up = sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();
    let row = world.row(ADA);
    world.forget_calls();

    for (name, value) in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("Sec-Purpose", "prefetch;anonymous-client-ip"),
        ("purpose", "prefetch"),
        ("Purpose", "Prefetch"),
    ] {
        for method in ["GET", "HEAD"] {
            let request = world.request(method, &link).browser_of(&signed_up);
            let answer = request.header(name, value).send().await;

            assert_eq!(answer.status, 503, "{method} {name}: {value}");
        }
    }
    assert!(world.is_untouched());
    assert_eq!(world.row(ADA), row);
    let followed = world.request("GET", &link).browser_of(&signed_up);
    assert_eq!(followed.send().await.status, 303);
}

#[tokio::test]
async fn a_prefetch_of_any_other_page_is_served() {
    let world = World::start().await;

    for path in [
        "/accounts/create",
        "/accounts/created",
        "/accounts/confirmed",
        "/accounts/email",
        "/accounts/password",
    ] {
        let request = world.request("GET", path).header("sec-purpose", "prefetch");

        assert_eq!(request.send().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn another_method_is_refused_with_those_that_are_possible() {
    let world = World::start().await;

    for (_, path, allow) in ROUTES {
        let mut methods = vec!["PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "BREW", "get"];
        if !allow.contains("POST") {
            methods.push("POST");
        }
        for method in methods {
            let answer = world.request(method, path).send().await;

            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        }
    }
    assert!(world.is_untouched());
}

#[tokio::test]
async fn options_is_answered_to_an_allowed_origin_only() {
    let world = World::builder()
        .setting("ALLOWED_ORIGINS", "https://www.example.com")
        .start()
        .await;

    for (_, path, allow) in ROUTES {
        let options = |origin: &str| {
            let request = world.request("OPTIONS", path).header("origin", origin);
            request.header("access-control-request-method", "POST")
        };
        let allowed = options("https://www.example.com").send().await;
        let refused = options("https://evil.example.com").send().await;
        let no_origin = world.request("OPTIONS", path).send().await;

        assert_eq!(allowed.status, 204, "{path}");
        assert!(allowed.body.is_empty());
        assert_eq!(
            allowed.header("access-control-allow-origin"),
            Some("https://www.example.com")
        );
        assert_eq!(allowed.header("access-control-allow-methods"), Some(allow));
        assert_eq!(
            allowed.header("access-control-allow-headers"),
            Some("content-type")
        );
        assert_eq!(allowed.header("access-control-allow-credentials"), None);
        assert!(varies_by_origin(&allowed));
        for answer in [refused, no_origin] {
            assert_eq!(answer.status, 405, "{path}");
            assert_eq!(answer.header("allow"), Some(allow), "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
        }
    }
}

#[tokio::test]
async fn any_other_path_is_not_found_whatever_the_method() {
    let world = World::start().await;

    for (function, path) in [
        ("create-account", "/"),
        ("create-account", "/accounts"),
        ("create-account", "/accounts/create/"),
        ("create-account", "/accounts/create/x"),
        ("create-account", "/Accounts/Create"),
        ("create-account", "//accounts/create"),
        ("create-account", "/x/accounts/create"),
        ("confirm-email", "/accounts/confirm"),
        ("confirm-email", "/accounts/confirm/"),
        ("confirm-email", "/accounts/confirm/a/b"),
        ("change-email", "/accounts/email/"),
        ("reset-password", "/accounts/password/"),
        ("reset-password", "/accounts/password/a/b"),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS"] {
            let request = world.request(method, path).function(function);
            let answer = request.send().await;

            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }
    for (function, path) in [
        ("create-account", "/accounts/confirmed"),
        ("confirm-email", "/accounts/create"),
        ("change-email", "/accounts/password"),
        ("reset-password", "/accounts/email"),
    ] {
        let another_functions = world.request("GET", path).function(function);

        assert_eq!(another_functions.send().await.status, 404, "{path}");
    }
    assert!(world.is_untouched());
}

#[tokio::test]
async fn refusals_are_pages_for_browsers_and_problem_details_for_others() {
    let world = World::start().await;

    for (method, path, status) in [
        ("GET", "/accounts/nothing", 404),
        ("PUT", "/accounts/create", 405),
        ("POST", "/accounts/created", 405),
    ] {
        let request = || world.request(method, path).function("create-account");
        let page = request().header("accept", "text/html").send().await;
        let json = request().header("accept", "application/json").send().await;

        assert_eq!((page.status, json.status), (status, status), "{path}");
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(
            json.header("content-type"),
            Some("application/problem+json")
        );
        let problem: Value = serde_json::from_slice(&json.body).unwrap();
        assert_eq!(problem["status"], status);
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert_eq!(problem.get("errors"), None);
        let title = problem["title"].as_str().unwrap();
        assert!(page.text().contains(&format!("<h1>{title}</h1>")));
    }
}
