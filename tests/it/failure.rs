//! A deployment that is down, late or talks nonsense, and clients that leave: what is told, what is sent again (nothing), what is kept.

use std::sync::Arc;

use convex_auth_proxy::{
    admin::{Admin, Readiness, Watch},
    classify::Route,
    telemetry::Metrics,
    upstream,
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::common::{Answer, Connection, ORIGIN, Received, Request, SECRET, Scripted, World, get, post};

const ANSWERED: &str = r#"{"status":"success","value":1}"#;
const BROKEN: [Fault; 7] =
    [Fault::Reset, Fault::Close, Fault::HalfHead, Fault::HalfBody, Fault::Page, Fault::NoType, Fault::Nonsense];

/// How a deployment can fail to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The connection is reset.
    Reset,
    /// The connection is closed without a word.
    Close,
    /// The connection is closed within the head.
    HalfHead,
    /// The connection is closed within the body.
    HalfBody,
    /// A gateway answers with a page.
    Page,
    /// JSON that nobody called so.
    NoType,
    /// Not JSON, though it is called so.
    Nonsense,
}

impl Fault {
    async fn happen(self, mut received: Received) {
        match self {
            Self::Reset => received.reset(),
            Self::Close => drop(received),
            Self::HalfHead => received.send(b"HTTP/1.1 200 OK\r\ncontent-ty").await,
            Self::HalfBody => {
                let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n";
                received.send(head).await;
                received.send(br#"{"status":"success","value":null"#).await;
            }
            Self::Page => received.answer_with("502 Bad Gateway", "text/html", "<html>null</html>").await,
            Self::NoType => received.answer_with("200 OK", "text/plain", r#"{"status":"success","value":null}"#).await,
            Self::Nonsense => received.answer("null").await,
        }
    }

    /// What is told of it where the proxy reads the answer itself.
    fn code(self) -> &'static str {
        match self {
            Self::Reset | Self::Close | Self::HalfHead => "UpstreamUnreachable",
            Self::HalfBody | Self::Page | Self::NoType | Self::Nonsense => "UpstreamUnreadable",
        }
    }
}

/// The ways in which somebody can ask for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Adapter,
    PublicWithSecret,
    AuthJs,
    CookieCall,
    CookieToken,
    AdapterToken,
}

impl Ask {
    const ALL: [Self; 6] =
        [Self::Adapter, Self::PublicWithSecret, Self::AuthJs, Self::CookieCall, Self::CookieToken, Self::AdapterToken];

    fn request(self, world: &World, token: &str) -> Request {
        let call = |arguments: Value| json!({ "path": "authAdapter:getSessionAndUser", "args": arguments });
        match self {
            Self::Adapter => post(world.adapter, "/api/query").json(&call(json!({ "sessionToken": token }))),
            Self::PublicWithSecret => {
                post(world.public, "/api/query").json(&call(json!({ "sessionToken": token, "secret": SECRET })))
            }
            Self::AuthJs => post(world.adapter, "/adapter/getSessionAndUser").json(&json!({ "sessionToken": token })),
            Self::CookieCall => post(world.public, "/api/query").cookie(token).json(&whoami()),
            Self::CookieToken => post(world.public, "/auth/token").cookie(token),
            Self::AdapterToken => post(world.adapter, "/auth/token").json(&json!({ "sessionToken": token })),
        }
    }

    /// Whether the deployment's own refusal is passed on, as it is for those who called the function by its name.
    fn passes_refusals(self) -> bool {
        matches!(self, Self::Adapter | Self::PublicWithSecret)
    }
}

fn whoami() -> Value {
    json!({ "path": "demo:whoami", "args": {} })
}

fn row(token: &str, name: &str) -> String {
    let session =
        json!({ "_id": "s1", "_creationTime": 1.0, "sessionToken": token, "userId": "u1", "expires": 4.0e12 });
    let user = json!({ "_id": "u1", "_creationTime": 1.0, "email": "ada@example.com", "name": name });
    json!({ "status": "success", "value": { "session": session, "user": user } }).to_string()
}

