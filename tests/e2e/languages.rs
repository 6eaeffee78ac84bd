//! Every page, mail and JSON answer in the person's language.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tests::{Answer, Gallery, World};

use crate::steps::{ADA, PASSWORD, have_contested_row, sign_up};

const ISOLATES: [char; 2] = ['\u{2068}', '\u{2069}'];

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text()).unwrap()
}

async fn title_in(world: &World, path: &str, accepted: &str) -> String {
    let request = world.request("GET", path);
    let answer = request.header("accept-language", accepted).send().await;
    let vary = answer.header("vary").unwrap();
    assert!(vary.contains("Accept-Language"), "{vary}");
    let language = answer.header("content-language").unwrap();
    let html = answer.text();
    assert!(html.contains(&format!("<html lang=\"{language}\" dir=")));
    let start = html.find("<h1>").unwrap() + 4;
    html[start..html.find("</h1>").unwrap()].to_owned()
}

#[tokio::test]
async fn pages_are_in_the_language_that_the_browser_likes_best() {
    let world = World::builder().setting("LANGUAGE", "sv").start().await;

    for (accepted, title) in [
        ("de-AT,de;q=0.9,en;q=0.8", "Konto erstellen"),
        ("en;q=0.1, fr;q=0.5", "Créez votre compte"),
        ("zh-CN", "创建账户"),
        ("pt-PT", "Crie sua conta"),
        ("ar", "إنشاء حسابك"),
        ("tlh, ko;q=0.5", "계정 만들기"),
        // Nobody's: the service's own.
        ("tlh", "Skapa ditt konto"),
        ("*", "Skapa ditt konto"),
        ("de;q=0", "Skapa ditt konto"),
        (";;q=,=\"<", "Skapa ditt konto"),
    ] {
        let found = title_in(&world, "/accounts/create", accepted).await;
        assert_eq!(found, title, "{accepted}");
    }
    let long = format!("{}de", "x,".repeat(5_000));
    let found = title_in(&world, "/accounts/create", &long).await;
    assert_eq!(found, "Konto erstellen");

    let unasked = world.get("/accounts/create").await;
    assert_eq!(unasked.header("content-language"), Some("sv"));
}

#[tokio::test]
async fn problems_and_errors_in_json_are_too() {
    let world = World::start().await;
    let refused = world
        .request("POST", "/accounts/create")
        .header("accept-language", "nl")
        .json(&json!({ "email": "ada", "password": PASSWORD }))
        .send()
        .await;
    let problem = json_of(&refused);

    assert_eq!(refused.status, 422);
    assert_eq!(problem["title"], "Sommige velden zijn ongeldig");
    assert_eq!(
        problem["errors"][0]["detail"],
        "Voer een adres in zoals naam@example.com."
    );

    let not_found = world
        .request("GET", "/accounts/confirm/token")
        .header("accept-language", "pl")
        .header("accept", "application/json")
        .send()
        .await;
    assert_eq!(json_of(&not_found)["title"], "Ten link jest nieprawidłowy");
}

async fn sign_up_in(world: &World, language: &str) -> Answer {
    world
        .request("POST", "/accounts/create")
        .header("accept-language", language)
        .form(&[("email", ADA), ("password", PASSWORD)])
        .send()
        .await
}

#[tokio::test]
async fn mails_are_in_the_language_of_whoever_confirmed() {
    let world = World::builder()
        .setting("APP_NAME", "My App")
        .setting("RESEND_COOLDOWN", "0")
        .start()
        .await;
    let signed_up = sign_up_in(&world, "fr-CA").await;
    assert_eq!(world.row(ADA).unwrap()["locale"], "fr");
    assert_eq!(
        world.mail_to(ADA).subject,
        "Confirmez votre adresse pour My App"
    );

    // Who follows the link reads another language.
    let link = world.mail_to(ADA).link();
    let opened = world.request("GET", &link).browser_of(&signed_up);
    let opened = opened.header("accept-language", "cs").send().await;
    assert_eq!(opened.status, 303);
    assert_eq!(world.row(ADA).unwrap()["locale"], "cs");

    // Whatever language somebody else asks in.
    sign_up_in(&world, "ja").await;
    assert_eq!(world.mail_to(ADA).subject, "Účet v My App už máte");
    let reset = world
        .request("POST", "/accounts/password")
        .header("accept-language", "ja")
        .form(&[("email", ADA)])
        .send()
        .await;
    assert_eq!(reset.status, 303);
    assert_eq!(world.mail_to(ADA).subject, "Nové heslo pro My App");
    let change = world
        .request("POST", "/accounts/email")
        .header("accept-language", "ja")
        .form(&[
            ("email", ADA),
            ("password", PASSWORD),
            ("new_email", "eve@example.com"),
        ])
        .send()
        .await;
    assert_eq!(change.status, 303);
    assert_eq!(
        world.mail_to(ADA).subject,
        "Nová adresa pro váš účet v My App"
    );
    assert_eq!(
        world.mail_to("eve@example.com").subject,
        "Potvrďte svou novou adresu pro My App"
    );
}

