//! Nothing secret is ever told: canaries in every corner of a request, and none of them in a log, an error, a metric or `Debug` output.

use std::{
    io,
    sync::{Arc, Mutex},
};

use convex_auth_proxy::{
    act::Proxy,
    adapter::Arguments,
    classify::{Envelope, Lane, Listener},
    config::{self, Config, Log, LogFormat, Mode, Sources},
    keys::{Algorithm, SigningKey, keygen},
    permit::{CallerPolicy, Credential, Permitted},
    session::{CookieSession, Reading, SessionAnswer, SessionKeys, SessionToken},
    telemetry::{self, Metrics},
    token::{Minter, MinterSettings, Seal, SpeaksFor},
    upstream::{Crossing, WholeAnswer},
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use crate::common::{Answer, Connection, ORIGIN, Request, SECRET, World, get, post, raw};

const EMAIL: &str = "canary.of.ada@example.com";
const SESSION: &str = "canary-session-token-51c9";
const CALLER: &str = "canary-caller-token-8d07";
const BEARER: &str = "canary-bearer.canary-payload.canary-signature";
const ARGUMENT: &str = "canary-argument-33ab";
const ANSWERED: &str = r#"{"status":"success","value":1}"#;

/// Log lines of this thread, in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Begins to take all lines of this thread, also those that nobody would want to read.
    fn capture(format: LogFormat) -> (Self, DefaultGuard) {
        Self::capture_at("trace", format)
    }

    fn capture_at(level: &str, format: LogFormat) -> (Self, DefaultGuard) {
        // tracing remembers for the whole process whether anybody wants a line, by whoever listened when it was first written: other
        // tests' threads have nobody who does. Somebody who wants all of them, for good, keeps it asking.
        static SOMEBODY: std::sync::Once = std::sync::Once::new();
        SOMEBODY.call_once(|| tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap());
        let lines = Self::default();
        let log = Log { level: level.to_owned(), format };
        let guard = tracing::subscriber::set_default(telemetry::subscriber(&log, lines.clone()));
        (lines, guard)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Every canary has this word in it; some printers show bytes as numbers.
fn assert_holds_no_canary(place: &str, text: &str) {
    let folded = text.to_lowercase();
    for shape in ["canary", "99, 97, 110, 97, 114, 121", "63616e617279", "y2fuyxj5", "nhbmfye", "jyw5hcnk"] {
        assert!(!folded.contains(shape), "a canary ({shape}) in {place}: {text}");
    }
}

/// A key in PEM, and a piece out of its middle that no text has by chance.
fn pem() -> (String, String) {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let pem = keygen::render(&key, None, keygen::Format::Pem).unwrap().expose().to_owned();
    let body: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
    let piece = body[body.len() - 24..].to_owned();
    (pem, piece)
}

fn whoami() -> Value {
    json!({ "path": "demo:whoami", "args": {} })
}

/// Requests that are refused by the proxy for one reason each, canaries included.
fn refused(world: &World, pem: &str) -> Vec<Request> {
    let (public, adapter, admin) = (world.public, world.adapter, world.admin);
    let call = |path: &str, args: Value| json!({ "path": path, "args": args });
    let trusted = |request: Request| request.header("authorization", &format!("Bearer {CALLER}"));
    let everything = json!({
        "sessionToken": SESSION, "email": EMAIL, "note": ARGUMENT, "secret": "canary-wrong-secret", "pem": pem
    });
    let date = json!({ "user": { "email": EMAIL, "emailVerified": "canary-date" } });
    vec![
        // The head.
        get(public, "/canary-path?canary-query"),
        get(admin, "/canary-path"),
        post(public, "/api/run/canary-path").json(&whoami()),
        post(public, "/api/query?adminKey=canary-admin-key").json(&whoami()),
        post(public, "/api/query").header("authorization", "Convex canary-admin-key").json(&whoami()),
        post(public, "/api/query").header("authorization", "Basic canary-basic").json(&whoami()),
        post(public, "/api/query").header("authorization", &format!("Bearer {BEARER} {BEARER}")).json(&whoami()),
        post(public, "/api/query")
            .header("authorization", &format!("Bearer {BEARER}"))
            .header("authorization", &format!("Bearer {BEARER}"))
            .json(&whoami()),
        post(public, "/api/query").header("convex-client", "canary").json(&whoami()),
        post(public, "/api/query").without("content-type").header("content-type", "text/canary").json(&whoami()),
        post(public, "/api/query").header("content-encoding", "canary").json(&whoami()),
        post(public, "/api/query").header("x-canary", &"canary".repeat(6_000)).json(&whoami()),
        post(public, "/auth/token").header("origin", "https://canary.example").cookie(SESSION),
        post(adapter, "/api/query").header("authorization", "Bearer canary-wrong-caller").json(&whoami()),
        post(adapter, "/api/query").header("origin", "https://canary.example").json(&whoami()),
        trusted(post(adapter, "/api/query").header("host", "canary.example").json(&whoami())),
        trusted(post(adapter, "/adapter/canary").json(&everything)),
        // The body.
        post(public, "/api/query").body("canary"),
        post(public, "/api/query").body(format!("[\"demo:whoami\",{{\"email\":\"{EMAIL}\"}},null]")),
        post(public, "/api/query").body("{\"path\":\"demo:whoami\",\"args\":{},\"canary\":}"),
        post(public, "/api/query").json(&json!({ "path": { "canary": 1 }, "args": {} })),
        post(public, "/api/query").json(&json!({ "path": "canary path", "args": {} })),
        post(public, "/api/query").json(&json!({ "path": "demo:whoami", "args": {}, "componentPath": "canary" })),
        post(public, "/api/query_batch").json(&json!({ "queries": [whoami(), { "path": "canary path", "args": {} }] })),
        // The secret.
        post(public, "/api/query").json(&call("authAdapter:getUser", everything.clone())),
        post(public, "/api/mutation").json(&call("authAdapter:createUser", json!({ "user": { "email": EMAIL } }))),
        trusted(post(adapter, "/api/query").json(&call("authAdapter:getUser", everything.clone()))),
        // Dates, and arguments that are none.
        trusted(post(adapter, "/api/mutation").json(&call("authAdapter:createUser", date.clone()))),
        trusted(post(adapter, "/adapter/createUser").json(&date)),
        trusted(post(adapter, "/adapter/createUser").body(format!("\"{EMAIL}\""))),
        trusted(post(adapter, "/api/query").json(&call("authAdapter:getUser", json!("canary")))),
        // Tokens.
        post(public, "/auth/token").header("origin", ORIGIN).cookie("canary-unknown-session"),
        post(public, "/auth/token").cookie(SESSION).body("{\"canary\":"),
        trusted(post(adapter, "/auth/token").json(&json!({ "sessionToken": "canary-unknown-session" }))),
        trusted(post(adapter, "/auth/token").json(&json!({ "sessionToken": SESSION, "userId": "canary" }))),
    ]
}

/// Requests that are served.
fn served(world: &World, pem: &str) -> Vec<Request> {
    let (public, adapter) = (world.public, world.adapter);
    let trusted = |request: Request| request.header("authorization", &format!("Bearer {CALLER}"));
    let session = json!({ "sessionToken": SESSION });
    let with_secret = json!({ "sessionToken": SESSION, "secret": SECRET });
    let by_email = json!({ "path": "authAdapter:getUserByEmail", "args": { "email": EMAIL } });
    vec![
        post(public, "/api/query")
            .cookie(SESSION)
            .header("user-agent", "canary-agent")
            .header("x-forwarded-for", "canary")
            .header("origin", ORIGIN)
            .json(&whoami()),
        post(public, "/api/mutation").json(&json!({ "path": "demo:send", "args": { "body": pem } })),
        post(public, "/api/mutation").json(&json!({ "path": "demo:send", "args": { "body": ARGUMENT } })),
        post(public, "/api/query").json(&json!({ "path": "demo:list", "args": {}, "format": "canary" })),
        post(public, "/api/query").json(&json!({ "path": "authAdapter:getSessionAndUser", "args": with_secret })),
        trusted(post(adapter, "/api/query").json(&by_email)),
        trusted(post(adapter, "/adapter/getSessionAndUser").json(&session)),
        trusted(post(adapter, "/auth/token").json(&session)),
        trusted(post(adapter, "/auth/token").json(&json!({ "userId": "canary-user" }))),
        post(public, "/auth/token").cookie(SESSION).json(&json!({ "forceRefresh": true })),
        get(public, "/.well-known/jwks.json").header("if-none-match", "\"canary\""),
        get(world.admin, "/readyz").cookie(SESSION),
    ]
}

/// Signs in, with the caller's token.
async fn sign_in(world: &World) {
    let send = async |target: &str, body: Value| {
        let caller = format!("Bearer {CALLER}");
        post(world.adapter, target).header("authorization", &caller).json(&body).send().await.ok()
    };
    let user = send("/adapter/createUser", json!({ "user": { "email": EMAIL, "name": "Canary" } })).await;
    let session = json!({ "sessionToken": SESSION, "userId": user["id"], "expires": "2100-01-01T00:00:00.000Z" });
    send("/adapter/createSession", json!({ "session": session })).await;
}

#[tokio::test]
async fn l13_no_canary_is_in_a_log_an_error_or_a_metric() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let (lines, _guard) = Lines::capture(format);
        let (pem, piece) = pem();
        let world =
            World::with(&[("ADAPTER__TOKENS", CALLER), ("TOKEN__PRIVATE_KEY", &pem), ("TIMEOUTS__IDLE", "50ms")]).await;
        sign_in(&world).await;

        for request in refused(&world, &pem) {
            let told = String::from_utf8_lossy(&request.bytes()).into_owned();
            let answer = request.send().await;
            assert!((400..500).contains(&answer.status), "{}: {told}", answer.status);
            assert!(answer.value()["code"].is_string(), "{told}");
            assert_holds_no_canary("an error", &answer.text());
            assert!(!answer.text().contains(&piece), "{told}");
            assert_heads_hold_no_canary(&answer);
        }
        let mut tokens = Vec::new();
        for request in served(&world, &pem) {
            let answer = request.send().await;
            assert_heads_hold_no_canary(&answer);
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            tokens.extend(body["token"].as_str().map(str::to_owned));
        }
        assert_eq!(tokens.len(), 3);
        // A token minted here whose session is over, and one that only looks so.
        let bearer = format!("Bearer {}", tokens[0]);
        let forged = format!("{bearer}canary");
        for authorization in [&bearer, &forged, &format!("Bearer {BEARER}")] {
            post(world.public, "/api/query").header("authorization", authorization).json(&whoami()).send().await;
        }
        for garbage in [
            "CANARY /canary HTTP/1.1\r\ncanary: canary\r\n\r\n",
            "canary\r\n\r\n",
            "GET / HTTP/1.1\r\ncanary canary\r\n\r\n",
            "POST /api/query HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\ncanary",
        ] {
            let text = if garbage.ends_with("\r\n\r\n") {
                raw(world.public, garbage.as_bytes()).await
            } else {
                // Leaves within a body.
                Connection::open(world.public).await.send(garbage).await;
                String::new()
            };
            assert_holds_no_canary("the answer to garbage", &text);
        }

        let metrics = get(world.admin, "/metrics").send().await.text();
        assert_holds_no_canary("the metrics", &metrics);
        assert_holds_no_canary("the page", &get(world.admin, "/").send().await.text());
        let text = lines.text();
        assert!(text.lines().count() > 50, "the lines of all these requests are there: {text}");
        assert_holds_no_canary("the log", &text);
        for secret in tokens.iter().map(String::as_str).chain([piece.as_str(), "BEGIN PRIVATE"]) {
            let signature = secret.rsplit('.').next().unwrap();
            assert!(!text.contains(signature) && !metrics.contains(signature), "a key or a token in the log");
        }
        // What helps an operator and harms nobody is there.
        for harmless in ["getSessionAndUser", "AdapterForbidden", "demo:whoami", "AdapterArgumentInvalid", "403"] {
            assert!(text.contains(harmless), "{harmless} in {text}");
        }
    }
}

