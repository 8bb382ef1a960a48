//! What a client says: read by the backend's rules, and written anew from what was read.
//!
//! The invariant: what [`ClientMessage::read`] takes, the backend takes, and means by it the same. Where the backend is lax in a way that
//! lets one text mean two things (a name that stands twice), this is not. Values stay the text that the client sent.
//!
//! Source: `crates/convex/sync_types/src/types/json.rs`; rules 8, 12 and 13.

use std::{borrow::Cow, fmt};

use super::{close::CloseCause, scan};
use crate::{
    classify::{Call, FunctionPath},
    error::Rejection,
    json::{JsonText, read_text},
};

/// One message of a client. `Debug` shows its kind.
pub enum ClientMessage<'text> {
    /// Who connects, and what it has seen.
    Connect(Statement<'text>),
    /// What it has measured.
    Event(Statement<'text>),
    /// What it wants to be kept told of.
    ModifyQuerySet(ModifyQuerySet<'text>),
    /// A call.
    Call(OperationKind, Operation<'text>),
    /// Who it says it is.
    Authenticate {
        /// How often it has said so before.
        base_version: u32,
        /// By what.
        token: ClientToken<'text>,
    },
}

/// A message in which there is nothing to decide: its members, by name, as they were sent.
pub struct Statement<'text> {
    members: Vec<(&'static str, &'text str)>,
}

/// Which kind of function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// `Mutation`.
    Mutation,
    /// `Action`.
    Action,
}

/// `ModifyQuerySet`.
pub struct ModifyQuerySet<'text> {
    /// The version that it changes.
    pub base_version: u32,
    /// The version that it makes.
    pub new_version: u32,
    /// The text of the list.
    modifications: &'text str,
}

/// One change of a query set.
pub enum Modification<'text> {
    /// A query more.
    Add {
        /// The client's number of it.
        query_id: u32,
        /// The function and its arguments, or why it cannot be called.
        call: Result<Call<'text>, Rejection>,
        /// Where pagination was, as it was sent.
        journal: Option<&'text str>,
    },
    /// A query less.
    Remove {
        /// The client's number of it.
        query_id: u32,
    },
}

/// `Mutation` or `Action`.
pub struct Operation<'text> {
    /// The client's number of it.
    pub request_id: u32,
    /// The function and its arguments, or why it cannot be called.
    pub call: Result<Call<'text>, Rejection>,
}

/// What an `Authenticate` shows.
pub enum ClientToken<'text> {
    /// A key of an administrator.
    Admin,
    /// A token.
    User(Cow<'text, str>),
    /// Nobody.
    None,
}

impl fmt::Debug for Statement<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Statement({} members)", self.members.len())
    }
}

impl fmt::Debug for ModifyQuerySet<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ModifyQuerySet").field("new_version", &self.new_version).finish_non_exhaustive()
    }
}

impl fmt::Debug for Modification<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { query_id, .. } => {
                formatter.debug_struct("Add").field("query_id", query_id).finish_non_exhaustive()
            }
            Self::Remove { query_id } => formatter.debug_struct("Remove").field("query_id", query_id).finish(),
        }
    }
}

impl fmt::Debug for Operation<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Operation").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientToken<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Admin => "Admin",
            Self::User(_) => "User",
            Self::None => "None",
        })
    }
}

impl fmt::Debug for ClientMessage<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Connect(_) => "Connect",
            Self::Event(_) => "Event",
            Self::ModifyQuerySet(_) => "ModifyQuerySet",
            Self::Call(OperationKind::Mutation, _) => "Mutation",
            Self::Call(OperationKind::Action, _) => "Action",
            Self::Authenticate { .. } => "Authenticate",
        })
    }
}

