//! Sockets without a network: what waits, and time that is held still.

use super::*;

/// A socket without a network, so that time can be held still.
async fn without_network(running: &Running, buffer: usize) -> (Socket<DuplexStream>, impl Future<Output = ()> + use<>) {
    let (ours, theirs) = tokio::io::duplex(buffer);
    let socket = OpenSocket::new(Arc::clone(&running.deployment.0));
    let served = converse(socket, theirs, false, CancellationToken::new());
    (Socket(WebSocketStream::from_raw_socket(ours, Role::Client, None).await), served)
}

#[tokio::test]
async fn what_waits_together_is_answered_together() {
    let running = Running::start().await;
    let (mut socket, served) = without_network(&running, 64 * 1024).await;
    socket.modify(0, json!([add(0, "demo:list")])).await;
    socket.send(json!({"type": "Authenticate", "baseVersion": 0, "tokenType": "None"})).await;
    socket.send(json!({"type": "Authenticate", "baseVersion": 1, "tokenType": "None"})).await;
    socket.modify(1, json!([add(1, "demo:whoami")])).await;
    tokio::spawn(served);
    let transition = socket.expect("Transition").await;
    assert_eq!((&transition["endVersion"]["querySet"], &transition["endVersion"]["identity"]), (&json!(2), &json!(2)));
    assert_eq!(transition["modifications"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_client_that_does_not_read_gets_few_transitions() {
    let running = Running::start().await;
    let (mut socket, served) = without_network(&running, 512).await;
    tokio::spawn(served);
    socket.modify(0, json!([add(0, "demo:list")])).await;
    let mut end = socket.expect("Transition").await["endVersion"].clone();
    for number in 0..20 {
        running.call("/api/mutation", "demo:send", json!({"body": format!("{number:0>600}")})).await;
    }
    let mut transitions = 0;
    loop {
        let transition = socket.expect("Transition").await;
        assert_eq!(transition["startVersion"], end);
        end = transition["endVersion"].clone();
        transitions += 1;
        if bodies(&transition["modifications"][0]["value"]).len() == 20 {
            break;
        }
    }
    assert!(transitions <= 3, "two that waited, and one for all the rest: {transitions}");
}

#[tokio::test(start_paused = true)]
async fn a_live_socket_is_pinged_on_both_levels() {
    let running = Running::start().await;
    let (mut socket, served) = without_network(&running, 1024).await;
    tokio::spawn(served);
    let start = Instant::now();
    let (mut pings, mut heartbeats) = (Vec::new(), Vec::new());
    while heartbeats.len() < 2 {
        let frame = socket.0.next().await.unwrap().unwrap();
        let seconds = start.elapsed().as_secs();
        if frame.is_ping() {
            pings.push(seconds);
        } else {
            assert_eq!(frame, Message::text(r#"{"type":"Ping"}"#));
            heartbeats.push(seconds);
        }
    }
    assert_eq!(heartbeats, [15, 30]);
    assert!(pings.starts_with(&[0, 5, 10, 15, 20, 25]), "{pings:?}");
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_waits_for_silence() {
    let running = Running::start().await;
    let (mut socket, served) = without_network(&running, 1024).await;
    tokio::spawn(served);
    tokio::time::advance(Duration::from_secs(10)).await;
    socket.send(ping_action(0)).await;
    socket.expect("ActionResponse").await;
    socket.expect("Transition").await;
    let answered = Instant::now();
    socket.expect("Ping").await;
    assert_eq!(answered.elapsed().as_secs(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_at_all_is_closed() {
    let running = Running::start().await;
    let (socket, served) = without_network(&running, 4096).await;
    let start = Instant::now();
    // Nobody reads, so that nobody answers pings.
    served.await;
    let seconds = start.elapsed().as_secs();
    assert!((120..125).contains(&seconds), "{seconds}");
    let mut bytes = Vec::new();
    socket.0.into_inner().read_to_end(&mut bytes).await.unwrap();
    assert!(bytes.ends_with(&[0x88, 2, 0x03, 0xe8]), "a close frame with the code 1000");
}
