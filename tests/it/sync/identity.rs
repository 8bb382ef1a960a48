use serde_json::json;

use crate::common::{
    World, post,
    socket::{Heard, add, authenticate, modify, mutation, socket},
};

async fn token_by_cookie(world: &World, cookie: &str) -> String {
    let minted = post(world.public, "/auth/token").cookie(cookie).json(&json!({ "forceRefresh": true }));
    minted.send().await.ok()["token"].as_str().unwrap().to_owned()
}

/// The types of the messages that reached the deployment by each socket, the newest socket's.
fn last_said(world: &World) -> Vec<String> {
    let seen = world.deployment.as_ref().unwrap().sync_messages();
    let newest = seen.iter().map(|seen| seen.socket).max().unwrap();
    let of_newest = seen.into_iter().filter(|seen| seen.socket == newest);
    let kind =
        |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["type"].as_str().unwrap().to_owned();
    of_newest.map(|seen| kind(&seen.text)).collect()
}

#[tokio::test]
async fn rule_14_a_cookie_alone_says_who_the_client_is() {
    let world = World::new().await;
    let (user_id, token) = world.sign_in("ada@example.com").await;
    let mut client = socket(world.public).cookie(&token).connect().await;
    client.say(&modify(0, &[add(0, "demo:whoami", &json!({}))])).await;
    let transition = client.next_of("Transition").await;
    assert_eq!(transition["startVersion"]["identity"], json!(0));
    assert_eq!(transition["endVersion"]["identity"], json!(0), "the client has said nothing of itself");
    assert_eq!(transition["modifications"][0]["value"]["subject"], json!(user_id));
    assert_eq!(last_said(&world), ["Connect", "Authenticate", "ModifyQuerySet"], "before its first query set");
    client.say(&mutation(0, "demo:send", &json!({ "body": "x" }))).await;
    assert_eq!(client.next_of("MutationResponse").await["success"], json!(true));
    client.say(&authenticate(0, None)).await;
    let transition = client.next_of("Transition").await;
    let transition =
        if transition["endVersion"]["identity"] == json!(0) { client.next_of("Transition").await } else { transition };
    assert_eq!(transition["endVersion"]["identity"], json!(1), "its own is counted");
    assert_eq!(transition["modifications"][0]["value"], json!(null), "what it says wins");
}

#[tokio::test]
async fn rule_16_a_client_that_speaks_for_itself_works_as_without_the_proxy() {
    let world = World::new().await;
    let (ada, ada_cookie) = world.sign_in("ada@example.com").await;
    let (bob, bob_cookie) = world.sign_in("bob@example.com").await;
    let (ada_token, bob_token) =
        (token_by_cookie(&world, &ada_cookie).await, token_by_cookie(&world, &bob_cookie).await);
    for opening in [socket(world.public), socket(world.public).cookie(&ada_cookie)] {
        let mut client = opening.connect().await;
        client.say(&authenticate(0, Some(&bob_token))).await;
        client.say(&modify(0, &[add(0, "demo:whoami", &json!({}))])).await;
        let mut transition = client.next_of("Transition").await;
        if transition["modifications"] == json!([]) {
            // The identity alone, told before the query was there.
            transition = client.next_of("Transition").await;
        }
        assert_eq!(transition["endVersion"]["identity"], json!(1));
        assert_eq!(transition["modifications"][0]["value"]["subject"], json!(bob));
        assert_eq!(last_said(&world), ["Connect", "Authenticate", "ModifyQuerySet"], "the cookie was not spoken of");
        client.say(&authenticate(1, Some(&ada_token))).await;
        let transition = client.next_of("Transition").await;
        assert_eq!(transition["endVersion"]["identity"], json!(2));
        assert_eq!(transition["modifications"][0]["value"]["subject"], json!(ada));
    }
}

#[tokio::test]
async fn l8_a_cookie_from_a_page_that_is_not_listed_opens_nothing() {
    let world = World::new().await;
    let (_, token) = world.sign_in("ada@example.com").await;
    let cookie = format!("authjs.session-token={token}");
    for origin in ["https://evil.example", "null", "http://localhost:3001", "http://LOCALHOST:3000"] {
        let opening = socket(world.public).header("cookie", &cookie).header("origin", origin);
        assert_eq!(opening.try_open().await.err(), Some(403), "{origin}");
        assert!(socket(world.public).header("origin", origin).try_open().await.is_ok(), "without a cookie: {origin}");
    }
    let no_origin = socket(world.public).header("cookie", &cookie).header("sec-fetch-site", "same-origin");
    assert_eq!(no_origin.try_open().await.err(), Some(403));
    let sealed = "authjs.session-token=eyJhbGciOiJkaXIifQ..a.b.c";
    let opening = socket(world.public).header("cookie", sealed).header("origin", "https://evil.example");
    assert_eq!(opening.try_open().await.err(), Some(403), "whatever the cookie holds");
    assert_eq!(world.calls("authAdapter:getSessionAndUser"), 0, "before anything is looked up");
    let server = socket(world.public).header("cookie", &cookie);
    assert!(server.try_open().await.is_ok(), "a server forwards its user's cookie");
}

