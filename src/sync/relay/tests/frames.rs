//! RFC 6455, sections 5, 7 and 8.1, case by case.

use super::{
    peer::{CLOSE, Got, PING, PONG, TEXT, frame},
    rig::{CONNECT, Rig, mutation},
};

/// What client and deployment are told when frames are wrong.
async fn fails(mut rig: Rig, code: u16, reason: &str) {
    assert_eq!(rig.client.next().await, Got::Close(Some(code), reason.to_owned()));
    assert_eq!(rig.upstream.next().await, Got::Close(Some(1001), String::new()));
}

/// A message of so many bytes, that passes as it stands.
fn of_bytes(bytes: usize) -> String {
    let frame = r#"{"type":"Mutation","requestId":0,"udfPath":"a:b","args":[""]}"#;
    frame.replace(r#""""#, &format!("\"{}\"", "e".repeat(bytes - frame.len())))
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_4_a_text_in_pieces_is_one_message() {
    let mut rig = Rig::anonymous();
    let (first, last) = CONNECT.split_at(20);
    rig.client.send(0x01, first.as_bytes()).await;
    for piece in [b"".as_slice(), b""] {
        rig.client.send(0x00, piece).await;
    }
    rig.upstream.hears_nothing().await;
    rig.client.send(0x00, last.as_bytes()).await;
    rig.client.send(0x80, b"").await;
    assert_eq!(rig.upstream.next_text().await, CONNECT);
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_4_a_character_may_stand_in_two_pieces() {
    let mut rig = Rig::anonymous();
    let text = r#"{"type":"Event","eventType":"ü","event":"𝄞"}"#;
    for (index, byte) in text.bytes().enumerate() {
        let opcode = if index == 0 { 0x01 } else { 0x00 };
        rig.client.send(opcode, &[byte]).await;
    }
    rig.client.send(0x80, b"").await;
    assert_eq!(rig.upstream.next_text().await, text);
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_4_control_frames_stand_between_pieces_and_are_answered_there() {
    let mut rig = Rig::anonymous();
    let (first, last) = CONNECT.split_at(20);
    rig.client.send(0x01, first.as_bytes()).await;
    rig.client.send(PING, b"between").await;
    assert_eq!(rig.client.next().await, Got::Pong(b"between".to_vec()));
    rig.client.send(PONG, b"unasked").await;
    rig.client.send(0x80, last.as_bytes()).await;
    assert_eq!(rig.upstream.next_text().await, CONNECT);
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_4_pieces_in_a_wrong_order_fail_the_connection() {
    for frames in [
        // A piece without a beginning, also behind a message that is over.
        vec![(0x80, "x")],
        vec![(0x00, "x")],
        vec![(TEXT, CONNECT), (0x80, "x")],
        // A message within a message.
        vec![(0x01, "{"), (TEXT, "{}")],
        vec![(0x01, "{"), (0x00, ""), (0x01, "x")],
    ] {
        let mut rig = Rig::anonymous();
        for (opcode, payload) in &frames {
            rig.client.send(*opcode, payload.as_bytes()).await;
        }
        if frames[0].0 == TEXT {
            assert_eq!(rig.upstream.next_text().await, CONNECT);
        }
        fails(rig, 1002, "InvalidFragment").await;
    }
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_2_reserved_bits_and_opcodes_fail_the_connection() {
    for first in [0xC1, 0xA1, 0x91, 0x83, 0x87, 0x8B, 0x8F] {
        let mut rig = Rig::anonymous();
        rig.client.send(first, b"{}").await;
        fails(rig, 1002, "InvalidFrame").await;
    }
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_1_a_client_masks_and_a_server_does_not() {
    let mut rig = Rig::anonymous();
    rig.client.raw(&frame(TEXT, CONNECT.as_bytes(), None)).await;
    fails(rig, 1002, "InvalidFrame").await;
    let mut rig = Rig::anonymous();
    rig.upstream.raw(&frame(TEXT, b"{}", Some([1, 2, 3, 4]))).await;
    // Nothing of that is the client's doing.
    fails(rig, 1011, "UpstreamUnreadable").await;
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_2_a_length_has_its_shortest_form() {
    for bytes in [
        [0x81, 0xFE, 0, 125, 0, 0].as_slice(),
        &[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 255, 255],
        &[0x81, 0xFF, 128, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let mut rig = Rig::anonymous();
        rig.client.raw(bytes).await;
        fails(rig, 1002, "InvalidFrame").await;
    }
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_2_every_form_of_a_length_passes_in_both_directions() {
    for bytes in [125, 126, 127, 65_535, 65_536, 65_537] {
        let mut rig = Rig::anonymous();
        let text = of_bytes(bytes);
        rig.client.text(&text).await;
        assert_eq!(rig.upstream.next_text().await, text, "{bytes}");
        rig.upstream.text(&text).await;
        assert_eq!(rig.client.next_text().await, text, "{bytes}");
    }
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_5_a_control_frame_is_whole_and_short() {
    for bytes in [[0x09, 0x80, 0, 0, 0, 0].as_slice(), &[0x08, 0x80, 0, 0, 0, 0], &[0x89, 0xFE, 0, 126, 0, 0, 0, 0]] {
        let mut rig = Rig::anonymous();
        rig.client.raw(bytes).await;
        fails(rig, 1002, "InvalidFrame").await;
    }
    let mut rig = Rig::anonymous();
    rig.client.send(PING, &[b'p'; 125]).await;
    assert_eq!(rig.client.next().await, Got::Pong(vec![b'p'; 125]));
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_5_2_a_ping_is_answered_with_its_payload_by_the_relay_itself() {
    let mut rig = Rig::anonymous();
    for payload in [b"".as_slice(), b"\x00\xFF", b"p"] {
        rig.client.send(PING, payload).await;
        assert_eq!(rig.client.next().await, Got::Pong(payload.to_vec()));
        rig.upstream.send(PING, payload).await;
        assert_eq!(rig.upstream.next().await, Got::Pong(payload.to_vec()));
    }
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_5_2_pings_are_answered_while_a_large_message_is_half_through() {
    let mut rig = Rig::anonymous();
    let text = of_bytes(300_000);
    let bytes = rig.client.frame(TEXT, text.as_bytes());
    let down = rig.upstream.frame(TEXT, text.as_bytes());
    // Half of one to the client: what the deployment asks is answered, and what the client asks as soon as its frame is over.
    rig.upstream.raw(&down[..150_000]).await;
    rig.client.read_at_least(150_000).await;
    rig.client.send(PING, b"mine").await;
    rig.client.raw(&bytes[..150_000]).await;
    rig.upstream.raw(&down[150_000..]).await;
    rig.upstream.send(PING, b"its").await;
    assert_eq!(rig.upstream.next().await, Got::Pong(b"its".to_vec()));
    assert_eq!(rig.client.next_text().await, text);
    assert_eq!(rig.client.next().await, Got::Pong(b"mine".to_vec()));
    // Half of one from the client: both are answered.
    rig.upstream.send(PING, b"again").await;
    assert_eq!(rig.upstream.next().await, Got::Pong(b"again".to_vec()));
    rig.client.raw(&bytes[150_000..]).await;
    assert_eq!(rig.upstream.next_text().await, text);
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_5_3_a_pong_that_nobody_asked_for_is_ignored() {
    let mut rig = Rig::anonymous();
    rig.client.send(PONG, b"x").await;
    rig.upstream.send(PONG, b"y").await;
    rig.client.hears_nothing().await;
    rig.upstream.hears_nothing().await;
    rig.client.text(CONNECT).await;
    assert_eq!(rig.upstream.next_text().await, CONNECT);
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_5_1_a_close_that_is_none_fails_the_connection() {
    let reserved = [0_u16, 999, 1004, 1005, 1006, 1015, 2999, 5000].map(|code| code.to_be_bytes().to_vec());
    for payload in reserved.into_iter().chain([b"\x03".to_vec(), b"\x03\xE8\xFF\xFE".to_vec()]) {
        let mut rig = Rig::anonymous();
        rig.client.send(CLOSE, &payload).await;
        fails(rig, 1002, "InvalidClose").await;
        let mut rig = Rig::anonymous();
        rig.upstream.send(CLOSE, &payload).await;
        fails(rig, 1011, "UpstreamUnreadable").await;
    }
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_5_1_nothing_is_looked_at_behind_a_close() {
    let mut rig = Rig::anonymous();
    let frames = [
        rig.client.frame(TEXT, CONNECT.as_bytes()),
        rig.client.frame(CLOSE, &[3, 232]),
        rig.client.frame(TEXT, mutation(1, "a:b", "{}").as_bytes()),
        vec![0xFF; 10],
    ];
    rig.client.raw(&frames.concat()).await;
    assert_eq!(rig.upstream.next_text().await, CONNECT);
    assert_eq!(rig.upstream.next().await, Got::Close(Some(1000), String::new()));
    assert_eq!(rig.client.next().await, Got::Close(Some(1000), String::new()));
    rig.upstream.close(1000, "").await;
    assert_eq!(rig.upstream.next().await, Got::End);
    assert_eq!(rig.client.next().await, Got::End);
    let mut rig = Rig::anonymous();
    let frames = [rig.upstream.frame(CLOSE, &[3, 232]), rig.upstream.frame(TEXT, b"{}")];
    rig.upstream.raw(&frames.concat()).await;
    assert_eq!(rig.client.next().await, Got::Close(Some(1000), String::new()));
    rig.client.close(1000, "").await;
    assert_eq!(rig.client.next().await, Got::End);
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_2_frames_may_come_byte_by_byte() {
    let mut rig = Rig::anonymous();
    let mut up = rig.client.frame(TEXT, CONNECT.as_bytes());
    up.extend(rig.client.frame(PING, b"ping"));
    up.extend(rig.client.frame(TEXT, of_bytes(300).as_bytes()));
    for byte in up {
        rig.client.raw(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.upstream.next_text().await, CONNECT);
    assert_eq!(rig.upstream.next_text().await, of_bytes(300));
    assert_eq!(rig.client.next().await, Got::Pong(b"ping".to_vec()));
    let mut down = rig.upstream.frame(TEXT, of_bytes(300).as_bytes());
    down.extend(rig.upstream.frame(TEXT, of_bytes(3_000).as_bytes()));
    for byte in down {
        rig.upstream.raw(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.client.next_text().await, of_bytes(300));
    assert_eq!(rig.client.next_text().await, of_bytes(3_000));
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_5_2_ten_frames_may_come_at_once() {
    let mut rig = Rig::anonymous();
    let texts: Vec<String> = (0..10).map(|number| of_bytes(100 + number)).collect();
    let up: Vec<u8> = texts.iter().flat_map(|text| rig.client.frame(TEXT, text.as_bytes())).collect();
    rig.client.raw(&up).await;
    let down: Vec<u8> = texts.iter().flat_map(|text| rig.upstream.frame(TEXT, text.as_bytes())).collect();
    rig.upstream.raw(&down).await;
    for text in texts {
        assert_eq!(rig.upstream.next_text().await, text);
        assert_eq!(rig.client.next_text().await, text);
    }
}

#[tokio::test(start_paused = true)]
async fn rule_13_a_message_of_bytes_ends_the_connection() {
    for frames in [vec![(0x82, "{}")], vec![(0x02, "{}")]] {
        let mut rig = Rig::anonymous();
        for (opcode, payload) in frames {
            rig.client.send(opcode, payload.as_bytes()).await;
        }
        fails(rig, 1003, "BinaryMessage").await;
    }
    let mut rig = Rig::anonymous();
    rig.upstream.send(0x82, b"{}").await;
    fails(rig, 1011, "UpstreamUnreadable").await;
}

#[tokio::test(start_paused = true)]
async fn rfc_6455_8_1_a_text_is_utf_8() {
    for payload in [b"\xFF".as_slice(), b"{\"type\":\"\xC3\"}", b"\xED\xA0\x80"] {
        let mut rig = Rig::anonymous();
        rig.client.send(TEXT, payload).await;
        fails(rig, 1007, "InvalidUtf8").await;
    }
    let mut rig = Rig::anonymous();
    rig.client.send(0x01, b"\xC3").await;
    rig.client.send(0x80, b"").await;
    fails(rig, 1007, "InvalidUtf8").await;
}
