//! What each method of Auth.js's adapter is promised, call by call, without a deployment.

use proptest::prelude::*;
use serde_json::{Value, json, value::RawValue};

use super::{ArgumentProblem, Outcome, Run, Step, WireProblem, begin, read};
use crate::{
    adapter::{
        Function,
        date::{self, DateProblem, MAX_MILLIS},
    },
    config::Nulls,
    secret::Secret,
};

fn secret() -> Secret {
    Secret::new("s")
}

fn run(function: Function, body: &str) -> Result<Run, ArgumentProblem> {
    begin(read(function, body.as_bytes())?, Nulls::Drop, &secret())
}

/// The arguments of the first function that runs.
fn args(function: Function, body: &str) -> String {
    String::from_utf8(run(function, body).unwrap().arguments().to_vec()).unwrap()
}

fn refusal(function: Function, body: &str) -> ArgumentProblem {
    run(function, body).unwrap_err()
}

fn raw(value: &str) -> Box<RawValue> {
    serde_json::from_str(value).unwrap()
}

/// The answer of a call that needs one function.
fn reply(function: Function, body: &str, value: &str) -> Result<String, WireProblem> {
    match run(function, body).unwrap().resume(Outcome::Returned((&raw(value)).into()), &secret())? {
        Step::Answer(body) => Ok(String::from_utf8(body).unwrap()),
        Step::Run(_) => panic!("{function:?} needs no second function"),
    }
}

/// What a call comes to when its function throws.
fn thrown(function: Function, body: &str) -> Result<String, WireProblem> {
    match run(function, body).unwrap().resume(Outcome::Threw, &secret())? {
        Step::Answer(body) => Ok(String::from_utf8(body).unwrap()),
        Step::Run(_) => panic!("{function:?} goes on after a throw"),
    }
}

/// The function that runs after the first, with its arguments.
fn second(function: Function, body: &str, value: &str) -> Run {
    match run(function, body).unwrap().resume(Outcome::Returned((&raw(value)).into()), &secret()).unwrap() {
        Step::Run(run) => run,
        Step::Answer(_) => panic!("{function:?} is answered at once"),
    }
}

fn end(run: Run, value: &str) -> Result<String, WireProblem> {
    match run.resume(Outcome::Returned((&raw(value)).into()), &secret())? {
        Step::Answer(body) => Ok(String::from_utf8(body).unwrap()),
        Step::Run(_) => panic!("a third function"),
    }
}

const TOKEN: &str = r#"{"sessionToken":"t"}"#;
const SESSION: &str = r#"{"session":{"sessionToken":"t","userId":"u1","expires":"2026-01-01T00:00:00.000Z"}}"#;
const SESSION_ROW: &str =
    r#"{"_creationTime":1.5e12,"_id":"s1","expires":1767225600000.0,"sessionToken":"t","userId":"u1"}"#;
const USER_ROW: &str =
    r#"{"_id":"u1","_creationTime":1700000000000.25,"email":"\u0061@b.c","emailVerified":1.7672256e12,"score":1.50}"#;

/// A body for each function, with nothing in it but what must be there.
fn least(function: Function) -> String {
    let key = r#""provider":"p","providerAccountId":"a""#;
    let body = match function {
        Function::CreateAuthenticator => {
            r#""authenticator":{"credentialID":"c","userId":"u1","providerAccountId":"a","credentialPublicKey":"k","counter":0,"credentialDeviceType":"d","credentialBackedUp":true}"#
        }
        Function::CreateSession => r#""session":{"userId":"u1","expires":0,"sessionToken":"t"}"#,
        Function::CreateUser => r#""user":{}"#,
        Function::CreateVerificationToken => r#""verificationToken":{"identifier":"i","token":"t","expires":0}"#,
        Function::DeleteSession | Function::GetSessionAndUser => r#""sessionToken":"t""#,
        Function::DeleteUser | Function::GetUser => r#""id":"u1""#,
        Function::GetAccount | Function::GetUserByAccount | Function::UnlinkAccount => key,
        Function::GetAuthenticator => r#""credentialID":"c""#,
        Function::GetUserByEmail => r#""email":"e""#,
        Function::LinkAccount => r#""account":{"userId":"u1","type":"oidc","provider":"p","providerAccountId":"a"}"#,
        Function::ListAuthenticatorsByUserId => r#""userId":"u1""#,
        Function::UpdateAuthenticatorCounter => r#""credentialID":"c","newCounter":1"#,
        Function::UpdateSession => r#""session":{"sessionToken":"t"}"#,
        Function::UpdateUser => r#""user":{"id":"u1"}"#,
        Function::UseVerificationToken => r#""token":"t""#,
    };
    format!("{{{body}}}")
}

