//! From a cookie to an identity: what is attached, what `/auth/token` gives, what becomes of a caller's own token.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use convex_auth_proxy::{clock::Now, secret::Secret};
use serde_json::{Value, json};

use crate::common::{Answer, NOTHING, ORIGIN, Request, Scripted, Seen, World, get, post};

const WHOAMI: &str = r#"{"path":"demo:whoami","args":{}}"#;
/// 2100-01-01.
const FAR: i64 = 4_102_444_800_000;

/// What the deployment answers for a session of the user `u1`.
fn row(expires_millis: i64) -> String {
    format!(
        r#"{{"status":"success","value":{{"session":{{"_id":"s1","userId":"u1","expires":{expires_millis}.0,"sessionToken":"t"}},"user":{{"_id":"u1","email":"ada@example.com","name":"Ada \"L\"","image":"http://x/a.png"}}}}}}"#
    )
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn claims(token: &str) -> Value {
    part(token, 1)
}

fn seconds_now() -> i64 {
    Now::read().wall.seconds()
}

fn bearer_of(seen: &Seen) -> String {
    let [authorization] = seen.all("authorization")[..] else { panic!("one Authorization: {seen:?}") };
    authorization.strip_prefix("Bearer ").unwrap().to_owned()
}

fn token_of(answer: &Answer) -> String {
    answer.ok()["token"].as_str().unwrap().to_owned()
}

fn whoami(world: &World) -> Request {
    post(world.public, "/api/query").body(WHOAMI)
}

/// The subject that the deployment sees; null for nobody.
async fn subject(request: Request) -> Value {
    let answer = request.send().await.ok();
    assert_eq!(answer["status"], json!("success"), "{answer}");
    answer["value"]["subject"].clone()
}

/// Sends a request with a cookie: the session read is answered with `row`, the call itself with nothing.
async fn pass_with_session(scripted: &mut Scripted, request: Request, row: &str) -> (Seen, Seen, Answer) {
    let sending = tokio::spawn(request.send());
    let read = scripted.next().await;
    let read_seen = read.seen();
    read.answer(row).await;
    let call = scripted.next().await;
    let call_seen = call.seen();
    call.answer(NOTHING).await;
    (read_seen, call_seen, sending.await.unwrap())
}

#[tokio::test]
async fn l9_a_cookie_becomes_a_token_and_goes_no_further() {
    for lane in ["query", "mutation", "action", "query_batch", "query_at_ts"] {
        let (world, mut scripted) = World::scripted(&[]).await;
        let body = match lane {
            "query_batch" => format!(r#"{{"queries":[{WHOAMI}]}}"#),
            "query_at_ts" => r#"{"path":"demo:whoami","ts":"AAAAAAAAAAA=","args":{}}"#.to_owned(),
            _ => WHOAMI.to_owned(),
        };
        let request = post(world.public, &format!("/api/{lane}")).cookie("canary-token").body(body);
        let (read, call, answer) = pass_with_session(&mut scripted, request, &row(FAR)).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, NOTHING));
        assert_eq!(
            (read.target.as_str(), read.json()["path"].clone()),
            ("/api/query", json!("authAdapter:getSessionAndUser"))
        );
        assert_eq!(read.json()["args"][0]["sessionToken"], json!("canary-token"));
        assert!(read.all("authorization").is_empty() && read.all("cookie").is_empty());
        assert_eq!(call.target, format!("/api/{lane}"));
        assert_eq!(claims(&bearer_of(&call))["sub"], json!("u1"));
        assert!(!format!("{call:?}").contains("canary-token"), "{call:?}");
        assert!(call.all("cookie").is_empty());
        assert!(answer.all("authorization").is_empty() && answer.all("set-cookie").is_empty());
    }
}