fn assert_heads_hold_no_canary(answer: &Answer) {
    // The one value of a caller that comes back, in a header that exists for it.
    let told = answer.headers.iter().filter(|(name, _)| name != "access-control-allow-origin");
    let text: Vec<_> = told.map(|(name, value)| format!("{name}: {value}")).collect();
    assert_holds_no_canary("a header", &text.join("\n"));
}

#[tokio::test]
async fn l13_no_canary_is_in_a_log_or_an_error_when_the_deployment_fails() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let (lines, _guard) = Lines::capture(format);
        let (world, mut scripted) = World::scripted(&[("TIMEOUTS__UPSTREAM", "100ms")]).await;
        let requests = [
            post(world.public, "/api/query").cookie(SESSION).json(&whoami()),
            post(world.public, "/auth/token").cookie(SESSION),
            post(world.adapter, "/adapter/createUser").json(&json!({ "user": { "email": EMAIL } })),
            post(world.adapter, "/api/mutation")
                .header("authorization", &format!("Bearer {BEARER}"))
                .json(&json!({ "path": "authAdapter:createUser", "args": { "user": { "email": EMAIL } } })),
        ];
        let broken: [&[u8]; 6] = [
            b"",
            b"canary\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncanary canary\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-type: text/canary\r\ncontent-length: 6\r\n\r\ncanary",
            b"HTTP/1.1 503 Canary\r\ncontent-type: text/html\r\nx-canary: canary\r\ncontent-length: 6\r\n\r\ncanary",
            b"HTTP/1.1 307 Canary\r\nlocation: http://canary\r\ncontent-length: 0\r\n\r\n",
        ];
        for request in &requests {
            for bytes in broken {
                let asking = tokio::spawn(request.clone().send());
                let mut received = scripted.next().await;
                received.send(bytes).await;
                drop(received);
                let answer = asking.await.unwrap();
                assert_eq!(answer.status, 502, "{}", String::from_utf8_lossy(bytes));
                assert_holds_no_canary("an error", &answer.text());
                assert_heads_hold_no_canary(&answer);
            }
        }
        // Refused, in Convex's own form, with an echo of what was sent.
        let asking = tokio::spawn(requests[0].clone().send());
        let echo = json!({ "status": "error", "errorMessage": format!("{SESSION} {SECRET}") }).to_string();
        scripted.next().await.answer(&echo).await;
        let answer = asking.await.unwrap();
        assert_eq!(answer.refusal(), (502, "UpstreamRefused".to_owned()));
        assert_holds_no_canary("an error", &answer.text());
        // Late.
        let asking = tokio::spawn(requests[3].clone().send());
        let held = scripted.next().await;
        assert_holds_no_canary("an error", &asking.await.unwrap().text());
        drop(held);

        assert_holds_no_canary("the metrics", &get(world.admin, "/metrics").send().await.text());
        let text = lines.text();
        assert!(text.contains("getSessionAndUser") && text.contains("UpstreamUnreachable"), "{text}");
        assert_holds_no_canary("the log", &text);
    }
}

