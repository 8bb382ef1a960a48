//! Sessions that end, that are prolonged, and that cannot be read.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout};

use super::{
    peer::{Got, PING, PONG},
    rig::{Rig, Setup, Store, UPDATED, add, authenticate, modify, transition},
};
use crate::sync::Told;

const A_SECOND: Duration = Duration::from_secs(1);

/// A socket whose identity by cookie the deployment has taken.
async fn signed_in(setup: Setup) -> Rig {
    let mut rig = setup.start();
    rig.client.text(&modify(0, &add(0, "a:b"))).await;
    assert_eq!(rig.upstream.json().await["tokenType"], "User");
    rig.upstream.next_text().await;
    rig.upstream.text(&transition((0, 0, 0), (1, 1, 1), UPDATED)).await;
    rig.client.next_text().await;
    rig
}

/// A socket whose client has shown a token that was minted here.
async fn shown() -> Rig {
    let mut rig = Rig::anonymous();
    rig.client.text(&authenticate(0, "of-the-session")).await;
    assert_eq!(rig.upstream.json().await["value"], "of-the-session");
    rig
}

/// What comes to the client until the connection ends, pings apart.
async fn last_words(rig: &mut Rig) -> Vec<Got> {
    let mut words = Vec::new();
    loop {
        match timeout(Duration::from_secs(5), rig.client.next()).await {
            Ok(Got::Ping(_)) => {}
            Ok(close @ Got::Close(..)) => {
                words.push(close);
                return words;
            }
            Ok(word) => words.push(word),
            Err(_) => rig.upstream.send(PING, b"").await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rule_24_a_socket_by_cookie_becomes_nobodys_in_place_within_a_second() {
    let mut rig = signed_in(Setup::SIGNED_IN).await;
    let start = Instant::now();
    rig.world.write(Store::Ended);
    let said = rig.upstream.json().await;
    assert_eq!((&said["type"], &said["tokenType"]), (&json!("Authenticate"), &json!("None")));
    assert_eq!(said["baseVersion"], 1);
    assert!(start.elapsed() < A_SECOND);
    assert_eq!(rig.world.told(), [Told::Ended]);
    // The client lives on, and has not noticed but by its queries.
    rig.upstream.text(&transition((1, 1, 1), (1, 2, 2), UPDATED)).await;
    assert_eq!(rig.client.next_text().await, transition((1, 0, 1), (1, 0, 2), UPDATED));
    rig.client.text(&authenticate(0, "mine")).await;
    assert_eq!(rig.upstream.json().await["baseVersion"], 2);
}

#[tokio::test(start_paused = true)]
async fn rule_24_a_session_that_ends_before_it_was_said_is_never_said() {
    let mut rig = Rig::signed_in();
    rig.world.write(Store::Ended);
    rig.upstream.hears_nothing().await;
    rig.client.text(&modify(0, "")).await;
    assert_eq!(rig.upstream.json().await["type"], "ModifyQuerySet");
}

#[tokio::test(start_paused = true)]
async fn rule_24_a_socket_by_token_is_told_and_closed_within_a_second() {
    let mut rig = shown().await;
    let start = Instant::now();
    rig.world.write(Store::Ended);
    let error = rig.client.json().await;
    assert_eq!((&error["type"], &error["authUpdateAttempted"]), (&json!("AuthError"), &json!(false)));
    assert_eq!(rig.client.next().await, Got::Close(None, String::new()));
    assert!(start.elapsed() < A_SECOND);
    assert_eq!(rig.upstream.next().await, Got::Close(Some(1001), String::new()));
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_session_that_has_ended_never_reaches_the_deployment() {
    let mut rig = Rig::anonymous();
    rig.world.hold(Store::Ended);
    rig.client.text(&authenticate(0, "of-the-session")).await;
    let error = rig.client.json().await;
    assert_eq!((&error["type"], &error["authUpdateAttempted"]), (&json!("AuthError"), &json!(true)));
    assert_eq!(rig.client.next().await, Got::Close(None, String::new()));
    assert_eq!(rig.upstream.next().await, Got::Close(Some(1001), String::new()));
    let mut rig = Rig::anonymous();
    rig.world.hold(Store::Fails);
    rig.client.text(&authenticate(0, "of-the-session")).await;
    assert_eq!(rig.client.next().await, Got::Close(Some(1013), "SessionUnknown".to_owned()));
    assert_eq!(rig.upstream.next().await, Got::Close(Some(1001), String::new()));
}

/// Until the deployment is told that it is nobody, or for so many seconds.
async fn until_nobody(rig: &mut Rig, seconds: u64) -> Option<Duration> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        rig.upstream.send(PONG, b"").await;
        rig.client.send(PONG, b"").await;
        if let Ok(Got::Text(text)) = timeout(Duration::from_millis(500), rig.upstream.next()).await
            && text.contains(r#""tokenType":"None""#)
        {
            return Some(start.elapsed());
        }
    }
    None
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_at_its_time_unless_it_was_prolonged() {
    // It ends after 300 seconds, and its token with it.
    let setup = Setup { session_seconds: 300, ..Setup::SIGNED_IN };
    let mut rig = signed_in(setup).await;
    let ended = until_nobody(&mut rig, 400).await.expect("it ends");
    assert!((297..300).contains(&ended.as_secs()), "before the deployment finds out, and not much: {ended:?}");
    let mut rig = signed_in(setup).await;
    rig.world.hold(Store::Lives(3_000));
    assert_eq!(until_nobody(&mut rig, 600).await, None, "nobody told of it, and it was read again");
    assert!(rig.world.told().contains(&Told::Renewed));
}

#[tokio::test(start_paused = true)]
async fn a_clients_token_lives_as_long_as_its_session() {
    let mut rig = Setup { session_seconds: 300, ..Setup::ANONYMOUS }.start();
    rig.client.text(&authenticate(0, "of-the-session")).await;
    rig.upstream.next_text().await;
    let start = Instant::now();
    rig.world.hold(Store::Lives(500));
    while start.elapsed() < Duration::from_secs(310) {
        rig.upstream.send(PING, b"").await;
        rig.client.send(PONG, b"").await;
        if let Ok(got) = timeout(Duration::from_secs(5), rig.client.next()).await {
            assert_eq!(got, Got::Ping(Vec::new()));
        }
    }
    rig.world.hold(Store::Ended);
    loop {
        rig.upstream.send(PING, b"").await;
        rig.client.send(PONG, b"").await;
        match timeout(Duration::from_secs(5), rig.client.next()).await {
            Ok(Got::Ping(_)) | Err(_) => {}
            Ok(got) => break assert!(matches!(got, Got::Text(text) if text.contains("AuthError"))),
        }
        assert!(start.elapsed() < Duration::from_secs(1_000), "it was to end");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_cannot_be_read_is_tried_again_and_then_closes_the_socket() {
    let mut rig = signed_in(Setup::SIGNED_IN).await;
    let (start, reads) = (Instant::now(), rig.world.reads());
    rig.world.write(Store::Fails);
    let words = last_words(&mut rig).await;
    assert_eq!(words, [Got::Close(Some(1013), "SessionUnknown".to_owned())], "never as nobody");
    assert!(start.elapsed() < A_SECOND, "{:?}", start.elapsed());
    assert!(rig.world.reads() - reads >= 3, "{}", rig.world.reads() - reads);
    assert_eq!(rig.world.told(), [Told::Unknown]);
    assert_eq!(rig.upstream.next().await, Got::Close(Some(1001), String::new()));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_can_be_read_again_in_time_is_kept() {
    let mut rig = signed_in(Setup::SIGNED_IN).await;
    rig.world.write(Store::Fails);
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.world.hold(Store::Lives(100_000));
    rig.client.hears_nothing().await;
    tokio::time::sleep(A_SECOND).await;
    rig.client.hears_nothing().await;
    rig.upstream.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_not_answered_counts_as_none() {
    for mut rig in [signed_in(Setup::SIGNED_IN).await, shown().await] {
        let start = Instant::now();
        rig.world.write(Store::Hangs);
        let words = last_words(&mut rig).await;
        assert_eq!(words, [Got::Close(Some(1013), "SessionUnknown".to_owned())]);
        assert!(start.elapsed() < A_SECOND, "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_during_a_read_has_the_session_read_once_more() {
    let mut rig = signed_in(Setup::SIGNED_IN).await;
    rig.world.write(Store::Fails);
    tokio::time::sleep(Duration::from_millis(120)).await;
    rig.world.write(Store::Lives(100_000));
    rig.client.hears_nothing().await;
    rig.world.write(Store::Ended);
    assert_eq!(rig.upstream.json().await["tokenType"], "None");
}

#[tokio::test(start_paused = true)]
async fn a_write_during_a_slow_read_counts_from_when_it_was_made() {
    let mut rig = signed_in(Setup::SIGNED_IN).await;
    rig.world.write(Store::Slow(Duration::from_millis(600)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    // The answer that is on its way is from before; the one after it would come too late.
    rig.world.write(Store::Slow(Duration::from_millis(600)));
    let words = last_words(&mut rig).await;
    assert_eq!(words, [Got::Close(Some(1013), "SessionUnknown".to_owned())]);
    assert!(start.elapsed() < A_SECOND, "{:?}", start.elapsed());
}
