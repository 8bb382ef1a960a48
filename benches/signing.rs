//! What a token costs: a signature by aws-lc-rs without anything of the proxy's, a token that is signed anew, and one that is given
//! again.
//!
//! The bars: a new RS256 token costs at most 1.05 times the signature in it, one of EdDSA or ES256 1.25 times.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

use std::hint::black_box;

use convex_auth_proxy::{
    bench::{RawKey, check_token, minter, session},
    clock::Now,
    keys::{Algorithm, SigningKey},
    token::{Freshness, Outcome},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// The product's allocator: beside an Ed25519 signature the system's is not small.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Es256];

fn sign(criterion: &mut Criterion) {
    for algorithm in ALGORITHMS {
        let key = SigningKey::generate(algorithm).expect("a key");
        let minter = minter(&key);
        let now = Now::read().wall;
        let session = session(now, "7a1f6c1e-4f0b-4a52-9a57-0c6a5e5d9b11");

        let (minted, _) = minter.for_session(&session, Freshness::Forced, now).expect("a token");
        check_token(minted.token(), &key, &session.user_id).expect("a token that others accept");
        let (signed, _) = minted.token().rsplit_once('.').expect("a signature");
        let (again, outcome) = minter.for_session(&session, Freshness::Reuse, now).expect("a token");
        assert_eq!((again.token(), outcome), (minted.token(), Outcome::Reused));
        let mut raw = RawKey::new(&key).expect("a key that aws-lc takes");
        assert!(raw.proves_itself(signed.as_bytes()));

        let mut group = criterion.benchmark_group(format!("sign {algorithm}"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("signature by aws-lc-rs alone", |bencher| {
            bencher.iter(|| raw.sign(black_box(signed.as_bytes())));
        });
        group.bench_function("token, new", |bencher| {
            bencher.iter(|| minter.for_session(black_box(&session), Freshness::Forced, now).expect("a token"));
        });
        group.bench_function("token, given again", |bencher| {
            bencher.iter(|| minter.for_session(black_box(&session), Freshness::Reuse, now).expect("a token"));
        });
        group.bench_function("bearer, read", |bencher| {
            bencher.iter(|| minter.read_bearer(black_box(minted.token())));
        });
        group.finish();
    }
}

fn generate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("generate");
    group.sample_size(20);
    for algorithm in ALGORITHMS {
        group.bench_function(algorithm.name(), |bencher| {
            bencher.iter(|| SigningKey::generate(algorithm).expect("a key"))
        });
    }
    group.finish();
}

criterion_group!(benches, sign, generate);
criterion_main!(benches);
