use std::time::{Duration, Instant};

use serde_json::json;

use crate::common::{
    SECRET, World, post,
    socket::{Heard, Socket, add, authenticate, modify, mutation, socket},
};

/// What is promised. Measured here on a machine that has nothing else to do, or fails by far.
const A_SECOND: Duration = Duration::from_secs(1);

/// A socket that lives on that session's cookie, and has been told whose it is.
async fn by_cookie(world: &World, cookie: &str, user_id: &str) -> Socket {
    let mut client = socket(world.public).cookie(cookie).connect().await;
    client.say(&modify(0, &[add(0, "demo:whoami", &json!({}))])).await;
    assert_eq!(client.next_result(0).await["subject"], json!(user_id));
    client
}

async fn by_token(world: &World, cookie: &str, user_id: &str) -> Socket {
    let minted = post(world.public, "/auth/token").cookie(cookie).send().await.ok();
    let mut client = socket(world.public).connect().await;
    client.say(&authenticate(0, minted["token"].as_str())).await;
    client.say(&modify(0, &[add(0, "demo:whoami", &json!({}))])).await;
    assert_eq!(client.next_result(0).await["subject"], json!(user_id));
    client
}

async fn becomes_nobody(client: &mut Socket) {
    let transition = client.next_of("Transition").await;
    assert_eq!(transition["modifications"][0]["value"], json!(null));
    assert_eq!(transition["startVersion"]["identity"], transition["endVersion"]["identity"], "in place");
    client.say(&modify(1, &[])).await;
    assert_eq!(client.next_of("Transition").await["endVersion"]["querySet"], json!(2), "it lives on");
}

async fn is_told_to_ask_anew(client: &mut Socket) {
    let error = client.next_of("AuthError").await;
    assert_eq!((&error["authUpdateAttempted"], &error["baseVersion"]), (&json!(false), &json!(1)));
    assert_eq!(client.end().await, Heard::Closed(None));
}

