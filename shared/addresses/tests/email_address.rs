//! What is an address, in which form, and what is wrong with the rest.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use addresses::EmailAddress;
use addresses::InvalidEmailAddress::{
    self, Dots, LocalPartNotAscii, Missing, NoAt, NoTopLevelDomain, Other, TooLong,
};
use proptest::prelude::*;
use proptest::sample::select;

fn canonical(text: &str) -> Result<String, InvalidEmailAddress> {
    EmailAddress::parse(text).map(|address| address.as_str().to_owned())
}

fn masked(text: &str) -> String {
    EmailAddress::parse(text).unwrap().masked()
}

/// Characters that come along with a paste and are not seen.
const INVISIBLE: [char; 31] = [
    ' ',
    '\t',
    '\r',
    '\n',
    '\u{a0}',
    '\u{ad}',
    '\u{34f}',
    '\u{61c}',
    '\u{180e}',
    '\u{200b}',
    '\u{200c}',
    '\u{200d}',
    '\u{200e}',
    '\u{200f}',
    '\u{2028}',
    '\u{202a}',
    '\u{202b}',
    '\u{202c}',
    '\u{202d}',
    '\u{202e}',
    '\u{2060}',
    '\u{2061}',
    '\u{2064}',
    '\u{2066}',
    '\u{2067}',
    '\u{2068}',
    '\u{2069}',
    '\u{3000}',
    '\u{fe0f}',
    '\u{feff}',
    '\u{e0020}',
];

#[test]
fn every_spelling_of_an_address_has_one_canonical_form() {
    for spelling in [
        "user@xn--bcher-kva.example",
        " User@B\u{fc}cher.example ",
        "USER@BU\u{308}CHER.EXAMPLE",
        "user@XN--BCHER-KVA.example",
        "user@b\u{fc}cher\u{3002}example",
        "user@b\u{fc}\u{ad}cher.exam\u{200b}ple",
        "\u{a0}user@\u{ff42}\u{fc}cher.example\r\n",
        "\u{202a}user@b\u{fc}cher.example\u{202c}",
    ] {
        assert_eq!(
            canonical(spelling).as_deref(),
            Ok("user@xn--bcher-kva.example"),
            "{spelling:?}"
        );
    }
}

#[test]
fn invisible_characters_around_an_address_are_dropped() {
    for invisible in INVISIBLE {
        for text in [
            format!("{invisible}ada@example.com"),
            format!("ada@example.com{invisible}"),
            format!(" {invisible}\u{feff}ada@example.com\u{200b}{invisible}\n"),
        ] {
            assert_eq!(
                canonical(&text).as_deref(),
                Ok("ada@example.com"),
                "{text:?}"
            );
        }
        assert_eq!(canonical(&invisible.to_string()), Err(Missing));
    }
}

#[test]
fn unusual_addresses_that_people_have_are_accepted() {
    for address in [
        "a@b.co",
        "o'brien+news@example.museum",
        "!#$%&'*+-/=?^_`{|}~@example.com",
        "first.last@sub.sub.example.com",
        "1@example.com",
        "x@1.2.3.com",
        "x@123.example",
        "x@example.c0m",
        "x@example.0x7f",
        "ada@ab--cd.com",
        "x@r3---sn.example.com",
        "x@a-b.xn--p1ai",
        // No encoded words: one half each, and two halves in the wrong order.
        "=?@example.com",
        "a?=b@example.com",
        "?=.=?@example.com",
        "=?=@example.com",
    ] {
        assert_eq!(canonical(address).as_deref(), Ok(address));
    }
}

