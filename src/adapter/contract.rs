//! The adapter contract: the functions of the guide's `authAdapter` module as one table.
//!
//! Everything that is particular to a function stands in [`Function::contract`] and nowhere else: what it takes, where
//! dates are, what it answers, and which kept sessions a call of it makes untrue. It decides nothing; codec, wire and
//! session cache read it.

/// A function of the adapter contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each variant is described by its row of the table")]
pub enum Function {
    CreateAuthenticator,
    CreateSession,
    CreateUser,
    CreateVerificationToken,
    DeleteSession,
    DeleteUser,
    GetAccount,
    GetAuthenticator,
    GetSessionAndUser,
    GetUser,
    GetUserByAccount,
    GetUserByEmail,
    LinkAccount,
    ListAuthenticatorsByUserId,
    UnlinkAccount,
    UpdateAuthenticatorCounter,
    UpdateSession,
    UpdateUser,
    UseVerificationToken,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contract {
    /// The name, the same in the Convex module and in Auth.js's `Adapter` interface.
    pub name: &'static str,
    /// Whether it writes.
    pub kind: Kind,
    /// The members of the argument object, the secret apart. All are required.
    pub arguments: &'static [Argument],
    /// What the Convex function answers.
    pub answer: Answer,
    /// Whose kept session a call makes untrue.
    pub touches: Touches,
}

/// How Convex runs a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Reads only.
    Query,
    /// Writes.
    Mutation,
}

/// One member of the argument object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
}

/// What an argument holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A string.
    Text,
    /// A number.
    Number,
    /// An object, the contract's nested object: a row of this table, or a part of one.
    Row(Row),
}

/// What a Convex function answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The id of the new row.
    Id,
    /// `null`, whatever happened.
    Nothing,
    /// A row, or `null` when there is none.
    Row(Row),
    /// A list of rows, perhaps empty.
    Rows(Row),
    /// `{"session":…,"user":…}`, or `null` when either is missing.
    SessionAndUser,
}

/// The tables of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the tables")]
pub enum Row {
    Account,
    Authenticator,
    Session,
    User,
    VerificationToken,
}

/// A member of a row that holds a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateField {
    /// The member's name, e.g. `expires`.
    pub name: &'static str,
    /// The name as a caller reads it in an error, e.g. `session.expires`.
    pub path: &'static str,
    /// Whether a row without it is complete.
    pub presence: Presence,
}

/// Whether every row has a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// In every row.
    Always,
    /// Absent in some rows; Auth.js wants `null` there.
    Perhaps,
}

/// Whose answer of `getSessionAndUser` a call makes untrue. Paths lead through the argument object.
///
/// A mutation whose outcome is unknown counts as one that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touches {
    /// Nobody's.
    Nothing,
    /// That of the session whose token stands at this path.
    Session {
        /// E.g. `["session", "sessionToken"]`.
        token: &'static [&'static str],
    },
    /// Those of all sessions of the user whose id stands at this path.
    User {
        /// E.g. `["user", "id"]`.
        id: &'static [&'static str],
    },
}

