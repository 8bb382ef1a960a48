//! What a token costs: a bare signature, a token that is signed anew, and one that is given again.
//!
//! The bar: a new RS256 token costs at most 1.05 times the signature in it.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

use std::{hint::black_box, time::Duration};

use convex_auth_proxy::{
    clock::UnixMillis,
    keys::{Algorithm, SigningKey},
    secret::Secret,
    session::{LiveSession, Profile, SessionKeys, SessionToken},
    token::{Freshness, Minter, MinterSettings, Outcome},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jsonwebtoken::{DecodingKey, Validation, jwk::Jwk};

const NOW: UnixMillis = UnixMillis(1_795_435_200_250);
const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Es256];

fn sign(criterion: &mut Criterion) {
    for algorithm in ALGORITHMS {
        let key = SigningKey::generate(algorithm).expect("a key");
        let adapter_secret = Secret::new("c2a5e4c1b1d94c5f8f2f6c0f3b0f9d7e");
        let minter = minter(&key, &adapter_secret);
        let session = session(&adapter_secret);

        let (minted, _) = minter.for_session(&session, Freshness::Forced, NOW).expect("a token");
        prove(minted.token(), &key, &session.user_id);
        let (signed, _) = minted.token().rsplit_once('.').expect("a signature");
        let (again, outcome) = minter.for_session(&session, Freshness::Reuse, NOW).expect("a token");
        assert_eq!((again.token(), outcome), (minted.token(), Outcome::Reused));

        let mut group = criterion.benchmark_group(format!("sign {algorithm}"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("signature alone", |bencher| {
            bencher.iter(|| key.sign(black_box(signed.as_bytes())).expect("a signature"));
        });
        group.bench_function("token, new", |bencher| {
            bencher.iter(|| minter.for_session(black_box(&session), Freshness::Forced, NOW).expect("a token"));
        });
        group.bench_function("token, given again", |bencher| {
            bencher.iter(|| minter.for_session(black_box(&session), Freshness::Reuse, NOW).expect("a token"));
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

fn minter(key: &SigningKey, adapter_secret: &Secret) -> Minter {
    Minter::new(MinterSettings {
        key: key.clone(),
        kid: Some(key.thumbprint()),
        issuer: "https://happy-otter-123.convex.site".to_owned(),
        audience: "convex".to_owned(),
        lifetime: Duration::from_secs(3_600),
        claims: Vec::new(),
        adapter_secret,
        capacity: 100_000,
    })
}

fn session(adapter_secret: &Secret) -> LiveSession {
    let token = SessionToken::new("7a1f6c1e-4f0b-4a52-9a57-0c6a5e5d9b11");
    LiveSession {
        key: SessionKeys::new(adapter_secret, "https://happy-otter-123.convex.cloud").key_of(&token),
        token,
        user_id: "j57dkq2vn9bq0ds1j2kd7yhnhn6sx3fe".to_owned(),
        expires: UnixMillis(NOW.0 + 30 * 24 * 3_600_000),
        profile: Profile::default(),
    }
}

/// A token that nobody accepts may cost anything.
fn prove(token: &str, key: &SigningKey, user_id: &str) {
    let jwk = serde_json::to_value(key.public_jwk(None)).expect("a JWK");
    let jwk: Jwk = serde_json::from_value(jwk).expect("a JWK");
    let mut validation = Validation::new(key.algorithm().into());
    validation.set_audience(&["convex"]);
    // The moment of this bench is fixed, and the library reads the clock.
    validation.validate_exp = false;
    let decoding = DecodingKey::from_jwk(&jwk).expect("a public key");
    let claims =
        jsonwebtoken::decode::<serde_json::Value>(token, &decoding, &validation).expect("a valid token").claims;
    assert_eq!(claims.get("sub").and_then(serde_json::Value::as_str), Some(user_id));
}

criterion_group!(benches, sign, generate);
criterion_main!(benches);
