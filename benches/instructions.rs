//! A guard that does not depend on the machine's mood: how many instructions the hot paths take, counted by Valgrind.
//!
//! Each limit stands a tenth above what was counted when it was set, so that growth above that fails. Who makes something cheaper lowers
//! its limit; who must make it dearer raises it and says why. Counted with the system's allocator, since what the product's does is not
//! ours to guard. DHAT tells the allocations beside: "Total blocks".
//!
//! The counts are those of one compiler and of the processor that Valgrind shows (with AVX2): another compiler may need other limits.
//!
//! Needs valgrind, and `gungraun-runner` in the version of the library.

#![allow(
    missing_docs,
    unused_qualifications,
    clippy::exit,
    clippy::expect_used,
    reason = "a bench that cannot be set up must stop; the rest is in what the library's macros write"
)]

use std::{hint::black_box, sync::Arc, time::Duration};

use convex_auth_proxy::{
    adapter::{
        Arguments, Function, Step,
        wire::{self, Outcome, Run},
    },
    bench::{Samples, minter, session},
    classify::{Envelope, FunctionPath, Lane, Listener},
    clock::{Now, UnixMillis},
    config::{Adapter, Cache, Nulls, OnPublic},
    keys::{Algorithm, SigningKey},
    permit::{Permitted, SecretHeld},
    secret::Secret,
    session::{CacheKey, Format, LiveSession, SessionAnswer, SessionCache, SessionKeys, SessionToken, Source},
    token::{Freshness, Minter, Outcome as Minting},
};
use futures_util::FutureExt;
use gungraun::{Callgrind, Dhat, EventKind, prelude::*};
use http::{HeaderValue, StatusCode};
use serde_json::value::RawValue;

/// What is done so often is counted: once alone would be mostly the first time.
const TIMES: u64 = 100;

fn at_most(instructions_each: u64) -> LibraryBenchmarkConfig {
    LibraryBenchmarkConfig::default()
        .tool(Callgrind::default().hard_limits([(EventKind::Ir, instructions_each * TIMES)]))
        .tool(Dhat::default())
        .clone()
}

fn secret() -> Secret {
    Secret::new("dGhpcyBpcyBhIHNlY3JldCBvZiB0aGUgdXN1YWwgc2l6ZQ==")
}

// === codec ===

fn begin(function: Function, body: &[u8], secret: &Secret) -> Run {
    let request = wire::read(function, body).expect("a body of the contract");
    wire::begin(request, Nulls::Drop, secret).expect("arguments of the contract")
}

#[library_benchmark(config = at_most(4_150))]
#[bench::create_session((Samples::new(), secret()))]
fn codec_in((samples, secret): (Samples, Secret)) {
    for _ in 0..TIMES {
        black_box(begin(Function::CreateSession, black_box(&samples.create_session), &secret));
    }
}

/// Begins a call, too, since what is begun is used up by its answer.
fn answer(value: &[u8], secret: &Secret) -> Vec<u8> {
    let body = br#"{"sessionToken":"c0a3a6f5-1d3c-4f0e-9c55-0f6a4a9d8e11"}"#;
    let value: &RawValue = serde_json::from_slice(value).expect("JSON");
    match begin(Function::GetSessionAndUser, body, secret).resume(Outcome::Returned(value.into()), secret) {
        Ok(Step::Answer(answer)) => answer,
        Ok(Step::Run(_)) | Err(_) => panic!("an answer of the contract"),
    }
}

#[library_benchmark(config = at_most(15_270))]
#[bench::get_session_and_user((Samples::new(), secret()))]
fn codec_out((samples, secret): (Samples, Secret)) {
    for _ in 0..TIMES {
        black_box(answer(black_box(&samples.session_and_user), &secret));
    }
}

#[library_benchmark(config = at_most(5_010))]
#[bench::create_session((Samples::new(), secret()))]
fn codec_of_the_convex_wire((samples, secret): (Samples, Secret)) {
    let mut out = Vec::new();
    for _ in 0..TIMES {
        out.clear();
        let args: &RawValue = serde_json::from_slice(black_box(&samples.create_session)).expect("JSON");
        let arguments = Arguments::read(Some(Function::CreateSession), args).expect("arguments");
        arguments.encode(Nulls::Drop, &secret, &mut out).expect("of the contract");
        black_box(&out);
    }
}

