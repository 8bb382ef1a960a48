//! The Auth.js wire: `POST /adapter/{function}` takes what a method of Auth.js's `Adapter` takes and answers what it
//! answers, so that an app needs no codec of its own.
//!
//! [`arguments`] turns a body into the arguments of a Convex function, [`answer`] turns Convex's value into the method's
//! result. Neither calls anything. The one invariant: rows leave with `id` and ISO dates, without `_id` and
//! `_creationTime`; every other value leaves byte for byte as Convex, or the caller, wrote it.

use std::fmt;

use serde_json::value::RawValue;
use thiserror::Error;

use super::{
    arguments::{ArgumentProblem, Arguments, SECRET, find_only},
    codec::{Nested, ObjectWriter, is_number, read_number, survives, write_text},
    contract::{Answer, Argument, Function, Holds, Presence, Row},
    date::{self, DateProblem},
    members::{Member, read_members},
};
use crate::{config::Nulls, secret::Secret};

/// The functions that are served, by the names in their contract.
const SERVED: [Function; 5] = [
    Function::CreateSession,
    Function::CreateUser,
    Function::DeleteSession,
    Function::GetSessionAndUser,
    Function::UpdateUser,
];

/// A function that the Auth.js wire serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireFunction(Function);

/// One call under way: what [`answer`] must know of the request.
///
/// `Debug` output tells the function and nothing of the arguments.
pub struct WireCall {
    function: Function,
    reply: Reply,
}

/// How a call will be answered, with what is kept of the request until then.
enum Reply {
    /// `null`.
    Null,
    /// Convex answers the id of what was created; the row is the caller's own, written up to where its id belongs.
    Created { row: Row, unclosed: Vec<u8> },
    /// Convex answers nothing, and the method promises the stored user; the id is JSON text.
    Updated { id: String },
    /// A row or null.
    Row(Row),
    /// A list of rows.
    Rows(Row),
    /// Both or null.
    SessionAndUser,
}

/// What comes after Convex's answer.
pub enum NextStep {
    /// Nothing: this is the body of the answer, JSON.
    Answer(Vec<u8>),
    /// The row must be read for the answer.
    ReadUser(ReadUser),
}

/// A call of `getUser` that an answer waits for.
pub struct ReadUser {
    id: String,
}

/// Why there is no answer although Convex answered. None holds a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireProblem {
    /// The value is not what the contract says: other functions are deployed, or the proxy and they have drifted apart.
    #[error("the deployment's `{function}` answered something else than the adapter contract says")]
    Unreadable {
        /// The function.
        function: &'static str,
    },
    /// A row's date is no number that a JavaScript date can hold.
    #[error("the deployment's `{function}` answered a row whose `{field}` is not a date")]
    NotADate {
        /// The function.
        function: &'static str,
        /// The field, e.g. `session.expires`.
        field: &'static str,
    },
    /// The user that was to be changed is not there.
    #[error("there is no user with this id")]
    NoSuchUser,
}

/// Finds a function of the Auth.js wire by the last segment of its route; `None` for every other text.
pub fn serves(name: &str) -> Option<WireFunction> {
    SERVED.into_iter().find(|function| function.contract().name == name).map(WireFunction)
}

impl WireFunction {
    /// The function of the contract, which is also the Convex function that is called.
    pub fn function(self) -> Function {
        self.0
    }
}

