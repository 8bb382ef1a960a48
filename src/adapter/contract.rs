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
    /// Whether Auth.js always knows it.
    pub presence: Presence,
}

/// What an argument holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// A string.
    Text,
    /// The string by which a user is named, in the shape of the deployment's ids.
    UserId,
    /// A number.
    Number,
    /// The contract's nested object: a new row of this table.
    Row(Row),
    /// The contract's nested object: the key of a row of this table, and what changes in it.
    Part(Row),
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

/// A member of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The member's name, e.g. `expires`.
    pub name: &'static str,
    /// The name as a caller reads it in an error, e.g. `session.expires`.
    pub path: &'static str,
    /// What it holds.
    pub value: FieldValue,
    /// Whether a row without it is complete.
    pub presence: Presence,
}

/// What a member of a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldValue {
    /// A string.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A `Date` in Auth.js, epoch milliseconds in Convex.
    Date,
}

/// Whether a member is always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Yes.
    Always,
    /// Not always. Of an argument: it may be null. Of a date in a row: Auth.js wants `null` where it is absent.
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
            Self::UpdateSession => ("updateSession", M, PART_OF_SESSION, Nothing, SESSION_INSIDE),
            Self::UpdateUser => ("updateUser", M, PART_OF_USER, Nothing, USER_INSIDE),
            Self::UseVerificationToken =>
                ("useVerificationToken", M, IDENTIFIER_AND_TOKEN, A_VERIFICATION_TOKEN, NOBODY),
        };
        Contract { name, kind, arguments, answer, touches }
    }
}

const ACCOUNT: &[Argument] = &[argument("account", Holds::Row(Row::Account))];
const AUTHENTICATOR: &[Argument] = &[argument("authenticator", Holds::Row(Row::Authenticator))];
const PART_OF_SESSION: &[Argument] = &[argument("session", Holds::Part(Row::Session))];
const PART_OF_USER: &[Argument] = &[argument("user", Holds::Part(Row::User))];
const SESSION: &[Argument] = &[argument("session", Holds::Row(Row::Session))];
const USER: &[Argument] = &[argument("user", Holds::Row(Row::User))];
const VERIFICATION_TOKEN: &[Argument] = &[argument("verificationToken", Holds::Row(Row::VerificationToken))];

const CREDENTIAL_AND_COUNTER: &[Argument] =
    &[argument("credentialID", Holds::Text), argument("newCounter", Holds::Number)];
const CREDENTIAL_ID: &[Argument] = &[argument("credentialID", Holds::Text)];
const EMAIL: &[Argument] = &[argument("email", Holds::Text)];
const ID: &[Argument] = &[argument("id", Holds::UserId)];
// A link in a letter that has lost the address leaves Auth.js with the token alone (`@auth/core`, the e-mail callback).
const IDENTIFIER_AND_TOKEN: &[Argument] =
    &[Argument { name: "identifier", holds: Holds::Text, presence: Presence::Perhaps }, argument("token", Holds::Text)];
const PROVIDER_AND_ID: &[Argument] = &[argument("provider", Holds::Text), argument("providerAccountId", Holds::Text)];
const SESSION_TOKEN: &[Argument] = &[argument("sessionToken", Holds::Text)];
const USER_ID: &[Argument] = &[argument("userId", Holds::UserId)];

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
    /// The nested object: the name of the argument that holds a row or a part of one, and of which table. No function has two.
    pub fn nested(&self) -> Option<(&'static str, Row)> {
        self.arguments.iter().find_map(|argument| match argument.holds {
            Holds::Row(row) | Holds::Part(row) => Some((argument.name, row)),
            Holds::Text | Holds::UserId | Holds::Number => None,
        })
    }
}

impl Row {
    /// The members that Auth.js knows, the `id` of users and sessions apart. A deployment's own schema may have more.
    pub const fn fields(self) -> &'static [Field] {
        match self {
            Self::Account => ACCOUNT_FIELDS,
            Self::Authenticator => AUTHENTICATOR_FIELDS,
            Self::Session => SESSION_FIELDS,
            Self::User => USER_FIELDS,
            Self::VerificationToken => VERIFICATION_TOKEN_FIELDS,
        }
    }

    /// The member that is a `Date` in Auth.js and epoch milliseconds in Convex. No table has two.
    pub fn date(self) -> Option<&'static Field> {
        self.fields().iter().find(|field| field.value == FieldValue::Date)
    }
}

macro_rules! fields {
    ($table:literal: $($name:literal $value:ident $presence:ident),* $(,)?) => {
        &[$(Field {
            name: $name,
            path: concat!($table, ".", $name),
            value: FieldValue::$value,
            presence: Presence::$presence,
        }),*]
    };
}

// `expires_at` of an account is in seconds on both sides.
const ACCOUNT_FIELDS: &[Field] = fields!["account":
    "userId" Text Always,
    "type" Text Always,
    "provider" Text Always,
    "providerAccountId" Text Always,
    "refresh_token" Text Perhaps,
    "access_token" Text Perhaps,
    "expires_at" Number Perhaps,
    "token_type" Text Perhaps,
    "scope" Text Perhaps,
    "id_token" Text Perhaps,
    "session_state" Text Perhaps,
];

const AUTHENTICATOR_FIELDS: &[Field] = fields!["authenticator":
    "credentialID" Text Always,
    "userId" Text Always,
    "providerAccountId" Text Always,
    "credentialPublicKey" Text Always,
    "counter" Number Always,
    "credentialDeviceType" Text Always,
    "credentialBackedUp" Bool Always,
    "transports" Text Perhaps,
];

const SESSION_FIELDS: &[Field] = fields!["session":
    "userId" Text Always,
    "expires" Date Always,
    "sessionToken" Text Always,
];

// Auth.js's types promise an e-mail address; a provider's profile may have none, and then it is the deployment's to decide.
const USER_FIELDS: &[Field] = fields!["user":
    "email" Text Perhaps,
    "name" Text Perhaps,
    "emailVerified" Date Perhaps,
    "image" Text Perhaps,
];

const VERIFICATION_TOKEN_FIELDS: &[Field] = fields!["verificationToken":
    "identifier" Text Always,
    "token" Text Always,
    "expires" Date Always,
];

const fn argument(name: &'static str, holds: Holds) -> Argument {
    Argument { name, holds, presence: Presence::Always }
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
                Holds::Row(_) | Holds::Part(_) => 2,
                Holds::Text | Holds::UserId | Holds::Number => 1,
            };
            assert_eq!(path.len(), depth, "{}", contract.name);
        }
    }

    #[test]
    fn a_nested_object_is_called_as_its_fields_say() {
        for function in Function::ALL {
            let Some((name, row)) = function.contract().nested() else { continue };
            for field in row.fields() {
                assert_eq!(field.path, format!("{name}.{}", field.name));
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
