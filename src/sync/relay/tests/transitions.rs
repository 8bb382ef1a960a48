//! Transitions in pieces: changed where they begin, and never with anything in between but pings.

use serde_json::Value;

use super::{
    peer::{Got, TEXT},
    rig::{Rig, UPDATED, add, modify, mutation, transition},
};

/// A transition in so many pieces of about the same size, as the deployment sends them.
fn pieces(transition: &str, count: usize) -> Vec<String> {
    let size = transition.len().div_ceil(count);
    let parts: Vec<&[u8]> = transition.as_bytes().chunks(size).collect();
    parts
        .iter()
        .enumerate()
        .map(|(number, part)| {
            let part = serde_json::to_string(std::str::from_utf8(part).expect("ASCII")).expect("a string");
            let total = parts.len();
            format!(r#"{{"type":"TransitionChunk","chunk":{part},"partNumber":{number},"totalParts":{total},"transitionId":"t"}}"#)
        })
        .collect()
}

/// What the client puts together from the pieces that come, and what came in between.
async fn put_together(rig: &mut Rig) -> (String, Vec<String>) {
    let (mut text, mut others, mut next) = (String::new(), Vec::new(), 0);
    loop {
        let got = rig.client.next_text().await;
        let message: Value = serde_json::from_str(&got).expect("JSON");
        if message["type"] != "TransitionChunk" {
            others.push(got);
            continue;
        }
        assert_eq!(message["partNumber"], next);
        assert_eq!(message["transitionId"], "t");
        text.push_str(message["chunk"].as_str().expect("a piece"));
        next += 1;
        if message["totalParts"] == next {
            return (text, others);
        }
    }
}

/// A signed-in client with one refused query, whose identity the deployment counts and the client does not.
async fn signed_in() -> Rig {
    let mut rig = Rig::signed_in();
    rig.client.text(&modify(0, &[add(0, "a:b"), add(9, "authAdapter:x")].join(","))).await;
    rig.upstream.next_text().await;
    rig.upstream.next_text().await;
    rig
}

fn large(bytes: usize) -> String {
    UPDATED.replace("1.0", &format!("\"{}\"", "\\\"v".repeat(bytes / 3)))
}

#[tokio::test(start_paused = true)]
async fn rule_20_a_transition_in_pieces_is_changed_in_its_first_one() {
    for (bytes, count) in [(1_000, 3), (20_000, 3), (300_000, 2), (300_000, 5), (300, 1)] {
        let mut rig = signed_in().await;
        let pieces = pieces(&transition((0, 0, 0), (1, 1, 5), &large(bytes)), count);
        for piece in &pieces {
            rig.upstream.text(piece).await;
        }
        let (text, others) = put_together(&mut rig).await;
        assert!(others.is_empty());
        let told: Value = serde_json::from_str(&text).expect("a transition");
        let news = serde_json::to_string(&told["modifications"][0]).unwrap();
        assert_eq!(told["modifications"][0]["queryId"], 9);
        assert!(text == transition((0, 0, 0), (1, 0, 5), &[news, large(bytes)].join(",")), "{bytes} {count}");
        // Rule 15: the next one follows.
        rig.upstream.text(&transition((1, 1, 5), (1, 1, 6), "")).await;
        assert_eq!(rig.client.next_text().await, transition((1, 0, 5), (1, 0, 6), ""));
    }
}

#[tokio::test(start_paused = true)]
async fn rule_20_an_answer_of_the_proxys_waits_until_all_pieces_have_passed() {
    let mut rig = signed_in().await;
    let pieces = pieces(&transition((0, 0, 0), (1, 1, 5), &large(9_000)), 3);
    rig.upstream.text(&pieces[0]).await;
    assert!(rig.client.next_text().await.contains("partNumber\":0"));
    rig.client.text(&mutation(3, "authAdapter:x", "{}")).await;
    rig.client.send(super::peer::PING, b"p").await;
    assert_eq!(rig.client.next().await, Got::Pong(b"p".to_vec()), "a control frame may stand anywhere");
    rig.upstream.text(r#"{"type":"Ping"}"#).await;
    assert_eq!(rig.client.next_text().await, r#"{"type":"Ping"}"#);
    rig.upstream.text(&pieces[1]).await;
    assert!(rig.client.next_text().await.contains("partNumber\":1"));
    rig.client.hears_nothing().await;
    rig.upstream.text(&pieces[2]).await;
    assert!(rig.client.next_text().await.contains("partNumber\":2"));
    assert_eq!(rig.client.json().await["type"], "MutationResponse");
}

#[tokio::test(start_paused = true)]
async fn rule_20_an_answer_of_the_proxys_never_stands_within_a_message() {
    let mut rig = signed_in().await;
    let text = transition((0, 0, 0), (0, 0, 5), &large(100_000));
    let frame = rig.upstream.frame(TEXT, text.as_bytes());
    rig.upstream.raw(&frame[..50_000]).await;
    rig.client.read_at_least(40_000).await;
    rig.client.text(&mutation(3, "authAdapter:x", "{}")).await;
    rig.upstream.hears_nothing().await;
    rig.upstream.raw(&frame[50_000..]).await;
    assert!(rig.client.next_text().await == text);
    assert_eq!(rig.client.json().await["type"], "MutationResponse");
}

#[tokio::test(start_paused = true)]
async fn rule_20_pieces_whose_beginning_does_not_show_the_versions_are_put_together() {
    for count in [2, 3, 6] {
        let mut rig = signed_in().await;
        let text = transition((0, 0, 0), (1, 1, 5), &large(30_000));
        // The members in another order: the versions stand last.
        let (head, rest) = text.split_once(r#""startVersion""#).unwrap();
        let (versions, list) = rest.split_once(r#","modifications""#).unwrap();
        let other = format!(r#"{head}"modifications"{},"startVersion"{versions}}}"#, list.strip_suffix('}').unwrap());
        for piece in pieces(&other, count) {
            rig.upstream.text(&piece).await;
            rig.upstream.text(r#"{"type":"Ping"}"#).await;
        }
        let mut got = rig.client.next_text().await;
        while got == r#"{"type":"Ping"}"# {
            got = rig.client.next_text().await;
        }
        let told: Value = serde_json::from_str(&got).expect("whole");
        assert_eq!(told["type"], "Transition");
        assert_eq!((&told["startVersion"]["identity"], &told["endVersion"]["identity"]), (&0.into(), &0.into()));
        assert_eq!(told["modifications"].as_array().map(Vec::len), Some(2));
        assert_eq!(told["modifications"][1], serde_json::from_str::<Value>(&large(30_000)).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn pieces_in_a_wrong_order_end_the_socket() {
    let all = pieces(&transition((0, 0, 0), (1, 0, 5), &large(9_000)), 3);
    for order in [vec![0, 2], vec![0, 1, 1], vec![0, 0]] {
        let mut rig = Rig::anonymous();
        rig.client.text(&modify(0, "")).await;
        for number in order {
            rig.upstream.text(&all[number]).await;
        }
        let mut got = rig.client.next().await;
        while matches!(got, Got::Text(_)) {
            got = rig.client.next().await;
        }
        assert_eq!(got, Got::Close(Some(1011), "UpstreamUnreadable".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn rule_32_a_value_passes_byte_by_byte_the_same() {
    let mut rig = Rig::anonymous();
    let value = r#"{"a": -0, "b":[9007199254740993,1e-320 , 1.50],"c":"\u0041\/\ud83d\ude00","d":{"":null}}"#;
    for text in [
        transition((0, 0, 0), (0, 0, 1), &UPDATED.replace(r#"{"n":1.0}"#, value)),
        format!(
            r#"{{"type":"MutationResponse","requestId":1,"success":true,"result":{value},"ts":"AQAAAAAAAAA=","logLines":[]}}"#
        ),
        format!(
            r#"{{"type":"ActionResponse","requestId":1,"success":false,"result":"x","errorData":{value},"logLines":[]}}"#
        ),
        format!(r#"{{"type":"Unheard","of":{value}}}"#),
    ] {
        rig.upstream.text(&text).await;
        assert_eq!(rig.client.next_text().await, text);
    }
}
