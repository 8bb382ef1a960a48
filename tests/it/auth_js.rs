//! The Auth.js wire through the whole proxy: what each method is promised, and what a refusal is told as.

use convex_auth_proxy::adapter::Function;
use serde_json::{Value, json};

use crate::common::{NOTHING, SECRET, World, post};

const ISO: &str = "2026-01-31T23:59:59.999Z";

/// An answer of the Auth.js wire that must be 200.
async fn adapter(world: &World, function: &str, body: Value) -> Value {
    post(world.adapter, &format!("/adapter/{function}")).json(&body).send().await.ok()
}

#[tokio::test]
async fn the_auth_js_wire_takes_and_gives_what_auth_js_has() {
    let world = World::new().await;
    // Auth.js makes an id up and sends nulls; Convex's id comes back.
    let user = json!({ "id": "b5c4", "email": "ada@example.com", "name": "Ada", "image": null, "emailVerified": null });
    let created = adapter(&world, "createUser", json!({ "user": user })).await;
    let id = created["id"].as_str().unwrap().to_owned();
    assert_ne!(id, "b5c4");
    assert_eq!(created, json!({ "email": "ada@example.com", "name": "Ada", "emailVerified": null, "id": id }));

    let expires = "2100-01-01T00:00:00.000Z";
    let session = json!({ "sessionToken": "t", "userId": id, "expires": expires });
    let created = adapter(&world, "createSession", json!({ "session": session })).await;
    let session_id = created["id"].as_str().unwrap().to_owned();
    let session = json!({ "sessionToken": "t", "userId": id, "expires": expires, "id": session_id });
    assert_eq!(created, session);

    let both = adapter(&world, "getSessionAndUser", json!({ "sessionToken": "t" })).await;
    let user = json!({ "email": "ada@example.com", "name": "Ada", "emailVerified": null, "id": id });
    assert_eq!(both, json!({ "session": session, "user": user }));

    // The stored row, not the argument.
    let updated = adapter(&world, "updateUser", json!({ "user": { "id": id, "emailVerified": ISO } })).await;
    let user = json!({ "email": "ada@example.com", "name": "Ada", "emailVerified": ISO, "id": id });
    assert_eq!(updated, user);
    let both = adapter(&world, "getSessionAndUser", json!({ "sessionToken": "t" })).await;
    assert_eq!(both, json!({ "session": session, "user": user }));

    assert_eq!(adapter(&world, "deleteSession", json!({ "sessionToken": "t" })).await, session);
    assert_eq!(adapter(&world, "deleteSession", json!({ "sessionToken": "t" })).await, json!(null));
    assert_eq!(adapter(&world, "getSessionAndUser", json!({ "sessionToken": "t" })).await, json!(null));

    for seen in world.received() {
        assert_eq!(seen.body.matches(SECRET).count(), 1, "{}", seen.body);
        assert!(!seen.body.contains("null") && !seen.body.contains(ISO), "{}", seen.body);
    }
}

