//! Sockets over the wire: a deployment on a free port, frames of `tokio-tungstenite`, and Convex's own client.

use std::collections::BTreeMap;
use std::future::Future;

use convex::{ConvexClient, FunctionResult, Value as ConvexValue};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::socket::converse;
use super::*;
use crate::dev::tests::{Running, TestKey};

const SESSION: &str = "00000000-0000-0000-0000-000000000001";

/// One end of a socket.
struct Socket<S = TcpStream>(WebSocketStream<S>);

impl Socket {
    async fn open(running: &Running) -> Self {
        Self::open_at(running, "/api/sync", None).await
    }

    async fn open_at(running: &Running, target: &str, client: Option<&'static str>) -> Self {
        Self::try_open(running, target, client).await.unwrap()
    }

    async fn try_open(running: &Running, target: &str, client: Option<&'static str>) -> Result<Self, Error> {
        let authority = running.address.strip_prefix("http://").unwrap();
        let mut request = format!("ws://{authority}{target}").into_client_request().unwrap();
        if let Some(client) = client {
            request.headers_mut().insert("convex-client", client.parse().unwrap());
        }
        let stream = TcpStream::connect(authority).await.unwrap();
        let config = WebSocketConfig::default().max_frame_size(None).max_message_size(None);
        Ok(Self(client_async_with_config(request, stream, Some(config)).await?.0))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    async fn send(&mut self, message: Json) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next frame but pings.
    async fn frame(&mut self) -> Message {
        loop {
            let frame = self.0.next().await.unwrap().unwrap();
            if !frame.is_ping() {
                return frame;
            }
        }
    }

    async fn next(&mut self) -> Json {
        let frame = self.frame().await;
        let Message::Text(text) = frame else { panic!("{frame}") };
        serde_json::from_str(&text).unwrap()
    }

    /// The next message, which must be of this type.
    async fn expect(&mut self, kind: &str) -> Json {
        let message = self.next().await;
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// The code and reason with which the socket is closed next; no code is 1005.
    async fn closed(&mut self) -> (u16, String) {
        let frame = self.frame().await;
        let Message::Close(close) = frame else { panic!("{frame}") };
        close.map_or((1005, String::new()), |close| (close.code.into(), close.reason.to_string()))
    }

    async fn modify(&mut self, base: u32, modifications: Json) {
        let new = base + 1;
        self.send(
            json!({"type": "ModifyQuerySet", "baseVersion": base, "newVersion": new, "modifications": modifications}),
        )
        .await;
    }

    async fn authenticate(&mut self, base: u32, token: &str) {
        self.send(json!({"type": "Authenticate", "baseVersion": base, "tokenType": "User", "value": token})).await;
    }
}

fn connect() -> Json {
    json!({"type": "Connect", "sessionId": SESSION, "connectionCount": 0, "lastCloseReason": "InitialConnect", "clientTs": 0})
}

fn add(query_id: u32, path: &str) -> Json {
    json!({"type": "Add", "queryId": query_id, "udfPath": path, "args": [{}]})
}

fn mutation(request_id: u32, body: &str) -> Json {
    json!({"type": "Mutation", "requestId": request_id, "udfPath": "demo:send", "args": [{"body": body}]})
}

fn ping_action(request_id: u32) -> Json {
    json!({"type": "Action", "requestId": request_id, "udfPath": "demo:ping", "args": [{}]})
}

fn ts(text: &Json) -> u64 {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap();
    u64::from_le_bytes(bytes.try_into().unwrap())
}

fn bodies(list: &Json) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|message| message["body"].as_str().unwrap()).collect()
}

/// Waits until the deployment's sockets are as asked.
async fn until(running: &Running, is_so: impl Fn() -> bool) {
    let mut activity = running.deployment.sync_activity();
    while !is_so() {
        activity.changed().await.unwrap();
    }
}

