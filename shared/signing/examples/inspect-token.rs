//! Says what is in a token of the sign-up service, for support staff:
//!
//! ```console
//! cargo run -p signing --example inspect-token -- TOKEN
//! ```
//!
//! With the key in `SECRET_KEY`, and older ones in `SECRET_KEY_FALLBACKS` (comma-separated, newest first), it also says
//! whether the token verifies and by which of them. It prints no key.

use std::env;
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::Value;
use signing::UrlSafeTimedSerializer;

/// The purposes of the service's tokens and their salts.
const KINDS: [(&str, &str); 2] = [
    ("sign-up", "email-confirm-key"),
    ("change of address", "email-update-key"),
];

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let (Some(token), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: inspect-token TOKEN");
        eprintln!(
            "Give it the last part of the link; SECRET_KEY and SECRET_KEY_FALLBACKS, if set, verify it."
        );
        return ExitCode::from(2);
    };

    match inspect(token.trim(), &keys()) {
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

fn inspect(token: &str, keys: &Keys) -> Result<String, signing::Error> {
    let (payload, date_signed) = UrlSafeTimedSerializer::loads_unverified::<Value>(token)?;

    Ok(format!(
        "made:      {}\nkind:      {}\npayload:   {payload}\nsignature: {}\n",
        rfc_3339(date_signed),
        kind(&payload),
        verdict(token, keys),
    ))
}

/// Without the key, the shape of the payload has to tell.
fn kind(payload: &Value) -> String {
    let name = match payload {
        Value::String(_) => "sign-up",
        Value::Array(addresses)
            if addresses.len() == 2 && addresses.iter().all(Value::is_string) =>
        {
            "change of address"
        }
        _ => return "none of this service".to_owned(),
    };

    format!("{name}, by its shape")
}

fn verdict(token: &str, keys: &Keys) -> String {
    if keys.is_empty() {
        return "not checked, SECRET_KEY is not set".to_owned();
    }

    for (name, key) in keys {
        for (kind, salt) in KINDS {
            let serializer = UrlSafeTimedSerializer::new(key.as_bytes(), salt);
            if serializer.loads::<Value>(token, None).is_ok() {
                return format!(
                    "good, a {kind} token (salt {salt}) by {name}; its age was not judged"
                );
            }
        }
    }

    format!("bad by each of {} keys, for any kind of token", keys.len())
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

    fn sign_up(key: &str) -> String {
        UrlSafeTimedSerializer::new(key.as_bytes(), "email-confirm-key")
            .dumps_at("ada@example.com", 1_700_000_000)
            .unwrap()
    }

    #[test]
    fn without_a_key_the_shape_tells_the_kind() {
        let report = inspect(&sign_up("any key"), &Keys::new()).unwrap();

        assert_eq!(
            report,
            "made:      2023-11-14T22:13:20Z\n\
             kind:      sign-up, by its shape\n\
             payload:   \"ada@example.com\"\n\
             signature: not checked, SECRET_KEY is not set\n"
        );
    }

    #[test]
    fn a_key_verifies_and_is_named_but_not_shown() {
        let newest = inspect(&sign_up("the newest key"), &some_keys()).unwrap();
        let older = inspect(&sign_up("an older key"), &some_keys()).unwrap();

        assert!(newest.contains("good, a sign-up token (salt email-confirm-key) by SECRET_KEY;"));
        assert!(older.contains("by number 1 of SECRET_KEY_FALLBACKS;"));
        assert!(!newest.contains("the newest key") && !older.contains("an older key"));
    }

    #[test]
    fn a_change_of_address_is_told_from_a_sign_up() {
        let token = UrlSafeTimedSerializer::new(b"the newest key", "email-update-key")
            .dumps(&["ada@example.com", "ada@example.org"])
            .unwrap();

        let report = inspect(&token, &some_keys()).unwrap();

        assert!(report.contains("kind:      change of address, by its shape\n"));
        assert!(report.contains("good, a change of address token (salt email-update-key)"));
    }

    #[test]
    fn a_forged_token_and_a_foreign_one_are_called_so() {
        let foreign = UrlSafeTimedSerializer::new(b"the newest key", "sessions")
            .dumps(&42)
            .unwrap();

        let forged = inspect(&sign_up("a guessed key"), &some_keys()).unwrap();
        let foreign = inspect(&foreign, &some_keys()).unwrap();

        assert!(forged.contains("signature: bad by each of 2 keys"));
        assert!(foreign.contains("kind:      none of this service\n"));
        assert!(foreign.contains("signature: bad by each of 2 keys"));
    }

    #[test]
    fn a_time_beyond_the_calendar_is_given_in_seconds() {
        let token = UrlSafeTimedSerializer::new(b"key", "salt")
            .dumps_at("ada", u64::MAX)
            .unwrap();

        let report = inspect(&token, &Keys::new()).unwrap();

        assert!(report.contains("made:      18446744073709551615 seconds after 1970\n"));
    }

    #[test]
    fn what_is_no_token_is_called_so() {
        assert_eq!(
            inspect("hello", &some_keys()),
            Err(signing::Error::Malformed)
        );
    }
}
