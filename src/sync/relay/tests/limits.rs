//! Sizes: what is just within a bound and what is just beyond, and what is held in memory.

use super::{
    peer::{Got, TEXT, head},
    rig::{CONNECT, Rig, Setup},
};

const MIB: usize = 1 << 20;
/// No mask at all is a mask: what is sent stays what it is, and costs nothing.
const NO_MASK: [u8; 4] = [0; 4];

async fn ends(mut rig: Rig, code: u16, reason: &str) {
    assert_eq!(rig.client.next().await, Got::Close(Some(code), reason.to_owned()));
}

/// Zeros are UTF-8 and no message: that they are looked at shows that so many were taken.
async fn client_sends(rig: &mut Rig, pieces: &[usize]) {
    let zeros = vec![0; 16 * MIB];
    for (index, bytes) in pieces.iter().enumerate() {
        let first = u8::from(index == 0) | if index + 1 == pieces.len() { 0x80 } else { 0 };
        let mut frame = head(first, *bytes as u64, true);
        frame.extend(NO_MASK);
        rig.client.raw(&frame).await;
        if *bytes <= zeros.len() {
            rig.client.raw(&zeros[..*bytes]).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rule_21_a_frame_of_the_client_has_16_mib_at_most() {
    let mut rig = Rig::anonymous();
    client_sends(&mut rig, &[16 * MIB]).await;
    ends(rig, 1008, "InvalidMessage").await;
    let mut rig = Rig::anonymous();
    client_sends(&mut rig, &[16 * MIB + 1]).await;
    ends(rig, 1009, "MessageTooLarge").await;
}

#[tokio::test(start_paused = true)]
async fn rule_21_a_message_of_the_client_has_64_mib_at_most() {
    let mut rig = Rig::anonymous();
    client_sends(&mut rig, &[16 * MIB, 16 * MIB, 16 * MIB, 16 * MIB]).await;
    ends(rig, 1008, "InvalidMessage").await;
    let mut rig = Rig::anonymous();
    let zeros = vec![0; 16 * MIB];
    for index in 0..4 {
        let mut frame = head(u8::from(index == 0), 16 * MIB as u64, true);
        frame.extend(NO_MASK);
        rig.client.raw(&frame).await;
        rig.client.raw(&zeros).await;
    }
    rig.client.send(0x80, b"x").await;
    ends(rig, 1009, "MessageTooLarge").await;
}

#[tokio::test(start_paused = true)]
async fn rule_21_a_message_of_the_deployment_has_128_mib_at_most() {
    let beginning =
        format!(r#"{{"type":"ActionResponse","requestId":1,"success":true,"result":"{}"#, "x".repeat(4_096));
    let mut rig = Rig::anonymous();
    let expected = [head(TEXT, 128 * MIB as u64, false), beginning.clone().into_bytes()].concat();
    rig.upstream.raw(&expected).await;
    assert_eq!(rig.client.read_at_least(expected.len()).await, expected);
    let mut rig = Rig::anonymous();
    rig.upstream.raw(&head(TEXT, 128 * MIB as u64 + 1, false)).await;
    ends(rig, 1011, "UpstreamUnreadable").await;
}

#[tokio::test(start_paused = true)]
async fn rule_21_a_response_of_17_mib_goes_through_as_it_comes() {
    let mut rig = Setup { client_pipe: 4_096, upstream_pipe: 4_096, ..Setup::ANONYMOUS }.start();
    let text = format!(
        r#"{{"type":"MutationResponse","requestId":1,"success":true,"result":"{}","ts":"AQAAAAAAAAA=","logLines":[]}}"#,
        "r".repeat(17 * MIB)
    );
    let frame = rig.upstream.frame(TEXT, text.as_bytes());
    // As long as the client takes nothing, a read's worth is all that is taken of it.
    let sent = rig.upstream.send_what_is_taken(&frame).await;
    assert!(sent < 200 * 1_024, "{sent}");
    let Rig { client, upstream, .. } = &mut rig;
    let (got, ()) = tokio::join!(client.next_text(), upstream.raw(&frame[sent..]));
    assert!(got == text);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_of_a_message_counts_and_has_a_bound() {
    // An eighth is kept free for the app's own server.
    let setup = Setup { buffered_bytes: 800_000, ..Setup::ANONYMOUS };
    let mut rig = setup.start();
    rig.client.send(0x01, &[b' '; 600_000]).await;
    rig.client.hears_nothing().await;
    // But for the first 16 KiB, which may always come.
    assert!(rig.world.has_room_for(216_384) && !rig.world.has_room_for(216_385));
    let world = std::sync::Arc::clone(&rig.world);
    rig.client.send(0x00, &[b' '; 220_000]).await;
    assert_eq!(rig.client.next().await, Got::Close(Some(1013), "TooManyBytesBuffered".to_owned()));
    assert_eq!(rig.upstream.next().await, Got::Close(Some(1001), String::new()));
    rig.report().await;
    assert!(world.has_room_for(800_000), "nothing is held of a socket that is over");
    // The same for what is held of the deployment's: an AuthError is looked at whole.
    let mut rig = setup.start();
    let error = format!(r#"{{"type":"AuthError","error":"{}","baseVersion":0}}"#, "e".repeat(750_000));
    rig.upstream.text(&error).await;
    assert_eq!(rig.client.next().await, Got::Close(Some(1013), "TooManyBytesBuffered".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_came_in_one_piece_is_not_held() {
    let mut rig = Rig::anonymous();
    rig.client.text(CONNECT).await;
    rig.upstream.next_text().await;
    assert!(rig.world.has_room_for(Setup::ANONYMOUS.buffered_bytes));
}
