//! Every sentence of pages, mails, errors and problem details: one file for each language.
//!
//! A language is a file in `texts/` and a line in `languages!` below. A missing or unknown text or placeholder fails the
//! build.

mod fill;
mod plural;

use crate::clock::Date;
pub use crate::texts::fill::Texts;
pub use crate::texts::plural::{Forms, Plural};

macro_rules! languages {
    ($($(#[$default:meta])* $language:ident $module:ident $tag:literal;)+) => {
        $(mod $module;)+

        /// A language that the service speaks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum Language {
            $($(#[$default])* $language,)+
        }

        impl Language {
            pub const ALL: &[Self] = &[$(Self::$language),+];

            /// The language's tag (BCP 47).
            pub fn tag(self) -> &'static str {
                match self { $(Self::$language => $tag,)+ }
            }

            pub fn texts(self) -> &'static Texts {
                match self { $(Self::$language => &$module::TEXTS,)+ }
            }
        }

        $(const _: () = $module::TEXTS.check();)+
    };
}

languages! {
    #[default]
    En en "en";
    De de "de";
    Fr fr "fr";
    Es es "es";
    It it "it";
    PtBr pt_br "pt-BR";
    Nl nl "nl";
    Pl pl "pl";
    Sv sv "sv";
    Cs cs "cs";
    Tr tr "tr";
    Uk uk "uk";
    Ja ja "ja";
    Ko ko "ko";
    ZhHans zh_hans "zh-Hans";
    Ar ar "ar";
}

impl Language {
    /// `ltr` or `rtl`: HTML's `dir`.
    pub fn direction(self) -> &'static str {
        if self.texts().rtl { "rtl" } else { "ltr" }
    }

    /// The language that a tag names, or the part of it that we know: `de-AT` is `de`, `zh-CN` is `zh-Hans`.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let tag = tag.trim().to_ascii_lowercase();
        // These mean traditional characters; ours are simplified.
        let is_hant = ["zh-hant", "zh-tw", "zh-hk", "zh-mo"];
        if is_hant.iter().any(|hant| tag.starts_with(hant)) {
            return None;
        }
        let known = |tag: &str| {
            let tag = match tag {
                "zh" => "zh-hans",
                "pt" => "pt-br",
                tag => tag,
            };
            let mut all = Self::ALL.iter().copied();
            all.find(|language| language.tag().eq_ignore_ascii_case(tag))
        };
        // RFC 4647, 3.4: the tag is shortened from its end.
        let mut ranges =
            std::iter::successors(Some(tag.as_str()), |tag| Some(tag.rsplit_once('-')?.0));
        ranges.find_map(known)
    }

    /// A time for people: `23 November 2026, 06:00 UTC`.
    pub fn time(self, seconds: u64) -> String {
        let texts = self.texts();
        let Date {
            year,
            month,
            day,
            time,
        } = Date::of(seconds);
        let month = texts.months.get(month).copied().unwrap_or_default();
        texts.date(&day.to_string(), month, &year.to_string(), &time)
    }

    /// A number of seconds as people say it: the largest unit that leaves no remainder.
    pub fn duration(self, seconds: u64) -> String {
        let texts = self.texts();
        let (count, forms) = match seconds {
            s if s % 86_400 == 0 && s > 86_400 => (s / 86_400, &texts.days),
            s if s % 3_600 == 0 => (s / 3_600, &texts.hours),
            s if s % 60 == 0 => (s / 60, &texts.minutes),
            s => (s, &texts.seconds),
        };
        let form = forms.of((texts.plural)(count));
        form.replace("{n}", &count.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_shortened_until_it_is_known() {
        for tag in ["en", "EN", "en-GB", "en-Latn-US-x-y"] {
            assert_eq!(Language::from_tag(tag), Some(Language::En), "{tag}");
        }
        for (tag, language) in [
            ("de-AT", Language::De),
            ("zh", Language::ZhHans),
            ("zh-CN", Language::ZhHans),
            ("zh-Hans-SG", Language::ZhHans),
            ("pt", Language::PtBr),
            ("pt-PT", Language::PtBr),
        ] {
            assert_eq!(Language::from_tag(tag), Some(language), "{tag}");
        }
        for tag in ["", "-", "e", "tlh", "english", "*", "zh-TW", "zh-Hant-HK"] {
            assert_eq!(Language::from_tag(tag), None, "{tag}");
        }
    }

    #[test]
    fn names_and_addresses_keep_their_direction_in_text_from_right_to_left() {
        let subject = |language: Language| language.texts().confirm_subject("My App");

        assert_eq!(
            subject(Language::Ar),
            "تأكيد عنوانك في \u{2068}My App\u{2069}"
        );
        assert_eq!(subject(Language::En), "Confirm your address for My App");
        // No isolates: a date is in the language itself, so its first letter sets the direction.
        assert_eq!(
            Language::Ar.time(1_764_000_000),
            "24 نوفمبر 2025 الساعة 16:00 (UTC)"
        );
    }

    #[test]
    fn every_language_says_the_same_things() {
        for language in Language::ALL {
            assert_eq!(Language::from_tag(language.tag()), Some(*language));
            let months = language.texts().months;
            let mut different = months.to_vec();
            different.sort_unstable();
            different.dedup();
            assert_eq!(different.len(), 12, "{language:?}");
        }
    }

    #[test]
    fn counted_things_are_said_in_the_form_that_the_number_takes() {
        for (language, seconds, expected) in [
            (Language::De, 86_400, "24 Stunden"),
            (Language::Fr, 3_600, "1 heure"),
            (Language::Es, 1_000_000, "1000000 de segundos"),
            (Language::Pl, 7_200, "2 godziny"),
            (Language::Pl, 18_000, "5 godzin"),
            (Language::Pl, 79_200, "22 godziny"),
            (Language::Cs, 345_600, "4 dny"),
            (Language::Uk, 1_260, "21 хвилину"),
            (Language::Ar, 172_800, "يومين"),
            (Language::Ar, 86_400, "24 ساعة"),
            (Language::Ar, 10_800, "3 ساعات"),
            (Language::Ja, 86_400, "24時間"),
        ] {
            assert_eq!(language.duration(seconds), expected, "{language:?}");
        }
    }

    #[test]
    fn times_and_durations_are_said_as_people_do() {
        let english = Language::En;

        assert_eq!(english.time(1_764_000_000), "24 November 2025, 16:00 UTC");
        assert_eq!(english.duration(86_400), "24 hours");
        assert_eq!(english.duration(172_800), "2 days");
        assert_eq!(english.duration(3_600), "1 hour");
        assert_eq!(english.duration(90), "90 seconds");
    }
}
