//! What a caller of the Auth.js wire sends: checked by the contract, and written as the arguments of a Convex function.

use super::{IfThrown, ReadBack, Run, Then, rows};
use crate::{
    adapter::{
        arguments::{ArgumentProblem, Arguments, find_only},
        codec::{Nested, Sends, is_number, read_number},
        contract::{Answer, Argument, Field, FieldValue, Function, Holds, Presence, Row},
        date::{DateProblem, Iso},
        members::Member,
        text::read_text,
    },
    config::Nulls,
    secret::Secret,
};

/// Checks and writes; see [`begin`](super::begin).
pub(super) fn prepare(
    function: Function,
    arguments: Arguments<'_>,
    nulls: Nulls,
    secret: &Secret,
) -> Result<Run, ArgumentProblem> {
    let contract = function.contract();
    // A method may be called with more than it names, as with a whole row where its key is wanted.
    let arguments = arguments.only(contract.arguments);
    let mut nested = None;
    let mut if_thrown = IfThrown::Refused;
    for argument in contract.arguments {
        let Some(value) = check_argument(*argument, arguments.value(argument.name))? else {
            if_thrown = IfThrown::Absent;
            continue;
        };
        match argument.holds {
            Holds::Row(row) => nested = Some(read_row(argument.name, row, value)?),
            Holds::Part(row) => nested = Some(read_part(argument.name, row, value)?),
            Holds::UserId if !has_the_shape_of_an_id(value) => if_thrown = IfThrown::Absent,
            Holds::UserId | Holds::Text | Holds::Number => {}
        }
    }
    if let Some(nested) = &mut nested {
        nested.sends = sends(function);
    }
    let then = match (contract.answer, &nested) {
        (Answer::Id, Some(new)) => {
            let mut unclosed = Vec::with_capacity(256);
            // A user is answered as it will be found; an authenticator as it was given, which is what its method promises.
            let nulls = if new.row == Row::Authenticator { Nulls::Keep } else { nulls };
            rows::open(new.row, &new.members, iso_of(new)?.as_ref(), nulls, &mut unclosed);
            Then::Created { row: new.row, unclosed }
        }
        (Answer::Nothing, Some(part)) => {
            iso_of(part)?;
            let key = find_only(&part.members, key_of(part.row).name).unwrap_or_default();
            if part.row == Row::Session {
                let read_back = ReadBack::Session { token: key.to_owned() };
                // The guide's `updateSession` demands a date; a session that stays as it is need not be written.
                if !part.sends_more_than(key_of(part.row).name, nulls) {
                    return Ok(read_back.run(secret));
                }
                Then::Updated(read_back)
            } else {
                if !has_the_shape_of_an_id(key) {
                    if_thrown = IfThrown::Absent;
                }
                Then::Updated(ReadBack::User { id: key.to_owned() })
            }
        }
        (Answer::Id | Answer::Nothing, None) => Then::Nothing,
        (Answer::Row(_), _) if function == Function::UpdateAuthenticatorCounter => Then::ChangedAuthenticator,
        (Answer::Row(row), _) => Then::Row(row),
        (Answer::Rows(row), _) => Then::Rows(row),
        (Answer::SessionAndUser, _) => Then::SessionAndUser,
    };
    let mut out = Vec::with_capacity(arguments.bytes() + 96);
    arguments.write(nested.as_ref(), nulls, secret, &mut out);
    Ok(Run { function, arguments: out, then, if_thrown, follows_a_write: false })
}

/// The value of an argument; `None` when it may be unknown and is.
fn check_argument(argument: Argument, value: Option<&str>) -> Result<Option<&str>, ArgumentProblem> {
    let Some(value) = value.filter(|value| *value != "null") else {
        return match argument.presence {
            Presence::Always => Err(ArgumentProblem::Missing { field: argument.name }),
            Presence::Perhaps => Ok(None),
        };
    };
    let (is_right, expected) = match argument.holds {
        Holds::Text | Holds::UserId => (value.starts_with('"'), A_STRING),
        Holds::Number => (is_number(value), A_NUMBER),
        Holds::Row(_) | Holds::Part(_) => (value.starts_with('{'), "an object"),
    };
    if is_right { Ok(Some(value)) } else { Err(ArgumentProblem::IllTyped { field: argument.name, expected }) }
}

