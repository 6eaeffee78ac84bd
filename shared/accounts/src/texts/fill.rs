//! The list of all texts, and how placeholders in them are filled.

use std::borrow::Cow;

use crate::texts::plural::{Forms, Plural};

macro_rules! texts {
    ($($name:ident $({ $($placeholder:ident),+ })?;)+) => {
        /// The texts of one language. A name in braces stands for what is filled in.
        pub struct Texts {
            /// Whether the language is written from right to left.
            pub rtl: bool,
            /// Puts a time together.
            pub date: &'static str,
            /// January to December, as they stand in `date`.
            pub months: [&'static str; 12],
            /// Which plural form a number takes.
            pub plural: fn(u64) -> Plural,
            pub days: Forms,
            pub hours: Forms,
            pub minutes: Forms,
            pub seconds: Forms,
            $(pub $name: &'static str,)+
        }

        impl Texts {
            $($(
                pub fn $name(&self, $($placeholder: &str),+) -> String {
                    fill(self.$name, &[$((stringify!($placeholder), &*self.isolated($placeholder))),+])
                }
            )?)+

            /// Ends the build if a placeholder is missing or unknown.
            pub(super) const fn check(&self) {
                assert!(
                    has_placeholders(self.date, &["day", "month", "year", "time"]),
                    "the placeholders of a text are not as they should be: date",
                );
                $(
                    let placeholders: &[&str] = &[$($(stringify!($placeholder)),+)?];
                    assert!(
                        has_placeholders(self.$name, placeholders),
                        concat!("the placeholders of a text are not as they should be: ", stringify!($name)),
                    );
                )+
            }
        }
    };
}

texts! {
    // Words that several pages or mails have.
    questions;
    email_label;
    password_label;
    password_again_label;
    password_hint { length };
    current_email_label;
    new_email_label;
    sign_in_button;
    forgot_password;
    copy_link;
    not_you;

    // Pages.
    sign_up_title;
    sign_up_button;
    created_title;
    created_text;
    created_hint;
    password_title;
    password_text;
    password_button;
    choose_title;
    choose_contested_text;
    choose_wrong_text;
    choose_button;
    confirmed_title;
    confirmed_text;
    expired_title;
    expired_text;
    expired_button;
    change_title;
    change_button;
    change_link_title;
    change_link_text { account, new_email };
    change_link_button;
    reset_title;
    reset_text;
    reset_button;
    new_password_title;
    new_password_button;
    challenge_no_script;

    // Answers in JSON.
    message_accepted;
    message_confirmed;
    message_address_changed;
    message_password_set;
    message_password_needed;
    message_new_password_needed;
    message_account_password_needed;

    // What is wrong with a field.
    missing;
    not_text;
    email_no_at;
    email_local_part_not_ascii;
    email_dots;
    email_no_top_level_domain;
    email_too_long;
    email_invalid;
    password_too_short { length };
    password_too_long { length };
    password_blank;
    password_common;
    password_address;
    passwords_differ;
    wrong_sign_up_password;
    wrong_password { support };
    same_email;
    challenge_failed;

    // Problems: what is wrong, and what to do about it.
    invalid_fields_title;
    invalid_fields_detail;
    not_found_title;
    not_found_detail;
    method_title;
    method_detail;
    cross_site_title;
    cross_site_detail;
    unreadable_title;
    unreadable_detail;
    too_large_title;
    too_large_detail;
    media_type_title;
    media_type_detail;
    prefetch_title;
    prefetch_detail;
    invalid_link_title;
    invalid_link_detail;
    expired_link_detail;
    expired_change_detail;
    superseded_title;
    superseded_detail;
    dead_reset_title;
    dead_reset_detail;
    complaint_title;
    complaint_detail { support };
    too_many_requests_title;
    too_many_requests_detail;
    unavailable_title;
    unavailable_detail;

    // Mails.
    confirm_subject { app };
    confirm_text { app };
    confirm_button;
    confirm_lifetime { duration };
    confirm_when { email, when };
    account_exists_subject { app };
    account_exists_text { email, when };
    account_exists_forgot;
    confirm_change_subject { app };
    confirm_change_text { account, email, when };
    confirm_change_button;
    confirm_change_not_you;
    change_requested_subject { app };
    change_requested_text { email, when };
    change_requested_not_you;
    changed_subject { app };
    changed_text { email, when };
    changed_not_you { support };
    address_taken_subject { app };
    address_taken_text { email, when };
    reset_subject { app };
    reset_mail_text { email, when };
    reset_mail_button;
    no_account_subject { app };
    no_account_text { email, when };
    no_account_hint;
    no_account_button;
    password_changed_subject { app };
    password_changed_text { email, when };
    password_changed_not_you;
}

impl Texts {
    /// A value for a sentence of this language. From right to left, addresses and names keep their own direction and do not
    /// disturb the words around them: the value stands between FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE (Unicode's
    /// Bidirectional Algorithm, 2.4.2), which text parts of mails understand as well as pages. Not for what is copied, such as
    /// links.
    pub fn isolated<'a>(&self, value: &'a str) -> Cow<'a, str> {
        if self.rtl {
            format!("\u{2068}{value}\u{2069}").into()
        } else {
            value.into()
        }
    }

    /// A date and a time, of this language's own parts.
    pub fn date(&self, day: &str, month: &str, year: &str, time: &str) -> String {
        let parts = [
            ("day", day),
            ("month", month),
            ("year", year),
            ("time", time),
        ];
        fill(self.date, &parts)
    }
}

fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len() + 32);
    let mut rest = text;
    // From left to right, so that braces in a value are not filled in turn.
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        let value = values.iter().find(|(known, _)| *known == name);
        filled.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// Whether the names in braces in `text` are those of `placeholders`, each at least once. Runs when the program is built.
#[expect(
    clippy::indexing_slicing,
    reason = "a constant function has no iterators, and a wrong index ends the build"
)]
pub(super) const fn has_placeholders(text: &str, placeholders: &[&str]) -> bool {
    let (mut named, mut index) = (0, 0);
    while index < placeholders.len() {
        let times = count(text, placeholders[index]);
        if times == 0 {
            return false;
        }
        named += times;
        index += 1;
    }
    let (text, mut opened, mut closed, mut index) = (text.as_bytes(), 0, 0, 0);
    while index < text.len() {
        match text[index] {
            b'{' => opened += 1,
            b'}' => closed += 1,
            _ => {}
        }
        index += 1;
    }
    named == opened && named == closed
}

/// How often `{name}` stands in `text`.
#[expect(
    clippy::indexing_slicing,
    reason = "a constant function has no iterators, and a wrong index ends the build"
)]
const fn count(text: &str, name: &str) -> usize {
    let (text, name, mut start, mut found) = (text.as_bytes(), name.as_bytes(), 0, 0);
    while start + name.len() + 1 < text.len() {
        let mut same = 0;
        while same < name.len() && text[start + 1 + same] == name[same] {
            same += 1;
        }
        let is_whole = same == name.len() && text[start + 1 + same] == b'}';
        if text[start] == b'{' && is_whole {
            found += 1;
        }
        start += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_once() {
        let filled = fill("{a} and {b}, {a}", &[("a", "{b}"), ("b", "2")]);

        assert_eq!(filled, "{b} and 2, {b}");
    }

    #[test]
    fn missing_and_unknown_placeholders_are_found() {
        assert!(has_placeholders("plain", &[]));
        assert!(has_placeholders("{a} {b} {a}", &["a", "b"]));

        for wrong in [
            "{a}",
            "{a} {b} {c}",
            "{a} {b",
            "{a} {b }",
            "a b",
            "{a} {b} }",
        ] {
            assert!(!has_placeholders(wrong, &["a", "b"]), "{wrong}");
        }
    }
}
