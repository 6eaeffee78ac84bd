//! What holds for every value, token and time.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::sample::Index;
use signing::{Error, Signer, TimestampSigner, UrlSafeTimedSerializer};

/// What may stand in a token, and a few characters that may not.
const CHARACTERS: &str =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\0é🦀";

fn short_and_long_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z0-9.]{1,30}@[a-z]{1,20}\\.com",
        "[a-c]{100,400}",
        "\\PC{100,400}",
    ]
}

proptest! {
    #[test]
    fn what_was_signed_is_unsigned(key: Vec<u8>, salt: String, value: String) {
        let signer = Signer::new(&key, &salt);

        let signed = signer.sign(&value);

        prop_assert_eq!(signer.unsign(&signed), Ok(value.as_str()));
    }

    #[test]
    fn what_was_stamped_is_unsigned(key: Vec<u8>, salt: String, value: String, now: u64) {
        let signer = TimestampSigner::new(&key, &salt);
        let signed = signer.sign_at(&value, now);

        prop_assert_eq!(signer.unsign_at(&signed, Some(0), now), Ok((value.as_str(), now)));
        prop_assert_eq!(signer.unsign_at(&signed, None, 0), Ok((value.as_str(), now)));
    }

    #[test]
    fn what_was_dumped_is_loaded(
        key: Vec<u8>,
        salt: String,
        values in prop::collection::vec(short_and_long_text(), 0..4),
        now: u64,
        ascii_only: bool,
    ) {
        let mut serializer = UrlSafeTimedSerializer::new(&key, &salt);
        if ascii_only {
            serializer = serializer.ascii_only();
        }

        let token = serializer.dumps_at(&values, now).unwrap();
        let loaded = serializer.loads_at::<Vec<String>>(&token, Some(0), now).unwrap();

        prop_assert_eq!(loaded.value, values);
        prop_assert_eq!(loaded.date_signed, now);
        prop_assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
    }

    #[test]
    fn a_token_lives_from_its_second_for_max_age(now: u64, max_age: u64, judged: u64) {
        let serializer = UrlSafeTimedSerializer::new(b"key", "salt");
        let token = serializer.dumps_at("ada", now).unwrap();

        let loaded = serializer.loads_at::<String>(&token, Some(max_age), judged);

        let alive = (u128::from(now)..=u128::from(now) + u128::from(max_age)).contains(&u128::from(judged));
        let expired = Error::SignatureExpired { date_signed: now };
        prop_assert_eq!(loaded.err(), (!alive).then_some(expired));
    }

    #[test]
    fn any_key_of_a_list_verifies_and_says_so(
        keys in prop::collection::hash_set(prop::collection::vec(any::<u8>(), 1..40), 1..6),
        which: Index,
    ) {
        let keys = Vec::from_iter(keys);
        let (newest, older) = keys.split_first().unwrap();
        let list = UrlSafeTimedSerializer::new(newest, "salt").with_fallbacks(older);
        let key = which.get(&keys);
        let token = UrlSafeTimedSerializer::new(key, "salt").dumps_at("ada", 1).unwrap();

        let loaded = list.loads_at::<String>(&token, None, 1).unwrap();

        prop_assert_eq!(loaded.key, which.index(keys.len()));
    }

    #[test]
    fn a_changed_character_is_refused(
        value in short_and_long_text(),
        now: u64,
        position: Index,
        change in prop::sample::select(CHARACTERS.chars().collect::<Vec<_>>()),
    ) {
        let serializer = UrlSafeTimedSerializer::new(b"key", "salt");
        let token: Vec<char> = serializer.dumps_at(&value, now).unwrap().chars().collect();

        let mut replaced = token.clone();
        *position.get_mut(&mut replaced) = change;
        let mut inserted = token.clone();
        inserted.insert(position.index(token.len() + 1), change);
        let mut removed = token.clone();
        removed.remove(position.index(token.len()));

        for changed in [replaced, inserted, removed] {
            let loaded = serializer.loads_at::<String>(&String::from_iter(&changed), None, now);

            prop_assert!(changed == token || matches!(loaded, Err(Error::Malformed | Error::BadSignature)));
        }
    }

    #[test]
    fn nothing_that_arrives_is_accepted_or_panics(token in "\\PC*|[A-Za-z0-9._=-]*|\\.?[A-Za-z0-9_-]*\\.[A-Za-z0-9_-]{6}\\.[A-Za-z0-9_-]{27}") {
        let serializer = UrlSafeTimedSerializer::new(b"key", "salt").with_fallbacks(["older"]);

        let loaded = serializer.loads_at::<String>(&token, Some(1), 1_700_000_000);

        prop_assert!(matches!(loaded, Err(Error::Malformed | Error::BadSignature)));
        let _ = UrlSafeTimedSerializer::loads_unverified::<serde_json::Value>(&token);
    }

    #[test]
    fn nothing_that_was_signed_panics(payload in prop_oneof![any::<String>(), "\\.?[A-Za-z0-9_-]{0,400}"]) {
        let signed = TimestampSigner::new(b"key", "salt").sign_at(&payload, 1);
        let serializer = UrlSafeTimedSerializer::new(b"key", "salt");

        let loaded = serializer.loads_at::<String>(&signed, None, 1);

        prop_assert!(matches!(loaded, Ok(_) | Err(Error::BadPayload)));
    }
}
