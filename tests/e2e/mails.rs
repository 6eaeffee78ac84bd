//! What is in a mail.

use jiff::Timestamp;
use serde_json::{Value, json};
use tests::{Mail, World};

use crate::steps::{
    ADA, PASSWORD, expired_link, have_account, have_contested_row, now, sign_up, sign_up_with,
};

const BOB: &str = "bob@example.com";
const NEW: &str = "ada.lovelace@example.org";
const NOBODY: &str = "nobody@example.com";

/// A time of the table as the mails write it.
fn in_words(rfc3339: &Value) -> String {
    let time: Timestamp = rfc3339.as_str().unwrap().parse().unwrap();
    time.strftime("%-d %B %Y, %H:%M UTC").to_string()
}

/// The whole mail, without what is new each time.
fn redacted(mail: &Mail) -> String {
    let headers: Vec<_> = mail
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let mut whole = format!(
        "From: {}\nTo: {}\nSubject: {}\n{}\n\n{}\n----------\n{}",
        mail.from,
        mail.to.join(", "),
        mail.subject,
        headers.join("\n"),
        mail.text(),
        mail.html(),
    );
    // The mail was made in this minute or in the one before.
    for minute in 0..=1 {
        let time = Timestamp::from_second(now() - 60 * minute).unwrap();
        whole = whole.replace(&in_words(&json!(time.to_string())), "[time]");
    }
    for link in mail.links() {
        let (path, token) = link.rsplit_once('/').unwrap();
        if path.ends_with("/accounts/confirm") || path.ends_with("/accounts/password") {
            whole = whole.replace(token, "[token]");
        }
    }
    whole
}

/// One mail of each kind that there is, by what it is about.
async fn every_mail(world: &World) -> Vec<(&'static str, Mail)> {
    let mut mails = Vec::new();
    let mut note = |what, to: &str| mails.push((what, world.mail_to(to)));
    have_account(world, ADA).await;
    note("confirm", ADA);
    sign_up(world, ADA).await;
    note("account-exists", ADA);
    let change = async |new_email: &str| {
        let form = [
            ("email", ADA),
            ("password", PASSWORD),
            ("new_email", new_email),
        ];
        let answer = world.post_form("/accounts/email", &form).await;
        assert_eq!(answer.status, 303);
        answer
    };
    have_account(world, BOB).await;
    change(BOB).await;
    note("address-taken", BOB);
    let asked = change(NEW).await;
    note("change-requested", ADA);
    note("confirm-change", NEW);
    let link = world.mail_to(NEW).link();
    let moved = world.request("GET", &link).browser_of(&asked).send().await;
    assert_eq!(moved.status, 303);
    note("changed", ADA);
    for email in [NEW, NOBODY] {
        world
            .post_form("/accounts/password", &[("email", email)])
            .await;
    }
    note("reset", NEW);
    note("no-account", NOBODY);
    let links = world.mail_to(NEW).links();
    let link = links.iter().find(|link| link.contains("/password/"));
    let chosen = [("password", "another good password")];
    let set = world.post_form(link.unwrap(), &chosen).await;
    assert_eq!(set.status, 303);
    note("password-changed", NEW);
    mails
}

/// The `href` of every anchor of the HTML part.
fn anchors(html: &str) -> Vec<&str> {
    html.split("<a ")
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap())
        .collect()
}

#[tokio::test]
async fn the_mails() {
    let world = World::builder()
        .setting("APP_NAME", "My App")
        .setting("SUPPORT_EMAIL", "help@example.com")
        .setting("SIGN_IN_URL", "https://www.example.com/sign-in")
        .setting("RESEND_COOLDOWN", "0")
        .start()
        .await;

    for (what, mail) in every_mail(&world).await {
        insta::assert_snapshot!(what, redacted(&mail));
    }
}

