//! How sockets end: by what a client sends, by its token, by either side.

use super::*;

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
