//! What is refused, and why.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::{DeflateEncoder, ZlibEncoder};
use signing::{Error, Loaded, MAX_DECOMPRESSED, Signer, TimestampSigner, UrlSafeTimedSerializer};

const KEY: &[u8] = b"a secret key";
const NOW: u64 = 1_700_000_000;

fn serializer() -> UrlSafeTimedSerializer {
    UrlSafeTimedSerializer::new(KEY, "salt")
}

fn loads(token: &str) -> Result<Loaded<String>, Error> {
    serializer().loads_at(token, None, NOW)
}

/// A genuine signature over any payload at all.
fn token_of(payload: &str) -> String {
    TimestampSigner::new(KEY, "salt").sign_at(payload, NOW)
}

fn token_of_json(json: &[u8]) -> String {
    token_of(&URL_SAFE_NO_PAD.encode(json))
}

fn token_of_zlib(compressed: &[u8]) -> String {
    token_of(&format!(".{}", URL_SAFE_NO_PAD.encode(compressed)))
}

fn zlib(json: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(json).unwrap();

    encoder.finish().unwrap()
}

#[test]
fn what_lacks_a_part_of_a_token_is_malformed() {
    let untimed = Signer::new(KEY, "salt").sign("ImFkYSI");

    for token in [
        "",
        ".",
        "..",
        "...",
        "ImFkYSI",
        "ImFkYSI.ZVPxAA",
        untimed.as_str(),
    ] {
        assert_eq!(loads(token), Err(Error::Malformed), "{token}");
    }
}

#[test]
fn a_signature_of_the_wrong_size_is_malformed() {
    let token = token_of_json(b"\"ada\"");
    let cut: String = token.chars().take(token.len() - 1).collect();

    assert_eq!(loads(&cut), Err(Error::Malformed));
    assert_eq!(loads(&format!("{token}A")), Err(Error::Malformed));
    assert_eq!(loads(&format!("{token}AAAA")), Err(Error::Malformed));
}

#[test]
fn another_key_or_salt_is_a_bad_signature() {
    let token = token_of_json(b"\"ada\"");

    for other in [
        UrlSafeTimedSerializer::new(b"another key", "salt"),
        UrlSafeTimedSerializer::new(KEY, "another salt"),
    ] {
        let loaded = other.loads_at::<String>(&token, None, NOW);

        assert_eq!(loaded, Err(Error::BadSignature));
    }
}

#[test]
fn a_signature_has_one_spelling() {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let token = token_of_json(b"\"ada\"");
    let stem: String = token.chars().take(token.len() - 1).collect();

    let spellings = alphabet
        .chars()
        .filter(|last| loads(&format!("{stem}{last}")).is_ok())
        .count();

    assert_eq!(spellings, 1);
}

#[test]
fn a_signature_that_is_not_base64_is_malformed() {
    let token = token_of_json(b"\"ada\"");
    let stem: String = token.chars().take(token.len() - 1).collect();

    for last in ['+', '/', '=', ' ', '!', '\0'] {
        assert_eq!(loads(&format!("{stem}{last}")), Err(Error::Malformed));
    }
}

#[test]
fn base64_that_python_would_repair_is_refused() {
    let token = token_of_json(b"\"ada\"");
    for repaired in [
        format!("{token}="),
        format!("{token}\n"),
        format!(" {token}"),
        format!("{token} "),
        token.replacen('.', "=.", 1),
        token.replacen('.', "!.", 1),
    ] {
        assert!(loads(&repaired).is_err(), "{repaired}");
    }
    // The same, with a signature that vouches for it.
    for payload in [
        "ImFkYSI=",
        "ImFkYSI\n",
        "ImFk!YSI",
        "ImFkYSJ",
        "Im FkYSI",
        "ImFkYSI.",
        "ImFkYSI+",
    ] {
        assert_eq!(
            loads(&token_of(payload)),
            Err(Error::BadPayload),
            "{payload}"
        );
    }
    for timestamp in ["ZVPxAA=", "ZVPxAB", "ZV PxAA", "ZVPxA"] {
        let token = Signer::new(KEY, "salt").sign(&format!("ImFkYSI.{timestamp}"));
        assert_eq!(loads(&token), Err(Error::Malformed), "{timestamp}");
    }
}

#[test]
fn a_timestamp_has_eight_bytes_at_most() {
    let stamped = |bytes: &[u8]| {
        let timestamp = URL_SAFE_NO_PAD.encode(bytes);
        loads(&Signer::new(KEY, "salt").sign(&format!("ImFkYSI.{timestamp}")))
    };

    assert_eq!(stamped(&[0xff; 8]).unwrap().date_signed, u64::MAX);
    assert_eq!(stamped(&[]).unwrap().date_signed, 0);
    assert_eq!(stamped(&[0; 9]), Err(Error::Malformed));
    assert_eq!(stamped(&[0xff; 4000]), Err(Error::Malformed));
}