#[tokio::test]
async fn every_mail_says_when_for_whom_and_what_to_do() {
    let world = World::builder()
        .setting("RESEND_COOLDOWN", "0")
        .start()
        .await;

    for (what, mail) in every_mail(&world).await {
        let times: Vec<_> = (0..=1)
            .map(|minute| Timestamp::from_second(now() - 60 * minute).unwrap())
            .map(|time| in_words(&json!(time.to_string())))
            .collect();
        for part in [mail.text(), mail.html()] {
            assert!(
                times.iter().any(|time| part.contains(time)),
                "{what}: {part}"
            );
            assert!(part.contains(&mail.to[0]), "{what}: {part}");
            assert!(
                part.contains("If it was not you") || part.contains("If it is not your"),
                "{what}: {part}"
            );
            assert!(part.contains("Questions? Comments?"), "{what}: {part}");
        }
        // The account that asks for an address is named to its reader, and not to be written to.
        let names_the_asking_account = what == "confirm-change";
        assert_eq!(
            mail.text().contains("a…a@example.com"),
            names_the_asking_account,
            "{what}"
        );
        // Every address of the web in the one part is a link in the other.
        for link in mail.links() {
            assert!(
                mail.html().contains(&format!("href=\"{link}\"")),
                "{what}: {link}"
            );
        }
        // Read aloud and on small screens: the language, and no table that means anything.
        assert!(
            mail.html()
                .starts_with("<!doctype html>\n<html lang=\"en\" dir=\"ltr\">")
        );
        assert_eq!(
            mail.html().matches("<table ").count(),
            mail.html().matches("role=\"presentation\"").count(),
            "{what}"
        );
        let paragraphs: Vec<_> = mail.text().split("\n\n").collect();
        assert!(
            paragraphs
                .iter()
                .all(|text| !text.is_empty() && text.trim() == text.trim_end_matches('\n')),
            "{what}: {paragraphs:?}"
        );
        assert!(!mail.text().contains("\n\n\n"), "{what}: {}", mail.text());
    }
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
        .setting("RESEND_COOLDOWN", "0")
        .start()
        .await;

    for (what, mail) in every_mail(&world).await {
        let html = mail.html();
        let anchors = anchors(html);
        assert!(!anchors.is_empty(), "{what}");
        for anchor in anchors {
            assert!(anchor.starts_with("ses:no-track "), "{what}: {anchor}");
        }
        assert!(!html.contains("<img") && !html.contains("<link") && !html.contains("<script"));
    }
    for sent in world.ses.requests("SendEmail") {
        let tracking = &sent["ConfigurationOverrides"]["Tracking"];
        assert_eq!(tracking["ClickTrackingEnabled"], "DISABLED");
        assert_eq!(tracking["OpenTrackingEnabled"], "DISABLED");
    }
}

/// What a ceiling on mail may pause, and what it must not.
#[tokio::test]
async fn security_notices_leave_through_a_configuration_set_of_their_own() {
    for (all, notices, of_notices) in [
        (None, None, None),
        (Some("all"), None, Some("all")),
        (Some("all"), Some("notices"), Some("notices")),
        (None, Some("notices"), Some("notices")),
    ] {
        let mut builder = World::builder().setting("RESEND_COOLDOWN", "0");
        for (name, value) in [
            ("SES_CONFIGURATION_SET", all),
            ("SES_NOTICES_CONFIGURATION_SET", notices),
        ] {
            if let Some(value) = value {
                builder = builder.setting(name, value);
            }
        }
        let world = builder.start().await;

        for (what, mail) in every_mail(&world).await {
            let is_notice = ["change-requested", "changed", "password-changed"].contains(&what);
            let expected = if is_notice { of_notices } else { all };
            assert_eq!(mail.configuration_set.as_deref(), expected, "{what}");
        }
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
        .setting("ACCENT_COLOR", "#B91C1C")
        .setting("LOGO_URL", "https://example.com/logo.png?a=1&b=2")
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
    assert!(html.contains("bgcolor=\"#b91c1c\""), "{html}");
    let logo =
        "src=\"https://example.com/logo.png?a=1&#38;b=2\" alt=\"Fish &#38; &#60;Chips&#62;\"";
    assert!(html.contains(logo), "{html}");
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
    let world = World::builder()
        .setting("RESEND_COOLDOWN", "0")
        .start()
        .await;
    sign_up(&world, ADA).await;
    world.change_row(ADA, &json!({ "created_at": "2026-02-03T04:05:06Z" }));

    world.post_form(&expired_link(&world, ADA), &[]).await;
    let fresh = world.mail_to(ADA).text.clone().unwrap();
    assert!(
        fresh.contains("made on 3 February 2026, 04:05 UTC."),
        "{fresh}"
    );

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
        assert!(!part.contains("Ada@") && !part.contains("ADA") && !part.contains("<b>"));
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
    let world = World::builder()
        .setting("RESEND_COOLDOWN", "0")
        .start()
        .await;
    have_contested_row(&world, ADA).await;

    let mails = world.mails_to(ADA);

    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].subject, mails[1].subject);
    assert_eq!(
        mails[0].text.as_ref().unwrap().lines().count(),
        mails[1].text.as_ref().unwrap().lines().count()
    );
}