// === path and policy ===

fn policy() -> Adapter {
    Adapter {
        module: "authAdapter".parse().expect("a module"),
        secret: secret(),
        on_public: OnPublic::RequireSecret,
        tokens: Vec::new(),
        nulls: Nulls::Drop,
    }
}

fn is_adapters(text: &str, policy: &Adapter) -> bool {
    FunctionPath::parse(text).expect("a path").is_in(&policy.module)
}

fn seen_before(text: &str) -> (String, Adapter) {
    let policy = policy();
    assert!(is_adapters(text, &policy));
    (text.to_owned(), policy)
}

#[library_benchmark(config = at_most(703))]
#[bench::seen_before(seen_before("authAdapter:getSessionAndUser"))]
fn path((text, policy): (String, Adapter)) {
    for _ in 0..TIMES {
        black_box(is_adapters(black_box(&text), &policy));
    }
}

// === cache ===

struct Kept {
    cache: Arc<SessionCache>,
    key: CacheKey,
    now: Now,
}

/// One session in memory.
fn kept() -> Kept {
    let keys = SessionKeys::new(&secret(), "https://happy-otter-123.convex.cloud");
    let session = keys.key_of(&SessionToken::new("session"));
    let settings = Cache { capacity: 100, ttl: Duration::from_secs(3_600) };
    let kept = Kept {
        cache: Arc::new(SessionCache::new(&settings)),
        key: CacheKey::new(proof(), session, Format::Encoded),
        now: Now::read(),
    };
    assert_eq!(read(&kept, true), Source::Deployment);
    assert_eq!(read(&kept, false), Source::Memory);
    kept
}

fn proof() -> SecretHeld {
    let body = br#"{"path":"authAdapter:getSessionAndUser","args":[{"sessionToken":"t","secret":"dGhpcyBpcyBhIHNlY3JldCBvZiB0aGUgdXN1YWwgc2l6ZQ=="}]}"#;
    let Ok(Envelope::One(call)) = Envelope::read(Lane::Query, body) else { panic!("a call") };
    Permitted::decide(call, Listener::Public, &policy()).expect("permitted").adapter().expect("the adapter's").proof
}

fn read(kept: &Kept, is_fetched: bool) -> Source {
    let read = kept.cache.read(kept.key, kept.now, || {
        assert!(is_fetched, "it is in memory");
        let body = br#"{"status":"success","value":{"session":{"userId":"u","expires":4102444800000},"user":{}}}"#;
        let json = HeaderValue::from_static("application/json");
        std::future::ready(Ok(Arc::new(SessionAnswer::read(StatusCode::OK, &json, body, false))))
    });
    let (answer, source) = read.now_or_never().expect("nothing to wait for");
    black_box(answer).expect("an answer");
    source
}

#[library_benchmark(config = at_most(1_035))]
#[bench::kept(kept())]
fn cache_hit(kept: Kept) {
    for _ in 0..TIMES {
        black_box(read(black_box(&kept), false));
    }
}

// === token ===

/// A session whose token was signed.
fn signed() -> (Minter, LiveSession, UnixMillis) {
    let now = Now::read().wall;
    let minter = minter(&SigningKey::generate(Algorithm::EdDsa).expect("a key"));
    let session = session(now, "session");
    minter.for_session(&session, Freshness::Reuse, now).expect("a token");
    (minter, session, now)
}

#[library_benchmark(config = at_most(1_077))]
#[bench::signed(signed())]
fn token_reuse((minter, session, now): (Minter, LiveSession, UnixMillis)) {
    for _ in 0..TIMES {
        let (minted, outcome) = minter.for_session(black_box(&session), Freshness::Reuse, now).expect("a token");
        assert_eq!(outcome, Minting::Reused);
        black_box(minted);
    }
}

library_benchmark_group!(
    name = hot_paths;
    benchmarks = codec_in, codec_out, codec_of_the_convex_wire, path, cache_hit, token_reuse
);
main!(library_benchmark_groups = hot_paths);
