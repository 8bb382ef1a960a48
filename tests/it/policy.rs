//! Who may call what: on every lane of HTTP, on every listener. What is refused never goes upstream.

use serde_json::json;

use crate::common::{Connection, NOTHING, ORIGIN, Request, SECRET, SPELLINGS, Scripted, Seen, World, get, post, raw};

/// The routes that run functions.
const LANES: [&str; 5] = ["query", "mutation", "action", "query_at_ts", "query_batch"];

/// The body of a call on a lane. `args` is JSON text.
fn body_of(lane: &str, path: &str, args: &str) -> String {
    let path = json!(path);
    match lane {
        "query_at_ts" => format!(r#"{{"path":{path},"ts":"AAAAAAAAAAA=","args":{args}}}"#),
        "query_batch" => format!(r#"{{"queries":[{{"path":{path},"args":{args}}}]}}"#),
        _ => format!(r#"{{"path":{path},"args":{args}}}"#),
    }
}

fn target(lane: &str) -> String {
    format!("/api/{lane}")
}

fn nothing_went(scripted: &Scripted) {
    assert!(!scripted.has_next(), "something went upstream");
}

#[tokio::test]
async fn rule_1_what_is_not_listed_is_not_there() {
    let (world, scripted) = World::scripted(&[]).await;
    let body = r#"{"path":"authAdapter:getUser","args":{}}"#;
    for (method, target) in [
        ("GET", "/api/query"),
        ("GET", "/api/query?path=authAdapter%3AgetUser&args=%7B%7D"),
        ("PUT", "/api/query"),
        ("PATCH", "/api/mutation"),
        ("DELETE", "/api/action"),
        ("GET", "/api/query_ts"),
        ("GET", "/auth/token"),
        ("POST", "/api/sync"),
        ("POST", "/.well-known/jwks.json"),
        ("POST", "/api/function"),
        ("POST", "/api/actions/query"),
        ("POST", "/api/run_test_function"),
        ("POST", "/api/push_config"),
        ("POST", "/api/storage/upload?token=x"),
        ("GET", "/api/storage/7f0c"),
        ("GET", "/api/public_openapi.json"),
        ("GET", "/http/x"),
        ("POST", "/http/x"),
        ("GET", "/version"),
        ("POST", "/echo"),
        ("GET", "/"),
        ("GET", "/metrics"),
        ("GET", "/livez"),
        ("POST", "/api/%71uery"),
        ("POST", "//api/query"),
        ("POST", "/api//query"),
        ("POST", "/api/query/"),
        ("POST", "/API/query"),
        ("POST", "/api/x/../query"),
        ("POST", "/api/./query"),
        ("POST", "/api%2Fquery"),
        ("POST", "/api/1.48.0/query"),
        ("GET", "/api/x/y/sync"),
        ("GET", "/api/sync/"),
        ("POST", "http://evil.example/api/query"),
        ("POST", "http://localhost/api/query"),
        ("OPTIONS", "*"),
        ("OPTIONS", "/api/function"),
    ] {
        for listener in [world.public, world.adapter] {
            let request = Request::new(listener, method, target).header("content-type", "application/json").body(body);
            assert_eq!(request.send().await.refusal(), (404, "NotFound".to_owned()), "{method} {target}");
        }
    }
    for target in ["/api/query", "/api/sync", "/api/mutation"] {
        assert_eq!(Request::new(world.public, "HEAD", target).send().await.status, 404, "{target}");
    }
    let public = post(world.public, "/adapter/createUser").body("{}").send().await;
    assert_eq!(public.refusal(), (404, "NotFound".to_owned()));
    nothing_went(&scripted);
}

#[tokio::test]
async fn rule_6_run_is_not_served_in_any_encoding() {
    let (world, scripted) = World::scripted(&[]).await;
    for identifier in [
        "authAdapter/getUser",
        "authAdapter.js/getUser",
        "authAdapter%2FgetUser",
        "%61uthAdapter/getUser",
        "%2561uthAdapter/getUser",
        "authAdapter//getUser",
        "authAdapter/./getUser",
        "authAdapter/%2e/getUser",
        "authAdapter/%252e/getUser",
        "demo/whoami",
        "",
    ] {
        for listener in [world.public, world.adapter] {
            let answer = post(listener, &format!("/api/run/{identifier}")).body(r#"{"args":{}}"#).send().await;
            assert_eq!(answer.refusal(), (404, "NotFound".to_owned()), "{identifier}");
        }
    }
    nothing_went(&scripted);
}

#[tokio::test]
async fn rule_2_every_spelling_of_the_module_is_behind_the_secret() {
    let (world, scripted) = World::scripted(&[]).await;
    for lane in LANES {
        for spelling in SPELLINGS {
            let answer = post(world.public, &target(lane)).body(body_of(lane, spelling, "{}")).send().await;
            assert_eq!(answer.refusal(), (403, "AdapterForbidden".to_owned()), "{lane} {spelling}");
        }
        // The same in JSON's own escapes.
        let escaped = body_of(lane, "PATH", "{}").replace("\"PATH\"", r#""\u0061uthAdapter\u003agetUser""#);
        let answer = post(world.public, &target(lane)).body(escaped).send().await;
        assert_eq!(answer.refusal(), (403, "AdapterForbidden".to_owned()), "{lane}");
    }
    nothing_went(&scripted);
}

#[tokio::test]
async fn rule_3_a_path_goes_on_as_it_was_understood() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for lane in LANES {
        for spelling in SPELLINGS {
            let request = post(world.adapter, &target(lane)).body(body_of(lane, spelling, r#"{"id":"u"}"#));
            let (seen, answer) = scripted.pass(request, NOTHING).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, NOTHING));
            let args = format!(r#"{{"id":"u","secret":"{SECRET}"}}"#);
            assert_eq!(seen.target, target(lane));
            assert_eq!(seen.body, body_of(lane, "authAdapter:getUser", &args), "{spelling}");
        }
        for (spelling, understood) in [
            ("messages.js:list", "messages:list"),
            ("chat//rooms/.:list", "chat/rooms:list"),
            ("chat/./rooms.js/:list", "chat/rooms:list"),
            ("messages", "messages:default"),
            ("AuthAdapter:getUser", "AuthAdapter:getUser"),
            ("authAdapter.js.js:getUser", "authAdapter.js.js:getUser"),
            ("authAdapter/getUser", "authAdapter/getUser:default"),
        ] {
            let request = post(world.public, &target(lane)).body(body_of(lane, spelling, "{}"));
            let (seen, _) = scripted.pass(request, NOTHING).await;
            assert_eq!(seen.body, body_of(lane, understood, "{}"), "{spelling}");
        }
    }
}

#[tokio::test]
async fn rule_4_what_the_backend_cannot_parse_is_refused_here() {
    let (world, scripted) = World::scripted(&[]).await;
    let long = format!("{}:f", "a".repeat(65));
    for lane in LANES {
        for path in [
            "",
            ":",
            "./authAdapter:x",
            "/authAdapter:getUser",
            "x/../authAdapter:getUser",
            "authAdapter::getUser",
            "authAdapter:",
            "authAdapter:getUser/",
            " authAdapter:getUser",
            "authAdapter.ts:getUser",
            "authAdapter.JS:getUser",
            "authAdapter%3AgetUser",
            "auth-adapter:getUser",
            "auth\\adapter:getUser",
            "authAdapter\u{0}:getUser",
            "ａuthAdapter:getUser",
            "authÄdapter:getUser",
            "function://abc",
            &long,
        ] {
            for listener in [world.public, world.adapter] {
                let answer = post(listener, &target(lane)).body(body_of(lane, path, "{}")).send().await;
                assert_eq!(answer.refusal(), (400, "InvalidFunctionPath".to_owned()), "{lane} {path:?}");
            }
        }
    }
    nothing_went(&scripted);
}

#[tokio::test]
async fn rule_5_the_default_export_and_unknown_functions_belong_to_the_module() {
    let (world, scripted) = World::scripted(&[]).await;
    for lane in LANES {
        for path in ["authAdapter", "authAdapter.js", "authAdapter/", "authAdapter:default", "authAdapter:addedLater"] {
            let answer = post(world.public, &target(lane)).body(body_of(lane, path, "{}")).send().await;
            assert_eq!(answer.refusal(), (403, "AdapterForbidden".to_owned()), "{lane} {path}");
        }
    }
    nothing_went(&scripted);
}

#[tokio::test]
async fn a_nested_module_is_guarded_in_every_spelling() {
    let (world, mut scripted) = World::scripted(&[("ADAPTER__MODULE", "auth/adapter")]).await;
    let spellings =
        ["auth/adapter:f", "auth//adapter:f", "auth/./adapter:f", "auth/adapter/:f", "auth//./adapter.js/.:f"];
    for lane in LANES {
        for spelling in spellings {
            let answer = post(world.public, &target(lane)).body(body_of(lane, spelling, "{}")).send().await;
            assert_eq!(answer.refusal(), (403, "AdapterForbidden".to_owned()), "{lane} {spelling}");
            nothing_went(&scripted);
            let request = post(world.adapter, &target(lane)).body(body_of(lane, spelling, "{}"));
            let (seen, _) = scripted.pass(request, NOTHING).await;
            assert_eq!(seen.body, body_of(lane, "auth/adapter:f", &format!(r#"{{"secret":"{SECRET}"}}"#)));
        }
    }
    for other in ["auth:adapter", "adapter:f", "authAdapter:getUser", "x/auth/adapter:f", "auth/adapter/x:f"] {
        let (seen, _) =
            scripted.pass(post(world.public, "/api/query").body(body_of("query", other, "{}")), NOTHING).await;
        assert!(!seen.body.contains(SECRET), "{other}");
    }
}

#[tokio::test]
async fn rule_7_a_body_is_an_object_at_every_level() {
    let (world, scripted) = World::scripted(&[]).await;
    for (lane, body) in [
        ("query", r#"["authAdapter:getUser",{},null]"#),
        ("mutation", r#"["demo:send",{},null]"#),
        ("action", r#" ["demo:ping",{},null]"#),
        ("query_at_ts", r#"["authAdapter:getUser",{},"AAAAAAAAAAA=",null]"#),
        ("query_batch", r#"[[["authAdapter:getUser",{},null]]]"#),
        ("query_batch", r#"[[{"path":"authAdapter:getUser","args":{}}]]"#),
        ("query_batch", r#"{"queries":[["authAdapter:getUser",{},null]]}"#),
        ("query_batch", r#"{"queries":[{"path":"demo:list","args":{}},["authAdapter:getUser",{},null]]}"#),
        ("query_batch", r#"{"queries":{"path":"demo:list","args":{}}}"#),
        ("query", "null"),
        ("query", r#""authAdapter:getUser""#),
        ("query", "1"),
    ] {
        for listener in [world.public, world.adapter] {
            let answer = post(listener, &target(lane)).body(body).send().await;
            assert_eq!(answer.refusal(), (400, "BadJsonBody".to_owned()), "{lane} {body}");
        }
    }
    nothing_went(&scripted);
}

#[tokio::test]
async fn rule_8_a_member_that_decides_must_not_come_twice() {
    let (world, scripted) = World::scripted(&[]).await;
    for (lane, body) in [
        ("query", r#"{"path":"ok:f","path":"authAdapter:x","args":{}}"#),
        ("mutation", r#"{"path":"authAdapter:x","args":{},"path":"ok:f"}"#),
        ("action", r#"{"path":"ok:f","\u0070ath":"authAdapter:x","args":{}}"#),
        ("query", r#"{"path":"ok:f","args":{},"args":{}}"#),
        ("query", r#"{"path":"ok:f","args":{},"format":"json","format":"json"}"#),
        ("query_at_ts", r#"{"path":"ok:f","args":{},"ts":"AAAAAAAAAAA=","ts":"AAAAAAAAAAA="}"#),
        ("query_batch", r#"{"queries":[],"queries":[{"path":"authAdapter:x","args":{}}]}"#),
        ("query_batch", r#"{"queries":[{"path":"ok:f","path":"authAdapter:x","args":{}}]}"#),
    ] {
        for listener in [world.public, world.adapter] {
            let answer = post(listener, &target(lane)).body(body).send().await;
            assert_eq!(answer.refusal(), (400, "BadJsonBody".to_owned()), "{lane} {body}");
        }
    }
    nothing_went(&scripted);
}

#[tokio::test]
async fn rule_9_one_denied_query_denies_the_batch() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let fine = r#"{"path":"demo:list","args":{}}"#;
    let adapter = r#"{"path":"authAdapter.js/.:getUser","args":{"id":"u"}}"#;
    let right = format!(r#"{{"path":"authAdapter:getUser","args":[{{"id":"u","secret":"{SECRET}"}}]}}"#);
    for queries in [format!("{fine},{adapter}"), format!("{adapter},{fine}"), format!("{fine},{right},{adapter}")] {
        let body = format!(r#"{{"queries":[{queries}]}}"#);
        let answer = post(world.public, "/api/query_batch").body(body).send().await;
        assert_eq!(answer.refusal(), (403, "AdapterForbidden".to_owned()), "{queries}");
        assert!(!answer.text().contains("results"));
    }
    nothing_went(&scripted);
    let body = format!(r#"{{"queries":[{fine},{right}]}}"#);
    let (seen, _) = scripted.pass(post(world.public, "/api/query_batch").body(body.clone()), NOTHING).await;
    assert_eq!(seen.body, body);
    let (seen, _) = scripted.pass(post(world.public, "/api/query_batch").body(r#"{"queries":[]}"#), NOTHING).await;
    assert_eq!(seen.body, r#"{"queries":[]}"#);
}

#[tokio::test]
async fn rule_10_a_body_is_plain_json_in_utf_8() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for lane in LANES {
        let body = body_of(lane, "demo:list", "{}");
        let request = || post(world.public, &target(lane)).without("content-type").body(body.clone());
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "json",
            "application/+json",
        ] {
            let answer = request().header("content-type", content_type).send().await;
            assert_eq!(answer.refusal(), (415, "ContentTypeNotJson".to_owned()), "{lane} {content_type}");
        }
        assert_eq!(request().send().await.refusal(), (415, "ContentTypeNotJson".to_owned()));
        let two = request().header("content-type", "application/json").header("content-type", "text/plain");
        assert_eq!(two.send().await.refusal(), (415, "ContentTypeNotJson".to_owned()));
        for content_type in ["Application/JSON; charset=utf-16", "application/vnd.convex+json"] {
            let (seen, _) = scripted.pass(request().header("content-type", content_type), NOTHING).await;
            assert_eq!(seen.all("content-type"), ["application/json"], "it is JSON in UTF-8 from here on");
        }
        for encoding in ["gzip", "br", "deflate", "identity, gzip", "x"] {
            let answer = post(world.public, &target(lane)).header("content-encoding", encoding).body(body.clone());
            assert_eq!(answer.send().await.refusal(), (415, "ContentEncodingRefused".to_owned()), "{lane} {encoding}");
        }
        for bytes in [
            [b"\xef\xbb\xbf", body.as_bytes()].concat(),
            body.replace("{}", "{\"x\":\"?\"}")
                .into_bytes()
                .iter()
                .map(|byte| if *byte == b'?' { 0xff } else { *byte })
                .collect(),
            format!("{body} x").into_bytes(),
            body.replace("{}", "{\"x\":NaN}").into_bytes(),
            body.replace("{}", "{/**/}").into_bytes(),
            Vec::new(),
        ] {
            let answer = post(world.public, &target(lane)).body(bytes).send().await;
            assert_eq!(answer.refusal(), (400, "BadJsonBody".to_owned()), "{lane}");
        }
    }
    let identity = post(world.public, "/api/query").header("content-encoding", "identity");
    let (seen, _) = scripted.pass(identity.body(body_of("query", "demo:list", "{}")), NOTHING).await;
    assert!(seen.all("content-encoding").is_empty());
    nothing_went(&scripted);
}

#[tokio::test]
async fn rule_10_a_body_beyond_the_limit_is_refused_by_its_declared_length() {
    let (world, scripted) = World::scripted(&[]).await;
    for lane in LANES.into_iter().chain(["query_ts"]) {
        let head = format!(
            "POST /api/{lane} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: 16779217\r\n\r\n",
            world.public
        );
        let answer = raw(world.public, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains(r#""code":"BodyTooLarge""#), "{answer}");
    }
    nothing_went(&scripted);
}

#[tokio::test]
async fn rule_11_admin_credentials_are_refused_in_every_form() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for lane in LANES.into_iter().chain(["query_ts"]) {
        let body = body_of(lane, "demo:list", "{}");
        for listener in [world.public, world.adapter] {
            for header in ["Convex prod:happy-otter-123|key", "convex key", "CONVEX key:eyJ9"] {
                let answer =
                    post(listener, &target(lane)).header("authorization", header).body(body.clone()).send().await;
                assert_eq!(answer.refusal(), (403, "AdminCredentialRefused".to_owned()), "{lane} {header}");
            }
            for query in ["adminKey=key", "x=1&adminKey=key", "admin%4bey=key", "%61%64%6D%69%6e%4B%65%79", "adminKey"]
            {
                let answer = post(listener, &format!("/api/{lane}?{query}")).body(body.clone()).send().await;
                assert_eq!(answer.refusal(), (403, "AdminCredentialRefused".to_owned()), "{lane} {query}");
            }
        }
    }
    nothing_went(&scripted);
    // The third form is a member of the body, which is left behind.
    let body = r#"{"adminKey":"canary","path":"demo:list","args":{"adminKey":"the app's own"}}"#;
    let (seen, _) = scripted.pass(post(world.public, "/api/query").body(body), NOTHING).await;
    assert_eq!(seen.body, r#"{"path":"demo:list","args":{"adminKey":"the app's own"}}"#);
}

#[tokio::test]
async fn rule_11_there_is_one_authorization_and_it_is_bearer() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let body = body_of("query", "demo:list", "{}");
    for listener in [world.public, world.adapter] {
        for headers in [
            vec!["Bearer a", "Bearer a"],
            vec!["Bearer a", "Convex key"],
            vec!["Basic eDp5"],
            vec!["Bearer"],
            vec!["Bearer a b"],
            vec![""],
        ] {
            let request = post(listener, "/api/query").body(body.clone());
            let request = headers.iter().fold(request, |request, value| request.header("authorization", value));
            assert_eq!(request.send().await.refusal(), (401, "InvalidAuthHeader".to_owned()), "{headers:?}");
        }
        nothing_went(&scripted);
        let request = post(listener, "/api/query").header("authorization", "bEARER  foreign ").body(body.clone());
        let (seen, _) = scripted.pass(request, NOTHING).await;
        assert_eq!(seen.all("authorization"), ["Bearer foreign"]);
    }
}

#[tokio::test]
async fn rule_12_a_component_path_is_refused() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for lane in LANES {
        for component in [r#""""#, r#""x""#, "0", "[]"] {
            let body = body_of(lane, "demo:list", &format!(r#"{{}},"componentPath":{component}"#));
            let answer = post(world.public, &target(lane)).body(body).send().await;
            assert_eq!(answer.refusal(), (400, "BadJsonBody".to_owned()), "{lane} {component}");
        }
        let body = body_of(lane, "demo:list", r#"{},"componentPath":null"#);
        let (seen, _) = scripted.pass(post(world.public, &target(lane)).body(body), NOTHING).await;
        assert_eq!(seen.body, body_of(lane, "demo:list", "{}"));
    }
    nothing_went(&scripted);
}

#[tokio::test]
async fn rule_28_what_left_is_not_sent_again() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for lane in LANES {
        let request = post(world.public, &target(lane)).body(body_of(lane, "demo:f", "{}"));
        let sending = tokio::spawn(request.send());
        let mut received = scripted.next().await;
        // Once before and once in the middle of the answer's head.
        received.send(b"HTTP/1.1 200 OK\r\ncontent-ty").await;
        drop(received);
        assert_eq!(sending.await.unwrap().refusal(), (502, "UpstreamUnreachable".to_owned()), "{lane}");
        nothing_went(&scripted);
        let sending = tokio::spawn(post(world.public, &target(lane)).body(body_of(lane, "demo:f", "{}")).send());
        drop(scripted.next().await);
        assert_eq!(sending.await.unwrap().refusal(), (502, "UpstreamUnreachable".to_owned()), "{lane}");
        nothing_went(&scripted);
    }
    let sending = tokio::spawn(post(world.adapter, "/adapter/deleteSession").body(r#"{"sessionToken":"t"}"#).send());
    drop(scripted.next().await);
    assert_eq!(sending.await.unwrap().refusal(), (502, "UpstreamUnreachable".to_owned()));
    nothing_went(&scripted);
}

#[tokio::test]
async fn rule_29_l3_l4_the_deployment_hears_nothing_of_what_a_caller_says_about_itself() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for lane in LANES.into_iter().chain(["query_ts"]) {
        let mut request = post(world.public, &target(lane)).body(body_of(lane, "demo:list", "{}"));
        for (name, value) in [
            ("host", "canary.example"),
            ("x-forwarded-for", "canary"),
            ("X_Forwarded_For", "canary"),
            ("x-forwarded-host", "canary"),
            ("x-forwarded-proto", "canary"),
            ("forwarded", "for=canary"),
            ("x-real-ip", "canary"),
            ("cookie", "canary=canary"),
            ("x-request-id", "canary"),
            ("convex-request-id", "canary"),
            ("proxy-authorization", "canary"),
            ("te", "trailers"),
            ("convex-client", "npm-1.48.0"),
            ("user-agent", "node"),
        ] {
            request = request.header(name, value);
        }
        let (seen, _) = scripted.pass(request, NOTHING).await;
        assert_eq!(seen.all("host"), [scripted.address().to_string()], "{lane}");
        assert_eq!(seen.all("convex-client"), ["npm-1.48.0"]);
        let mut names: Vec<_> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.retain(|name| !matches!(*name, "content-length" | "transfer-encoding"));
        names.sort_unstable();
        assert_eq!(names, ["content-type", "convex-client", "host", "user-agent", "x-request-id"], "{lane}");
        assert!(!format!("{seen:?}").contains("canary"), "{seen:?}");
    }
}

#[tokio::test]
async fn rule_29_a_client_version_is_name_and_version() {
    let (world, scripted) = World::scripted(&[]).await;
    for lane in LANES.into_iter().chain(["query_ts"]) {
        for client in ["npm", "-1.0.0", "npm-", "npm-x", ""] {
            let request = post(world.public, &target(lane)).header("convex-client", client);
            let answer = request.body(body_of(lane, "demo:list", "{}")).send().await;
            assert_eq!(answer.refusal(), (400, "InvalidClientVersion".to_owned()), "{lane} {client:?}");
        }
    }
    nothing_went(&scripted);
}

#[tokio::test]
async fn rule_30_every_error_is_json_and_never_a_page() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for request in [
        post(world.public, "/nowhere"),
        post(world.public, "/api/query").body("{"),
        post(world.public, "/api/query").body(body_of("query", "authAdapter:f", "{}")),
        post(world.public, "/auth/token"),
        get(world.adapter, "/"),
        get(world.admin, "/nowhere"),
    ] {
        let answer = request.send().await;
        assert_eq!(answer.all("content-type"), ["application/json"]);
        assert_eq!(answer.all("cache-control"), ["no-store"]);
        assert_eq!(answer.all("x-request-id").len(), 1);
        assert!(answer.refusal().0 >= 400);
    }
    let sending = tokio::spawn(post(world.public, "/api/query").body(body_of("query", "a:b", "{}")).send());
    scripted.next().await.answer_with("502 Bad Gateway", "text/html", "<html>").await;
    assert_eq!(sending.await.unwrap().refusal(), (502, "UpstreamUnreadable".to_owned()));
    // Convex's own refusals and its functions' errors pass as they are.
    for (status, body) in [
        ("400 Bad Request", r#"{"code":"BadFormat","message":"m"}"#),
        ("503 Service Unavailable", r#"{"code":"OptimisticConcurrencyControlFailure", "message":"m"}"#),
        ("200 OK", r#"{"status":"error","errorMessage":"no","errorData":null,"logLines":["x"]}"#),
    ] {
        let sending = tokio::spawn(post(world.public, "/api/mutation").body(body_of("mutation", "a:b", "{}")).send());
        scripted.next().await.answer_with(status, "application/json", body).await;
        let answer = sending.await.unwrap();
        assert_eq!((answer.status.to_string().as_str(), answer.text().as_str()), (&status[..3], body));
    }
}

#[tokio::test]
async fn rule_31_there_is_one_set_of_cors_headers() {
    let world = World::new().await;
    let call = body_of("query", "demo:list", "{}");
    let cors = |origin: Option<&'static str>| {
        let request = post(world.public, "/api/query").body(call.clone());
        origin.into_iter().fold(request, |request, origin| request.header("origin", origin)).send()
    };
    // The embedded deployment mirrors every origin, with credentials, as Convex does.
    let listed = cors(Some(ORIGIN)).await;
    assert_eq!(listed.all("access-control-allow-origin"), [ORIGIN]);
    assert_eq!(listed.all("access-control-allow-credentials"), ["true"]);
    assert_eq!(listed.all("vary"), ["Origin"]);
    for origin in
        ["https://evil.example", "null", "http://localhost:3001", "http://LOCALHOST:3000", "http://localhost:3000/"]
    {
        let other = cors(Some(origin)).await;
        assert_eq!(other.status, 200);
        assert_eq!(other.all("access-control-allow-origin"), ["*"], "{origin}");
        assert!(other.all("access-control-allow-credentials").is_empty(), "{origin}");
        assert_eq!(other.all("vary"), ["Origin"]);
    }
    let server = cors(None).await;
    assert!(server.all("access-control-allow-origin").is_empty());
    assert_eq!(server.all("vary"), ["Origin"]);
    // A refusal can be read by the page too.
    let refused = post(world.public, "/api/query").header("origin", ORIGIN).body("{").send().await;
    assert_eq!((refused.status, refused.all("access-control-allow-origin")), (400, vec![ORIGIN]));
    let refused = post(world.public, "/nowhere").header("origin", "https://evil.example").send().await;
    assert_eq!((refused.status, refused.all("access-control-allow-origin")), (404, vec!["*"]));
}

#[tokio::test]
async fn rule_31_l9_what_the_deployment_tells_browsers_stays_behind() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for origin in [None, Some(ORIGIN), Some("https://evil.example")] {
        for lane in LANES.into_iter().chain(["query_ts"]) {
            let request = post(world.public, &target(lane)).body(body_of(lane, "demo:f", "{}"));
            let request = origin.into_iter().fold(request, |request, origin| request.header("origin", origin));
            let sending = tokio::spawn(request.send());
            let mut received = scripted.next().await;
            assert!(received.header("origin").is_none());
            let head = [
                "HTTP/1.1 200 OK",
                "content-type: application/json",
                "access-control-allow-origin: https://canary.example",
                "access-control-allow-credentials: true",
                "access-control-expose-headers: canary",
                "vary: canary",
                "set-cookie: canary=canary",
                "location: https://canary.example",
                "x-request-id: canary",
                "x-canary: canary",
                "cache-control: no-cache",
                "x-convex-deprecation-state: deprecated",
                "content-length: 2",
                "connection: close",
            ];
            received.send(format!("{}\r\n\r\n{{}}", head.join("\r\n")).as_bytes()).await;
            let answer = sending.await.unwrap();
            assert_eq!((answer.status, answer.text().as_str()), (200, "{}"));
            assert!(!format!("{:?}", answer.headers).contains("canary"), "{lane} {origin:?}: {:?}", answer.headers);
            assert_eq!(answer.all("vary"), ["Origin"]);
            assert_eq!(answer.all("x-convex-deprecation-state"), ["deprecated"]);
            assert_eq!(answer.all("cache-control"), ["no-cache"]);
            let credentials = answer.all("access-control-allow-credentials");
            assert_eq!(credentials.len(), usize::from(origin == Some(ORIGIN)));
        }
    }
}

#[tokio::test]
async fn rule_31_preflights_are_answered_here() {
    let (world, scripted) = World::scripted(&[]).await;
    let preflight = |target: &str, origin: &str| {
        Request::new(world.public, "OPTIONS", target)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type,convex-client")
    };
    for target in ["/api/query", "/api/mutation", "/api/action", "/api/query_ts", "/api/query_batch", "/auth/token"] {
        let listed = preflight(target, ORIGIN).send().await;
        assert_eq!((listed.status, listed.body.len()), (204, 0));
        assert_eq!(listed.all("access-control-allow-origin"), [ORIGIN]);
        assert_eq!(listed.all("access-control-allow-credentials"), ["true"]);
        assert_eq!(listed.all("access-control-allow-headers"), ["authorization,content-type,convex-client"]);
        assert!(listed.header("access-control-allow-methods").unwrap().contains("POST"));
        assert!(listed.all("vary").contains(&"Origin"));
        for origin in ["https://evil.example", "null"] {
            let other = preflight(target, origin).send().await;
            assert_eq!(other.status, 204);
            assert_eq!(other.all("access-control-allow-origin"), ["*"]);
            assert!(other.all("access-control-allow-credentials").is_empty());
        }
    }
    assert_eq!(preflight("/api/run/a/b", ORIGIN).send().await.status, 404);
    let on_adapter = Request::new(world.adapter, "OPTIONS", "/api/query").header("origin", ORIGIN).send().await;
    assert_eq!(on_adapter.refusal(), (403, "BrowserRefused".to_owned()));
    assert!(on_adapter.all("access-control-allow-origin").is_empty());
    nothing_went(&scripted);
}

#[tokio::test]
async fn rule_32_arguments_pass_byte_for_byte() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let args = [
        r#"{}"#,
        r#"[]"#,
        r#"[{},{}]"#,
        r#"null"#,
        r#""text""#,
        r#"-0"#,
        r#"{"a":-0,"b":-0.0,"c":1e-320,"d":9007199254740993,"e":1.70e12,"f":1E+2,"g":1e999,"h":0.1000}"#,
        r#"{"\u0061\/":"\u00e9\ud83d\ude00 é😀 \ud800","x":{"$float":"AAAAAAAAAIA="}}"#,
        "{ \"a\" :\t[ 1 ,\n2 ] , \"b\":{ } \r\n}",
        r#"{"a":1,"a":2,"\u0061":3,"secret":"one","secret":"two"}"#,
        r#"[ {"date":"2026-01-01T00:00:00.000Z","user":{"emailVerified":"2026-01-01","name":null}} ]"#,
    ];
    for lane in LANES {
        for (index, args) in args.into_iter().enumerate() {
            let listener = if index % 2 == 0 { world.public } else { world.adapter };
            let request = post(listener, &target(lane)).body(body_of(lane, "demo:f", args));
            let (seen, _) = scripted.pass(request, NOTHING).await;
            assert_eq!(seen.body, body_of(lane, "demo:f", args), "{lane}");
        }
    }
}

#[tokio::test]
async fn rule_32_an_answer_passes_byte_for_byte() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let body = "{ \"status\":\"success\", \"value\":[-0, 1e-320, 9007199254740993, 1.70e12, \"\\u00e9\\ud800\"],\n\"logLines\":[\"x\"], \"errorData\":null }\n";
    for lane in LANES.into_iter().chain(["query_ts"]) {
        let (_, answer) =
            scripted.pass(post(world.public, &target(lane)).body(body_of(lane, "demo:f", "{}")), body).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, body), "{lane}");
    }
}

#[tokio::test]
async fn of_an_envelope_only_what_convex_reads_is_left() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let mut pass = async |lane: &str, body: &str| -> Seen {
        scripted.pass(post(world.public, &target(lane)).body(body), NOTHING).await.0
    };
    let body = r#" {"x":{"path":"authAdapter:f"},"args":{"a":1},"format":"convex_encoded_json","path":"demo:f","adminKey":"k","Path":"authAdapter:f"} "#;
    for lane in ["query", "mutation", "action"] {
        let written = r#"{"path":"demo:f","format":"convex_encoded_json","args":{"a":1}}"#;
        assert_eq!(pass(lane, body).await.body, written);
    }
    let timed = r#"{"ts":"AQIDBAUGBwg=","format":"\u006ason","path":"demo:f","args":[{}],"more":1}"#;
    let written = r#"{"path":"demo:f","format":"json","ts":"AQIDBAUGBwg=","args":[{}]}"#;
    assert_eq!(pass("query_at_ts", timed).await.body, written);
    let batch = r#"{"more":1,"queries":[{"format":null,"path":"demo:f","args":{}},{"args":[],"path":"demo:g.js","format":"x"}]}"#;
    let refused = post(world.public, "/api/query_batch").body(batch).send().await;
    assert_eq!(refused.refusal(), (400, "InvalidFunctionPath".to_owned()));
    let batch = batch.replace("demo:g.js", "demo.js:g");
    let written = r#"{"queries":[{"path":"demo:f","args":{}},{"path":"demo:g","format":"x","args":[]}]}"#;
    assert_eq!(pass("query_batch", &batch).await.body, written);
    // A moment that is none is the deployment's to refuse; one that is missing, or no text, is not a call.
    for body in [r#"{"path":"demo:f","args":{}}"#, r#"{"path":"demo:f","args":{},"ts":1}"#] {
        let answer = post(world.public, "/api/query_at_ts").body(body).send().await;
        assert_eq!(answer.refusal(), (400, "BadJsonBody".to_owned()), "{body}");
    }
}

#[tokio::test]
async fn rule_33_a_doubled_slash_is_never_forwarded() {
    let (world, scripted) = World::scripted(&[("LISTEN__BASE_PATH", "/convex")]).await;
    for target in [
        "//api/query",
        "/convex//api/query",
        "//convex/api/query",
        "/api/query",
        "/convexapi/query",
        "/CONVEX/api/query",
    ] {
        let answer = post(world.public, target).body(body_of("query", "authAdapter:getUser", "{}")).send().await;
        assert_eq!(answer.refusal(), (404, "NotFound".to_owned()), "{target}");
    }
    let guarded =
        post(world.public, "/convex/api/query").body(body_of("query", "authAdapter:getUser", "{}")).send().await;
    assert_eq!(guarded.refusal(), (403, "AdapterForbidden".to_owned()));
    nothing_went(&scripted);
}

#[tokio::test]
async fn a_base_path_is_taken_off_on_the_public_listener_alone() {
    let (world, mut scripted) = World::scripted(&[("LISTEN__BASE_PATH", "/convex")]).await;
    for (listener, target) in [(world.public, "/convex/api/query"), (world.adapter, "/api/query")] {
        let (seen, _) = scripted.pass(post(listener, target).body(body_of("query", "demo:f", "{}")), NOTHING).await;
        assert_eq!(seen.target, "/api/query");
    }
    let document = get(world.public, "/convex/.well-known/openid-configuration").send().await.ok();
    assert_eq!(document["issuer"], json!(format!("http://{}/convex", world.public)));
    assert_eq!(post(world.adapter, "/convex/api/query").send().await.status, 404);
}

#[tokio::test]
async fn the_sync_socket_must_be_asked_for_as_one() {
    let (world, scripted) = World::scripted(&[]).await;
    for listener in [world.public, world.adapter] {
        for target in ["/api/sync", "/api/1.48.0/sync", "/api/0.1.0-alpha.1/sync"] {
            let answer = get(listener, target).send().await;
            assert_eq!(answer.refusal(), (426, "UpgradeRequired".to_owned()), "{target}");
            assert_eq!(answer.header("upgrade"), Some("websocket"));
            assert_eq!(answer.header("sec-websocket-version"), Some("13"));
            let keyless = get(listener, target)
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13");
            assert_eq!(keyless.send().await.refusal(), (400, "InvalidUpgrade".to_owned()), "{target}");
            // L10: what follows a head must not be taken for the first bytes of a socket.
            let mut smuggler = Connection::open(listener).await;
            let head = format!(
                "GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\ncontent-length: 4\r\n\r\nbody"
            );
            smuggler.send(head.as_bytes()).await;
            assert_eq!(smuggler.answer().await.refusal(), (400, "InvalidUpgrade".to_owned()), "{target}");
        }
    }
    nothing_went(&scripted);
}

#[tokio::test]
async fn a_browser_is_no_caller_of_the_adapter_or_admin_listener() {
    let (world, scripted) = World::scripted(&[]).await;
    let call = body_of("query", "authAdapter:getUser", "{}");
    let adapter = || post(world.adapter, "/api/query").body(call.clone());
    let admin = || get(world.admin, "/metrics");
    let token = || post(world.adapter, "/auth/token").body(r#"{"userId":"u"}"#);
    let wire = || post(world.adapter, "/adapter/getSessionAndUser").body(r#"{"sessionToken":"t"}"#);
    for request in [&adapter as &dyn Fn() -> Request, &admin, &token, &wire] {
        for (name, value) in [
            ("origin", ORIGIN),
            ("origin", "null"),
            ("origin", ""),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-site", "none"),
        ] {
            let answer = request().header(name, value).send().await;
            assert_eq!(answer.refusal(), (403, "BrowserRefused".to_owned()), "{name}: {value}");
            assert!(answer.all("access-control-allow-origin").is_empty());
        }
        for host in
            ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.9.8.7", "x@localhost", "0.0.0.0"]
        {
            let answer = request().header("host", host).send().await;
            assert_eq!(answer.refusal(), (403, "HostRefused".to_owned()), "{host}");
        }
    }
    for request in [&adapter as &dyn Fn() -> Request, &token, &wire] {
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            let answer = request().without("content-type").header("content-type", content_type).send().await;
            assert_eq!(answer.refusal(), (415, "ContentTypeNotJson".to_owned()), "{content_type}");
        }
        let answer = request().without("content-type").send().await;
        assert_eq!(answer.refusal(), (415, "ContentTypeNotJson".to_owned()));
    }
    nothing_went(&scripted);
}

#[tokio::test]
async fn a_server_is_a_caller_of_the_adapter_and_admin_listener() {
    let hosts = [("LISTEN__HOSTS", "proxy.internal,sidecar")];
    let (world, mut scripted) = World::scripted(&hosts).await;
    let call = body_of("query", "authAdapter:getUser", "{}");
    let port = world.adapter.port();
    for host in
        ["localhost", "LOCALHOST", "127.0.0.1", "[::1]", "127.9.9.9", "proxy.internal", "Sidecar", "proxy.internal."]
    {
        let request = post(world.adapter, "/api/query").header("host", &format!("{host}:{port}")).body(call.clone());
        // Node's fetch sends this one.
        scripted.pass(request.header("sec-fetch-mode", "cors"), NOTHING).await;
        let metrics = get(world.admin, "/metrics").header("host", host).header("sec-fetch-mode", "cors").send().await;
        assert_eq!(metrics.status, 200, "{host}");
    }
    for host in ["internal", "x.proxy.internal", "proxy.internal.evil.example"] {
        let answer = post(world.adapter, "/api/query").header("host", host).body(call.clone()).send().await;
        assert_eq!(answer.refusal(), (403, "HostRefused".to_owned()), "{host}");
    }
    // What a Host is called plays no part on the public listener.
    let public = post(world.public, "/api/query").header("host", "app.example.com");
    scripted.pass(public.body(body_of("query", "demo:f", "{}")), NOTHING).await;
}

#[tokio::test]
async fn with_caller_tokens_each_call_of_the_adapter_listener_carries_one() {
    let tokens = [("ADAPTER__TOKENS", "0123456789abcdef,fedcba9876543210")];
    let (world, mut scripted) = World::scripted(&tokens).await;
    let call = || post(world.adapter, "/api/mutation").body(body_of("mutation", "authAdapter:getUser", "{}"));
    let wire = || post(world.adapter, "/adapter/deleteSession").body(r#"{"sessionToken":"t"}"#);
    let token = || post(world.adapter, "/auth/token").body(r#"{"userId":"u"}"#);
    let document = || get(world.adapter, "/.well-known/jwks.json");
    for request in [&call as &dyn Fn() -> Request, &wire, &token, &document] {
        let answer = request().send().await;
        assert_eq!(answer.refusal(), (401, "CallerUnauthorized".to_owned()));
        assert_eq!(answer.all("www-authenticate"), ["Bearer"]);
        for wrong in ["Bearer 0123456789abcdeF", "Bearer 0123456789abcde", "Bearer 0123456789abcdef,fedcba9876543210"] {
            let answer = request().header("authorization", wrong).send().await;
            assert_eq!(answer.refusal(), (401, "CallerUnauthorized".to_owned()), "{wrong}");
        }
    }
    nothing_went(&scripted);
    for right in ["Bearer 0123456789abcdef", "bearer fedcba9876543210"] {
        let (seen, _) = scripted.pass(call().header("authorization", right), NOTHING).await;
        assert!(seen.all("authorization").is_empty(), "it is spent here");
        let (seen, answer) = scripted.pass(wire().header("authorization", right), NOTHING).await;
        assert!(seen.all("authorization").is_empty());
        assert_eq!(answer.ok(), json!(null));
        assert_eq!(token().header("authorization", right).send().await.status, 200);
    }
    // They are no key to the public listener, where one is a foreign token.
    let request = post(world.public, "/api/query").header("authorization", "Bearer 0123456789abcdef");
    let answer = request.body(body_of("query", "authAdapter:getUser", "{}")).send().await;
    assert_eq!(answer.refusal(), (403, "AdapterForbidden".to_owned()));
}

#[tokio::test]
async fn with_deny_the_right_secret_does_not_open_the_public_listener() {
    let (world, mut scripted) = World::scripted(&[("ADAPTER__ON_PUBLIC", "deny")]).await;
    let args = format!(r#"{{"id":"u","secret":"{SECRET}"}}"#);
    for lane in LANES {
        for path in SPELLINGS.into_iter().chain(["authAdapter", "authAdapter:addedLater"]) {
            let answer = post(world.public, &target(lane)).body(body_of(lane, path, &args)).send().await;
            assert_eq!(answer.refusal(), (403, "AdapterForbidden".to_owned()), "{lane} {path}");
        }
    }
    nothing_went(&scripted);
    scripted.pass(post(world.adapter, "/api/query").body(body_of("query", SPELLINGS[0], &args)), NOTHING).await;
    scripted.pass(post(world.public, "/api/query").body(body_of("query", "demo:f", &args)), NOTHING).await;
}
