//! What is in a mail.

use jiff::Timestamp;
use serde_json::json;
use tests::{Mail, World};

use crate::steps::{
    ADA, expired_link, have_account, have_contested_row, let_pass, sign_up, sign_up_with,
};

/// A time of the table as the mails write it.
fn in_words(rfc3339: &serde_json::Value) -> String {
    let time: Timestamp = rfc3339.as_str().unwrap().parse().unwrap();
    time.strftime("%-d %B %Y, %H:%M UTC").to_string()
}

/// The whole mail, without what is new each time.
fn redacted(mail: &Mail, when: &str) -> String {
    let headers: Vec<_> = mail
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let whole = format!(
        "From: {}\nTo: {}\nSubject: {}\n{}\n\n{}\n----------\n{}",
        mail.from,
        mail.to.join(", "),
        mail.subject,
        headers.join("\n"),
        mail.text.as_deref().unwrap(),
        mail.html.as_deref().unwrap(),
    );
    let whole = whole.replace(when, "[time]");
    match mail
        .links()
        .into_iter()
        .find(|link| link.contains("/accounts/confirm/"))
    {
        Some(_) => whole.replace(&mail.token(), "[token]"),
        None => whole,
    }
}

/// The `href` of every anchor of the HTML part.
fn anchors(html: &str) -> Vec<&str> {
    html.split("<a ")
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap())
        .collect()
}

#[tokio::test]
async fn the_mail_with_the_link() {
    let world = World::builder().setting("APP_NAME", "My App").start().await;

    sign_up(&world, ADA).await;

    let when = in_words(&world.row(ADA).unwrap()["created_at"]);
    insta::assert_snapshot!(redacted(&world.mail_to(ADA), &when));
}

#[tokio::test]
async fn the_notice_to_somebody_who_has_an_account() {
    let world = World::builder().setting("APP_NAME", "My App").start().await;
    have_account(&world, ADA).await;
    let_pass(&world, ADA, 60);

    sign_up(&world, ADA).await;

    let notice = world.mail_to(ADA);
    // Sent in the minute of the notice itself.
    let received = in_words(&json!(notice.received_at));
    let when = notice.text.as_deref().unwrap();
    let when = when
        .split(" on ")
        .nth(1)
        .unwrap()
        .split(".\n")
        .next()
        .unwrap();
    assert!(when == received || when < received.as_str());
    insta::assert_snapshot!(redacted(&notice, when));
}

#[tokio::test]
async fn every_mail_has_two_parts_that_say_the_same() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    let when = in_words(&world.row(ADA).unwrap()["created_at"]);
    let mail = world.mail_to(ADA);

    let link = mail.link();
    assert!(link.starts_with("https://app.example.com/accounts/confirm/"));
    for part in [&mail.text, &mail.html] {
        let part = part.as_deref().unwrap();
        for what in [
            link.as_str(),
            &when,
            "24 hours",
            "If it was not you",
            "no-reply@app.example.com",
            "app.example.com",
        ] {
            assert!(part.contains(what), "{what} is missing in\n{part}");
        }
    }
    assert_eq!(mail.subject, "Confirm your address for app.example.com");
    assert_eq!(mail.from, "\"My App\" <no-reply@app.example.com>");
    assert_eq!(mail.to, [ADA]);
    assert_eq!(mail.reply_to, [""; 0]);
    assert_eq!(mail.configuration_set, None);
    let auto_submitted = ("Auto-Submitted".to_owned(), "auto-generated".to_owned());
    assert!(mail.headers.contains(&auto_submitted));
}

#[tokio::test]
async fn no_mail_can_be_tracked() {
    let world = World::builder()
        .setting("SES_CONFIGURATION_SET", "with-tracking")
        .start()
        .await;
    have_account(&world, ADA).await;
    let_pass(&world, ADA, 60);
    sign_up(&world, ADA).await;
    sign_up(&world, "bob@example.com").await;
    let_pass(&world, "bob@example.com", 60);
    world
        .post_form(&expired_link(&world, "bob@example.com"), &[])
        .await;
    assert_eq!(world.mails().len(), 4);

    for mail in world.mails() {
        let html = mail.html.as_deref().unwrap();
        let anchors = anchors(html);
        assert!(anchors.len() >= 2);
        for anchor in anchors {
            assert!(anchor.starts_with("ses:no-track "), "{anchor}");
        }
        assert!(!html.contains("<img") && !html.contains("<link") && !html.contains("<script"));
    }
    for sent in world.ses.requests("SendEmail") {
        let tracking = &sent["ConfigurationOverrides"]["Tracking"];
        assert_eq!(tracking["ClickTrackingEnabled"], "DISABLED");
        assert_eq!(tracking["OpenTrackingEnabled"], "DISABLED");
    }
}

