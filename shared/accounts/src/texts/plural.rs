//! Plural forms (Unicode CLDR's categories for whole numbers:
//! <https://www.unicode.org/cldr/charts/latest/supplemental/language_plural_rules.html>).

/// Which form a number takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plural {
    Zero,
    One,
    Two,
    Few,
    Many,
    Other,
}

/// The forms of a counted thing; `{n}` stands for the number.
pub struct Forms {
    pub zero: &'static str,
    pub one: &'static str,
    pub two: &'static str,
    pub few: &'static str,
    pub many: &'static str,
    pub other: &'static str,
}

impl Forms {
    /// One form for all numbers.
    pub const fn other(other: &'static str) -> Self {
        Self::one_other(other, other)
    }

    /// One form for what counts as one, and one for all else.
    pub const fn one_other(one: &'static str, other: &'static str) -> Self {
        Self {
            one,
            ..Self::one_few_many(other, other, other)
        }
    }

    /// Three forms, as Slavic languages have them.
    pub const fn one_few_many(one: &'static str, few: &'static str, many: &'static str) -> Self {
        Self {
            zero: many,
            one,
            two: few,
            few,
            many,
            other: many,
        }
    }

    pub(crate) fn of(&self, plural: Plural) -> &'static str {
        match plural {
            Plural::Zero => self.zero,
            Plural::One => self.one,
            Plural::Two => self.two,
            Plural::Few => self.few,
            Plural::Many => self.many,
            Plural::Other => self.other,
        }
    }
}

/// The rule of English, German and many others: 1, and all else.
pub const fn one_other(n: u64) -> Plural {
    if n == 1 { Plural::One } else { Plural::Other }
}