/// Reads a body and appends the arguments of the Convex function, one JSON object with the proxy's secret, to `out`.
///
/// The body is untrusted: a JSON object with the method's arguments by name, dates as ISO 8601 strings or epoch milliseconds,
/// null members anywhere, which `nulls` drops or keeps. A `secret` of the caller is dropped. The `id` that Auth.js makes up
/// for a new user is dropped too, since Convex makes its own. Members that the contract does not know are sent: Convex
/// decides.
///
/// # Errors
///
/// Nothing is appended then. All of them answer 400.
///
/// - [`ArgumentProblem::NotAJsonObject`]: the body is something else.
/// - [`ArgumentProblem::Missing`], [`ArgumentProblem::IllTyped`]: an argument, the date of a new session or the id of the
///   user to be changed.
/// - [`ArgumentProblem::NotADate`]: a date that JavaScript's `Date` cannot hold, as a number too, since the answer must show it.
/// - The rest as in [`Arguments::read`] and [`Arguments::encode`].
pub fn arguments(
    function: WireFunction,
    body: &[u8],
    nulls: Nulls,
    secret: &Secret,
    out: &mut Vec<u8>,
) -> Result<WireCall, ArgumentProblem> {
    let body: &RawValue = serde_json::from_slice(body).map_err(|_| ArgumentProblem::NotAJsonObject)?;
    if !body.get().starts_with('{') {
        return Err(ArgumentProblem::NotAJsonObject);
    }
    let arguments = Arguments::read(body)?;
    let function = function.0;
    for argument in function.contract().arguments {
        let Some(value) = arguments.value(argument.name).filter(|value| *value != "null") else {
            return Err(ArgumentProblem::Missing { field: argument.name });
        };
        check_type(*argument, value)?;
    }
    let mut nested = match function.contract().nested() {
        Some((name, row)) => Some(Nested::read(name, row, arguments.value(name).unwrap_or_default())?),
        None => None,
    };
    let reply = plan_reply(function, nested.as_ref(), nulls)?;
    if let (Function::CreateUser, Some(user)) = (function, &mut nested) {
        user.left_out = Some("id");
    }
    arguments.write(nested.as_ref(), nulls, secret, out);
    Ok(WireCall { function, reply })
}

/// Turns the value that Convex answered into the method's result.
///
/// The value may be in either of Convex's formats: a number as `1767225600000`, `1767225600000.0` or `1.7672256e12`.
///
/// # Errors
///
/// - [`WireProblem::Unreadable`], [`WireProblem::NotADate`]: the value is not what the contract says. A retry does not help,
///   and if the function writes, it has written.
pub fn answer(call: &WireCall, value: &RawValue) -> Result<NextStep, WireProblem> {
    let function = call.function.contract().name;
    let value = value.get();
    let mut out = Vec::with_capacity(value.len() + 64);
    match &call.reply {
        Reply::Null => out.extend_from_slice(b"null"),
        Reply::Created { row, unclosed } => {
            if !value.starts_with('"') {
                return Err(WireProblem::Unreadable { function });
            }
            out.extend_from_slice(unclosed);
            close_row(*row, value, &mut out);
        }
        Reply::Updated { id } => return Ok(NextStep::ReadUser(ReadUser { id: id.clone() })),
        Reply::Row(row) => write_row_or_null(function, *row, value, &mut out)?,
        Reply::Rows(row) => write_rows(function, *row, value, &mut out)?,
        Reply::SessionAndUser => write_session_and_user(function, value, &mut out)?,
    }
    Ok(NextStep::Answer(out))
}

impl ReadUser {
    /// Appends the arguments of `getUser`, one JSON object with the proxy's secret, to `out`.
    pub fn arguments(&self, secret: &Secret, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::open(out);
        object.plain_name("id");
        object.out.extend_from_slice(self.id.as_bytes());
        object.plain_name(SECRET);
        write_text(secret.expose(), object.out);
        object.close();
    }

    /// Turns the value that `getUser` answered into the result of the method that waits for it.
    ///
    /// # Errors
    ///
    /// - [`WireProblem::NoSuchUser`]: `null`. The Convex function changes nobody in silence; a method that promises a user
    ///   cannot.
    /// - [`WireProblem::Unreadable`], [`WireProblem::NotADate`]: as in [`answer`].
    pub fn answer(&self, value: &RawValue) -> Result<Vec<u8>, WireProblem> {
        let value = value.get();
        if value == "null" {
            return Err(WireProblem::NoSuchUser);
        }
        let mut out = Vec::with_capacity(value.len() + 64);
        write_row(Function::GetUser.contract().name, Row::User, value, &mut out)?;
        Ok(out)
    }
}

fn check_type(argument: Argument, value: &str) -> Result<(), ArgumentProblem> {
    let (is_right, expected) = match argument.holds {
        Holds::Text => (value.starts_with('"'), "a string"),
        Holds::Number => (is_number(value), "a number"),
        Holds::Row(_) => (value.starts_with('{'), "an object"),
    };
    if is_right { Ok(()) } else { Err(ArgumentProblem::IllTyped { field: argument.name, expected }) }
}

