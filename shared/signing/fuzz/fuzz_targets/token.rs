//! Token decoding, of what anybody may send and of what only a holder of the key could. In the folder of the crate:
//!
//! ```console
//! cargo +nightly fuzz run token fuzz/corpus/token fuzz/seeds/token
//! ```

#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use signing::{Error, TimestampSigner, UrlSafeTimedSerializer};

const NOW: u64 = 1_700_000_000;

static SERIALIZER: LazyLock<UrlSafeTimedSerializer> =
    LazyLock::new(|| UrlSafeTimedSerializer::new(b"key", "salt").with_fallbacks(["older"]));
static SIGNER: LazyLock<TimestampSigner> = LazyLock::new(|| TimestampSigner::new(b"key", "salt"));

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = str::from_utf8(data) {
        nobody_guesses_a_token(text);
        signed_payload(text);
    }
    signed_payload(&URL_SAFE_NO_PAD.encode(data));
    signed_payload(&format!(".{}", URL_SAFE_NO_PAD.encode(data)));
});

fn nobody_guesses_a_token(token: &str) {
    let loaded = SERIALIZER.loads_at::<Value>(token, Some(60), NOW);
    assert!(matches!(
        loaded,
        Err(Error::Malformed | Error::BadSignature)
    ));

    let _ = UrlSafeTimedSerializer::loads_unverified::<Value>(token);
}

/// What is signed is read or refused, and what was read is written and read again.
fn signed_payload(payload: &str) {
    let token = SIGNER.sign_at(payload, NOW);
    let unverified = UrlSafeTimedSerializer::loads_unverified::<Value>(&token);

    match SERIALIZER.loads_at::<Value>(&token, Some(0), NOW) {
        Ok(loaded) => {
            assert_eq!(unverified, Ok((loaded.value.clone(), NOW)));

            let again = SERIALIZER.dumps_at(&loaded.value, NOW).unwrap();
            let again = SERIALIZER.loads_at::<Value>(&again, Some(0), NOW).unwrap();
            assert_eq!(same_spelling(&again.value), same_spelling(&loaded.value));
        }
        Err(error) => {
            assert_eq!(error, Error::BadPayload);
            assert_eq!(unverified, Err(Error::BadPayload));
        }
    }
}

/// Floats may move by their last digit when `serde_json` reads them, and are left out.
fn same_spelling(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => Value::Null,
        Value::Array(values) => values.iter().map(same_spelling).collect(),
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| (key.clone(), same_spelling(value)))
            .collect(),
        other => other.clone(),
    }
}