/// The members that a message, or a change within one, may have, as the texts of their values. Unknown ones are left behind.
#[derive(Default)]
struct Members<'text> {
    kind: Option<&'text str>,
    base_version: Option<&'text str>,
    new_version: Option<&'text str>,
    modifications: Option<&'text str>,
    request_id: Option<&'text str>,
    query_id: Option<&'text str>,
    udf_path: Option<&'text str>,
    args: Option<&'text str>,
    journal: Option<&'text str>,
    component_path: Option<&'text str>,
    token_type: Option<&'text str>,
    value: Option<&'text str>,
    session_id: Option<&'text str>,
    connection_count: Option<&'text str>,
    last_close_reason: Option<&'text str>,
    max_observed_timestamp: Option<&'text str>,
    client_ts: Option<&'text str>,
    event_type: Option<&'text str>,
    event: Option<&'text str>,
}

impl<'text> Members<'text> {
    fn read(text: &'text str) -> Result<Self, CloseCause> {
        let mut members = Self::default();
        scan::read_object(text, |name, value| {
            let place = match name {
                "type" => &mut members.kind,
                "baseVersion" => &mut members.base_version,
                "newVersion" => &mut members.new_version,
                "modifications" => &mut members.modifications,
                "requestId" => &mut members.request_id,
                "queryId" => &mut members.query_id,
                "udfPath" => &mut members.udf_path,
                "args" => &mut members.args,
                "journal" => &mut members.journal,
                "componentPath" => &mut members.component_path,
                "tokenType" => &mut members.token_type,
                "value" => &mut members.value,
                "sessionId" => &mut members.session_id,
                "connectionCount" => &mut members.connection_count,
                "lastCloseReason" => &mut members.last_close_reason,
                "maxObservedTimestamp" => &mut members.max_observed_timestamp,
                "clientTs" => &mut members.client_ts,
                "eventType" => &mut members.event_type,
                "event" => &mut members.event,
                _ => return Some(()),
            };
            // The backend takes the last of two; whoever sends two means to be read in two ways.
            place.replace(value).is_none().then_some(())
        })
        .map_err(|scan::NotTaken| CloseCause::BadMessage)?;
        Ok(members)
    }

    fn is_of(&self, kind: &str) -> bool {
        self.kind.and_then(read_text).is_some_and(|text| text == kind)
    }
}

impl<'text> ClientMessage<'text> {
    /// Reads the text of one message, which is untrusted.
    ///
    /// # Errors
    ///
    /// [`CloseCause::BadMessage`]: no JSON object, a member that is needed, of another kind than it must be, or there twice, or a type that
    /// nobody knows. The backend would end the client for good; here the connection ends.
    pub fn read(text: &'text str) -> Result<Self, CloseCause> {
        const BAD: CloseCause = CloseCause::BadMessage;
        let members = Members::read(text)?;
        let kind = members.kind.and_then(read_text).ok_or(BAD)?;
        // The backend reads these two for every type.
        let modifications = some(members.modifications);
        if modifications.is_some_and(|list| !list.starts_with('[')) {
            return Err(BAD);
        }
        let args = some(members.args);
        let needed = |number: Option<&str>| number.and_then(scan::number).ok_or(BAD);
        let operation = |kind| {
            let path = members.udf_path.and_then(read_text).ok_or(BAD)?;
            let call = read_call(&path, args.ok_or(BAD)?, members.component_path);
            Ok(Self::Call(kind, Operation { request_id: needed(members.request_id)?, call }))
        };
        match &*kind {
            "Mutation" => operation(OperationKind::Mutation),
            "Action" => operation(OperationKind::Action),
            "ModifyQuerySet" => Ok(Self::ModifyQuerySet(ModifyQuerySet {
                base_version: needed(members.base_version)?,
                new_version: needed(members.new_version)?,
                modifications: modifications.ok_or(BAD)?,
            })),
            "Authenticate" => {
                let text = || members.value.and_then(read_text).ok_or(BAD);
                let token = match &*members.token_type.and_then(read_text).ok_or(BAD)? {
                    "None" => ClientToken::None,
                    "User" => ClientToken::User(text()?),
                    "Admin" => ClientToken::Admin,
                    _ => return Err(BAD),
                };
                Ok(Self::Authenticate { base_version: needed(members.base_version)?, token })
            }
            "Connect" => members.connect().map(Self::Connect),
            "Event" => members.event().map(Self::Event),
            _ => Err(BAD),
        }
    }
}

