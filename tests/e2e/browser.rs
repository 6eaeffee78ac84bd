//! A person with a browser, from the form through the inbox to the confirmed account.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use fantoccini::Locator;
use serde_json::Value;
use std::fmt::Write as _;
use tests::{Browser, World};

use crate::steps::{
    ADA, PASSWORD, expired_link, have_contested_row, is_confirmed, let_pass, password_of, sign_up,
};

#[tokio::test]
async fn the_inbox_is_a_page() {
    let world = World::start().await;
    let browser = Browser::start().await;

    browser.goto(&world.inbox_url()).await.unwrap();

    assert_eq!(browser.title().await.unwrap(), "Inbox (0)");
    browser.close().await;
}

#[tokio::test]
async fn somebody_signs_up_opens_the_mail_and_clicks_the_link() {
    let world = World::builder().over_http().start().await;
    let browser = Browser::start().await;

    // The address without a path leads to the form.
    browser.goto(&world.url("/")).await.unwrap();
    browser.wait_for_url(&world.url("/accounts/create")).await;
    fill_in_the_form(&browser, PASSWORD).await;
    browser.wait_for_url(&world.url("/accounts/created")).await;
    assert!(!is_confirmed(&world, ADA));

    // The inbox is another site, as a webmail is.
    click_the_link_in_the_inbox(&world, &browser).await;
    browser
        .wait_for_url(&world.url("/accounts/confirmed"))
        .await;
    assert!(is_confirmed(&world, ADA));
    browser.close().await;
}

#[tokio::test]
async fn in_another_browser_the_link_asks_for_the_password() {
    let world = World::builder().over_http().start().await;
    let (browser, phone) = (Browser::start().await, Browser::start().await);
    browser.goto(&world.url("/accounts/create")).await.unwrap();
    fill_in_the_form(&browser, PASSWORD).await;
    browser.wait_for_url(&world.url("/accounts/created")).await;

    click_the_link_in_the_inbox(&world, &phone).await;
    wait_for_heading(&phone, "Enter your password").await;
    let text = phone.text().await;
    assert!(
        text.contains("not the browser that you signed up with"),
        "{text}"
    );
    assert!(!is_confirmed(&world, ADA));

    // A typing error, after which there are two fields, and the right one in the first.
    phone.type_into("#password", "correct hoarse battery").await;
    phone.click("button").await;
    phone.element("#password_again").await;
    let text = phone.text().await;
    assert!(text.contains("not the password of the sign-up"), "{text}");
    assert!(!is_confirmed(&world, ADA));
    phone.type_into("#password", PASSWORD).await;
    phone.click("button").await;
    phone.wait_for_url(&world.url("/accounts/confirmed")).await;

    assert!(password_of(&world.row(ADA).unwrap(), PASSWORD));
    let referrer = evaluate(&phone, "document.referrer").await;
    let origin = format!("{}/", world.base_url());
    assert_eq!(referrer, origin, "not even the next page learns the token");
    phone.close().await;
    browser.close().await;
}

async fn fill_in_the_form(browser: &Browser, password: &str) {
    browser.type_into("#email", ADA).await;
    browser.type_into("#password", password).await;
    browser.click("button").await;
}

async fn click_the_link_in_the_inbox(world: &World, browser: &Browser) {
    browser.goto(&world.inbox_url()).await.unwrap();
    browser.click("nav li a").await;
    let mail = browser.element("iframe").await;
    mail.enter_frame().await.unwrap();
    browser.click("a[href*='/accounts/confirm/']").await;
    // The link opens in the whole window.
    browser.enter_parent_frame().await.unwrap();
}

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

/// Types on the keyboard, wherever the focus is.
async fn press(browser: &Browser, keys: &str) {
    let focused = browser.active_element().await.unwrap();
    focused.send_keys(keys).await.unwrap();
}

/// What a script in the page evaluates to.
async fn evaluate(browser: &Browser, expression: &str) -> Value {
    let script = format!("return {expression};");
    browser.execute(&script, Vec::new()).await.unwrap()
}

/// Waits until the page has this heading.
async fn wait_for_heading(browser: &Browser, heading: &str) {
    let xpath = format!("//h1[text()='{heading}']");
    let found = browser.wait().for_element(Locator::XPath(&xpath)).await;
    assert!(
        found.is_ok(),
        "no {heading:?} on the page: {}",
        browser.text().await
    );
}

