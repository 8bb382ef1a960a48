//! The demo app: a chat of everybody, the question who one is, and results of any size.
//!
//! For looking at the proxy with `curl` or a page, not for keeping anything: the oldest messages go first.

use std::sync::Arc;

use super::auth::Identity;
use super::function::{Body, Call, Function, Thrown};
use super::store::{Database, Table, Transaction};
use super::validate::{Fields, Validator};
use super::value::{Object, Value};

/// Messages that `demo:list` returns at most.
const LISTED: usize = 100;
/// Messages that are kept at most (our choice: a page that is left open must not fill the memory).
const KEPT: usize = 1_000;
/// Characters of a message at most.
const LONGEST: usize = 1_000;
/// Bytes of a repeated text at most: Convex's limit on a result.
const REPEATED_BYTES: usize = 16 * 1024 * 1024;
/// The author of a message that nobody signed.
const ANONYMOUS: &str = "anonymous";

/// The functions of the module `demo`.
pub fn functions() -> Vec<Function> {
    vec![
        open("accounts", Fields::new(), Body::Query(accounts)),
        open("list", Fields::new(), Body::Query(list)),
        open("ping", Fields::new(), Body::Action(ping)),
        open(
            "repeat",
            Fields::new().required("text", Validator::String).required("times", Validator::Float64),
            Body::Query(repeat),
        ),
        open("send", Fields::new().required("body", Validator::String), Body::Mutation(send)),
        open("whoami", Fields::new(), Body::Query(whoami)),
    ]
}

fn open(name: &'static str, arguments: Fields, body: Body) -> Function {
    Function { name, arguments, secured: false, body }
}

/// The accounts of who is signed in, the oldest first: with which providers one can sign in.
fn accounts(database: &Database, call: &Call<'_>) -> Result<Value, Thrown> {
    let Some(identity) = call.identity else { return Ok(Value::Array(Vec::new())) };
    let linked = database.matching(Table::Accounts, "userId", &[identity.subject()]).into_iter().map(|account| {
        let mut shown = Object::default();
        for name in ["provider", "type"] {
            shown.set(name, Value::from(account.text(name)));
        }
        Value::Object(shown)
    });
    Ok(Value::Array(linked.collect()))
}

/// The newest messages, the newest last.
fn list(database: &Database, _: &Call<'_>) -> Result<Value, Thrown> {
    let mut newest: Vec<_> = database.oldest_first(Table::Messages).rev().take(LISTED).collect();
    newest.reverse();
    Ok(Value::Array(newest.into_iter().map(|message| Value::Object(Arc::unwrap_or_clone(message))).collect()))
}

fn ping(_: &Call<'_>) -> Result<Value, Thrown> {
    Ok(Value::from("pong"))
}

/// The text so many times over; for looking at large results.
fn repeat(_: &Database, call: &Call<'_>) -> Result<Value, Thrown> {
    let text = call.arguments.text("text");
    let times = match call.arguments.field("times") {
        // The cast stops at the largest `usize`, which is too often for any text but the empty one.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be no less than zero")]
        Some(Value::Float64(times)) if *times >= 0.0 => *times as usize,
        _ => return Err(Thrown::RepeatedLength),
    };
    match text.len().checked_mul(times) {
        Some(0) => Ok(Value::from("")),
        Some(..=REPEATED_BYTES) => Ok(Value::String(text.repeat(times))),
        _ => Err(Thrown::RepeatedLength),
    }
}

/// What others see of an author: the name in the token, else that of the user's row, else the part of its address that is no address.
fn author(database: &Database, identity: &Identity) -> String {
    if let Some(name) = identity.name() {
        return name.to_owned();
    }
    let user = database.document(Table::Users, identity.subject());
    let of_row = |field| user.as_ref().map(|user| user.text(field)).filter(|text| !text.is_empty());
    let of_address = || of_row("email").and_then(|address| address.split('@').next()).filter(|part| !part.is_empty());
    of_row("name").or_else(of_address).unwrap_or_else(|| identity.display_name()).to_owned()
}

/// Anybody may send; who is signed in signs.
fn send(transaction: &mut Transaction<'_>, call: &Call<'_>) -> Result<Value, Thrown> {
    let body = call.arguments.text("body");
    if !(1..=LONGEST).contains(&body.chars().count()) {
        return Err(Thrown::MessageLength);
    }
    let author = call.identity.map_or_else(|| ANONYMOUS.to_owned(), |identity| author(transaction, identity));
    let mut message = Object::default();
    message.set("author", Value::String(author));
    message.set("body", Value::from(body));
    while transaction.count(Table::Messages) >= KEPT {
        let Some(oldest) = transaction.oldest_first(Table::Messages).next() else { break };
        transaction.delete(Table::Messages, oldest.text("_id"));
    }
    Ok(Value::String(transaction.insert(Table::Messages, message)))
}

/// The identity as a function sees it, or null.
fn whoami(_: &Database, call: &Call<'_>) -> Result<Value, Thrown> {
    Ok(call.identity.map_or(Value::Null, |identity| Value::Object(identity.to_object())))
}