/// The one line of a request, with what differs from run to run put aside.
async fn access_line(format: LogFormat, request: impl FnOnce(&World) -> Request) -> String {
    let (lines, _guard) = Lines::capture_at("request=info", format);
    let (world, mut scripted) = World::scripted(&[]).await;
    let mut asking = tokio::spawn(request(&world).send());
    let answer = tokio::select! {
        answer = &mut asking => answer.unwrap(),
        received = scripted.next() => {
            received.answer(ANSWERED).await;
            asking.await.unwrap()
        }
    };
    let text = lines.text();
    assert_eq!(text.lines().count(), 1, "one line per request: {text}");
    let id = answer.header("x-request-id").unwrap();
    assert!(text.contains(id), "the line has the id that the client got: {text}");
    text.trim_end().replace(id, "[id]")
}

#[tokio::test]
async fn a_request_has_one_line_that_a_person_can_read() {
    let mut seen = Vec::new();
    seen.push(access_line(LogFormat::Text, |world| post(world.public, "/api/query").json(&whoami())).await);
    let by_id = json!({ "path": "authAdapter:getUser", "args": { "id": "u1" } });
    seen.push(access_line(LogFormat::Text, |world| post(world.public, "/api/query").json(&by_id)).await);
    seen.push(access_line(LogFormat::Text, |world| get(world.public, "/nowhere")).await);
    insta::with_settings!({ filters => vec![
        (r"\d{4}-\d{2}-\d{2}T[0-9:.]+Z", "[time]"),
        (r"ms=[0-9.]+", "ms=[ms]"),
    ] }, {
        insta::assert_snapshot!(seen.join("\n"), @r#"
        [time]  INFO request: id="[id]" listener="public" route="query" function="demo:whoami" status=200 outcome="answered" ms=[ms]
        [time]  INFO request: id="[id]" listener="public" route="query" function="authAdapter:getUser" status=403 outcome="refused" reason="AdapterForbidden" ms=[ms]
        [time]  INFO request: id="[id]" listener="public" route="none" status=404 outcome="refused" reason="NotFound" ms=[ms]
        "#);
    });
}

#[tokio::test]
async fn a_request_has_one_line_that_a_machine_can_read() {
    let line = access_line(LogFormat::Json, |world| post(world.public, "/api/mutation").json(&whoami())).await;
    let value: Value = serde_json::from_str(&line).unwrap();
    assert!(value["ms"].is_number() && value["status"].is_number(), "{line}");
    insta::with_settings!({ filters => vec![
        (r"\d{4}-\d{2}-\d{2}T[0-9:.]+Z", "[time]"),
        (r#""ms":[0-9.]+"#, r#""ms":"[ms]""#),
    ] }, {
        insta::assert_snapshot!(line, @r#"{"timestamp":"[time]","level":"INFO","id":"[id]","listener":"public","route":"mutation","function":"demo:whoami","status":200,"outcome":"answered","ms":"[ms]","target":"request"}"#);
    });
}

#[tokio::test]
async fn l13_no_caller_can_make_a_line_longer_or_two_lines_of_one() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let (lines, _guard) = Lines::capture_at("request=info", format);
        let world = World::new().await;
        let long = format!("{}:f", ["m".repeat(60).as_str()].repeat(2_000).join("/"));
        let paths = [long.as_str(), "a\nINFO request: forged:f", "a\u{1b}[2J:f", "a\u{2028}b:f", "a\"b:f"];
        for path in paths {
            let call = json!({ "path": path, "args": {} });
            post(world.public, "/api/query").header("user-agent", "a\u{9}b").json(&call).send().await;
        }
        let text = lines.text();
        assert_eq!(text.lines().count(), paths.len(), "{text}");
        assert!(text.lines().all(|line| line.len() < 600 && line.contains("outcome")), "{text}");
    }
}

// Debug output.

#[test]
fn debug_output_of_a_configuration_and_a_proxy_holds_no_canary() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (pem, piece) = pem();
    let config = dev_config(&[
        ("ADAPTER__TOKENS", CALLER),
        ("TOKEN__PRIVATE_KEY", &pem),
        ("ADAPTER__SECRET", "canary-secret-in-debug"),
    ]);
    let metrics = Arc::new(Metrics::new());
    let minter = Minter::new(MinterSettings::from(&config));
    let callers = CallerPolicy::new(&config);
    let proxy = Proxy::new(config.clone(), Arc::clone(&metrics)).unwrap();
    let seal = Seal::new(&config.adapter.secret, "issuer");
    for (place, text) in [
        ("Config", format!("{config:?} {config:#?}")),
        ("MinterSettings", format!("{:?}", MinterSettings::from(&config))),
        ("Minter", format!("{minter:?}")),
        ("CallerPolicy", format!("{callers:?}")),
        ("Proxy", format!("{proxy:?} {proxy:#?}")),
        ("Metrics", format!("{metrics:?}")),
        ("SigningKey", format!("{:?}", config.token.key)),
        ("Seal", format!("{seal:?}")),
        ("SessionKeys", format!("{:?}", SessionKeys::new(&config.adapter.secret, "d"))),
    ] {
        assert_holds_no_canary(place, &text);
        assert!(!text.contains(&piece) && !text.contains("PRIVATE"), "{place}: {text}");
    }
    assert!(format!("{config:?}").contains("127.0.0.1"), "what is no secret is shown");
}

