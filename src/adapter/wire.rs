//! The Auth.js wire: `POST /adapter/{function}` takes what a method of Auth.js's `Adapter` takes and answers what it
//! promises, so that an app needs no codec of its own.
//!
//! ```text
//!  request   a body ─► the arguments of a Convex function, checked ─┐
//!            ┌───────────────────── Run ◄───────────────────────────┘
//!            └─► resume with what it returned ─► Answer, or one more Run
//!  rows      Convex's rows ─► Auth.js's
//! ```
//!
//! A call is a small machine that asks for one function of the deployment at a time; nothing here calls anything. The one invariant: rows
//! leave with `id` and ISO dates, without `_id` and `_creationTime`; every other value leaves byte for byte as Convex, or
//! the caller, wrote it.

mod request;
mod rows;

use std::fmt;

use thiserror::Error;

use super::{
    arguments::{ArgumentProblem, Arguments, Shape},
    codec::{ObjectWriter, WithoutDate},
    contract::{Function, Row},
    date::TimeValue,
};
use crate::{
    config::Nulls,
    json::{JsonText, scan::Text},
    secret::Secret,
};

/// The body of a call of a method, read. `Debug` output tells the function and the number of members.
#[derive(Debug)]
pub struct Request<'body> {
    function: Function,
    arguments: Arguments<'body>,
}

/// What a call comes to next.
#[derive(Debug)]
pub enum Step {
    /// A function of the deployment must run.
    Run(Run),
    /// This is the body of the answer, JSON.
    Answer(Vec<u8>),
}

/// A function of the deployment that a call waits for.
///
/// `Debug` output tells the function and nothing of the arguments.
pub struct Run {
    function: Function,
    /// The arguments, and behind them what else is kept for the answer.
    text: Vec<u8>,
    arguments_end: usize,
    then: Then,
    if_thrown: IfThrown,
    follows_a_write: bool,
}

/// What a function of the deployment came to.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'value> {
    /// It returned a value, in either of Convex's formats: a number as `1767225600000`, `1767225600000.0` or `1.7672256e12`.
    Returned(JsonText<'value>),
    /// It threw, and did not say why. (A production deployment hides it; only a `ConvexError` is told.)
    Threw,
}

/// How a returned value becomes the answer, with what is kept of the request until then.
enum Then {
    /// `null`.
    Nothing,
    /// The function returns the id of what was created; the row is the caller's own. Where its members stand in the text that is kept:
    /// nearly always they are the arguments', which spares a second copy.
    Created { row: Row, members: WithoutDate, date: Option<TimeValue> },
    /// The method promises the row as it is stored. The guide's functions return nothing, so it is read.
    Updated(ReadBack),
    /// A row, or null.
    Row(Row),
    /// A row; null means that there is none to change.
    ChangedAuthenticator,
    /// The changed user; null means that there is none.
    ChangedUser,
    /// A list of rows.
    Rows(Row),
    /// Both, or null.
    SessionAndUser,
    /// Of both the session, or null.
    SessionOfBoth,
}

/// The key of a row that is read for an answer, JSON text.
enum ReadBack {
    User { id: Vec<u8> },
    Session { token: Vec<u8> },
}

/// What it means that a function threw.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IfThrown {
    /// The deployment refused the call.
    Refused,
    /// The call named what no row of the deployment can be named: there is none.
    Absent,
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
    /// The function threw; the deployment's log says why.
    #[error("the deployment refused `{function}`; its log says why")]
    Threw {
        /// The function.
        function: &'static str,
    },
    /// The user that was to be changed is not there.
    #[error("there is no user with this id")]
    NoSuchUser,
    /// The authenticator that was to be changed is not there.
    #[error("there is no authenticator with this credential id")]
    NoSuchAuthenticator,
}

