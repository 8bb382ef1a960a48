use std::collections::BTreeMap;

use convex::{ConvexClient, FunctionResult, Value as ConvexValue};
use futures_util::StreamExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::common::{
    World, get,
    socket::{Heard, action, add, connect, modify, mutation, remove, socket, soon},
};

#[tokio::test]
async fn a_client_asks_is_kept_told_and_calls() {
    let world = World::new().await;
    let mut client = socket(world.public).connect().await;
    client.say(&modify(0, &[add(0, "demo:list", &json!({}))])).await;
    assert_eq!(client.next_result(0).await, json!([]));
    client.say(&mutation(0, "demo:send", &json!({ "body": "hello" }))).await;
    let response = client.next_of("MutationResponse").await;
    assert_eq!((&response["requestId"], &response["success"]), (&json!(0), &json!(true)));
    assert_eq!(client.next_result(0).await[0]["body"], json!("hello"));
    client.say(&action(1, "demo:ping", &json!({}))).await;
    assert_eq!(client.next_of("ActionResponse").await["result"], json!("pong"));
    world.call(world.public, "mutation", "demo:send", json!({ "body": "from elsewhere" })).await.ok();
    assert_eq!(client.next_result(0).await[1]["body"], json!("from elsewhere"));
    client.say(&modify(1, &[remove(0)])).await;
    assert_eq!(client.next_result(0).await["type"], json!("QueryRemoved"));
}

#[tokio::test]
async fn the_published_rust_client_works_on_both_listeners() {
    let world = World::new().await;
    for listener in [world.public, world.adapter] {
        let mut client = ConvexClient::new(&format!("http://{listener}")).await.unwrap();
        let mut list = client.subscribe("demo:list", BTreeMap::new()).await.unwrap();
        let Some(FunctionResult::Value(ConvexValue::Array(before))) = list.next().await else { panic!("a list") };
        let body = BTreeMap::from([("body".to_owned(), ConvexValue::from("hello"))]);
        assert!(matches!(client.mutation("demo:send", body).await.unwrap(), FunctionResult::Value(_)));
        loop {
            let Some(FunctionResult::Value(ConvexValue::Array(now))) = list.next().await else { panic!("a list") };
            if now.len() == before.len() + 1 {
                break;
            }
        }
        let refused = client.mutation("authAdapter:getUser", BTreeMap::new()).await.unwrap();
        assert!(matches!(refused, FunctionResult::ErrorMessage(_)), "{refused:?}");
        let still = client.query("demo:whoami", BTreeMap::new()).await.unwrap();
        assert_eq!(still, FunctionResult::Value(ConvexValue::Null));
    }
}

#[tokio::test]
async fn rule_21_a_result_of_many_mebibytes_passes_in_one_frame() {
    let world = World::new().await;
    // Not npm: pieces of transitions are for those alone.
    let opening = socket(world.public).target("/api/sync").header("convex-client", "rust-0.10.4");
    let mut client = opening.connect().await;
    // Each quote is two bytes on the wire: a frame of more than 16 MiB.
    let times = 9 << 20;
    client.say(&modify(0, &[add(0, "demo:repeat", &json!({ "text": "\"", "times": times }))])).await;
    let result = client.next_result(0).await;
    assert_eq!(result.as_str().map(str::len), Some(times));
    client.say(&action(1, "demo:ping", &json!({}))).await;
    assert_eq!(client.next_of("ActionResponse").await["result"], json!("pong"));
}