#[test]
fn debug_output_of_what_a_caller_sent_holds_no_canary() {
    let token = SessionToken::new(SESSION);
    let row = json!({ "status": "success", "value": {
        "session": { "userId": "u1", "sessionToken": SESSION, "expires": 4.0e12 }, "user": { "email": EMAIL }
    } })
    .to_string();
    let json = HeaderValue::from_static("application/json");
    let answer = SessionAnswer::read(StatusCode::OK, &json, row.as_bytes(), true);
    assert!(matches!(answer.reading(), Reading::Row));
    let whole = WholeAnswer { status: StatusCode::OK, content_type: json, body: row.into() };
    let body = json!({ "path": "authAdapter:getUserByEmail", "format": "canary", "ts": "canary",
                       "args": { "email": EMAIL, "secret": SECRET } })
    .to_string();
    let read = |lane| Envelope::read(lane, body.as_bytes()).unwrap();
    let policy = dev_config(&[]).adapter;
    let permitted = Permitted::decide(read(Lane::Query).into_calls().remove(0), Listener::Adapter, &policy);
    let text: &serde_json::value::RawValue = serde_json::from_str("{\"email\":\"canary@example.com\"}").unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("cookie", format!("authjs.session-token={SESSION}").parse().unwrap());
    let crossing = Crossing::from_caller(&headers, &Crossing::check_client(&headers).unwrap())
        .with_credential(Credential::Bearer(BEARER));
    for (place, text) in [
        ("SessionToken", format!("{token:?}")),
        ("SessionAnswer", format!("{answer:?} {answer:#?}")),
        ("WholeAnswer", format!("{whole:?}")),
        ("Envelope", format!("{:?}", read(Lane::QueryAtTimestamp))),
        ("Permitted", format!("{permitted:?}")),
        ("Arguments", format!("{:?}", Arguments::read(None, text).unwrap())),
        ("Credential", format!("{:?}", Credential::Bearer(BEARER))),
        ("CookieSession", format!("{:?}", CookieSession::read(&headers, &["authjs.session-token".to_owned()]))),
        ("Crossing", format!("{crossing:?}")),
        ("SpeaksFor", format!("{:?}", SpeaksFor::Session(token))),
    ] {
        assert_holds_no_canary(place, &text);
    }
}