#[tokio::test]
async fn every_method_keeps_its_contract_on_the_auth_js_wire() {
    let world = World::new().await;
    let foreign = "0e6f2b6e-6a4e-4f0e-9e8e-5d5f5c5b5a59";
    let none = json!(null);
    let user = json!({ "email": "ada@example.com", "emailVerified": ISO });
    let user = adapter(&world, "createUser", json!({ "user": user })).await;
    let id = user["id"].clone();
    assert_eq!(adapter(&world, "getUser", json!({ "id": id })).await, user);
    assert_eq!(adapter(&world, "getUser", json!({ "id": foreign })).await, none);
    assert_eq!(adapter(&world, "getUserByEmail", json!({ "email": "ada@example.com" })).await, user);
    assert_eq!(adapter(&world, "getUserByEmail", json!({ "email": "nobody@example.com" })).await, none);

    let key = json!({ "provider": "p", "providerAccountId": "a" });
    assert_eq!(adapter(&world, "getUserByAccount", key.clone()).await, none);
    assert_eq!(adapter(&world, "getAccount", key.clone()).await, none);
    let account =
        json!({ "userId": id, "type": "oauth", "provider": "p", "providerAccountId": "a", "expires_at": 1.0 });
    let mut sent = account.clone();
    sent["refresh_token"] = json!(null);
    sent["ext_expires_in"] = json!(3599);
    assert_eq!(adapter(&world, "linkAccount", json!({ "account": sent })).await, account);
    assert_eq!(adapter(&world, "getUserByAccount", key.clone()).await, user);
    assert_eq!(adapter(&world, "getAccount", key.clone()).await, account);
    assert_eq!(adapter(&world, "unlinkAccount", key.clone()).await, account);
    assert_eq!(adapter(&world, "unlinkAccount", key).await, none);

    let session = json!({ "sessionToken": "t", "userId": id, "expires": "2100-01-01T00:00:00.000Z" });
    let mut session = adapter(&world, "createSession", json!({ "session": session })).await;
    assert_eq!(adapter(&world, "updateSession", json!({ "session": session })).await, session);
    assert_eq!(adapter(&world, "updateSession", json!({ "session": { "sessionToken": "t" } })).await, session);
    session["expires"] = json!("2101-01-01T00:00:00.000Z");
    let part = json!({ "session": { "sessionToken": "t", "expires": session["expires"] } });
    assert_eq!(adapter(&world, "updateSession", part).await, session);
    let nowhere = json!({ "session": { "sessionToken": "x", "expires": 0 } });
    assert_eq!(adapter(&world, "updateSession", nowhere).await, none);

    let token = json!({ "identifier": "ada@example.com", "token": "hash", "expires": ISO });
    assert_eq!(adapter(&world, "createVerificationToken", json!({ "verificationToken": token })).await, token);
    let lost = json!({ "token": "hash", "identifier": null });
    assert_eq!(adapter(&world, "useVerificationToken", lost).await, none);
    let used = json!({ "identifier": "ada@example.com", "token": "hash" });
    assert_eq!(adapter(&world, "useVerificationToken", used.clone()).await, token);
    assert_eq!(adapter(&world, "useVerificationToken", used).await, none);

    assert_eq!(adapter(&world, "getAuthenticator", json!({ "credentialID": "c1" })).await, none);
    let authenticator = |credential: &str, transports: Value| {
        json!({
            "credentialID": credential, "userId": id, "providerAccountId": credential, "credentialPublicKey": "k",
            "counter": 1.0, "credentialDeviceType": "platform", "credentialBackedUp": true, "transports": transports,
        })
    };
    let mut first = authenticator("c1", json!(null));
    assert_eq!(adapter(&world, "createAuthenticator", json!({ "authenticator": first })).await, first);
    first.as_object_mut().unwrap().shift_remove("transports");
    let second = authenticator("c2", json!("usb"));
    assert_eq!(adapter(&world, "createAuthenticator", json!({ "authenticator": second })).await, second);
    assert_eq!(adapter(&world, "getAuthenticator", json!({ "credentialID": "c1" })).await, first);
    let listed = adapter(&world, "listAuthenticatorsByUserId", json!({ "userId": id })).await;
    assert_eq!(listed, json!([second, first]));
    assert_eq!(adapter(&world, "listAuthenticatorsByUserId", json!({ "userId": foreign })).await, json!([]));
    let counted = json!({ "credentialID": "c2", "newCounter": 7.0 });
    assert_eq!(adapter(&world, "updateAuthenticatorCounter", counted).await["counter"], json!(7.0));
    let counted = json!({ "credentialID": "nothing", "newCounter": 7 });
    let refused = post(world.adapter, "/adapter/updateAuthenticatorCounter").json(&counted).send().await;
    assert_eq!(refused.refusal(), (502, "UpstreamRefused".to_owned()));

    let nobody = json!({ "user": { "id": foreign, "name": "n" } });
    let refused = post(world.adapter, "/adapter/updateUser").json(&nobody).send().await;
    assert_eq!(refused.refusal(), (404, "UserNotFound".to_owned()));
    assert_eq!(adapter(&world, "deleteUser", json!({ "id": foreign })).await, none);
    assert_eq!(adapter(&world, "deleteUser", json!({ "id": id })).await, user);
    assert_eq!(adapter(&world, "deleteUser", json!({ "id": id })).await, none);
    assert_eq!(adapter(&world, "getSessionAndUser", json!({ "sessionToken": "t" })).await, none);
}