/// Decides how the call will be answered, and refuses now what could not be answered after the write.
fn plan_reply(function: Function, nested: Option<&Nested<'_>>, nulls: Nulls) -> Result<Reply, ArgumentProblem> {
    let iso = nested.map_or(Ok(None), iso_of_argument)?;
    Ok(match (function.contract().answer, nested) {
        (Answer::Id, Some(Nested { row, members, .. })) => {
            if let (Some(field), None) = (row.date(), &iso)
                && field.presence == Presence::Always
            {
                return Err(ArgumentProblem::Missing { field: field.path });
            }
            let mut unclosed = Vec::with_capacity(256);
            open_row(*row, members, iso.as_deref(), nulls, &mut unclosed);
            Reply::Created { row: *row, unclosed }
        }
        (Answer::Nothing, Some(Nested { row: Row::User, members, .. })) => {
            let id = find_only(members, "id").filter(|id| *id != "null");
            let id = id.ok_or(ArgumentProblem::Missing { field: "user.id" })?;
            if !id.starts_with('"') {
                return Err(ArgumentProblem::IllTyped { field: "user.id", expected: "a string" });
            }
            Reply::Updated { id: id.to_owned() }
        }
        (Answer::Id | Answer::Nothing, _) => Reply::Null,
        (Answer::Row(row), _) => Reply::Row(row),
        (Answer::Rows(row), _) => Reply::Rows(row),
        (Answer::SessionAndUser, _) => Reply::SessionAndUser,
    })
}

/// The ISO text of the date in a request; `None` when it is absent or null.
fn iso_of_argument(nested: &Nested<'_>) -> Result<Option<String>, ArgumentProblem> {
    let Some(field) = nested.row.date() else { return Ok(None) };
    let value = find_only(&nested.members, field.name).filter(|value| *value != "null");
    let ill_typed =
        ArgumentProblem::IllTyped { field: field.path, expected: "a date in ISO 8601 or epoch milliseconds" };
    let millis = match (nested.millis, value) {
        (Some(millis), _) => millis as f64,
        (None, Some(value)) => read_number(value).ok_or(ill_typed)?,
        (None, None) => return Ok(None),
    };
    let out_of_bounds = ArgumentProblem::NotADate { field: field.path, reason: DateProblem::OutOfBounds };
    date::to_iso(millis).map(Some).ok_or(out_of_bounds)
}

fn write_row_or_null(function: &'static str, row: Row, value: &str, out: &mut Vec<u8>) -> Result<(), WireProblem> {
    if value == "null" {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    write_row(function, row, value, out)
}

fn write_rows(function: &'static str, row: Row, value: &str, out: &mut Vec<u8>) -> Result<(), WireProblem> {
    let rows: Vec<&RawValue> = serde_json::from_str(value).map_err(|_| WireProblem::Unreadable { function })?;
    out.push(b'[');
    for (index, value) in rows.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_row(function, row, value.get(), out)?;
    }
    out.push(b']');
    Ok(())
}

