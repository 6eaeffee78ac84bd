//! Says what is in a token, for support staff:
//!
//! ```console
//! cargo run -p signing --example inspect-token -- [--salt SALT]... TOKEN
//! ```
//!
//! With the key in `SECRET_KEY`, and older ones in `SECRET_KEY_FALLBACKS` (comma-separated, newest first), and the salts
//! that the token may have been made with, it also says whether the token verifies, and with which of them. It prints no
//! key.

use std::env;
use std::process::ExitCode;

use jiff::Timestamp;
use lexopt::Arg::{Long, Value};
use lexopt::{Parser, ValueExt as _};
use signing::UrlSafeTimedSerializer;

const USAGE: &str = "\
usage: inspect-token [--salt SALT]... TOKEN
Give it the last part of the link. With a salt, or several, SECRET_KEY and SECRET_KEY_FALLBACKS verify it.";

fn main() -> ExitCode {
    let arguments = match Arguments::parse(Parser::from_env()) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };

    match inspect(arguments.token.trim(), &arguments.salts, &keys()) {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    salts: Vec<String>,
    token: String,
}

impl Arguments {
    fn parse(mut parser: Parser) -> Result<Self, lexopt::Error> {
        let mut salts = Vec::new();
        let mut token = None;
        while let Some(argument) = parser.next()? {
            match argument {
                Long("salt") => salts.push(parser.value()?.string()?),
                Value(value) if token.is_none() => token = Some(value.string()?),
                unexpected => return Err(unexpected.unexpected()),
            }
        }

        Ok(Self {
            salts,
            token: token.ok_or("no token")?,
        })
    }
}

/// Names of keys for people, and the keys, newest first.
type Keys = Vec<(String, String)>;

fn keys() -> Keys {
    let older = env::var("SECRET_KEY_FALLBACKS").unwrap_or_default();
    let newest = env::var("SECRET_KEY")
        .ok()
        .map(|key| ("SECRET_KEY".to_owned(), key));
    let older = older.split(',').enumerate().map(|(index, key)| {
        (
            format!("number {} of SECRET_KEY_FALLBACKS", index + 1),
            key.to_owned(),
        )
    });

    newest
        .into_iter()
        .chain(older)
        .filter(|(_, key)| !key.is_empty())
        .collect()
}

fn inspect(token: &str, salts: &[String], keys: &Keys) -> Result<String, signing::Error> {
    let (payload, date_signed) =
        UrlSafeTimedSerializer::loads_unverified::<serde_json::Value>(token)?;

    Ok(format!(
        "made:      {}\npayload:   {payload}\nsignature: {}\n",
        rfc_3339(date_signed),
        describe_signature(token, salts, keys),
    ))
}

fn describe_signature(token: &str, salts: &[String], keys: &Keys) -> String {
    if keys.is_empty() {
        return "not checked, SECRET_KEY is not set".to_owned();
    }
    if salts.is_empty() {
        return "not checked, no --salt was given".to_owned();
    }

    for (name, key) in keys {
        for salt in salts {
            let serializer = UrlSafeTimedSerializer::new(key.as_bytes(), salt);
            if serializer.loads::<serde_json::Value>(token, None).is_ok() {
                return format!("good, with salt {salt} by {name}; its age was not judged");
            }
        }
    }

    format!(
        "bad; keys tried: {}, each with salt {}",
        keys.len(),
        salts.join(", ")
    )
}

fn rfc_3339(epoch_seconds: u64) -> String {
    i64::try_from(epoch_seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(
            || format!("{epoch_seconds} seconds after 1970"),
            |time| time.to_string(),
        )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn some_keys() -> Keys {
        vec![
            ("SECRET_KEY".to_owned(), "the newest key".to_owned()),
            (
                "number 1 of SECRET_KEY_FALLBACKS".to_owned(),
                "an older key".to_owned(),
            ),
        ]
    }

    fn some_salts() -> Vec<String> {
        vec!["activate".to_owned(), "recover".to_owned()]
    }

    fn token(key: &str, salt: &str) -> String {
        UrlSafeTimedSerializer::new(key.as_bytes(), salt)
            .dumps_at("ada@example.com", 1_700_000_000)
            .unwrap()
    }

    #[test]
    fn without_a_key_or_a_salt_the_signature_is_not_checked() {
        let token = token("any key", "activate");

        assert_eq!(
            inspect(&token, &some_salts(), &Keys::new()).unwrap(),
            "made:      2023-11-14T22:13:20Z\n\
             payload:   \"ada@example.com\"\n\
             signature: not checked, SECRET_KEY is not set\n"
        );
        let report = inspect(&token, &[], &some_keys()).unwrap();
        assert!(report.contains("signature: not checked, no --salt was given\n"));
    }

    #[test]
    fn a_key_verifies_and_is_named_but_not_shown() {
        let inspect = |key| inspect(&token(key, "activate"), &some_salts(), &some_keys()).unwrap();

        let (newest, older) = (inspect("the newest key"), inspect("an older key"));

        assert!(newest.contains("good, with salt activate by SECRET_KEY;"));
        assert!(older.contains("by number 1 of SECRET_KEY_FALLBACKS;"));
        assert!(!newest.contains("the newest key") && !older.contains("an older key"));
    }

    #[test]
    fn the_salt_that_verifies_is_told_from_the_others() {
        let token = token("the newest key", "recover");

        let report = inspect(&token, &some_salts(), &some_keys()).unwrap();

        assert!(report.contains("good, with salt recover by SECRET_KEY;"));
    }

    #[test]
    fn a_token_of_another_key_or_salt_is_bad() {
        for token in [
            token("a guessed key", "activate"),
            token("the newest key", "sessions"),
        ] {
            let report = inspect(&token, &some_salts(), &some_keys()).unwrap();

            assert!(
                report
                    .contains("signature: bad; keys tried: 2, each with salt activate, recover\n")
            );
        }
    }

    #[test]
    fn salts_are_options_and_the_token_stands_alone() {
        let parse = |arguments: &[&str]| Arguments::parse(Parser::from_args(arguments));

        let arguments = parse(&["--salt", "activate", "a.b.c", "--salt=recover"]).unwrap();

        assert_eq!(arguments.token, "a.b.c");
        assert_eq!(arguments.salts, some_salts());
        assert!(parse(&[]).is_err());
        assert!(parse(&["a.b.c", "d.e.f"]).is_err());
        assert!(parse(&["--salt", "activate"]).is_err());
        assert!(parse(&["--key", "activate", "a.b.c"]).is_err());
    }

    #[test]
    fn a_time_beyond_the_calendar_is_given_in_seconds() {
        let token = UrlSafeTimedSerializer::new(b"key", "salt")
            .dumps_at("ada", u64::MAX)
            .unwrap();

        let report = inspect(&token, &[], &Keys::new()).unwrap();

        assert!(report.contains("made:      18446744073709551615 seconds after 1970\n"));
    }

    #[test]
    fn what_is_no_token_is_called_so() {
        assert_eq!(
            inspect("hello", &some_salts(), &some_keys()),
            Err(signing::Error::Malformed)
        );
    }
}