// Configuration errors.

#[test]
fn configuration_errors_hold_no_canary() {
    let (pem, piece) = pem();
    let cut = format!("{}canary", &pem[..pem.len() / 2]);
    let private_set = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"canary","d":"canary"}]}"#;
    let wrong: [&[(&str, &str)]; 12] = [
        &[("CONVEX_AUTH_ADAPTER_SECRET", "canary\u{7}secret")],
        &[("CONVEX_AUTH_PROXY__ADAPTER__SECRET", "canary\nsecret")],
        &[("CONVEX_AUTH_PROXY__ADAPTER__TOKENS", "canary"), ("CONVEX_AUTH_PROXY__ADAPTER__SECRET_FILE", "/nowhere")],
        &[("CONVEX_AUTH_PROXY__ADAPTER__TOKENS", "canary-caller-token,,canary-caller-token")],
        &[("CONVEX_AUTH_PRIVATE_KEY", "canary")],
        &[("CONVEX_AUTH_PRIVATE_KEY", &cut)],
        &[("CONVEX_AUTH_PRIVATE_KEY", &pem), ("CONVEX_AUTH_PROXY__TOKEN__ALGORITHM", "RS256")],
        &[("CONVEX_AUTH_PRIVATE_KEY", &pem), ("CONVEX_AUTH_PROXY__TOKEN__KID", "a"), ("JWKS", private_set)],
        &[("JWKS", "{\"keys\":[{\"kty\":\"canary")],
        &[("CONVEX_URL", "https://canary:canary@example.com")],
        &[("CONVEX_URL", "ftp://canary@example.com/canary")],
        &[("CONVEX_SITE_URL", "https://canary:canary@example.com/canary")],
    ];
    for pairs in wrong {
        let environment = [&[("CONVEX_AUTH_PROXY__LISTEN__PUBLIC", "nonsense")], pairs].concat();
        for mode in [Mode::Serve, Mode::Dev] {
            let sources = Sources::from_pairs(mode, &environment);
            let problems = config::load(&sources).expect_err("listen.public is wrong");
            for text in [format!("{problems}"), format!("{problems:?}"), format!("{sources:?}")] {
                assert_holds_no_canary(&format!("{:?}", pairs[0].0), &text);
                assert!(!text.contains(&piece), "{text}");
            }
        }
    }
}