#[tokio::test]
async fn an_adapter_call_has_no_identity_and_costs_no_session_read() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let secret = crate::common::SECRET;
    let body = format!(r#"{{"path":"authAdapter:getUser","args":{{"id":"u","secret":"{secret}"}}}}"#);
    let (seen, _) = scripted.pass(post(world.public, "/api/query").cookie("t").body(body), NOTHING).await;
    assert_eq!(seen.json()["path"], json!("authAdapter:getUser"));
    assert!(seen.all("authorization").is_empty());
    let (seen, _) = scripted.pass(post(world.public, "/api/query_ts").cookie("t"), r#"{"ts":"AAAAAAAAAAA="}"#).await;
    assert_eq!((seen.target.as_str(), seen.all("authorization").len()), ("/api/query_ts", 0));
    // On the adapter listener a cookie says nothing.
    let (seen, _) = scripted.pass(post(world.adapter, "/api/query").cookie("t").body(WHOAMI), NOTHING).await;
    assert!(seen.all("authorization").is_empty() && seen.all("cookie").is_empty());
}

#[tokio::test]
async fn a_callers_own_token_wins_over_its_cookie() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let request = whoami(&world).cookie("t").header("authorization", "Bearer a.foreign.one");
    let (seen, _) = scripted.pass(request, NOTHING).await;
    assert_eq!((seen.target.as_str(), seen.all("authorization")), ("/api/query", vec!["Bearer a.foreign.one"]));
    assert_eq!(seen.json()["path"], json!("demo:whoami"), "no session was read");
    assert!(seen.all("cookie").is_empty());
}

#[tokio::test]
async fn the_session_cookie_is_found_under_every_name_and_in_chunks() {
    let world = World::new().await;
    let (ada, ada_token) = world.sign_in("ada@example.com").await;
    let (bob, bob_token) = world.sign_in("bob@example.com").await;
    let with = |cookies: &str| subject(whoami(&world).header("cookie", cookies));
    for name in [
        "__Secure-authjs.session-token",
        "authjs.session-token",
        "__Secure-next-auth.session-token",
        "next-auth.session-token",
    ] {
        assert_eq!(with(&format!("a=b; {name}={ada_token}; theme=dark")).await, json!(ada), "{name}");
        assert_eq!(
            with(&format!("{name}={ada_token}; {name}={bob_token}")).await,
            json!(ada),
            "the first of two: {name}"
        );
        assert_eq!(with(&format!("{name}=; {name}={bob_token}")).await, json!(null), "an empty first one: {name}");
        let (left, right) = ada_token.split_at(5);
        assert_eq!(with(&format!("{name}.1={right}; x=y; {name}.0={left}")).await, json!(ada), "chunks: {name}");
        assert_eq!(with(&format!("{name}={ada_token}; {name}-old=x")).await, json!(null), "as Auth.js joins: {name}");
    }
    // Of several names the first in the list counts, wherever it stands.
    let names = format!(
        "next-auth.session-token={bob_token}; authjs.session-token={bob_token}; __Secure-authjs.session-token={ada_token}"
    );
    assert_eq!(with(&names).await, json!(ada));
    let two = whoami(&world).header("cookie", "a=b").header("cookie", &format!("authjs.session-token={bob_token}"));
    assert_eq!(subject(two).await, json!(bob));
    let encoded = bob_token.replace('@', "%40");
    assert_eq!(with(&format!("authjs.session-token={encoded}")).await, json!(bob));
    for other in ["AuthJS.session-token", "session-token", "xauthjs.session-token", "__Host-authjs.session-token"] {
        assert_eq!(with(&format!("{other}={ada_token}")).await, json!(null), "{other}");
    }
}

#[tokio::test]
async fn the_names_of_the_session_cookie_are_the_configured_ones() {
    let world = World::with(&[("SESSION__COOKIES", "mine,authjs.session-token")]).await;
    let (ada, ada_token) = world.sign_in("ada@example.com").await;
    let (bob, bob_token) = world.sign_in("bob@example.com").await;
    let with = |cookies: String| subject(whoami(&world).header("cookie", &cookies));
    assert_eq!(with(format!("authjs.session-token={ada_token}; mine={bob_token}")).await, json!(bob));
    assert_eq!(with(format!("authjs.session-token={ada_token}")).await, json!(ada));
    assert_eq!(with(format!("next-auth.session-token={ada_token}")).await, json!(null));
}