/// Waits until the page says this in an error.
async fn wait_for_text(browser: &Browser, text: &str) {
    let xpath = format!("//*[@role='alert'][contains(text(), '{text}')]");
    let found = browser.wait().for_element(Locator::XPath(&xpath)).await;
    assert!(found.is_ok(), "no {text:?} in {}", browser.text().await);
}

#[tokio::test]
async fn everything_can_be_done_with_the_keyboard_alone() {
    let world = World::builder().over_http().start().await;
    let browser = Browser::start().await;

    // The form: e-mail, password, Enter.
    browser.goto(&world.url("/accounts/create")).await.unwrap();
    press(&browser, TAB).await;
    press(&browser, ADA).await;
    press(&browser, TAB).await;
    press(&browser, PASSWORD).await;
    press(&browser, ENTER).await;
    browser.wait_for_url(&world.url("/accounts/created")).await;

    // The link, in a browser that knows nothing of it: past the address to the password.
    browser.delete_all_cookies().await.unwrap();
    let link = world.mail_to(ADA).link();
    browser.goto(&link).await.unwrap();
    wait_for_heading(&browser, "Enter your password").await;
    press(&browser, TAB).await;
    press(&browser, TAB).await;
    press(&browser, PASSWORD).await;
    press(&browser, ENTER).await;
    browser
        .wait_for_url(&world.url("/accounts/confirmed"))
        .await;
    assert!(is_confirmed(&world, ADA));

    // A second look: there is nothing left to do.
    browser.goto(&link).await.unwrap();
    browser
        .wait_for_url(&world.url("/accounts/confirmed"))
        .await;

    // An expired link, and its button.
    sign_up(&world, "bob@example.com").await;
    let_pass(&world, "bob@example.com", 60);
    let expired = world.url(&expired_link(&world, "bob@example.com"));
    browser.goto(&expired).await.unwrap();
    wait_for_heading(&browser, "This link has expired").await;
    press(&browser, TAB).await;
    press(&browser, ENTER).await;
    browser.wait_for_url(&world.url("/accounts/created")).await;
    assert_eq!(world.mails_to("bob@example.com").len(), 2);
    browser.close().await;
}

#[tokio::test]
async fn the_reader_of_the_mailbox_chooses_the_password_of_a_contested_account() {
    let world = World::builder().over_http().start().await;
    let browser = Browser::start().await;
    let link = have_contested_row(&world, ADA).await;

    browser.goto(&link).await.unwrap();
    wait_for_heading(&browser, "Choose your password").await;
    for (password, again, error) in [
        ("password123", "password123", "one of the most common ones"),
        (
            "chosen by the reader",
            "chosen by the raeder",
            "The two passwords are not the same.",
        ),
    ] {
        browser.type_into("#password", password).await;
        browser.type_into("#password_again", again).await;
        browser.click("button").await;
        browser.element("[role=alert]").await;
        wait_for_text(&browser, error).await;
        assert!(!is_confirmed(&world, ADA));
    }

    browser.type_into("#password", "chosen by the reader").await;
    browser
        .type_into("#password_again", "chosen by the reader")
        .await;
    browser.click("button").await;
    browser
        .wait_for_url(&world.url("/accounts/confirmed"))
        .await;
    assert!(is_confirmed(&world, ADA));
    assert!(password_of(
        &world.row(ADA).unwrap(),
        "chosen by the reader"
    ));
    browser.close().await;
}

