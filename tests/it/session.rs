//! Sessions from memory: shared by all who may have them, and true to every write through the proxy.

use convex_auth_proxy::clock::Now;
use serde_json::{Value, json};

use crate::common::{Answer, NOTHING, Request, SECRET, Scripted, World, get, post};

/// An hour in memory: whatever goes to the deployment in these tests goes there for another reason than age.
const KEPT: (&str, &str) = ("CACHE__TTL", "1h");
const READS: &str = "authAdapter:getSessionAndUser";
/// 2100-01-01.
const FAR: i64 = 4_102_444_800_000;

/// What the deployment answers for the session `t` of the user `u1`.
fn row(expires_millis: i64, name: &str) -> String {
    format!(
        r#"{{"status":"success","value":{{"session":{{"_id":"s1","userId":"u1","expires":{expires_millis}.0,"sessionToken":"t"}},"user":{{"_id":"u1","email":"ada@example.com","name":"{name}"}}}}}}"#
    )
}

/// A read on Convex's wire. `more` stands in the body, e.g. `,"format":"json"`.
fn query(to: std::net::SocketAddr, args: &str, more: &str) -> Request {
    post(to, "/api/query").body(format!(r#"{{"path":"{READS}","args":{args}{more}}}"#))
}

const ENCODED: &str = r#","format":"convex_encoded_json""#;

/// The ways to ask for one session, each of which is one read at the deployment at most.
fn ways(world: &World, token: &str) -> [Request; 6] {
    let args = json!({ "sessionToken": token });
    let with_secret = json!([{ "sessionToken": token, "secret": SECRET }]);
    [
        query(world.adapter, &args.to_string(), ENCODED),
        query(world.public, &with_secret.to_string(), ENCODED),
        post(world.adapter, "/adapter/getSessionAndUser").json(&args),
        post(world.public, "/auth/token").cookie(token),
        post(world.adapter, "/auth/token").json(&args),
        query(world.adapter, &format!("[{args}]"), r#","format":"convex_json""#),
    ]
}

/// Puts the session `t` into the cache, if it is not there.
async fn warm(world: &World, scripted: &mut Scripted) {
    is_from_memory(world, scripted).await;
    assert!(is_from_memory(world, scripted).await);
}

/// Whether the session `t` is answered without the deployment. If not, the deployment says what it said before.
async fn is_from_memory(world: &World, scripted: &mut Scripted) -> bool {
    let [ask, ..] = ways(world, "t");
    let mut sending = tokio::spawn(ask.send());
    tokio::select! {
        answer = &mut sending => {
            answer.unwrap().ok();
            true
        }
        received = scripted.next() => {
            received.answer(&row(FAR, "Ada")).await;
            sending.await.unwrap().ok();
            false
        }
    }
}

/// Waits until all places for requests are taken, and a little longer, so that the last one has come as far as it can. One refusal says
/// little: a probe before may not have given its own place back yet.
async fn until_full(world: &World) {
    let mut refused = 0;
    while refused < 25 {
        let probe = get(world.public, "/.well-known/jwks.json").send().await;
        refused = if probe.status == 503 { refused + 1 } else { 0 };
    }
}

/// Sends until there is a place for it: a probe may have had the last one.
async fn patiently(request: Request) -> Answer {
    loop {
        let answer = request.clone().send().await;
        if !answer.text().contains("TooManyRequestsInFlight") {
            return answer;
        }
    }
}

#[tokio::test]
async fn one_read_serves_every_way_of_asking() {
    let world = World::with(&[KEPT]).await;
    for first in 0..6 {
        let (user_id, token) = world.sign_in(&format!("ada{first}@example.com")).await;
        let before = world.calls(READS);
        for index in 0..6 {
            let way = ways(&world, &token).into_iter().nth((first + index) % 6).unwrap();
            way.send().await.ok();
        }
        let whoami = post(world.public, "/api/query").cookie(&token).body(r#"{"path":"demo:whoami","args":{}}"#);
        assert_eq!(whoami.send().await.ok()["value"]["subject"], json!(user_id));
        assert_eq!(world.calls(READS), before + 1, "way {first} first");
    }
    assert_eq!(world.metric(r#"convex_auth_proxy_session_reads_total{result="miss"}"#).await as u64, 6);
    assert_eq!(world.metric(r#"convex_auth_proxy_session_reads_total{result="hit"}"#).await as u64, 36);
}

#[tokio::test]
async fn reads_at_one_moment_are_one_read() {
    for ttl in ["0s", "0ms", "1h"] {
        let (world, mut scripted) = World::scripted(&[("CACHE__TTL", ttl), ("LIMITS__REQUESTS_IN_FLIGHT", "6")]).await;
        let sending: Vec<_> = ways(&world, "t").into_iter().map(|way| tokio::spawn(patiently(way))).collect();
        let held = scripted.next().await;
        until_full(&world).await;
        assert!(!scripted.has_next());
        held.answer(&row(FAR, "Ada")).await;
        for answer in sending {
            answer.await.unwrap().ok();
        }
        assert_eq!(world.metric(r#"convex_auth_proxy_session_reads_total{result="miss"}"#).await as u64, 1);
        assert_eq!(world.metric(r#"convex_auth_proxy_session_reads_total{result="coalesced"}"#).await as u64, 5);
        // Without a time to live nothing was kept.
        assert_eq!(is_from_memory(&world, &mut scripted).await, ttl == "1h", "{ttl}");
        assert_eq!(is_from_memory(&world, &mut scripted).await, ttl == "1h", "{ttl}");
    }
}

#[tokio::test]
async fn a_failure_and_a_null_are_shared_by_those_who_wait_and_kept_for_nobody() {
    let (world, mut scripted) = World::scripted(&[KEPT, ("LIMITS__REQUESTS_IN_FLIGHT", "2")]).await;
    let error = r#"{"status":"error","errorMessage":"[Request ID: 1] Server Error"}"#;
    for (body, status) in [(NOTHING, 200), (error, 200), ("junk", 502), (r#"{"status":"success"}"#, 502)] {
        let [one, other, ..] = ways(&world, "t");
        let sending = [one, other].map(|way| tokio::spawn(patiently(way)));
        let held = scripted.next().await;
        until_full(&world).await;
        assert!(!scripted.has_next());
        held.answer(body).await;
        for answer in sending {
            let answer = answer.await.unwrap();
            assert_eq!(answer.status, status, "{body}");
            assert!(status != 200 || answer.text() == body);
        }
    }
    let [ask, ..] = ways(&world, "t");
    let (_, answer) = scripted.pass(ask, &row(FAR, "Ada")).await;
    assert_eq!(answer.text(), row(FAR, "Ada"));
}

#[tokio::test]
async fn a_reader_that_goes_away_leaves_the_read_to_those_who_wait() {
    let (world, mut scripted) = World::scripted(&[KEPT, ("LIMITS__REQUESTS_IN_FLIGHT", "2")]).await;
    let [one, other, ..] = ways(&world, "t");
    let first = tokio::spawn(one.send());
    let held = scripted.next().await;
    let second = tokio::spawn(patiently(other));
    until_full(&world).await;
    first.abort();
    // Its place is free when the proxy has seen that it is gone.
    while get(world.public, "/.well-known/jwks.json").send().await.status == 503 {}
    held.answer(&row(FAR, "Ada")).await;
    assert_eq!(second.await.unwrap().text(), row(FAR, "Ada"));
    assert!(is_from_memory(&world, &mut scripted).await);
}

/// Writes that may change the answer for the session `t` of `u1`.
const WRITES: [(&str, &str); 11] = [
    ("createSession", r#""session":{"sessionToken":"t","userId":"u1","expires":1}"#),
    ("updateSession", r#""session":{"sessionToken":"t","expires":1}"#),
    ("updateSession", r#""session":{"\u0073essionToken":"\u0074"}"#),
    ("deleteSession", r#""sessionToken":"t""#),
    ("updateUser", r#""user":{"id":"u1","name":"n"}"#),
    ("deleteUser", r#""id":"u1""#),
    // Nobody can tell what these touch.
    ("addedLater", r#""x":1"#),
    ("default", r#""x":1"#),
    ("updateSession", r#""session":7"#),
    ("deleteSession", r#""x":1"#),
    ("deleteUser", r#""id":["u1"]"#),
];

#[tokio::test]
async fn every_write_is_seen_by_the_next_read() {
    let (world, mut scripted) = World::scripted(&[KEPT]).await;
    for (index, (function, members)) in WRITES.into_iter().enumerate() {
        for (to, lane, args) in [
            (world.adapter, "mutation", format!("{{{members}}}")),
            (world.adapter, "action", format!("[{{{members}}}]")),
            (world.public, "mutation", format!(r#"[{{{members},"secret":"{SECRET}"}}]"#)),
            (world.public, "action", format!(r#"{{"secret":"{SECRET}",{members}}}"#)),
        ] {
            warm(&world, &mut scripted).await;
            // The spelling of the path makes no difference, and neither does what the deployment says.
            let body = format!(r#"{{"path":"authAdapter.js/.:{function}","args":{args}}}"#);
            let said = if index % 2 == 0 { NOTHING } else { r#"{"status":"error","errorMessage":"no"}"# };
            scripted.pass(post(to, &format!("/api/{lane}")).body(body), said).await;
            let way = ways(&world, "t").into_iter().nth(index % 6).unwrap();
            let (seen, answer) = scripted.pass(way, &row(FAR, "Anew")).await;
            assert_eq!(seen.json()["path"], json!(READS), "{function} on {lane}");
            answer.ok();
            assert!(is_from_memory(&world, &mut scripted).await, "kept again");
        }
    }
}

#[tokio::test]
async fn every_write_on_the_auth_js_wire_is_seen_by_the_next_read() {
    let (world, mut scripted) = World::scripted(&[KEPT]).await;
    for (function, body) in [
        ("createSession", r#"{"session":{"sessionToken":"t","userId":"u1","expires":1}}"#),
        ("updateUser", r#"{"user":{"id":"u1","name":"n"}}"#),
        ("deleteSession", r#"{"sessionToken":"t"}"#),
    ] {
        for index in 0..6 {
            warm(&world, &mut scripted).await;
            let sending = tokio::spawn(post(world.adapter, &format!("/adapter/{function}")).body(body).send());
            let said = if function == "createSession" { r#"{"status":"success","value":"s2"}"# } else { NOTHING };
            scripted.next().await.answer(said).await;
            if function == "updateUser" {
                scripted.next().await.answer(r#"{"status":"success","value":{"_id":"u1","email":"e"}}"#).await;
            }
            sending.await.unwrap().ok();
            let way = ways(&world, "t").into_iter().nth(index).unwrap();
            scripted.pass(way, &row(FAR, "Anew")).await.1.ok();
        }
    }
}

#[tokio::test]
async fn what_writes_elsewhere_leaves_the_session_in_memory() {
    let (world, mut scripted) = World::scripted(&[KEPT]).await;
    warm(&world, &mut scripted).await;
    for (lane, path, args) in [
        ("mutation", "authAdapter:createUser", r#"{"user":{"email":"e"}}"#),
        ("mutation", "authAdapter:linkAccount", r#"{"account":{"userId":"u1"}}"#),
        ("mutation", "authAdapter:unlinkAccount", r#"{"provider":"p","providerAccountId":"a"}"#),
        ("mutation", "authAdapter:createVerificationToken", r#"{"verificationToken":{"token":"t","expires":1}}"#),
        ("mutation", "authAdapter:useVerificationToken", r#"{"identifier":"i","token":"t"}"#),
        ("mutation", "authAdapter:createAuthenticator", r#"{"authenticator":{"userId":"u1"}}"#),
        ("mutation", "authAdapter:updateAuthenticatorCounter", r#"{"credentialID":"c","newCounter":1}"#),
        ("query", "authAdapter:getUser", r#"{"id":"u1"}"#),
        ("query", "authAdapter:addedLater", "{}"),
        ("query", "authAdapter:deleteSession", r#"{"sessionToken":"t"}"#),
        ("mutation", "demo:send", r#"{"sessionToken":"t"}"#),
        ("action", "demo:deleteSession", r#"{"sessionToken":"t"}"#),
    ] {
        let body = format!(r#"{{"path":"{path}","args":{args}}}"#);
        scripted.pass(post(world.adapter, &format!("/api/{lane}")).body(body), NOTHING).await;
        assert!(is_from_memory(&world, &mut scripted).await, "{path}");
    }
    // A refused write is none.
    for args in [r#"{"sessionToken":"t","secret":"wrong"}"#, r#"{"sessionToken":"t","sessionToken":"t"}"#] {
        let body = format!(r#"{{"path":"authAdapter:deleteSession","args":{args}}}"#);
        assert!(post(world.adapter, "/api/mutation").body(body).send().await.status >= 400);
        assert!(is_from_memory(&world, &mut scripted).await);
    }
}

#[tokio::test]
async fn a_write_leaves_most_other_sessions_in_memory() {
    let world = World::with(&[KEPT]).await;
    let mut tokens = Vec::new();
    for number in 0..8 {
        tokens.push(world.sign_in(&format!("ada{number}@example.com")).await.1);
    }
    let read_all = async || {
        for token in &tokens {
            let [ask, ..] = ways(&world, token);
            ask.send().await.ok();
        }
        world.calls(READS)
    };
    assert_eq!(read_all().await, 8);
    let (other_id, other_token) = world.sign_in("other@example.com").await;
    let renamed = json!({ "user": { "id": other_id, "name": "n" } });
    post(world.adapter, "/adapter/updateUser").json(&renamed).send().await.ok();
    let gone = json!({ "sessionToken": other_token });
    post(world.adapter, "/adapter/deleteSession").json(&gone).send().await.ok();
    // Two of them could share a place in the table of writes by chance.
    assert!(read_all().await <= 10);
}

#[tokio::test]
async fn what_was_written_is_what_is_read_on_every_way() {
    let world = World::with(&[KEPT]).await;
    for index in 0..6 {
        let (user_id, token) = world.sign_in(&format!("ada{index}@example.com")).await;
        let read = async || ways(&world, &token).into_iter().nth(index).unwrap().send().await;
        let write = async |function: &str, args: Value| {
            world.call(world.adapter, "mutation", &format!("authAdapter:{function}"), args).await.ok()
        };
        let before = read().await.ok();
        write("updateUser", json!({ "user": { "id": user_id, "name": "Countess" } })).await;
        let soon = Now::read().wall.0 + 60_000;
        write("updateSession", json!({ "session": { "sessionToken": token, "expires": soon } })).await;
        let after = read().await.ok();
        match index {
            0 | 1 | 5 => {
                assert_eq!(after["value"]["user"]["name"], json!("Countess"));
                assert_eq!(after["value"]["session"]["expires"], json!(soon as f64));
            }
            2 => {
                assert_eq!(after["user"]["name"], json!("Countess"));
                assert_ne!(after["session"]["expires"], before["session"]["expires"]);
            }
            _ => assert!(after["expiresAt"].as_i64().unwrap() <= soon),
        }
        write("deleteUser", json!({ "id": user_id })).await;
        match index {
            0 | 1 | 5 => assert_eq!(read().await.ok()["value"], json!(null)),
            2 => assert_eq!(read().await.ok(), json!(null)),
            _ => assert_eq!(read().await.refusal(), (401, "NoSession".to_owned())),
        }
    }
}

#[tokio::test]
async fn a_read_that_straddles_a_write_is_not_kept() {
    let (world, mut scripted) = World::scripted(&[KEPT]).await;
    for (function, members) in WRITES {
        let [ask, again, ..] = ways(&world, "t");
        let reading = tokio::spawn(ask.send());
        let read = scripted.next().await;
        let body = format!(r#"{{"path":"authAdapter:{function}","args":{{{members}}}}}"#);
        scripted.pass(post(world.adapter, "/api/mutation").body(body), NOTHING).await;
        // Who asks after the write does not wait for the read from before it.
        let (_, fresh) = scripted.pass(again, &row(FAR, "Fresh")).await;
        assert_eq!(fresh.text(), row(FAR, "Fresh"), "{function}");
        read.answer(&row(FAR, "Stale")).await;
        assert_eq!(reading.await.unwrap().text(), row(FAR, "Stale"), "it was true when it was asked for");
        let [ask, ..] = ways(&world, "t");
        assert_eq!(ask.send().await.text(), row(FAR, "Fresh"), "{function}");
        // And so with nothing in memory.
        let gone = r#"{"path":"authAdapter:deleteSession","args":{"sessionToken":"t"}}"#;
        let [ask, ..] = ways(&world, "t");
        scripted.pass(post(world.adapter, "/api/mutation").body(gone), NOTHING).await;
        let reading = tokio::spawn(ask.send());
        let read = scripted.next().await;
        let body = format!(r#"{{"path":"authAdapter:{function}","args":{{{members}}}}}"#);
        scripted.pass(post(world.adapter, "/api/mutation").body(body), NOTHING).await;
        read.answer(&row(FAR, "Stale")).await;
        reading.await.unwrap().ok();
        assert!(!is_from_memory(&world, &mut scripted).await, "{function}");
        let gone = r#"{"path":"authAdapter:deleteSession","args":{"sessionToken":"t"}}"#;
        scripted.pass(post(world.adapter, "/api/mutation").body(gone), NOTHING).await;
    }
}

#[tokio::test]
async fn a_read_during_a_write_goes_upstream_and_is_not_kept() {
    let (world, mut scripted) = World::scripted(&[KEPT]).await;
    for (function, members) in WRITES {
        warm(&world, &mut scripted).await;
        let body = format!(r#"{{"path":"authAdapter:{function}","args":{{{members}}}}}"#);
        let writing = tokio::spawn(post(world.adapter, "/api/mutation").body(body).send());
        let write = scripted.next().await;
        for way in ways(&world, "t") {
            let (seen, _) = scripted.pass(way, &row(FAR, "Ada")).await;
            assert_eq!(seen.json()["path"], json!(READS), "{function}");
        }
        write.answer(NOTHING).await;
        writing.await.unwrap().ok();
        assert!(!is_from_memory(&world, &mut scripted).await, "{function}");
        assert!(is_from_memory(&world, &mut scripted).await, "{function}");
    }
}

#[tokio::test]
async fn a_read_that_ends_before_the_write_is_answered_is_not_kept() {
    let (world, mut scripted) = World::scripted(&[KEPT]).await;
    let [ask, ..] = ways(&world, "t");
    let reading = tokio::spawn(ask.send());
    let read = scripted.next().await;
    let body = r#"{"path":"authAdapter:deleteSession","args":{"sessionToken":"t"}}"#;
    let writing = tokio::spawn(post(world.adapter, "/api/mutation").body(body).send());
    let write = scripted.next().await;
    read.answer(&row(FAR, "Ada")).await;
    reading.await.unwrap().ok();
    assert!(!is_from_memory(&world, &mut scripted).await);
    write.answer(NOTHING).await;
    writing.await.unwrap().ok();
    assert!(!is_from_memory(&world, &mut scripted).await);
}

#[tokio::test]
async fn a_write_of_unknown_outcome_keeps_its_session_out_of_memory() {
    for (target, body) in [
        ("/adapter/deleteSession", r#"{"sessionToken":"t"}"#),
        ("/api/mutation", r#"{"path":"authAdapter:updateUser","args":{"user":{"id":"u1"}}}"#),
        ("/api/action", r#"{"path":"authAdapter:addedLater","args":{}}"#),
    ] {
        let (world, mut scripted) = World::scripted(&[KEPT]).await;
        warm(&world, &mut scripted).await;
        let writing = tokio::spawn(post(world.adapter, target).body(body).send());
        drop(scripted.next().await);
        assert_eq!(writing.await.unwrap().refusal(), (502, "UpstreamUnreachable".to_owned()));
        for _ in 0..3 {
            assert!(!is_from_memory(&world, &mut scripted).await, "{target}");
        }
    }
}

#[tokio::test]
async fn a_session_made_right_after_it_was_not_found_is_found() {
    let world = World::with(&[KEPT]).await;
    let (user_id, _) = world.sign_in("ada@example.com").await;
    for (index, token) in ["n0", "n1", "n2", "n3", "n4", "n5"].into_iter().enumerate() {
        let before = world.calls(READS);
        let read = async || ways(&world, token).into_iter().nth(index).unwrap().send().await;
        for count in 1..=2 {
            let answer = read().await;
            let is_none = answer.value()["value"].is_null() && answer.value()["token"].is_null();
            assert!(is_none, "{}", answer.text());
            assert_eq!(world.calls(READS), before + count, "a null is never from memory");
        }
        let session =
            json!({ "session": { "sessionToken": token, "userId": user_id, "expires": "2100-01-01T00:00:00.000Z" } });
        post(world.adapter, "/adapter/createSession").json(&session).send().await.ok();
        let found = read().await.ok();
        assert!(found.to_string().contains(if found["token"].is_string() { "expiresAt" } else { &user_id }), "{found}");
    }
}

#[tokio::test]
async fn l7_an_expired_row_goes_to_the_adapter_as_it_is_and_signs_nobody_in() {
    let (world, mut scripted) = World::scripted(&[KEPT]).await;
    let expired = row(1_700_000_000_000, "Ada");
    for index in [0, 1, 5, 0] {
        let way = ways(&world, "t").into_iter().nth(index).unwrap();
        let (_, answer) = scripted.pass(way, &expired).await;
        assert_eq!(answer.text(), expired, "Auth.js wants to see it and deletes it");
    }
    let [_, _, wire, cookie, named, _] = ways(&world, "t");
    let (_, answer) = scripted.pass(wire, &expired).await;
    assert_eq!(answer.ok()["session"]["expires"], json!("2023-11-14T22:13:20.000Z"));
    for ask in [cookie, named] {
        let (_, answer) = scripted.pass(ask, &expired).await;
        assert_eq!(answer.refusal(), (401, "NoSession".to_owned()));
    }
    let whoami = post(world.public, "/api/query").cookie("t").body(r#"{"path":"demo:whoami","args":{}}"#);
    let sending = tokio::spawn(whoami.send());
    scripted.next().await.answer(&expired).await;
    let call = scripted.next().await;
    assert_eq!(call.header("authorization"), None);
    call.answer(NOTHING).await;
    sending.await.unwrap().ok();
}

#[tokio::test]
async fn l7_nothing_is_given_past_its_expiry_before_it_was_read_again() {
    let (world, mut scripted) = World::scripted(&[KEPT]).await;
    let expires = Now::read().wall.0 + 150;
    let [ask, ..] = ways(&world, "t");
    scripted.pass(ask, &row(expires, "Ada")).await;
    loop {
        let begun = Now::read().wall.0;
        let [ask, ..] = ways(&world, "t");
        let mut sending = tokio::spawn(ask.send());
        tokio::select! {
            answer = &mut sending => {
                assert_eq!(answer.unwrap().text(), row(expires, "Ada"));
                assert!(begun < expires, "it was from memory after its end");
            }
            received = scripted.next() => {
                assert!(Now::read().wall.0 >= expires, "it was in memory still");
                // Somebody else has prolonged it.
                received.answer(&row(FAR, "Ada")).await;
                sending.await.unwrap().ok();
                break;
            }
        }
    }
    assert!(is_from_memory(&world, &mut scripted).await);
}

#[tokio::test]
async fn l2_only_who_holds_the_secret_gets_an_answer_from_memory() {
    let (world, mut scripted) = World::scripted(&[KEPT]).await;
    warm(&world, &mut scripted).await;
    for (to, args) in [
        (world.public, r#"{"sessionToken":"t"}"#.to_owned()),
        (world.public, r#"{"sessionToken":"t","secret":null}"#.to_owned()),
        (world.public, r#"{"sessionToken":"t","secret":"wrong"}"#.to_owned()),
        (world.adapter, r#"[{"sessionToken":"t","secret":"wrong"}]"#.to_owned()),
        (world.public, format!(r#"{{"sessionToken":"t","secret":"{SECRET}","secret":"wrong"}}"#)),
    ] {
        let answer = query(to, &args, ENCODED).send().await;
        assert_eq!(answer.refusal(), (403, "AdapterForbidden".to_owned()), "{args}");
    }
    assert!(!scripted.has_next());
    assert!(is_from_memory(&world, &mut scripted).await);

    let (world, mut scripted) = World::scripted(&[KEPT, ("ADAPTER__ON_PUBLIC", "deny")]).await;
    warm(&world, &mut scripted).await;
    let [_, public, ..] = ways(&world, "t");
    assert_eq!(public.send().await.refusal(), (403, "AdapterForbidden".to_owned()));
}

#[tokio::test]
async fn another_format_is_another_answer() {
    let (world, mut scripted) = World::scripted(&[KEPT]).await;
    let args = r#"{"sessionToken":"t"}"#;
    for (format, same) in [
        (ENCODED, vec![r#","format":"convex_json""#]),
        (r#","format":"json""#, vec![r#","format":"convex_clean_json""#, "", r#","format":null"#]),
        (r#","format":"export_json""#, vec![]),
    ] {
        let (seen, _) = scripted.pass(query(world.adapter, args, format), &row(FAR, format.get(11..14).unwrap())).await;
        assert!(seen.body.contains(format), "{}", seen.body);
        for other in same {
            let answer = query(world.adapter, args, other).send().await;
            assert_eq!(answer.text(), row(FAR, format.get(11..14).unwrap()), "{other}");
        }
    }
    // A format that Convex does not know, and the default of a client whose default has changed, are the deployment's to choose.
    for _ in 0..2 {
        scripted.pass(query(world.adapter, args, r#","format":"xml""#), NOTHING).await;
        let client = query(world.adapter, args, "").header("convex-client", "npm-1.4.0");
        let (seen, _) = scripted.pass(client, NOTHING).await;
        assert_eq!(seen.all("convex-client"), ["npm-1.4.0"]);
    }
    let named = query(world.adapter, args, ENCODED).header("convex-client", "npm-1.48.0").send().await;
    assert_eq!(named.text(), row(FAR, ENCODED.get(11..14).unwrap()));
}

#[tokio::test]
async fn every_other_call_of_the_function_goes_to_the_deployment() {
    let (world, mut scripted) = World::scripted(&[KEPT]).await;
    warm(&world, &mut scripted).await;
    for _ in 0..2 {
        for args in [
            r#"{"sessionToken":"t","more":1}"#,
            r#"{"sessionToken":"t","sessiontoken":"t"}"#,
            r#"{"sessionToken":7}"#,
            r#"{"sessionToken":["t"]}"#,
            r#"{"token":"t"}"#,
            "{}",
        ] {
            let (seen, _) = scripted.pass(query(world.adapter, args, ENCODED), NOTHING).await;
            assert!(seen.body.contains(&args[1..args.len() - 1]), "{}", seen.body);
        }
        // With an identity of its own: that may be part of the answer.
        let identified =
            query(world.adapter, r#"{"sessionToken":"t"}"#, ENCODED).header("authorization", "Bearer foreign");
        let (seen, _) = scripted.pass(identified, NOTHING).await;
        assert_eq!(seen.all("authorization"), ["Bearer foreign"]);
        for (target, body) in [
            (
                "/api/query_at_ts",
                r#"{"path":"authAdapter:getSessionAndUser","ts":"AAAAAAAAAAA=","args":{"sessionToken":"t"}}"#,
            ),
            (
                "/api/query_batch",
                r#"{"queries":[{"path":"authAdapter:getSessionAndUser","args":{"sessionToken":"t"}}]}"#,
            ),
        ] {
            scripted.pass(post(world.adapter, target).body(body), NOTHING).await;
        }
    }
    assert!(is_from_memory(&world, &mut scripted).await);
    // Names and texts are compared by what they mean.
    let spelled = query(world.adapter, r#"[{"\u0073essionToken":"\u0074"}]"#, ENCODED);
    assert_eq!(spelled.send().await.text(), row(FAR, "Ada"));
    let other = r#"{"sessionToken":"t "}"#;
    scripted.pass(query(world.adapter, other, ENCODED), NOTHING).await;
}

#[tokio::test]
async fn an_answer_above_64_kib_is_given_and_not_kept() {
    let (world, mut scripted) = World::scripted(&[KEPT]).await;
    let room = 64 * 1_024 - row(FAR, "").len();
    for (bytes, is_kept) in [(room, true), (room + 1, false)] {
        let large = row(FAR, &"x".repeat(bytes));
        let ask = || query(world.adapter, &format!(r#"{{"sessionToken":"t{bytes}"}}"#), ENCODED);
        let (_, answer) = scripted.pass(ask(), &large).await;
        assert_eq!(answer.text(), large);
        if is_kept {
            assert_eq!(ask().send().await.text(), large);
        } else {
            scripted.pass(ask(), &large).await;
        }
    }
}

#[tokio::test]
async fn an_encrypted_session_is_left_alone() {
    let (world, mut scripted) = World::scripted(&[KEPT]).await;
    let sealed = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2Q0JDLUhTNTEyIn0..aXY.Y2lwaGVy.dGFn";
    assert_eq!(post(world.public, "/auth/token").cookie(sealed).send().await.refusal(), (401, "NoSession".to_owned()));
    let (left, right) = sealed.split_at(30);
    let chunks = format!("authjs.session-token.0={left}; authjs.session-token.1={right}");
    let in_chunks = post(world.public, "/auth/token").header("cookie", &chunks).send().await;
    assert_eq!(in_chunks.refusal(), (401, "NoSession".to_owned()));
    assert!(!scripted.has_next());
    let whoami = post(world.public, "/api/query").cookie(sealed).body(r#"{"path":"demo:whoami","args":{}}"#);
    let (seen, _) = scripted.pass(whoami, NOTHING).await;
    assert_eq!(seen.json()["path"], json!("demo:whoami"), "no session was read");
    assert!(seen.all("authorization").is_empty());
}
