//! What a socket begins with, how large its messages are, and what is seen of them.

use super::*;

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