#[tokio::test]
async fn a_fresh_link_is_in_the_language_of_the_sign_up() {
    let world = World::builder()
        .setting("RESEND_COOLDOWN", "0")
        .setting("APP_NAME", "My App")
        .start()
        .await;
    sign_up_in(&world, "uk").await;

    let fresh = world
        .request("POST", &crate::steps::expired_link(&world, ADA))
        .header("accept-language", "tr")
        .form(&[])
        .send()
        .await;

    assert_eq!(fresh.status, 303);
    let mails = world.mails_to(ADA);
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[1].subject, "Підтвердьте свою адресу для My App");
}

#[tokio::test]
async fn a_row_without_a_language_or_with_an_unknown_one_is_mailed_in_that_of_the_service() {
    let world = World::builder()
        .setting("LANGUAGE", "es")
        .setting("RESEND_COOLDOWN", "0")
        .start()
        .await;
    sign_up(&world, ADA).await;

    for locale in [json!(null), json!("tlh"), json!(7)] {
        world.change_row(ADA, &json!({ "locale": locale }));
        sign_up_in(&world, "ja").await;
        let subject = &world.mail_to(ADA).subject;
        assert!(subject.starts_with("Confirma tu dirección"), "{subject}");
    }
}

#[tokio::test]
async fn text_from_right_to_left_keeps_addresses_apart_and_links_clean() {
    let world = World::builder()
        .setting("APP_NAME", "My App")
        .setting("SUPPORT_EMAIL", "24h@example.com")
        .start()
        .await;
    sign_up_in(&world, "ar").await;
    let mail = world.mail_to(ADA);

    assert_eq!(mail.subject, "تأكيد عنوانك في \u{2068}My App\u{2069}");
    for part in [mail.text(), mail.html()] {
        assert!(part.contains(&format!("\u{2068}{ADA}\u{2069}")), "{part}");
    }
    assert!(
        mail.text()
            .trim_end()
            .ends_with("\u{2068}24h@example.com\u{2069}")
    );
    // What is copied has a line of its own and nothing that cannot be seen.
    let link = mail.link();
    assert!(mail.text().lines().any(|line| line == link));
    assert!(!link.contains(ISOLATES));
    assert!(mail.html().contains(&format!("href=\"{link}\"")));
    assert!(mail.html().contains(&format!(
        "dir=\"ltr\" style=\"color:#1d4ed8;word-break:break-all;overflow-wrap:anywhere\">{link}</a>"
    )));
    assert!(mail.html().contains("<html lang=\"ar\" dir=\"rtl\">"));

    let contested = have_contested_row(&world, "bob@example.com").await;
    let page = world.request("GET", &contested);
    let page = page.header("accept-language", "ar").send().await;
    assert!(page.text().contains("<html lang=\"ar\" dir=\"rtl\">"));
    assert!(
        page.text()
            .contains("value=\"bob@example.com\" autocomplete=\"username\" dir=\"ltr\" readonly")
    );
}

#[tokio::test]
async fn pages_and_mails_have_the_teams_colour_and_logo() {
    let world = World::builder()
        .setting("APP_NAME", "My App")
        .setting("ACCENT_COLOR", "#7C2D12")
        .setting("LOGO_URL", "https://cdn.example.org:8443/img/logo.png?v=1")
        .start()
        .await;
    let page = world.get("/accounts/create").await;
    sign_up(&world, ADA).await;
    let mail = world.mail_to(ADA);

    let logo = "src=\"https://cdn.example.org:8443/img/logo.png?v=1\" alt=\"My App\"";
    assert!(page.text().contains(logo));
    assert!(page.text().contains("--accent: #7c2d12"));
    assert!(mail.html().contains(logo));
    assert!(mail.html().contains("bgcolor=\"#7c2d12\""));
    assert!(mail.html().contains("content=\"light dark\""));
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("; img-src https://cdn.example.org:8443"),
        "{policy}"
    );
    assert_eq!(policy.matches("cdn.example.org").count(), 1, "{policy}");

    let plain = World::start().await.get("/accounts/create").await;
    let policy = plain.header("content-security-policy").unwrap();
    assert!(!policy.contains("img-src"), "{policy}");
}

/// Everything that a person can read, in each language.
#[test]
fn every_text_in_every_language_is_as_reviewed() {
    let gallery = Gallery::write();
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    let _bound = settings.bind_to_scope();

    for language in gallery.languages() {
        let texts = files(&gallery.folder().join(&language));
        assert!(texts.len() > 40, "{language}");
        let all: Vec<_> = texts
            .iter()
            .map(|(name, text)| format!("## {name}\n\n{text}"))
            .collect();
        insta::assert_snapshot!(format!("texts_{language}"), all.join("\n\n"));
    }
}

/// The texts of pages and mails by name.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let content = std::fs::read_to_string(&path).unwrap();
        if name.starts_with("page-") {
            texts.insert(name, visible(&content));
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            texts.insert(name, content.trim_end().to_owned());
        }
    }
    texts
}

/// The text of a page: what stands between its tags.
fn visible(html: &str) -> String {
    let body = html.split_once("<main>").unwrap().1;
    let mut lines = Vec::new();
    for part in body.split('<') {
        let text = part.split_once('>').map_or(part, |(_, text)| text).trim();
        if !text.is_empty() {
            lines.push(text.replace("&#38;", "&").replace("&#39;", "'"));
        }
    }
    lines.join("\n")
}