#[tokio::test]
async fn a_session_that_is_deleted_takes_its_identity_from_every_open_socket() {
    for way in ["wire", "convex", "socket", "user"] {
        let world = World::new().await;
        let (user_id, cookie) = world.sign_in("ada@example.com").await;
        let (other_id, other_cookie) = world.sign_in("bob@example.com").await;
        let mut cookies = [by_cookie(&world, &cookie, &user_id).await, by_cookie(&world, &cookie, &user_id).await];
        let mut token = by_token(&world, &cookie, &user_id).await;
        let mut other = by_cookie(&world, &other_cookie, &other_id).await;
        let session = json!({ "sessionToken": cookie });
        match way {
            "wire" => {
                post(world.adapter, "/adapter/deleteSession").json(&session).send().await.ok();
            }
            "convex" => {
                world.call(world.adapter, "mutation", "authAdapter:deleteSession", session).await.ok();
            }
            "socket" => {
                let mut adapter = socket(world.adapter).connect().await;
                adapter.say(&mutation(0, "authAdapter:deleteSession", &session)).await;
                adapter.next_of("MutationResponse").await;
            }
            _ => {
                world.call(world.adapter, "mutation", "authAdapter:deleteUser", json!({ "id": user_id })).await.ok();
            }
        }
        let started = Instant::now();
        for client in &mut cookies {
            becomes_nobody(client).await;
        }
        is_told_to_ask_anew(&mut token).await;
        assert!(started.elapsed() < A_SECOND, "{way}: {:?}", started.elapsed());
        other.say(&modify(1, &[add(1, "demo:whoami", &json!({}))])).await;
        assert_eq!(other.next_result(1).await["subject"], json!(other_id), "{way}: nobody else's");
        assert_eq!(world.metric(r#"convex_auth_proxy_sync_identities_total{event="ended"}"#).await, 3.0, "{way}");
    }
}

#[tokio::test]
async fn a_write_that_changes_nothing_of_the_identity_is_not_shown_to_the_deployment() {
    let world = World::new().await;
    let (user_id, cookie) = world.sign_in("ada@example.com").await;
    let mut client = by_cookie(&world, &cookie, &user_id).await;
    let reads = world.calls("authAdapter:getSessionAndUser");
    let renamed = json!({ "user": { "id": user_id, "name": "Lovelace" } });
    world.call(world.adapter, "mutation", "authAdapter:updateUser", renamed).await.ok();
    let prolonged = json!({ "session": { "sessionToken": cookie, "expires": "2101-01-01T00:00:00.000Z" } });
    world.call(world.adapter, "mutation", "authAdapter:updateSession", prolonged).await.ok();
    client.say(&mutation(0, "demo:send", &json!({ "body": "x" }))).await;
    client.next_of("MutationResponse").await;
    let said = world.deployment.as_ref().unwrap().sync_messages();
    assert_eq!(said.iter().filter(|seen| seen.text.contains("Authenticate")).count(), 1, "each runs all queries again");
    assert!(world.calls("authAdapter:getSessionAndUser") > reads, "it was looked at");
}

#[tokio::test]
async fn claims_that_change_are_shown_to_the_deployment() {
    let world = World::with(&[("TOKEN__CLAIMS", "name")]).await;
    let (user_id, cookie) = world.sign_in("ada@example.com").await;
    let mut client = by_cookie(&world, &cookie, &user_id).await;
    let renamed = json!({ "user": { "id": user_id, "name": "Lovelace" } });
    world.call(world.adapter, "mutation", "authAdapter:updateUser", renamed).await.ok();
    assert_eq!(client.next_result(0).await["name"], json!("Lovelace"));
}

/// Signs in until so many milliseconds from now.
async fn sign_in_for(world: &World, email: &str, millis: i64) -> (String, String) {
    let (user_id, _) = world.sign_in(email).await;
    let token = format!("short-session-of-{email}");
    let expires = convex_auth_proxy::clock::Now::read().wall.0 + millis;
    let session = json!({ "session": { "sessionToken": token, "userId": user_id, "expires": expires } });
    post(world.adapter, "/adapter/createSession").json(&session).send().await.ok();
    (user_id, token)
}

#[tokio::test]
async fn a_session_that_expires_is_read_again_before_it_is_cut() {
    let world = World::new().await;
    let (user_id, cookie) = sign_in_for(&world, "ada@example.com", 3_500).await;
    let mut ending = by_cookie(&world, &cookie, &user_id).await;
    let mut ending_token = by_token(&world, &cookie, &user_id).await;
    let (other_id, other_cookie) = sign_in_for(&world, "bob@example.com", 3_500).await;
    let mut prolonged = by_cookie(&world, &other_cookie, &other_id).await;
    // By another writer: past the proxy, which hears nothing of it.
    let later = convex_auth_proxy::clock::Now::read().wall.0 + 3_600_000;
    let deployment = std::net::SocketAddr::from(([127, 0, 0, 1], world.config().upstream.url.port().unwrap()));
    let argument = json!({ "secret": SECRET, "session": { "sessionToken": other_cookie, "expires": later } });
    world.call(deployment, "mutation", "authAdapter:updateSession", argument).await.ok();

    becomes_nobody(&mut ending).await;
    is_told_to_ask_anew(&mut ending_token).await;
    prolonged.say(&modify(1, &[add(1, "demo:whoami", &json!({}))])).await;
    assert_eq!(prolonged.next_result(1).await["subject"], json!(other_id), "it was prolonged in time");
    let said = world.deployment.as_ref().unwrap().sync_messages();
    let nobody = said.iter().filter(|seen| seen.text.contains(r#""tokenType":"None""#)).count();
    assert_eq!(nobody, 1);
}

#[tokio::test]
async fn rule_25_a_token_is_renewed_upstream_before_it_ends_and_the_client_notices_nothing() {
    let world = World::with(&[("TOKEN__LIFETIME", "10s")]).await;
    let (user_id, cookie) = world.sign_in("ada@example.com").await;
    let mut client = by_cookie(&world, &cookie, &user_id).await;
    let deployment = world.deployment.clone().unwrap();
    let mut activity = deployment.sync_activity();
    let renewals = || deployment.sync_messages().iter().filter(|seen| seen.text.contains("Authenticate")).count();
    crate::common::socket::soon(activity.wait_for(|_| renewals() == 2)).await.unwrap();
    client.say(&mutation(0, "demo:send", &json!({ "body": "x" }))).await;
    let transition = client.next_of("Transition").await;
    assert_eq!(transition["endVersion"]["identity"], json!(0));
    assert_eq!(client.next_of("MutationResponse").await["success"], json!(true));
    assert_eq!(world.metric(r#"convex_auth_proxy_sync_identities_total{event="renewed"}"#).await, 1.0);
}