#[tokio::test]
async fn a_form_with_errors_shows_each_beside_its_field_and_keeps_what_was_typed() {
    let world = World::builder().over_http().start().await;
    let browser = Browser::start().await;
    browser.goto(&world.url("/accounts/create")).await.unwrap();

    // What the browser itself lets pass, and the service does not.
    browser.type_into("#email", "ada@localhost").await;
    browser.type_into("#password", &"x".repeat(129)).await;
    browser.click("button").await;
    browser
        .wait()
        .for_element(Locator::Css("#email-error"))
        .await
        .unwrap();

    let text = browser.text().await;
    assert!(
        text.contains("The last part is missing, as in example.com."),
        "{text}"
    );
    assert!(text.contains("Use at most 128 characters."), "{text}");
    assert_eq!(
        evaluate(&browser, "document.getElementById('email').value").await,
        "ada@localhost"
    );
    assert_eq!(
        evaluate(&browser, "document.getElementById('password').value").await,
        ""
    );
    for field in ["email", "password"] {
        let below = format!(
            "(() => {{
                const field = document.getElementById('{field}');
                const error = document.getElementById(field.getAttribute('aria-describedby'));
                const gap = error.getBoundingClientRect().top - field.getBoundingClientRect().bottom;
                return field.labels.length === 1 && gap >= 0 && gap < 20;
            }})()"
        );
        assert_eq!(evaluate(&browser, &below).await, true, "{field}");
    }
    // The policy lets the page's own style through, and nothing else is asked for.
    let colour = "getComputedStyle(document.querySelector('button')).backgroundColor";
    assert_eq!(evaluate(&browser, colour).await, "rgb(29, 78, 216)");
    let resources = "performance.getEntriesByType('resource').map(entry => entry.name)";
    let resources = evaluate(&browser, resources).await;
    let all_own = |name: &Value| name.as_str().unwrap().starts_with(world.base_url());
    assert!(
        resources.as_array().unwrap().iter().all(all_own),
        "{resources}"
    );
    assert!(world.is_untouched());

    browser
        .find(Locator::Css("#email"))
        .await
        .unwrap()
        .clear()
        .await
        .unwrap();
    browser.type_into("#email", ADA).await;
    browser.type_into("#password", PASSWORD).await;
    browser.click("button").await;
    browser.wait_for_url(&world.url("/accounts/created")).await;
    browser.close().await;
}

#[tokio::test]
async fn forms_lead_to_other_origins_that_the_settings_name() {
    let elsewhere = World::start().await;
    let world = World::builder()
        .over_http()
        .setting("INDEX_URL", &elsewhere.inbox_url())
        .setting("SIGN_IN_URL", &elsewhere.inbox_url())
        .start()
        .await;
    let browser = Browser::start().await;

    browser.goto(&world.url("/accounts/create")).await.unwrap();
    fill_in_the_form(&browser, PASSWORD).await;
    browser.wait_for_url(&elsewhere.inbox_url()).await;

    // Cookies are deleted where they are from.
    browser.goto(&world.url("/accounts/create")).await.unwrap();
    browser.delete_all_cookies().await.unwrap();
    browser.goto(&world.mail_to(ADA).link()).await.unwrap();
    browser.type_into("#password", PASSWORD).await;
    browser.click("button").await;
    browser.wait_for_url(&elsewhere.inbox_url()).await;
    assert!(is_confirmed(&world, ADA));

    let referrer = evaluate(&browser, "document.referrer").await;
    let origin = format!("{}/", world.base_url());
    assert_eq!(referrer, origin, "no other origin is told the link");
    browser.close().await;
}

/// `SCREENSHOTS=1 cargo nextest run … picture` renews the picture in the README: the form, the page after it, and the password
/// page, side by side.
#[tokio::test]
async fn the_readmes_picture_is_taken_on_request() {
    if std::env::var_os("SCREENSHOTS").is_none() {
        return;
    }
    let world = World::builder()
        .over_http()
        .setting("APP_NAME", "My App")
        .setting("SUPPORT_EMAIL", "help@example.com")
        .start()
        .await;
    let browser = Browser::start().await;
    sign_up(&world, ADA).await;
    let link = world.mail_to(ADA).link();

    browser.set_window_size(500, 760).await.unwrap();
    let mut pages = String::new();
    for path in ["/accounts/create", "/accounts/created", &link] {
        let url = if path == link {
            link.clone()
        } else {
            world.url(path)
        };
        browser.goto(&url).await.unwrap();
        let png = BASE64.encode(browser.screenshot().await.unwrap());
        write!(pages, "<img src='data:image/png;base64,{png}'>").unwrap();
    }
    let style = "body { display: flex; align-items: start; gap: 12px; margin: 0; padding: 12px; width: max-content; background: #cbd5e1 } img { width: 440px }";
    let page = format!("<!doctype html><style>{style}</style><body>{pages}");
    browser.set_window_size(1_600, 1_000).await.unwrap();
    let page = format!("data:text/html;base64,{}", BASE64.encode(page));
    browser.goto(&page).await.unwrap();
    let picture = browser.element("body").await.screenshot().await.unwrap();

    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/screenshots/pages.png");
    std::fs::write(file, picture).unwrap();
    browser.close().await;
}