#[tokio::test]
async fn a_query_is_answered_and_pushed_when_somebody_writes() {
    let running = Running::start().await;
    let mut socket = Socket::open(&running).await;
    socket.send(connect()).await;
    socket.modify(0, json!([add(3, "demo:list")])).await;
    let first = socket.expect("Transition").await;
    assert_eq!(first["startVersion"], json!({"querySet": 0, "identity": 0, "ts": "AAAAAAAAAAA="}));
    assert_eq!((&first["endVersion"]["querySet"], &first["endVersion"]["identity"]), (&json!(1), &json!(0)));
    let updated = json!({"type": "QueryUpdated", "queryId": 3, "value": [], "logLines": [], "journal": null});
    assert_eq!(first["modifications"], json!([updated]));
    let skew = first["clientClockSkew"].as_i64().unwrap();
    let nanoseconds = first["serverTs"].as_i64().unwrap();
    assert!((skew + nanoseconds / 1_000_000).abs() < 60_000, "{first}");

    running.call("/api/mutation", "demo:send", json!({"body": "pushed"})).await;
    let second = socket.expect("Transition").await;
    assert_eq!(second["startVersion"], first["endVersion"]);
    assert!(ts(&second["endVersion"]["ts"]) > ts(&first["endVersion"]["ts"]));
    assert_eq!(bodies(&second["modifications"][0]["value"]), ["pushed"]);
    assert_eq!(running.deployment.calls()["demo:list"], 2);
}

#[tokio::test]
async fn a_mutation_is_answered_before_the_transition_that_shows_it() {
    let running = Running::start().await;
    let mut socket = Socket::open(&running).await;
    socket.modify(0, json!([add(0, "demo:list")])).await;
    socket.expect("Transition").await;
    socket.send(mutation(7, "mine")).await;
    let response = socket.expect("MutationResponse").await;
    assert_eq!(
        (&response["requestId"], &response["success"], &response["logLines"]),
        (&json!(7), &json!(true), &json!([]))
    );
    let shown = socket.expect("Transition").await;
    assert_eq!(bodies(&shown["modifications"][0]["value"]), ["mine"]);
    assert!(ts(&shown["endVersion"]["ts"]) >= ts(&response["ts"]));

    socket.send(mutation(8, "")).await;
    let response = socket.expect("MutationResponse").await;
    assert_eq!((&response["success"], &response["ts"]), (&json!(false), &Json::Null));
    assert!(response["result"].as_str().unwrap().ends_with("Uncaught Error: A message has 1 to 1000 characters\n"));
    let empty = socket.expect("Transition").await;
    assert_eq!((&empty["modifications"], &empty["startVersion"]), (&json!([]), &empty["endVersion"]));
}

#[tokio::test]
async fn an_action_is_answered_and_followed_by_a_transition() {
    let running = Running::start().await;
    let mut socket = Socket::open(&running).await;
    socket.send(ping_action(1)).await;
    let response = json!({"type": "ActionResponse", "requestId": 1, "success": true, "result": "pong", "logLines": []});
    assert_eq!(socket.next().await, response);
    socket.expect("Transition").await;
    socket.send(json!({"type": "Action", "requestId": 2, "udfPath": "demo:list", "args": [{}]})).await;
    let response = socket.expect("ActionResponse").await;
    let complaint = response["result"].as_str().unwrap();
    assert!(complaint.contains("Trying to execute demo.js:list as Action"), "{complaint}");
}

#[tokio::test]
async fn convexs_own_client_subscribes_and_gets_the_push() {
    let running = Running::start().await;
    let mut client = ConvexClient::new(&running.address).await.unwrap();
    let mut list = client.subscribe("demo:list", BTreeMap::new()).await.unwrap();
    let Some(FunctionResult::Value(ConvexValue::Array(listed))) = list.next().await else { panic!() };
    assert!(listed.is_empty());
    let body = BTreeMap::from([("body".to_owned(), ConvexValue::from("by the crate"))]);
    let FunctionResult::Value(ConvexValue::String(_)) = client.mutation("demo:send", body).await.unwrap() else {
        panic!()
    };
    let Some(FunctionResult::Value(ConvexValue::Array(listed))) = list.next().await else { panic!() };
    let [ConvexValue::Object(message)] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!(message["body"], ConvexValue::from("by the crate"));
    assert_eq!(client.action("demo:ping", BTreeMap::new()).await.unwrap(), FunctionResult::Value("pong".into()));
    let whoami = client.query("demo:whoami", BTreeMap::new()).await.unwrap();
    assert_eq!(whoami, FunctionResult::Value(ConvexValue::Null));
}