#[test]
fn errors_of_a_configuration_file_hold_no_canary() {
    for text in [
        "[adapter]\nsecret = canary-unquoted\n",
        "[adapter]\nsecret = \"canary-unclosed\n",
        "[adapter]\nsecret = [\"canary\"]\n",
        "[adapter]\nsecret = { canary = \"canary\" }\n",
        "[adapter]\ntokens = \"canary\"\ntokens = \"canary\"\n",
        "[adapter]\ntokens = [\"canary-short\", 7]\n",
        "adapter = \"canary\"\n",
        "[token]\nprivate_key = \"canary\"\njwks = \"canary\"\n",
        "[token]\nprivate_key = '''\n-----BEGIN PRIVATE KEY-----\ncanary\n'''\n",
        "[adapter]\nsecret = \"canary\\qsecret\"\n",
        "[adapter]\nsecret = \"canary\"\nsecret_file = \"/nowhere\"\n",
    ] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.toml"), text).unwrap();
        let sources = Sources {
            file: None,
            directory: Some(directory.path().to_owned()),
            environment: Vec::new(),
            mode: Mode::Serve,
        };
        let problems = config::load(&sources).expect_err("a problem");
        assert_holds_no_canary(text, &format!("{problems} {problems:?}"));
    }
}

fn dev_config(settings: &[(&str, &str)]) -> Config {
    let mut pairs = vec![
        ("CONVEX_AUTH_PROXY__TOKEN__ALGORITHM".to_owned(), "EdDSA".to_owned()),
        ("CONVEX_AUTH_ADAPTER_SECRET".to_owned(), SECRET.to_owned()),
    ];
    pairs.extend(settings.iter().map(|(name, value)| (format!("CONVEX_AUTH_PROXY__{name}"), (*value).to_owned())));
    let sources = Sources { file: None, directory: None, environment: pairs, mode: Mode::Dev };
    config::load(&sources).unwrap_or_else(|problems| panic!("{problems}"))
}