fn write_session_and_user(function: &'static str, value: &str, out: &mut Vec<u8>) -> Result<(), WireProblem> {
    if value == "null" {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    let members = read_members(value).map_err(|_| WireProblem::Unreadable { function })?;
    let mut object = ObjectWriter::open(out);
    for (name, row) in [("session", Row::Session), ("user", Row::User)] {
        let value = find_only(&members, name).ok_or(WireProblem::Unreadable { function })?;
        object.plain_name(name);
        write_row(function, row, value, object.out)?;
    }
    object.close();
    Ok(())
}

/// Writes a row of Convex's as Auth.js has it.
fn write_row(function: &'static str, row: Row, value: &str, out: &mut Vec<u8>) -> Result<(), WireProblem> {
    let members = read_members(value).map_err(|_| WireProblem::Unreadable { function })?;
    let id = find_only(&members, "_id").filter(|id| id.starts_with('"'));
    let id = id.ok_or(WireProblem::Unreadable { function })?;
    let iso = match row.date() {
        None => None,
        Some(field) => match find_only(&members, field.name).filter(|value| *value != "null") {
            None if field.presence == Presence::Perhaps => None,
            value => {
                let iso = value.and_then(read_number).and_then(date::to_iso);
                Some(iso.ok_or(WireProblem::NotADate { function, field: field.path })?)
            }
        },
    };
    // A null that Convex stored is the row's own and stays.
    open_row(row, &members, iso.as_deref(), Nulls::Keep, out);
    close_row(row, id, out);
    Ok(())
}

/// Writes a row without its id and closing brace.
fn open_row(row: Row, members: &[Member<'_>], iso: Option<&str>, nulls: Nulls, out: &mut Vec<u8>) {
    let date = row.date();
    let mut object = ObjectWriter::open(out);
    for member in members.iter().filter(|member| survives(member, nulls)) {
        let is_rewritten = match &*member.name {
            "_id" | "_creationTime" => true,
            "id" => has_id(row),
            name => date.is_some_and(|field| field.name == name),
        };
        if !is_rewritten {
            object.name(member.name_text);
            object.out.extend_from_slice(member.value.as_bytes());
        }
    }
    if let Some(field) = date {
        object.plain_name(field.name);
        match iso {
            Some(iso) => write_text(iso, object.out),
            None => object.out.extend_from_slice(b"null"),
        }
    }
}

/// Writes what [`open_row`] left open; `id` is JSON text.
fn close_row(row: Row, id: &str, out: &mut Vec<u8>) {
    if has_id(row) {
        // These rows have a date, so a member stands before.
        out.extend_from_slice(br#","id":"#);
        out.extend_from_slice(id.as_bytes());
    }
    out.push(b'}');
}

/// Whether Auth.js's row has an `id`: its interface names one for users, and the guide's adapter gives one to sessions.
fn has_id(row: Row) -> bool {
    match row {
        Row::User | Row::Session => true,
        Row::Account | Row::Authenticator | Row::VerificationToken => false,
    }
}

impl fmt::Debug for WireCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WireCall").field("function", &self.function).finish_non_exhaustive()
    }
}

impl fmt::Debug for NextStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Answer(_) => "Answer(..)",
            Self::ReadUser(_) => "ReadUser(..)",
        })
    }
}

impl fmt::Debug for ReadUser {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ReadUser").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json, value::RawValue};

    use super::{
        ArgumentProblem, DateProblem, Function, NextStep, SERVED, WireFunction, WireProblem, answer, arguments, serves,
    };
    use crate::{
        adapter::date::{self, MAX_MILLIS},
        config::Nulls,
        secret::Secret,
    };

    fn call(function: Function, body: &str) -> Result<(super::WireCall, String), ArgumentProblem> {
        let mut out = b"before".to_vec();
        let result = arguments(WireFunction(function), body.as_bytes(), Nulls::Drop, &Secret::new("s"), &mut out);
        let out = String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned();
        assert!(result.is_ok() || out.is_empty(), "an error appends nothing");
        result.map(|call| (call, out))
    }

    fn args(function: Function, body: &str) -> String {
        call(function, body).unwrap().1
    }

    fn refusal(function: Function, body: &str) -> ArgumentProblem {
        call(function, body).unwrap_err()
    }

    fn raw(value: &str) -> Box<RawValue> {
        serde_json::from_str(value).unwrap()
    }

    fn reply(function: Function, body: &str, value: &str) -> Result<String, WireProblem> {
        match answer(&call(function, body).unwrap().0, &raw(value))? {
            NextStep::Answer(body) => Ok(String::from_utf8(body).unwrap()),
            NextStep::ReadUser(_) => panic!("{function:?} needs no second call"),
        }
    }

    const TOKEN: &str = r#"{"sessionToken":"t"}"#;
    const SESSION: &str = r#"{"session":{"sessionToken":"t","userId":"u1","expires":"2026-01-01T00:00:00.000Z"}}"#;
    const SESSION_ROW: &str =
        r#"{"_creationTime":1.5e12,"_id":"s1","expires":1767225600000.0,"sessionToken":"t","userId":"u1"}"#;
    const USER_ROW: &str = r#"{"_id":"u1","_creationTime":1700000000000.25,"email":"\u0061@b.c","emailVerified":1.7672256e12,"score":1.50}"#;

