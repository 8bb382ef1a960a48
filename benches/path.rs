//! What it costs to decide on a call: its path, its envelope, and whether it may go on.
//!
//! The bar: 150 ns for a path.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

use std::{hint::black_box, time::Duration};

use convex_auth_proxy::{
    classify::{Envelope, FunctionPath, Lane, Listener},
    config::{Adapter, Nulls, OnPublic},
    permit::{FunctionRefusal, Permitted},
    secret::Secret,
};
use criterion::{Criterion, criterion_group, criterion_main};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SECRET: &str = "dGhpcyBpcyBhIHNlY3JldCBvZiB0aGUgdXN1YWwgc2l6ZQ==";

/// A path alone: parsed, and held against the adapter's module. An app calls few functions many times.
fn path(criterion: &mut Criterion) {
    let policy = policy();
    let is_adapters = |text: &str| FunctionPath::parse(text).expect("a path").is_in(&policy.module);
    let mut group = criterion.benchmark_group("path");
    for (name, text, of_the_adapter) in [
        ("plain", "messages:list", false),
        ("nested", "channels/messages:listByChannel", false),
        ("adapter", "authAdapter:getSessionAndUser", true),
        ("adapter, spelled oddly", "authAdapter.js/.:getSessionAndUser", true),
    ] {
        assert_eq!(is_adapters(text), of_the_adapter, "{text}");
        group.bench_function(name, |bencher| bencher.iter(|| is_adapters(black_box(text))));
    }
    // None of these was read lately: what the grammar itself costs.
    let unseen: Vec<String> = (0..4_096).map(|number| format!("module{number}:function")).collect();
    let mut turn = unseen.iter().cycle();
    group.bench_function("never seen", |bencher| {
        bencher.iter(|| is_adapters(black_box(turn.next().expect("a cycle has no end"))));
    });
    group.finish();
}

/// A body: read, and decided on.
fn call(criterion: &mut Criterion) {
    let policy = policy();
    let decide = |listener: Listener, body: &[u8]| -> Result<bool, FunctionRefusal> {
        let Ok(Envelope::One(call)) = Envelope::read(Lane::Query, body) else { panic!("a call") };
        Permitted::decide(call, listener, &policy).map(|permitted| permitted.adapter().is_some())
    };
    let plain = br#"{"path":"messages:list","format":"convex_encoded_json","args":[{"channel":"general"}]}"#;
    let token = "c0a3a6f5-1d3c-4f0e-9c55-0f6a4a9d8e11";
    let adapter = |secret: &str| {
        format!(
            r#"{{"path":"authAdapter:getSessionAndUser","format":"convex_encoded_json","args":[{{"sessionToken":"{token}","secret":"{secret}"}}]}}"#
        )
    };
    let (right, wrong) = (adapter(SECRET), adapter("another"));
    assert_eq!(decide(Listener::Public, plain), Ok(false));
    assert_eq!(decide(Listener::Public, right.as_bytes()), Ok(true));
    assert_eq!(decide(Listener::Public, wrong.as_bytes()), Err(FunctionRefusal::WrongSecret));

    let mut group = criterion.benchmark_group("policy");
    for (name, body) in
        [("plain", plain.as_slice()), ("right secret", right.as_bytes()), ("wrong secret", wrong.as_bytes())]
    {
        group.bench_function(name, |bencher| bencher.iter(|| decide(Listener::Public, black_box(body))));
    }
    group.finish();
}

fn policy() -> Adapter {
    Adapter {
        module: "authAdapter".parse().expect("a module"),
        secret: Secret::new(SECRET),
        on_public: OnPublic::RequireSecret,
        tokens: Vec::new(),
        nulls: Nulls::Drop,
    }
}

criterion_group! {
    name = benches;
    // There are many, and what takes a microsecond is done often enough in two seconds.
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = path, call
}
criterion_main!(benches);
