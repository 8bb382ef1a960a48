//! The identity that a cookie gives, what the client says over it, and renewal.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::{Instant, timeout};

use super::{
    peer::{Got, PONG},
    rig::{CONNECT, Rig, Setup, Store, UPDATED, World, add, authenticate, modify, mutation, transition},
};
use crate::sync::Told;

/// Asserts that the next message tells the deployment of the session, as that number.
async fn tells(rig: &mut Rig, base_version: u32) -> String {
    let told = rig.upstream.json().await;
    assert_eq!((&told["type"], &told["tokenType"]), (&json!("Authenticate"), &json!("User")));
    assert_eq!(told["baseVersion"], base_version);
    told["value"].as_str().expect("a token").to_owned()
}

/// Both peers say that they are there for a while; fails when the deployment hears anything else.
async fn passes(rig: &mut Rig, seconds: u64) {
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        rig.upstream.send(PONG, b"").await;
        rig.client.send(PONG, b"").await;
        if let Ok(got) = timeout(Duration::from_secs(5), rig.upstream.next()).await {
            assert_eq!(got, Got::Ping(Vec::new()));
        }
    }
}

/// How long it takes until the deployment hears something, both peers being there.
async fn until_text(rig: &mut Rig) -> (Duration, String) {
    let start = Instant::now();
    loop {
        rig.upstream.send(PONG, b"").await;
        rig.client.send(PONG, b"").await;
        match timeout(Duration::from_millis(900), rig.upstream.next()).await {
            Ok(Got::Text(text)) => return (start.elapsed(), text),
            Ok(Got::Ping(_)) | Err(_) => {}
            Ok(other) => panic!("{other:?}"),
        }
        assert!(start.elapsed() < Duration::from_secs(10_000), "nothing comes");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_25_the_cookies_identity_is_said_after_connect_and_before_the_first_request() {
    for request in
        [modify(0, &add(0, "a:b")), mutation(0, "a:b", "{}"), mutation(0, "a:b", "{}").replace("Mutation", "Action")]
    {
        let mut rig = Rig::signed_in();
        let event = r#"{"type":"Event","eventType":"x","event":null}"#;
        rig.client.text(CONNECT).await;
        rig.client.text(event).await;
        assert_eq!(rig.upstream.next_text().await, CONNECT);
        assert_eq!(rig.upstream.next_text().await, event);
        rig.upstream.hears_nothing().await;
        rig.client.text(&request).await;
        tells(&mut rig, 0).await;
        assert_eq!(
            rig.upstream.json().await["type"],
            serde_json::from_str::<serde_json::Value>(&request).unwrap()["type"]
        );
        rig.client.text(&modify(u32::from(request.contains("ModifyQuerySet")), "")).await;
        assert_eq!(rig.upstream.json().await["type"], "ModifyQuerySet", "it is said once");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_said_for_a_client_without_a_cookie() {
    let mut rig = Rig::anonymous();
    rig.client.text(&modify(0, &add(0, "a:b"))).await;
    assert_eq!(rig.upstream.json().await["type"], "ModifyQuerySet");
    assert_eq!(rig.world.reads(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_14_an_identity_of_the_proxys_is_not_shown_and_the_clients_own_is() {
    let mut rig = Rig::signed_in();
    rig.client.text(&modify(0, &add(0, "a:b"))).await;
    tells(&mut rig, 0).await;
    rig.upstream.next_text().await;
    rig.upstream.text(&transition((0, 0, 0), (1, 1, 5), UPDATED)).await;
    assert_eq!(rig.client.next_text().await, transition((0, 0, 0), (1, 0, 5), UPDATED));
    // Rule 16: the client's own is answered by exactly one increase, at its own count.
    rig.client.text(&authenticate(0, "mine")).await;
    let said = rig.upstream.json().await;
    assert_eq!((&said["baseVersion"], &said["value"]), (&json!(1), &json!("mine")));
    rig.upstream.text(&transition((1, 1, 5), (1, 2, 6), "")).await;
    assert_eq!(rig.client.next_text().await, transition((1, 0, 5), (1, 1, 6), ""));
    rig.client.text(&authenticate(1, "mine too")).await;
    assert_eq!(rig.upstream.json().await["baseVersion"], 2);
    rig.upstream.text(r#"{"type":"AuthError","error":"no","baseVersion":2,"authUpdateAttempted":true}"#).await;
    assert_eq!(rig.client.json().await["baseVersion"], 1);
}

#[tokio::test(start_paused = true)]
async fn rule_15_a_transition_that_does_not_follow_is_not_delivered() {
    for (start, end) in [((1, 0, 0), (1, 0, 1)), ((0, 1, 0), (0, 1, 1)), ((0, 0, 3), (0, 0, 4)), ((0, 0, 0), (0, 1, 1))]
    {
        let mut rig = Rig::anonymous();
        rig.upstream.text(&transition(start, end, "")).await;
        assert_eq!(rig.client.next().await, Got::Close(Some(1011), "UpstreamUnreadable".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_client_says_wins_over_its_cookie() {
    for (message, token_type) in [
        (authenticate(0, "mine"), "User"),
        (r#"{"type":"Authenticate","baseVersion":0,"tokenType":"None"}"#.to_owned(), "None"),
    ] {
        // Before the cookie's identity was said: it is never said then.
        let mut rig = Rig::signed_in();
        rig.client.text(&message).await;
        let said = rig.upstream.json().await;
        assert_eq!((&said["tokenType"], &said["baseVersion"]), (&json!(token_type), &json!(0)));
        rig.client.text(&modify(0, &add(0, "a:b"))).await;
        assert_eq!(rig.upstream.json().await["type"], "ModifyQuerySet");
        assert!(rig.world.writes.watchers().is_empty(), "the session plays no part any more");
        // After it: it is not renewed.
        let mut rig = Rig::signed_in();
        rig.client.text(&modify(0, "")).await;
        tells(&mut rig, 0).await;
        rig.upstream.next_text().await;
        rig.client.text(&message).await;
        assert_eq!(rig.upstream.json().await["baseVersion"], 1);
        passes(&mut rig, 1_000).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_identity_that_counts_wrong_ends_the_socket() {
    let mut rig = Rig::anonymous();
    rig.client.text(&authenticate(1, "mine")).await;
    assert_eq!(rig.client.next().await, Got::Close(Some(1011), "InvalidVersion".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn rule_11_a_key_of_an_administrator_and_a_token_that_is_not_taken_are_refused() {
    for (message, passes) in [
        (r#"{"type":"Authenticate","baseVersion":0,"tokenType":"Admin","value":"key"}"#.to_owned(), false),
        (authenticate(0, "refused"), false),
        (authenticate(0, "anything"), true),
    ] {
        let mut rig = Rig::anonymous();
        rig.client.text(&message).await;
        if passes {
            assert_eq!(rig.upstream.json().await["value"], "anything");
            continue;
        }
        let error = rig.client.json().await;
        assert_eq!((&error["type"], &error["authUpdateAttempted"]), (&json!("AuthError"), &json!(true)));
        assert_eq!(rig.client.next().await, Got::Close(None, String::new()));
        assert_eq!(rig.upstream.next().await, Got::Close(Some(1001), String::new()));
    }
}

#[tokio::test(start_paused = true)]
async fn rule_25_the_deployment_is_shown_a_further_token_before_the_last_one_ends() {
    let mut moments = Vec::new();
    for _ in 0..8 {
        let mut rig = Rig::signed_in();
        rig.client.text(&modify(0, &add(0, "a:b"))).await;
        let first = tells(&mut rig, 0).await;
        rig.upstream.next_text().await;
        let (after, text) = until_text(&mut rig).await;
        let said: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&said["type"], &said["baseVersion"]), (&json!("Authenticate"), &json!(1)));
        assert_ne!(said["value"], first);
        // Between a seventh and a twentieth of its 600 seconds is left.
        assert!((505..575).contains(&after.as_secs()), "{after:?}");
        assert_eq!(rig.world.told(), [Told::Renewed]);
        let reads = rig.world.reads.lock().clone();
        assert_eq!(
            reads.iter().map(|(_, from_memory)| *from_memory).collect::<Vec<_>>(),
            [true, false],
            "it is read anew"
        );
        // The client has not noticed: what it counts is as before.
        rig.upstream.text(&transition((0, 0, 0), (1, 2, 1), UPDATED)).await;
        assert_eq!(rig.client.next_but_pings().await, Got::Text(transition((0, 0, 0), (1, 0, 1), UPDATED)));
        moments.push(after);
    }
    moments.dedup();
    assert!(moments.len() > 1, "not all at the same moment");
}

#[tokio::test(start_paused = true)]
async fn an_identity_that_is_unchanged_is_not_said_again() {
    let mut rig = Rig::signed_in();
    rig.client.text(&modify(0, &add(0, "a:b"))).await;
    tells(&mut rig, 0).await;
    rig.upstream.next_text().await;
    for _ in 0..5 {
        // The session is written, prolonged even: the token that is known says as much.
        rig.world.write(Store::Lives(200_000));
        rig.upstream.hears_nothing().await;
    }
    assert!(rig.world.reads() >= 5);
    // Another person is another identity.
    rig.world.belong_to("user-2");
    rig.world.write(Store::Lives(200_000));
    tells(&mut rig, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_not_said_yet_is_replaced_in_silence() {
    let mut rig = Setup { token_seconds: 100, ..Setup::SIGNED_IN }.start();
    let world: Arc<World> = Arc::clone(&rig.world);
    let early = world.mint(&world.session()).unwrap();
    rig.client.text(CONNECT).await;
    rig.upstream.next_text().await;
    passes(&mut rig, 100).await;
    rig.client.text(&modify(0, "")).await;
    assert_ne!(tells(&mut rig, 0).await, early.token(), "the first one has ended");
}
