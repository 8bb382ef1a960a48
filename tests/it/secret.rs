//! The adapter's secret: added on the adapter listener, demanded on the public one, one copy of it upstream.

use serde_json::{Value, json};

use crate::common::{Answer, NOTHING, Request, SECRET, World, post};

/// The lanes of one call, and how a body is written on each.
const LANES: [&str; 5] = ["query", "mutation", "action", "query_at_ts", "query_batch"];

fn call(to: std::net::SocketAddr, lane: &str, path: &str, args: &str) -> Request {
    let call = match lane {
        "query_at_ts" => format!(r#"{{"path":"{path}","ts":"AAAAAAAAAAA=","args":{args}}}"#),
        "query_batch" => format!(r#"{{"queries":[{{"path":"{path}","args":{args}}}]}}"#),
        _ => format!(r#"{{"path":"{path}","args":{args}}}"#),
    };
    post(to, &format!("/api/{lane}")).body(call)
}

fn forbidden(answer: &Answer) -> bool {
    let is_forbidden = answer.refusal() == (403, "AdapterForbidden".to_owned());
    assert!(!answer.text().contains("canary"), "{}", answer.text());
    is_forbidden
}

/// How often the name `secret` stands in a text, escaped spellings included, by a parser that drops none of two equal names.
fn secrets_in(body: &str) -> usize {
    let unescaped = body.replace("\\u0073", "s").replace("\\u0065", "e");
    unescaped.matches("\"secret\"").count()
}

#[tokio::test]
async fn l2_the_adapter_listener_adds_the_secret_once_on_every_lane() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let added = format!(r#""secret":"{SECRET}""#);
    for lane in LANES {
        for (args, with_secret) in [
            (r#"{"id":"u"}"#.to_owned(), format!(r#"{{"id":"u",{added}}}"#)),
            (r#"[{"id":"u"}]"#.to_owned(), format!(r#"[{{"id":"u",{added}}}]"#)),
            (r#"{}"#.to_owned(), format!("{{{added}}}")),
            (r#" [ { } ] "#.to_owned(), format!("[{{{added}}}]")),
            (r#"{"secret":null,"id":"u"}"#.to_owned(), format!(r#"{{"id":"u",{added}}}"#)),
            (format!(r#"{{"secret":"{SECRET}","id":"u"}}"#), format!(r#"{{"id":"u",{added}}}"#)),
            (
                format!(r#"[{{"secret":"{SECRET}","\u0073ecret":"{SECRET}","id":"u","s\u0065cret":null}}]"#),
                format!(r#"[{{"id":"u",{added}}}]"#),
            ),
            (
                r#"{"id":{"secret":"the caller's, in a value"},"Secret":"s","secrets":1}"#.to_owned(),
                format!(r#"{{"id":{{"secret":"the caller's, in a value"}},"Secret":"s","secrets":1,{added}}}"#),
            ),
        ] {
            for path in ["authAdapter:getUser", "authAdapter:addedLater", "authAdapter:default"] {
                let (seen, _) = scripted.pass(call(world.adapter, lane, path, &args), NOTHING).await;
                assert!(seen.body.contains(&with_secret), "{lane} {args}: {}", seen.body);
                let in_values = usize::from(args.contains("in a value"));
                assert_eq!(secrets_in(&seen.body), 1 + in_values, "{lane} {args}: {}", seen.body);
            }
        }
    }
}

#[tokio::test]
async fn l2_a_wrong_secret_is_refused_on_the_adapter_listener_too() {
    let (world, scripted) = World::scripted(&[]).await;
    for (lane, args) in [
        ("query", r#"{"secret":"canary"}"#.to_owned()),
        ("mutation", r#"[{"secret":""}]"#.to_owned()),
        ("action", r#"{"secret":["canary"]}"#.to_owned()),
        ("query_at_ts", r#"{"secret":7}"#.to_owned()),
        ("query_batch", r#"{"\u0073ecret":"canary"}"#.to_owned()),
        // Whichever of two a reader behind this took, it would have to be right.
        ("query", format!(r#"{{"secret":"{SECRET}","secret":"canary"}}"#)),
        ("query", format!(r#"{{"secret":"canary","secret":"{SECRET}"}}"#)),
        ("mutation", format!(r#"[{{"\u0073ecret":"canary","secret":"{SECRET}"}}]"#)),
        ("query", format!(r#"{{"secret":"{SECRET} "}}"#)),
        ("query", format!(r#"{{"secret":"{}"}}"#, SECRET.to_uppercase())),
    ] {
        let answer = call(world.adapter, lane, "authAdapter:getUser", &args).send().await;
        assert!(forbidden(&answer), "{lane} {args}");
        assert!(!answer.text().contains(SECRET));
    }
    assert!(!scripted.has_next());
}

#[tokio::test]
async fn arguments_of_another_shape_are_refused_and_their_values_not_told() {
    let (world, scripted) = World::scripted(&[]).await;
    for args in [
        "[]",
        "[{},{}]",
        r#"["canary"]"#,
        "null",
        r#""canary""#,
        "7",
        "[[{}]]",
        r#"{"id":"canary","\u0069d":"canary"}"#,
        r#"{"\ud800":1}"#,
    ] {
        for lane in LANES {
            let answer = call(world.adapter, lane, "authAdapter:getUser", args).send().await;
            assert_eq!(answer.refusal(), (400, "AdapterArgumentInvalid".to_owned()), "{lane} {args}");
            assert!(!answer.text().contains("canary"));
            // Who has not shown the secret learns nothing of what is wrong.
            let answer = call(world.public, lane, "authAdapter:getUser", args).send().await;
            assert!(forbidden(&answer), "{lane} {args}");
        }
    }
    assert!(!scripted.has_next());
}

#[tokio::test]
async fn l2_the_public_listener_demands_the_secret_on_every_lane() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let absent = ["{}", r#"{"secret":null}"#, r#"[{"id":"u"}]"#, r#"{"secrets":"x"}"#, r#"{"a":{"secret":"x"}}"#];
    for lane in LANES {
        for path in ["authAdapter:getUser", "authAdapter:createSession", "authAdapter:addedLater", "authAdapter"] {
            for args in absent {
                assert!(forbidden(&call(world.public, lane, path, args).send().await), "{lane} {path} {args}");
            }
        }
        assert!(!scripted.has_next());
        for right in
            [format!(r#"{{"secret":"{SECRET}","id":"u"}}"#), format!(r#"[{{"id":"u","\u0073ecret":"{SECRET}"}}]"#)]
        {
            for path in ["authAdapter:getUser", "authAdapter:addedLater", "authAdapter:default"] {
                let (seen, answer) = scripted.pass(call(world.public, lane, path, &right), NOTHING).await;
                assert_eq!(answer.status, 200);
                assert!(seen.body.contains(&format!(r#""id":"u","secret":"{SECRET}""#)), "{}", seen.body);
                assert_eq!(secrets_in(&seen.body), 1);
            }
        }
    }
}

#[tokio::test]
async fn l2_in_a_batch_every_item_shows_the_secret_itself() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let item = |args: &str| format!(r#"{{"path":"authAdapter:getUser","args":{args}}}"#);
    let right = item(&format!(r#"{{"secret":"{SECRET}"}}"#));
    let batch =
        |to, items: &[String]| post(to, "/api/query_batch").body(format!(r#"{{"queries":[{}]}}"#, items.join(",")));
    for other in [item("{}"), item(r#"{"secret":"canary"}"#), item("[]")] {
        assert!(forbidden(&batch(world.public, &[right.clone(), other.clone()]).send().await), "{other}");
        assert!(forbidden(&batch(world.public, &[other, right.clone()]).send().await));
    }
    assert!(forbidden(&batch(world.adapter, &[item("{}"), item(r#"{"secret":"canary"}"#)]).send().await));
    assert!(!scripted.has_next());
    let (seen, _) = scripted.pass(batch(world.public, &[right.clone(), right.clone()]), NOTHING).await;
    assert_eq!(secrets_in(&seen.body), 2);
    let plain = r#"{"path":"demo:list","args":{"secret":"the app's own"}}"#.to_owned();
    let (seen, _) = scripted.pass(batch(world.adapter, &[item("{}"), plain.clone(), item("[{}]")]), NOTHING).await;
    let expected = format!(r#"{{"queries":[{right},{plain},{}]}}"#, item(&format!(r#"[{{"secret":"{SECRET}"}}]"#)));
    assert_eq!(seen.body, expected);
}

#[tokio::test]
async fn the_secret_goes_to_no_function_outside_the_module() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for lane in LANES {
        for path in
            ["demo:list", "AuthAdapter:getUser", "x/authAdapter:getUser", "authAdapter/getUser", "authAdapter2:f"]
        {
            let (seen, _) = scripted.pass(call(world.adapter, lane, path, "{}"), NOTHING).await;
            assert!(!seen.body.contains(SECRET), "{lane} {path}");
        }
    }
}

#[tokio::test]
async fn the_deployment_runs_an_adapter_call_with_and_without_the_callers_own_secret() {
    let world = World::new().await;
    let user = json!({ "user": { "email": "ada@example.com" } });
    let created = world.call(world.adapter, "mutation", "authAdapter:createUser", user.clone()).await.ok();
    assert_eq!(created["status"], json!("success"));
    let with_secret = json!({ "email": "ada@example.com", "secret": SECRET });
    for listener in [world.public, world.adapter] {
        let found = world.call(listener, "query", "authAdapter:getUserByEmail", with_secret.clone()).await.ok();
        assert_eq!(found["value"]["_id"], created["value"]);
    }
    let refused = world.call(world.public, "mutation", "authAdapter:createUser", user).await;
    assert!(forbidden(&refused));
    assert_eq!(world.calls("authAdapter:createUser"), 1);
}

#[tokio::test]
async fn after_twenty_wrong_secrets_further_ones_are_too_many_and_a_right_one_passes() {
    let (world, mut scripted) = World::scripted(&[]).await;
    let wrong = |to| call(to, "query", "authAdapter:getUser", r#"{"secret":"canary"}"#);
    let right = || call(world.public, "query", "authAdapter:getUser", &format!(r#"{{"secret":"{SECRET}"}}"#));
    // Calls without a secret do not count, and neither do right ones.
    for _ in 0..25 {
        assert!(forbidden(&call(world.public, "query", "authAdapter:getUser", "{}").send().await));
    }
    for count in 0..20 {
        // Both listeners and all lanes count together, and headers do not make another address.
        let to = if count % 2 == 0 { world.public } else { world.adapter };
        let request = if to == world.public {
            wrong(to).header("x-forwarded-for", &format!("10.0.0.{count}"))
        } else {
            wrong(to)
        };
        assert!(forbidden(&request.send().await), "number {count}");
        if count % 10 == 0 {
            scripted.pass(right(), NOTHING).await;
        }
    }
    for lane in LANES {
        for to in [world.public, world.adapter] {
            let answer = call(to, lane, "authAdapter:getUser", r#"{"secret":"canary"}"#).send().await;
            assert_eq!(answer.refusal(), (429, "AdapterThrottled".to_owned()), "{lane}");
            assert_eq!(answer.all("retry-after"), ["60"]);
            assert!(!answer.text().contains("canary"));
        }
    }
    assert!(!scripted.has_next());
    let (_, passed) = scripted.pass(right(), NOTHING).await;
    assert_eq!(passed.status, 200);
    let (_, injected) = scripted.pass(call(world.adapter, "mutation", "authAdapter:getUser", "{}"), NOTHING).await;
    assert_eq!(injected.status, 200);
    let refusals = world.metric(r#"convex_auth_proxy_refusals_total{reason="AdapterThrottled"}"#).await;
    assert_eq!(refusals as u64, 10);
}

#[tokio::test]
async fn the_auth_js_wire_needs_no_secret_and_refuses_a_wrong_one() {
    let (world, mut scripted) = World::scripted(&[]).await;
    for wrong in [json!("canary"), json!(["canary"])] {
        let body = json!({ "sessionToken": "t", "secret": wrong });
        let refused = post(world.adapter, "/adapter/deleteSession").json(&body).send().await;
        assert_eq!(refused.refusal(), (403, "AdapterForbidden".to_owned()));
        assert!(!scripted.has_next());
    }
    for secret in [Value::Null, json!(SECRET)] {
        let body = json!({ "sessionToken": "t", "secret": secret });
        let (seen, _) = scripted.pass(post(world.adapter, "/adapter/deleteSession").json(&body), NOTHING).await;
        assert_eq!(seen.json()["args"], json!({ "sessionToken": "t", "secret": SECRET }));
        assert_eq!(secrets_in(&seen.body), 1);
    }
}
