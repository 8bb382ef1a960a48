//! Why a value was refused: one sentence each, and where the reason knows it, what to write instead.
//!
//! No reason repeats what an operator wrote as a value; [`Instead`] does where a key is open and the repaired value is
//! known.

use std::io;

use crate::keys::{Concerns, KeyProblem};

/// Why something that was written, or left out, cannot stand.
#[derive(Debug, thiserror::Error)]
pub(super) enum Reason {
    // What was read.
    #[error("the file cannot be read: {0}")]
    FileUnreadable(#[source] io::Error),
    #[error("the file is not TOML: line {line}, column {column}: {sentence}")]
    NotToml {
        line: usize,
        column: usize,
        /// The parser's own words, which are fixed and quote nothing of the file.
        sentence: String,
    },
    #[error("the value is not UTF-8 text")]
    NotUnicode,
    #[error("no key has this name")]
    UnknownKey { near: Option<String> },
    #[error("no section has this name")]
    UnknownSection { near: Option<String> },
    #[error("a section is a table of keys, not a value")]
    NotASection,
    #[error("{other} is given in the same place, and only one of the two can count")]
    TwoSpellings { other: String },
    #[error("it is given twice under names that differ only in upper and lower case")]
    TwoNames,

    // What is missing.
    #[error("it is required and was not given")]
    Missing,
    #[error(
        "the issuer is the deployment, which publishes this set itself, and a token that does not match it is refused"
    )]
    MissingSet,
    #[error("it follows from upstream.url only when that host ends in .convex.cloud")]
    SiteUnknown,

    // Kinds.
    #[error("it is {0}, which is another kind of value")]
    Unfit(&'static str),
    #[error("it is empty")]
    Empty,
    #[error("it has an empty item")]
    EmptyItem,
    #[error("it has the same item twice")]
    Twice,
    #[error("it holds a control character, such as a line break")]
    ControlCharacter,
    #[error("it is none of these")]
    NoneOfThese,
    #[error("it is not a whole number in decimal digits")]
    NotWhole,
    #[error("it is below {0}")]
    Below(u64),
    #[error("it is above {0}")]
    Above(u64),
    #[error("it has no unit")]
    NoUnit { seconds: Option<String> },
    #[error("it is not a duration: a number and one of ms, s, m, h")]
    NotADuration,
    #[error("it is too short")]
    TooShort,
    #[error("it is too long")]
    TooLong,
    #[error("it is not a whole number of seconds")]
    NotWholeSeconds,

    // Addresses.
    #[error("it is not an IP address and a port")]
    NotAnAddress,
    #[error("a host name is not an address")]
    HostName { address: Option<String> },
    #[error("the path of the socket does not start with a slash")]
    SocketRelative,
    #[error("the path of the socket names no file")]
    SocketUnnamed,
    #[error("the path of the socket is longer than 103 bytes, which not every system can bind")]
    SocketLong,
    #[error("other machines reach this address, and without adapter.tokens whoever does may act as the app's server")]
    OpenAdapter,
    #[error("{0} wants the same port of the same address")]
    SameAddress(&'static str),
    #[error("it does not start with a slash")]
    PathUnrooted { rooted: String },
    #[error("it ends in a slash")]
    PathTrailing { bare: String },
    #[error("it has an empty segment or one of dots, which clients resolve before they send")]
    PathSegment,
    #[error("it has a character other than letters, digits, '-', '.', '_' and '~'")]
    PathCharacter,
    #[error("it is not a host name alone")]
    NotAHost { host: Option<String> },

    // URLs.
    #[error("it is not a URL")]
    NotAUrl,
    #[error("its scheme is neither http nor https")]
    UrlScheme,
    #[error("it holds credentials")]
    UrlCredentials,
    #[error("it has a path")]
    UrlPath { bare: String },
    #[error("it has a query or a fragment")]
    UrlQuery,

    // Names.
    #[error("Convex has no such module path: names of letters, digits and '_', joined by single slashes")]
    NotAModule,
    #[error("it is shorter than 16 characters and could be guessed")]
    TokenShort,
    #[error("it has a character that no Authorization header can carry: a space, or one outside visible ASCII")]
    TokenCharacter,
    #[error("it has a character that the name of a cookie cannot have")]
    NotACookie,
    #[error("a browser's cookies are authority only for origins that are named one by one")]
    OriginAny,
    #[error("every sandboxed page and every file sends null, so it names nobody")]
    OriginNull,
    #[error("an origin has no path: remove the path")]
    OriginPath { origin: String },
    #[error("it is not an origin")]
    NotAnOrigin,
    #[error("it is not a filter in tracing's syntax")]
    NotAFilter,
    #[error("a word alone must be a level: off, error, warn, info, debug or trace")]
    NotALevel,

    // Keys.
    #[error("it {0}")]
    Key(#[source] KeyProblem),
    #[error("the system gave no random bytes")]
    NoRandomness,
}

/// What to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Instead {
    /// A value for the same key, as the environment would have it.
    Value(String),
    /// A sentence.
    Words(String),
}

impl Reason {
    /// Whether it is about a name that is nearly, or elsewhere, one of ours.
    pub(super) fn knows_the_name(&self) -> bool {
        matches!(self, Self::UnknownKey { near: Some(_) } | Self::UnknownSection { near: Some(_) } | Self::NotASection)
    }

    /// What this reason alone knows to be right; `None` when the key's example must do.
    pub(super) fn instead(&self) -> Option<Instead> {
        match self {
            Self::NoUnit { seconds: repaired }
            | Self::HostName { address: repaired }
            | Self::NotAHost { host: repaired } => repaired.clone().map(Instead::Value),
            Self::PathUnrooted { rooted: repaired }
            | Self::PathTrailing { bare: repaired }
            | Self::UrlPath { bare: repaired }
            | Self::OriginPath { origin: repaired } => Some(Instead::Value(repaired.clone())),
            Self::UnknownKey { near } | Self::UnknownSection { near } => {
                Some(Instead::Words(near.as_ref().map_or_else(
                    || "nothing; config.toml, the manual, has every name".to_owned(),
                    |near| format!("did you mean {near}?"),
                )))
            }
            Self::FileUnreadable(_) => words("the path of a text file that this user may read"),
            Self::NotToml { .. } => words("key = \"value\" lines under [section] lines, every text in quotes"),
            Self::NotUnicode => words("the value in UTF-8"),
            Self::NotASection => words("[section] on a line of its own, and its keys below"),
            Self::TwoSpellings { other } => Some(Instead::Words(format!("this one or {other}, not both"))),
            Self::TwoNames => words("the name in upper case, once"),
            Self::OpenAdapter => words(
                "adapter.tokens, with a long random text per caller (the app's server sends it as its Bearer token), \
                 or a loopback address here",
            ),
            Self::SameAddress(_) => words("another port"),
            Self::OriginAny => words("each origin of the app, such as https://app.example.com"),
            Self::OriginNull => words("the origin that the app is served from, such as https://app.example.com"),
            Self::UrlCredentials => words("the URL without user and password"),
            Self::NoRandomness => words("nothing; start again when the system is well"),
            Self::Missing
            | Self::MissingSet
            | Self::SiteUnknown
            | Self::Unfit(_)
            | Self::Empty
            | Self::EmptyItem
            | Self::Twice
            | Self::ControlCharacter
            | Self::NoneOfThese
            | Self::NotWhole
            | Self::Below(_)
            | Self::Above(_)
            | Self::NotADuration
            | Self::TooShort
            | Self::TooLong
            | Self::NotWholeSeconds
            | Self::NotAnAddress
            | Self::SocketRelative
            | Self::SocketUnnamed
            | Self::SocketLong
            | Self::PathSegment
            | Self::PathCharacter
            | Self::NotAUrl
            | Self::UrlScheme
            | Self::UrlQuery
            | Self::NotAModule
            | Self::TokenShort
            | Self::TokenCharacter
            | Self::NotACookie
            | Self::NotAnOrigin
            | Self::NotAFilter
            | Self::NotALevel => None,
            Self::Key(problem) => match problem.concerns() {
                Concerns::Kid | Concerns::Algorithm => words("nothing: leave it out, it follows from the key"),
                Concerns::PrivateKey | Concerns::Jwks => None,
            },
        }
    }
}

fn words(sentence: &str) -> Option<Instead> {
    Some(Instead::Words(sentence.to_owned()))
}
