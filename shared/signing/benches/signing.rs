//! A token for a short address, next to the HMAC-SHA1 that it cannot do without and to another crate.
//!
//! `cargo bench -p signing` runs this; `benches/time_python.py` times Python.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit, Mac};
use itsdangerous::{IntoTimestampSigner, TimedSerializer};
use sha1::Sha1;
use signing::UrlSafeTimedSerializer;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const SALT: &str = "email-confirm-key";
const ADDRESS: &str = "grace.hopper1@example.com";

/// What is signed for the address: payload, separator and timestamp.
const SIGNED_PART: &str = "ImdyYWNlLmhvcHBlcjFAZXhhbXBsZS5jb20i.ZVPxAA";

fn sign(criterion: &mut Criterion) {
    let hmac = Hmac::<Sha1>::new_from_slice(KEY.as_bytes()).unwrap();
    let ours = UrlSafeTimedSerializer::new(KEY.as_bytes(), SALT);
    let theirs = other_crate();

    let mut group = criterion.benchmark_group("sign");
    group.bench_function("hmac-sha1 alone", |bencher| {
        bencher.iter(|| hmac.clone().chain_update(black_box(SIGNED_PART)).finalize());
    });
    group.bench_function("signing", |bencher| {
        bencher.iter(|| ours.dumps(black_box(ADDRESS)).unwrap());
    });
    group.bench_function("itsdangerous 0.4.1", |bencher| {
        bencher.iter(|| theirs.sign(black_box(&ADDRESS)).unwrap());
    });
}

fn verify(criterion: &mut Criterion) {
    let hmac = Hmac::<Sha1>::new_from_slice(KEY.as_bytes()).unwrap();
    let ours = UrlSafeTimedSerializer::new(KEY.as_bytes(), SALT);
    let theirs = other_crate();
    let token = ours.dumps(ADDRESS).unwrap();

    let mut group = criterion.benchmark_group("verify");
    group.bench_function("hmac-sha1 alone", |bencher| {
        bencher.iter(|| hmac.clone().chain_update(black_box(SIGNED_PART)).finalize());
    });
    group.bench_function("signing", |bencher| {
        bencher.iter(|| {
            ours.loads::<String>(black_box(&token), Some(86_400))
                .unwrap()
        });
    });
    group.bench_function("itsdangerous 0.4.1", |bencher| {
        bencher.iter(|| {
            let unsigned = theirs.unsign::<String>(black_box(&token)).unwrap();

            unsigned
                .value_if_not_expired(Duration::from_hours(24))
                .unwrap()
        });
    });
}

fn other_crate() -> impl TimedSerializer {
    let signer = itsdangerous::default_builder(KEY).with_salt(SALT).build();

    itsdangerous::timed_serializer_with_signer(
        signer.into_timestamp_signer(),
        itsdangerous::URLSafeEncoding,
    )
}

criterion_group!(benches, sign, verify);
criterion_main!(benches);
