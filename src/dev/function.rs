//! What a function is: its kind, its arguments, its body, and the ways in which a call can fail.
//!
//! Invariant: every failure here is an *answer* of the deployment (HTTP 200 with `status: "error"`), printed in Convex's
//! words; failures of the request itself are refusals of the HTTP layer.

use super::auth::Identity;
use super::store::{Database, Transaction};
use super::validate::{Fields, Mismatch};
use super::value::{Object, Value, ValueError};

/// What a function may do, and which route runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    /// Reads.
    Query,
    /// Reads and writes, atomically.
    Mutation,
    /// Neither reads nor writes by itself.
    Action,
}

impl FunctionKind {
    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Mutation => "Mutation",
            Self::Action => "Action",
        }
    }
}

/// One function of the deployment.
#[derive(Debug)]
pub struct Function {
    /// The name after the colon.
    pub name: &'static str,
    /// What it takes.
    pub arguments: Fields,
    /// Whether the `secret` among its arguments must be the adapter secret.
    pub secured: bool,
    /// What it does.
    pub body: Body,
}

/// What a function does with validated arguments.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    /// A query.
    Query(fn(&Database, &Call<'_>) -> Result<Value, Thrown>),
    /// A mutation.
    Mutation(fn(&mut Transaction<'_>, &Call<'_>) -> Result<Value, Thrown>),
    /// An action.
    Action(fn(&Call<'_>) -> Result<Value, Thrown>),
}

impl Function {
    /// The kind, which follows from the body.
    pub fn kind(&self) -> FunctionKind {
        match self.body {
            Body::Query(_) => FunctionKind::Query,
            Body::Mutation(_) => FunctionKind::Mutation,
            Body::Action(_) => FunctionKind::Action,
        }
    }
}

/// One call: arguments that passed the validator, and who calls.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The arguments.
    pub arguments: &'a Object,
    /// Who calls; nothing for anonymous callers.
    pub identity: Option<&'a Identity>,
}

/// What a call comes to.
pub type FunctionOutcome = Result<Value, FunctionError>;

/// Why a call has no result. Printed as Convex prints it after the line with the request id.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// No public function has this path.
    #[error(
        "Could not find public function for '{path}'. Did you forget to run `npx convex dev` or `npx convex deploy`?"
    )]
    Unknown {
        /// The path as asked for, canonical and without `.js`.
        path: String,
    },
    /// The function is of another kind than the route.
    #[error("Trying to execute {path} as {asked}, but it is defined as {defined}.", asked = .asked.name(), defined = .defined.name())]
    Kind {
        /// The function, with `.js`.
        path: String,
        /// The route's kind.
        asked: FunctionKind,
        /// The function's kind.
        defined: FunctionKind,
    },
    /// The arguments hold something that is no Convex value.
    #[error("Invalid arguments for {path}: {source}")]
    Value {
        /// The function, with `.js`.
        path: String,
        /// What is wrong.
        source: ValueError,
    },
    /// Not exactly one argument.
    #[error(
        "ArgumentValidationError: Expected to receive a single object as the function's argument. Instead received \
         {count} arguments: {arguments}\n"
    )]
    Count {
        /// How many.
        count: usize,
        /// All of them.
        arguments: Value,
    },
    /// The one argument is no object.
    #[error(
        "ArgumentValidationError: Expected to receive an object as the function's argument. Instead received: \
         {argument}\n"
    )]
    NoObject {
        /// What it is.
        argument: Value,
    },
    /// A function of another component than the root. Nobody is an administrator here. The words are ours.
    #[error("Only administrators call the functions of a component directly")]
    Component,
    /// What came over a sync socket is no list of arguments. The words are ours.
    #[error("Invalid arguments for {path}: expected a list")]
    NoList {
        /// The function, with `.js`.
        path: String,
    },
    /// The arguments do not fit the validator.
    #[error("ArgumentValidationError: {0}\n")]
    Arguments(#[from] Mismatch),
    /// The function threw.
    #[error("Uncaught Error: {0}")]
    Thrown(#[from] Thrown),
}

impl FunctionError {
    /// The `errorMessage` of the answer: a line with the request id, then the error, each with its newline.
    pub fn message(&self, request_id: &str) -> String {
        format!("[Request ID: {request_id}] Server Error\n{self}\n")
    }
}

/// What a function of this deployment throws.
#[derive(Debug, thiserror::Error)]
pub enum Thrown {
    /// The `secret` is not the adapter secret.
    #[error("Adapter API called without correct secret value")]
    WrongSecret,
    /// A lookup that must match at most one document matched more (`query_impl.ts`).
    #[error("unique() query returned more than one result from table {table}:\n [{first}, {second}, ...]")]
    NotUnique {
        /// The table.
        table: &'static str,
        /// The oldest match.
        first: String,
        /// The next match.
        second: String,
    },
    /// A counter update for a passkey that is not there.
    #[error("Authenticator not found for credentialID: {credential_id}")]
    NoAuthenticator {
        /// The passkey that was named.
        credential_id: String,
    },
    /// A demo text that would come out longer than 16 MiB, or a number of times that is none.
    #[error("A repeated text has at most 16 MiB")]
    RepeatedLength,
    /// A demo message without text, or with too much.
    #[error("A message has 1 to 1000 characters")]
    MessageLength,
}