impl Function {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 19] = [
        Self::CreateAuthenticator,
        Self::CreateSession,
        Self::CreateUser,
        Self::CreateVerificationToken,
        Self::DeleteSession,
        Self::DeleteUser,
        Self::GetAccount,
        Self::GetAuthenticator,
        Self::GetSessionAndUser,
        Self::GetUser,
        Self::GetUserByAccount,
        Self::GetUserByEmail,
        Self::LinkAccount,
        Self::ListAuthenticatorsByUserId,
        Self::UnlinkAccount,
        Self::UpdateAuthenticatorCounter,
        Self::UpdateSession,
        Self::UpdateUser,
        Self::UseVerificationToken,
    ];

    /// Finds a function by its name; `None` for every other text. Case counts, as in Convex.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|function| function.contract().name == name)
    }

    /// The function's row.
    ///
    /// What each touches (our reading of the functions in the guide): a session's answer holds the session and its user, so
    /// only writes to these two count. `createSession` counts because a reader may just have found nothing. A user that is
    /// being created has no session yet; accounts, authenticators and verification tokens are in no session's answer.
    pub const fn contract(self) -> Contract {
        use Answer::{Id, Nothing, Rows, SessionAndUser};
        use Kind::{Mutation as M, Query as Q};

        #[rustfmt::skip]
        let (name, kind, arguments, answer, touches) = match self {
            Self::CreateAuthenticator => ("createAuthenticator", M, AUTHENTICATOR, Id, NOBODY),
            Self::CreateSession => ("createSession", M, SESSION, Id, SESSION_INSIDE),
            Self::CreateUser => ("createUser", M, USER, Id, NOBODY),
            Self::CreateVerificationToken => ("createVerificationToken", M, VERIFICATION_TOKEN, Id, NOBODY),
            Self::DeleteSession => ("deleteSession", M, SESSION_TOKEN, A_SESSION, SESSION_NAMED),
            Self::DeleteUser => ("deleteUser", M, ID, A_USER, USER_NAMED),
            Self::GetAccount => ("getAccount", Q, PROVIDER_AND_ID, AN_ACCOUNT, NOBODY),
            Self::GetAuthenticator => ("getAuthenticator", Q, CREDENTIAL_ID, AN_AUTHENTICATOR, NOBODY),
            Self::GetSessionAndUser => ("getSessionAndUser", Q, SESSION_TOKEN, SessionAndUser, NOBODY),
            Self::GetUser => ("getUser", Q, ID, A_USER, NOBODY),
            Self::GetUserByAccount => ("getUserByAccount", Q, PROVIDER_AND_ID, A_USER, NOBODY),
            Self::GetUserByEmail => ("getUserByEmail", Q, EMAIL, A_USER, NOBODY),
            Self::LinkAccount => ("linkAccount", M, ACCOUNT, AN_ACCOUNT, NOBODY),
            Self::ListAuthenticatorsByUserId =>
                ("listAuthenticatorsByUserId", Q, USER_ID, Rows(Row::Authenticator), NOBODY),
            Self::UnlinkAccount => ("unlinkAccount", M, PROVIDER_AND_ID, AN_ACCOUNT, NOBODY),
            Self::UpdateAuthenticatorCounter =>
                ("updateAuthenticatorCounter", M, CREDENTIAL_AND_COUNTER, AN_AUTHENTICATOR, NOBODY),
            Self::UpdateSession => ("updateSession", M, SESSION, Nothing, SESSION_INSIDE),
            Self::UpdateUser => ("updateUser", M, USER, Nothing, USER_INSIDE),
            Self::UseVerificationToken =>
                ("useVerificationToken", M, IDENTIFIER_AND_TOKEN, A_VERIFICATION_TOKEN, NOBODY),
        };
        Contract { name, kind, arguments, answer, touches }
    }
}

const ACCOUNT: &[Argument] = &[row("account", Row::Account)];
const AUTHENTICATOR: &[Argument] = &[row("authenticator", Row::Authenticator)];
const SESSION: &[Argument] = &[row("session", Row::Session)];
const USER: &[Argument] = &[row("user", Row::User)];
const VERIFICATION_TOKEN: &[Argument] = &[row("verificationToken", Row::VerificationToken)];

const CREDENTIAL_AND_COUNTER: &[Argument] = &[text("credentialID"), number("newCounter")];
const CREDENTIAL_ID: &[Argument] = &[text("credentialID")];
const EMAIL: &[Argument] = &[text("email")];
const ID: &[Argument] = &[text("id")];
const IDENTIFIER_AND_TOKEN: &[Argument] = &[text("identifier"), text("token")];
const PROVIDER_AND_ID: &[Argument] = &[text("provider"), text("providerAccountId")];
const SESSION_TOKEN: &[Argument] = &[text("sessionToken")];
const USER_ID: &[Argument] = &[text("userId")];