#[tokio::test]
async fn rule_20_pieces_of_a_transition_pass_in_their_order() {
    let world = World::new().await;
    let (_, token) = world.sign_in("ada@example.com").await;
    for opening in [socket(world.public), socket(world.public).cookie(&token)] {
        let mut client = opening.connect().await;
        client.say(&modify(0, &[add(0, "demo:repeat", &json!({ "text": "ab\"ß", "times": 3 << 20 }))])).await;
        let mut text = String::new();
        for part in 0.. {
            let piece = client.next_of("TransitionChunk").await;
            assert_eq!(piece["partNumber"], json!(part));
            text.push_str(piece["chunk"].as_str().unwrap());
            if json!(part + 1) == piece["totalParts"] {
                break;
            }
        }
        let transition: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(transition["startVersion"]["identity"], json!(0));
        assert_eq!(transition["endVersion"]["identity"], json!(0), "rule 14: an injected one is not shown");
        let value = transition["modifications"][0]["value"].as_str().unwrap();
        assert_eq!(value.len(), 5 * (3 << 20));
        client.say(&action(1, "demo:ping", &json!({}))).await;
        assert_eq!(client.next_of("ActionResponse").await["result"], json!("pong"));
    }
}

#[tokio::test]
async fn rule_27_every_client_socket_has_an_upstream_socket_of_its_own() {
    let world = World::new().await;
    let deployment = world.deployment.clone().unwrap();
    let mut clients = Vec::new();
    for count in 1..=3 {
        let mut client = socket(world.public).connect().await;
        client.say(&modify(0, &[add(7, "demo:list", &json!({}))])).await;
        client.next_result(7).await;
        clients.push(client);
        assert_eq!(deployment.open_sync_sockets(), count);
    }
    let said: Vec<_> = deployment.sync_messages().into_iter().map(|seen| (seen.socket, seen.text)).collect();
    for socket in 1..=3 {
        let of_socket: Vec<_> = said.iter().filter(|(of, _)| *of == socket).collect();
        assert_eq!(of_socket.len(), 2);
        assert!(of_socket[0].1.contains("7f1e5a52-22d1-4bd1-8f0a-0123456789ab"), "the session's id is unchanged");
    }
}