#[tokio::test]
async fn l8_a_cookie_from_a_page_that_is_not_listed_is_nobodys() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for headers in [
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
        vec![("origin", "")],
        vec![("origin", "http://localhost:3000/")],
        vec![("origin", "http://localhost:3001")],
        vec![("origin", "https://localhost:3000")],
        vec![("origin", ORIGIN), ("origin", "https://evil.example")],
        vec![("sec-fetch-site", "cross-site")],
        vec![("sec-fetch-site", "same-origin")],
    ] {
        let page =
            |request: Request| headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let (seen, answer) = scripted.pass(page(whoami(&world).cookie("t")), NOTHING).await;
        assert_eq!(seen.json()["path"], json!("demo:whoami"), "no session was read: {headers:?}");
        assert!(seen.all("authorization").is_empty() && seen.all("cookie").is_empty());
        assert_eq!(answer.status, 200);
        let refused = page(post(world.public, "/auth/token").cookie("t")).send().await;
        assert_eq!(refused.refusal(), (403, "OriginForbidden".to_owned()), "{headers:?}");
        assert!(!scripted.has_next());
    }
    let listed = whoami(&world).cookie("t").header("origin", ORIGIN).header("sec-fetch-site", "same-site");
    let (_, call, _) = pass_with_session(&mut scripted, listed, &row(FAR)).await;
    assert_eq!(call.all("authorization").len(), 1);
}

