//! A person with a browser, from the form through the inbox to the confirmed account.

use fantoccini::Locator;
use tests::{Browser, World};

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

    browser.goto(&world.url("/accounts/create")).await.unwrap();
    browser
        .type_into("input[name=email]", "ada@example.com")
        .await;
    browser
        .type_into("input[name=password]", "correct horse battery")
        .await;
    browser.click("button").await;
    browser.wait_for_url(&world.url("/accounts/created")).await;
    assert_eq!(
        world.row("ada@example.com").unwrap()["email_confirmed"],
        false
    );

    browser.goto(&world.inbox_url()).await.unwrap();
    browser.click("nav li a").await;
    let mail = browser
        .wait()
        .for_element(Locator::Css("iframe"))
        .await
        .unwrap();
    mail.enter_frame().await.unwrap();
    browser.click("a[href*='/accounts/confirm/']").await;
    browser
        .wait_for_url(&world.url("/accounts/confirmed"))
        .await;
    assert_eq!(
        world.row("ada@example.com").unwrap()["email_confirmed"],
        true
    );
    browser.close().await;
}
