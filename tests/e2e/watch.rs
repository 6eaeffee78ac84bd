//! `cargo lambda watch`, as the README has it.

use local::gateway::ROUTES;
use tests::{Answer, Watch};

use crate::steps::{ADA, PASSWORD};

#[tokio::test]
async fn cargo_lambda_watch_serves_the_whole_way_from_the_form_to_a_new_address() {
    let watch = Watch::start().await;
    let new = "ada@example.org";

    // Every route leads to a function.
    for (route, function) in ROUTES {
        let answer = watch.get(&route.replace("{token}", "x")).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.is_some(), "{route}, {function}: {answer:?}");
    }

    // The form.
    let form = watch.get("/accounts/create").await;
    assert_eq!(form.status, 200, "{form:?}");
    assert!(form.text().contains(r#"name="password""#));
    assert!(form.text().contains("My App"), "watch.env names it");

    // Signing up, and the mail.
    let fields = [("email", ADA), ("password", PASSWORD)];
    let signed_up = watch.post_form("/accounts/create", &fields).await;
    assert_leads_to(&watch, &signed_up, "/accounts/created").await;
    assert_eq!(watch.row(ADA).unwrap()["email_confirmed"], false);
    let mail = watch.mail_to(ADA);
    assert!(mail.from.ends_with("<no-reply@example.com>"), "{mail:?}");

    // The link.
    let followed = watch.get(&mail.link()).await;
    assert_leads_to(&watch, &followed, "/accounts/confirmed").await;
    let row = watch.row(ADA).unwrap();
    assert_eq!(row["email_confirmed"], true);
    assert_eq!(row.get("password_changed_at"), None);
    let again = watch.get(&mail.link()).await;
    assert_leads_to(&watch, &again, "/accounts/confirmed").await;

    // From anywhere else, the link asks for the password.
    let elsewhere = "bob@example.com";
    let fields = [("email", elsewhere), ("password", PASSWORD)];
    watch.post_form("/accounts/create", &fields).await;
    watch.forget_cookies();
    let link = watch.mail_to(elsewhere).link();
    let page = watch.get(&link).await;
    assert_eq!(page.status, 200, "{page:?}");
    let confirmed = watch.post_form(&link, &[("password", PASSWORD)]).await;
    assert_leads_to(&watch, &confirmed, "/accounts/confirmed").await;
    assert_eq!(watch.row(elsewhere).unwrap()["email_confirmed"], true);

    // A new address, and its link.
    assert_eq!(watch.get("/accounts/email").await.status, 200);
    let fields = [("email", ADA), ("password", PASSWORD), ("new_email", new)];
    let asked = watch.post_form("/accounts/email", &fields).await;
    assert_leads_to(&watch, &asked, "/accounts/created").await;
    let followed = watch.get(&watch.mail_to(new).link()).await;
    assert_leads_to(&watch, &followed, "/accounts/confirmed").await;
    assert_eq!(watch.row(ADA), None);
    assert_eq!(watch.row(new).unwrap()["user_id"], row["user_id"]);

    // A new password.
    assert_eq!(watch.get("/accounts/password").await.status, 200);
    let asked = watch
        .post_form("/accounts/password", &[("email", new)])
        .await;
    assert_leads_to(&watch, &asked, "/accounts/created").await;
    let links = watch.mail_to(new).links();
    let reset = links
        .iter()
        .find(|link| link.contains("/accounts/password/"));
    let reset = reset.unwrap();
    assert_eq!(watch.get(reset).await.status, 200);
    let set = watch
        .post_form(reset, &[("password", "a new beginning")])
        .await;
    assert_leads_to(&watch, &set, "/accounts/confirmed").await;
    assert!(watch.row(new).unwrap()["password_changed_at"].is_string());
}

/// Asserts that an answer redirects a browser to a page of the service.
async fn assert_leads_to(watch: &Watch, answer: &Answer, path: &str) {
    assert_eq!(answer.status, 303, "{answer:?}");
    assert_eq!(answer.header("location"), Some(&*watch.url(path)));
    assert_eq!(watch.get(path).await.status, 200);
}