    #[test]
    fn five_functions_are_served() {
        for function in SERVED {
            assert_eq!(serves(function.contract().name).map(WireFunction::function), Some(function));
        }
        for name in ["", "createuser", "getUser", "default", "createUser/"] {
            assert_eq!(serves(name), None, "{name}");
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
    fn nulls_can_be_kept() {
        let body = br#"{"user":{"id":"u1","name":null,"emailVerified":null}}"#;
        let mut out = Vec::new();
        arguments(WireFunction(Function::UpdateUser), body, Nulls::Keep, &Secret::new("s"), &mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"{"user":{"id":"u1","name":null,"emailVerified":null},"secret":"s"}"#);
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
        assert_eq!(refusal(Function::CreateSession, r#"{"session":{"userId":"u"}}"#), missing("session.expires"));
        assert_eq!(refusal(Function::CreateSession, r#"{"session":{"expires":null}}"#), missing("session.expires"));
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
        let function = WireFunction(Function::DeleteSession);
        let refused = arguments(function, not_utf8, Nulls::Drop, &Secret::new("s"), &mut Vec::new());
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
        let millis = r#"{"session":{"expires":1.7672256e12}}"#;
        insta::assert_snapshot!(reply(Function::CreateSession, millis, r#""s1""#).unwrap(), @r#"{"expires":"2026-01-01T00:00:00.000Z","id":"s1"}"#);
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
        let (call, _) = call(Function::UpdateUser, r#"{"user":{"id":"u\u0031","emailVerified":"2026"}}"#).unwrap();
        let NextStep::ReadUser(read) = answer(&call, &raw("null")).unwrap() else { panic!("a second call") };
        let mut out = Vec::new();
        read.arguments(&Secret::new("s"), &mut out);
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"{"id":"u\u0031","secret":"s"}"#);
        let user = read.answer(&raw(r#"{"_id":"u1","email":"e","name":null}"#)).unwrap();
        insta::assert_snapshot!(String::from_utf8(user).unwrap(), @r#"{"email":"e","name":null,"emailVerified":null,"id":"u1"}"#);
        assert_eq!(read.answer(&raw("null")), Err(WireProblem::NoSuchUser));
    }

    #[test]
    fn rows_without_an_id_in_auth_js_are_answered_without_one() {
        let rows = r#"[{"_id":"a1","_creationTime":1,"counter":1},{"_id":"a2","counter":2.0}]"#;
        let list = reply(Function::ListAuthenticatorsByUserId, r#"{"userId":"u"}"#, rows).unwrap();
        assert_eq!(list, r#"[{"counter":1},{"counter":2.0}]"#);
        let token = r#"{"_id":"v1","_creationTime":1,"expires":0,"token":"t"}"#;
        let used = reply(Function::UseVerificationToken, r#"{"identifier":"i","token":"t"}"#, token).unwrap();
        assert_eq!(used, r#"{"token":"t","expires":"1970-01-01T00:00:00.000Z"}"#);
        let updated = reply(Function::UpdateSession, r#"{"session":{"sessionToken":"t"}}"#, "null").unwrap();
        assert_eq!(updated, "null");
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
        let (call, _) = call(Function::UpdateUser, r#"{"user":{"id":"canary","email":"canary"}}"#).unwrap();
        let next = answer(&call, &raw("null")).unwrap();
        insta::assert_snapshot!(format!("{call:?} {next:?}"), @"WireCall { function: UpdateUser, .. } ReadUser(..)");
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
            let function = WireFunction(Function::ALL[index]);
            for body in [&body[..], text.as_bytes(), format!(r#"{{"user":{text},"session":{text}}}"#).as_bytes()] {
                let _ = arguments(function, body, Nulls::Drop, &Secret::new("s"), &mut Vec::new());
            }
            let (call, _) = call(Function::GetSessionAndUser, TOKEN).unwrap();
            for value in [format!(r#"{{"session":{text},"user":{text}}}"#), text] {
                if let Ok(value) = serde_json::from_str::<&RawValue>(&value) {
                    let _ = answer(&call, value);
                }
            }
        }
    }
}