#[tokio::test]
async fn convexs_own_client_signs_in() {
    let running = Running::start().await;
    let key = TestKey::ed25519();
    running.issuer.publish(&[&key]);
    let mut client = ConvexClient::new(&running.address).await.unwrap();
    client.set_auth(Some(key.token(&running.issuer.claims()))).await;
    let whoami = client.query("demo:whoami", BTreeMap::new()).await.unwrap();
    let FunctionResult::Value(ConvexValue::Object(identity)) = whoami else { panic!("{whoami:?}") };
    assert_eq!(identity["subject"], ConvexValue::from("user-1"));
}

#[tokio::test]
async fn an_identity_runs_the_queries_again() {
    let running = Running::start().await;
    let key = TestKey::ed25519();
    running.issuer.publish(&[&key]);
    let mut socket = Socket::open(&running).await;
    socket.modify(0, json!([add(0, "demo:whoami")])).await;
    assert_eq!(socket.next().await["modifications"][0]["value"], Json::Null);
    socket.authenticate(0, &key.token(&running.issuer.claims())).await;
    let signed_in = socket.expect("Transition").await;
    assert_eq!(signed_in["endVersion"]["identity"], 1);
    assert_eq!(signed_in["modifications"][0]["value"]["subject"], "user-1");
    socket.send(json!({"type": "Authenticate", "baseVersion": 1, "tokenType": "None"})).await;
    let signed_out = socket.expect("Transition").await;
    assert_eq!(
        (&signed_out["endVersion"]["identity"], &signed_out["modifications"][0]["value"]),
        (&json!(2), &Json::Null)
    );
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_told_with_the_last_version() {
    let running = Running::start().await;
    let key = TestKey::ed25519();
    running.issuer.publish(&[&key]);
    let claims = running.issuer.claims();
    let mut another_issuer = claims.clone();
    another_issuer["iss"] = json!("http://another");
    let user = |token: String| json!({"type": "Authenticate", "baseVersion": 1, "tokenType": "User", "value": token});
    for (message, error) in [
        (user("nonsense".into()), "Could not parse JWT payload"),
        (user(key.token(&another_issuer)), "No auth provider found matching the given token"),
        (user(TestKey::ed25519().token(&claims)), "Could not verify OIDC token claim"),
        (
            json!({"type": "Authenticate", "baseVersion": 1, "tokenType": "Admin", "value": "key"}),
            "admin key was invalid",
        ),
    ] {
        let mut socket = Socket::open(&running).await;
        socket.authenticate(0, &key.token(&claims)).await;
        socket.expect("Transition").await;
        socket.send(message).await;
        let told = socket.expect("AuthError").await;
        assert!(told["error"].as_str().unwrap().contains(error), "{told}");
        assert_eq!((&told["baseVersion"], &told["authUpdateAttempted"]), (&json!(1), &json!(true)));
        assert_eq!(socket.closed().await, (1005, String::new()));
    }
}

#[tokio::test]
async fn an_issuer_that_is_down_is_no_fault_of_the_token() {
    let running = Running::start().await;
    let token = TestKey::ed25519().token(&running.issuer.claims());
    running.issuer.metadata.lock().unwrap()["jwks_uri"] = json!("http://127.0.0.1:1/jwks.json");
    let mut socket = Socket::open(&running).await;
    socket.authenticate(0, &token).await;
    assert_eq!(socket.closed().await, (1013, "AuthProviderDiscoveryFailed".to_owned()));
}

#[tokio::test]
async fn a_token_that_dies_ends_the_socket_when_it_is_needed() {
    let running = Running::start().await;
    let key = TestKey::ed25519();
    running.issuer.publish(&[&key]);
    let token = key.token(&running.issuer.claims());
    let signed_in = async || {
        let mut socket = Socket::open(&running).await;
        socket.modify(0, json!([add(0, "demo:list")])).await;
        socket.authenticate(0, &token).await;
        while socket.expect("Transition").await["endVersion"]["identity"] != 1 {}
        socket
    };
    let expired = json!({
        "type": "AuthError", "error": "Convex token identity expired", "baseVersion": 1, "authUpdateAttempted": false,
    });
    for message in [
        mutation(0, "unheard"),
        ping_action(0),
        json!({"type": "ModifyQuerySet", "baseVersion": 1, "newVersion": 2, "modifications": []}),
    ] {
        let mut socket = signed_in().await;
        running.deployment.expire_sync_tokens();
        socket.send(message.clone()).await;
        assert_eq!(socket.next().await, expired, "{message}");
        assert_eq!(socket.closed().await.0, 1005);
    }
    let mut pushed = signed_in().await;
    let mut renewed = signed_in().await;
    running.deployment.expire_sync_tokens();
    renewed.authenticate(1, &token).await;
    renewed.expect("Transition").await;
    running.call("/api/mutation", "demo:send", json!({"body": "pushed"})).await;
    assert_eq!(pushed.next().await, expired);
    assert_eq!(bodies(&renewed.expect("Transition").await["modifications"][0]["value"]), ["pushed"]);
}

#[tokio::test]
async fn a_mutation_that_happened_is_answered_from_memory() {
    let running = Running::start().await;
    let mut first = Socket::open(&running).await;
    first.send(connect()).await;
    first.send(mutation(5, "once")).await;
    let response = first.expect("MutationResponse").await;
    let mut second = Socket::open(&running).await;
    second.send(connect()).await;
    second.send(json!({"type": "Mutation", "requestId": 5, "udfPath": "nobody:knows", "args": "it"})).await;
    assert_eq!(second.next().await, response, "neither path nor arguments are looked at");
    second.expect("Transition").await;
    let mut stranger = Socket::open(&running).await;
    stranger.send(mutation(5, "again")).await;
    assert_ne!(stranger.expect("MutationResponse").await["result"], response["result"], "no session, no memory");
    assert_eq!(running.deployment.calls()["demo:send"], 2);
}

#[tokio::test]
async fn components_are_for_administrators_but_for_the_root() {
    let running = Running::start().await;
    let mut socket = Socket::open(&running).await;
    let with = |mut message: Json, component: &str| {
        message["componentPath"] = json!(component);
        message
    };
    socket.send(with(mutation(0, "root"), "")).await;
    assert_eq!(socket.expect("MutationResponse").await["success"], true);
    socket.expect("Transition").await;
    socket.send(with(mutation(1, "child"), "child")).await;
    let refused = socket.expect("MutationResponse").await;
    assert_eq!(refused["success"], false);
    assert!(refused["result"].as_str().unwrap().contains("Only administrators"), "{refused}");
    socket.expect("Transition").await;
    socket.send(with(ping_action(2), "child")).await;
    assert_eq!(socket.expect("ActionResponse").await["success"], false);
    socket.expect("Transition").await;
    let queries =
        [with(add(0, "demo:list"), "child"), with(add(1, "demo.js/:list"), ""), with(add(2, "demo:list"), "")];
    socket.modify(0, json!(queries)).await;
    let told = socket.expect("Transition").await;
    let kinds: Vec<_> = told["modifications"].as_array().unwrap().iter().map(|told| &told["type"]).collect();
    assert_eq!(kinds, ["QueryFailed", "QueryFailed", "QueryUpdated"]);
}

#[tokio::test]
async fn what_breaks_the_rules_ends_the_socket() {
    let running = Running::start().await;
    let modify = |base: u32, new: u32, modifications: Json| json!({"type": "ModifyQuerySet", "baseVersion": base, "newVersion": new, "modifications": modifications});
    let none = |base: u32| json!({"type": "Authenticate", "baseVersion": base, "tokenType": "None"});
    let future =
        json!({"type": "Connect", "sessionId": SESSION, "connectionCount": 0, "maxObservedTimestamp": "/////////38="});
    for message in [
        modify(0, 0, json!([])),
        modify(0, 1, json!([add(0, "a:b"), add(0, "a:b")])),
        modify(0, 1, json!([{"type": "Remove", "queryId": 0}])),
        none(1),
        future,
    ] {
        let mut socket = Socket::open(&running).await;
        socket.send(message.clone()).await;
        assert_eq!(socket.closed().await, (1011, "InternalServerError".to_owned()), "{message}");
    }
    for (message, error) in [
        (modify(1, 2, json!([])), "BaseVersionMismatch"),
        (json!({"type": "Unknown"}), "cannot be read"),
        (json!([]), "cannot be read"),
        (json!({"type": "Mutation", "requestId": 0, "udfPath": "é".repeat(99), "args": []}), "ASCII"),
    ] {
        let mut socket = Socket::open(&running).await;
        socket.send(message.clone()).await;
        let told = socket.expect("FatalError").await;
        assert!(told["error"].as_str().unwrap().contains(error), "{told}");
        assert_eq!(socket.closed().await.0, 1005, "{message}");
    }
}

#[tokio::test]
async fn frames_of_another_kind_or_size_end_the_socket() {
    let running = Running::start().await;
    let too_large = Message::text("x".repeat((16 << 20) + 1));
    for frame in [Message::binary("{}"), too_large] {
        let mut socket = Socket::open(&running).await;
        // The deployment may end it before all was sent.
        let _ = socket.0.send(frame).await;
        assert_eq!(socket.closed().await.0, 1011);
    }
}

#[tokio::test]
async fn all_before_the_message_that_ends_the_socket_is_answered() {
    let running = Running::start().await;
    let mut socket = Socket::open(&running).await;
    socket.0.feed(Message::text(mutation(0, "kept").to_string())).await.unwrap();
    socket.0.feed(Message::text("{")).await.unwrap();
    socket.0.feed(Message::text(mutation(1, "unheard").to_string())).await.unwrap();
    socket.0.flush().await.unwrap();
    assert_eq!(socket.expect("MutationResponse").await["requestId"], 0);
    while socket.next().await["type"] != "FatalError" {}
    assert_eq!(socket.closed().await.0, 1005);
    assert_eq!(bodies(&running.call("/api/query", "demo:list", json!({})).await["value"]), ["kept"]);
}

#[tokio::test]
async fn large_transitions_come_in_pieces_for_those_who_know_how() {
    let running = Running::start_with("authAdapter", SyncOptions { chunk_bytes: 1_000, ..Default::default() }).await;
    let repeat =
        json!([{"type": "Add", "queryId": 0, "udfPath": "demo:repeat", "args": [{"text": "é\"", "times": 500}]}]);
    let mut knows = Socket::open_at(&running, "/api/1.28.0/sync", None).await;
    knows.modify(0, repeat.clone()).await;
    let first = knows.expect("TransitionChunk").await;
    let total = first["totalParts"].as_u64().unwrap();
    let mut text = first["chunk"].as_str().unwrap().to_owned();
    for part in 1..total {
        let chunk = knows.expect("TransitionChunk").await;
        assert_eq!((&chunk["partNumber"], &chunk["totalParts"]), (&json!(part), &json!(total)));
        assert_eq!(chunk["transitionId"], first["transitionId"]);
        text.push_str(chunk["chunk"].as_str().unwrap());
    }
    assert_eq!((total, &first["partNumber"]), (text.len().div_ceil(1_000) as u64, &json!(0)));
    let transition: Json = serde_json::from_str(&text).unwrap();
    assert_eq!(transition["modifications"][0]["value"], "é\"".repeat(500));

    for (target, client) in
        [("/api/1.27.9/sync", None), ("/api/1.28.0/sync", Some("rust-9.0.0")), ("/api/sync", Some("npm-1.27.0"))]
    {
        let mut whole = Socket::open_at(&running, target, client).await;
        whole.modify(0, repeat.clone()).await;
        whole.expect("Transition").await;
    }
    let mut by_header = Socket::open_at(&running, "/api/sync", Some("npm-1.28.0")).await;
    by_header.modify(0, repeat).await;
    by_header.expect("TransitionChunk").await;
}

#[tokio::test]
async fn a_message_of_any_size_goes_out_in_one_frame() {
    let running = Running::start().await;
    let mut socket = Socket::open(&running).await;
    let times = 16 * 1024 * 1024;
    socket
        .modify(
            0,
            json!([{"type": "Add", "queryId": 0, "udfPath": "demo:repeat", "args": [{"text": "\"", "times": times}]}]),
        )
        .await;
    let Message::Text(text) = socket.frame().await else { panic!() };
    assert!(text.len() > 2 * times, "each character is escaped");
}

#[tokio::test]
async fn a_socket_begins_with_a_proper_request() {
    let running = Running::start().await;
    let refused = async |target: &str, client| {
        let Err(Error::Http(response)) = Socket::try_open(&running, target, client).await else { panic!("{target}") };
        let body: Json = serde_json::from_slice(response.body().as_deref().unwrap()).unwrap();
        (response.status().as_u16(), body["code"].as_str().unwrap().to_owned())
    };
    assert_eq!(refused("/api/query/sync", None).await, (400, "InvalidClientVersion".to_owned()));
    assert_eq!(refused("/api/0.19.1/sync", None).await, (400, "ClientVersionUnsupported".to_owned()));
    assert_eq!(refused("/api/1.28.0/sync", Some("npm")).await, (400, "InvalidClientVersion".to_owned()));
    assert_eq!(refused("/api/1.28.0/sync", Some("rust-0.0.1")).await, (400, "ClientVersionUnsupported".to_owned()));

    let url = format!("{}/api/sync", running.address);
    assert_eq!(running.client.get(&url).send().await.unwrap().status(), 400, "no upgrade");
    let half = running.client.get(&url).header("connection", "upgrade").header("upgrade", "websocket");
    assert_eq!(half.send().await.unwrap().status(), 400, "no key");
    let post = running.client.post(&url).send().await.unwrap();
    assert_eq!((post.status().as_u16(), post.headers()["allow"].to_str().unwrap()), (405, "GET,HEAD"));
    assert_eq!(running.deployment.open_sync_sockets(), 0);
}

#[tokio::test]
async fn tests_see_what_clients_sent_and_how_many_there_are() {
    let running = Running::start().await;
    let mut first = Socket::open_at(&running, "/api/1.48.0/sync", None).await;
    let mut second = Socket::open(&running).await;
    assert_eq!(running.deployment.open_sync_sockets(), 2);
    let long = format!("{{\"canary\":\"{}", "é".repeat(64 * 1024));
    first.send(connect()).await;
    first.modify(0, json!([])).await;
    first.expect("Transition").await;
    second.0.send(Message::text(long)).await.unwrap();
    second.expect("FatalError").await;
    let seen = running.deployment.sync_messages();
    let sockets: Vec<_> = seen.iter().map(|message| message.socket).collect();
    assert_eq!((sockets, seen[0].text.clone()), (vec![1, 1, 2], connect().to_string()));
    assert!((64 * 1024 - 1..=64 * 1024).contains(&seen[2].text.len()));
    let targets: Vec<_> = running.deployment.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/api/1.48.0/sync", "/api/sync"]);
    assert!(!format!("{seen:?}{:?}", running.deployment).contains("canary"));
    assert!(!format!("{:?}", running.deployment).contains(SESSION));
    drop(first);
    second.closed().await;
    drop(second);
    until(&running, || running.deployment.open_sync_sockets() == 0).await;
}

#[tokio::test]
async fn sockets_are_dropped_without_a_word() {
    let running = Running::start().await;
    let mut socket = Socket::open(&running).await;
    socket.modify(0, json!([])).await;
    socket.expect("Transition").await;
    running.deployment.drop_sync_sockets();
    let end = loop {
        match socket.0.next().await {
            Some(Ok(Message::Ping(_))) => {}
            end => break end,
        }
    };
    assert!(matches!(end, Some(Err(_))), "{end:?}");
    until(&running, || running.deployment.open_sync_sockets() == 0).await;
    Socket::open(&running).await.modify(0, json!([])).await;
}

#[tokio::test]
async fn a_stopped_deployment_closes_its_sockets() {
    let running = Running::start().await;
    let mut socket = Socket::open(&running).await;
    let _silent = Socket::open(&running).await;
    running.shutdown.cancel();
    assert_eq!(socket.closed().await.0, 1012);
    drop(socket);
    running.served.await.unwrap().unwrap();
    assert_eq!(running.deployment.open_sync_sockets(), 0, "not even the one that never answers");
}

#[tokio::test]
async fn a_client_may_close() {
    let running = Running::start().await;
    let mut socket = Socket::open(&running).await;
    socket.send(mutation(0, "last words")).await;
    socket.0.close(None).await.unwrap();
    while let Some(frame) = socket.0.next().await {
        frame.unwrap();
    }
    until(&running, || running.deployment.open_sync_sockets() == 0).await;
    assert_eq!(running.deployment.calls()["demo:send"], 1);
}

/// A socket without a network, so that time can be held still.
async fn without_network(running: &Running, buffer: usize) -> (Socket<DuplexStream>, impl Future<Output = ()> + use<>) {
    let (ours, theirs) = tokio::io::duplex(buffer);
    let socket = OpenSocket::new(Arc::clone(&running.deployment.0));
    let served = converse(socket, theirs, false, CancellationToken::new());
    (Socket(WebSocketStream::from_raw_socket(ours, Role::Client, None).await), served)
}

#[tokio::test]
async fn what_waits_together_is_answered_together() {
    let running = Running::start().await;
    let (mut socket, served) = without_network(&running, 64 * 1024).await;
    socket.modify(0, json!([add(0, "demo:list")])).await;
    socket.send(json!({"type": "Authenticate", "baseVersion": 0, "tokenType": "None"})).await;
    socket.send(json!({"type": "Authenticate", "baseVersion": 1, "tokenType": "None"})).await;
    socket.modify(1, json!([add(1, "demo:whoami")])).await;
    tokio::spawn(served);
    let transition = socket.expect("Transition").await;
    assert_eq!((&transition["endVersion"]["querySet"], &transition["endVersion"]["identity"]), (&json!(2), &json!(2)));
    assert_eq!(transition["modifications"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_client_that_does_not_read_gets_few_transitions() {
    let running = Running::start().await;
    let (mut socket, served) = without_network(&running, 512).await;
    tokio::spawn(served);
    socket.modify(0, json!([add(0, "demo:list")])).await;
    let mut end = socket.expect("Transition").await["endVersion"].clone();
    for number in 0..20 {
        running.call("/api/mutation", "demo:send", json!({"body": format!("{number:0>600}")})).await;
    }
    let mut transitions = 0;
    loop {
        let transition = socket.expect("Transition").await;
        assert_eq!(transition["startVersion"], end);
        end = transition["endVersion"].clone();
        transitions += 1;
        if bodies(&transition["modifications"][0]["value"]).len() == 20 {
            break;
        }
    }
    assert!(transitions <= 3, "two that waited, and one for all the rest: {transitions}");
}

#[tokio::test(start_paused = true)]
async fn a_live_socket_is_pinged_on_both_levels() {
    let running = Running::start().await;
    let (mut socket, served) = without_network(&running, 1024).await;
    tokio::spawn(served);
    let start = Instant::now();
    let (mut pings, mut heartbeats) = (Vec::new(), Vec::new());
    while heartbeats.len() < 2 {
        let frame = socket.0.next().await.unwrap().unwrap();
        let seconds = start.elapsed().as_secs();
        if frame.is_ping() {
            pings.push(seconds);
        } else {
            assert_eq!(frame, Message::text(r#"{"type":"Ping"}"#));
            heartbeats.push(seconds);
        }
    }
    assert_eq!(heartbeats, [15, 30]);
    assert!(pings.starts_with(&[0, 5, 10, 15, 20, 25]), "{pings:?}");
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_waits_for_silence() {
    let running = Running::start().await;
    let (mut socket, served) = without_network(&running, 1024).await;
    tokio::spawn(served);
    tokio::time::advance(Duration::from_secs(10)).await;
    socket.send(ping_action(0)).await;
    socket.expect("ActionResponse").await;
    socket.expect("Transition").await;
    let answered = Instant::now();
    socket.expect("Ping").await;
    assert_eq!(answered.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_at_all_is_closed() {
    let running = Running::start().await;
    let (socket, served) = without_network(&running, 4096).await;
    let start = Instant::now();
    // Nobody reads, so that nobody answers pings.
    served.await;
    let seconds = start.elapsed().as_secs();
    assert!((120..125).contains(&seconds), "{seconds}");
    let mut bytes = Vec::new();
    socket.0.into_inner().read_to_end(&mut bytes).await.unwrap();
    assert!(bytes.ends_with(&[0x88, 2, 0x03, 0xe8]), "a close frame with the code 1000");
}