/// Reads a body: a JSON object with the method's arguments by name. The bytes are untrusted.
///
/// # Errors
///
/// [`ArgumentProblem::NotAJsonObject`], and the rest as in [`Arguments::read`].
pub fn read(function: Function, body: &[u8]) -> Result<Request<'_>, ArgumentProblem> {
    let text = Text::read(body).ok_or(ArgumentProblem::NotAJsonObject)?;
    match Arguments::read_object(Some(function), Shape::Object, text) {
        Ok(arguments) => Ok(Request { function, arguments }),
        Err(ArgumentProblem::NotOneObject) => Err(ArgumentProblem::NotAJsonObject),
        // What comes after the problem was not read, and a body that is no JSON has no other.
        Err(problem) => Err(if text.is_json() { problem } else { ArgumentProblem::NotAJsonObject }),
    }
}

impl<'body> Request<'body> {
    /// The arguments, with what the caller shows of the secret.
    pub fn arguments(&self) -> &Arguments<'body> {
        &self.arguments
    }
}

/// Begins a call: prepares the function that must run for what was [read] from its body.
///
/// Dates are ISO 8601 strings or epoch milliseconds; members are null anywhere, and `nulls` drops or keeps them. A `secret` of the caller
/// is dropped; the proxy's own stands in the arguments.
///
/// So that every method keeps its contract although the guide's functions refuse what they do not know: the `id` that Auth.js makes up for
/// a new row is dropped, as are arguments that the method does not name; of an account the members of the contract are sent, of a session that changes neither `id` nor `userId`, and when
/// nothing is left to change, nothing is. Other members of a row that the contract does not know are sent: a schema may have more.
///
/// # Errors
///
/// All of them answer 400.
///
/// - [`ArgumentProblem::Missing`], [`ArgumentProblem::IllTyped`]: an argument, or a field of the row that an argument holds.
/// - [`ArgumentProblem::NotADate`]: a date that JavaScript's `Date` cannot hold, as a number too, since the answer must show it.
/// - The rest as in [`Arguments::encode`].
///
/// # Example
///
/// ```
/// use convex_auth_proxy::{adapter::{Function, wire::{Outcome, Step, begin, read}}, config::Nulls, secret::Secret};
///
/// let secret = Secret::new("s");
/// let body = br#"{"user":{"id":"x","email":"a@b.c","name":null,"emailVerified":"2026-01-01"}}"#;
/// let run = begin(read(Function::CreateUser, body)?, Nulls::Drop, &secret)?;
/// assert_eq!(run.arguments(), br#"{"user":{"email":"a@b.c","emailVerified":1767225600000},"secret":"s"}"#);
///
/// let id: &serde_json::value::RawValue = serde_json::from_str(r#""u1""#)?;
/// let Step::Answer(user) = run.resume(Outcome::Returned(id.into()), &secret)? else { panic!("an answer") };
/// assert_eq!(user, br#"{"email":"a@b.c","emailVerified":"2026-01-01T00:00:00.000Z","id":"u1"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn begin(request: Request<'_>, nulls: Nulls, secret: &Secret) -> Result<Run, ArgumentProblem> {
    request::prepare(request, nulls, secret)
}

impl Run {
    /// The function.
    pub fn function(&self) -> Function {
        self.function
    }

    /// Its arguments, one JSON object with the proxy's secret.
    pub fn arguments(&self) -> &[u8] {
        self.text.get(..self.arguments_end).unwrap_or_default()
    }

    /// Whether it reads back what another function has just written: the write has happened, whatever becomes of this.
    pub fn follows_a_write(&self) -> bool {
        self.follows_a_write
    }

    /// The answer when the function cannot be had: a method that may return nothing does not fail for a write that has happened.
    pub fn answer_without(&self) -> Option<Vec<u8>> {
        let may_be_nothing = matches!(self.then, Then::SessionOfBoth);
        (self.follows_a_write && may_be_nothing).then(|| b"null".to_vec())
    }

