//! This crate and Python's itsdangerous, side by side.
//!
//! The interpreter is the one that `PYTHON` names, else `python3`; it must be able to import itsdangerous 2.x.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use proptest::sample::Index;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use signing::{Error, Signer, TimestampSigner, UrlSafeTimedSerializer};

/// The last second that Python's `datetime` can name.
const LAST_SECOND: u64 = 253_402_300_799;

/// A Python process that answers as `python/itsdangerous_server.py` says; it ends when its input does.
struct Python {
    _process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What Python returned, or the name of what it raised.
type Answer<T> = Result<T, String>;

impl Python {
    /// The one process of this test run.
    fn get() -> MutexGuard<'static, Self> {
        static PYTHON: OnceLock<Mutex<Python>> = OnceLock::new();

        PYTHON
            .get_or_init(|| Mutex::new(Self::start()))
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn start() -> Self {
        let interpreter = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut process = Command::new(&interpreter)
            .arg("-c")
            .arg(include_str!("python/itsdangerous_server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot run {interpreter} (set PYTHON to one that can): {error}")
            });

        Self {
            questions: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            _process: process,
        }
    }

    fn ask<T: DeserializeOwned>(&mut self, question: &Value) -> Answer<T> {
        #[derive(Deserialize)]
        enum Reply<T> {
            Ok(T),
            Err(String),
        }

        let mut line = String::new();
        // If Python has ended, the write fails or the answer is empty.
        let _ = writeln!(self.questions, "{question}");
        self.answers.read_line(&mut line).unwrap();
        assert!(
            !line.is_empty(),
            "Python ended instead of answering; its message is above. The interpreter that PYTHON names \
             (or python3) must be able to import itsdangerous 2.x: pip install itsdangerous"
        );

        match serde_json::from_str(&line).unwrap() {
            Reply::Ok(value) => Ok(value),
            Reply::Err(name) => Err(name),
        }
    }
}

/// Keys, newest first, and a salt.
#[derive(Debug, Clone)]
struct Secrets {
    keys: Vec<Vec<u8>>,
    salt: String,
}

impl Secrets {
    fn serializer(&self) -> UrlSafeTimedSerializer {
        let (newest, older) = self.keys.split_first().unwrap();

        UrlSafeTimedSerializer::new(newest, &self.salt).with_fallbacks(older)
    }

    fn signer(&self) -> Signer {
        let (newest, older) = self.keys.split_first().unwrap();

        Signer::new(newest, &self.salt).with_fallbacks(older)
    }

    fn timestamp_signer(&self) -> TimestampSigner {
        let (newest, older) = self.keys.split_first().unwrap();

        TimestampSigner::new(newest, &self.salt).with_fallbacks(older)
    }

    /// Those of a party that was left behind, or is ahead, in a rotation.
    fn of_one_key(&self, which: Index) -> Self {
        Self {
            keys: vec![which.get(&self.keys).clone()],
            salt: self.salt.clone(),
        }
    }

    /// A question about these secrets.
    fn question(&self, call: &str, mut rest: Value) -> Value {
        let question = rest.as_object_mut().unwrap();
        question.insert("call".to_owned(), json!(call));
        question.insert("salt".to_owned(), json!(self.salt));
        question.insert(
            "keys".to_owned(),
            self.keys
                .iter()
                .map(|key| URL_SAFE_NO_PAD.encode(key))
                .collect(),
        );

        rest
    }
}

fn secrets() -> impl Strategy<Value = Secrets> {
    let key = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        prop::collection::vec(any::<u8>(), 64..200),
    ];
    let salt = prop_oneof![any::<String>(), Just("email-confirm-key".to_owned())];

    (prop::collection::vec(key, 1..4), salt).prop_map(|(keys, salt)| Secrets { keys, salt })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => any::<String>(),
        2 => "[a-z0-9.]{1,30}@[a-z]{1,20}\\.com",
        1 => "[a-c]{100,3000}",
        1 => "(user[0-9]{1,3}@example\\.com, ){5,50}",
        1 => "\\PC{100,400}",
        1 => prop::collection::vec(any::<char>(), 100..400).prop_map(String::from_iter),
    ]
}

fn tree(number: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        number,
        text().prop_map(Value::from),
    ];

    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(Value::from_iter),
        ]
    })
}

fn any_value() -> impl Strategy<Value = Value> {
    use prop::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};

    tree((NORMAL | SUBNORMAL | ZERO | POSITIVE | NEGATIVE).prop_map(Value::from))
}

/// Without the floats that `serde_json` reads to the nearest but one only.
fn exact_value() -> impl Strategy<Value = Value> {
    tree((-1_000_000..1_000_000).prop_map(|number| Value::from(f64::from(number) / 64.0)))
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        0..70_000_u64,
        1_600_000_000..2_000_000_000_u64,
        0..=LAST_SECOND
    ]
}

