//! Order, and what happens when somebody does not read: each direction by itself, and nothing grows.

use super::{
    peer::{Got, PING, TEXT},
    rig::{CONNECT, Rig, Setup, UPDATED, authenticate, mutation, transition},
};

/// Both connections hold little, so that a bound shows.
const NARROW: Setup = Setup { client_pipe: 8_192, upstream_pipe: 8_192, ..Setup::ANONYMOUS };
/// One read, one batch, the pipes, and some to spare.
const BOUND: usize = 640 * 1_024;

#[tokio::test(start_paused = true)]
async fn rule_23_order_is_kept_in_each_direction() {
    let mut rig = NARROW.start();
    let Rig { client, upstream, .. } = &mut rig;
    let up: Vec<u8> = (0..2_000).flat_map(|id| client.frame(TEXT, mutation(id, "a:b", "{}").as_bytes())).collect();
    let down: Vec<u8> = (0..2_000_u32)
        .flat_map(|moment| {
            let (start, end) = ((0, 0, u64::from(moment)), (0, 0, u64::from(moment) + 1));
            upstream.frame(TEXT, transition(start, end, UPDATED).as_bytes())
        })
        .collect();
    let (mut up, mut down) = (up.as_slice(), down.as_slice());
    let (mut client_got, mut upstream_got) = (0, 0);
    while client_got < 2_000 || upstream_got < 2_000 {
        up = &up[client.send_what_is_taken(up).await..];
        down = &down[upstream.send_what_is_taken(down).await..];
        while let Ok(message) = tokio::time::timeout(super::peer::MOMENT, upstream.json()).await {
            assert_eq!(message["requestId"], upstream_got);
            upstream_got += 1;
        }
        while let Ok(message) = tokio::time::timeout(super::peer::MOMENT, client.next_text()).await {
            assert_eq!(message, transition((0, 0, client_got), (0, 0, client_got + 1), UPDATED));
            client_got += 1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rule_23_what_follows_an_identity_waits_for_the_decision_on_it() {
    let mut rig = Rig::anonymous();
    let messages = [CONNECT.to_owned(), authenticate(0, "of-the-session"), mutation(7, "a:b", "{}")];
    let frames: Vec<u8> = messages.iter().flat_map(|text| rig.client.frame(TEXT, text.as_bytes())).collect();
    rig.client.raw(&frames).await;
    rig.client.text(&mutation(8, "a:b", "{}")).await;
    assert_eq!(rig.upstream.next_text().await, CONNECT);
    assert_eq!(rig.upstream.json().await["value"], "of-the-session");
    assert_eq!(rig.upstream.json().await["requestId"], 7);
    assert_eq!(rig.upstream.json().await["requestId"], 8);
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_stops_its_deployment_and_nothing_else() {
    let mut rig = NARROW.start();
    let frame: Vec<u8> = rig.upstream.frame(TEXT, &[b' '; 30_000]);
    let mut sent = 0;
    for _ in 0..100 {
        let taken = rig.upstream.send_what_is_taken(&frame).await;
        sent += taken;
        if taken < frame.len() {
            break;
        }
    }
    assert!(sent < BOUND, "{sent}");
    for id in 0..100 {
        rig.client.text(&mutation(id, "a:b", "{}")).await;
        assert_eq!(rig.upstream.json().await["requestId"], id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_deployment_stops_its_client_and_nothing_else() {
    let mut rig = NARROW.start();
    let frame = rig.client.frame(TEXT, mutation(1, "a:b", &format!("\"{}\"", "a".repeat(10_000))).as_bytes());
    let mut sent = 0;
    for _ in 0..500 {
        let taken = rig.client.send_what_is_taken(&frame).await;
        sent += taken;
        if taken < frame.len() {
            break;
        }
    }
    assert!(sent < BOUND, "{sent}");
    for moment in 0..100 {
        let text = transition((0, 0, moment), (0, 0, moment + 1), UPDATED);
        rig.upstream.text(&text).await;
        assert_eq!(rig.client.next_text().await, text);
    }
}

/// Sends a frame again and again while nothing is read; gives the bytes that were taken.
async fn pour(rig: &mut Rig, frame: &[u8]) -> usize {
    let many = frame.repeat(1 + 16_384 / frame.len());
    let mut sent = 0;
    while sent < 4 * BOUND {
        let taken = rig.client.send_what_is_taken(&many).await;
        sent += taken;
        if taken < many.len() {
            break;
        }
    }
    sent
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_and_does_not_hear_the_answers_holds_no_memory() {
    let mut rig = NARROW.start();
    // Each refusal is several times as long as what it answers.
    let frame = rig.client.frame(TEXT, mutation(1, "authAdapter:getUser", "").as_bytes());
    let sent = pour(&mut rig, &frame).await;
    assert!(sent < BOUND, "{sent}");
    // What was answered is not lost, and the client is heard again once it reads.
    assert_eq!(rig.client.json().await["success"], false);
}

#[tokio::test(start_paused = true)]
async fn pings_that_are_not_waited_for_hold_no_memory() {
    let mut rig = NARROW.start();
    let frame = rig.client.frame(PING, &[b'p'; 125]);
    pour(&mut rig, &frame).await;
    // However many there were, only so many are answered.
    let mut pongs = 0;
    while let Ok(Got::Pong(_)) = tokio::time::timeout(super::peer::MOMENT, rig.client.next()).await {
        pongs += 1;
    }
    assert!(pongs * 127 < BOUND / 4, "{pongs}");
    rig.client.send(PING, b"last").await;
    assert_eq!(rig.client.next().await, Got::Pong(b"last".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn pings_of_a_deployment_that_does_not_hear_the_answers_hold_no_memory() {
    let mut rig = NARROW.start();
    let frame = rig.upstream.frame(PING, &[b'p'; 125]).repeat(10_000);
    rig.upstream.send_what_is_taken(&frame).await;
    let mut pongs = 0;
    while let Ok(Got::Pong(_)) = tokio::time::timeout(super::peer::MOMENT, rig.upstream.next()).await {
        pongs += 1;
    }
    assert!(pongs * 131 < 32 * 1_024, "{pongs}");
}
