//! Queries, calls and identities: what a client asks for and is told.

use super::*;

#[tokio::test]
async fn a_query_is_answered_and_pushed_when_somebody_writes() {
    let running = Running::start().await;
    let mut socket = Socket::open(&running).await;
    socket.send(connect()).await;
    socket.modify(0, json!([add(3, "demo:list")])).await;
    let first = socket.expect("Transition").await;
    assert_eq!(first["startVersion"], json!({"querySet": 0, "identity": 0, "ts": "AAAAAAAAAAA="}));
    assert_eq!((&first["endVersion"]["querySet"], &first["endVersion"]["identity"]), (&json!(1), &json!(0)));
    let updated = json!({"type": "QueryUpdated", "queryId": 3, "value": [], "logLines": [], "journal": null});
    assert_eq!(first["modifications"], json!([updated]));
    let skew = first["clientClockSkew"].as_i64().unwrap();
    let nanoseconds = first["serverTs"].as_i64().unwrap();
    assert!((skew + nanoseconds / 1_000_000).abs() < 60_000, "{first}");

    running.call("/api/mutation", "demo:send", json!({"body": "pushed"})).await;
    let second = socket.expect("Transition").await;
    assert_eq!(second["startVersion"], first["endVersion"]);
    assert!(ts(&second["endVersion"]["ts"]) > ts(&first["endVersion"]["ts"]));
    assert_eq!(bodies(&second["modifications"][0]["value"]), ["pushed"]);
    assert_eq!(running.deployment.calls()["demo:list"], 2);
}

#[tokio::test]
async fn a_mutation_is_answered_before_the_transition_that_shows_it() {
    let running = Running::start().await;
    let mut socket = Socket::open(&running).await;
    socket.modify(0, json!([add(0, "demo:list")])).await;
    socket.expect("Transition").await;
    socket.send(mutation(7, "mine")).await;
    let response = socket.expect("MutationResponse").await;
    assert_eq!(
        (&response["requestId"], &response["success"], &response["logLines"]),
        (&json!(7), &json!(true), &json!([]))
    );
    let shown = socket.expect("Transition").await;
    assert_eq!(bodies(&shown["modifications"][0]["value"]), ["mine"]);
    assert!(ts(&shown["endVersion"]["ts"]) >= ts(&response["ts"]));

    socket.send(mutation(8, "")).await;
    let response = socket.expect("MutationResponse").await;
    assert_eq!((&response["success"], &response["ts"]), (&json!(false), &Json::Null));
    assert!(response["result"].as_str().unwrap().ends_with("Uncaught Error: A message has 1 to 1000 characters\n"));
    let empty = socket.expect("Transition").await;
    assert_eq!((&empty["modifications"], &empty["startVersion"]), (&json!([]), &empty["endVersion"]));
}

#[tokio::test]
async fn an_action_is_answered_and_followed_by_a_transition() {
    let running = Running::start().await;
    let mut socket = Socket::open(&running).await;
    socket.send(ping_action(1)).await;
    let response = json!({"type": "ActionResponse", "requestId": 1, "success": true, "result": "pong", "logLines": []});
    assert_eq!(socket.next().await, response);
    socket.expect("Transition").await;
    socket.send(json!({"type": "Action", "requestId": 2, "udfPath": "demo:list", "args": [{}]})).await;
    let response = socket.expect("ActionResponse").await;
    let complaint = response["result"].as_str().unwrap();
    assert!(complaint.contains("Trying to execute demo.js:list as Action"), "{complaint}");
}

#[tokio::test]
async fn convexs_own_client_subscribes_and_gets_the_push() {
    let running = Running::start().await;
    let mut client = ConvexClient::new(&running.address).await.unwrap();
    let mut list = client.subscribe("demo:list", BTreeMap::new()).await.unwrap();
    let Some(FunctionResult::Value(ConvexValue::Array(listed))) = list.next().await else { panic!() };
    assert!(listed.is_empty());
    let body = BTreeMap::from([("body".to_owned(), ConvexValue::from("by the crate"))]);
    let FunctionResult::Value(ConvexValue::String(_)) = client.mutation("demo:send", body).await.unwrap() else {
        panic!()
    };
    let Some(FunctionResult::Value(ConvexValue::Array(listed))) = list.next().await else { panic!() };
    let [ConvexValue::Object(message)] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!(message["body"], ConvexValue::from("by the crate"));
    assert_eq!(client.action("demo:ping", BTreeMap::new()).await.unwrap(), FunctionResult::Value("pong".into()));
    let whoami = client.query("demo:whoami", BTreeMap::new()).await.unwrap();
    assert_eq!(whoami, FunctionResult::Value(ConvexValue::Null));
}