/// Reads a new row: all that a row must have is there.
fn read_row<'a>(name: &'static str, row: Row, object: &'a str) -> Result<Nested<'a>, ArgumentProblem> {
    let nested = Nested::read(name, row, object)?;
    for field in row.fields() {
        check_field(field, &nested.members, field.presence)?;
    }
    Ok(nested)
}

/// Reads what changes in a row: its key is there.
fn read_part<'a>(name: &'static str, row: Row, object: &'a str) -> Result<Nested<'a>, ArgumentProblem> {
    let nested = Nested::read(name, row, object)?;
    check_field(&key_of(row), &nested.members, Presence::Always)?;
    for field in row.fields() {
        check_field(field, &nested.members, Presence::Perhaps)?;
    }
    Ok(nested)
}

fn check_field(field: &Field, members: &[Member<'_>], presence: Presence) -> Result<(), ArgumentProblem> {
    let Some(value) = find_only(members, field.name).filter(|value| *value != "null") else {
        return match presence {
            Presence::Always => Err(ArgumentProblem::Missing { field: field.path }),
            Presence::Perhaps => Ok(()),
        };
    };
    let (is_right, expected) = match field.value {
        FieldValue::Text => (value.starts_with('"'), A_STRING),
        FieldValue::Number => (is_number(value), A_NUMBER),
        FieldValue::Bool => (matches!(value, "true" | "false"), "true or false"),
        // A string was read as a date with its row.
        FieldValue::Date => (value.starts_with('"') || read_number(value).is_some(), A_DATE),
    };
    if is_right { Ok(()) } else { Err(ArgumentProblem::IllTyped { field: field.path, expected }) }
}

const A_DATE: &str = "a date in ISO 8601 or epoch milliseconds";
const A_NUMBER: &str = "a number";
const A_STRING: &str = "a string";

/// The member that names the row that changes.
fn key_of(row: Row) -> Field {
    let (name, path) = match row {
        Row::Session => ("sessionToken", "session.sessionToken"),
        Row::User | Row::Account | Row::Authenticator | Row::VerificationToken => ("id", "user.id"),
    };
    Field { name, path, value: FieldValue::Text, presence: Presence::Always }
}

/// Which members of the nested object the guide's functions know what to do with.
fn sends(function: Function) -> Sends {
    if matches!(function, Function::CreateUser | Function::CreateSession) {
        // Convex makes its own.
        Sends::AllBut(&["id"])
    } else if function == Function::UpdateSession {
        // A session does not change hands.
        Sends::AllBut(&["id", "userId"])
    } else if function == Function::LinkAccount {
        // Providers add fields to their tokens as they please.
        Sends::FieldsOfTheContract
    } else {
        Sends::All
    }
}

/// The ISO text of the date in a request; `None` when it is absent or null. Refuses now what could not be answered after the write.
fn iso_of(nested: &Nested<'_>) -> Result<Option<Iso>, ArgumentProblem> {
    let Some(field) = nested.row.date() else { return Ok(None) };
    let value = find_only(&nested.members, field.name).filter(|value| *value != "null");
    let millis = match (nested.millis, value.and_then(read_number)) {
        (Some(millis), _) => millis as f64,
        (None, Some(millis)) => millis,
        (None, None) => return Ok(None),
    };
    let out_of_bounds = ArgumentProblem::NotADate { field: field.path, reason: DateProblem::OutOfBounds };
    Iso::new(millis).map(Some).ok_or(out_of_bounds)
}

/// Whether a JSON string could be the id of a document: 31 to 37 letters and digits, as Convex's `v.id()` takes them
/// (`crates/value/src/id_v6.rs`).
fn has_the_shape_of_an_id(value: &str) -> bool {
    read_text(value).is_some_and(|text| {
        (31..=37).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}
