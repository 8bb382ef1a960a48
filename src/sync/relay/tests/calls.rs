//! Calls that are refused: an answer within the protocol, and a client that lives on.

use serde_json::{Value, json};

use super::{
    peer::Got,
    rig::{CONNECT, Rig, UPDATED, add, modify, mutation, remove, transition},
};
use crate::error::Rejection;

#[tokio::test(start_paused = true)]
async fn rule_17_a_refused_call_is_answered_as_a_failed_one_and_nothing_goes_up() {
    for (path, code) in [
        ("authAdapter:getUser", "AdapterForbidden"),
        ("authAdapter.js/.:getUser", "AdapterForbidden"),
        ("authAdapter", "AdapterForbidden"),
        ("./authAdapter:x", "InvalidFunctionPath"),
    ] {
        for kind in ["Mutation", "Action"] {
            let mut rig = Rig::anonymous();
            rig.client.text(&mutation(7, path, "{}").replace("Mutation", kind)).await;
            let answer = rig.client.json().await;
            let expected = json!({
                "type": format!("{kind}Response"),
                "requestId": 7,
                "success": false,
                "result": answer["result"],
                "logLines": [],
            });
            let sentence = answer["result"].as_str().unwrap();
            assert!(sentence.starts_with(&format!("{code}: ")), "{sentence}");
            let mut rest = answer.clone();
            if kind == "Mutation" {
                assert_eq!(rest.as_object_mut().unwrap().shift_remove("ts"), Some(Value::Null));
            }
            assert_eq!(rest, expected);
            assert_eq!(rig.world.refusals.lock().len(), 1);
            rig.upstream.hears_nothing().await;
            // Rule 19: it lives on.
            rig.client.text(&mutation(8, "a:b", "{}")).await;
            assert_eq!(rig.upstream.json().await["requestId"], 8);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rule_12_a_component_is_refused_for_that_call() {
    let mut rig = Rig::anonymous();
    rig.client.text(&mutation(1, "a:b", "{}").replace(r#""args""#, r#""componentPath":"","args""#)).await;
    assert_eq!(rig.client.json().await["success"], false);
    rig.client.text(&mutation(2, "a:b", "{}").replace(r#""args""#, r#""componentPath":null,"args""#)).await;
    assert_eq!(rig.upstream.next_text().await, mutation(2, "a:b", "{}"));
}

#[tokio::test(start_paused = true)]
async fn rule_3_a_path_goes_up_as_it_was_read_and_arguments_as_they_were_sent() {
    let mut rig = Rig::anonymous();
    let args = r#"{ "n":1.70e12,"z":-0, "big":9007199254740993,"small":1e-320,"s":"\u0041"}"#;
    rig.client.text(&mutation(1, "dir//a.js/.:b", args)).await;
    assert_eq!(rig.upstream.next_text().await, mutation(1, "dir/a:b", args));
}

#[tokio::test(start_paused = true)]
async fn rule_18_a_query_set_goes_up_without_its_refused_queries_and_with_its_versions() {
    let mut rig = Rig::anonymous();
    rig.client.text(&modify(0, &add(4, "authAdapter:getUser"))).await;
    assert_eq!(rig.upstream.next_text().await, modify(0, ""));
    let mixed = [add(5, "a:b"), add(6, "authAdapter:x"), add(7, "a:c")].join(",");
    rig.client.text(&modify(1, &mixed)).await;
    assert_eq!(rig.upstream.next_text().await, modify(1, &[add(5, "a:b"), add(7, "a:c")].join(",")));
    // Rule 17: each is told of in the first transition that knows of its query set, once.
    rig.upstream.text(&transition((0, 0, 0), (1, 0, 1), "")).await;
    let first = rig.client.json().await;
    assert_eq!(first["modifications"].as_array().unwrap().len(), 1);
    assert_eq!(first["modifications"][0]["type"], "QueryFailed");
    assert_eq!(first["modifications"][0]["queryId"], 4);
    rig.upstream.text(&transition((1, 0, 1), (2, 0, 2), UPDATED)).await;
    let second = rig.client.json().await;
    assert_eq!(second["modifications"][0]["queryId"], 6);
    assert_eq!(second["modifications"][1], serde_json::from_str::<Value>(UPDATED).unwrap());
    rig.upstream.text(&transition((2, 0, 2), (2, 0, 3), UPDATED)).await;
    assert_eq!(rig.client.next_text().await, transition((2, 0, 2), (2, 0, 3), UPDATED));
    // What the deployment never heard of is not taken back there.
    rig.client.text(&modify(2, &[remove(4), remove(5)].join(","))).await;
    assert_eq!(rig.upstream.next_text().await, modify(2, &remove(5)));
    rig.upstream.text(&transition((2, 0, 3), (3, 0, 4), "")).await;
    let removed = rig.client.json().await;
    assert_eq!(removed["modifications"], json!([{ "type": "QueryRemoved", "queryId": 4 }]));
}

#[tokio::test(start_paused = true)]
async fn rule_13_what_is_no_message_ends_the_connection_and_never_goes_up() {
    for text in
        ["", "[]", "null", r#"{"type":"Nothing"}"#, r#"{"type":"Mutation","requestId":1.5,"udfPath":"a:b","args":[]}"#]
    {
        let mut rig = Rig::anonymous();
        rig.client.text(CONNECT).await;
        rig.client.text(text).await;
        assert_eq!(rig.upstream.next_text().await, CONNECT);
        assert_eq!(rig.client.next().await, Got::Close(Some(1008), "InvalidMessage".to_owned()), "{text}");
        assert_eq!(rig.upstream.next().await, Got::Close(Some(1001), String::new()));
    }
    let mut rig = Rig::anonymous();
    let bad = modify(0, &[add(1, "a:b"), r#"{"type":"Change"}"#.to_owned()].join(","));
    rig.client.text(&bad).await;
    assert_eq!(rig.client.next().await, Got::Close(Some(1008), "InvalidMessage".to_owned()));
    assert_eq!(rig.upstream.next().await, Got::Close(Some(1001), String::new()), "nor any part of it");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_refused_counts_as_such() {
    let mut rig = Rig::anonymous();
    rig.client.text(&modify(0, &add(0, "authAdapter:getUser"))).await;
    rig.upstream.next_text().await;
    assert_eq!(*rig.world.refusals.lock(), [Rejection::AdapterForbidden]);
    // A number lives once, refused or not.
    rig.client.text(&modify(1, &add(0, "a:b"))).await;
    assert_eq!(rig.client.next().await, Got::Close(Some(1011), "InvalidVersion".to_owned()));
}
