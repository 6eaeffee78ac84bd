//! All pages and mails in all languages, as browsers, screen readers and validators meet them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::{Browser, Gallery};

/// Shows a language's documents one after the other, on a phone and on a desktop, and lets axe look at each at the widths of
/// `looked`: by the rules of `colors` alone, or by all others. A document has the shape of those of its name before: the same
/// elements, with the same attributes, and with words where those have words.
const LOOK: &str = r#"
const [axe, documents, language, looked, colors, done] = arguments;
const colorRules = ["color-contrast", "link-in-text-block"];
const direction = language === "ar" ? "rtl" : "ltr";
const translated = ["aria-label", "content", "dir", "lang", "value"];
const words = (text) => text.trim() ? "words" : "no words";
const attribute = ({ name, value }) => `${name}=${translated.includes(name) ? words(value) : value}`;
const shape = (page) => [...page.querySelectorAll("*")]
    .map((one) => [one.localName, ...[...one.attributes].map(attribute), words(one.textContent)].join(" "))
    .join("\n");
window.shapes ??= {};
(async () => {
    const found = [];
    const frame = document.createElement("iframe");
    frame.title = "looked at";
    frame.style = "border: 0; height: 900px";
    document.body.replaceChildren(frame);
    const inside = frame.contentWindow;
    // Once: reading axe takes longer than running it, and a document that is written anew leaves it there.
    inside.eval(axe);
    for (const [name, html] of documents) {
        inside.document.open();
        inside.document.write(html);
        inside.document.close();
        const seen = shape(inside.document);
        if ((window.shapes[name] ??= seen) !== seen) found.push(`${name}: another shape: ${seen}`);
        for (const width of [360, 1280]) {
            frame.style.width = `${width}px`;
            const page = inside.document.documentElement;
            if (page.lang !== language) found.push(`${name}: lang is ${page.lang}`);
            if (page.dir !== direction) found.push(`${name}: dir is ${page.dir}`);
            if (page.scrollWidth > width) found.push(`${name}: ${page.scrollWidth} px wide at ${width}`);
            if (!looked.includes(width)) continue;
            // A mail is shown inside another page, which has the landmarks and the heading.
            const inPage = name.startsWith("mail-") ? ["landmark-one-main", "page-has-heading-one", "region"] : [];
            const rules = Object.fromEntries([...inPage, ...colorRules].map((id) => [id, { enabled: false }]));
            const options = colors ? { runOnly: { type: "rule", values: colorRules } } : { rules };
            const result = await inside.axe.run(inside.document, { resultTypes: ["violations"], ...options });
            for (const violation of result.violations) {
                for (const node of violation.nodes) {
                    found.push(`${name} at ${width}: ${violation.id}: ${node.html}: ${node.failureSummary}`);
                }
            }
            if (result.passes.length < (colors ? 1 : 5)) found.push(`${name}: axe saw nothing`);
        }
    }
    return found;
})().then(done, (error) => done([String(error)]));
"#;

/// What axe looks for. It takes most of the time.
#[derive(Clone, Copy, PartialEq)]
enum Rules {
    /// In one language that is written from left to right and one from right to left; all have one shape.
    AllButColors,
    /// In one language, since none changes a colour.
    Colors,
}

/// Where `tests/run` installs what the tests need from npm.
fn node_modules() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let built = test.ancestors().find(|folder| folder.ends_with("debug"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || built.and_then(Path::parent).unwrap().to_owned(),
        PathBuf::from,
    );
    let folder = target.join("test-tools/npm/node_modules");
    assert!(
        folder.is_dir(),
        "{} is missing: tests/run installs it (npm ci)",
        folder.display()
    );
    folder
}

/// Looks with each of the accent colours; the empty one is the default.
async fn look(dark: bool, accent_colors: &[&str], rules: Rules) {
    let browser = Browser::start_with(if dark {
        &["--blink-settings=preferredColorScheme=0"]
    } else {
        &["--blink-settings=preferredColorScheme=1"]
    })
    .await;
    for accent_color in accent_colors {
        let gallery = Gallery::write_with(&[("ACCENT_COLOR", accent_color)]);
        look_at_gallery(&browser, &gallery, dark, rules).await;
    }
    browser.close().await;
}

