//! Every mail.

use accounts::clock;
use accounts::mail::mails::{Mail, Writer};
use accounts::site::Site;
use accounts::texts::Language;
use addresses::{EmailAddress, InvalidEmailAddress};

/// 24 November 2025, 16:00 UTC: when all mails are written, so that two galleries can be compared.
const WHEN: u64 = 1_764_000_000;

/// A mail and its name.
pub struct Named {
    pub name: &'static str,
    pub mail: Mail,
}

/// All of them.
pub fn all(site: &Site, language: Language) -> Result<Vec<Named>, InvalidEmailAddress> {
    let ada = &EmailAddress::parse("ada.lovelace@example.com")?;
    let new = &EmailAddress::parse("ada@example.org")?;
    let token = "ImFkYS5sb3ZlbGFjZUBleGFtcGxlLmNvbSI.aSSDAA.0cTwzEDnVKXD4VkiRzJhtQ0sb1s";
    let confirm = site.url(&format!("/accounts/confirm/{token}"));
    let reset = site.url(&format!("/accounts/password/{token}"));
    let (day, hour) = (86_400, 3_600);
    let writer = Writer { site, language };
    let before = clock::now();
    let mut mails = vec![
        ("confirm", writer.confirm(ada, confirm.clone(), before, day)),
        ("account-exists", writer.account_exists(ada)),
        (
            "confirm-change",
            writer.confirm_change(ada, new, confirm, day),
        ),
        ("change-requested", writer.change_requested(ada)),
        ("changed", writer.changed(ada)),
        ("address-taken", writer.address_taken(ada)),
        ("reset", writer.reset(ada, reset, hour)),
        ("no-account", writer.no_account(ada)),
        ("password-changed", writer.password_changed(ada)),
    ];
    let fixed = language.time(WHEN);
    for now in [before, clock::now()].map(|now| language.time(now)) {
        for (_, mail) in &mut mails {
            mail.html = mail.html.replace(&now, &fixed);
            mail.text = mail.text.replace(&now, &fixed);
        }
    }
    let named = mails.into_iter().map(|(name, mail)| Named { name, mail });
    Ok(named.collect())
}