#[tokio::test]
async fn the_auth_js_wire_leaves_out_what_is_convexs_own() {
    let (world, mut scripted) = World::scripted(&[("CACHE__TTL", "0s")]).await;
    let row = r#"{"status":"success","value":{"session":{"_id":"s","_creationTime":1.5,"userId":"u","expires":1.7e12,"sessionToken":"t"},"user":{"_creationTime":1.5,"_id":"u","email":"é","role":{"_id":"kept"},"emailVerified":1700000000000.0}}}"#;
    let request = post(world.adapter, "/adapter/getSessionAndUser").body(r#"{"sessionToken":"t"}"#);
    let (seen, answer) = scripted.pass(request, row).await;
    assert_eq!(seen.json()["format"], json!("convex_encoded_json"));
    insta::assert_snapshot!(answer.text(), @r#"{"session":{"userId":"u","sessionToken":"t","expires":"2023-11-14T22:13:20.000Z","id":"s"},"user":{"email":"é","role":{"_id":"kept"},"emailVerified":"2023-11-14T22:13:20.000Z","id":"u"}}"#);
    assert_eq!(answer.all("content-type"), ["application/json"]);
    let without_date = row.replace(r#","emailVerified":1700000000000.0"#, "");
    let request = post(world.adapter, "/adapter/getSessionAndUser").body(r#"{"sessionToken":"t"}"#);
    let (_, answer) = scripted.pass(request, &without_date).await;
    assert_eq!(answer.value()["user"]["emailVerified"], json!(null));
}

#[tokio::test]
async fn the_auth_js_wire_names_what_is_missing() {
    let (world, scripted) = World::scripted(&[]).await;
    let mut told = String::new();
    for (function, body) in [
        ("createUser", "{}"),
        ("createUser", r#"{"user":null}"#),
        ("createUser", r#"{"user":"canary"}"#),
        ("createUser", r#"{"user":{"emailVerified":"canary"}}"#),
        ("updateUser", "{}"),
        ("updateUser", r#"{"user":{"name":"canary"}}"#),
        ("updateUser", r#"{"user":{"id":7}}"#),
        ("createSession", "{}"),
        ("createSession", r#"{"session":{"sessionToken":"canary"}}"#),
        ("getSessionAndUser", "{}"),
        ("getSessionAndUser", r#"{"sessionToken":7}"#),
        ("deleteSession", r#"{"token":"canary"}"#),
        ("deleteSession", ""),
        ("deleteSession", r#"["canary"]"#),
        ("deleteSession", r#"{"sessionToken":"canary","sessionToken":"canary"}"#),
    ] {
        let answer = post(world.adapter, &format!("/adapter/{function}")).body(body).send().await;
        assert_eq!(answer.refusal(), (400, "AdapterArgumentInvalid".to_owned()), "{function} {body}");
        assert!(!answer.text().contains("canary"), "{}", answer.text());
        told.push_str(&format!("{function} {body}: {}\n", answer.value()["message"].as_str().unwrap()));
    }
    insta::assert_snapshot!(told, @r#"
    createUser {}: `user` is missing
    createUser {"user":null}: `user` is missing
    createUser {"user":"canary"}: `user` must be an object
    createUser {"user":{"emailVerified":"canary"}}: `user.emailVerified` is not a date: write it in ISO 8601 as in 2026-01-31T23:59:59.999Z, or send epoch milliseconds as a number
    updateUser {}: `user` is missing
    updateUser {"user":{"name":"canary"}}: `user.id` is missing
    updateUser {"user":{"id":7}}: `user.id` must be a string
    createSession {}: `session` is missing
    createSession {"session":{"sessionToken":"canary"}}: `session.userId` is missing
    getSessionAndUser {}: `sessionToken` is missing
    getSessionAndUser {"sessionToken":7}: `sessionToken` must be a string
    deleteSession {"token":"canary"}: `sessionToken` is missing
    deleteSession : the body must be a JSON object with the arguments by name
    deleteSession ["canary"]: the body must be a JSON object with the arguments by name
    deleteSession {"sessionToken":"canary","sessionToken":"canary"}: `sessionToken` is given twice
    "#);
    assert!(!scripted.has_next());
}

#[tokio::test]
async fn the_auth_js_wire_serves_its_functions_and_no_other() {
    let (world, scripted) = World::scripted(&[]).await;
    for name in
        ["", "nothing", "getuser", "createUser/", "authAdapter:createUser", "create%55ser", "../api/query", "demo:send"]
    {
        let answer = post(world.adapter, &format!("/adapter/{name}")).body("{}").send().await;
        assert_eq!(answer.refusal(), (404, "NotFound".to_owned()), "{name}");
    }
    for function in Function::ALL {
        let name = function.contract().name;
        let answer = post(world.public, &format!("/adapter/{name}")).body("{}").send().await;
        assert_eq!(answer.refusal(), (404, "NotFound".to_owned()), "{name}");
        let answer = post(world.adapter, &format!("/adapter/{name}")).body("{}").send().await;
        assert_eq!(answer.refusal(), (400, "AdapterArgumentInvalid".to_owned()), "{name}");
    }
    assert!(!scripted.has_next());
}

#[tokio::test]
async fn a_refusal_of_the_deployment_is_an_error_on_the_auth_js_wire_and_never_null() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let calls = [
        ("createUser", r#"{"user":{"email":"e"}}"#),
        ("updateUser", r#"{"user":{"id":"jx7d2m4k8v1n5q9s3w6y0b2c4f6h8j1k"}}"#),
        ("createSession", r#"{"session":{"sessionToken":"t","userId":"u","expires":1}}"#),
        ("getSessionAndUser", r#"{"sessionToken":"t"}"#),
        ("deleteSession", r#"{"sessionToken":"t"}"#),
    ];
    for (function, body) in calls {
        for (status, answer, code) in [
            ("200 OK", r#"{"status":"error","errorMessage":"[Request ID: 1] Server Error"}"#, "UpstreamRefused"),
            (
                "200 OK",
                r#"{"status":"error","errorMessage":"e","errorData":{"code":"EmailTaken","email":"canary"}}"#,
                "EmailTaken",
            ),
            (
                "200 OK",
                r#"{"status":"error","errorMessage":"e","errorData":{"code":"ada@canary.example"}}"#,
                "UpstreamRefused",
            ),
            ("200 OK", r#"{"status":"error","errorMessage":"e","errorData":"canary"}"#, "UpstreamRefused"),
            ("503 Service Unavailable", r#"{"code":"Overloaded","message":"canary"}"#, "Overloaded"),
            ("400 Bad Request", r#"{"code":"BadJsonBody","message":"canary"}"#, "BadJsonBody"),
            ("500 Internal Server Error", "canary", "UpstreamUnreadable"),
            ("200 OK", r#"{"status":"success"}"#, "UpstreamUnreadable"),
            ("200 OK", "null", "UpstreamUnreadable"),
            ("200 OK", "", "UpstreamUnreadable"),
            ("200 OK", r#"{"status":"success","value":7}"#, "UpstreamUnreadable"),
        ] {
            if function == "updateUser" && answer.contains('7') {
                continue;
            }
            let sending = tokio::spawn(post(world.adapter, &format!("/adapter/{function}")).body(body).send());
            scripted.next().await.answer_with(status, "application/json", answer).await;
            let told = sending.await.unwrap();
            assert_eq!(told.refusal(), (502, code.to_owned()), "{function} {status} {answer}");
            assert!(!told.text().contains("canary"), "{}", told.text());
        }
    }
    // Only a throw without a reason says that a foreign id is nobody's: an outage does not, nor a reason of the deployment's.
    let foreign = r#"{"id":"0e6f2b6e-6a4e-4f0e-9e8e-5d5f5c5b5a59"}"#;
    for (status, answer, expected) in [
        ("503 Service Unavailable", r#"{"code":"Overloaded","message":"m"}"#, (502, "Overloaded")),
        ("502 Bad Gateway", "<html>", (502, "UpstreamUnreadable")),
        ("200 OK", r#"{"status":"error","errorMessage":"e","errorData":{"code":"Forbidden"}}"#, (502, "Forbidden")),
        ("200 OK", r#"{"status":"success"}"#, (502, "UpstreamUnreadable")),
    ] {
        let sending = tokio::spawn(post(world.adapter, "/adapter/getUser").body(foreign).send());
        scripted.next().await.answer_with(status, "application/json", answer).await;
        assert_eq!(sending.await.unwrap().refusal(), (expected.0, expected.1.to_owned()), "{answer}");
    }
    let sending = tokio::spawn(post(world.adapter, "/adapter/getUser").body(foreign).send());
    drop(scripted.next().await);
    assert_eq!(sending.await.unwrap().refusal(), (502, "UpstreamUnreachable".to_owned()));
    // A user that is not there: `updateUser` succeeds at the deployment, and Auth.js wants the row.
    let sending = tokio::spawn(post(world.adapter, "/adapter/updateUser").body(r#"{"user":{"id":"u"}}"#).send());
    scripted.next().await.answer(NOTHING).await;
    let read = scripted.next().await;
    assert_eq!((read.target(), read.json()["path"].clone()), ("/api/query", json!("authAdapter:getUser")));
    read.answer(NOTHING).await;
    assert_eq!(sending.await.unwrap().refusal(), (404, "UserNotFound".to_owned()));
}

/// Answers the write, and fails the reading of it so many times.
async fn after_a_write(function: &str, body: &'static str, failures: usize) -> (u16, String, usize) {
    let (world, mut scripted) = World::scripted(&[]).await;
    let sending = tokio::spawn(post(world.adapter, &format!("/adapter/{function}")).body(body).send());
    scripted.next().await.answer(NOTHING).await;
    for _ in 0..failures {
        drop(scripted.next().await);
    }
    if failures < 2 {
        let user = r#"{"_id":"u","_creationTime":1,"email":"e"}"#;
        let session = r#"{"_id":"s","_creationTime":1,"userId":"u","expires":0,"sessionToken":"t"}"#;
        let value = if function == "updateUser" {
            user.to_owned()
        } else {
            format!(r#"{{"session":{session},"user":{user}}}"#)
        };
        scripted.next().await.answer(&format!(r#"{{"status":"success","value":{value}}}"#)).await;
    }
    let answer = sending.await.unwrap();
    (answer.status, answer.text(), usize::from(scripted.has_next()))
}

#[tokio::test]
async fn a_write_that_happened_does_not_fail_for_a_hiccup_of_its_reading() {
    let user = r#"{"user":{"id":"jx7d2m4k8v1n5q9s3w6y0b2c4f6h8j1k","name":"n"}}"#;
    let session = r#"{"session":{"sessionToken":"t","expires":0}}"#;
    let read = r#"{"userId":"u","sessionToken":"t","expires":"1970-01-01T00:00:00.000Z","id":"s"}"#;
    assert_eq!(after_a_write("updateSession", session, 1).await, (200, read.to_owned(), 0));
    assert_eq!(after_a_write("updateSession", session, 2).await, (200, "null".to_owned(), 0));
    let stored = r#"{"email":"e","emailVerified":null,"id":"u"}"#;
    assert_eq!(after_a_write("updateUser", user, 1).await, (200, stored.to_owned(), 0));
    assert_eq!(after_a_write("updateUser", user, 2).await.0, 502);
}

#[tokio::test]
async fn l2_a_function_that_returns_what_it_was_given_does_not_give_the_secret_away() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let request = post(world.adapter, "/adapter/getUserByEmail").body(r#"{"email":"e"}"#);
    let row = format!(r#"{{"status":"success","value":{{"_id":"u","email":"e","secret":"{SECRET}"}}}}"#);
    let (_, answer) = scripted.pass(request, &row).await;
    assert_eq!(answer.value()["email"], json!("e"));
    assert!(!answer.text().contains(SECRET), "{}", answer.text());
}
