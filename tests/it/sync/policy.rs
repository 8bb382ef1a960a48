use serde_json::{Value, json};

use crate::common::{
    SECRET, SPELLINGS, World, get,
    socket::{action, add, modify, mutation, remove, socket},
};

/// All that names the adapter's module: every spelling of a function, its default export, and what it does not have.
fn spellings() -> impl Iterator<Item = &'static str> {
    SPELLINGS.into_iter().chain(["authAdapter", "authAdapter:whatever"])
}

/// Whether a response or a modification tells of a refusal with that code.
fn is_refused(told: &Value, code: &str) -> bool {
    let sentence = if told["type"] == "QueryFailed" { &told["errorMessage"] } else { &told["result"] };
    sentence.as_str().is_some_and(|sentence| sentence.starts_with(&format!("{code}: ")))
}

fn went_up(world: &World) -> String {
    let seen = world.deployment.as_ref().unwrap().sync_messages();
    seen.into_iter().map(|seen| seen.text).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn rule_17_a_refused_call_is_answered_and_the_client_lives_on() {
    let world = World::new().await;
    let mut client = socket(world.public).connect().await;
    for (number, path) in (0..).zip(spellings()) {
        for (kind, call) in
            [("Mutation", mutation(number, path, &json!({}))), ("Action", action(number, path, &json!({})))]
        {
            client.say(&call).await;
            let response = client.next_of(&format!("{kind}Response")).await;
            assert_eq!(response["requestId"], json!(number), "{path}");
            assert_eq!(response["success"], json!(false), "{path}");
            assert_eq!(response["logLines"], json!([]));
            assert!(is_refused(&response, "AdapterForbidden"), "{response}");
            assert_eq!(response.get("ts"), (kind == "Mutation").then_some(&Value::Null));
        }
    }
    client.say(&action(99, "demo:ping", &json!({}))).await;
    assert_eq!(client.next_of("ActionResponse").await["result"], json!("pong"));
    assert!(!went_up(&world).contains("authAdapter"));
    let refusals = world.metric(r#"convex_auth_proxy_refusals_total{reason="AdapterForbidden"}"#).await;
    assert_eq!(refusals, 2.0 * spellings().count() as f64);
}

#[tokio::test]
async fn rules_17_and_18_a_refused_query_fails_and_can_be_taken_back() {
    let world = World::new().await;
    let mut client = socket(world.public).connect().await;
    let mut adds: Vec<Value> = (0..).zip(spellings()).map(|(number, path)| add(number, path, &json!({}))).collect();
    adds.push(add(50, "demo:list", &json!({})));
    client.say(&modify(0, &adds)).await;
    let transition = client.next_of("Transition").await;
    assert_eq!(transition["endVersion"]["querySet"], json!(1));
    let modifications = transition["modifications"].as_array().unwrap();
    for number in 0..spellings().count() {
        let failed = modifications.iter().find(|one| one["queryId"] == json!(number)).unwrap();
        assert_eq!(failed["type"], json!("QueryFailed"));
        assert_eq!((&failed["logLines"], &failed["journal"]), (&json!([]), &json!(null)));
        assert!(is_refused(failed, "AdapterForbidden"), "{failed}");
    }
    assert!(modifications.iter().any(|one| one["queryId"] == json!(50) && one["type"] == "QueryUpdated"));
    // All of its changes were refused ones: the deployment counts the version all the same.
    client.say(&modify(1, &[remove(0), remove(1)])).await;
    let transition = client.next_of("Transition").await;
    assert_eq!(transition["endVersion"]["querySet"], json!(2));
    assert_eq!(transition["modifications"].as_array().map(Vec::len), Some(2));
    assert_eq!(transition["modifications"][0]["type"], json!("QueryRemoved"));
    client.say(&modify(2, &[remove(50), add(51, "demo:whoami", &json!({}))])).await;
    assert_eq!(client.next_result(51).await, json!(null));
    assert!(!went_up(&world).contains("authAdapter"));
}

#[tokio::test]
async fn rule_12_a_component_path_is_refused_for_that_call_alone() {
    let world = World::new().await;
    let mut client = socket(world.public).connect().await;
    for component in [json!(""), json!("child"), json!("authAdapter"), json!(5)] {
        for path in ["demo:send", "authAdapter:getUser"] {
            let mut call = mutation(1, path, &json!({ "body": "x" }));
            call["componentPath"] = component.clone();
            client.say(&call).await;
            let response = client.next_of("MutationResponse").await;
            assert_eq!(response["success"], json!(false), "{component}");
            assert!(is_refused(&response, "BadJsonBody"), "{response}");
        }
    }
    let mut query = add(0, "demo:list", &json!({}));
    query["componentPath"] = json!("");
    client.say(&modify(0, &[query])).await;
    assert_eq!(client.next_result(0).await["type"], json!("QueryFailed"));
    let mut call = mutation(2, "demo:send", &json!({ "body": "x" }));
    call["componentPath"] = json!(null);
    client.say(&call).await;
    assert_eq!(client.next_of("MutationResponse").await["success"], json!(true), "null is none");
    assert!(!went_up(&world).contains("componentPath"));
}

#[tokio::test]
async fn rules_4_and_19_a_path_that_does_not_parse_fails_for_that_call_alone() {
    let world = World::new().await;
    let mut client = socket(world.public).connect().await;
    for path in
        ["./authAdapter:x", "authAdapter::x", "ａuthAdapter:x", "", "x/../authAdapter:x", &"\u{fffc}".repeat(40)]
    {
        client.say(&mutation(1, path, &json!({}))).await;
        let response = client.next_of("MutationResponse").await;
        assert!(is_refused(&response, "InvalidFunctionPath"), "{path:?}");
    }
    client.say(&modify(0, &[add(0, "a b", &json!({})), json!({ "type": "Add", "queryId": 1 })])).await;
    let transition = client.next_of("Transition").await;
    let kinds: Vec<_> = transition["modifications"].as_array().unwrap().iter().map(|one| &one["type"]).collect();
    assert_eq!(kinds, ["QueryFailed", "QueryFailed"]);
    assert!(went_up(&world).lines().all(|line| !line.contains("Mutation")));
}

#[tokio::test]
async fn an_adapter_call_with_the_right_secret_passes_and_a_wrong_one_is_counted() {
    let world = World::new().await;
    let mut client = socket(world.public).connect().await;
    let user = json!({ "secret": SECRET, "user": { "email": "ada@example.com", "name": null, "emailVerified": "2026-01-01T00:00:00.000Z" } });
    client.say(&mutation(1, "authAdapter:createUser", &user)).await;
    let created = client.next_of("MutationResponse").await;
    assert_eq!(created["success"], json!(true), "{created}");
    let up = went_up(&world);
    assert!(
        up.contains(r#""emailVerified":1767225600000"#) && !up.contains("null,\"emailVerified"),
        "the codec applies: {up}"
    );
    client
        .say(&modify(0, &[add(0, "authAdapter:getUser", &json!({ "secret": SECRET, "id": created["result"] }))]))
        .await;
    assert_eq!(client.next_result(0).await["email"], json!("ada@example.com"));
    for attempt in 0..22 {
        client.say(&mutation(10 + attempt, "authAdapter:createUser", &json!({ "secret": "wrong" }))).await;
        let code = if attempt < 20 { "AdapterForbidden" } else { "AdapterThrottled" };
        assert!(is_refused(&client.next_of("MutationResponse").await, code), "{attempt}");
    }
    let denying = World::with(&[("ADAPTER__ON_PUBLIC", "deny")]).await;
    let mut client = socket(denying.public).connect().await;
    client.say(&mutation(1, "authAdapter:createUser", &json!({ "secret": SECRET }))).await;
    assert!(is_refused(&client.next_of("MutationResponse").await, "AdapterForbidden"));
}

#[tokio::test]
async fn on_the_adapter_listener_the_secret_is_added_and_never_comes_back() {
    let world = World::new().await;
    let mut client = socket(world.adapter).connect().await;
    client.say(&mutation(1, "authAdapter:createUser", &json!({ "user": { "email": "ada@example.com" } }))).await;
    assert_eq!(client.next_of("MutationResponse").await["success"], json!(true));
    // An argument that does not fit: the deployment prints all of them.
    client.say(&mutation(2, "authAdapter:createUser", &json!({ "user": { "email": "a@b.c" }, "more": 1 }))).await;
    let failed = client.next_of("MutationResponse").await;
    assert!(
        failed["result"].as_str().unwrap().contains("[secret]") && !failed.to_string().contains(SECRET),
        "{failed}"
    );
    client.say(&modify(0, &[add(0, "authAdapter:getUser", &json!({ "more": 1 }))])).await;
    let failed = client.next_result(0).await;
    assert!(failed.to_string().contains("[secret]") && !failed.to_string().contains(SECRET), "{failed}");
    let browser = socket(world.adapter).header("origin", "http://localhost:3000");
    assert_eq!(browser.try_open().await.err(), Some(403));
    assert_eq!(get(world.adapter, "/api/sync").send().await.status, 426);
}

#[tokio::test]
async fn a_write_over_the_socket_makes_kept_sessions_untrue() {
    let world = World::with(&[("CACHE__TTL", "1h")]).await;
    let (user_id, token) = world.sign_in("ada@example.com").await;
    let read = async || {
        let argument = json!({ "sessionToken": token, "secret": SECRET });
        world.call(world.adapter, "query", "authAdapter:getSessionAndUser", argument).await.ok()["value"].clone()
    };
    assert_eq!(read().await["user"]["name"], json!("Ada"));
    assert_eq!(read().await["user"]["name"], json!("Ada"));
    assert_eq!(world.calls("authAdapter:getSessionAndUser"), 1, "from memory");
    let mut client = socket(world.adapter).connect().await;
    client.say(&mutation(1, "authAdapter:updateUser", &json!({ "user": { "id": user_id, "name": "Lovelace" } }))).await;
    assert_eq!(client.next_of("MutationResponse").await["success"], json!(true));
    assert_eq!(read().await["user"]["name"], json!("Lovelace"), "by the time that the client knows");
}
