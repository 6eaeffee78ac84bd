//! Known answers of Python's itsdangerous; `vectors/make.py` made them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use serde::Deserialize;
use serde_json::Value;
use signing::{Signer, TimestampSigner, UrlSafeTimedSerializer};

#[derive(Deserialize)]
struct Answers {
    signer: Vec<Signed>,
    timestamp_signer: Vec<Stamped>,
    serializer: Vec<Dumped>,
    single_precision: Dumped,
    short_and_compressed: Vec<Dumped>,
    compressed: Vec<Dumped>,
    unusual: Vec<Dumped>,
}

#[derive(Deserialize)]
struct Signed {
    value: String,
    salt: String,
    key: String,
    signature: String,
    token: String,
}

#[derive(Deserialize)]
struct Stamped {
    value: String,
    salt: String,
    key: String,
    now: u64,
    token: String,
}

#[derive(Deserialize)]
struct Dumped {
    value: Value,
    salt: String,
    key: String,
    now: u64,
    #[serde(default)]
    ascii_only: bool,
    token: String,
}

impl Dumped {
    fn serializer(&self) -> UrlSafeTimedSerializer {
        let serializer = UrlSafeTimedSerializer::new(self.key.as_bytes(), &self.salt);

        if self.ascii_only {
            serializer.ascii_only()
        } else {
            serializer
        }
    }

    fn assert_loads(&self, token: &str) {
        let loaded = self
            .serializer()
            .loads_at::<Value>(token, Some(0), self.now);

        let loaded = loaded.unwrap();
        assert_eq!(loaded.value, self.value);
        assert_eq!(loaded.date_signed, self.now);
        assert_eq!(loaded.key, 0);
    }
}

fn answers() -> Answers {
    serde_json::from_str(include_str!("vectors/itsdangerous.json")).unwrap()
}

#[test]
fn a_signer_signs_as_itsdangerous_does() {
    for answer in answers().signer {
        let signer = Signer::new(answer.key.as_bytes(), &answer.salt);

        assert_eq!(signer.get_signature(&answer.value), answer.signature);
        assert_eq!(signer.sign(&answer.value), answer.token);
        assert_eq!(signer.unsign(&answer.token), Ok(answer.value.as_str()));
    }
}

#[test]
fn a_timestamp_signer_signs_as_itsdangerous_does() {
    for answer in answers().timestamp_signer {
        let signer = TimestampSigner::new(answer.key.as_bytes(), &answer.salt);

        assert_eq!(signer.sign_at(&answer.value, answer.now), answer.token);
        assert_eq!(
            signer.unsign_at(&answer.token, Some(0), answer.now),
            Ok((answer.value.as_str(), answer.now))
        );
    }
}

#[test]
fn a_serializer_dumps_and_loads_as_itsdangerous_does() {
    for answer in answers().serializer {
        let token = answer.serializer().dumps_at(&answer.value, answer.now);

        assert_eq!(token.as_ref(), Ok(&answer.token));
        answer.assert_loads(&answer.token);
    }
}

#[test]
fn numbers_of_single_precision_are_spelled_as_python_spells_numbers() {
    let answer = answers().single_precision;
    let numbers = [-1.5_f32, 1e-5, 1e16, 0.1];

    let token = answer.serializer().dumps_at(&numbers, answer.now);

    assert_eq!(token.as_ref(), Ok(&answer.token));
}

#[test]
fn short_values_that_python_compresses_are_loaded_and_ours_stay_plain() {
    for answer in answers().short_and_compressed {
        let token = answer
            .serializer()
            .dumps_at(&answer.value, answer.now)
            .unwrap();

        assert!(answer.token.starts_with('.'));
        assert!(!token.starts_with('.'));
        answer.assert_loads(&answer.token);
        answer.assert_loads(&token);
    }
}

#[test]
fn compressed_tokens_of_itsdangerous_are_loaded_and_ours_are_compressed_alike() {
    for answer in answers().compressed {
        let token = answer
            .serializer()
            .dumps_at(&answer.value, answer.now)
            .unwrap();

        assert!(answer.token.starts_with('.'));
        assert!(token.starts_with('.'));
        answer.assert_loads(&answer.token);
        answer.assert_loads(&token);
    }
}

#[test]
fn unusual_spellings_that_python_reads_are_loaded() {
    for answer in answers().unusual {
        answer.assert_loads(&answer.token);
    }
}
