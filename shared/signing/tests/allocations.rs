//! A short token costs one allocation: its result.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::io::Write;

use allocation_counter::measure;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use signing::{MAX_DECOMPRESSED, Signer, TimestampSigner, UrlSafeTimedSerializer};

const ADDRESS: &str = "grace.hopper1@example.com";

#[test]
fn signing_a_short_value_allocates_its_token_only() {
    let serializer = UrlSafeTimedSerializer::new(b"key", "salt");
    let signer = Signer::new(b"key", "salt");
    let timestamp_signer = TimestampSigner::new(b"key", "salt");
    let longest = "a".repeat(125);

    for value in [ADDRESS, &longest] {
        let dumps = measure(|| drop(black_box(serializer.dumps(value))));
        let sign = measure(|| drop(black_box(signer.sign(value))));
        let stamp = measure(|| drop(black_box(timestamp_signer.sign(value))));

        assert_eq!(
            (dumps.count_total, sign.count_total, stamp.count_total),
            (1, 1, 1)
        );
    }
}

#[test]
fn verifying_a_short_token_allocates_its_value_only() {
    let serializer = UrlSafeTimedSerializer::new(b"key", "salt").with_fallbacks(["older"]);
    let old = UrlSafeTimedSerializer::new(b"older", "salt");
    let longest = "a".repeat(125);

    for value in [ADDRESS, &longest] {
        for token in [serializer.dumps(value).unwrap(), old.dumps(value).unwrap()] {
            let loads = measure(|| drop(black_box(serializer.loads::<String>(&token, Some(60)))));

            assert_eq!(loads.count_total, 1);
            assert_eq!(loads.bytes_total, u64::try_from(value.len()).unwrap());
        }
    }
}

#[test]
fn verifying_allocates_nothing_where_the_value_owns_nothing() {
    let serializer = UrlSafeTimedSerializer::new(b"key", "salt");
    let number = serializer.dumps(&42).unwrap();
    let signer = TimestampSigner::new(b"key", "salt");
    let stamped = signer.sign(ADDRESS);

    let loads = measure(|| drop(black_box(serializer.loads::<u64>(&number, Some(60)))));
    let unsign = measure(|| {
        let _ = black_box(signer.unsign(&stamped, Some(60)));
    });

    assert_eq!((loads.count_total, unsign.count_total), (0, 0));
}

#[test]
fn refusing_a_forged_or_expired_token_allocates_nothing() {
    let serializer = UrlSafeTimedSerializer::new(b"key", "salt");
    let forged = UrlSafeTimedSerializer::new(b"another", "salt")
        .dumps(ADDRESS)
        .unwrap();
    let expired = serializer.dumps_at(ADDRESS, 1).unwrap();
    let huge = "a.".repeat(1 << 20);

    for token in [&forged, &expired, &huge] {
        let loads = measure(|| drop(black_box(serializer.loads::<String>(token, Some(60)))));

        assert_eq!(loads.count_total, 0);
    }
}

#[test]
fn a_decompression_bomb_gets_no_more_memory_than_an_honest_payload() {
    let mut bomb = ZlibEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 50 << 20]).unwrap();
    let bomb = format!(".{}", URL_SAFE_NO_PAD.encode(bomb.finish().unwrap()));
    let token = TimestampSigner::new(b"key", "salt").sign(&bomb);
    let serializer = UrlSafeTimedSerializer::new(b"key", "salt");

    let loads = measure(|| drop(black_box(serializer.loads::<String>(&token, Some(60)))));

    let decompressor = 64 * 1024;
    let most = token.len() + MAX_DECOMPRESSED + 1 + decompressor;
    assert!(loads.bytes_max < u64::try_from(most).unwrap(), "{loads:?}");
}
