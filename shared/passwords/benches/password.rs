//! Hashing a password, beside the argon2 crate with memory that is allocated afresh; Python's time is printed by
//! `python3 benches/time_python.py`.
#![allow(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

use argon2::{Algorithm, Argon2, Block, Params, Version};
use criterion::{Criterion, criterion_group, criterion_main};
use passwords::Password;

const PASSWORD: &str = "correct horse battery staple";
const SALT: &[u8] = b"sixteen byte salt";

fn argon2() -> Argon2<'static> {
    let params = Params::new(19_456, 2, 1, None).unwrap();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn password(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("password");
    group.sample_size(20);

    let ours = Password::parse(PASSWORD, &[]).unwrap();
    group.bench_function("ours", |bencher| bencher.iter(|| ours.hash().unwrap()));

    let mut memory = vec![Block::default(); argon2().params().block_count()];
    group.bench_function("argon2, memory kept", |bencher| {
        bencher.iter(|| {
            let mut hash = [0; 32];
            argon2()
                .hash_password_into_with_memory(PASSWORD.as_bytes(), SALT, &mut hash, &mut memory)
                .unwrap();
            hash
        });
    });
    group.bench_function("argon2, fresh memory", |bencher| {
        bencher.iter(|| {
            let mut hash = [0; 32];
            argon2()
                .hash_password_into(PASSWORD.as_bytes(), SALT, &mut hash)
                .unwrap();
            hash
        });
    });

    // All else that a sign-up does with a password: Unicode's normalisation, and the search among the common ones.
    group.bench_function("parse", |bencher| {
        bencher.iter(|| Password::parse(PASSWORD, &[]).unwrap());
    });
}

criterion_group!(benches, password);
criterion_main!(benches);