const AN_ACCOUNT: Answer = Answer::Row(Row::Account);
const AN_AUTHENTICATOR: Answer = Answer::Row(Row::Authenticator);
const A_SESSION: Answer = Answer::Row(Row::Session);
const A_USER: Answer = Answer::Row(Row::User);
const A_VERIFICATION_TOKEN: Answer = Answer::Row(Row::VerificationToken);

const NOBODY: Touches = Touches::Nothing;
const SESSION_INSIDE: Touches = Touches::Session { token: &["session", "sessionToken"] };
const SESSION_NAMED: Touches = Touches::Session { token: &["sessionToken"] };
const USER_INSIDE: Touches = Touches::User { id: &["user", "id"] };
const USER_NAMED: Touches = Touches::User { id: &["id"] };

impl Contract {
    /// The nested object: the name of the argument that holds a row, and which. No function has two.
    pub fn nested(&self) -> Option<(&'static str, Row)> {
        self.arguments.iter().find_map(|argument| match argument.holds {
            Holds::Row(row) => Some((argument.name, row)),
            Holds::Text | Holds::Number => None,
        })
    }
}

impl Row {
    /// The member that is a `Date` in Auth.js and epoch milliseconds in Convex. No table has two.
    pub const fn date(self) -> Option<DateField> {
        match self {
            Self::Session => Some(DateField { name: "expires", path: "session.expires", presence: Presence::Always }),
            Self::User => {
                Some(DateField { name: "emailVerified", path: "user.emailVerified", presence: Presence::Perhaps })
            }
            Self::VerificationToken => {
                Some(DateField { name: "expires", path: "verificationToken.expires", presence: Presence::Always })
            }
            // `expires_at` of an account is in seconds on both sides.
            Self::Account | Self::Authenticator => None,
        }
    }
}

const fn row(name: &'static str, row: Row) -> Argument {
    Argument { name, holds: Holds::Row(row) }
}

const fn text(name: &'static str) -> Argument {
    Argument { name, holds: Holds::Text }
}

const fn number(name: &'static str) -> Argument {
    Argument { name, holds: Holds::Number }
}

#[cfg(test)]
mod tests {
    use super::{Function, Holds, Touches};

    #[test]
    fn every_function_is_listed_once_and_found_by_its_name() {
        assert_eq!(Function::UseVerificationToken as usize + 1, Function::ALL.len());
        for (index, function) in Function::ALL.into_iter().enumerate() {
            assert_eq!(function as usize, index);
            assert_eq!(Function::from_name(function.contract().name), Some(function));
        }
    }

    #[test]
    fn other_names_are_not_found() {
        for name in ["", "getuser", "getUser ", "getUsers", "default"] {
            assert_eq!(Function::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_path_of_what_is_touched_leads_to_an_argument() {
        for function in Function::ALL {
            let contract = function.contract();
            let (Touches::Session { token: path } | Touches::User { id: path }) = contract.touches else { continue };
            let argument = contract.arguments.iter().find(|argument| argument.name == path[0]);
            let depth = match argument.expect("an argument").holds {
                Holds::Row(_) => 2,
                Holds::Text | Holds::Number => 1,
            };
            assert_eq!(path.len(), depth, "{}", contract.name);
        }
    }

    #[test]
    fn a_nested_object_is_called_as_its_dates_say() {
        for function in Function::ALL {
            if let Some((name, row)) = function.contract().nested()
                && let Some(date) = row.date()
            {
                assert_eq!(date.path, format!("{name}.{}", date.name));
            }
        }
    }

    #[test]
    fn only_writes_to_sessions_and_users_touch_a_kept_session() {
        let touching: Vec<_> = Function::ALL
            .into_iter()
            .filter(|function| function.contract().touches != Touches::Nothing)
            .map(|function| function.contract().name)
            .collect();
        assert_eq!(touching, ["createSession", "deleteSession", "deleteUser", "updateSession", "updateUser"]);
    }
}
