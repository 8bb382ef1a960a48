//! Dates and nulls through the whole proxy, on Convex's wire as the guide's adapter speaks it.

use serde_json::json;

use crate::common::{NOTHING, SECRET, Scripted, World, post};

/// `2026-01-31T23:59:59.999Z`.
const MILLIS: i64 = 1_769_903_999_999;
const ISO: &str = "2026-01-31T23:59:59.999Z";

/// What the deployment gets as `args` for arguments on the adapter listener; both are JSON text.
async fn received(world: &World, scripted: &mut Scripted, function: &str, args: &str) -> String {
    let lane = if function.starts_with("get") || function.starts_with("list") { "query" } else { "mutation" };
    let body = format!(r#"{{"path":"authAdapter:{function}","args":{args}}}"#);
    let (seen, _) = scripted.pass(post(world.adapter, &format!("/api/{lane}")).body(body), NOTHING).await;
    let open = format!(r#"{{"path":"authAdapter:{function}","args":"#);
    seen.body
        .strip_prefix(&open)
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or_else(|| panic!("{}", seen.body))
        .to_owned()
}

fn with_secret(members: &str) -> String {
    format!(r#"{{{members},"secret":"{SECRET}"}}"#)
}

#[tokio::test]
async fn dates_become_epoch_milliseconds_where_the_contract_has_them() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for (function, members) in [
        ("createUser", r#""user":{"email":"e","emailVerified":DATE}"#),
        ("updateUser", r#""user":{"id":"u","emailVerified":DATE}"#),
        ("createSession", r#""session":{"sessionToken":"t","userId":"u","expires":DATE}"#),
        ("updateSession", r#""session":{"expires":DATE,"sessionToken":"t"}"#),
        ("createVerificationToken", r#""verificationToken":{"identifier":"i","expires":DATE,"token":"t"}"#),
    ] {
        for (date, number) in [
            (ISO, MILLIS.to_string()),
            ("2026-02-01T01:59:59.999+02:00", MILLIS.to_string()),
            ("2026-01-31T23:59:59.999999999Z", MILLIS.to_string()),
            ("2026-01-31", "1769817600000".to_owned()),
            ("1969-12-31T23:59:59.999Z", "-1".to_owned()),
            ("+275760-09-13", "8640000000000000".to_owned()),
            ("-271821-04-20T00:00:00.000Z", "-8640000000000000".to_owned()),
            (r"2026-01-\u0033\u0031", "1769817600000".to_owned()),
        ] {
            let members_in = members.replace("DATE", &format!("\"{date}\""));
            let members_out = with_secret(&members.replace("DATE", &number));
            assert_eq!(received(&world, &mut scripted, function, &format!("{{{members_in}}}")).await, members_out);
            let in_array = received(&world, &mut scripted, function, &format!("[{{{members_in}}}]")).await;
            assert_eq!(in_array, format!("[{members_out}]"));
        }
    }
}

#[tokio::test]
async fn rule_32_numbers_keep_every_byte() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for number in
        ["1.7e12", "1700000000000.0", "1700000000000", "1.70E+12", "-0", "1e-320", "9007199254740993", "1e999"]
    {
        for members in [
            format!(r#""session":{{"sessionToken":"t","userId":"u","expires":{number},"n":{number}}}"#),
            format!(r#""session":{number}"#),
            format!(r#""n":{number},"session":{{"expires":{{"$float":"AAAAAAAAAIA="}}}}"#),
        ] {
            let args = format!("{{{members}}}");
            assert_eq!(received(&world, &mut scripted, "createSession", &args).await, with_secret(&members));
        }
    }
    let members = r#""credentialID":"c","newCounter":1.70e1"#;
    let args = format!("{{{members}}}");
    assert_eq!(received(&world, &mut scripted, "updateAuthenticatorCounter", &args).await, with_secret(members));
}

#[tokio::test]
async fn nulls_are_left_out_of_the_arguments_and_of_the_row() {
    let args = r#"[{"x":null,"user":{"email":"e","name":null,"emailVerified":null,"image":null,"deep":{"null":null},"list":[null]}}]"#;
    let (world, mut scripted) = World::scripted(&[]).await;
    let dropped = with_secret(r#""user":{"email":"e","deep":{"null":null},"list":[null]}"#);
    assert_eq!(received(&world, &mut scripted, "createUser", args).await, format!("[{dropped}]"));
    let account = r#"{"account":{"userId":"u","refresh_token":null,"scope":"s"},"more":null}"#;
    let dropped = with_secret(r#""account":{"userId":"u","scope":"s"}"#);
    assert_eq!(received(&world, &mut scripted, "linkAccount", account).await, dropped);
    // In a row that the contract does not have, a null is a value like any other.
    let foreign = r#"{"profile":{"name":null}}"#;
    let kept = with_secret(r#""profile":{"name":null}"#);
    assert_eq!(received(&world, &mut scripted, "createUser", foreign).await, kept);
    assert_eq!(received(&world, &mut scripted, "addedLater", r#"{"x":null}"#).await, with_secret(r#""x":null"#));

    let (world, mut scripted) = World::scripted(&[("ADAPTER__NULLS", "keep")]).await;
    let kept = received(&world, &mut scripted, "createUser", args).await;
    assert_eq!(kept, args.replace("}}]", &format!(r#"}},"secret":"{SECRET}"}}]"#)));
}

#[tokio::test]
async fn a_text_that_is_no_date_is_refused_by_the_fields_name_and_not_its_value() {
    let (world, scripted) = World::scripted(&[]).await;
    for (function, members, field) in [
        ("createUser", r#""user":{"emailVerified":DATE}"#, "user.emailVerified"),
        ("updateUser", r#""user":{"emailVerified":DATE}"#, "user.emailVerified"),
        ("createSession", r#""session":{"expires":DATE}"#, "session.expires"),
        ("updateSession", r#""session":{"expires":DATE}"#, "session.expires"),
        ("createVerificationToken", r#""verificationToken":{"expires":DATE}"#, "verificationToken.expires"),
    ] {
        for date in [
            "canary",
            "",
            "2026-01-31T23:59:59",
            "2026-02-30",
            "2026-01-31 23:59:59Z",
            "2026-01-31T25:00:00Z",
            "-000000-01-01",
            "+275760-09-13T00:00:00.001Z",
            "1769903999999",
            "Sat Jan 31 2026",
            r"\ud800",
        ] {
            let members = members.replace("DATE", &format!("\"{date}\""));
            for (to, secret) in [(world.adapter, String::new()), (world.public, format!(r#","secret":"{SECRET}""#))] {
                let body = format!(r#"{{"path":"authAdapter:{function}","args":[{{{members}{secret}}}]}}"#);
                let answer = post(to, "/api/mutation").body(body).send().await;
                assert_eq!(answer.refusal(), (400, "AdapterArgumentInvalid".to_owned()), "{function} {date}");
                let message = answer.value()["message"].as_str().unwrap().to_owned();
                assert!(message.starts_with(&format!("`{field}` is not a date: ")), "{message}");
                assert!(date.is_empty() || !message.contains(date), "{message}");
            }
        }
    }
    assert!(!scripted.has_next());
    let no_offset = r#"{"path":"authAdapter:createSession","args":{"session":{"expires":"2026-01-01T00:00"}}}"#;
    let answer = post(world.adapter, "/api/mutation").body(no_offset).send().await;
    insta::assert_snapshot!(answer.text(), @r#"{"code":"AdapterArgumentInvalid","message":"`session.expires` is not a date: a time needs an offset, `Z` or one such as `+02:00`: without it, it is local time"}"#);
}

#[tokio::test]
async fn a_row_with_a_member_twice_is_refused() {
    let (world, scripted) = World::scripted(&[]).await;
    for args in [
        r#"{"session":{"expires":1,"expires":"2026-01-01"}}"#,
        r#"{"session":{"sessionToken":"a","\u0073essionToken":"b","expires":1}}"#,
        r#"{"session":{"expires":1},"session":{"expires":2}}"#,
    ] {
        let body = format!(r#"{{"path":"authAdapter:createSession","args":{args}}}"#);
        let answer = post(world.adapter, "/api/mutation").body(body).send().await;
        assert_eq!(answer.refusal(), (400, "AdapterArgumentInvalid".to_owned()), "{args}");
    }
    assert!(!scripted.has_next());
}

#[tokio::test]
async fn a_text_that_looks_like_a_date_stays_where_the_contract_has_none() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for (function, members) in [
        (
            "createUser",
            format!(
                r#""emailVerified":"{ISO}","user":{{"name":"{ISO}","expires":"{ISO}","x":{{"emailVerified":"{ISO}"}}}}"#
            ),
        ),
        (
            "createSession",
            format!(r#""user":{{"emailVerified":"{ISO}"}},"session":{{"emailVerified":"{ISO}","userId":"{ISO}"}}"#),
        ),
        ("linkAccount", format!(r#""account":{{"expires_at":"{ISO}","expires":"{ISO}"}}"#)),
        ("getUser", format!(r#""id":"{ISO}""#)),
        ("getUserByEmail", format!(r#""email":"{ISO}","user":{{"emailVerified":"no date"}}"#)),
        ("useVerificationToken", format!(r#""identifier":"{ISO}","token":"{ISO}""#)),
        (
            "addedLater",
            format!(r#""user":{{"emailVerified":"{ISO}","emailVerified":"no date"}},"session":{{"expires":"{ISO}"}}"#),
        ),
    ] {
        let args = format!("{{{members}}}");
        assert_eq!(received(&world, &mut scripted, function, &args).await, with_secret(&members));
    }
}

#[tokio::test]
async fn white_space_and_escapes_of_values_stay() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let args = r#"{ "user" : { "email" : "\u00e9\/\ud800" , "\u006eame" : [ 1 , { } ] } , "x" : [ null ] }"#;
    let expected = with_secret(r#""user":{"email":"\u00e9\/\ud800","\u006eame":[ 1 , { } ]},"x":[ null ]"#);
    assert_eq!(received(&world, &mut scripted, "updateUser", args).await, expected);
}

#[tokio::test]
async fn rule_32_an_adapter_functions_answer_passes_byte_for_byte() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let answers = [
        "{ \"value\" : {\"_id\":\"u\",\"emailVerified\":1.7e12,\"expires\":\"2026-01-01\",\"x\":null}, \"status\":\"success\" }\n",
        r#"{"status":"error","errorMessage":"[Request ID: 1] Server Error","logLines":[]}"#,
        r#"{"status":"success","value":null}"#,
    ];
    for (lane, function) in [("query", "getUser"), ("query", "getSessionAndUser"), ("mutation", "createUser")] {
        for body in answers {
            let call = format!(r#"{{"path":"authAdapter:{function}","args":{{"sessionToken":"t","more":1}}}}"#);
            let (_, answer) = scripted.pass(post(world.adapter, &format!("/api/{lane}")).body(call), body).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, body), "{function}");
            assert_eq!(answer.all("content-type"), ["application/json"]);
        }
    }
    // An answer that the session cache reads passes as it came too.
    let row = "{\"status\":\"success\", \"value\":{\"user\":{\"_id\":\"u\",\"email\":\"e\"},\n\"session\":{\"expires\":4.1024448e12,\"userId\":\"u\"}} }";
    let call = r#"{"path":"authAdapter:getSessionAndUser","args":{"sessionToken":"t"}}"#;
    let (_, answer) = scripted.pass(post(world.adapter, "/api/query").body(call), row).await;
    assert_eq!(answer.text(), row);
    assert_eq!(post(world.adapter, "/api/query").body(call).send().await.text(), row, "from memory");
}

#[tokio::test]
async fn dates_of_the_convex_wire_are_stored_as_numbers() {
    let world = World::new().await;
    let user = json!({ "user": { "email": "ada@example.com", "name": null, "emailVerified": ISO } });
    let created = world.call(world.adapter, "mutation", "authAdapter:createUser", user).await.ok();
    let stored =
        world.call(world.adapter, "query", "authAdapter:getUser", json!({ "id": created["value"] })).await.ok();
    assert_eq!(stored["value"]["emailVerified"], json!(MILLIS as f64));
    assert_eq!(stored["value"].get("name"), None);
    let bodies: Vec<_> = world.received().into_iter().map(|seen| seen.json()["args"][0].clone()).collect();
    assert_eq!(bodies[0], json!({ "user": { "email": "ada@example.com", "emailVerified": MILLIS }, "secret": SECRET }));
}