    /// Goes on with what the function came to.
    ///
    /// A function that threw because it was given an id of another shape than Convex's, or no identifier of a verification token, has found
    /// nothing: the answer is what the method says for that.
    ///
    /// # Errors
    ///
    /// - [`WireProblem::Unreadable`], [`WireProblem::NotADate`]: the value is not what the contract says. A retry does not help,
    ///   and if the function writes, it has written.
    /// - [`WireProblem::Threw`]: for any other reason than those above.
    /// - [`WireProblem::NoSuchUser`], [`WireProblem::NoSuchAuthenticator`]: there is nothing to change. The guide's `updateUser` changes
    ///   nobody in silence; a method that promises the changed row cannot.
    pub fn resume(self, outcome: Outcome<'_>, secret: &Secret) -> Result<Step, WireProblem> {
        let function = self.function.contract().name;
        let value = match outcome {
            Outcome::Returned(value) => value.get(),
            Outcome::Threw if self.if_thrown == IfThrown::Refused => {
                return self.answer_without().map(Step::Answer).ok_or(WireProblem::Threw { function });
            }
            Outcome::Threw => return self.then.absent().map(Step::Answer),
        };
        let rows = rows::Reader { function };
        let mut out = Vec::with_capacity(value.len() + 64);
        match self.then {
            Then::Nothing => out.extend_from_slice(b"null"),
            Then::Created { row, members: WithoutDate(members), date } => {
                if !value.starts_with('"') {
                    return Err(WireProblem::Unreadable { function });
                }
                out.reserve(self.text.len());
                let mut object = ObjectWriter::open(&mut out);
                for members in members {
                    object.members(self.text.get(members).unwrap_or_default());
                }
                rows::close(row, date, value.as_bytes(), &mut out);
            }
            Then::Updated(read_back) => {
                if !value.starts_with('{') {
                    return Ok(Step::Run(Self { follows_a_write: true, ..read_back.run(secret) }));
                }
                // Functions that are better than the guide's return the row.
                rows.write(read_back.row(), value, &mut out)?;
            }
            Then::ChangedUser if value == "null" => return Err(WireProblem::NoSuchUser),
            Then::ChangedUser => rows.write(Row::User, value, &mut out)?,
            Then::ChangedAuthenticator if value == "null" => return Err(WireProblem::NoSuchAuthenticator),
            Then::ChangedAuthenticator => rows.write(Row::Authenticator, value, &mut out)?,
            Then::Row(row) => rows.write_or_null(row, value, &mut out)?,
            Then::Rows(row) => rows.write_newest_first(row, value, &mut out)?,
            Then::SessionAndUser => rows.write_session_and_user(value, &mut out)?,
            Then::SessionOfBoth => rows.write_session_of_both(value, &mut out)?,
        }
        Ok(Step::Answer(out))
    }
}

impl Then {
    /// The answer when what was asked for cannot be there.
    fn absent(&self) -> Result<Vec<u8>, WireProblem> {
        match self {
            Self::Rows(_) => Ok(b"[]".to_vec()),
            Self::Updated(ReadBack::User { .. }) | Self::ChangedUser => Err(WireProblem::NoSuchUser),
            Self::ChangedAuthenticator => Err(WireProblem::NoSuchAuthenticator),
            Self::Nothing
            | Self::Created { .. }
            | Self::Updated(ReadBack::Session { .. })
            | Self::Row(_)
            | Self::SessionAndUser
            | Self::SessionOfBoth => Ok(b"null".to_vec()),
        }
    }
}

impl ReadBack {
    fn row(&self) -> Row {
        match self {
            Self::User { .. } => Row::User,
            Self::Session { .. } => Row::Session,
        }
    }

    fn run(self, secret: &Secret) -> Run {
        let (function, name, key, then) = match self {
            Self::User { id } => (Function::GetUser, "id", id, Then::ChangedUser),
            Self::Session { token } => (Function::GetSessionAndUser, "sessionToken", token, Then::SessionOfBoth),
        };
        let mut text = Vec::with_capacity(key.len() + 96);
        let mut object = ObjectWriter::open(&mut text);
        object.plain_name(name);
        object.out.extend_from_slice(&key);
        object.secret(secret);
        object.close();
        let arguments_end = text.len();
        Run { function, text, arguments_end, then, if_thrown: IfThrown::Refused, follows_a_write: false }
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Run").field("function", &self.function).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
