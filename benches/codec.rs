//! How fast adapter calls are written for Convex, and its answers for Auth.js, beside serde_json parsing and printing the
//! same bytes as a tree: what a codec that builds a DOM could not be faster than.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the inputs are written here, and each is proved before it is measured"
)]

use std::{hint::black_box, time::Duration};

use convex_auth_proxy::{
    adapter::{
        arguments::{Arguments, SecretCheck},
        contract::{Function, Holds, Row},
        wire,
    },
    bench::Samples,
    config::Nulls,
    secret::Secret,
};
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use serde_json::{Value, json, value::RawValue};

/// The product's allocator, since a tree is many small pieces.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SECRET: &str = "dGhpcyBpcyBhIHNlY3JldCBvZiB0aGUgdXN1YWwgc2l6ZQ==";

/// `args` of each function of the contract as the guide's adapter sends them, but with dates as strings and a null.
fn convex_in(criterion: &mut Criterion) {
    let secret = Secret::new(SECRET);
    let mut group = criterion.benchmark_group("convex_in");
    for function in Function::ALL {
        let args = args(function);
        let mut out = Vec::new();
        encode(function, &args, &secret, &mut out);
        assert_eq!(check_secret(function, &args, &secret), SecretCheck::Right);
        prove_encoded(function, &args, &out);
        group.throughput(Throughput::Bytes(args.len() as u64));
        let name = function.contract().name;
        group.bench_function(format!("{name}/spans"), |bencher| {
            bencher.iter(|| {
                out.clear();
                encode(function, black_box(&args), &secret, &mut out);
                black_box(out.len())
            });
        });
        bench_tree(&mut group, name, &args);
    }
    group.finish();
}

/// `POST /adapter/createSession`: body to arguments.
fn wire_in(criterion: &mut Criterion) {
    let secret = Secret::new(SECRET);
    let body = Samples::new().create_session;
    let run = begin(Function::CreateSession, &body, &secret);
    assert_eq!(
        tree(run.arguments()),
        json!({"session": Samples::session(&1_798_021_230_456_i64.into()), "secret": SECRET})
    );

    let mut group = criterion.benchmark_group("wire_in");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("createSession/spans", |bencher| {
        bencher.iter(|| begin(Function::CreateSession, black_box(&body), &secret));
    });
    bench_tree(&mut group, "createSession", &body);
    group.finish();
}

/// `POST /adapter/getSessionAndUser`: Convex's value to the answer.
fn wire_out(criterion: &mut Criterion) {
    let secret = Secret::new(SECRET);
    let body = br#"{"sessionToken":"c0a3a6f5-1d3c-4f0e-9c55-0f6a4a9d8e11"}"#;
    let run = || begin(Function::GetSessionAndUser, body, &secret);
    let value = Samples::new().session_and_user;
    let answer = tree(&answer(run(), &value, &secret));
    assert_eq!(answer["session"]["expires"], "2026-12-23T10:20:30.456Z");
    assert_eq!(answer["user"]["emailVerified"], "2023-11-14T22:13:20.000Z");
    assert_eq!(answer["user"]["id"], "jx7d2m4k8v1n5q9s3w6y0b2c4f6h8j1k");
    assert!(answer["user"].get("_id").is_none());

    let mut group = criterion.benchmark_group("wire_out");
    group.throughput(Throughput::Bytes(value.len() as u64));
    group.bench_function("getSessionAndUser/spans", |bencher| {
        // What is begun is used up by its answer; beginning is measured above.
        bencher.iter_batched(run, |run| self::answer(run, black_box(&value), &secret), BatchSize::SmallInput);
    });
    bench_tree(&mut group, "getSessionAndUser", &value);
    group.finish();
}

fn encode(function: Function, args: &[u8], secret: &Secret, out: &mut Vec<u8>) {
    let raw: &RawValue = serde_json::from_slice(args).expect("JSON");
    let arguments = Arguments::read(Some(function), raw).expect("arguments");
    arguments.encode(Nulls::Drop, secret, out).expect("arguments of the contract");
}