#[tokio::test]
async fn a_cookie_without_a_session_is_nobody_and_one_that_cannot_be_read_opens_nothing() {
    let world = World::new().await;
    let mut client = socket(world.public).cookie("unknown").connect().await;
    client.say(&modify(0, &[add(0, "demo:whoami", &json!({}))])).await;
    assert_eq!(client.next_result(0).await, json!(null));
    assert_eq!(last_said(&world), ["Connect", "ModifyQuerySet"]);
    let silent = World::without_deployment(&[]).await;
    assert_eq!(socket(silent.public).cookie("unknown").try_open().await.err(), Some(502), "never as nobody");
}

#[tokio::test]
async fn rule_11_an_admin_key_is_refused_and_goes_nowhere() {
    let world = World::new().await;
    let mut client = socket(world.public).connect().await;
    client.say(&json!({ "type": "Authenticate", "baseVersion": 0, "tokenType": "Admin", "value": "canary-key" })).await;
    let error = client.next_of("AuthError").await;
    assert_eq!((&error["authUpdateAttempted"], &error["baseVersion"]), (&json!(true), &json!(0)));
    assert_eq!(client.end().await, Heard::Closed(None), "as the deployment closes after an AuthError");
    let seen = world.deployment.as_ref().unwrap().sync_messages();
    assert!(seen.iter().all(|seen| !seen.text.contains("canary-key")));
    assert_eq!(socket(world.public).header("authorization", "Convex key").try_open().await.err(), Some(403));
    assert_eq!(socket(world.public).target("/api/sync?admin%4bey=x").try_open().await.err(), Some(403));
}

#[tokio::test]
async fn client_tokens_are_checked_passed_or_refused_as_on_http() {
    for (policy, own_is_taken, foreign_is_sent) in
        [("check", false, true), ("pass", true, true), ("refuse", false, false)]
    {
        let world = World::with(&[("TOKEN__CLIENT_TOKENS", policy)]).await;
        let (_, cookie) = world.sign_in("ada@example.com").await;
        let token = token_by_cookie(&world, &cookie).await;
        let gone = json!({ "sessionToken": cookie });
        post(world.adapter, "/adapter/deleteSession").json(&gone).send().await.ok();

        let mut client = socket(world.public).connect().await;
        client.say(&authenticate(0, Some(&token))).await;
        client.say(&modify(0, &[add(0, "demo:whoami", &json!({}))])).await;
        let is_taken = client.next().await["type"] == "Transition";
        assert_eq!(is_taken, own_is_taken, "{policy}: a token of a session that has ended");

        let foreign = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoiY29udmV4In0.AAAA";
        let mut client = socket(world.public).connect().await;
        client.say(&authenticate(0, Some(foreign))).await;
        let error = client.next_of("AuthError").await;
        assert_eq!(error["authUpdateAttempted"], json!(true), "{policy}");
        assert_eq!(client.end().await, Heard::Closed(None), "{policy}");
        let seen = world.deployment.as_ref().unwrap().sync_messages();
        assert_eq!(seen.iter().any(|seen| seen.text.contains(foreign)), foreign_is_sent, "{policy}");
    }
}

#[tokio::test]
async fn rule_25_a_deployment_that_does_not_take_the_proxys_token_leaves_the_client_nobody_on_the_same_socket() {
    let world = World::without_provider().await;
    let (_, token) = world.sign_in("ada@example.com").await;
    let mut client = socket(world.public).cookie(&token).connect().await;
    client.say(&modify(0, &[add(0, "demo:whoami", &json!({}))])).await;
    client.say(&mutation(0, "demo:send", &json!({ "body": "once" }))).await;
    client.say(&modify(1, &[add(1, "demo:list", &json!({}))])).await;
    let results = client.next_results(&[0, 1]).await;
    assert_eq!(results[0], json!(null));
    assert_eq!(results[1][0]["author"], json!("anonymous"));
    assert_eq!(world.calls("demo:send"), 1);
    assert_eq!(last_said(&world), ["Connect", "ModifyQuerySet", "Mutation", "ModifyQuerySet"]);
    assert_eq!(world.metric(r#"convex_auth_proxy_sync_identities_total{event="refused"}"#).await, 1.0);
    client.say(&modify(2, &[])).await;
    assert_eq!(client.next_of("Transition").await["endVersion"]["querySet"], json!(3));
}

#[tokio::test]
async fn an_identity_that_has_ended_upstream_is_told_to_the_client_only_if_it_is_its_own() {
    let world = World::new().await;
    let (_, cookie) = world.sign_in("ada@example.com").await;
    let deployment = world.deployment.clone().unwrap();
    let token = token_by_cookie(&world, &cookie).await;
    let mut own = socket(world.public).connect().await;
    own.say(&authenticate(0, Some(&token))).await;
    own.say(&modify(0, &[add(0, "demo:whoami", &json!({}))])).await;
    own.next_of("Transition").await;
    let mut by_cookie = socket(world.public).cookie(&cookie).connect().await;
    by_cookie.say(&modify(0, &[add(0, "demo:whoami", &json!({}))])).await;
    by_cookie.next_of("Transition").await;
    deployment.expire_sync_tokens();
    own.say(&mutation(0, "demo:send", &json!({ "body": "x" }))).await;
    let error = own.next_of("AuthError").await;
    assert_eq!((&error["authUpdateAttempted"], &error["baseVersion"]), (&json!(false), &json!(1)));
    by_cookie.say(&mutation(0, "demo:send", &json!({ "body": "x" }))).await;
    let Heard::Closed(Some((code, _))) = by_cookie.heard().await else { panic!("a Close, and no AuthError") };
    assert_eq!(code, 1012);
}
