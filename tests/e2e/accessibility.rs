//! All pages and mails in all languages, as browsers, screen readers and validators meet them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::{Browser, Gallery};

/// Shows a language's documents one after the other, on a phone and on a desktop, and lets axe look at each at the widths of
/// `looked`: by the rules of `colors` alone, or by all others.
const LOOK: &str = r#"
const [axe, documents, direction, looked, colors, done] = arguments;
const colorRules = ["color-contrast", "link-in-text-block"];
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
        for (const width of [360, 1280]) {
            frame.style.width = `${width}px`;
            const page = inside.document.documentElement;
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

/// What axe looks at.
#[derive(Clone, Copy, PartialEq)]
enum Rules {
    /// In all languages.
    AllButColors,
    /// In two languages, since none changes a colour. They take most of the time.
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

async fn look(dark: bool, settings: &[(&str, &str)], rules: Rules) {
    let axe = std::fs::read_to_string(node_modules().join("axe-core/axe.min.js")).unwrap();
    let gallery = Gallery::write_with(settings);
    let browser = Browser::start_with(if dark {
        &["--blink-settings=preferredColorScheme=0"]
    } else {
        &["--blink-settings=preferredColorScheme=1"]
    })
    .await;
    let start = format!("file://{}/index.html", gallery.folder().display());
    browser.goto(&start).await.unwrap();
    let scheme = "return matchMedia('(prefers-color-scheme: dark)').matches";
    assert_eq!(
        browser.execute(scheme, Vec::new()).await.unwrap(),
        Value::Bool(dark)
    );

    let look_at = async |documents: Value, direction: &str, looked: &[u16]| {
        let colors = json!(rules == Rules::Colors);
        let arguments = vec![
            json!(axe),
            documents,
            json!(direction),
            json!(looked),
            colors,
        ];
        browser.execute_async(LOOK, arguments).await.unwrap()
    };
    // It is seen to look.
    let broken = json!([[
        "broken",
        "<!doctype html><p style='color: #eee; background: white'>Weak<p><img src=x>"
    ]]);
    let found = look_at(broken, "", &[360]).await;
    assert!(!found.as_array().unwrap().is_empty());

    let languages = gallery.languages();
    assert_eq!(languages.len(), 16);
    for language in languages {
        // One that is written from left to right, and one from right to left.
        let is_example = ["en", "ar"].contains(&&*language);
        let looked: &[u16] = match rules {
            Rules::Colors if !is_example => continue,
            Rules::AllButColors if is_example => &[360, 1280],
            _ => &[360],
        };
        let documents = gallery.documents(&language);
        assert!(documents.len() > 40, "{language}");
        let direction = if language == "ar" { "rtl" } else { "ltr" };
        let found = look_at(json!(documents), direction, looked).await;
        assert_eq!(found, json!([]), "{language}");
    }
    browser.close().await;
}

#[tokio::test]
async fn axe_finds_nothing_in_any_language() {
    look(false, &[], Rules::AllButColors).await;
}

#[tokio::test]
async fn axe_finds_no_weak_contrast_by_light_and_in_the_dark() {
    look(false, &[], Rules::Colors).await;
    look(true, &[], Rules::Colors).await;
}

/// Black, the hardest colour in the dark, and the lightest grey that is accepted, the hardest by light.
#[tokio::test]
async fn axe_finds_no_weak_contrast_with_the_hardest_accent_colours() {
    look(true, &[("ACCENT_COLOR", "#000000")], Rules::Colors).await;
    look(false, &[("ACCENT_COLOR", "#767676")], Rules::Colors).await;
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
        .arg("-jar")
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