#[test]
fn an_age_of_exactly_max_age_passes_and_a_second_more_does_not() {
    let token = token_of_json(b"\"ada\"");
    let at = |now| {
        serializer()
            .loads_at::<String>(&token, Some(60), now)
            .map(|loaded| loaded.date_signed)
    };

    assert_eq!(at(NOW), Ok(NOW));
    assert_eq!(at(NOW + 60), Ok(NOW));
    assert_eq!(
        at(NOW + 61),
        Err(Error::SignatureExpired { date_signed: NOW })
    );
    assert_eq!(
        at(u64::MAX),
        Err(Error::SignatureExpired { date_signed: NOW })
    );
}

#[test]
fn a_token_from_the_future_is_refused_only_if_its_age_is_asked_for() {
    let token = token_of_json(b"\"ada\"");
    let at = |max_age| serializer().loads_at::<String>(&token, max_age, NOW - 1);

    assert_eq!(
        at(Some(60)),
        Err(Error::SignatureExpired { date_signed: NOW })
    );
    assert_eq!(
        at(Some(u64::MAX)),
        Err(Error::SignatureExpired { date_signed: NOW })
    );
    assert!(at(None).is_ok());
}

#[test]
fn a_bad_signature_is_never_reported_as_expired() {
    let token = UrlSafeTimedSerializer::new(b"another key", "salt")
        .dumps_at("ada", NOW)
        .unwrap();

    let loaded = serializer().loads_at::<String>(&token, Some(1), NOW + 100);

    assert_eq!(loaded, Err(Error::BadSignature));
}

#[test]
fn the_clock_is_read_where_no_time_is_given() {
    let serializer = serializer();
    let fresh = serializer.dumps("ada").unwrap();
    let old = serializer.dumps_at("ada", NOW).unwrap();

    assert_eq!(
        serializer.loads::<String>(&fresh, Some(60)).unwrap().value,
        "ada"
    );
    assert_eq!(
        serializer.loads::<String>(&old, Some(60)),
        Err(Error::SignatureExpired { date_signed: NOW })
    );

    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let made = serializer
        .loads::<String>(&fresh, None)
        .unwrap()
        .date_signed;
    assert!(made.abs_diff(now) < 60);

    let signer = TimestampSigner::new(KEY, "salt");
    let stamped = signer.sign("ada");

    assert_eq!(signer.unsign(&stamped, Some(60)).unwrap().0, "ada");
    assert_eq!(
        signer.unsign(&signer.sign_at("ada", NOW), Some(60)),
        Err(Error::SignatureExpired { date_signed: NOW })
    );
}

#[test]
fn a_key_list_signs_with_the_newest_and_says_which_key_verified() {
    let keys: [&[u8]; 3] = [b"newest", b"older", b"oldest"];
    let list = UrlSafeTimedSerializer::new(b"newest", "salt").with_fallbacks(["older", "oldest"]);

    for (index, key) in keys.into_iter().enumerate() {
        let token = UrlSafeTimedSerializer::new(key, "salt")
            .dumps_at("ada", NOW)
            .unwrap();

        let loaded = list.loads_at::<String>(&token, Some(0), NOW).unwrap();

        assert_eq!(loaded.key, index);
    }
    let newest = UrlSafeTimedSerializer::new(b"newest", "salt");
    assert_eq!(list.dumps_at("ada", NOW), newest.dumps_at("ada", NOW));
    let foreign = UrlSafeTimedSerializer::new(b"foreign", "salt")
        .dumps_at("ada", NOW)
        .unwrap();
    assert_eq!(
        list.loads_at::<String>(&foreign, None, NOW),
        Err(Error::BadSignature)
    );
}

#[test]
fn json_that_is_not_the_type_asked_for_is_a_bad_payload() {
    for json in [
        "null",
        "1",
        "[\"ada\"]",
        "{}",
        "",
        " ",
        "\"ada",
        "\"ada\" \"bob\"",
        "NaN",
        "'ada'",
    ] {
        let loaded = loads(&token_of_json(json.as_bytes()));

        assert_eq!(loaded, Err(Error::BadPayload), "{json}");
    }
}

#[test]
fn text_that_is_not_unicode_is_a_bad_payload() {
    for json in [
        br#""\ud83e""#.as_slice(),
        br#""\udd80\ud83e""#,
        br#""\ud83ex""#,
        b"\"\xff\"",
        b"\"\xed\xa0\x80\"",
        b"\"\n\"",
    ] {
        assert_eq!(
            loads(&token_of_json(json)),
            Err(Error::BadPayload),
            "{json:?}"
        );
    }
}

#[test]
fn one_whole_zlib_stream_is_read_whatever_follows_it() {
    let whole = zlib(b"\"ada\"");
    let mut tailed = whole.clone();
    tailed.extend_from_slice(b"tail");

    assert_eq!(loads(&token_of_zlib(&whole)).unwrap().value, "ada");
    assert_eq!(loads(&token_of_zlib(&tailed)).unwrap().value, "ada");
}

