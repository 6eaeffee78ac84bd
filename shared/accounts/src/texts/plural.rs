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

    /// As Romance languages have them, with a form of its own for whole millions.
    pub const fn one_many_other(
        one: &'static str,
        many: &'static str,
        other: &'static str,
    ) -> Self {
        Self {
            many,
            ..Self::one_other(one, other)
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

/// Chinese, Japanese, Korean.
pub const fn other(_: u64) -> Plural {
    Plural::Other
}

/// English, German and many others: 1, and all else.
pub const fn one_other(n: u64) -> Plural {
    if n == 1 { Plural::One } else { Plural::Other }
}

/// Spanish and Italian: 1, whole millions, and all else.
pub const fn one_millions(n: u64) -> Plural {
    match n {
        1 => Plural::One,
        _ if n > 0 && n.is_multiple_of(1_000_000) => Plural::Many,
        _ => Plural::Other,
    }
}

/// French and Portuguese: 0 counts as 1.
pub const fn zero_one_millions(n: u64) -> Plural {
    if n == 0 { Plural::One } else { one_millions(n) }
}

/// Polish.
pub const fn polish(n: u64) -> Plural {
    match (n, n % 10, n % 100) {
        (1, ..) => Plural::One,
        (_, 2..=4, rest) if rest < 12 || rest > 14 => Plural::Few,
        _ => Plural::Many,
    }
}

/// Czech.
pub const fn czech(n: u64) -> Plural {
    match n {
        1 => Plural::One,
        2..=4 => Plural::Few,
        _ => Plural::Other,
    }
}

/// Ukrainian.
pub const fn ukrainian(n: u64) -> Plural {
    match (n % 10, n % 100) {
        (1, rest) if rest != 11 => Plural::One,
        (2..=4, rest) if rest < 12 || rest > 14 => Plural::Few,
        _ => Plural::Many,
    }
}

/// Arabic.
pub const fn arabic(n: u64) -> Plural {
    match (n, n % 100) {
        (0, _) => Plural::Zero,
        (1, _) => Plural::One,
        (2, _) => Plural::Two,
        (_, 3..=10) => Plural::Few,
        (_, 11..) => Plural::Many,
        _ => Plural::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CLDR's own examples of whole numbers (version 48, "Language Plural Rules").
    #[test]
    fn each_number_takes_the_form_that_cldr_gives_it() {
        use Plural::{Few, Many, One, Other, Two, Zero};
        type Rule = fn(u64) -> Plural;
        type Cases<'a> = [(&'a str, Rule, &'a [(Plural, &'a [u64])]); 8];
        let cases: Cases = [
            ("ja", other, &[(Other, &[0, 1, 2, 15, 1_000_000])]),
            (
                "en",
                one_other,
                &[(One, &[1]), (Other, &[0, 2, 16, 100, 1_000_000])],
            ),
            (
                "es",
                one_millions,
                &[
                    (One, &[1]),
                    (
                        Many,
                        &[1_000_000, 2_000_000, u64::MAX / 1_000_000 * 1_000_000],
                    ),
                    (Other, &[0, 2, 16, 100, 1_000, 1_000_001]),
                ],
            ),
            (
                "fr",
                zero_one_millions,
                &[
                    (One, &[0, 1]),
                    (Many, &[1_000_000]),
                    (Other, &[2, 17, 100, 1_000_001]),
                ],
            ),
            (
                "pl",
                polish,
                &[
                    (One, &[1]),
                    (Few, &[2, 3, 4, 22, 24, 32, 102, 1_002]),
                    (Many, &[0, 5, 11, 12, 14, 19, 21, 100, 112, 1_000_000]),
                ],
            ),
            (
                "cs",
                czech,
                &[
                    (One, &[1]),
                    (Few, &[2, 3, 4]),
                    (Other, &[0, 5, 19, 22, 1_000_000]),
                ],
            ),
            (
                "uk",
                ukrainian,
                &[
                    (One, &[1, 21, 31, 101, 1_001]),
                    (Few, &[2, 4, 22, 34, 102, 1_002]),
                    (Many, &[0, 5, 11, 12, 14, 19, 100, 111, 1_000_000]),
                ],
            ),
            (
                "ar",
                arabic,
                &[
                    (Zero, &[0]),
                    (One, &[1]),
                    (Two, &[2]),
                    (Few, &[3, 10, 103, 110, 1_003]),
                    (Many, &[11, 26, 99, 111, 1_011]),
                    (Other, &[100, 101, 102, 200, 201, 1_000, 1_000_000]),
                ],
            ),
        ];
        for (language, rule, forms) in cases {
            for (form, numbers) in forms {
                for n in *numbers {
                    assert_eq!(rule(*n), *form, "{language}: {n}");
                }
            }
        }
    }
}