#[tokio::test]
async fn the_public_listener_gives_a_token_for_the_session_cookie() {
    let world = World::new().await;
    let (user_id, token) = world.sign_in("ada@example.com").await;
    let before = seconds_now();
    for request in [
        post(world.public, "/auth/token").cookie(&token),
        post(world.public, "/auth/token").cookie(&token).header("origin", ORIGIN).body("{}"),
        post(world.public, "/auth/token").without("content-type").cookie(&token).body(" "),
        post(world.public, "/auth/token").cookie(&token).body(r#"{"forceRefresh":false,"more":[1]}"#),
    ] {
        let answer = request.send().await;
        let body = answer.ok();
        let claims = claims(body["token"].as_str().unwrap());
        assert_eq!(claims["sub"], json!(user_id));
        assert_eq!(body["expiresAt"].as_i64().unwrap(), claims["exp"].as_i64().unwrap() * 1_000);
        assert!(claims["iat"].as_i64().unwrap() >= before && claims["iat"].as_i64().unwrap() <= seconds_now());
        assert_eq!(body.as_object().unwrap().len(), 2);
        assert_eq!(
            (answer.all("cache-control"), answer.all("content-type")),
            (vec!["no-store"], vec!["application/json"])
        );
    }
}

#[tokio::test]
async fn the_public_listener_gives_no_token_without_a_live_session_cookie() {
    let world = World::new().await;
    let (user_id, token) = world.sign_in("ada@example.com").await;
    let past =
        json!({ "session": { "sessionToken": "past", "userId": user_id, "expires": "2020-01-01T00:00:00.000Z" } });
    post(world.adapter, "/adapter/createSession").json(&past).send().await.ok();
    let ask = || post(world.public, "/auth/token");
    for request in [
        ask(),
        ask().header("origin", ORIGIN),
        ask().cookie("unknown"),
        ask().cookie("past"),
        ask().cookie(""),
        ask().json(&json!({ "sessionToken": token })),
        ask().json(&json!({ "userId": user_id })),
        ask().cookie("unknown").json(&json!({ "sessionToken": token, "userId": user_id, "forceRefresh": true })),
    ] {
        let answer = request.send().await;
        assert_eq!(answer.refusal(), (401, "NoSession".to_owned()));
        assert_eq!(answer.all("cache-control"), ["no-store"]);
    }
    let named_too = ask().cookie(&token).json(&json!({ "userId": "somebody-else" })).send().await;
    assert_eq!(claims(&token_of(&named_too))["sub"], json!(user_id), "the cookie alone counts");
    for (body, content_type, refusal) in [
        ("[true]", "application/json", (400, "BadJsonBody")),
        ("{", "application/json", (400, "BadJsonBody")),
        (r#"{"forceRefresh":"yes"}"#, "application/json", (400, "BadJsonBody")),
        (r#"{"forceRefresh":true,"forceRefresh":false}"#, "application/json", (400, "BadJsonBody")),
        (r#"{"forceRefresh":true}"#, "text/plain", (415, "ContentTypeNotJson")),
    ] {
        let request = ask().without("content-type").header("content-type", content_type).cookie(&token).body(body);
        assert_eq!(request.send().await.refusal(), (refusal.0, refusal.1.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn the_adapter_listener_gives_a_token_for_whom_it_is_told() {
    let world = World::new().await;
    let (user_id, token) = world.sign_in("ada@example.com").await;
    let ask = async |body: Value| post(world.adapter, "/auth/token").json(&body).send().await;
    let for_session = ask(json!({ "sessionToken": token })).await;
    assert_eq!(for_session.all("cache-control"), ["no-store"]);
    let for_session = token_of(&for_session);
    assert_eq!(claims(&for_session)["sub"], json!(user_id));
    assert_eq!(token_of(&ask(json!({ "sessionToken": token, "userId": null })).await), for_session);
    let forced = token_of(&ask(json!({ "sessionToken": token, "forceRefresh": true })).await);
    assert_ne!(forced, for_session);
    // Both listeners serve one session with one token.
    assert_eq!(token_of(&post(world.public, "/auth/token").cookie(&token).send().await), forced);

    let reads = world.calls("authAdapter:getSessionAndUser");
    let for_user = ask(json!({ "userId": "anybody" })).await.ok();
    assert_eq!(world.calls("authAdapter:getSessionAndUser"), reads, "a user is not looked up");
    let user_claims = claims(for_user["token"].as_str().unwrap());
    assert_eq!(user_claims["sub"], json!("anybody"));
    assert_eq!(user_claims["exp"].as_i64().unwrap() - user_claims["iat"].as_i64().unwrap(), 3_600);
    assert_eq!(for_user["expiresAt"].as_i64().unwrap(), user_claims["exp"].as_i64().unwrap() * 1_000);
    assert_ne!(
        token_of(&ask(json!({ "userId": "anybody", "forceRefresh": true })).await),
        for_user["token"].as_str().unwrap()
    );

    assert_eq!(ask(json!({ "sessionToken": "unknown" })).await.refusal(), (401, "NoSession".to_owned()));
    for nobody in [
        json!({}),
        json!({ "sessionToken": token, "userId": user_id }),
        json!({ "sessionToken": "" }),
        json!({ "userId": "" }),
        json!({ "sessionToken": null, "userId": null }),
        json!({ "forceRefresh": true }),
        json!({ "sessionToken": 7 }),
        json!([token]),
    ] {
        assert_eq!(ask(nobody.clone()).await.refusal(), (400, "BadJsonBody".to_owned()), "{nobody}");
    }
    let cookie = post(world.adapter, "/auth/token").cookie(&token).send().await;
    assert_eq!(cookie.refusal(), (400, "BadJsonBody".to_owned()), "a cookie says nothing here");
}

#[tokio::test]
async fn a_forced_token_was_never_given_before_and_serves_from_then_on() {
    let world = World::new().await;
    let (user_id, token) = world.sign_in("ada@example.com").await;
    let ask = async |body: &str| token_of(&post(world.public, "/auth/token").cookie(&token).body(body).send().await);
    let mut given = vec![ask("").await];
    for _ in 0..5 {
        let forced = ask(r#"{"forceRefresh":true}"#).await;
        assert!(!given.contains(&forced));
        assert_eq!(ask("").await, forced);
        given.push(forced);
    }
    for token in given {
        // Those from before are good still.
        assert_eq!(subject(whoami(&world).header("authorization", &format!("Bearer {token}"))).await, json!(user_id));
    }
}

#[tokio::test]
async fn one_signature_serves_a_session_over_calls() {
    let world = World::new().await;
    let (_, token) = world.sign_in("ada@example.com").await;
    for _ in 0..4 {
        whoami(&world).cookie(&token).send().await.ok();
    }
    let given = token_of(&post(world.public, "/auth/token").cookie(&token).send().await);
    let attached: Vec<_> =
        world.received().iter().filter(|seen| seen.body.contains("demo:whoami")).map(bearer_of).collect();
    assert_eq!(attached, vec![given; 4]);
    assert_eq!(world.metric(r#"convex_auth_proxy_tokens_total{outcome="signed"}"#).await as u64, 1);
    assert_eq!(world.metric(r#"convex_auth_proxy_tokens_total{outcome="reused"}"#).await as u64, 4);
}

#[tokio::test]
async fn l7_a_token_never_outlives_its_session() {
    let world = World::with(&[("CACHE__TTL", "0s")]).await;
    let (user_id, _) = world.sign_in("ada@example.com").await;
    for (life_seconds, expected) in [(100, 100), (3_599, 3_599), (3_700, 3_600), (100_000, 3_600)] {
        let expires = Now::read().wall.0 + life_seconds * 1_000;
        let token = format!("lives-{life_seconds}");
        let session = json!({ "session": { "sessionToken": token, "userId": user_id, "expires": expires } });
        world.call(world.adapter, "mutation", "authAdapter:createSession", session).await.ok();
        let given = post(world.public, "/auth/token").cookie(&token).send().await.ok();
        let claims = claims(given["token"].as_str().unwrap());
        let (issued, ends) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
        assert!(ends * 1_000 <= expires, "{life_seconds}");
        // One second may have begun since.
        assert!((expected - 1..=expected).contains(&(ends - issued)), "{life_seconds}: {}", ends - issued);
        assert!(given["expiresAt"].as_i64().unwrap() <= expires);
    }
    // A session that was shortened takes the token along.
    let given = post(world.public, "/auth/token").cookie("lives-100000").send().await.ok();
    let expires = Now::read().wall.0 + 50_000;
    let session = json!({ "session": { "sessionToken": "lives-100000", "expires": expires } });
    world.call(world.adapter, "mutation", "authAdapter:updateSession", session).await.ok();
    let shortened = post(world.public, "/auth/token").cookie("lives-100000").send().await.ok();
    assert_ne!(shortened["token"], given["token"]);
    assert!(shortened["expiresAt"].as_i64().unwrap() <= expires);
}

#[tokio::test]
async fn rule_26_a_token_says_what_convex_wants_to_hear() {
    for (algorithm, name) in [("EdDSA", "EdDSA"), ("ES256", "ES256")] {
        let settings = [("TOKEN__ALGORITHM", algorithm), ("TOKEN__LIFETIME", "10m"), ("TOKEN__AUDIENCE", "my-app")];
        let world = World::with(&settings).await;
        let (user_id, token) = world.sign_in("ada@example.com").await;
        let given = token_of(&post(world.public, "/auth/token").cookie(&token).send().await);
        let header = part(&given, 0);
        let jwks = get(world.public, "/.well-known/jwks.json").send().await.ok();
        assert_eq!(header, json!({ "alg": name, "kid": jwks["keys"][0]["kid"], "typ": "JWT" }));
        assert!(header["kid"].is_string());
        let claims = claims(&given);
        let mut names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["aud", "exp", "iat", "iss", "jti", "sub"]);
        assert_eq!(claims["iss"], json!(format!("http://{}", world.public)));
        assert_eq!((claims["aud"].clone(), claims["sub"].clone()), (json!("my-app"), json!(user_id)));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
        assert!(!given.contains(&token) && !claims["jti"].as_str().unwrap().contains(&token), "the jti is sealed");
        assert_eq!(subject(whoami(&world).cookie(&token)).await, json!(user_id), "and the deployment takes it");
    }
}

#[tokio::test]
async fn the_profile_is_in_a_token_when_it_is_asked_for() {
    let (world, mut scripted) = World::scripted(&[("TOKEN__CLAIMS", "email,name,picture")]).await;
    let (_, call, _) = pass_with_session(&mut scripted, whoami(&world).cookie("t"), &row(FAR)).await;
    let all = claims(&bearer_of(&call));
    assert_eq!(all["email"], json!("ada@example.com"));
    assert_eq!((all["name"].clone(), all["picture"].clone()), (json!("Ada \"L\""), json!("http://x/a.png")));

    let (world, mut scripted) = World::scripted(&[("TOKEN__CLAIMS", "name")]).await;
    let (_, call, _) = pass_with_session(&mut scripted, whoami(&world).cookie("t"), &row(FAR)).await;
    let some = claims(&bearer_of(&call));
    assert_eq!((some["name"].clone(), some.get("email"), some.get("picture")), (json!("Ada \"L\""), None, None));

    // A new name gives a new token.
    let world = World::with(&[("TOKEN__CLAIMS", "name")]).await;
    let (user_id, token) = world.sign_in("ada@example.com").await;
    let named =
        async || claims(&token_of(&post(world.public, "/auth/token").cookie(&token).send().await))["name"].clone();
    assert_eq!(named().await, json!("Ada"));
    let user = json!({ "user": { "id": user_id, "name": "Countess" } });
    post(world.adapter, "/adapter/updateUser").json(&user).send().await.ok();
    assert_eq!(named().await, json!("Countess"));
}

/// A token of nobody here, and the tokens that a proxy minted and that somebody changed.
fn foreign(issuer: &str) -> String {
    let claims = json!({ "iss": issuer, "sub": "x", "aud": "convex", "iat": 1, "exp": 4_000_000_000_u32 });
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn with_claim(token: &str, name: &str, value: Value) -> String {
    let mut changed = claims(token);
    changed[name] = value;
    let parts: Vec<&str> = token.split('.').collect();
    format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(changed.to_string()), parts[2])
}

#[tokio::test]
async fn l7_with_check_a_token_minted_here_is_worth_what_its_session_is() {
    let world = World::new().await;
    let (user_id, token) = world.sign_in("ada@example.com").await;
    let own = token_of(&post(world.public, "/auth/token").cookie(&token).send().await);
    let (_, ended_token) = world.sign_in("gone@example.com").await;
    let ended = token_of(&post(world.public, "/auth/token").cookie(&ended_token).send().await);
    let gone = json!({ "sessionToken": ended_token });
    post(world.adapter, "/adapter/deleteSession").json(&gone).send().await.ok();
    let for_user = post(world.adapter, "/auth/token").json(&json!({ "userId": user_id })).send().await;
    let for_user = token_of(&for_user);

    for to in [world.public, world.adapter] {
        let with =
            |token: &str| post(to, "/api/query").header("authorization", &format!("Bearer {token}")).body(WHOAMI);
        assert_eq!(subject(with(&own)).await, json!(user_id));
        assert_eq!(subject(with(&for_user)).await, json!(user_id), "it has no session to end");
        let reached = world.received().len();
        let refused = with(&ended).send().await;
        assert_eq!(refused.refusal(), (401, "SessionEnded".to_owned()));
        assert_eq!(refused.all("www-authenticate"), ["Bearer"]);
        let sealed = claims(&own)["jti"].as_str().unwrap().to_owned();
        let (head, tail) = sealed.split_at(sealed.len() - 6);
        let turned: String = tail.chars().rev().collect();
        for jti in [format!("{head}{turned}x"), head.to_owned(), format!("{sealed}AAAA")] {
            let answer = with(&with_claim(&own, "jti", json!(jti))).send().await;
            assert_eq!(answer.refusal(), (401, "SessionEnded".to_owned()), "{jti}");
        }
        let reads_only = world.received().split_off(reached);
        assert!(reads_only.iter().all(|seen| !seen.body.contains("demo:whoami")), "none of them went upstream");
        // Changed claims and an open seal: the deployment sees that it was changed.
        for forged in [with_claim(&own, "sub", json!("root")), with_claim(&own, "exp", json!(9_999_999_999_u64))] {
            let answer = with(&forged).send().await;
            assert_eq!(answer.refusal(), (401, "Unauthenticated".to_owned()));
        }
        let answer = with(&foreign("https://accounts.example.com")).send().await;
        assert_eq!(answer.refusal(), (401, "NoAuthProvider".to_owned()), "it is the deployment's to judge");
    }
    // On every lane of calls, and where no function is called.
    for target in ["/api/mutation", "/api/action", "/api/query_ts"] {
        let request = post(world.public, target).header("authorization", &format!("Bearer {ended}")).body(WHOAMI);
        assert_eq!(request.send().await.refusal(), (401, "SessionEnded".to_owned()), "{target}");
    }
}

#[tokio::test]
async fn with_pass_every_token_goes_untouched_and_with_refuse_none_that_was_minted_elsewhere() {
    let (world, mut scripted) = World::scripted(&[("TOKEN__CLIENT_TOKENS", "pass")]).await;
    let own = post(world.adapter, "/auth/token").body(r#"{"sessionToken":"t"}"#);
    let (_, own) = scripted.pass(own, &row(FAR)).await;
    let own = token_of(&own);
    for token in
        [own.clone(), with_claim(&own, "jti", json!("cap1.AAAA")), foreign("https://x.example"), "junk".to_owned()]
    {
        let request = whoami(&world).header("authorization", &format!("Bearer {token}"));
        let (seen, _) = scripted.pass(request, NOTHING).await;
        assert_eq!(
            (seen.json()["path"].clone(), bearer_of(&seen)),
            (json!("demo:whoami"), token),
            "no session was read"
        );
    }

    let (world, mut scripted) = World::scripted(&[("TOKEN__CLIENT_TOKENS", "refuse"), ("CACHE__TTL", "0s")]).await;
    let own = post(world.adapter, "/auth/token").body(r#"{"sessionToken":"t"}"#);
    let (_, own) = scripted.pass(own, &row(FAR)).await;
    let own = token_of(&own);
    let with = |token: &str| whoami(&world).header("authorization", &format!("Bearer {token}"));
    let elsewhere = format!("http://{}", world.public);
    for token in
        [foreign("https://x.example"), foreign(&elsewhere), "junk".to_owned(), with_claim(&own, "iss", json!("x"))]
    {
        assert_eq!(with(&token).send().await.refusal(), (401, "TokenForeign".to_owned()));
    }
    assert_eq!(
        with(&with_claim(&own, "jti", json!("cap1.AAAA"))).send().await.refusal(),
        (401, "SessionEnded".to_owned())
    );
    assert!(!scripted.has_next());
    let (_, call, _) = pass_with_session(&mut scripted, with(&own), &row(FAR)).await;
    assert_eq!(bearer_of(&call), own);
    let (_, ended) = scripted.pass(with(&own), NOTHING).await;
    assert_eq!(ended.refusal(), (401, "SessionEnded".to_owned()));
    assert!(!scripted.has_next());
}

#[tokio::test]
async fn a_token_of_another_replica_is_honoured_and_cut_when_its_session_ends() {
    let key = convex_auth_proxy::keys::SigningKey::generate(convex_auth_proxy::keys::Algorithm::EdDsa).unwrap();
    let pem: Secret = key.to_pkcs8_pem();
    let (first, second) = World::replicas(&[("TOKEN__PRIVATE_KEY", pem.expose()), ("CACHE__TTL", "0s")]).await;
    assert_eq!(first.config().token.issuer, second.config().token.issuer);
    let (user_id, token) = first.sign_in("ada@example.com").await;
    let minted = token_of(&post(second.public, "/auth/token").cookie(&token).send().await);
    let bearer = format!("Bearer {minted}");
    for world in [&first, &second] {
        assert_eq!(subject(whoami(world).header("authorization", &bearer)).await, json!(user_id));
    }
    let gone = json!({ "sessionToken": token });
    post(second.adapter, "/adapter/deleteSession").json(&gone).send().await.ok();
    for world in [&first, &second] {
        let refused = whoami(world).header("authorization", &bearer).send().await;
        assert_eq!(refused.refusal(), (401, "SessionEnded".to_owned()));
        assert_eq!(subject(whoami(world).cookie(&token)).await, json!(null));
    }
}

#[tokio::test]
async fn the_key_documents_are_on_both_listeners() {
    let world = World::new().await;
    let issuer = format!("http://{}", world.public);
    for to in [world.public, world.adapter] {
        let discovery = get(to, "/.well-known/openid-configuration").send().await;
        let document = discovery.ok();
        assert_eq!(
            (&document["issuer"], &document["jwks_uri"]),
            (&json!(issuer), &json!(format!("{issuer}/.well-known/jwks.json")))
        );
        assert_eq!(document["id_token_signing_alg_values_supported"], json!(["EdDSA"]));
        for required in ["authorization_endpoint", "response_types_supported", "subject_types_supported"] {
            assert!(document.get(required).is_some(), "{required}");
        }
        let jwks = get(to, "/.well-known/jwks.json").send().await;
        let keys = jwks.ok()["keys"].clone();
        assert_eq!(keys.as_array().unwrap().len(), 1);
        assert_eq!((&keys[0]["crv"], &keys[0]["use"], keys[0].get("d")), (&json!("Ed25519"), &json!("sig"), None));
        for (target, answer) in [("/.well-known/openid-configuration", discovery), ("/.well-known/jwks.json", jwks)] {
            assert_eq!(answer.all("content-type"), ["application/json"]);
            let [etag] = answer.all("etag")[..] else { panic!("one ETag") };
            let [cache_control] = answer.all("cache-control")[..] else { panic!("one Cache-Control") };
            assert!(cache_control.contains("max-age="));
            for known in [etag.to_owned(), format!("W/{etag}"), "*".to_owned(), format!("\"x\", {etag}")] {
                let unchanged = get(to, target).header("if-none-match", &known).send().await;
                assert_eq!((unchanged.status, unchanged.body.len()), (304, 0), "{known}");
                assert_eq!((unchanged.all("etag"), unchanged.all("cache-control")), (vec![etag], vec![cache_control]));
            }
            assert_eq!(get(to, target).header("if-none-match", "\"x\"").send().await.status, 200);
            let head = Request::new(to, "HEAD", target).send().await;
            assert_eq!((head.status, head.body.len(), head.all("etag")), (200, 0, vec![etag]));
            assert_eq!(head.header("content-length").unwrap(), answer.body.len().to_string());
        }
    }
}

#[tokio::test]
async fn who_may_be_signed_in_is_never_served_as_nobody() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for (status, body, refusal) in [
        ("200 OK", r#"{"status":"error","errorMessage":"[Request ID: 1] Server Error"}"#, (502, "UpstreamRefused")),
        ("503 Service Unavailable", r#"{"code":"Overloaded","message":"m"}"#, (502, "UpstreamRefused")),
        ("200 OK", r#"{"status":"success"}"#, (502, "UpstreamUnreadable")),
        ("200 OK", r#"{"status":"success","value":{"session":null,"user":null}}"#, (502, "UpstreamUnreadable")),
        ("200 OK", "", (502, "UpstreamUnreadable")),
    ] {
        for request in [whoami(&world).cookie("t"), post(world.public, "/auth/token").cookie("t")] {
            let sending = tokio::spawn(request.send());
            scripted.next().await.answer_with(status, "application/json", body).await;
            let answer = sending.await.unwrap();
            assert_eq!(answer.refusal(), (refusal.0, refusal.1.to_owned()), "{status} {body}");
        }
        assert!(!scripted.has_next(), "the call itself was not sent");
    }
}