// The secret that was added never comes back.

/// All texts of a JSON value, member names included.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| std::iter::once(name.as_str()).chain(texts(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// The secret as it is, and as a text within a text has it.
fn assert_secret_stays(secret: &str, answer: &Answer) {
    let escaped = json!(secret).to_string();
    let escaped = escaped.trim_matches('"');
    let value = answer.value();
    for text in texts(&value).into_iter().chain([answer.text().as_str()]) {
        assert!(!text.contains(secret) && !text.contains(escaped), "the secret came back: {text}");
    }
}

#[tokio::test]
async fn l2_an_injected_secret_never_comes_back_in_an_answer() {
    let world = World::new().await;
    let extra = json!({ "email": "ada@example.com", "extra": 1 });
    for (target, function) in [
        ("/api/query", "getUserByEmail"),
        ("/api/query", "getSessionAndUser"),
        ("/api/mutation", "createUser"),
        ("/api/mutation", "deleteSession"),
    ] {
        let call = json!({ "path": format!("authAdapter:{function}"), "args": extra });
        let answer = post(world.adapter, target).json(&call).send().await;
        assert_eq!(answer.ok()["status"], json!("error"), "{function}");
        assert!(answer.text().contains("ArgumentValidationError"), "what is wrong is still told: {}", answer.text());
        assert_secret_stays(SECRET, &answer);
    }
    let batch = json!({ "queries": [{ "path": "authAdapter:getUser", "args": extra }] });
    assert_secret_stays(SECRET, &post(world.adapter, "/api/query_batch").json(&batch).send().await);
    let wrong = json!({ "user": { "email": "ada@example.com", "extra": 1 } });
    for target in ["/adapter/createUser", "/adapter/updateUser"] {
        assert_secret_stays(SECRET, &post(world.adapter, target).json(&wrong).send().await);
    }
}