async fn look_at_gallery(browser: &Browser, gallery: &Gallery, dark: bool, rules: Rules) {
    let axe = std::fs::read_to_string(node_modules().join("axe-core/axe.min.js")).unwrap();
    let start = format!("file://{}/index.html", gallery.folder().display());
    browser.goto(&start).await.unwrap();
    let scheme = "return matchMedia('(prefers-color-scheme: dark)').matches";
    assert_eq!(
        browser.execute(scheme, Vec::new()).await.unwrap(),
        Value::Bool(dark)
    );

    let look_at = async |documents: Value, language: &str, looked: &[u16]| {
        let colors = json!(rules == Rules::Colors);
        let arguments = vec![
            json!(axe),
            documents,
            json!(language),
            json!(looked),
            colors,
        ];
        browser.execute_async(LOOK, arguments).await.unwrap()
    };
    // It is seen to look, and to see what has no words.
    let broken = |text| {
        let html = format!(
            "<!doctype html><html lang=en dir=ltr><p style='color: #eee; background: white'>{text}<p><img src=x>"
        );
        json!([["broken", html]])
    };
    let found = look_at(broken("Weak"), "en", &[360]).await;
    assert!(!found.as_array().unwrap().is_empty());
    assert_eq!(look_at(broken("Other"), "en", &[]).await, json!([]));
    assert_ne!(look_at(broken(" "), "en", &[]).await, json!([]));

    let languages = gallery.languages();
    assert_eq!(languages.len(), 16);
    for language in languages {
        let looked: &[u16] = match (rules, &*language) {
            (Rules::AllButColors, "ar" | "en") => &[360, 1280],
            (Rules::AllButColors, _) => &[],
            (Rules::Colors, "en") => &[360],
            (Rules::Colors, _) => continue,
        };
        let documents = gallery.documents(&language);
        assert!(documents.len() > 40, "{language}");
        let found = look_at(json!(documents), &language, looked).await;
        assert_eq!(found, json!([]), "{language}");
    }
}

#[tokio::test]
async fn axe_finds_nothing_in_any_language() {
    look(false, &[""], Rules::AllButColors).await;
}

/// With the lightest grey that is accepted as an accent colour too, the hardest one by light.
#[tokio::test]
async fn axe_finds_no_weak_contrast_by_light() {
    look(false, &["", "#767676"], Rules::Colors).await;
}

/// With black as the accent colour too, the hardest one in the dark.
#[tokio::test]
async fn axe_finds_no_weak_contrast_in_the_dark() {
    look(true, &["", "#000000"], Rules::Colors).await;
}

#[test]
fn the_html_of_every_page_and_mail_is_valid() {
    let gallery = Gallery::write();
    for language in gallery.languages() {
        for (name, html) in gallery.documents(&language) {
            // SES removes its own attribute before it sends a mail.
            let html = html.replace(" ses:no-track", "");
            let path = gallery.folder().join(&language).join(name);
            std::fs::write(path.with_extension("html"), html).unwrap();
        }
    }

    // The checker is seen to check.
    let broken = "<!doctype html><title>Broken</title><p><b>";
    std::fs::write(gallery.folder().join("broken.html"), broken).unwrap();

    let checked = Command::new("java")
        // In seconds, the best compiler takes longer than it saves. What it does not compile needs more of a stack.
        .args(["-XX:TieredStopAtLevel=1", "-Xss8m", "-jar"])
        .arg(node_modules().join("vnu-jar/build/dist/vnu.jar"))
        .args(["--errors-only", "--skip-non-html"])
        .arg(gallery.folder())
        .output()
        .expect("java is needed (Debian: apt-get install default-jre-headless)");

    let messages = String::from_utf8_lossy(&checked.stderr);
    assert!(messages.contains("broken.html"), "{messages}");
    let errors: Vec<_> = messages
        .lines()
        .filter(|line| !line.contains("broken.html") && !line.is_empty())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}