#[tokio::test]
async fn convexs_own_client_signs_in() {
    let running = Running::start().await;
    let key = TestKey::ed25519();
    running.issuer.publish(&[&key]);
    let mut client = ConvexClient::new(&running.address).await.unwrap();
    client.set_auth(Some(key.token(&running.issuer.claims()))).await;
    let whoami = client.query("demo:whoami", BTreeMap::new()).await.unwrap();
    let FunctionResult::Value(ConvexValue::Object(identity)) = whoami else { panic!("{whoami:?}") };
    assert_eq!(identity["subject"], ConvexValue::from("user-1"));
}

#[tokio::test]
async fn an_identity_runs_the_queries_again() {
    let running = Running::start().await;
    let key = TestKey::ed25519();
    running.issuer.publish(&[&key]);
    let mut socket = Socket::open(&running).await;
    socket.modify(0, json!([add(0, "demo:whoami")])).await;
    assert_eq!(socket.next().await["modifications"][0]["value"], Json::Null);
    socket.authenticate(0, &key.token(&running.issuer.claims())).await;
    let signed_in = socket.expect("Transition").await;
    assert_eq!(signed_in["endVersion"]["identity"], 1);
    assert_eq!(signed_in["modifications"][0]["value"]["subject"], "user-1");
    socket.send(json!({"type": "Authenticate", "baseVersion": 1, "tokenType": "None"})).await;
    let signed_out = socket.expect("Transition").await;
    assert_eq!(
        (&signed_out["endVersion"]["identity"], &signed_out["modifications"][0]["value"]),
        (&json!(2), &Json::Null)
    );
}

#[tokio::test]
async fn a_mutation_that_happened_is_answered_from_memory() {
    let running = Running::start().await;
    let mut first = Socket::open(&running).await;
    first.send(connect()).await;
    first.send(mutation(5, "once")).await;
    let response = first.expect("MutationResponse").await;
    let mut second = Socket::open(&running).await;
    second.send(connect()).await;
    second.send(json!({"type": "Mutation", "requestId": 5, "udfPath": "nobody:knows", "args": "it"})).await;
    assert_eq!(second.next().await, response, "neither path nor arguments are looked at");
    second.expect("Transition").await;
    let mut stranger = Socket::open(&running).await;
    stranger.send(mutation(5, "again")).await;
    assert_ne!(stranger.expect("MutationResponse").await["result"], response["result"], "no session, no memory");
    assert_eq!(running.deployment.calls()["demo:send"], 2);
}

#[tokio::test]
async fn components_are_for_administrators_but_for_the_root() {
    let running = Running::start().await;
    let mut socket = Socket::open(&running).await;
    let with = |mut message: Json, component: &str| {
        message["componentPath"] = json!(component);
        message
    };
    socket.send(with(mutation(0, "root"), "")).await;
    assert_eq!(socket.expect("MutationResponse").await["success"], true);
    socket.expect("Transition").await;
    socket.send(with(mutation(1, "child"), "child")).await;
    let refused = socket.expect("MutationResponse").await;
    assert_eq!(refused["success"], false);
    assert!(refused["result"].as_str().unwrap().contains("Only administrators"), "{refused}");
    socket.expect("Transition").await;
    socket.send(with(ping_action(2), "child")).await;
    assert_eq!(socket.expect("ActionResponse").await["success"], false);
    socket.expect("Transition").await;
    let queries =
        [with(add(0, "demo:list"), "child"), with(add(1, "demo.js/:list"), ""), with(add(2, "demo:list"), "")];
    socket.modify(0, json!(queries)).await;
    let told = socket.expect("Transition").await;
    let kinds: Vec<_> = told["modifications"].as_array().unwrap().iter().map(|told| &told["type"]).collect();
    assert_eq!(kinds, ["QueryFailed", "QueryFailed", "QueryUpdated"]);
}