#[tokio::test]
async fn settings_show_in_the_mails() {
    let world = World::builder()
        .setting("APP_NAME", "Fish & <Chips>")
        .setting("MAIL_FROM", "\"Fish, Chips & Co\" <No-Reply@example.com>")
        .setting("SUPPORT_EMAIL", "help@example.com")
        .setting("SES_CONFIGURATION_SET", "my_set-1")
        .setting("CONFIRM_MAX_AGE", "172800")
        .start()
        .await;

    sign_up(&world, ADA).await;

    let mail = world.mail_to(ADA);
    assert_eq!(mail.subject, "Confirm your address for Fish & <Chips>");
    assert_eq!(mail.from, "\"Fish, Chips & Co\" <No-Reply@example.com>");
    assert_eq!(mail.configuration_set.as_deref(), Some("my_set-1"));
    let (text, html) = (mail.text.as_deref().unwrap(), mail.html.as_deref().unwrap());
    assert!(text.starts_with("Fish & <Chips>\n"), "{text}");
    assert!(html.contains("Fish &#38; &#60;Chips&#62;"), "{html}");
    for part in [text, html] {
        assert!(part.contains("help@example.com"), "{part}");
        assert!(!part.contains("No-Reply@"), "{part}");
        assert!(part.contains("2 days"), "{part}");
    }
}

#[tokio::test]
async fn a_senders_name_may_hold_any_character() {
    for (setting, from) in [
        ("no-reply@example.com", "no-reply@example.com"),
        (
            "B\u{fc}cher <no-reply@example.com>",
            "=?UTF-8?B?QsO8Y2hlcg==?= <no-reply@example.com>",
        ),
        (
            "Say \"hi\" <no-reply@example.com>",
            "\"Say \\\"hi\\\"\" <no-reply@example.com>",
        ),
    ] {
        let world = World::builder().setting("MAIL_FROM", setting).start().await;

        sign_up(&world, ADA).await;

        assert_eq!(world.mail_to(ADA).from, from);
    }
}

#[tokio::test]
async fn a_link_is_said_to_live_as_long_as_it_does() {
    for (max_age, words) in [
        ("1", "1 second"),
        ("90", "90 seconds"),
        ("60", "1 minute"),
        ("5400", "90 minutes"),
        ("3600", "1 hour"),
        ("86400", "24 hours"),
        ("604800", "7 days"),
    ] {
        let world = World::builder()
            .setting("CONFIRM_MAX_AGE", max_age)
            .start()
            .await;

        sign_up(&world, ADA).await;

        let text = world.mail_to(ADA).text.clone().unwrap();
        assert!(text.contains(&format!("valid for {words}.")), "{text}");
    }
}

#[tokio::test]
async fn a_fresh_link_tells_when_the_sign_up_was_and_a_repeat_when_the_repeat_was() {
    let world = World::start().await;
    sign_up(&world, ADA).await;
    world.change_row(ADA, &json!({ "created_at": "2026-02-03T04:05:06Z" }));
    let_pass(&world, ADA, 60);

    world.post_form(&expired_link(&world, ADA), &[]).await;
    let fresh = world.mail_to(ADA).text.clone().unwrap();
    assert!(
        fresh.contains("made on 3 February 2026, 04:05 UTC."),
        "{fresh}"
    );

    let_pass(&world, ADA, 60);
    sign_up(&world, ADA).await;
    let repeated = world.mail_to(ADA).text.clone().unwrap();
    assert!(!repeated.contains("February 2026"), "{repeated}");
}

#[tokio::test]
async fn nothing_that_was_typed_reaches_a_mail_but_the_address_it_goes_to() {
    let world = World::start().await;
    let password = "a password that nobody else has";

    sign_up_with(&world, " ADA+<b>@example.com", password).await;
    sign_up_with(&world, "Ada@Example.com", password).await;

    let mails = world.mails();
    assert_eq!(mails.len(), 1);
    for part in [&mails[0].text, &mails[0].html] {
        let part = part.as_deref().unwrap();
        assert!(!part.contains(password));
        assert!(!part.to_lowercase().contains("ada@"));
    }
}

#[tokio::test]
async fn links_never_come_from_a_request() {
    let world = World::start().await;
    for name in [
        "x-forwarded-host",
        "forwarded",
        "x-host",
        "origin-host",
        "referer",
    ] {
        let request = world.request("POST", "/accounts/create");
        let request = request.form(&[("email", ADA), ("password", "correct horse battery")]);
        let request = request.replace_header("host", "evil.example.net");
        let value = if name == "forwarded" {
            "host=evil.example.net"
        } else {
            "evil.example.net"
        };

        let answer = request.header(name, value).send().await;

        assert_eq!(
            answer.header("location"),
            Some("https://app.example.com/accounts/created")
        );
        let mail = world.mail_to(ADA);
        assert!(!mail.text.as_deref().unwrap().contains("evil"));
        assert!(!mail.html.as_deref().unwrap().contains("evil"));
        assert!(mail.link().starts_with("https://app.example.com/"));
    }
}

#[tokio::test]
async fn the_mail_of_a_contested_row_is_like_any_other() {
    let world = World::start().await;
    have_contested_row(&world, ADA).await;
    let_pass(&world, ADA, 60);
    sign_up(&world, ADA).await;

    let mails = world.mails_to(ADA);

    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].subject, mails[1].subject);
    assert_eq!(
        mails[0].text.as_ref().unwrap().lines().count(),
        mails[1].text.as_ref().unwrap().lines().count()
    );
}
