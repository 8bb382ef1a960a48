//! What a caller of the Auth.js wire sends: checked by the contract, and written as the arguments of a Convex function.

use super::{IfThrown, ReadBack, Request, Run, Then, rows};
use crate::{
    adapter::{
        arguments::ArgumentProblem,
        codec::{Nested, Sends, WithoutDate, is_number, read_number},
        contract::{Answer, Argument, Field, FieldValue, Function, Holds, Presence, Row},
        date::{DateProblem, TimeValue},
    },
    config::Nulls,
    json::read_span,
    secret::Secret,
};

/// Checks and writes; see [`begin`](super::begin).
pub(super) fn prepare(mut request: Request<'_>, nulls: Nulls, secret: &Secret) -> Result<Run, ArgumentProblem> {
    // In its place: see `Arguments::read_object`.
    let (function, arguments) = (request.function, &mut request.arguments);
    let contract = function.contract();
    let mut found = 0;
    let mut if_thrown = IfThrown::Refused;
    for argument in contract.arguments {
        let value = check_argument(*argument, arguments.value(argument.name))?;
        found += usize::from(value.is_some());
        let may_be_there = value.is_some_and(|value| argument.holds != Holds::UserId || has_the_shape_of_an_id(value));
        if !may_be_there {
            if_thrown = IfThrown::Absent;
        }
    }
    // A method may be called with more than it names, as with a whole row where its key is wanted.
    if found < arguments.count() {
        arguments.keep_only(contract.arguments);
    }
    let mut nested = arguments.nested()?;
    if let (Some(nested), [argument]) = (&mut nested, contract.arguments) {
        check_fields(nested, argument.holds)?;
        nested.sends = sends(function);
    }
    let mut then = match (contract.answer, &nested) {
        (Answer::Id, Some(new)) => Then::Created { row: new.row, members: WithoutDate::default(), date: date_of(new)? },
        (Answer::Nothing, Some(part)) => {
            date_of(part)?;
            let key = part.value(key_of(part.row).name).unwrap_or_default();
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
    let mut text = Vec::with_capacity(arguments.bytes() + 96);
    let written = arguments.write(nested.as_ref(), nulls, secret, &mut text);
    let arguments_end = text.len();
    if let (Then::Created { row, members, .. }, Some(new)) = (&mut then, &nested) {
        // A user is answered as it will be found; an authenticator as it was given, which is what its method promises.
        let nulls_answered = if *row == Row::Authenticator { Nulls::Keep } else { nulls };
        *members = if nulls_answered == nulls && !new.members().iter().any(rows::is_convexs_own) {
            written
        } else {
            rows::open(*row, new.members(), nulls_answered, &mut text);
            WithoutDate([arguments_end + 1..text.len(), 0..0])
        };
    }
    Ok(Run { function, text, arguments_end, then, if_thrown, follows_a_write: false })
}

/// The value of an argument; `None` when it may be unknown and is.
fn check_argument(argument: Argument, value: Option<&[u8]>) -> Result<Option<&[u8]>, ArgumentProblem> {
    let Some(value) = value.filter(|value| *value != b"null") else {
        return match argument.presence {
            Presence::Always => Err(ArgumentProblem::Missing { field: argument.name }),
            Presence::Perhaps => Ok(None),
        };
    };
    let (is_right, expected) = match argument.holds {
        Holds::Text | Holds::UserId => (value.starts_with(b"\""), A_STRING),
        Holds::Number => (is_number(value), A_NUMBER),
        Holds::Row(_) | Holds::Part(_) => (value.starts_with(b"{"), "an object"),
    };
    if is_right { Ok(Some(value)) } else { Err(ArgumentProblem::IllTyped { field: argument.name, expected }) }
}

/// All that a new row must have is there, or the key of a row that changes; what is there is of the right type.
fn check_fields(nested: &Nested<'_, '_>, holds: Holds) -> Result<(), ArgumentProblem> {
    let is_part = matches!(holds, Holds::Part(_));
    if is_part {
        check_field(&key_of(nested.row), nested, Presence::Always)?;
    }
    for field in nested.row.fields() {
        check_field(field, nested, if is_part { Presence::Perhaps } else { field.presence })?;
    }
    Ok(())
}

fn check_field(field: &Field, nested: &Nested<'_, '_>, presence: Presence) -> Result<(), ArgumentProblem> {
    let Some(value) = nested.value(field.name).filter(|value| *value != b"null") else {
        return match presence {
            Presence::Always => Err(ArgumentProblem::Missing { field: field.path }),
            Presence::Perhaps => Ok(()),
        };
    };
    let (is_right, expected) = match field.value {
        FieldValue::Text => (value.starts_with(b"\""), A_STRING),
        FieldValue::Number => (is_number(value), A_NUMBER),
        FieldValue::Bool => (matches!(value, b"true" | b"false"), "true or false"),
        // A string was read as a date with its row.
        FieldValue::Date => (value.starts_with(b"\"") || read_number(value).is_some(), A_DATE),
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

/// The date in a request; `None` when it is absent or null. Refuses now what could not be answered after the write.
fn date_of(nested: &Nested<'_, '_>) -> Result<Option<TimeValue>, ArgumentProblem> {
    let (None, Some(field)) = (nested.time, nested.date) else { return Ok(nested.time) };
    let Some(millis) = nested.value(field.name).and_then(read_number) else { return Ok(None) };
    let out_of_bounds = ArgumentProblem::NotADate { field: field.path, reason: DateProblem::OutOfBounds };
    TimeValue::clip(millis).map(Some).ok_or(out_of_bounds)
}

/// Whether a JSON string could be the id of a document: 31 to 37 letters and digits, as Convex's `v.id()` takes them
/// (`crates/value/src/id_v6.rs`).
fn has_the_shape_of_an_id(value: &[u8]) -> bool {
    read_span(value).is_some_and(|text| {
        (31..=37).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}
