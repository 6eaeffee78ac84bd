//! A caught mail and the link in it.

use std::ops::Deref;

use local::ses;

/// A mail; its fields are those of [`ses::Mail`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail(pub(crate) ses::Mail);

impl Deref for Mail {
    type Target = ses::Mail;

    fn deref(&self) -> &ses::Mail {
        &self.0
    }
}

impl Mail {
    /// The text part; fails the test if there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.as_deref().expect("a text part")
    }

    /// The HTML part; fails the test if there is none.
    #[must_use]
    pub fn html(&self) -> &str {
        self.html.as_deref().expect("an HTML part")
    }

    /// The web addresses in the text part, in order.
    #[must_use]
    pub fn links(&self) -> Vec<String> {
        let text = self.text.as_deref().unwrap_or_default();
        let words = text.split(|c: char| c.is_whitespace() || "<>\"()".contains(c));
        words
            .filter(|word| word.starts_with("https://") || word.starts_with("http://"))
            .map(|link| link.trim_end_matches(['.', ',']).to_owned())
            .collect()
    }

    /// The confirmation link, as it stands in the mail.
    #[must_use]
    pub fn link(&self) -> String {
        let link = self
            .links()
            .into_iter()
            .find(|link| link.contains("/accounts/confirm/"));
        link.unwrap_or_else(|| panic!("no confirmation link in {self:#?}"))
    }

    /// The token in the confirmation link.
    #[must_use]
    pub fn token(&self) -> String {
        let link = self.link();
        link.rsplit('/').next().unwrap_or_default().to_owned()
    }
}