fn check_secret(function: Function, args: &[u8], secret: &Secret) -> SecretCheck {
    let raw: &RawValue = serde_json::from_slice(args).expect("JSON");
    Arguments::read(Some(function), raw).expect("arguments").check_secret(secret)
}

fn begin(function: Function, body: &[u8], secret: &Secret) -> wire::Run {
    let request = wire::read(function, body).expect("a body of the contract");
    wire::begin(request, Nulls::Drop, secret).expect("arguments of the contract")
}

fn answer(run: wire::Run, value: &[u8], secret: &Secret) -> Vec<u8> {
    let value: &RawValue = serde_json::from_slice(value).expect("JSON");
    match run.resume(wire::Outcome::Returned(value.into()), secret).expect("an answer of the contract") {
        wire::Step::Answer(body) => body,
        wire::Step::Run(_) => panic!("an answer without a second call"),
    }
}

fn bench_tree(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, input: &[u8]) {
    let mut out = Vec::new();
    group.bench_function(format!("{name}/tree"), |bencher| {
        bencher.iter(|| {
            out.clear();
            let value: Value = serde_json::from_slice(black_box(input)).expect("JSON");
            serde_json::to_writer(&mut out, &value).expect("JSON written to memory");
            black_box(out.len())
        });
    });
}

/// The members that the contract names came out as they must, and all others as they were.
fn prove_encoded(function: Function, args: &[u8], encoded: &[u8]) {
    let (mut expected, encoded) = (tree(args), tree(encoded));
    if let Some((name, row)) = function.contract().nested() {
        let nested = expected[0][name].as_object_mut().expect("the nested object");
        assert!(nested.shift_remove("none").is_some_and(|none| none.is_null()), "a null to drop");
        if let Some(date) = row.date() {
            assert_eq!(nested[date.name], "2026-12-23T10:20:30.456Z");
            nested[date.name] = 1_798_021_230_456_i64.into();
        }
    }
    assert_eq!(encoded, expected, "{}", function.contract().name);
}

fn tree(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn args(function: Function) -> Vec<u8> {
    let mut args = json!({});
    for argument in function.contract().arguments {
        args[argument.name] = match argument.holds {
            Holds::Text | Holds::UserId => "c0a3a6f5-1d3c-4f0e-9c55-0f6a4a9d8e11".into(),
            Holds::Number => 17.into(),
            Holds::Row(row) | Holds::Part(row) => {
                let mut nested = nested(row);
                nested["none"] = Value::Null;
                nested
            }
        };
    }
    args["secret"] = SECRET.into();
    json!([args]).to_string().into_bytes()
}

fn nested(row: Row) -> Value {
    let date = Value::from("2026-12-23T10:20:30.456Z");
    match row {
        Row::Account => json!({
            "userId": "jx7d2m4k8v1n5q9s3w6y0b2c4f6h8j1k", "type": "oidc", "provider": "google",
            "providerAccountId": "110169484474386276334", "access_token": "a".repeat(220), "expires_at": 1_798_021_230,
            "token_type": "bearer", "scope": "openid https://www.googleapis.com/auth/userinfo.email",
            "id_token": "e".repeat(1_100),
        }),
        Row::Authenticator => json!({
            "credentialID": "mMgCBy5Ck5Mc3xQnVVcuPqZb0vM", "userId": "jx7d2m4k8v1n5q9s3w6y0b2c4f6h8j1k",
            "providerAccountId": "mMgCBy5Ck5Mc3xQnVVcuPqZb0vM", "credentialPublicKey": "p".repeat(104), "counter": 0,
            "credentialDeviceType": "multiDevice", "credentialBackedUp": true, "transports": "internal,hybrid",
        }),
        Row::Session => Samples::session(&date),
        Row::User => Samples::user(&date),
        Row::VerificationToken => json!({"identifier": "ada@example.org", "token": "9".repeat(64), "expires": date}),
    }
}

criterion_group! {
    name = benches;
    // There are many, and what takes a microsecond is done often enough in two seconds.
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = convex_in, wire_in, wire_out
}
criterion_main!(benches);
