//! Calls of adapter functions with the secret: written for Convex, watched, and answered without it.

use serde_json::json;

use super::rig::{Rig, SECRET, UPDATED, add, modify, mutation, transition};

fn with_secret(args: &str) -> String {
    format!(r#"{{"secret":"{SECRET}",{args}}}"#)
}

#[tokio::test(start_paused = true)]
async fn the_codec_is_applied_to_a_call_with_the_secret() {
    let mut rig = Rig::anonymous();
    let user = r#""user":{"email":"a@b.c","emailVerified":"2026-11-25T00:00:00.000Z","name":null}"#;
    rig.client.text(&mutation(1, "authAdapter:createUser", &with_secret(user))).await;
    let sent = rig.upstream.json().await;
    assert_eq!(sent["args"][0]["secret"], SECRET);
    assert_eq!(sent["args"][0]["user"], json!({ "email": "a@b.c", "emailVerified": 1_795_564_800_000_i64 }));
    rig.client.text(&modify(0, &add(0, "authAdapter:getUser").replace("{}", &with_secret(r#""id":"u""#)))).await;
    let sent = rig.upstream.json().await;
    assert_eq!(sent["modifications"][0]["udfPath"], "authAdapter:getUser");
    // What the codec cannot write is refused for that call.
    let bad = r#""user":{"emailVerified":"some day"}"#;
    rig.client.text(&mutation(2, "authAdapter:createUser", &with_secret(bad))).await;
    assert_eq!(rig.client.json().await["success"], false);
    rig.upstream.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_is_refused() {
    let mut rig = Rig::anonymous();
    rig.client.text(&mutation(1, "authAdapter:getUser", r#"{"secret":"wrong","id":"u"}"#)).await;
    assert_eq!(rig.client.json().await["success"], false);
    rig.upstream.hears_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn a_write_is_under_way_until_its_response() {
    let mut rig = Rig::anonymous();
    let key = rig.world.session().key;
    let is_quiet =
        |rig: &Rig| rig.world.writes.is_true(rig.world.writes.stamp(), &key, rig.world.writes.place_of_user("user-1"));
    assert!(is_quiet(&rig));
    for id in [1, 2] {
        rig.client.text(&mutation(id, "authAdapter:deleteUser", &with_secret(r#""id":"user-1""#))).await;
        rig.upstream.next_text().await;
    }
    let response = |id: u32| {
        format!(
            r#"{{"type":"MutationResponse","requestId":{id},"success":true,"result":null,"ts":"AQAAAAAAAAA=","logLines":[]}}"#
        )
    };
    for (id, quiet) in [(1, false), (2, true)] {
        assert!(!is_quiet(&rig));
        rig.upstream.text(&response(id)).await;
        rig.client.next_text().await;
        assert_eq!(is_quiet(&rig), quiet);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_socket_ends_is_under_way_for_as_long_as_it_may_happen() {
    let mut rig = Rig::anonymous();
    let (world, key) = (std::sync::Arc::clone(&rig.world), rig.world.session().key);
    rig.client.text(&mutation(1, "authAdapter:deleteUser", &with_secret(r#""id":"user-1""#))).await;
    rig.upstream.next_text().await;
    rig.client.close(1000, "").await;
    rig.report().await;
    assert!(!world.writes.is_true(world.writes.stamp(), &key, world.writes.place_of_user("user-1")));
    tokio::time::sleep(std::time::Duration::from_secs(61)).await;
    assert!(world.writes.is_true(world.writes.stamp(), &key, world.writes.place_of_user("user-1")));
}

#[tokio::test(start_paused = true)]
async fn the_secret_does_not_come_back_in_any_kind_of_answer() {
    let mut rig = Rig::anonymous();
    rig.client.text(&mutation(1, "authAdapter:getUser", &with_secret(r#""id":"u""#))).await;
    rig.upstream.next_text().await;
    let long = "l".repeat(100_000);
    let failed = format!(
        r#"{{"type":"QueryFailed","queryId":0,"errorMessage":"{long} {SECRET}","logLines":[],"journal":null}}"#
    );
    for text in [
        format!(
            r#"{{"type":"MutationResponse","requestId":1,"success":false,"result":"bad: {SECRET}","ts":null,"logLines":[]}}"#
        ),
        format!(
            r#"{{"type":"MutationResponse","requestId":2,"success":false,"result":"{long} {SECRET}","ts":null,"logLines":[]}}"#
        ),
        transition((0, 0, 0), (0, 0, 1), &failed),
    ] {
        rig.upstream.text(&text).await;
        assert!(rig.client.next_text().await == text.replace(SECRET, "[redacted]"));
    }
    // It does not keep what follows from passing.
    rig.upstream.text(&transition((0, 0, 1), (0, 0, 2), UPDATED)).await;
    assert_eq!(rig.client.next_text().await, transition((0, 0, 1), (0, 0, 2), UPDATED));
}

#[tokio::test(start_paused = true)]
async fn the_secret_does_not_come_back_in_pieces_of_a_transition() {
    let mut rig = Rig::anonymous();
    rig.client.text(&mutation(1, "authAdapter:getUser", &with_secret(r#""id":"u""#))).await;
    rig.upstream.next_text().await;
    let text = transition((0, 0, 0), (0, 0, 1), &UPDATED.replace("1.0", &format!("\"{SECRET}\"")));
    // The seam runs through the middle of the secret.
    let (first, second) = text.split_at(text.find(SECRET).unwrap() + SECRET.len() / 2);
    for (number, part) in [first, second].iter().enumerate() {
        let part = serde_json::to_string(part).unwrap();
        rig.upstream
            .text(&format!(
                r#"{{"type":"TransitionChunk","chunk":{part},"partNumber":{number},"totalParts":2,"transitionId":"t"}}"#
            ))
            .await;
    }
    let mut told = String::new();
    while !told.contains("serverTs") {
        let message = rig.client.json().await;
        told.push_str(message["chunk"].as_str().unwrap_or(&message.to_string()));
    }
    assert!(!told.contains(SECRET), "{told}");
}