#[test]
fn the_cause_of_a_refusal_is_told() {
    let x64 = "x".repeat(64);
    for (text, cause) in [
        ("", Missing),
        (" \r\n\u{feff}", Missing),
        ("ada", NoAt),
        ("ada.example.com", NoAt),
        ("ada\u{ff20}example.com", NoAt),
        ("\u{fc}ser@example.com", LocalPartNotAscii),
        ("ad\u{200b}a@example.com", LocalPartNotAscii),
        ("\u{212a}ate@example.com", LocalPartNotAscii),
        ("\u{7528}\u{6237}..@example.com", LocalPartNotAscii),
        (".ada@example.com", Dots),
        ("ada.@example.com", Dots),
        ("a..da@example.com", Dots),
        (".@example.com", Dots),
        ("ada@localhost", NoTopLevelDomain),
        ("ada@example.", NoTopLevelDomain),
        ("ada@example.com.", NoTopLevelDomain),
        ("ada@.", NoTopLevelDomain),
        ("ada@example.123", NoTopLevelDomain),
        ("ada@example.\u{ff11}\u{ff12}", NoTopLevelDomain),
        ("ada@127.0.0.1", NoTopLevelDomain),
        (&format!("{x64}x@example.com"), TooLong),
        (&format!("ada@{x64}.com"), TooLong),
        (&format!("ada@{}com", "long.".repeat(1000)), TooLong),
        ("@", Other),
        ("ada@", Other),
        ("@example.com", Other),
        ("ada@[127.0.0.1]", Other),
        ("ada@[IPv6:::1]", Other),
        ("ada@example..com", Other),
        ("ada@.example.com", Other),
        ("ada@-example.com", Other),
        ("ada@example-.com", Other),
        ("ada@example.-com", Other),
        ("ada@example.com-", Other),
        ("ada@-b\u{fc}cher.com", Other),
        ("ada@b\u{fc}cher-.com", Other),
        ("ada@exa mple.com", Other),
        ("ada@exam_ple.com", Other),
        ("ada@exam\u{200e}ple.com", Other),
        ("ada@xn--a.example", Other),
        ("ada@xn--.example", Other),
        ("ada@xn--example-.com", Other),
        ("ada@xn--b\u{fc}cher.example", Other),
        ("ada@xn--zn7c.com", Other),
        ("ada@bob@example.com", Other),
        ("ada@example.com, bob@example.com", Other),
        ("ada@example.com bob@example.com", Other),
        ("ada@example.com\nbcc: bob@example.com", Other),
        ("Ada <ada@example.com>", Other),
        ("Zo\u{eb} <zoe@example.com>", Other),
        ("<ada@example.com>", Other),
        ("mailto:ada@example.com", Other),
        ("\"ada\"@example.com", Other),
        ("\"a@b\"@example.com", Other),
        ("ada(comment)@example.com", Other),
        ("ada@(comment)example.com", Other),
        ("a da@example.com", Other),
        ("a\u{3000}da@example.com", Other),
        ("a\\da@example.com", Other),
        ("a\u{0}da@example.com", Other),
        ("ada\u{7f}@example.com", Other),
        ("=?utf-8?q?=61=40=62?=@example.com", Other),
        ("=?utf-8?q?=41?=ada@example.com", Other),
        ("ada=?utf-8?b?YQ?=@example.com", Other),
    ] {
        assert_eq!(canonical(text), Err(cause), "{text:?}");
    }
}

#[test]
fn lengths_are_those_of_rfc_5321() {
    let local = "l".repeat(64);
    let domain = format!(
        "{}.{}.{}.example",
        "d".repeat(63),
        "e".repeat(63),
        "f".repeat(53)
    );
    assert_eq!(format!("{local}@{domain}").len(), 254);

    assert!(canonical(&format!("{local}@{domain}")).is_ok());
    assert_eq!(canonical(&format!("{local}@{domain}e")), Err(TooLong));
    assert_eq!(canonical(&format!("{local}l@example.com")), Err(TooLong));
    assert!(canonical(&format!("ada@{}.com", "d".repeat(63))).is_ok());
    // The label's ASCII form counts: xn--, 55 letters, and what encodes the other one.
    let label = format!("{}\u{fc}", "d".repeat(60));
    assert_eq!(canonical(&format!("ada@{label}.com")), Err(TooLong));
}

#[test]
fn a_domain_is_converted_up_to_four_times_the_longest_address() {
    let soft_hyphens = |bytes: usize| "\u{ad}".repeat(bytes / 2);

    let (longest, longer) = (soft_hyphens(1016 - 10), soft_hyphens(1016 - 8));

    assert!(canonical(&format!("ada@exam{longest}ple.co")).is_ok());
    assert_eq!(canonical(&format!("ada@exam{longer}ple.co")), Err(TooLong));
}

#[test]
fn a_masked_address_shows_the_ends_of_the_local_part() {
    assert_eq!(masked("john@example.com"), "j\u{2026}n@example.com");
    assert_eq!(masked("bob@example.com"), "b\u{2026}b@example.com");
    assert_eq!(
        masked("A.very+long-1@example.com"),
        "a\u{2026}1@example.com"
    );
}

