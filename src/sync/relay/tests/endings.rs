//! How a socket ends, and what each side is told of it.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    peer::{CLOSE, Got},
    rig::{CONNECT, Rig, UPDATED, modify, transition},
};
use crate::sync::{
    close::{Close, CloseCause},
    relay::{End, Tally},
};

#[tokio::test(start_paused = true)]
async fn rfc_6455_7_1_a_close_of_the_client_is_answered_and_passed_on() {
    for (code, reason) in [(1000, ""), (1001, "going"), (4040, "why not")] {
        let mut rig = Rig::anonymous();
        rig.client.close(code, reason).await;
        assert_eq!(rig.client.next().await, Got::Close(Some(code), reason.to_owned()));
        assert_eq!(rig.client.next().await, Got::End);
        assert_eq!(rig.upstream.next().await, Got::Close(Some(code), reason.to_owned()));
        rig.upstream.close(code, "").await;
        assert_eq!(rig.upstream.next().await, Got::End);
        assert_eq!(rig.report().await.end, End::ClientClosed(Close::new(code, reason)));
    }
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_7_1_a_close_of_the_deployment_reaches_the_client_with_code_and_reason() {
    for (code, reason) in [(1013, "x"), (1011, "InternalServerError"), (1000, ""), (4040, "")] {
        let mut rig = Rig::anonymous();
        rig.upstream.text(&transition((0, 0, 0), (0, 0, 1), UPDATED)).await;
        rig.upstream.close(code, reason).await;
        assert_eq!(rig.client.next_text().await, transition((0, 0, 0), (0, 0, 1), UPDATED));
        assert_eq!(rig.client.next().await, Got::Close(Some(code), reason.to_owned()));
        assert_eq!(rig.upstream.next().await, Got::Close(Some(code), reason.to_owned()));
        rig.client.close(code, "").await;
        assert_eq!(rig.client.next().await, Got::End);
        let report = rig.report().await;
        assert_eq!(report.end, End::UpstreamClosed(Close::new(code, reason)));
        assert_eq!(report.tally, Tally { from_client: 0, from_upstream: 1 });
    }
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_7_1_5_a_close_without_a_code_stays_without() {
    let mut rig = Rig::anonymous();
    rig.upstream.send(CLOSE, b"").await;
    assert_eq!(rig.client.next().await, Got::Close(None, String::new()));
    let mut rig = Rig::anonymous();
    rig.client.send(CLOSE, b"").await;
    assert_eq!(rig.upstream.next().await, Got::Close(None, String::new()));
    assert_eq!(rig.client.next().await, Got::Close(None, String::new()));
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_is_lost_is_told_as_such() {
    let mut rig = Rig::anonymous();
    rig.client.text(CONNECT).await;
    rig.upstream.next_text().await;
    let (other, _) = tokio::io::duplex(1);
    rig.upstream = super::peer::Peer::deployment(other);
    assert_eq!(rig.client.next().await, Got::Close(Some(1012), "UpstreamLost".to_owned()));
    rig.client.close(1012, "").await;
    assert_eq!(rig.client.next().await, Got::End);
    assert_eq!(rig.report().await.end, End::Here(CloseCause::UpstreamLost));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_is_told_to_the_deployment() {
    let mut rig = Rig::anonymous();
    rig.client.text(CONNECT).await;
    let (other, _) = tokio::io::duplex(1);
    rig.client = super::peer::Peer::client(other);
    assert_eq!(rig.upstream.next_text().await, CONNECT);
    assert_eq!(rig.upstream.next().await, Got::Close(Some(1001), String::new()));
    rig.upstream.close(1001, "").await;
    assert_eq!(rig.upstream.next().await, Got::End);
    assert_eq!(rig.report().await.end, End::ClientGone);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_stops_tells_both() {
    let mut rig = Rig::signed_in();
    rig.client.text(CONNECT).await;
    rig.upstream.next_text().await;
    rig.stop();
    assert_eq!(rig.client.next().await, Got::Close(Some(1012), "Stopping".to_owned()));
    assert_eq!(rig.upstream.next().await, Got::Close(Some(1001), String::new()));
    assert!(rig.world.writes.watchers().is_empty(), "it lives on no session any more");
    assert_eq!(rig.report().await.end, End::Here(CloseCause::Stopping));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_waited_for_longer_than_for_a_goodbye() {
    let mut rig = Rig::anonymous();
    let start = Instant::now();
    rig.client.send(CLOSE, &[3, 232]).await;
    let report = rig.report().await;
    assert_eq!(report.end, End::ClientClosed(Close::new(1000, "")));
    assert_eq!(start.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn what_the_deployment_said_before_its_close_arrives_before_it() {
    let mut rig = Rig::anonymous();
    rig.client.text(&modify(0, "")).await;
    rig.upstream.next_text().await;
    let long = format!(r#"{{"type":"FatalError","error":"{}"}}"#, "e".repeat(500_000));
    rig.upstream.text(&long).await;
    rig.upstream.send(CLOSE, b"").await;
    assert_eq!(rig.client.next_text().await, long);
    assert_eq!(rig.client.next().await, Got::Close(None, String::new()));
}

#[tokio::test(start_paused = true)]
async fn a_close_never_stands_within_a_frame() {
    let mut rig = Rig::anonymous();
    let long = rig.upstream.frame(0x81, format!(r#"{{"type":"Ping","x":"{}"}}"#, "e".repeat(100_000)).as_bytes());
    rig.upstream.raw(&long[..50_000]).await;
    assert_eq!(rig.client.read_at_least(50_000).await, &long[..50_000]);
    rig.stop();
    assert_eq!(rig.upstream.next().await, Got::Close(Some(1001), String::new()));
    assert_eq!(rig.client.read_at_least(50_000).await.len(), 50_000);
    assert_eq!(rig.report().await.end, End::Here(CloseCause::Stopping));
}
