//! A person with a browser who forgot the password, from the form through the inbox to the new one.

use fantoccini::Locator;
use tests::{Browser, World};

use crate::life::is_password_of;
use crate::steps::{ADA, have_account};

#[tokio::test]
async fn somebody_forgot_the_password_opens_the_mail_and_chooses_a_new_one() {
    let world = World::builder().over_http().start().await;
    have_account(&world, ADA).await;
    let browser = Browser::start().await;

    browser.goto(&world.url("/accounts/email")).await.unwrap();
    browser.click("a[href$='/accounts/password']").await;
    browser.wait_for_url(&world.url("/accounts/password")).await;
    browser.type_into("input[name=email]", ADA).await;
    browser.click("button").await;
    browser.wait_for_url(&world.url("/accounts/created")).await;

    browser.goto(&world.inbox_url()).await.unwrap();
    browser.click("nav li a").await;
    let mail = browser
        .wait()
        .for_element(Locator::Css("iframe"))
        .await
        .unwrap();
    mail.enter_frame().await.unwrap();
    browser.click("a[href*='/accounts/password/']").await;
    let links = world.mail_to(ADA).links();
    let mut links = links.iter();
    let link = links.find(|link| link.contains("/accounts/password/"));
    browser.wait_for_url(link.unwrap()).await;
    browser.enter_parent_frame().await.unwrap();

    // A password manager finds the address, which cannot be changed here.
    let email = browser
        .wait()
        .for_element(Locator::Css("input[autocomplete=username]"))
        .await
        .unwrap();
    assert_eq!(email.prop("value").await.unwrap().as_deref(), Some(ADA));
    assert_eq!(
        email.prop("readOnly").await.unwrap().as_deref(),
        Some("true")
    );

    browser
        .type_into("input[name=password]", "password123")
        .await;
    browser.click("button").await;
    browser
        .wait()
        .for_element(Locator::Css("#password-error"))
        .await
        .unwrap();
    assert!(browser.text().await.contains("one of the most common"));
    browser
        .type_into("input[name=password]", "a password that I remember")
        .await;
    browser.click("button").await;
    browser
        .wait_for_url(&world.url("/accounts/confirmed"))
        .await;
    assert!(is_password_of(
        &world.row(ADA).unwrap(),
        "a password that I remember"
    ));

    browser.goto(link.unwrap()).await.unwrap();
    assert!(
        browser
            .text()
            .await
            .contains("This link is not valid any more")
    );
    browser.close().await;
}