#[test]
fn the_least_that_a_method_may_be_given_is_taken() {
    for function in Function::ALL {
        assert!(run(function, &least(function)).is_ok(), "{function:?}");
    }
}

#[test]
fn whatever_of_the_least_is_not_there_or_of_another_type_is_named() {
    for function in Function::ALL {
        let whole = parsed(&least(function));
        let name = whole.as_object().unwrap().keys().next().unwrap().clone();
        let nested = whole[&name].as_object().cloned();
        for (field, value) in nested.iter().flatten() {
            let path = format!("{name}.{field}");
            let mut body = whole.clone();
            body[&name].as_object_mut().unwrap().shift_remove(field);
            assert_eq!(refusal(function, &body.to_string()).to_string(), format!("`{path}` is missing"));
            body[&name][field] = Value::Null;
            assert_eq!(refusal(function, &body.to_string()).to_string(), format!("`{path}` is missing"));
            body[&name][field] = if value.is_boolean() { json!(1) } else { json!([true]) };
            let sentence = refusal(function, &body.to_string()).to_string();
            assert!(sentence.starts_with(&format!("`{path}` must be ")), "{sentence}");
        }
        for argument in whole.as_object().unwrap().keys() {
            let mut body = whole.clone();
            body.as_object_mut().unwrap().shift_remove(argument);
            assert_eq!(refusal(function, &body.to_string()).to_string(), format!("`{argument}` is missing"));
            body[argument] = json!([]);
            let sentence = refusal(function, &body.to_string()).to_string();
            assert!(sentence.starts_with(&format!("`{argument}` must be ")), "{sentence}");
        }
    }
}