/// What Python answers, or raises, for an error of this crate.
fn python_name(error: Error) -> &'static [&'static str] {
    match error {
        // Without any separator, Python has no timestamp to miss.
        Error::Malformed | Error::BadSignature => &["BadTimeSignature", "BadSignature"],
        Error::SignatureExpired { .. } => &["SignatureExpired"],
        Error::BadPayload => &["BadPayload", "Unicode"],
        other => panic!("{other}"),
    }
}

fn agree<T: PartialEq + std::fmt::Debug>(
    ours: Result<T, Error>,
    theirs: Answer<T>,
) -> Result<(), TestCaseError> {
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
        (Err(ours), Err(theirs)) => prop_assert!(
            python_name(ours).contains(&theirs.as_str()),
            "{:?}, Python: {}",
            ours,
            theirs
        ),
        (ours, theirs) => prop_assert!(false, "{:?}, Python: {:?}", ours, theirs),
    }

    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_signer_signs_and_unsigns_as_python_does(secrets in secrets(), value in text(), which: Index) {
        let mut python = Python::get();
        let signed = secrets.of_one_key(which).signer().sign(&value);

        let theirs = python.ask(&secrets.of_one_key(which).question("sign", json!({ "value": value })));
        prop_assert_eq!(Ok(&signed), theirs.as_ref());

        prop_assert_eq!(secrets.signer().unsign(&signed), Ok(value.as_str()));
        let theirs = python.ask(&secrets.question("unsign", json!({ "signed": signed })));
        prop_assert_eq!(Ok(value), theirs);
    }

    #[test]
    fn the_newest_key_makes_a_bare_signature_as_in_python(secrets in secrets(), value in text()) {
        let ours = secrets.signer().get_signature(&value);

        let theirs = Python::get().ask(&secrets.question("get_signature", json!({ "value": value })));
        prop_assert_eq!(Ok(ours), theirs);
    }

    #[test]
    fn a_timestamp_signer_signs_and_unsigns_as_python_does(secrets in secrets(), value in text(), now in time(), which: Index) {
        let mut python = Python::get();
        let signed = secrets.of_one_key(which).timestamp_signer().sign_at(&value, now);

        let question = json!({ "value": value, "now": now });
        let theirs = python.ask(&secrets.of_one_key(which).question("stamp", question));
        prop_assert_eq!(Ok(&signed), theirs.as_ref());

        prop_assert_eq!(secrets.timestamp_signer().unsign_at(&signed, Some(0), now), Ok((value.as_str(), now)));
        let question = json!({ "signed": signed, "max_age": 0, "now": now });
        let theirs = python.ask(&secrets.question("unstamp", question));
        prop_assert_eq!(Ok((value, now)), theirs);
    }

    #[test]
    fn uncompressed_tokens_are_those_of_python(
        secrets in secrets(),
        value in any_value(),
        now in time(),
        ascii_only: bool,
    ) {
        let mut serializer = secrets.serializer();
        if ascii_only {
            serializer = serializer.ascii_only();
        }

        let ours = serializer.dumps_at(&value, now).unwrap();
        let question = json!({ "value": value, "now": now, "ascii_only": ascii_only });
        let theirs: String = Python::get().ask(&secrets.question("dumps", question)).unwrap();

        // Two compressors need not agree, and Python compresses short payloads too.
        if !theirs.starts_with('.') && !ours.starts_with('.') {
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn each_loads_what_the_other_dumped(
        secrets in secrets(),
        value in exact_value(),
        now in time(),
        which: Index,
        ascii_only: bool,
    ) {
        let mut python = Python::get();
        let signing = secrets.of_one_key(which);
        let mut serializer = signing.serializer();
        if ascii_only {
            serializer = serializer.ascii_only();
        }

        let ours = serializer.dumps_at(&value, now).unwrap();
        let question = json!({ "token": ours, "max_age": 0, "now": now });
        let theirs = python.ask(&secrets.question("loads", question));
        prop_assert_eq!(theirs, Ok((value.clone(), now)));

        let question = json!({ "value": value, "now": now, "ascii_only": ascii_only });
        let theirs: String = python.ask(&signing.question("dumps", question)).unwrap();
        let loaded = secrets.serializer().loads_at::<Value>(&theirs, Some(0), now).unwrap();
        prop_assert_eq!(loaded.value, value);
        prop_assert_eq!(loaded.date_signed, now);
        prop_assert_eq!(
            secrets.keys.get(loaded.key),
            signing.keys.first(),
        );
    }

    #[test]
    fn both_judge_the_age_alike(
        signed_at in 1_000_u64..2_000,
        judged_at in 1_000_u64..2_000,
        max_age in prop::option::of(0_u64..1_000),
        exactly: bool,
    ) {
        let secrets = Secrets { keys: vec![b"key".to_vec()], salt: "salt".to_owned() };
        let judged_at = if exactly { signed_at + max_age.unwrap_or(0) } else { judged_at };
        let token = secrets.serializer().dumps_at("ada", signed_at).unwrap();

        let ours = secrets.serializer().loads_at::<String>(&token, max_age, judged_at);
        let question = json!({ "token": token, "max_age": max_age, "now": judged_at });
        let theirs = Python::get().ask(&secrets.question("loads", question));

        agree(ours.map(|loaded| (loaded.value, loaded.date_signed)), theirs)?;
    }

    #[test]
    fn both_refuse_what_was_changed(
        secrets in secrets(),
        value in text(),
        now in time(),
        position: Index,
        change in "[A-Za-z0-9._-]",
    ) {
        let token = secrets.serializer().dumps_at(&value, now).unwrap();
        let mut changed: Vec<char> = token.chars().collect();
        *position.get_mut(&mut changed) = change.chars().next().unwrap();
        let changed = String::from_iter(changed);
        prop_assume!(changed != token);

        let ours = secrets.serializer().loads_at::<String>(&changed, None, now);
        let question = json!({ "token": changed, "now": now });
        let theirs = Python::get().ask::<(String, u64)>(&secrets.question("loads", question));

        match theirs {
            // Python ignores the bits of the last character that carry nothing.
            Ok(theirs) => {
                prop_assert_eq!((theirs, ours), ((value, now), Err(Error::Malformed)));
                prop_assert_eq!(changed.len() - 1, position.index(changed.len()));
            }
            theirs => agree(ours.map(|loaded| (loaded.value, loaded.date_signed)), theirs)?,
        }
    }

    #[test]
    fn any_spelling_of_a_json_string_is_read_as_python_reads_it(
        parts in prop::collection::vec(
            prop_oneof![
                3 => any::<char>().prop_map(String::from),
                3 => "\\\\u[0-9a-fA-F]{4}",
                2 => "\\\\u[dD][89abAB][0-9a-fA-F]{2}\\\\u[dD][c-fC-F][0-9a-fA-F]{2}",
                1 => "\\\\u[dD][89a-fA-F][0-9a-fA-F]{2}",
                2 => "\\\\[\"\\\\/bfnrtu'x0]",
                2 => "[a-z \"]{1,8}",
            ],
            0..6,
        ),
        before in "[ \t\r\n]{0,3}",
        after in "[ \t\r\n]{0,3}|[ ,\"0]",
    ) {
        let secrets = Secrets { keys: vec![b"key".to_vec()], salt: "salt".to_owned() };
        let json = format!("{before}\"{}\"{after}", parts.concat());
        let token = secrets.timestamp_signer().sign_at(&URL_SAFE_NO_PAD.encode(&json), 1);

        let ours = secrets.serializer().loads_at::<String>(&token, None, 1);
        let theirs = Python::get().ask(&secrets.question("loads", json!({ "token": token })));

        agree(ours.map(|loaded| (loaded.value, loaded.date_signed)), theirs)?;
    }

    #[test]
    fn any_zlib_stream_is_read_as_python_reads_it(
        value in text(),
        level in 0..10_u8,
        window_bits in 9..16_u8,
        dictionary in prop::bool::weighted(0.1),
        tail in prop::collection::vec(any::<u8>(), 0..10),
        cut in prop::option::weighted(0.2, any::<Index>()),
        flip in prop::option::weighted(0.3, any::<(Index, u8)>()),
    ) {
        let mut python = Python::get();
        let secrets = Secrets { keys: vec![b"key".to_vec()], salt: "salt".to_owned() };
        let compressed: String = python
            .ask(&json!({
                "call": "compress",
                "data": URL_SAFE_NO_PAD.encode(serde_json::to_vec(&value).unwrap()),
                "level": level,
                "window_bits": window_bits,
                "dictionary": dictionary,
            }))
            .unwrap();
        let mut stream = URL_SAFE_NO_PAD.decode(compressed).unwrap();
        if let Some((position, bits)) = flip {
            *position.get_mut(&mut stream) ^= bits;
        }
        match cut {
            Some(cut) => stream.truncate(cut.index(stream.len())),
            None => stream.extend(tail),
        }
        let token = secrets.timestamp_signer().sign_at(&format!(".{}", URL_SAFE_NO_PAD.encode(&stream)), 1);

        let ours = secrets.serializer().loads_at::<String>(&token, None, 1);
        let theirs = python.ask(&secrets.question("loads", json!({ "token": token })));

        agree(ours.map(|loaded| (loaded.value, loaded.date_signed)), theirs)?;
    }
}