#[test]
fn a_damaged_zlib_stream_is_a_bad_payload() {
    let whole = zlib(b"\"ada\"");
    for len in 0..whole.len() {
        let cut: Vec<u8> = whole.iter().copied().take(len).collect();

        assert_eq!(loads(&token_of_zlib(&cut)), Err(Error::BadPayload), "{len}");
    }

    let mut wrong_checksum = whole.clone();
    *wrong_checksum.last_mut().unwrap() ^= 1;
    assert_eq!(
        loads(&token_of_zlib(&wrong_checksum)),
        Err(Error::BadPayload)
    );
}

#[test]
fn other_formats_than_zlib_are_a_bad_payload() {
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::best());
    raw.write_all(b"\"ada\"").unwrap();

    assert_eq!(
        loads(&token_of_zlib(&raw.finish().unwrap())),
        Err(Error::BadPayload)
    );

    // zlib.compressobj(zdict=b"ada") of Python over "ada" in quotes.
    let with_dictionary = [
        0x78, 0xbb, 0x02, 0x4f, 0x01, 0x27, 0x53, 0x4a, 0x04, 0x62, 0x00, 0x04, 0x43, 0x01, 0x6b,
    ];
    assert_eq!(
        loads(&token_of_zlib(&with_dictionary)),
        Err(Error::BadPayload)
    );
}

#[test]
fn decompression_stops_at_its_bound() {
    let json = |len: usize| format!("\"{}\"", "a".repeat(len - 2)).into_bytes();

    let longest = loads(&token_of_zlib(&zlib(&json(MAX_DECOMPRESSED))));
    let longer = loads(&token_of_zlib(&zlib(&json(MAX_DECOMPRESSED + 1))));
    let bomb = loads(&token_of_zlib(&zlib(&json(100 << 20))));

    assert_eq!(longest.unwrap().value.len(), MAX_DECOMPRESSED - 2);
    assert_eq!(longer, Err(Error::BadPayload));
    assert_eq!(bomb, Err(Error::BadPayload));
}

#[test]
fn what_is_too_long_to_be_decompressed_is_not_compressed() {
    for len in [MAX_DECOMPRESSED - 2, MAX_DECOMPRESSED - 1, 1 << 20] {
        let value = "a".repeat(len);

        let token = serializer().dumps_at(&value, NOW).unwrap();

        assert_eq!(token.starts_with('.'), len == MAX_DECOMPRESSED - 2);
        assert_eq!(loads(&token).unwrap().value, value);
    }
}

#[test]
fn json_under_128_bytes_is_never_compressed() {
    let dumps = |len: usize| serializer().dumps_at(&"a".repeat(len - 2), NOW).unwrap();

    assert!(!dumps(127).starts_with('.'));
    assert!(dumps(128).starts_with('.'));
}

#[test]
fn compression_has_to_save_two_bytes() {
    // No two characters come twice in a row, so this does not compress; the tail does, more and more.
    let unlike: String = (0..89)
        .map(|place| place * 37 % 89)
        .chain((0..40).map(|place| place * 53 % 89))
        .filter_map(|step| char::from_u32(u32::from('#') + step))
        .filter(|&character| character != '\\')
        .collect();
    let mut savings = Vec::new();
    for alike in 0..100 {
        let value = format!("{unlike}{}", "a".repeat(alike));
        let json = serde_json::to_vec(&value).unwrap();
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&json).unwrap();
        let compressed = encoder.finish().unwrap();

        let token = serializer().dumps_at(&value, NOW).unwrap();

        assert_eq!(token.starts_with('.'), compressed.len() + 2 <= json.len());
        savings.push(json.len().checked_signed_diff(compressed.len()));
    }
    assert!(
        savings.contains(&Some(1)) && savings.contains(&Some(2)),
        "{savings:?}"
    );
}

#[test]
fn a_value_without_a_json_form_is_not_signed() {
    let pairs = std::collections::HashMap::from([((1, 2), 3)]);

    assert_eq!(
        serializer().dumps_at(&pairs, NOW),
        Err(Error::Unserializable)
    );
}

#[test]
fn an_unverified_look_reads_what_anybody_wrote() {
    let token = UrlSafeTimedSerializer::new(b"another key", "salt")
        .dumps_at("ada", NOW)
        .unwrap();
    let unverified = UrlSafeTimedSerializer::loads_unverified::<String>;

    assert_eq!(unverified(&token), Ok(("ada".to_owned(), NOW)));
    assert_eq!(unverified("ada"), Err(Error::Malformed));
    assert_eq!(unverified("ada.bob"), Err(Error::Malformed));
    assert_eq!(unverified("ada.ZVPxAA.x"), Err(Error::BadPayload));
}

#[test]
fn debug_and_errors_show_no_key() {
    let serializer =
        UrlSafeTimedSerializer::new(b"secret", "salt").with_fallbacks(["older secret"]);

    assert_eq!(
        format!("{serializer:?}"),
        "UrlSafeTimedSerializer { signer: TimestampSigner { signer: Signer { keys: 2, .. } }, ascii_only: false }"
    );
    assert_eq!(
        Error::BadSignature.to_string(),
        "the signature does not match"
    );
}