impl<'text> ModifyQuerySet<'text> {
    /// The changes in their order, each read when it is its turn: there may be very many.
    ///
    /// # Errors
    ///
    /// [`CloseCause::BadMessage`], as [`ClientMessage::read`].
    pub fn modifications(&self) -> impl Iterator<Item = Result<Modification<'text>, CloseCause>> {
        scan::Items::new(self.modifications).map(Modification::read)
    }
}

impl<'text> Modification<'text> {
    fn read(text: &'text str) -> Result<Self, CloseCause> {
        const BAD: CloseCause = CloseCause::BadMessage;
        let members = Members::read(text)?;
        let query_id = members.query_id.map(|number| scan::number(number).ok_or(BAD)).transpose()?;
        if members.is_of("Add") {
            let journal = members.journal;
            if journal.is_some_and(|journal| journal != "null" && !journal.starts_with('"')) {
                return Err(BAD);
            }
            let path = members.udf_path.map_or(Ok(Cow::Borrowed("")), |path| read_text(path).ok_or(BAD))?;
            // The backend takes missing arguments for null, and refuses them later, for that query alone.
            let call = read_call(&path, members.args.unwrap_or("null"), members.component_path);
            // It takes a missing number for 0.
            Ok(Self::Add { query_id: query_id.unwrap_or(0), call, journal })
        } else if members.is_of("Remove") {
            Ok(Self::Remove { query_id: query_id.ok_or(BAD)? })
        } else {
            Err(BAD)
        }
    }
}

/// A null counts as none.
fn some(value: Option<&str>) -> Option<&str> {
    value.filter(|value| *value != "null")
}

/// One call as it would be read from HTTP. A component is refused, the empty one included: with any, the backend takes another way to the
/// function (section 2.4 of its protocol as we noted it).
fn read_call<'text>(path: &str, args: &'text str, component_path: Option<&str>) -> Result<Call<'text>, Rejection> {
    if some(component_path).is_some() {
        return Err(Rejection::BadBody(crate::error::BadBody::Component));
    }
    Ok(Call { path: FunctionPath::parse(path)?, args: JsonText::checked(args), format: None, timestamp: None })
}

impl<'text> Members<'text> {
    /// A `Connect`, found good by the backend's own parser.
    fn connect(&self) -> Result<Statement<'text>, CloseCause> {
        let report = Statement::of([
            ("sessionId", self.session_id),
            ("connectionCount", self.connection_count),
            ("lastCloseReason", self.last_close_reason),
            ("maxObservedTimestamp", self.max_observed_timestamp),
            ("clientTs", self.client_ts),
        ]);
        let mut text = Vec::new();
        report.write("Connect", &mut text);
        // It makes a value of everything, which takes many times the text.
        if text.len() > CONNECT_BYTES_AT_MOST {
            return Err(CloseCause::BadMessage);
        }
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(|_| CloseCause::BadMessage)?;
        match convex_sync_types::ClientMessage::try_from(value) {
            Ok(convex_sync_types::ClientMessage::Connect { .. }) => Ok(report),
            _ => Err(CloseCause::BadMessage),
        }
    }

    /// An `Event`: a name, and any value.
    fn event(&self) -> Result<Statement<'text>, CloseCause> {
        self.event_type.and_then(read_text).ok_or(CloseCause::BadMessage)?;
        self.event.ok_or(CloseCause::BadMessage)?;
        Ok(Statement::of([("eventType", self.event_type), ("event", self.event)]))
    }
}

/// Bytes of a `Connect` at most (our choice: real ones have a few hundred).
const CONNECT_BYTES_AT_MOST: usize = 8 * 1_024;