#[test]
fn arguments_go_to_convex_as_it_wants_them() {
    insta::assert_snapshot!(args(Function::CreateSession, SESSION), @r#"{"session":{"sessionToken":"t","userId":"u1","expires":1767225600000},"secret":"s"}"#);
    insta::assert_snapshot!(args(Function::GetSessionAndUser, TOKEN), @r#"{"sessionToken":"t","secret":"s"}"#);
    let user = r#" {"user": {"id":"made-up","email":"a@b.c","name":null,"emailVerified":null,"role":"admin"}} "#;
    insta::assert_snapshot!(args(Function::CreateUser, user), @r#"{"user":{"email":"a@b.c","role":"admin"},"secret":"s"}"#);
    let user = r#"{"user":{"id":"u1","emailVerified":1.7e12}}"#;
    insta::assert_snapshot!(args(Function::UpdateUser, user), @r#"{"user":{"id":"u1","emailVerified":1.7e12},"secret":"s"}"#);
}

#[test]
fn a_whole_row_may_be_given_where_its_key_is_wanted() {
    let account = r#"{"userId":"u1","provider":"p","scope":"s","providerAccountId":"a"}"#;
    assert_eq!(args(Function::UnlinkAccount, account), r#"{"provider":"p","providerAccountId":"a","secret":"s"}"#);
}

#[test]
fn nulls_can_be_kept() {
    let body = br#"{"user":{"id":"u1","name":null,"emailVerified":null}}"#;
    let run = begin(read(Function::UpdateUser, body).unwrap(), Nulls::Keep, &secret()).unwrap();
    insta::assert_snapshot!(std::str::from_utf8(run.arguments()).unwrap(), @r#"{"user":{"id":"u1","name":null,"emailVerified":null},"secret":"s"}"#);
}

#[test]
fn an_account_goes_with_the_fields_that_the_guide_knows_and_without_nulls() {
    let account = r#"{"account":{"id":"x","userId":"u1","type":"oauth","provider":"p","providerAccountId":"a","refresh_token":null,"access_token":"t","expires_at":1767225600,"token_type":"bearer","scope":"s","id_token":null,"session_state":"st","refresh_token_expires_in":15897600,"not-before-policy":0,"ext_expires_in":3599}}"#;
    insta::assert_snapshot!(args(Function::LinkAccount, account), @r#"{"account":{"userId":"u1","type":"oauth","provider":"p","providerAccountId":"a","access_token":"t","expires_at":1767225600,"token_type":"bearer","scope":"s","session_state":"st"},"secret":"s"}"#);
    let authenticator = r#"{"authenticator":{"credentialID":"c","userId":"u1","providerAccountId":"a","credentialPublicKey":"k","counter":0,"credentialDeviceType":"d","credentialBackedUp":false,"transports":null}}"#;
    insta::assert_snapshot!(args(Function::CreateAuthenticator, authenticator), @r#"{"authenticator":{"credentialID":"c","userId":"u1","providerAccountId":"a","credentialPublicKey":"k","counter":0,"credentialDeviceType":"d","credentialBackedUp":false},"secret":"s"}"#);
}

#[test]
fn a_whole_session_may_be_given_where_a_part_is_wanted() {
    let session = r#"{"session":{"id":"s1","userId":"u1","sessionToken":"t","expires":"2026-01-01","device":"d"}}"#;
    insta::assert_snapshot!(args(Function::UpdateSession, session), @r#"{"session":{"sessionToken":"t","expires":1767225600000,"device":"d"},"secret":"s"}"#);
}

#[test]
fn l2_a_secret_of_the_caller_counts_for_nothing() {
    let body = r#"{"secret":"canary","sessionToken":"t","\u0073ecret":{"canary":1}}"#;
    assert_eq!(args(Function::DeleteSession, body), r#"{"sessionToken":"t","secret":"s"}"#);
}

#[test]
fn a_missing_or_ill_typed_argument_is_named() {
    let missing = |field| ArgumentProblem::Missing { field };
    assert_eq!(refusal(Function::GetSessionAndUser, "{}"), missing("sessionToken"));
    assert_eq!(refusal(Function::DeleteSession, r#"{"sessionToken":null}"#), missing("sessionToken"));
    assert_eq!(refusal(Function::CreateSession, r#"{"sessionToken":"t"}"#), missing("session"));
    let no_date = r#"{"session":{"userId":"u","sessionToken":"t","expires":null}}"#;
    assert_eq!(refusal(Function::CreateSession, no_date), missing("session.expires"));
    assert_eq!(refusal(Function::UpdateUser, r#"{"user":{"name":"n"}}"#), missing("user.id"));
    assert_eq!(refusal(Function::UpdateUser, r#"{"user":{"id":null}}"#), missing("user.id"));
    for (function, body, sentence) in [
        (Function::DeleteSession, r#"{"sessionToken":1}"#, "`sessionToken` must be a string"),
        (Function::CreateUser, r#"{"user":"canary"}"#, "`user` must be an object"),
        (Function::UpdateUser, r#"{"user":{"id":7}}"#, "`user.id` must be a string"),
        (
            Function::CreateUser,
            r#"{"user":{"emailVerified":true}}"#,
            "`user.emailVerified` must be a date in ISO 8601 or epoch milliseconds",
        ),
    ] {
        assert_eq!(refusal(function, body).to_string(), sentence);
    }
}

#[test]
fn a_date_that_could_not_be_answered_is_refused_before_the_write() {
    let field = "user.emailVerified";
    for (value, reason) in [
        (r#""canary""#, DateProblem::Form),
        ("8640000000000001", DateProblem::OutOfBounds),
        ("-1e999", DateProblem::OutOfBounds),
        (r#"{"$float":"AAAAAAAA+H8="}"#, DateProblem::OutOfBounds),
    ] {
        let body = format!(r#"{{"user":{{"email":"e","emailVerified":{value}}}}}"#);
        assert_eq!(refusal(Function::CreateUser, &body), ArgumentProblem::NotADate { field, reason }, "{value}");
    }
}

#[test]
fn only_an_object_is_a_body() {
    for body in ["", "null", "[]", r#"[{"sessionToken":"t"}]"#, "{", r#"{"sessionToken":"t"}x"#, "\"t\""] {
        assert_eq!(refusal(Function::DeleteSession, body), ArgumentProblem::NotAJsonObject, "{body}");
    }
    let not_utf8 = b"{\"sessionToken\":\"\xff\"}";
    let refused = read(Function::DeleteSession, not_utf8).map(drop);
    assert_eq!(refused.unwrap_err(), ArgumentProblem::NotAJsonObject);
    insta::assert_snapshot!(ArgumentProblem::NotAJsonObject, @"the body must be a JSON object with the arguments by name");
}

#[test]
fn a_created_row_is_the_callers_with_its_id() {
    let user = r#"{"user":{"id":"made-up","email":"a@b.c","name":null,"image":"i"}}"#;
    insta::assert_snapshot!(reply(Function::CreateUser, user, r#""u1""#).unwrap(), @r#"{"email":"a@b.c","image":"i","emailVerified":null,"id":"u1"}"#);
    let user = r#"{"user":{"emailVerified":"2026-01-01","email":"a@b.c"}}"#;
    insta::assert_snapshot!(reply(Function::CreateUser, user, r#""u1""#).unwrap(), @r#"{"email":"a@b.c","emailVerified":"2026-01-01T00:00:00.000Z","id":"u1"}"#);
    insta::assert_snapshot!(reply(Function::CreateUser, r#"{"user":{}}"#, r#""u1""#).unwrap(), @r#"{"emailVerified":null,"id":"u1"}"#);
    insta::assert_snapshot!(reply(Function::CreateSession, SESSION, r#""s1""#).unwrap(), @r#"{"sessionToken":"t","userId":"u1","expires":"2026-01-01T00:00:00.000Z","id":"s1"}"#);
    let millis = r#"{"session":{"expires":1.7672256e12,"userId":"u1","sessionToken":"t"}}"#;
    insta::assert_snapshot!(reply(Function::CreateSession, millis, r#""s1""#).unwrap(), @r#"{"userId":"u1","sessionToken":"t","expires":"2026-01-01T00:00:00.000Z","id":"s1"}"#);
    let token = r#"{"verificationToken":{"identifier":"i","token":"t","expires":0}}"#;
    insta::assert_snapshot!(reply(Function::CreateVerificationToken, token, r#""v1""#).unwrap(), @r#"{"identifier":"i","token":"t","expires":"1970-01-01T00:00:00.000Z"}"#);
}

#[test]
fn a_created_row_has_its_members_wherever_its_date_stood() {
    for (sent, members) in [
        (r#""expires":0,"userId":"u","sessionToken":"t""#, r#""userId":"u","sessionToken":"t","#),
        (r#""userId" : "u" , "expires" :0, "sessionToken":"t","x":null"#, r#""userId":"u","sessionToken":"t","#),
        (r#""id":"x","userId":"u","sessionToken":"t","\u0065xpires":"1970""#, r#""userId":"u","sessionToken":"t","#),
        (
            r#""userId":"u","_id":"x","sessionToken":"t","_creationTime":1,"expires":0"#,
            r#""userId":"u","sessionToken":"t","#,
        ),
    ] {
        let body = format!(r#"{{"session":{{{sent}}},"more":1}}"#);
        let answer = format!(r#"{{{members}"expires":"1970-01-01T00:00:00.000Z","id":"s1"}}"#);
        assert_eq!(reply(Function::CreateSession, &body, r#""s1""#).unwrap(), answer);
    }
    let verified = r#"{"user":{"emailVerified":0}}"#;
    insta::assert_snapshot!(reply(Function::CreateUser, verified, r#""u1""#).unwrap(), @r#"{"emailVerified":"1970-01-01T00:00:00.000Z","id":"u1"}"#);
    let kept = begin(
        read(Function::CreateUser, br#"{"user":{"emailVerified":null,"name":null}}"#).unwrap(),
        Nulls::Keep,
        &secret(),
    );
    insta::assert_snapshot!(end(kept.unwrap(), r#""u1""#).unwrap(), @r#"{"name":null,"emailVerified":null,"id":"u1"}"#);
}

#[test]
fn an_authenticator_is_answered_as_it_was_given() {
    let least = least(Function::CreateAuthenticator);
    let given = least.replace(r#""counter":0"#, r#""counter":0,"transports":null,"id":"x""#);
    let arguments = args(Function::CreateAuthenticator, &given);
    insta::assert_snapshot!(arguments, @r#"{"authenticator":{"credentialID":"c","userId":"u1","providerAccountId":"a","credentialPublicKey":"k","counter":0,"id":"x","credentialDeviceType":"d","credentialBackedUp":true},"secret":"s"}"#);
    let answer = reply(Function::CreateAuthenticator, &given, r#""a1""#).unwrap();
    insta::assert_snapshot!(answer, @r#"{"credentialID":"c","userId":"u1","providerAccountId":"a","credentialPublicKey":"k","counter":0,"transports":null,"id":"x","credentialDeviceType":"d","credentialBackedUp":true}"#);
}

#[test]
fn a_body_that_is_no_json_has_no_other_problem() {
    let many = vec![r#""x":0"#; 1_025].join(",");
    for (members, problem) in [
        (&*many, ArgumentProblem::TooManyMembers),
        (r#""\ud800":1"#, ArgumentProblem::UnreadableName),
        (r#""id":1,"id":2"#, ArgumentProblem::Duplicate { field: "id" }),
    ] {
        assert_eq!(refusal(Function::GetUser, &format!("{{{members}}}")), problem);
        for body in [format!("{{{members}"), format!("{{{members},}}"), format!("{{{members}}}]")] {
            assert_eq!(refusal(Function::GetUser, &body), ArgumentProblem::NotAJsonObject, "{body}");
        }
        let nested = |rest: &str| refusal(Function::UpdateUser, &format!(r#"{{"user":{{{members},"y":{rest}}}}}"#));
        assert_ne!(nested("0"), ArgumentProblem::NotAJsonObject);
        assert_eq!(nested("00"), ArgumentProblem::NotAJsonObject);
    }
    let nested = format!(r#"{{"user":{{{many}}},"\ud800":1}}"#);
    assert_eq!(
        refusal(Function::UpdateUser, &nested),
        ArgumentProblem::UnreadableName,
        "the outer object's comes first"
    );
    assert_eq!(refusal(Function::UpdateUser, &nested.replace("\\ud800", "x")), ArgumentProblem::TooManyMembers);
}

#[test]
fn a_session_and_its_user_lose_what_is_convexs_own() {
    let value = format!(r#"{{"session":{SESSION_ROW},"user":{USER_ROW}}}"#);
    insta::assert_snapshot!(reply(Function::GetSessionAndUser, TOKEN, &value).unwrap(), @r#"{"session":{"sessionToken":"t","userId":"u1","expires":"2026-01-01T00:00:00.000Z","id":"s1"},"user":{"email":"\u0061@b.c","score":1.50,"emailVerified":"2026-01-01T00:00:00.000Z","id":"u1"}}"#);
    assert_eq!(reply(Function::GetSessionAndUser, TOKEN, "null").unwrap(), "null");
}

#[test]
fn a_deleted_session_is_answered_or_null() {
    insta::assert_snapshot!(reply(Function::DeleteSession, TOKEN, SESSION_ROW).unwrap(), @r#"{"sessionToken":"t","userId":"u1","expires":"2026-01-01T00:00:00.000Z","id":"s1"}"#);
    assert_eq!(reply(Function::DeleteSession, TOKEN, " null ").unwrap(), "null");
}

#[test]
fn an_updated_user_is_read_again() {
    let body = r#"{"user":{"id":"u\u0031","emailVerified":"2026"}}"#;
    let read = || second(Function::UpdateUser, body, "null");
    assert_eq!(read().function(), Function::GetUser);
    insta::assert_snapshot!(std::str::from_utf8(read().arguments()).unwrap(), @r#"{"id":"u\u0031","secret":"s"}"#);
    let user = end(read(), r#"{"_id":"u1","email":"e","name":null}"#).unwrap();
    insta::assert_snapshot!(user, @r#"{"email":"e","name":null,"emailVerified":null,"id":"u1"}"#);
    assert_eq!(end(read(), "null"), Err(WireProblem::NoSuchUser));
}

#[test]
fn an_updated_session_is_read_again() {
    let body = r#"{"session":{"sessionToken":"t","expires":0}}"#;
    let read = || second(Function::UpdateSession, body, "null");
    assert_eq!(read().function(), Function::GetSessionAndUser);
    insta::assert_snapshot!(std::str::from_utf8(read().arguments()).unwrap(), @r#"{"sessionToken":"t","secret":"s"}"#);
    let both = format!(r#"{{"session":{SESSION_ROW},"user":{USER_ROW}}}"#);
    insta::assert_snapshot!(end(read(), &both).unwrap(), @r#"{"sessionToken":"t","userId":"u1","expires":"2026-01-01T00:00:00.000Z","id":"s1"}"#);
    assert_eq!(end(read(), "null").unwrap(), "null", "there is no such session");
}

#[test]
fn a_session_that_was_written_and_cannot_be_read_back_is_no_failure() {
    let body = r#"{"session":{"sessionToken":"t","expires":0}}"#;
    let read = second(Function::UpdateSession, body, "null");
    assert!(read.follows_a_write());
    assert_eq!(read.answer_without().as_deref(), Some(&b"null"[..]));
    let Step::Answer(answer) = read.resume(Outcome::Threw, &secret()).unwrap() else { panic!("an answer") };
    assert_eq!(answer, b"null");
    let user = second(Function::UpdateUser, r#"{"user":{"id":"u1"}}"#, "null");
    assert!(user.follows_a_write() && user.answer_without().is_none(), "its method promises a user");
    let only_read = run(Function::UpdateSession, r#"{"session":{"sessionToken":"t"}}"#).unwrap();
    assert!(!only_read.follows_a_write() && only_read.answer_without().is_none());
}

#[test]
fn a_session_that_stays_as_it_is_is_only_read() {
    for body in [
        r#"{"session":{"sessionToken":"t"}}"#,
        r#"{"session":{"sessionToken":"t","userId":"u1","id":"s1","expires":null}}"#,
    ] {
        let read = run(Function::UpdateSession, body).unwrap();
        assert_eq!(read.function(), Function::GetSessionAndUser, "{body}");
        assert_eq!(end(read, "null").unwrap(), "null");
    }
}

#[test]
fn a_row_that_an_update_returns_is_the_answer() {
    let user = reply(Function::UpdateUser, r#"{"user":{"id":"u1","name":"n"}}"#, r#"{"_id":"u1","name":"n"}"#);
    assert_eq!(user.unwrap(), r#"{"name":"n","emailVerified":null,"id":"u1"}"#);
    let session = r#"{"session":{"sessionToken":"t","expires":1767225600000}}"#;
    insta::assert_snapshot!(reply(Function::UpdateSession, session, SESSION_ROW).unwrap(), @r#"{"sessionToken":"t","userId":"u1","expires":"2026-01-01T00:00:00.000Z","id":"s1"}"#);
}

#[test]
fn what_no_row_can_be_named_is_not_there() {
    for id in [
        "",
        "x",
        "invalid-user-id",
        "0e6f2b6e-6a4e-4f0e-9e8e-5d5f5c5b5a59",
        &"a".repeat(30),
        &"a".repeat(38),
        &"A".repeat(32),
        r"\ud800",
    ] {
        let (by_id, by_user) = (format!(r#"{{"id":"{id}"}}"#), format!(r#"{{"userId":"{id}"}}"#));
        let user = format!(r#"{{"user":{{"id":"{id}","name":"n"}}}}"#);
        assert_eq!(thrown(Function::GetUser, &by_id).unwrap(), "null", "{id}");
        assert_eq!(thrown(Function::DeleteUser, &by_id).unwrap(), "null", "{id}");
        assert_eq!(thrown(Function::ListAuthenticatorsByUserId, &by_user).unwrap(), "[]", "{id}");
        assert_eq!(thrown(Function::UpdateUser, &user), Err(WireProblem::NoSuchUser), "{id}");
    }
    for body in [r#"{"token":"t"}"#, r#"{"token":"t","identifier":null}"#] {
        assert_eq!(args(Function::UseVerificationToken, body), r#"{"token":"t","secret":"s"}"#);
        assert_eq!(thrown(Function::UseVerificationToken, body).unwrap(), "null");
    }
}

#[test]
fn a_throw_for_any_other_reason_is_told_and_never_null() {
    let id = "jx7d2m4k8v1n5q9s3w6y0b2c4f6h8j1k";
    for function in Function::ALL {
        let mut body = least(function).replace("\"u1\"", &format!("\"{id}\""));
        if function == Function::UseVerificationToken {
            body = r#"{"token":"t","identifier":"i"}"#.to_owned();
        } else if function == Function::UpdateSession {
            body = r#"{"session":{"sessionToken":"t","expires":0}}"#.to_owned();
        }
        assert_eq!(thrown(function, &body), Err(WireProblem::Threw { function: function.contract().name }));
    }
    let both = second(Function::UpdateUser, r#"{"user":{"id":"x"}}"#, "null");
    let refused = both.resume(Outcome::Threw, &secret()).map(|_| ());
    assert_eq!(refused, Err(WireProblem::Threw { function: "getUser" }));
    insta::assert_snapshot!(WireProblem::Threw { function: "getUser" }, @"the deployment refused `getUser`; its log says why");
}

#[test]
fn authenticators_are_listed_with_the_newest_first() {
    let row = |name: &str, created: &str| format!(r#"{{"_id":"{name}","_creationTime":{created},"name":"{name}"}}"#);
    let (one, two, three) = (row("one", "1.5e12"), row("two", "1700000000000.25"), row("three", "1700000000000.5"));
    for rows in [[&one, &two, &three], [&three, &two, &one], [&two, &three, &one]] {
        let rows = rows.map(String::as_str).join(",");
        let list = reply(Function::ListAuthenticatorsByUserId, r#"{"userId":"u"}"#, &format!("[{rows}]")).unwrap();
        assert_eq!(list, r#"[{"name":"three"},{"name":"two"},{"name":"one"}]"#);
    }
}

#[test]
fn an_authenticator_that_is_not_there_cannot_be_changed() {
    let body = r#"{"credentialID":"c","newCounter":1}"#;
    let row = r#"{"_id":"a1","_creationTime":1,"credentialID":"c","counter":1}"#;
    let changed = reply(Function::UpdateAuthenticatorCounter, body, row);
    assert_eq!(changed.unwrap(), r#"{"credentialID":"c","counter":1}"#);
    let none = reply(Function::UpdateAuthenticatorCounter, body, "null");
    assert_eq!(none, Err(WireProblem::NoSuchAuthenticator));
    insta::assert_snapshot!(WireProblem::NoSuchAuthenticator, @"there is no authenticator with this credential id");
}

#[test]
fn rows_without_an_id_in_auth_js_are_answered_without_one() {
    let rows = r#"[{"_id":"a2","_creationTime":2,"counter":2.0},{"_id":"a1","counter":1}]"#;
    let list = reply(Function::ListAuthenticatorsByUserId, r#"{"userId":"u"}"#, rows).unwrap();
    assert_eq!(list, r#"[{"counter":2.0},{"counter":1}]"#);
    let token = r#"{"_id":"v1","_creationTime":1,"expires":0,"token":"t"}"#;
    let used = reply(Function::UseVerificationToken, r#"{"identifier":"i","token":"t"}"#, token).unwrap();
    assert_eq!(used, r#"{"token":"t","expires":"1970-01-01T00:00:00.000Z"}"#);
    let account = r#"{"_id":"c1","_creationTime":1,"provider":"p","providerAccountId":"a","expires_at":1}"#;
    let key = r#"{"provider":"p","providerAccountId":"a"}"#;
    for function in [Function::GetAccount, Function::UnlinkAccount] {
        let found = reply(function, key, account).unwrap();
        assert_eq!(found, r#"{"provider":"p","providerAccountId":"a","expires_at":1}"#);
        assert_eq!(reply(function, key, "null").unwrap(), "null");
    }
}

#[test]
fn minus_zero_is_a_date_in_both_formats() {
    for zero in ["-0", "-0.0", r#"{"$float":"AAAAAAAAAIA="}"#] {
        let row = format!(r#"{{"_id":"s1","expires":{zero}}}"#);
        let session = reply(Function::DeleteSession, TOKEN, &row).unwrap();
        assert_eq!(session, r#"{"expires":"1970-01-01T00:00:00.000Z","id":"s1"}"#);
    }
}

#[test]
fn an_answer_off_the_contract_is_a_problem_and_never_null() {
    let unreadable = Err(WireProblem::Unreadable { function: "deleteSession" });
    for value in ["1", "\"x\"", "[]", "{}", "true", r#"{"_id":1,"expires":0}"#, r#"{"expires":0,"id":"s1"}"#] {
        assert_eq!(reply(Function::DeleteSession, TOKEN, value), unreadable, "{value}");
    }
    let not_a_date = Err(WireProblem::NotADate { function: "deleteSession", field: "session.expires" });
    for expires in ["null", "\"2026\"", "1e999", "8640000000000001", "{}", r#"{"$float":"AAAAAAAA8H8="}"#] {
        let row = format!(r#"{{"_id":"s1","expires":{expires}}}"#);
        assert_eq!(reply(Function::DeleteSession, TOKEN, &row), not_a_date, "{expires}");
    }
    let unreadable = Err(WireProblem::Unreadable { function: "getSessionAndUser" });
    for value in [r#"{"session":null,"user":null}"#, &format!(r#"{{"session":{SESSION_ROW}}}"#), "[]"] {
        assert_eq!(reply(Function::GetSessionAndUser, TOKEN, value), unreadable, "{value}");
    }
    for value in ["null", "1", "{\"_id\":\"u\"}"] {
        let unreadable = Err(WireProblem::Unreadable { function: "createUser" });
        assert_eq!(reply(Function::CreateUser, r#"{"user":{}}"#, value), unreadable, "{value}");
    }
    insta::assert_snapshot!(WireProblem::Unreadable { function: "getUser" }, @"the deployment's `getUser` answered something else than the adapter contract says");
    insta::assert_snapshot!(WireProblem::NotADate { function: "getUser", field: "user.emailVerified" }, @"the deployment's `getUser` answered a row whose `user.emailVerified` is not a date");
    insta::assert_snapshot!(WireProblem::NoSuchUser, @"there is no user with this id");
}

#[test]
fn debug_output_holds_nothing_of_a_person() {
    let body = r#"{"user":{"id":"canary","email":"canary"}}"#;
    let (first, next) = (run(Function::UpdateUser, body).unwrap(), second(Function::UpdateUser, body, "null"));
    insta::assert_snapshot!(format!("{first:?} {next:?}"), @"Run { function: UpdateUser, .. } Run { function: GetUser, .. }");
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

proptest! {
    #[test]
    fn law_what_is_created_is_what_is_found(
        email: String, name in proptest::option::of(any::<String>()), extra: f64,
        verified in proptest::option::of(-MAX_MILLIS..=MAX_MILLIS),
    ) {
        let iso = verified.map(|millis| date::to_iso(millis as f64).unwrap());
        let body = json!({"user": {"id": "x", "email": email, "name": name, "emailVerified": iso, "extra": extra}});
        let body = body.to_string();
        let created = reply(Function::CreateUser, &body, r#""u1""#).unwrap();
        let mut stored = parsed(&args(Function::CreateUser, &body))["user"].clone();
        stored["_id"] = "u1".into();
        stored["_creationTime"] = 1.5.into();
        let found = reply(Function::GetUser, r#"{"id":"u1"}"#, &stored.to_string()).unwrap();
        prop_assert_eq!(parsed(&created), parsed(&found));
        prop_assert_eq!(&parsed(&found)["emailVerified"], &json!(iso));
    }

    #[test]
    fn law_every_spelling_of_a_number_is_the_same_date(millis in -MAX_MILLIS..=MAX_MILLIS) {
        let iso = format!(r#"{{"expires":"{}","id":"s1"}}"#, date::to_iso(millis as f64).unwrap());
        for number in [format!("{millis}"), format!("{millis}.0"), format!("{:e}", millis as f64), format!("{millis}.0E+0")] {
            let row = format!(r#"{{"_id":"s1","expires":{number}}}"#);
            prop_assert_eq!(&reply(Function::DeleteSession, TOKEN, &row).unwrap(), &iso);
        }
    }

    #[test]
    fn any_body_and_any_answer_is_read_without_a_panic(
        body: Vec<u8>, text in "[\\[\\]{}\",:a-e0-9_.nul$-]{0,24}", index in 0..Function::ALL.len(),
    ) {
        let function = Function::ALL[index];
        for body in [&body[..], text.as_bytes(), format!(r#"{{"user":{text},"session":{text},"account":{text}}}"#).as_bytes()] {
            if let Ok(request) = read(function, body) {
                let _ = begin(request, Nulls::Drop, &secret());
            }
        }
        for value in [format!(r#"{{"session":{text},"user":{text}}}"#), format!("[{text}]"), text] {
            if let Ok(value) = serde_json::from_str::<&RawValue>(&value) {
                let run = run(function, &least(function)).unwrap();
                let _ = run.resume(Outcome::Returned(value.into()), &secret());
            }
        }
    }
}
