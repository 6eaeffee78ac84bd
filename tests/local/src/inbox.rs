//! The inbox as a page: the list of mails, and the one that is open.

use askama::Template;

use crate::ses::Mail;

/// No script, nothing from elsewhere; mails bring their own styles.
pub const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "inbox.html")]
struct Page<'a> {
    /// Newest first.
    mails: Vec<&'a Mail>,
    open: Option<Open<'a>>,
}

struct Open<'a> {
    mail: &'a Mail,
    /// The HTML part, with links that open outside the frame that shows it.
    html: Option<String>,
    text: Vec<Piece<'a>>,
}

enum Piece<'a> {
    Plain(&'a str),
    Link(&'a str),
}

/// The page that lists `mails` and shows `open`.
///
/// # Errors
///
/// A template that fails.
pub fn page(mails: &[Mail], open: Option<&Mail>) -> Result<String, askama::Error> {
    let open = open.map(|mail| Open {
        mail,
        html: mail
            .html
            .as_ref()
            .map(|html| format!("<base target=_top>{html}")),
        text: mail.text.as_deref().map(pieces).unwrap_or_default(),
    });
    Page {
        mails: mails.iter().rev().collect(),
        open,
    }
    .render()
}

/// Cuts a text into its web addresses and what is between them.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = ["https://", "http://"]
        .iter()
        .filter_map(|scheme| rest.find(scheme))
        .min()
    {
        let (before, from) = rest.split_at(start);
        let end = from
            .find(|c: char| c.is_whitespace() || "<>\"".contains(c))
            .unwrap_or(from.len());
        let (link, after) = from.split_at(end);
        // Punctuation at the end is the sentence's, not part of the address.
        let trimmed = link.trim_end_matches(['.', ',', ';', ':', '!', '?', ')']);
        pieces.push(Piece::Plain(before));
        pieces.push(Piece::Link(trimmed));
        pieces.push(Piece::Plain(link.get(trimmed.len()..).unwrap_or_default()));
        rest = after;
    }
    pieces.push(Piece::Plain(rest));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        Mail {
            id: "1".to_owned(),
            received_at: "2026-01-02T03:04:05.678Z".to_owned(),
            from: "App <no-reply@example.com>".to_owned(),
            to: vec!["<i>@example.com".to_owned()],
            reply_to: Vec::new(),
            subject: "<script>alert(1)</script>".to_owned(),
            html: Some("<a href=\"https://example.com/x?a=1&amp;b=2\">link</a>".to_owned()),
            text: Some("Open (https://example.com/x?a=1&b=2).".to_owned()),
            headers: Vec::new(),
            configuration_set: None,
            tags: Vec::new(),
        }
    }

    #[test]
    fn everything_is_escaped_and_the_text_links() {
        let mail = mail();

        let page = page(std::slice::from_ref(&mail), Some(&mail)).unwrap();

        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("<i>"), "{page}");
        assert!(
            page.contains(r#"<a href="https://example.com/x?a=1&#38;b=2">"#),
            "{page}"
        );
        assert!(!page.contains("refresh"), "an open mail stays open: {page}");
    }

    #[test]
    fn the_list_refreshes_itself() {
        assert!(
            super::page(&[], None)
                .unwrap()
                .contains("http-equiv=\"refresh\"")
        );
    }
}