impl<'text> Statement<'text> {
    fn of<const MEMBERS: usize>(members: [(&'static str, Option<&'text str>); MEMBERS]) -> Self {
        Self { members: members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect() }
    }

    /// Appends the message, with the members that are known.
    pub fn write(&self, kind: &'static str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        for (name, value) in &self.members {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            out.extend_from_slice(value.as_bytes());
        }
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientMessage, ClientToken, CloseCause, Modification};
    use crate::error::{BadBody, Rejection};

    const CONNECT: &str =
        r#"{"type":"Connect","sessionId":"7f1e5a52-22d1-4bd1-8f0a-0123456789ab","connectionCount":0,"clientTs":1}"#;

    fn refused(text: &str) -> bool {
        matches!(ClientMessage::read(text), Err(CloseCause::BadMessage))
    }

    #[test]
    fn a_call_keeps_the_text_of_its_arguments() {
        let text =
            r#" {"args":[ {"n":1.70e12,"z":-0} ],"udfPath":"a.js/.:b","requestId":7,"type":"Mutation","more":[1]}"#;
        let Ok(ClientMessage::Call(_, operation)) = ClientMessage::read(text) else { panic!("a call") };
        let call = operation.call.unwrap();
        assert_eq!(
            (operation.request_id, call.path.as_str(), call.args.get()),
            (7, "a:b", r#"[ {"n":1.70e12,"z":-0} ]"#)
        );
    }

    #[test]
    fn rule_13_what_the_backend_would_not_take_ends_the_connection() {
        for text in [
            "",
            "null",
            "[]",
            "{}",
            r#"["Mutation",1,"a:b",[{}]]"#,
            r#"{"type":"mutation","requestId":1,"udfPath":"a:b","args":[{}]}"#,
            r#"{"type":"Nothing"}"#,
            r#"{"type":"Mutation","requestId":1.0,"udfPath":"a:b","args":[{}]}"#,
            r#"{"type":"Mutation","requestId":-1,"udfPath":"a:b","args":[{}]}"#,
            r#"{"type":"Mutation","requestId":4294967296,"udfPath":"a:b","args":[{}]}"#,
            r#"{"type":"Mutation","requestId":"1","udfPath":"a:b","args":[{}]}"#,
            r#"{"type":"Mutation","requestId":1,"udfPath":"a:b"}"#,
            r#"{"type":"Mutation","requestId":1,"args":[{}]}"#,
            r#"{"type":"Mutation","udfPath":"a:b","args":[{}]}"#,
            r#"{"type":"Mutation","requestId":1,"udfPath":"a:b","args":[{}]} x"#,
            r#"{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1}"#,
            r#"{"type":"ModifyQuerySet","baseVersion":0.5,"newVersion":1,"modifications":[]}"#,
            r#"{"type":"Authenticate","baseVersion":0}"#,
            r#"{"type":"Authenticate","baseVersion":0,"tokenType":"User"}"#,
            r#"{"type":"Authenticate","baseVersion":0,"tokenType":"User","value":5}"#,
            r#"{"type":"Authenticate","baseVersion":0,"tokenType":"user","value":"x"}"#,
            r#"{"type":"Connect","sessionId":"x","connectionCount":0}"#,
            r#"{"type":"Connect","sessionId":"7f1e5a52-22d1-4bd1-8f0a-0123456789ab","connectionCount":0,"clientTs":12.5}"#,
            r#"{"type":"Event","eventType":"x"}"#,
        ] {
            assert!(refused(text), "{text}");
        }
        assert!(matches!(ClientMessage::read(CONNECT), Ok(ClientMessage::Connect(_))));
        let long = CONNECT.replace("\"clientTs\":1", &format!("\"lastCloseReason\":\"{}\"", "x".repeat(9_000)));
        assert!(refused(&long), "a close reason is short");
    }

    #[test]
    fn rule_8_a_known_member_must_not_come_twice() {
        for text in [
            r#"{"type":"Mutation","requestId":1,"udfPath":"a:b","udfPath":"authAdapter:x","args":[{}]}"#,
            r#"{"type":"Mutation","requestId":1,"udfPath":"a:b","\u0075dfPath":"authAdapter:x","args":[{}]}"#,
            r#"{"type":"Event","eventType":"x","event":1,"type":"Mutation","requestId":1,"udfPath":"a:b","args":[{}]}"#,
        ] {
            assert!(refused(text), "{text}");
        }
    }

    #[test]
    fn rule_12_a_component_is_refused_for_that_call_and_null_is_none() {
        for (component, expected) in [("\"\"", true), ("\"a\"", true), ("5", true), ("null", false)] {
            let text = format!(
                r#"{{"type":"Action","requestId":1,"udfPath":"a:b","args":[{{}}],"componentPath":{component}}}"#
            );
            let Ok(ClientMessage::Call(_, operation)) = ClientMessage::read(&text) else { panic!("{text}") };
            let is_refused = operation.call.err() == Some(Rejection::BadBody(BadBody::Component));
            assert_eq!(is_refused, expected, "{text}");
        }
    }

    #[test]
    fn rule_4_a_path_that_does_not_parse_is_refused_for_that_call() {
        let text = r#"{"type":"Mutation","requestId":1,"udfPath":"./authAdapter:x","args":[{}]}"#;
        let Ok(ClientMessage::Call(_, operation)) = ClientMessage::read(text) else { panic!("a call") };
        assert_eq!(operation.call.err(), Some(Rejection::BadFunctionPath));
    }

    #[test]
    fn changes_of_a_query_set_are_read_as_the_backend_reads_them() {
        let text = r#"{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[
            {"type":"Add","queryId":3,"udfPath":"a:b","args":[{}],"journal":"j\u0041"},
            {"type":"Add","udfPath":"a:b","args":[{}],"journal":null},
            {"type":"Add"},
            {"type":"Remove","queryId":9}]}"#;
        let Ok(ClientMessage::ModifyQuerySet(modify)) = ClientMessage::read(text) else { panic!("changes") };
        let read: Vec<String> = modify
            .modifications()
            .map(|modification| match modification.unwrap() {
                Modification::Add { query_id, call, journal } => {
                    let path =
                        call.map_or_else(|refusal| refusal.code().to_owned(), |call| call.path.as_str().to_owned());
                    format!("+{query_id} {path} {}", journal.unwrap_or("-"))
                }
                Modification::Remove { query_id } => format!("-{query_id}"),
            })
            .collect();
        assert_eq!(read, [r#"+3 a:b "j\u0041""#, "+0 a:b null", "+0 InvalidFunctionPath -", "-9"]);
        for bad in [r#"{"type":"Remove"}"#, r#"["Add",0,"a:b",[{}]]"#, r#"{"type":"Change","queryId":1}"#, "5"] {
            let text = format!(r#"{{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[{bad}]}}"#);
            let Ok(ClientMessage::ModifyQuerySet(modify)) = ClientMessage::read(&text) else { panic!("changes") };
            assert!(modify.modifications().all(|modification| modification.is_err()), "{bad}");
        }
    }

    #[test]
    fn tokens_are_told_apart() {
        let read = |token: &str| {
            let text = format!(r#"{{"type":"Authenticate","baseVersion":2,{token}}}"#);
            match ClientMessage::read(&text) {
                Ok(ClientMessage::Authenticate { base_version: 2, token }) => match token {
                    ClientToken::Admin => "admin".to_owned(),
                    ClientToken::User(token) => format!("user {token}"),
                    ClientToken::None => "none".to_owned(),
                },
                _ => panic!("{text}"),
            }
        };
        assert_eq!(read(r#""tokenType":"User","value":"a.b\u002ec""#), "user a.b.c");
        assert_eq!(read(r#""tokenType":"None""#), "none");
        assert_eq!(read(r#""tokenType":"Admin","value":"k","impersonating":{}"#), "admin");
    }
}