#[tokio::test]
async fn rule_29_the_clients_version_passes_and_what_it_claims_about_itself_does_not() {
    let world = World::new().await;
    let opening = socket(world.public)
        .target("/api/1.48.0/sync")
        .header("convex-client", "npm-1.48.0")
        .header("x-forwarded-for", "1.2.3.4")
        .header("x_forwarded_for", "1.2.3.4")
        .header("cookie", "other=1")
        .header("sec-websocket-extensions", "permessage-deflate")
        .header("origin", "https://elsewhere.example");
    let _client = opening.connect().await;
    let seen = world.received().into_iter().find(|seen| seen.target.contains("sync")).unwrap();
    assert_eq!(seen.target, "/api/1.48.0/sync");
    assert_eq!(seen.header("convex-client"), Some("npm-1.48.0"));
    let upstream = format!("127.0.0.1:{}", world.config().upstream.url.port().unwrap());
    assert_eq!(seen.header("host"), Some(upstream.as_str()));
    for name in ["x-forwarded-for", "x_forwarded_for", "cookie", "origin", "sec-websocket-extensions", "authorization"]
    {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(socket(world.public).header("convex-client", "nonsense").try_open().await.err(), Some(400));
}

#[tokio::test]
async fn what_the_deployment_refuses_at_the_door_is_refused_at_the_door() {
    let world = World::new().await;
    assert_eq!(socket(world.public).target("/api/0.19.1/sync").try_open().await.err(), Some(400), "too old");
    assert!(socket(world.public).target("/api/0.19.2/sync").try_open().await.is_ok());
    let silent = World::without_deployment(&[]).await;
    assert_eq!(socket(silent.public).try_open().await.err(), Some(502));
}

#[tokio::test]
async fn a_socket_lives_under_the_base_path() {
    let world = World::with(&[("LISTEN__BASE_PATH", "/convex")]).await;
    let mut client = socket(world.public).target("/convex/api/1.48.0/sync").connect().await;
    client.say(&modify(0, &[add(0, "demo:list", &json!({}))])).await;
    assert_eq!(client.next_result(0).await, json!([]));
    assert_eq!(socket(world.public).target("/api/1.48.0/sync").try_open().await.err(), Some(404));
}

#[tokio::test]
async fn rule_32_values_pass_byte_for_byte() {
    let world = World::new().await;
    let mut client = socket(world.public).open().await;
    client.say(&connect()).await;
    let arguments = r#"[ {"body" : "a\u00e9\/ \ud83d\ude00 b"} ]"#;
    client
        .say_text(&format!(r#"{{"requestId":5,"args":{arguments},"type":"Mutation","udfPath":"demo.js:send"}}"#))
        .await;
    assert_eq!(client.next_of("MutationResponse").await["success"], json!(true));
    let seen = world.deployment.as_ref().unwrap().sync_messages();
    let text = &seen.iter().find(|seen| seen.text.contains("Mutation")).unwrap().text;
    assert_eq!(*text, format!(r#"{{"type":"Mutation","requestId":5,"udfPath":"demo:send","args":{arguments}}}"#));
}

#[tokio::test]
async fn rule_13_what_is_no_message_ends_the_clients_leg_and_goes_nowhere() {
    let world = World::new().await;
    for (message, code) in [
        (Message::text("nonsense"), 1008),
        (Message::text("[1]"), 1008),
        (Message::text(r#"{"type":"Surprise"}"#), 1008),
        (Message::text(r#"{"type":"Mutation","requestId":1.5,"udfPath":"a:b","args":[{}]}"#), 1008),
        (Message::binary(b"{}".to_vec()), 1003),
    ] {
        let mut client = socket(world.public).connect().await;
        client.send(message.clone()).await;
        let Heard::Closed(Some((closed, _))) = client.end().await else { panic!("{message:?}") };
        assert_eq!(closed, code, "{message:?}");
    }
    let seen = world.deployment.as_ref().unwrap().sync_messages();
    assert_eq!(seen.len(), 5);
    assert!(seen.iter().all(|seen| seen.text.contains("Connect")), "nothing but that");
}

#[tokio::test]
async fn the_end_of_one_side_is_the_end_of_the_other() {
    let world = World::new().await;
    let deployment = world.deployment.clone().unwrap();
    let mut activity = deployment.sync_activity();
    let mut client = socket(world.public).connect().await;
    client.say(&modify(0, &[])).await;
    client.next_of("Transition").await;
    deployment.drop_sync_sockets();
    let Heard::Closed(Some((code, _))) = client.end().await else { panic!("a Close") };
    assert_eq!(code, 1012, "the deployment's connection was lost");

    let client = socket(world.public).connect().await;
    soon(activity.wait_for(|_| deployment.open_sync_sockets() == 1)).await.unwrap();
    drop(client);
    soon(activity.wait_for(|_| deployment.open_sync_sockets() == 0)).await.unwrap();
}

#[tokio::test]
async fn a_stop_closes_sockets_so_that_clients_come_back_and_ends_in_time() {
    let mut world = World::with(&[("TIMEOUTS__SHUTDOWN", "4s")]).await;
    let mut client = socket(world.public).connect().await;
    client.say(&modify(0, &[])).await;
    client.next_of("Transition").await;
    let stopped = world.begin_stop();
    let Heard::Closed(Some((code, reason))) = client.end().await else { panic!("a Close") };
    assert_eq!((code, reason.as_str()), (1012, "Stopping"));
    assert!(stopped.await.unwrap());
}

#[tokio::test]
async fn open_sockets_are_counted_and_take_a_place_among_the_connections() {
    let world = World::with(&[("LIMITS__CONNECTIONS", "1")]).await;
    let client = socket(world.public).connect().await;
    // The answer 101 may be here before the socket is carried on.
    soon(async { while world.metric("convex_auth_proxy_sync_sockets").await != 1.0 {} }).await;
    assert_eq!(get(world.public, "/.well-known/jwks.json").send().await.status, 503);
    let deployment = world.deployment.clone().unwrap();
    drop(client);
    let mut activity = deployment.sync_activity();
    soon(activity.wait_for(|_| deployment.open_sync_sockets() == 0)).await.unwrap();
}
