//! A whole small life, against the embedded deployment.

use serde_json::json;

use crate::common::{World, post};

#[tokio::test]
async fn a_session_lives_from_sign_in_to_sign_out() {
    let world = World::new().await;
    let (user_id, token) = world.sign_in("ada@example.com").await;

    let whoami = json!({ "path": "demo:whoami", "args": {} });
    let nobody = post(world.public, "/api/query").json(&whoami).send().await.ok();
    assert_eq!(nobody["value"], json!(null));
    let ada = post(world.public, "/api/query").cookie(&token).json(&whoami).send().await.ok();
    assert_eq!(ada["value"]["subject"], json!(user_id));

    let minted = post(world.public, "/auth/token").cookie(&token).send().await.ok();
    let bearer = format!("Bearer {}", minted["token"].as_str().unwrap());
    let ada = post(world.public, "/api/query").header("authorization", &bearer).json(&whoami).send().await.ok();
    assert_eq!(ada["value"]["subject"], json!(user_id));

    let gone = post(world.adapter, "/adapter/deleteSession").json(&json!({ "sessionToken": token })).send().await.ok();
    assert_eq!(gone["userId"], json!(user_id));
    let nobody = post(world.public, "/api/query").cookie(&token).json(&whoami).send().await.ok();
    assert_eq!(nobody["value"], json!(null));
    let refused = post(world.public, "/api/query").header("authorization", &bearer).json(&whoami).send().await;
    assert_eq!(refused.refusal(), (401, "SessionEnded".to_owned()));
    assert_eq!(post(world.public, "/auth/token").cookie(&token).send().await.refusal(), (401, "NoSession".to_owned()));
    assert!(world.stop().await);
}