/// Takes the read of a session that must come next.
async fn session_read(scripted: &mut Scripted, token: &str) -> Received {
    let received = scripted.next().await;
    assert_eq!(received.json()["path"], json!("authAdapter:getSessionAndUser"));
    assert_eq!(received.json()["args"][0]["sessionToken"], json!(token));
    received
}

/// Asks with a deployment that answers well: it is asked, so nothing was kept, and the caller gets what it wants.
async fn asks_anew_and_succeeds(world: &World, scripted: &mut Scripted, ask: Ask, token: &str) {
    let asking = tokio::spawn(ask.request(world, token).send());
    session_read(scripted, token).await.answer(&row(token, "Ada")).await;
    if ask == Ask::CookieCall {
        let call = scripted.next().await;
        assert!(call.header("authorization").unwrap().starts_with("Bearer ey"));
        call.answer(ANSWERED).await;
    }
    let answer = asking.await.unwrap();
    assert_eq!(answer.status, 200, "{ask:?}: {}", answer.text());
    let value = answer.value();
    assert!(!value.is_null() && value.get("value") != Some(&Value::Null), "{ask:?}: {value}");
}

/// Reads a session through the adapter listener; says whose it is, and whether the deployment was asked.
async fn read_name(world: &World, scripted: &mut Scripted, token: &str, name: &str) -> (Value, bool) {
    let mut asking = tokio::spawn(Ask::Adapter.request(world, token).send());
    let (answer, was_asked) = tokio::select! {
        answer = &mut asking => (answer.unwrap(), false),
        received = session_read(scripted, token) => {
            received.answer(&row(token, name)).await;
            (asking.await.unwrap(), true)
        }
    };
    (answer.ok()["value"]["user"]["name"].clone(), was_asked)
}

// Outages are told as outages.

#[tokio::test]
async fn a_deployment_that_is_not_there_is_502() {
    let world = World::without_deployment(&[]).await;
    for target in ["/api/query", "/api/mutation", "/api/action", "/api/query_at_ts"] {
        let body = json!({ "path": "demo:whoami", "args": {}, "ts": "AAAAAAAAAAA=" });
        let answer = post(world.public, target).json(&body).send().await;
        assert_eq!(answer.refusal(), (502, "UpstreamUnreachable".to_owned()), "{target}");
    }
    let batch = json!({ "queries": [whoami()] });
    assert_eq!(post(world.public, "/api/query_batch").json(&batch).send().await.refusal().0, 502);
    assert_eq!(post(world.public, "/api/query_ts").send().await.refusal().0, 502);
    for ask in Ask::ALL {
        let answer = ask.request(&world, "t").send().await;
        assert_eq!(answer.refusal(), (502, "UpstreamUnreachable".to_owned()), "{ask:?}");
    }
    // What needs no deployment is served.
    assert_eq!(get(world.public, "/.well-known/jwks.json").send().await.status, 200);
}

#[tokio::test]
async fn a_session_that_cannot_be_read_is_never_a_null_and_never_kept() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for ask in Ask::ALL {
        for fault in BROKEN {
            let token = format!("{ask:?}-{fault:?}");
            let asking = tokio::spawn(ask.request(&world, &token).send());
            fault.happen(session_read(&mut scripted, &token).await).await;
            assert_eq!(asking.await.unwrap().refusal(), (502, fault.code().to_owned()), "{token}");
            asks_anew_and_succeeds(&world, &mut scripted, ask, &token).await;
        }
    }
}