#[tokio::test]
async fn l2_an_injected_secret_never_comes_back_in_any_spelling() {
    for secret in [SECRET, "can\"ary\\secret/ß-\u{1F511}-0001"] {
        let (world, mut scripted) = World::scripted(&[("ADAPTER__SECRET", secret)]).await;
        let once = json!(secret).to_string();
        let once = once.trim_matches('"');
        let twice = json!(once).to_string();
        let twice = twice.trim_matches('"');
        let ascii: String = once
            .encode_utf16()
            .map(|unit| {
                char::from_u32(unit.into())
                    .filter(char::is_ascii)
                    .map_or_else(|| format!("\\u{unit:04x}"), String::from)
            })
            .collect();
        // As it is, in a text within a text, and as a careful printer writes it.
        for spelling in [once, twice, &ascii] {
            let bodies = [
                format!("{{\"status\":\"error\",\"errorMessage\":\"Object: {{secret: \\\"{spelling}\\\"}}\"}}"),
                format!(
                    "{{\"status\":\"success\",\"value\":{{\"secret\":\"{spelling}\"}},\"logLines\":[\"{spelling}\"]}}"
                ),
                format!("{{\"code\":\"Echo\",\"message\":\"a{spelling}b\"}}"),
            ];
            for body in &bodies {
                for (target, function) in
                    [("/api/query", "getUser"), ("/api/mutation", "deleteUser"), ("/api/query", "custom")]
                {
                    let call = json!({ "path": format!("authAdapter:{function}"), "args": { "id": "u1" } });
                    let asking = tokio::spawn(post(world.adapter, target).json(&call).send());
                    let mut received = scripted.next().await;
                    assert!(String::from_utf8_lossy(&received.body).contains(once), "it was added");
                    let head = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
                        body.len()
                    );
                    received.send(format!("{head}connection: close\r\n\r\n").as_bytes()).await;
                    // In two pieces, with the cut within the secret.
                    let cut = body.find(spelling).unwrap() + spelling.len() / 2;
                    let cut = (cut..).find(|at| body.is_char_boundary(*at)).unwrap();
                    received.send(&body.as_bytes()[..cut]).await;
                    get(world.admin, "/livez").send().await;
                    received.send(&body.as_bytes()[cut..]).await;
                    drop(received);
                    let answer = asking.await.unwrap();
                    assert_secret_stays(secret, &answer);
                }
            }
        }
    }
}

#[tokio::test]
async fn l2_an_answer_that_may_hold_the_secret_is_not_asked_for_compressed() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let call = json!({ "path": "authAdapter:getUser", "args": { "id": "u1" } });
    let asking =
        tokio::spawn(post(world.adapter, "/api/query").header("accept-encoding", "gzip, br").json(&call).send());
    let received = scripted.next().await;
    let encoding = received.header("accept-encoding").unwrap_or("identity").to_owned();
    received.answer(ANSWERED).await;
    assert_eq!(asking.await.unwrap().status, 200);
    assert_eq!(encoding, "identity");
}
