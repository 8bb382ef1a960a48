//! What a sync message costs on its way, by kind: read, decided on, and written as a frame; sockets and their waits are measured by
//! `benches/compare/sockets`.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

use std::{hint::black_box, time::Duration};

use convex_auth_proxy::sync::{
    conversation::{Conversation, Extent, Heard, Outputs, Turn},
    frame::{FrameHead, Sender},
};
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use serde_json::{Value, json};

use crate::laws::Judging;

/// The judge that the laws of the sync socket are tried with.
#[path = "../src/sync/laws.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, clippy::indexing_slicing, reason = "the bench tries no law")]
mod laws;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn client(criterion: &mut Criterion) {
    let args = |text: &str| json!([{ "body": text, "channel": "general" }]);
    let call = |kind: &str, path: &str, args: &Value| {
        json!({ "type": kind, "requestId": 7, "udfPath": path, "args": args }).to_string()
    };
    let add = json!({ "type": "Add", "queryId": 0, "udfPath": "messages:list", "args": [{ "channel": "general" }] });
    let secret = json!([{ "sessionToken": "c0a3a6f5-1d3c-4f0e-9c55-0f6a4a9d8e11", "secret": "s" }]);
    let mut group = criterion.benchmark_group("client");
    for (name, message) in [
        ("Connect", json!({ "type": "Connect", "sessionId": "0f8fad5b-d9cb-469f-a165-70867728950e", "connectionCount": 0, "lastCloseReason": "InitialConnect", "clientTs": 1 }).to_string()),
        ("ModifyQuerySet", json!({ "type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": [add] }).to_string()),
        ("Mutation", call("Mutation", "messages:send", &args(&"x".repeat(200)))),
        ("Mutation, 30 KB", call("Mutation", "messages:send", &args(&"x".repeat(30_000)))),
        ("Mutation of the adapter", call("Mutation", "authAdapter:deleteSession", &secret)),
        ("Action", call("Action", "messages:send", &args(&"x".repeat(200)))),
        ("Event", json!({ "type": "Event", "eventType": "ClientReconnect", "event": {} }).to_string()),
    ] {
        group.throughput(Throughput::Elements(1));
        client_message(&mut group, name, &message);
    }
    group.finish();
}

fn client_message(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, message: &str) {
    let judge = Judging::new();
    let say = |conversation: &mut Conversation, up: &mut Vec<u8>, down: &mut Vec<u8>| {
        let turn = conversation.client_says(message, &judge, &mut Outputs { up, down });
        matches!(turn, Ok(Turn::Done))
    };
    let (mut up, mut down) = (Vec::new(), Vec::new());
    assert!(say(&mut Conversation::new(None), &mut up, &mut down), "{name} is taken");
    let sent = tree(&only_frame(&mut up, Sender::Client));
    assert_eq!(sent.get("type"), tree(message.as_bytes()).get("type"), "{name} goes up");
    assert_eq!(sent.get("args"), tree(message.as_bytes()).get("args"), "{name} as it was");
    assert!(down.is_empty(), "{name} is not refused");
    group.bench_function(name, |bencher| {
        // A conversation counts versions: each begins anew.
        bencher.iter_batched_ref(
            || Conversation::new(None),
            |conversation| {
                up.clear();
                assert!(say(conversation, black_box(&mut up), &mut down));
            },
            BatchSize::SmallInput,
        );
    });
}

fn deployment(criterion: &mut Criterion) {
    let version = json!({ "querySet": 0, "identity": 0, "ts": "AAAAAAAAAAA=" });
    let transition = |value: &str| {
        let update = json!({ "type": "QueryUpdated", "queryId": 0, "value": value, "logLines": [], "journal": null });
        json!({ "type": "Transition", "startVersion": version, "endVersion": version, "modifications": [update], "clientClockSkew": null, "serverTs": 1 }).to_string()
    };
    let response = json!({ "type": "MutationResponse", "requestId": 7, "success": true, "result": "x".repeat(200), "ts": "AAAAAAAAAAA=", "logLines": [] });
    let mut group = criterion.benchmark_group("deployment");
    for (name, message) in [
        ("Transition", transition(&"x".repeat(200))),
        ("Transition, 30 KB", transition(&"x".repeat(30_000))),
        ("MutationResponse", response.to_string()),
        ("Ping", json!({ "type": "Ping" }).to_string()),
    ] {
        group.throughput(Throughput::Elements(1));
        let (judge, mut conversation, mut down) = (Judging::new(), Conversation::new(None), Vec::new());
        let mut hear = |down: &mut Vec<u8>| {
            down.clear();
            conversation.deployment_says(black_box(message.as_bytes()), Extent::Whole, &judge, down)
        };
        assert_eq!(hear(&mut down).expect("it is taken"), Heard::Done, "{name}");
        assert_eq!(
            tree(&only_frame(&mut down, Sender::Server)),
            tree(message.as_bytes()),
            "{name} goes down as it was"
        );
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert_eq!(hear(black_box(&mut down)), Ok(Heard::Done)));
        });
    }
    group.finish();
}

/// The text of the one frame that was written.
fn only_frame(frames: &mut [u8], sender: Sender) -> Vec<u8> {
    let head = FrameHead::read(frames, sender).expect("a head").expect("all of it");
    let payload = frames.get_mut(head.head_bytes..).expect("a payload");
    assert_eq!(payload.len() as u64, head.payload_bytes, "one frame");
    if let Some(mask) = head.mask {
        mask.apply(payload, 0);
    }
    payload.to_vec()
}

fn tree(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("JSON")
}

criterion_group! {
    name = benches;
    // There are many, and what takes a microsecond is done often enough in two seconds.
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = client, deployment
}
criterion_main!(benches);