#[test]
fn a_masked_address_shows_no_more_than_the_first_of_one_or_two_characters() {
    assert_eq!(masked("jo@example.com"), "j\u{2026}@example.com");
    assert_eq!(masked("j@example.com"), "j\u{2026}@example.com");
}

#[test]
fn the_local_part_is_what_stands_before_the_at_sign() {
    let address = EmailAddress::parse("Ada.Lovelace@example.com").unwrap();

    assert_eq!(address.local_part(), "ada.lovelace");
}

#[test]
fn nothing_of_an_address_is_printed() {
    let address = EmailAddress::parse("ada@example.com").unwrap();

    assert_eq!(format!("{address:?}"), "EmailAddress(..)");
}

/// A canonical address.
fn address() -> impl Strategy<Value = String> {
    let local = "[a-z0-9+_'=-]{1,10}(\\.[a-z0-9+_-]{1,10}){0,2}";
    let label = "[a-z0-9](([a-z0-9]|-){0,8}[a-z0-9])?";
    let top = select(vec!["com", "co.uk", "xn--p1ai", "xn--fiqs8s"]);

    (local, label, top)
        .prop_map(|(local, label, top)| format!("{local}@{label}.{top}"))
        // A label that looks encoded is one only by chance.
        .prop_filter("looks encoded", |address| !address.contains("@xn--"))
}

/// The same address as somebody else may type it.
fn spelling(address: &str) -> impl Strategy<Value = String> + use<> {
    let (local, domain) = address.split_once('@').unwrap();
    let in_any_case = |text: &str| {
        let text = text.to_owned();
        prop::collection::vec(any::<bool>(), text.len()).prop_map(move |upper| {
            let characters = text.chars().zip(upper);
            let in_case = characters.map(|(c, up)| if up { c.to_ascii_uppercase() } else { c });
            in_case.collect::<String>()
        })
    };
    // The second half of ASCII's printable characters has a full-width twin, which UTS #46 maps to it.
    let full_width = |domain: String, wide: Vec<bool>| {
        let characters = domain.chars().zip(wide);
        let mapped = characters.map(|(c, is_wide)| match c {
            _ if !is_wide => c,
            '.' => '\u{3002}',
            c => char::from_u32(u32::from(c) - 0x20 + 0xff00).unwrap(),
        });
        mapped.collect::<String>()
    };
    let around = || prop::collection::vec(select(INVISIBLE.as_slice()), 0..4);
    let wide = prop::collection::vec(prop::bool::weighted(0.2), domain.len());

    (
        around(),
        in_any_case(local),
        in_any_case(domain),
        wide,
        around(),
    )
        .prop_map(move |(before, local, domain, wide, after)| {
            let domain = full_width(domain, wide);
            let (before, after) = (String::from_iter(before), String::from_iter(after));
            format!("{before}{local}@{domain}{after}")
        })
}

fn is_canonical(address: &str) -> bool {
    let atext = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
    };
    let atom = |atom: &str| !atom.is_empty() && atom.bytes().all(atext);
    let ldh = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(ldh)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let (local, domain) = address.split_once('@').unwrap();
    let (_, top) = domain.rsplit_once('.').unwrap();

    address.len() <= 254
        && local.len() <= 64
        && local.split('.').all(atom)
        && domain.split('.').all(label)
        && !top.bytes().all(|byte| byte.is_ascii_digit())
}

proptest! {
    #[test]
    fn any_spelling_of_an_address_parses_to_it(
        (address, spelling) in address().prop_flat_map(|address| (Just(address.clone()), spelling(&address))),
    ) {
        prop_assert_eq!(canonical(&address), Ok(address.clone()));
        prop_assert_eq!(canonical(&spelling), Ok(address), "{:?}", spelling);
    }

    #[test]
    fn a_canonical_form_is_canonical_and_its_own_canonical_form(
        text in "\\PC{0,20}@(\\PC{1,20}|[a-z0-9\u{e4}\u{644}\u{94d}\u{200d}\u{ad}.-]{1,20})\\.[a-z\u{e4}-]{1,10}",
    ) {
        if let Ok(once) = canonical(&text) {
            prop_assert!(is_canonical(&once), "{}", once);
            prop_assert_eq!(canonical(&once), Ok(once));
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>(), domain in any::<String>()) {
        let _ = EmailAddress::parse(&text);
        let _ = EmailAddress::parse(&format!("ada@{domain}"));
    }
}
