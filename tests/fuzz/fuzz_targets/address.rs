//! Addresses, as anybody may type them. In this crate's folder:
//!
//! ```console
//! cargo +nightly fuzz run address corpus/address seeds/address
//! ```

#![no_main]

use addresses::EmailAddress;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(address) = EmailAddress::parse(text) else {
        return;
    };
    let canonical = address.as_str();

    // It has one form, whichever way it was typed.
    for spelling in [
        canonical.to_owned(),
        canonical.to_ascii_uppercase(),
        format!(" {text}\r\n"),
        text.to_ascii_uppercase(),
    ] {
        let again = EmailAddress::parse(&spelling).expect("a spelling of an address");
        assert_eq!(again.as_str(), canonical, "{spelling:?}");
    }
    // Mail goes to one mailbox, and nothing in it ends a header.
    let (local, domain) = canonical.split_once('@').expect("an at sign");
    assert!(canonical.is_ascii() && canonical.len() <= 254 && (1..=64).contains(&local.len()));
    let atext = |b: u8| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b)
    };
    assert!(local.bytes().all(atext), "{canonical}");
    let label = |label: &str| {
        let inner = label
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    assert!(
        domain.contains('.') && domain.split('.').all(label),
        "{canonical}"
    );
});
