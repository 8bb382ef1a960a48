//! Connections: what a client sees of heads, bodies, limits, timeouts, framing and the end.

use std::{fs, io::ErrorKind, os::unix::fs::PermissionsExt};

use futures_util::FutureExt;
use serde_json::{Value, json};

use crate::common::{Answer, Connection, ORIGIN, Request, World, get, post, raw};

const DISCOVERY: &str = "/.well-known/openid-configuration";
const KEY_SET: &str = "/.well-known/jwks.json";
const ANSWERED: &str = r#"{"status":"success","value":1}"#;

fn whoami() -> Value {
    json!({ "path": "demo:whoami", "args": {} })
}

fn query(world: &World) -> Request {
    post(world.public, "/api/query").json(&whoami())
}

/// A request that keeps its connection.
fn kept(method: &str, target: &str, headers: &str, body: &str) -> String {
    format!(
        "{method} {target} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{headers}content-length: \
         {}\r\n\r\n{body}",
        body.len()
    )
}

fn answers_in(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count()
}

// Timeouts.

#[tokio::test]
async fn a_head_that_is_not_ended_in_time_is_408() {
    let world = World::with(&[("TIMEOUTS__HEADER", "50ms")]).await;
    let text = raw(world.public, b"POST /api/query HTTP/1.1\r\nhost: localhost\r\ncontent-ty").await;
    assert_eq!(Answer::parse(text.as_bytes()).refusal(), (408, "RequestTimeout".to_owned()));
    assert_eq!(answers_in(&text), 1);
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_gets_no_more_time() {
    let world = World::with(&[("TIMEOUTS__HEADER", "50ms")]).await;
    let mut slow = Connection::open(world.public).await;
    slow.send("POST /api/query HTTP/1.1\r\nhost: localhost\r\nx-slow: ").await;
    // Each answer of the admin listener is the time for one more byte.
    while slow.send("x").await {
        get(world.admin, "/livez").send().await;
    }
    // Whether the 408 outlived the bytes that crossed it is the network's affair; that nothing else came is ours.
    assert!(!slow.closed().await.contains(" 200 "));
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let world = World::with(&[("TIMEOUTS__IDLE", "50ms")]).await;
    let mut connection = Connection::open(world.public).await;
    connection.send(kept("GET", KEY_SET, "", "")).await;
    assert_eq!(connection.answer().await.status, 200);
    assert_eq!(connection.closed().await, "");
}

#[tokio::test]
async fn a_connection_that_never_says_anything_is_closed_without_a_word() {
    let world = World::with(&[("TIMEOUTS__HEADER", "50ms")]).await;
    assert_eq!(Connection::open(world.public).await.closed().await, "");
}

#[tokio::test]
async fn a_body_that_is_not_ended_in_time_is_408_and_the_connection_closes() {
    let world = World::with(&[("TIMEOUTS__BODY", "50ms")]).await;
    let head = "POST /api/query HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    for rest in ["content-length: 10\r\n\r\n{\"p", "transfer-encoding: chunked\r\n\r\n3\r\n{\"p\r\n"] {
        let text = raw(world.public, format!("{head}{rest}").as_bytes()).await;
        assert_eq!(Answer::parse(text.as_bytes()).refusal(), (408, "RequestTimeout".to_owned()), "{rest}");
    }
    assert_eq!(world.calls("demo:whoami"), 0);
}

// Sizes.

#[tokio::test]
async fn rule_10_a_declared_length_above_the_limit_is_413_before_any_byte_of_the_body() {
    let world = World::new().await;
    let head = format!(
        "POST /api/query HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        16 * 1024 * 1024 + 2_001
    );
    let text = raw(world.public, head.as_bytes()).await;
    let answer = Answer::parse(text.as_bytes());
    assert_eq!(answer.refusal(), (413, "BodyTooLarge".to_owned()));
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test]
async fn rule_10_a_chunked_body_above_the_limit_is_413_as_it_comes() {
    let (world, scripted) = World::scripted(&[("LIMITS__BODY_BYTES", "1000")]).await;
    let chunk = format!("258\r\n{}\r\n", "x".repeat(600));
    for target in ["/api/query", "/auth/token"] {
        let head = format!("POST {target} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
        // The end of the body never comes.
        let bytes = format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}{chunk}");
        let text = raw(world.public, bytes.as_bytes()).await;
        assert_eq!(Answer::parse(text.as_bytes()).refusal(), (413, "BodyTooLarge".to_owned()), "{target}");
    }
    assert!(!scripted.has_next());
}

#[tokio::test]
async fn rule_10_a_body_of_16_mib_and_2000_bytes_passes_and_one_more_byte_does_not() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let frame = r#"{"path":"demo:send","args":{"body":""}}"#.len();
    let body = |bytes: usize| format!(r#"{{"path":"demo:send","args":{{"body":"{}"}}}}"#, "a".repeat(bytes - frame));
    let largest = body(16 * 1024 * 1024 + 2_000);
    let sending = tokio::spawn(post(world.public, "/api/mutation").body(largest.clone()).send());
    let received = scripted.next().await;
    let sent: &str = largest.split_once("\"args\":").unwrap().1.strip_suffix('}').unwrap();
    assert!(String::from_utf8_lossy(&received.body).contains(sent), "the arguments came through whole");
    received.answer(ANSWERED).await;
    assert_eq!(sending.await.unwrap().status, 200);

    let refused = post(world.public, "/api/mutation").body(body(16 * 1024 * 1024 + 2_001)).send().await;
    assert_eq!(refused.refusal(), (413, "BodyTooLarge".to_owned()));
    assert!(!scripted.has_next());
}

#[tokio::test]
async fn header_lines_above_the_limit_are_431_with_a_reason_and_gigantic_ones_without() {
    let world = World::with(&[("LIMITS__HEADER_BYTES", "16384")]).await;
    let with = |bytes: usize| query(&world).header("x-much", &"m".repeat(bytes)).send();
    assert_eq!(with(15_000).await.status, 200);
    let large = with(17_000).await;
    assert_eq!(large.refusal(), (431, "HeadersTooLarge".to_owned()));
    let gigantic = with(60_000).await;
    assert_eq!((gigantic.status, gigantic.text().as_str()), (431, ""));
    let target = format!("{KEY_SET}?{}", "q".repeat(17_000));
    assert_eq!(get(world.public, &target).send().await.refusal(), (431, "HeadersTooLarge".to_owned()));
}

// Overload.

#[tokio::test]
async fn more_requests_in_flight_than_allowed_are_503_and_the_admin_listener_still_answers() {
    let (world, mut scripted) = World::scripted(&[("LIMITS__REQUESTS_IN_FLIGHT", "1")]).await;
    let first = tokio::spawn(query(&world).send());
    let held = scripted.next().await;

    for to in [world.public, world.adapter] {
        let refused = post(to, "/api/query").json(&whoami()).header("origin", ORIGIN);
        let refused = if to == world.adapter { refused.without("origin") } else { refused };
        let refused = refused.send().await;
        assert_eq!(refused.refusal(), (503, "TooManyRequestsInFlight".to_owned()));
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(refused.header("access-control-allow-origin"), (to == world.public).then_some(ORIGIN));
    }
    assert_eq!(get(world.admin, "/livez").send().await.status, 200);
    assert_eq!(world.metric(r#"convex_auth_proxy_refusals_total{reason="TooManyRequestsInFlight"}"#).await, 2.0);

    held.answer(ANSWERED).await;
    assert_eq!(first.await.unwrap().status, 200);
    let again = tokio::spawn(query(&world).send());
    scripted.next().await.answer(ANSWERED).await;
    assert_eq!(again.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_place_is_held_until_the_last_byte_of_the_answer() {
    let (world, mut scripted) = World::scripted(&[("LIMITS__REQUESTS_IN_FLIGHT", "1")]).await;
    let mut first = Connection::open(world.public).await;
    first.send(query(&world).bytes()).await;
    let mut held = scripted.next().await;
    held.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\nnu").await;
    first.read_to("\r\n\r\nnu").await;
    assert_eq!(query(&world).send().await.refusal(), (503, "TooManyRequestsInFlight".to_owned()));
    held.send(b"ll").await;
    first.read_to("ll").await;
    while get(world.public, KEY_SET).send().await.status == 503 {}
}

#[tokio::test]
async fn more_bytes_of_bodies_than_allowed_are_503_until_they_are_let_go() {
    let world = World::with(&[("LIMITS__BUFFERED_BYTES", "1000")]).await;
    let begin = async || {
        let mut holder = Connection::open(world.public).await;
        let head =
            "POST /api/query HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n";
        holder.send(format!("{head}{}", "x".repeat(800))).await;
        holder
    };
    let other = || post(world.public, "/auth/token").body(format!("{:300}", "{}")).send();
    let mut holder = begin().await;
    // The first part of the body may come after the other request, but it comes; or at the same time, and is then itself refused.
    let refused = loop {
        let answer = other().await;
        if answer.status != 401 {
            break answer;
        }
        if let Some(answer) = holder.answer().now_or_never() {
            assert_eq!(answer.status, 503);
            holder = begin().await;
        }
    };
    assert_eq!(refused.refusal(), (503, "TooManyBytesBuffered".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(get(world.admin, "/livez").send().await.status, 200);
    drop(holder);
    while other().await.status != 401 {}
}

#[tokio::test]
async fn more_connections_than_allowed_are_503_until_one_ends() {
    let world = World::with(&[("LIMITS__CONNECTIONS", "1")]).await;
    let mut first = Connection::open(world.public).await;
    first.send(kept("GET", KEY_SET, "", "")).await;
    assert_eq!(first.answer().await.status, 200);

    // Without a word from the client.
    let refused = Answer::parse(Connection::open(world.public).await.closed().await.as_bytes());
    assert_eq!(refused.refusal(), (503, "TooManyConnections".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    // On one connection: there is no second place on this listener either.
    let mut operator = Connection::open(world.admin).await;
    operator.send(kept("GET", "/livez", "", "")).await;
    assert_eq!(operator.answer().await.status, 200);
    operator.send(kept("GET", "/metrics", "", "")).await;
    let counts = operator.answer().await.text();
    assert!(counts.contains("\nconvex_auth_proxy_connections_refused_total{listener=\"public\"} 1\n"), "{counts}");

    first.send(kept("GET", KEY_SET, "", "")).await;
    assert_eq!(first.answer().await.status, 200, "who has a place keeps it");
    drop(first);
    while get(world.public, KEY_SET).send().await.status == 503 {}
}

// One connection, many requests.

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let world = World::new().await;
    let (user_id, token) = world.sign_in("ada@example.com").await;
    let mut connection = Connection::open(world.public).await;
    let cookie = format!("cookie: authjs.session-token={token}\r\n");
    let body = whoami().to_string();
    let all_at_once = [
        kept("POST", "/api/query", "", &body),
        kept("GET", DISCOVERY, "", ""),
        kept("POST", "/api/query", &cookie, &body),
        kept("GET", "/nowhere", "", ""),
        kept("GET", KEY_SET, "", ""),
    ];
    connection.send(all_at_once.concat()).await;
    assert_eq!(connection.answer().await.ok()["value"], json!(null));
    assert!(connection.answer().await.ok()["jwks_uri"].is_string());
    assert_eq!(connection.answer().await.ok()["value"]["subject"], json!(user_id));
    assert_eq!(connection.answer().await.refusal(), (404, "NotFound".to_owned()));
    assert!(connection.answer().await.ok()["keys"].is_array());
    // And one more, after a pause of the client's.
    connection.send(kept("POST", "/api/query", "", &body)).await;
    assert_eq!(connection.answer().await.ok()["value"], json!(null));
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let world = World::new().await;
    let body = whoami().to_string();
    let request = kept("POST", "/api/query", "expect: 100-continue\r\n", &body);
    let mut connection = Connection::open(world.public).await;
    connection.send(request.strip_suffix(body.as_str()).unwrap()).await;
    assert_eq!(connection.answer().await.status, 100);
    connection.send(&body).await;
    assert_eq!(connection.answer().await.ok()["value"], json!(null));
}

#[tokio::test]
async fn a_client_that_asks_first_is_refused_before_it_sends() {
    let world = World::with(&[("LIMITS__BODY_BYTES", "1000")]).await;
    let head = "POST /api/query HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n\
                content-length: 1001\r\n\r\n";
    let text = raw(world.public, head.as_bytes()).await;
    assert_eq!(Answer::parse(text.as_bytes()).refusal(), (413, "BodyTooLarge".to_owned()));
}

// Framing.

#[tokio::test]
async fn l10_after_two_framings_of_one_body_nothing_more_is_served() {
    let world = World::new().await;
    let body = whoami().to_string();
    let smuggled = format!("GET {KEY_SET} HTTP/1.1\r\nhost: x\r\n\r\n");
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for lengths in
        ["content-length: 5\r\ntransfer-encoding: chunked\r\n", "transfer-encoding: chunked\r\ncontent-length: 5\r\n"]
    {
        let head = format!("POST /api/query HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{lengths}\r\n");
        let text = raw(world.public, format!("{head}{chunked}{smuggled}").as_bytes()).await;
        assert_eq!(answers_in(&text), 1, "{text}");
        assert!(!text.contains("\"keys\""), "{text}");
    }
}

#[tokio::test]
async fn l10_heads_whose_framing_is_in_doubt_are_refused_and_the_connection_closes() {
    let world = World::new().await;
    let body = whoami().to_string();
    let length = body.len();
    let chunked = format!("{length:x}\r\n{body}\r\n0\r\n\r\n");
    let smuggled = format!("GET {KEY_SET} HTTP/1.1\r\nhost: x\r\n\r\n");
    let line = "POST /api/query HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let old = "POST /api/query HTTP/1.0\r\nhost: x\r\ncontent-type: application/json\r\n";
    let in_doubt = [
        format!("{line}content-length: {length}\r\ncontent-length: {}\r\n\r\n{body}", length + 1),
        format!("{line}content-length: {length}, {}\r\n\r\n{body}", length + 1),
        format!("{line}content-length: +{length}\r\n\r\n{body}"),
        format!("{line}content-length: -1\r\n\r\n{body}"),
        format!("{line}content-length: {length}\r\nx-folded: a\r\n b\r\n\r\n{body}"),
        format!("{line}transfer-encoding:\r\n chunked\r\n\r\n{chunked}"),
        format!("{line}transfer-encoding : chunked\r\n\r\n{chunked}"),
        format!("{line}transfer-encoding: chunked, identity\r\n\r\n{chunked}"),
        format!("{line}transfer-encoding: xchunked\r\n\r\n{chunked}"),
        format!("{line}transfer-encoding: chunked\r\n\r\nzz\r\n{body}\r\n0\r\n\r\n"),
        format!("{line}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n{body}\r\n0\r\n\r\n"),
        format!("{old}transfer-encoding: chunked\r\n\r\n{chunked}"),
        format!("{line}content-length: {length}\r\nbad header: x\r\n\r\n{body}"),
        format!("{line}content-length: {length}\r\nx-nul: a\0b\r\n\r\n{body}"),
        format!("GET {KEY_SET} HTTP/2.0\r\nhost: x\r\n\r\n"),
    ];
    for head in in_doubt {
        let text = raw(world.public, format!("{head}{smuggled}").as_bytes()).await;
        assert!(answers_in(&text) + text.matches("HTTP/1.0 ").count() <= 1, "{head}\n{text}");
        assert!(!text.contains(" 200 ") && !text.contains("\"keys\""), "{head}\n{text}");
    }
    assert_eq!(world.calls("demo:whoami"), 0);
}

#[tokio::test]
async fn l10_what_follows_a_rejected_body_is_never_served_as_a_request() {
    let world = World::with(&[("LIMITS__BODY_BYTES", "1000")]).await;
    let smuggled = format!("GET {KEY_SET} HTTP/1.1\r\nhost: x\r\n\r\n");
    let length = smuggled.len();
    let rejected = [
        ("/api/query", format!("content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {length}")),
        ("/api/query", format!("content-type: text/plain\r\ncontent-length: {length}")),
        ("/api/query", "content-type: application/json\r\ncontent-length: 1001".to_owned()),
        (
            "/api/query",
            format!("content-type: application/json\r\nauthorization: Convex x\r\ncontent-length: {length}"),
        ),
        ("/api/query?adminKey=x", format!("content-type: application/json\r\ncontent-length: {length}")),
        ("/api/query", format!("content-type: application/json\r\nconvex-client: x\r\ncontent-length: {length}")),
        ("/auth/token", format!("origin: https://evil.example\r\ncontent-length: {length}")),
        ("/nowhere", format!("content-length: {length}")),
        (KEY_SET, format!("content-length: {length}")),
    ];
    for (target, headers) in rejected {
        for separate in [false, true] {
            // With the body in the same piece as the head, or after the answer.
            let mut connection = Connection::open(world.public).await;
            let head = format!("POST {target} HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\n");
            let answer = if separate {
                connection.send(head).await;
                let answer = connection.answer().await;
                connection.send(&smuggled).await;
                answer
            } else {
                connection.send(format!("{head}{smuggled}{smuggled}")).await;
                connection.answer().await
            };
            assert!((400..500).contains(&answer.status), "{target} {headers} {}", answer.status);
            assert_eq!(answer.header("connection"), Some("close"), "{target} {headers}");
            assert_eq!(connection.closed().await, "", "{target} {headers}");
        }
    }
}

#[tokio::test]
async fn l1_rule_1_an_absolute_target_is_404() {
    let world = World::new().await;
    for target in ["http://evil/api/query", &format!("http://{}/api/query", world.public)] {
        let answer = post(world.public, target).json(&whoami()).send().await;
        assert_eq!(answer.refusal(), (404, "NotFound".to_owned()), "{target}");
    }
    assert_eq!(world.calls("demo:whoami"), 0);
}

// Documents.

#[tokio::test]
async fn documents_have_heads_of_their_own() {
    let world = World::new().await;
    for target in [DISCOVERY, KEY_SET] {
        for to in [world.public, world.adapter] {
            let whole = get(to, target).send().await;
            let mut connection = Connection::open(to).await;
            connection.send(kept("HEAD", target, "", "")).await;
            let head = connection.answer_to("HEAD").await;
            assert_eq!((head.status, head.text().as_str()), (200, ""));
            for name in ["content-length", "content-type", "etag", "cache-control"] {
                assert!(head.header(name).is_some(), "{name}");
                assert_eq!(head.header(name), whole.header(name), "{name}");
            }
            // The connection is where it should be: the next answer begins where the head ended.
            connection.send(kept("GET", target, "", "")).await;
            assert_eq!(connection.answer().await.body, whole.body);
        }
    }
}

#[tokio::test]
async fn a_document_that_the_asker_has_is_304() {
    let world = World::new().await;
    for target in [DISCOVERY, KEY_SET] {
        let whole = get(world.public, target).send().await;
        let tag = whole.header("etag").unwrap();
        for known in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let answer = get(world.public, target).header("if-none-match", &known).send().await;
            assert_eq!((answer.status, answer.text().as_str()), (304, ""), "{known}");
            assert_eq!(answer.header("etag"), Some(tag));
            assert_eq!(answer.header("cache-control"), whole.header("cache-control"));
        }
        for unknown in ["\"other\"", "W/\"other\"", tag.trim_matches('"')] {
            let answer = get(world.public, target).header("if-none-match", unknown).send().await;
            assert_eq!((answer.status, answer.body), (200, whole.body.clone()), "{unknown}");
        }
    }
}

// The end.

#[tokio::test]
async fn a_stop_finishes_what_is_in_flight_and_takes_nothing_new() {
    let (mut world, mut scripted) = World::scripted(&[]).await;
    let mut idle = Connection::open(world.public).await;
    idle.send(kept("GET", KEY_SET, "", "")).await;
    assert_eq!(idle.answer().await.status, 200);
    let asking = tokio::spawn(query(&world).send());
    let held = scripted.next().await;

    let stopping = world.begin_stop();
    assert_eq!(idle.closed().await, "", "a connection between two requests is closed");
    for to in [world.public, world.adapter, world.admin] {
        while Connection::try_open(to).await.map_err(|error| error.kind()).err() != Some(ErrorKind::ConnectionRefused) {
        }
    }
    assert!(!stopping.is_finished());
    held.answer(ANSWERED).await;
    let answer = asking.await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, ANSWERED));
    assert!(stopping.await.unwrap(), "all ended");
}

#[tokio::test]
async fn a_stop_that_must_cut_says_so() {
    let (mut world, mut scripted) = World::scripted(&[("TIMEOUTS__SHUTDOWN", "50ms")]).await;
    let asking = tokio::spawn(query(&world).send());
    let held = scripted.next().await;
    assert!(!world.begin_stop().await.unwrap(), "one did not end");
    drop(held);
    let _ = asking.await;
}

// The adapter listener as a unix socket.

#[tokio::test]
async fn the_adapter_listener_can_be_a_private_unix_socket() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("run/adapter.sock");
    let world = World::with(&[("LISTEN__ADAPTER", &format!("unix:{}", path.display()))]).await;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));

    let mut connection = Connection::open_unix(&path).await;
    let user = json!({ "user": { "email": "ada@example.com" } }).to_string();
    connection.send(kept("POST", "/adapter/createUser", "", &user)).await;
    assert_eq!(connection.answer().await.ok()["email"], json!("ada@example.com"));
    let call = json!({ "path": "authAdapter:getUserByEmail", "args": { "email": "ada@example.com" } }).to_string();
    connection.send(kept("POST", "/api/query", "", &call)).await;
    assert_eq!(connection.answer().await.ok()["value"]["email"], json!("ada@example.com"), "the secret was added");
    connection.send(kept("POST", "/api/query", "origin: http://localhost:3000\r\n", &call)).await;
    assert_eq!(connection.answer().await.refusal(), (403, "BrowserRefused".to_owned()));
    assert_eq!(connection.closed().await, "");
    assert!(world.stop().await);
}

// Streams.

#[tokio::test]
async fn responses_stream_back() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let mut client = Connection::open(world.public).await;
    client.send(query(&world).bytes()).await;
    let mut upstream = scripted.next().await;
    upstream.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n").await;
    assert!(client.read_to("\r\n\r\n").await.starts_with("HTTP/1.1 200"), "the head comes before the body");
    for piece in ["one", "two", "three"] {
        upstream.send(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await;
        client.read_to(piece).await;
    }
    upstream.send(b"0\r\n\r\n").await;
    assert_eq!(client.closed().await, "\r\n0\r\n\r\n");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_its_own_deployment_call_alone() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let mut slow = Connection::open(world.public).await;
    slow.send(query(&world).bytes()).await;
    let mut upstream = scripted.next().await;
    let pieces = 2_048;
    let piece = [b'x'; 32 * 1_024];
    let length = pieces * piece.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
    upstream.send(head.as_bytes()).await;
    // Others are served meanwhile; when nothing was taken during many of their turns, the buffers in between are full.
    let (mut taken, mut turns_without) = (0, 0);
    while turns_without < 50 && taken + piece.len() < length {
        let more = upstream.try_send(&piece);
        taken += more;
        turns_without = if more == 0 { turns_without + 1 } else { 0 };
        if more == 0 {
            assert_eq!(get(world.public, KEY_SET).send().await.status, 200);
        }
    }
    assert!(
        taken < length / 2,
        "{taken} bytes of {length} were taken from the deployment for a client that does not read"
    );
    let rest = vec![b'x'; length - taken];
    let sending = tokio::spawn(async move { upstream.send(&rest).await });
    let read = slow.closed().await;
    sending.await.unwrap();
    assert_eq!(read.split_once("\r\n\r\n").unwrap().1.len(), length, "it gets all when it reads");
}

#[tokio::test]
async fn no_wait_runs_while_an_answer_is_on_its_way() {
    let (world, mut scripted) = World::scripted(&[("TIMEOUTS__HEADER", "40ms"), ("TIMEOUTS__IDLE", "40ms")]).await;
    // The beginning of a next request must not be given up on in the middle of this answer, nor the answer for idleness.
    for begins_another in [true, false] {
        let body = r#"{"path":"authAdapter:getUser","args":{}}"#;
        let head = "POST /api/query HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        let mut slow = Connection::open(world.adapter).await;
        slow.send(format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await;
        // An answer of an adapter function is read whole, so the connection is given all of it at once.
        let value = "x".repeat(16_000_000);
        let answer = format!(r#"{{"status":"success","value":"{value}"}}"#);
        scripted.next().await.answer(&answer).await;
        slow.read_to("\r\n\r\n").await;
        if begins_another {
            slow.send("POST /api").await;
        }
        // The time of three heads, told by three others that are given up on.
        for _ in 0..3 {
            let mut other = Connection::open(world.public).await;
            other.send("POST /api").await;
            assert!(other.closed().await.starts_with("HTTP/1.1 408"));
        }
        assert!(slow.read_bytes(answer.len()).await == answer.as_bytes(), "the answer is whole");
        let rest = slow.closed().await;
        assert_eq!(rest.starts_with("HTTP/1.1 408"), begins_another, "the waits run again after it: {rest}");
    }
}

#[tokio::test]
async fn a_crowd_on_the_public_listener_does_not_shut_out_the_apps_server() {
    let (world, mut scripted) = World::scripted(&[("LIMITS__REQUESTS_IN_FLIGHT", "8")]).await;
    let mut crowd = Vec::new();
    for _ in 0..7 {
        let mut one = Connection::open(world.public).await;
        one.send(query(&world).bytes()).await;
        crowd.push((one, scripted.next().await));
    }
    assert_eq!(query(&world).send().await.refusal(), (503, "TooManyRequestsInFlight".to_owned()));
    let asking = tokio::spawn(post(world.adapter, "/api/query").json(&json!({ "path": "a:b", "args": {} })).send());
    scripted.next().await.answer(r#"{"status":"success","value":null}"#).await;
    assert_eq!(asking.await.unwrap().status, 200);
}

#[tokio::test]
async fn the_body_of_query_ts_streams_up() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let mut client = Connection::open(world.public).await;
    let head = "POST /api/query_ts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    client.send(head).await;
    client.send("7\r\n{\"one\":\r\n").await;
    let mut upstream = scripted.next().await;
    upstream.read_to("{\"one\":").await;
    client.send("2\r\n1}\r\n0\r\n\r\n").await;
    upstream.read_to("1}").await;
    upstream.read_to("0\r\n\r\n").await;
    upstream.answer(r#"{"ts":"AAAAAAAAAAA="}"#).await;
    assert_eq!(client.answer().await.ok()["ts"], json!("AAAAAAAAAAA="));
}

// Under a path, and who is who.

#[tokio::test]
async fn a_base_path_holds_all_public_routes_and_nothing_else() {
    let world = World::with(&[("LISTEN__BASE_PATH", "/convex")]).await;
    let (user_id, token) = world.sign_in("ada@example.com").await;
    let at = |to, target: &str| post(to, target).json(&whoami());
    let minted = post(world.public, "/convex/auth/token").cookie(&token).send().await.ok();
    let bearer = format!("Bearer {}", minted["token"].as_str().unwrap());
    let ada = at(world.public, "/convex/api/query").header("authorization", &bearer).send().await.ok();
    assert_eq!(ada["value"]["subject"], json!(user_id), "the deployment found the documents under the path");
    assert_eq!(get(world.public, &format!("/convex{DISCOVERY}")).send().await.status, 200);
    assert_eq!(get(world.public, "/convex/api/sync").send().await.refusal(), (426, "UpgradeRequired".to_owned()));
    for target in ["/api/query", "/convexapi/query", "/convex", "/convex/", "/convex//api/query", "/Convex/api/query"] {
        assert_eq!(at(world.public, target).send().await.refusal(), (404, "NotFound".to_owned()), "{target}");
    }
    for target in [DISCOVERY, KEY_SET] {
        assert_eq!(get(world.public, target).send().await.status, 404, "{target}");
    }
    assert_eq!(at(world.adapter, "/api/query").send().await.status, 200);
    assert_eq!(at(world.adapter, "/convex/api/query").send().await.status, 404);
    assert_eq!(get(world.admin, "/livez").send().await.status, 200);
}

#[tokio::test]
async fn a_session_cookie_is_found_in_any_cookie_header() {
    let world = World::new().await;
    let (user_id, token) = world.sign_in("ada@example.com").await;
    let session = format!("authjs.session-token={token}");
    for (first, second) in [("theme=dark", session.as_str()), (session.as_str(), "theme=dark")] {
        let answer = query(&world).header("cookie", first).header("cookie", second).send().await.ok();
        assert_eq!(answer["value"]["subject"], json!(user_id));
    }
    let other = "authjs.session-token=somebody-else";
    let first_counts = query(&world).header("cookie", &session).header("cookie", other).send().await.ok();
    assert_eq!(first_counts["value"]["subject"], json!(user_id), "of two of one name the first counts");
    let first_counts = query(&world).header("cookie", other).header("cookie", &session).send().await.ok();
    assert_eq!(first_counts["value"], json!(null));
}

#[tokio::test]
async fn every_request_has_an_id_that_the_deployment_sees_and_the_client_gets() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let mut ids = Vec::new();
    for claimed in ["1", "2"] {
        let asking = tokio::spawn(query(&world).header("x-request-id", claimed).send());
        let received = scripted.next().await;
        let id = received.header("x-request-id").unwrap().to_owned();
        assert_ne!(id, claimed, "an id of the caller's own choice could be another's");
        received.answer(ANSWERED).await;
        assert_eq!(asking.await.unwrap().header("x-request-id"), Some(id.as_str()));
        ids.push(id);
    }
    ids.push(get(world.public, "/nowhere").send().await.header("x-request-id").unwrap().to_owned());
    ids.push(get(world.admin, "/livez").send().await.header("x-request-id").unwrap().to_owned());
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4, "no two have the same");
}