#[tokio::test]
async fn a_session_that_is_read_too_slowly_is_504_and_never_kept() {
    let (world, mut scripted) = World::scripted(&[("TIMEOUTS__SESSION_READ", "100ms")]).await;
    for ask in Ask::ALL {
        let token = format!("{ask:?}");
        let asking = tokio::spawn(ask.request(&world, &token).send());
        let held = session_read(&mut scripted, &token).await;
        assert_eq!(asking.await.unwrap().refusal(), (504, "UpstreamTimeout".to_owned()), "{ask:?}");
        held.closed().await;
    }
    asks_anew_and_succeeds(&world, &mut scripted, Ask::CookieCall, "CookieCall").await;
}

#[tokio::test]
async fn a_session_whose_body_never_ends_is_504() {
    let (world, mut scripted) = World::scripted(&[("TIMEOUTS__SESSION_READ", "100ms")]).await;
    let asking = tokio::spawn(Ask::CookieCall.request(&world, "t").send());
    let mut held = session_read(&mut scripted, "t").await;
    held.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{").await;
    assert_eq!(asking.await.unwrap().refusal(), (504, "UpstreamTimeout".to_owned()));
    held.closed().await;
}

#[tokio::test]
async fn a_deployment_that_refuses_to_read_a_session_signs_nobody_out() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let refusals = [
        ("503 Service Unavailable", r#"{"code":"Overloaded","message":"m"}"#, "Overloaded"),
        ("500 Internal Server Error", r#"{"code":"InternalServerError","message":"m"}"#, "InternalServerError"),
        ("200 OK", r#"{"status":"error","errorMessage":"Server Error"}"#, "UpstreamRefused"),
    ];
    for ask in Ask::ALL {
        for (status, body, code) in refusals {
            let token = format!("{ask:?}-{}", &status[..3]);
            let asking = tokio::spawn(ask.request(&world, &token).send());
            session_read(&mut scripted, &token).await.answer_with(status, "application/json", body).await;
            let answer = asking.await.unwrap();
            if ask.passes_refusals() {
                assert_eq!((answer.status.to_string().as_str(), answer.text().as_str()), (&status[..3], body));
            } else {
                // Who speaks Auth.js's wire is told the deployment's own code.
                let code = if ask == Ask::AuthJs { code } else { "UpstreamRefused" };
                assert_eq!(answer.refusal(), (502, code.to_owned()), "{token}");
            }
            asks_anew_and_succeeds(&world, &mut scripted, ask, &token).await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_larger_than_allowed_is_502() {
    let (world, mut scripted) = World::scripted(&[("LIMITS__ANSWER_BYTES", "1000")]).await;
    let asking = tokio::spawn(Ask::Adapter.request(&world, "t").send());
    session_read(&mut scripted, "t").await.answer(&row("t", &"a".repeat(1_000))).await;
    assert_eq!(asking.await.unwrap().refusal(), (502, "UpstreamUnreadable".to_owned()));
}

#[tokio::test]
async fn rule_30_a_page_of_a_gateway_is_never_passed_on() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for (to, target) in [
        (world.public, "/api/query"),
        (world.public, "/api/mutation"),
        (world.public, "/api/action"),
        (world.adapter, "/api/mutation"),
        (world.public, "/api/query_ts"),
    ] {
        for fault in [Fault::Page, Fault::NoType] {
            let asking = tokio::spawn(post(to, target).json(&whoami()).send());
            fault.happen(scripted.next().await).await;
            assert_eq!(asking.await.unwrap().refusal(), (502, "UpstreamUnreadable".to_owned()), "{target} {fault:?}");
        }
    }
    let user = json!({ "user": { "email": "ada@example.com" } });
    let asking = tokio::spawn(post(world.adapter, "/adapter/createUser").json(&user).send());
    Fault::Page.happen(scripted.next().await).await;
    assert_eq!(asking.await.unwrap().refusal(), (502, "UpstreamUnreadable".to_owned()));
}

#[tokio::test]
async fn errors_of_convex_pass_as_they_are() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let body = r#"{"code":"Overloaded","message":"Too many, try again."}"#;
    for target in ["/api/query", "/api/mutation"] {
        let asking = tokio::spawn(post(world.public, target).json(&whoami()).send());
        scripted.next().await.answer_with("503 Service Unavailable", "application/json", body).await;
        let answer = asking.await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (503, body));
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_upstream_breaks_off_for_the_client_too() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for framing in ["content-length: 100\r\n\r\n", "transfer-encoding: chunked\r\n\r\n20\r\n"] {
        let mut client = Connection::open(world.public).await;
        client.send(post(world.public, "/api/query").json(&whoami()).bytes()).await;
        let mut received = scripted.next().await;
        received.send(format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{framing}").as_bytes()).await;
        received.send(br#"{"status":"success","value":null"#).await;
        drop(received);
        let text = client.closed().await;
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(!text.ends_with("0\r\n\r\n"), "a body that was cut is not told as one that ended: {text}");
        assert!(!text.contains("content-length: 32"), "{text}");
    }
}

#[tokio::test]
async fn a_body_that_stalls_upstream_is_cut() {
    let (world, mut scripted) = World::scripted(&[("TIMEOUTS__STALL", "100ms")]).await;
    let mut client = Connection::open(world.public).await;
    client.send(post(world.public, "/api/query").json(&whoami()).bytes()).await;
    let mut received = scripted.next().await;
    received.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{").await;
    assert!(client.closed().await.ends_with("\r\n\r\n{"));
    received.closed().await;
}

#[tokio::test]
async fn a_deployment_that_is_late_is_504() {
    let (world, mut scripted) = World::scripted(&[("TIMEOUTS__UPSTREAM", "100ms")]).await;
    for target in ["/api/query", "/api/mutation", "/api/action"] {
        let asking = tokio::spawn(post(world.public, target).json(&whoami()).send());
        let held = scripted.next().await;
        assert_eq!(asking.await.unwrap().refusal(), (504, "UpstreamTimeout".to_owned()), "{target}");
        held.closed().await;
    }
}

// Nothing is sent twice.

#[tokio::test]
async fn rule_28_what_was_sent_is_never_sent_again() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let user = json!({ "user": { "email": "ada@example.com" } });
    let requests = [
        post(world.public, "/api/query").json(&whoami()),
        post(world.public, "/api/mutation").json(&whoami()),
        post(world.public, "/api/action").json(&whoami()),
        post(world.adapter, "/api/mutation").json(&json!({ "path": "authAdapter:createUser", "args": user })),
        post(world.adapter, "/adapter/createUser").json(&user),
    ];
    for request in requests {
        for fault in [Fault::Reset, Fault::Close, Fault::HalfHead] {
            let asking = tokio::spawn(request.clone().send());
            fault.happen(scripted.next().await).await;
            assert_eq!(asking.await.unwrap().refusal(), (502, "UpstreamUnreachable".to_owned()));
            only_the_next_request_comes(&world, &mut scripted).await;
        }
    }
}

#[tokio::test]
async fn rule_28_not_even_on_a_connection_that_was_kept() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for target in ["/api/query", "/api/mutation", "/api/action"] {
        for fault in [Fault::Reset, Fault::Close, Fault::HalfHead] {
            let mut before = None;
            loop {
                let asking = tokio::spawn(post(world.public, target).json(&whoami()).send());
                let received = scripted.next().await;
                if before == Some(received.connection()) {
                    fault.happen(received).await;
                    assert_eq!(asking.await.unwrap().refusal(), (502, "UpstreamUnreachable".to_owned()), "{target}");
                    break;
                }
                before = Some(received.connection());
                received.answer_and_stay(ANSWERED).await;
                assert_eq!(asking.await.unwrap().status, 200);
            }
            only_the_next_request_comes(&world, &mut scripted).await;
        }
    }
}

#[tokio::test]
async fn rule_28_not_even_when_time_is_up() {
    let (world, mut scripted) = World::scripted(&[("TIMEOUTS__UPSTREAM", "100ms")]).await;
    for target in ["/api/query", "/api/mutation", "/api/action"] {
        let asking = tokio::spawn(post(world.public, target).json(&whoami()).send());
        let _held = scripted.next().await;
        assert_eq!(asking.await.unwrap().refusal().0, 504);
        only_the_next_request_comes(&world, &mut scripted).await;
    }
}

/// A request that came before, and was not asked for, would be taken for this one.
async fn only_the_next_request_comes(world: &World, scripted: &mut Scripted) {
    assert!(!scripted.has_next());
    let next = json!({ "path": "demo:next", "args": {} });
    let asking = tokio::spawn(post(world.public, "/api/query").json(&next).send());
    let received = scripted.next().await;
    assert_eq!(received.json()["path"], json!("demo:next"));
    received.answer(ANSWERED).await;
    assert_eq!(asking.await.unwrap().status, 200);
}

// Clients that leave.

#[tokio::test]
async fn a_client_that_leaves_takes_its_query_with_it() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let requests = [
        post(world.public, "/api/query").json(&whoami()),
        Ask::AuthJs.request(&world, "a"),
        Ask::CookieCall.request(&world, "t"),
    ];
    for request in requests {
        let mut client = Connection::open(request.to()).await;
        client.send(request.bytes()).await;
        let received = scripted.next().await;
        assert!(received.is_open());
        drop(client);
        received.closed().await;
    }
    assert_eq!(
        world.metric(r#"convex_auth_proxy_requests_total{listener="public",route="query",outcome="gone"}"#).await,
        2.0
    );
}

#[tokio::test]
async fn a_client_that_leaves_within_an_answer_ends_it() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let mut client = Connection::open(world.public).await;
    client.send(post(world.public, "/api/query").json(&whoami()).bytes()).await;
    let mut received = scripted.next().await;
    received.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{").await;
    client.read_to("\r\n\r\n{").await;
    drop(client);
    received.closed().await;
}

#[tokio::test]
async fn a_client_that_leaves_does_not_cut_its_mutation_short() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for (route, target) in [("mutation", "/api/mutation"), ("adapter", "/adapter/deleteSession")] {
        let session = json!({ "sessionToken": route });
        let body = match route {
            "mutation" => json!({ "path": "authAdapter:deleteSession", "args": session }),
            _ => session,
        };
        assert!(read_name(&world, &mut scripted, route, "before").await.1);
        assert_eq!(read_name(&world, &mut scripted, route, "").await, (json!("before"), false));
        let mut client = Connection::open(world.adapter).await;
        client.send(post(world.adapter, target).json(&body).bytes()).await;
        let received = scripted.next().await;
        assert_eq!(received.json()["path"], json!("authAdapter:deleteSession"));
        drop(client);
        let gone = format!(r#"convex_auth_proxy_requests_total{{listener="adapter",route="{route}",outcome="gone"}}"#);
        while world.metric(&gone).await < 1.0 {}

        assert!(received.is_open(), "the mutation goes on");
        for _ in 0..2 {
            let (_, was_asked) = read_name(&world, &mut scripted, route, "between").await;
            assert!(was_asked, "while it is under way nothing comes from memory and nothing is kept");
        }
        received.answer(r#"{"status":"success","value":null}"#).await;
        // Once it was answered, what is read is kept again, and it is what was read after it.
        let kept = loop {
            let (name, was_asked) = read_name(&world, &mut scripted, route, "after").await;
            if !was_asked {
                break name;
            }
        };
        assert_eq!(kept, json!("after"));
    }
}

#[tokio::test]
async fn a_stop_waits_for_a_mutation_whose_client_has_left() {
    let (mut world, mut scripted) = World::scripted(&[]).await;
    let mut client = Connection::open(world.public).await;
    client.send(post(world.public, "/api/mutation").json(&whoami()).bytes()).await;
    let received = scripted.next().await;
    drop(client);
    let gone = r#"convex_auth_proxy_requests_total{listener="public",route="mutation",outcome="gone"}"#;
    while world.metric(gone).await < 1.0 {}
    let admin = world.admin;
    let stopping = world.begin_stop();
    // The listeners go first; then only the mutation is left.
    while Connection::try_open(admin).await.is_ok() {}
    assert!(!stopping.is_finished());
    assert!(received.is_open());
    received.answer(ANSWERED).await;
    assert!(stopping.await.unwrap());
}

#[tokio::test]
async fn a_mutation_whose_outcome_is_unknown_keeps_its_session_out_of_memory() {
    for fault in [Fault::Reset, Fault::Close, Fault::HalfHead] {
        for target in ["/api/mutation", "/adapter/deleteSession"] {
            let (world, mut scripted) = World::scripted(&[]).await;
            while read_name(&world, &mut scripted, "t", "Ada").await.1 {}
            let arguments = json!({ "sessionToken": "t" });
            let body = match target {
                "/api/mutation" => json!({ "path": "authAdapter:deleteSession", "args": arguments }),
                _ => arguments,
            };
            let asking = tokio::spawn(post(world.adapter, target).json(&body).send());
            fault.happen(scripted.next().await).await;
            assert_eq!(asking.await.unwrap().refusal().0, 502);
            for _ in 0..3 {
                assert!(
                    read_name(&world, &mut scripted, "t", "Ada").await.1,
                    "{target} {fault:?}: it may still be deleted"
                );
            }
        }
    }
}

#[tokio::test]
async fn one_who_leaves_does_not_take_a_shared_read_from_the_others() {
    let (world, mut scripted) = World::scripted(&[]).await;
    // The second has spoken before, so that what it says next is read in one go.
    let mut second = Connection::open(world.adapter).await;
    let request = |connection: &str| {
        let body = json!({ "path": "authAdapter:getSessionAndUser", "args": { "sessionToken": "t" } }).to_string();
        let head = "POST /api/query HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        format!("{head}connection: {connection}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    second.send("GET /.well-known/jwks.json HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert_eq!(second.answer().await.status, 200);

    let mut first = Connection::open(world.adapter).await;
    first.send(request("close")).await;
    let shared = session_read(&mut scripted, "t").await;
    second.send(request("close")).await;
    // Answered after the second's request was read, which came before.
    get(world.admin, "/livez").send().await;
    drop(first);
    let gone = r#"convex_auth_proxy_requests_total{listener="adapter",route="query",outcome="gone"}"#;
    while world.metric(gone).await < 1.0 {}

    assert!(shared.is_open());
    shared.answer(&row("t", "Ada")).await;
    assert_eq!(second.answer().await.ok()["value"]["user"]["name"], json!("Ada"));
    assert!(!scripted.has_next(), "one read served both");
    assert_eq!(world.metric(r#"convex_auth_proxy_session_reads_total{result="coalesced"}"#).await, 1.0);
}

#[tokio::test]
async fn a_shared_read_that_fails_fails_for_all_and_the_next_one_is_a_new_one() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let first = tokio::spawn(Ask::Adapter.request(&world, "t").send());
    let shared = session_read(&mut scripted, "t").await;
    let others: Vec<_> = Ask::ALL.iter().map(|ask| tokio::spawn(ask.request(&world, "t").send())).collect();
    // Those that come too late to share begin a read of their own, in one of the formats.
    drop(shared);
    let mut all: Vec<Answer> = vec![first.await.unwrap()];
    for mut other in others {
        let answer = loop {
            tokio::select! {
                answer = &mut other => break answer.unwrap(),
                received = scripted.next() => drop(received),
            }
        };
        all.push(answer);
    }
    for answer in all {
        assert_eq!(answer.refusal(), (502, "UpstreamUnreachable".to_owned()));
    }
    asks_anew_and_succeeds(&world, &mut scripted, Ask::Adapter, "t").await;
}

// What crosses.

#[tokio::test]
async fn rule_29_l3_l4_l9_what_a_caller_claims_about_itself_never_reaches_the_deployment() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for (to, target) in [
        (world.public, "/api/query"),
        (world.public, "/api/mutation"),
        (world.public, "/api/query_ts"),
        (world.adapter, "/api/query"),
        (world.adapter, "/api/action"),
    ] {
        let mut request = post(to, target).json(&whoami());
        for (name, value) in [
            ("x-forwarded-for", "6.6.6.6"),
            ("X-Forwarded-Proto", "spoofed"),
            ("x-forwarded-host", "spoofed"),
            ("x-forwarded-uri", "/spoofed"),
            ("x_forwarded_for", "6.6.6.6"),
            ("X_Real_IP", "6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6;proto=spoofed"),
            ("cookie", "theme=spoofed"),
            ("convex-request-id", "spoofed"),
            ("x-nobody-thought-of-this", "spoofed"),
            ("te", "trailers"),
            ("content-encoding", "identity"),
            ("convex-client", "npm-1.48.0"),
            ("user-agent", "node"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("accept-encoding", "gzip"),
        ] {
            request = request.header(name, value);
        }
        let asking = tokio::spawn(request.send());
        let received = scripted.next().await;
        assert!(!received.head.contains("6.6.6.6") && !received.head.contains("spoofed"), "{}", received.head);
        let mut names: Vec<_> =
            received.head.lines().skip(1).map(|line| line.split_once(':').unwrap().0.to_owned()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "accept-encoding",
                "content-length",
                "content-type",
                "convex-client",
                "host",
                "traceparent",
                "user-agent",
                "x-request-id"
            ]
            .iter()
            .filter(|name| target != "/api/query_ts" || received.header(name).is_some())
            .copied()
            .collect::<Vec<_>>(),
            "{target}"
        );
        assert_eq!(received.header("host"), Some(scripted.address().to_string().as_str()));
        assert_eq!(received.header("convex-client"), Some("npm-1.48.0"));
        assert_eq!(received.header("user-agent"), Some("node"));
        received.answer(ANSWERED).await;
        assert_eq!(asking.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn l9_the_session_cookie_crosses_only_as_a_token() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let asking = tokio::spawn(Ask::CookieCall.request(&world, "canary-of-a-cookie").send());
    session_read(&mut scripted, "canary-of-a-cookie").await.answer(&row("canary-of-a-cookie", "Ada")).await;
    let call = scripted.next().await;
    assert!(!call.head.contains("canary-of-a-cookie") && call.header("cookie").is_none(), "{}", call.head);
    assert!(!String::from_utf8_lossy(&call.body).contains("canary-of-a-cookie"));
    call.answer(ANSWERED).await;
    assert_eq!(asking.await.unwrap().status, 200);
}

#[tokio::test]
async fn l4_trailers_of_a_caller_do_not_cross() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for target in ["/api/query", "/api/query_ts"] {
        let body = whoami().to_string();
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntrailer: x_forwarded_for\r\n\
             transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\nx_forwarded_for: 6.6.6.6\r\nauthorization: Bearer x\r\n\r\n",
            body.len()
        );
        let mut client = Connection::open(world.public).await;
        client.send(head).await;
        let mut received = scripted.next().await;
        if target == "/api/query_ts" {
            received.read_to("\r\n0\r\n\r\n").await;
        }
        let text = format!("{}{}", received.head, String::from_utf8_lossy(&received.body));
        assert!(!text.contains("6.6.6.6") && !text.contains("Bearer") && !text.contains("trailer"), "{text}");
        received.answer(ANSWERED).await;
        assert_eq!(client.answer().await.status, 200);
    }
}

#[tokio::test]
async fn what_the_deployment_says_to_browsers_does_not_come_back() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let asking = tokio::spawn(post(world.public, "/api/query").header("origin", ORIGIN).json(&whoami()).send());
    let mut received = scripted.next().await;
    assert_eq!(received.header("origin"), None);
    received
        .send(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4\r\nset-cookie: a=b\r\nlocation: /x\r\n\
              access-control-allow-origin: https://evil.example\r\naccess-control-allow-headers: *\r\nserver: convex\r\n\
              x-request-id: theirs\r\nx-convex-deprecation-state: upgradeAvailable\r\nvary: x\r\nauthorization: Bearer x\r\n\
              connection: close\r\n\r\nnull",
        )
        .await;
    let answer = asking.await.unwrap();
    let kept: Vec<&str> = answer
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !matches!(*name, "date" | "connection"))
        .collect();
    let mut kept = kept;
    kept.sort_unstable();
    assert_eq!(
        kept,
        [
            "access-control-allow-credentials",
            "access-control-allow-origin",
            "access-control-expose-headers",
            "content-length",
            "content-type",
            "vary",
            "x-convex-deprecation-state",
            "x-request-id"
        ]
    );
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    assert_ne!(answer.header("x-request-id"), Some("theirs"));
}

#[tokio::test]
async fn a_redirect_of_the_deployment_is_not_followed() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let asking = tokio::spawn(post(world.public, "/api/query").json(&whoami()).send());
    let mut received = scripted.next().await;
    let head = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{}/api/mutation\r\n", scripted.address());
    received.send(format!("{head}content-length: 0\r\nconnection: close\r\n\r\n").as_bytes()).await;
    assert_eq!(asking.await.unwrap().refusal(), (502, "UpstreamUnreadable".to_owned()));
    assert!(!scripted.has_next());
}

// Readiness.

#[tokio::test]
async fn it_is_not_ready_until_the_deployment_has_answered() {
    let world = World::without_deployment(&[]).await;
    let unready = get(world.admin, "/readyz").send().await;
    assert_eq!((unready.status, unready.value()["deployment"].clone()), (503, json!("does not answer")));
    assert_eq!(get(world.admin, "/livez").send().await.status, 200);

    let (world, _scripted) = World::scripted(&[]).await;
    while get(world.admin, "/readyz").send().await.status == 503 {}
    let ready = get(world.admin, "/readyz").send().await.ok();
    assert_eq!(ready, json!({ "ready": true, "keys": "loaded", "deployment": "answers" }));
    assert_eq!(world.metric("convex_auth_proxy_deployment_up").await, 1.0);
}

#[tokio::test]
async fn it_stays_ready_when_the_deployment_falls_silent_and_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let deployment = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let readiness = Arc::new(Readiness::default());
    let tls = upstream::tls(&deployment).unwrap();
    let watch =
        Watch::new(Arc::clone(&readiness), &deployment, tls).unwrap().every(std::time::Duration::from_millis(1));
    let watching = tokio::spawn(watch.run());
    let admin = Admin::new(Arc::new(Metrics::new()), Arc::clone(&readiness));

    let (mut first, _) = listener.accept().await.unwrap();
    let _ = first.read(&mut [0; 1_024]).await.unwrap();
    assert_eq!(ready(&admin).await.0, 503);
    first.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let (second, _) = listener.accept().await.unwrap();
    assert_eq!(ready(&admin).await, (200, json!({ "ready": true, "keys": "loaded", "deployment": "answers" })));
    drop((second, listener));
    while readiness.deployment_answers() {
        tokio::task::yield_now().await;
    }
    assert_eq!(ready(&admin).await, (200, json!({ "ready": true, "keys": "loaded", "deployment": "does not answer" })));
    watching.abort();
}

async fn ready(admin: &Admin) -> (u16, Value) {
    let response = admin.answer(Route::Ready, 0).unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}
