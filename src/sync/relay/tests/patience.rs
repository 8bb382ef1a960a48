//! Who is there still: silence, questions, messages that do not end, and peers that take nothing.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{
    peer::{Got, PING, PONG, TEXT},
    rig::{CONNECT, Rig, Setup, mutation},
};
use crate::sync::{close::CloseCause, relay::End};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn rule_22_a_client_that_is_silent_for_120_seconds_is_gone() {
    let mut rig = Rig::anonymous();
    let start = Instant::now();
    let mut asked = Vec::new();
    let end = loop {
        // The deployment asks every 5 seconds, as it does.
        rig.upstream.send(PING, b"").await;
        assert_eq!(rig.upstream.next().await, Got::Pong(Vec::new()));
        match timeout(seconds(5), rig.client.next()).await {
            Err(_) => {}
            Ok(Got::Ping(_)) => asked.push(start.elapsed().as_secs()),
            Ok(end) => break end,
        }
    };
    assert_eq!(end, Got::Close(Some(1001), "Silent".to_owned()));
    assert_eq!(start.elapsed().as_secs(), 120);
    assert_eq!(asked, [30, 60, 90], "its own question, on its own leg");
}

#[tokio::test(start_paused = true)]
async fn rule_22_a_client_that_waits_for_its_token_lives_as_long_as_it_answers() {
    let mut rig = Rig::anonymous();
    let start = Instant::now();
    let mut asked = 0;
    while start.elapsed() < seconds(600) {
        rig.upstream.send(PING, b"").await;
        assert_eq!(rig.upstream.next().await, Got::Pong(Vec::new()));
        if let Ok(got) = timeout(seconds(5), rig.client.next()).await {
            assert_eq!(got, Got::Ping(Vec::new()));
            rig.client.send(PONG, b"").await;
            asked += 1;
        }
    }
    assert!((15..=20).contains(&asked), "{asked}");
    rig.client.text(CONNECT).await;
    assert_eq!(rig.upstream.next_text().await, CONNECT);
}

#[tokio::test(start_paused = true)]
async fn rule_22_a_fresh_socket_may_say_nothing_at_all_for_longer_than_a_minute() {
    let mut rig = Rig::anonymous();
    for _ in 0..23 {
        rig.upstream.send(PING, b"").await;
        sleep(seconds(5)).await;
    }
    rig.client.text(CONNECT).await;
    loop {
        match rig.upstream.next().await {
            Got::Pong(_) => {}
            got => break assert_eq!(got, Got::Text(CONNECT.to_owned())),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rule_22_a_ping_of_the_deployments_protocol_is_passed_on_at_once() {
    let mut rig = Rig::anonymous();
    let start = Instant::now();
    rig.upstream.text(r#"{"type":"Ping"}"#).await;
    assert_eq!(rig.client.next_text().await, r#"{"type":"Ping"}"#);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn rule_22_a_deployment_that_is_silent_is_lost() {
    let mut rig = Rig::anonymous();
    let start = Instant::now();
    assert_eq!(rig.client.next_but_pings().await, Got::Close(Some(1012), "UpstreamLost".to_owned()));
    assert_eq!(start.elapsed().as_secs(), 75);
    assert_eq!(rig.upstream.next().await, Got::Ping(Vec::new()), "it was asked");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_does_not_end_ends_the_socket() {
    let mut rig = Rig::anonymous();
    let start = Instant::now();
    let frame = rig.client.frame(TEXT, &[b' '; 1_000]);
    let mut bytes = frame.iter();
    let end = loop {
        if let Some(byte) = bytes.next() {
            rig.client.raw(&[*byte]).await;
        }
        rig.upstream.send(PING, b"").await;
        if let Ok(got) = timeout(seconds(1), rig.client.next()).await {
            break got;
        }
    };
    assert_eq!(end, Got::Close(Some(1001), "Silent".to_owned()));
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_for_a_minute_is_gone() {
    let mut rig = Setup { client_pipe: 4_096, ..Setup::ANONYMOUS }.start();
    let start = Instant::now();
    rig.upstream.send(TEXT, &[b' '; 100_000]).await;
    let end = loop {
        rig.client.send(PONG, b"").await;
        match timeout(seconds(10), rig.upstream.next()).await {
            Err(_) | Ok(Got::Ping(_)) => {}
            Ok(end) => break end,
        }
    };
    assert_eq!(end, Got::Close(Some(1001), String::new()));
    assert_eq!(start.elapsed().as_secs(), 60);
    assert_eq!(rig.report().await.end, End::ClientGone);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_takes_nothing_for_a_minute_is_lost() {
    let mut rig = Setup { upstream_pipe: 4_096, ..Setup::ANONYMOUS }.start();
    let start = Instant::now();
    let text = mutation(0, "a:b", &format!("\"{}\"", "e".repeat(100_000)));
    rig.client.text(&text).await;
    let end = loop {
        rig.upstream.send(PING, b"").await;
        match timeout(seconds(10), rig.client.next()).await {
            Err(_) | Ok(Got::Ping(_)) => {}
            Ok(end) => break end,
        }
    };
    assert_eq!(end, Got::Close(Some(1012), "UpstreamLost".to_owned()));
    assert_eq!(start.elapsed().as_secs(), 60);
    assert_eq!(rig.report().await.end, End::Here(CloseCause::UpstreamLost));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_its_time_is_not_its_deployments_fault() {
    let mut rig = Setup { client_pipe: 1_000, ..Setup::ANONYMOUS }.start();
    let start = Instant::now();
    // A message that is looked at whole, so that all of it waits for the client.
    let text = format!(r#"{{"error":"{}","type":"FatalError"}}"#, "e".repeat(50_000));
    rig.upstream.text(&text).await;
    for kilobytes in 1..=50 {
        rig.client.read_at_least(kilobytes * 1_000).await;
        rig.client.send(PONG, b"").await;
        rig.upstream.send(PING, b"").await;
        sleep(seconds(5)).await;
    }
    assert_eq!(rig.client.next_text().await, text);
    assert!(start.elapsed() > seconds(200));
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_takes_its_time_is_not_its_clients_fault() {
    let mut rig = Setup { upstream_pipe: 1_000, ..Setup::ANONYMOUS }.start();
    let start = Instant::now();
    let text = mutation(0, "a:b", &format!("\"{}\"", "e".repeat(50_000)));
    rig.client.text(&text).await;
    rig.client.send(0x01, b"{").await;
    for kilobytes in 1..=50 {
        rig.upstream.read_at_least(kilobytes * 1_000).await;
        rig.client.send(PONG, b"").await;
        rig.upstream.send(PING, b"").await;
        sleep(seconds(5)).await;
    }
    assert_eq!(rig.upstream.next_text().await, text);
    assert!(start.elapsed() > seconds(200));
}
