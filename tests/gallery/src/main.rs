//! Writes all pages and mails in all languages into a folder: `cargo run -p local -- --gallery FOLDER`.

mod mails;
mod pages;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use accounts::settings::Environment;
use accounts::site::Site;
use accounts::texts::Language;
use askama::Template;

/// Settings of the caller's that show in pages and mails.
const FROM_CALLER: [&str; 7] = [
    "ACCENT_COLOR",
    "APP_NAME",
    "BASE_URL",
    "INDEX_URL",
    "LOGO_URL",
    "SIGN_IN_URL",
    "SUPPORT_EMAIL",
];

/// The list of languages.
#[derive(Template)]
#[template(path = "index.html")]
struct Index {
    languages: &'static [Language],
}

/// Everything in one language.
#[derive(Template)]
#[template(path = "language.html")]
struct Overview<'a> {
    language: Language,
    pages: &'a [pages::Page],
    mails: &'a [mails::Named],
    messages: &'a [&'static str],
}

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("error: name the folder to write into");
        return ExitCode::FAILURE;
    };
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    let site = site()?;
    for language in Language::ALL {
        let folder = folder.join(language.tag());
        std::fs::create_dir_all(&folder)?;
        let pages = pages::all(&site, *language).map_err(|_| "no address")?;
        let mails = mails::all(&site, *language).map_err(|_| "no address")?;
        for page in &pages {
            std::fs::write(folder.join(format!("page-{}.html", page.name)), &page.html)?;
        }
        for mails::Named { name, mail } in &mails {
            std::fs::write(folder.join(format!("mail-{name}.html")), &mail.html)?;
            let text = format!("{}\n\n{}", mail.subject, mail.text);
            std::fs::write(folder.join(format!("mail-{name}.txt")), text)?;
        }
        let messages = &pages::messages(language.texts());
        std::fs::write(folder.join("messages.txt"), messages.join("\n"))?;
        let overview = Overview {
            language: *language,
            pages: &pages,
            mails: &mails,
            messages,
        };
        std::fs::write(folder.join("index.html"), overview.render()?)?;
    }
    let languages = Language::ALL;
    std::fs::write(folder.join("index.html"), Index { languages }.render()?)?;
    Ok(())
}

fn site() -> Result<Site, Box<dyn Error>> {
    let defaults = [
        ("APP_NAME", "My App"),
        ("BASE_URL", "https://myapp.com"),
        ("SUPPORT_EMAIL", "support@myapp.com"),
    ];
    let defaults = defaults.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let own = FROM_CALLER
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    let environment = defaults.into_iter().chain(own).collect::<Environment>();
    Ok(Site::from_env(&environment, "no-reply@myapp.com", None)?)
}
