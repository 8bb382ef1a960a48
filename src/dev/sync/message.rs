//! The texts that a socket sends, member for member in the backend's order.
//!
//! Values are kept as JSON text from the moment they were computed. Invariant: every text here is one JSON object whose
//! first member is its type.

use convex_sync_types::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::dev::call::print_timestamp;
use crate::dev::value::{OutputFormat, Value};

/// What is known on both sides: which queries, who asks, and when the answers were true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) query_set: u32,
    pub(super) identity: u32,
    pub(super) timestamp: Timestamp,
}

impl Version {
    /// Where every socket starts.
    pub(super) const START: Self = Self { query_set: 0, identity: 0, timestamp: Timestamp::MIN };
}

/// A step from one version to the next.
#[derive(Debug)]
pub(super) struct Transition {
    pub(super) start: Version,
    pub(super) end: Version,
    /// In the order of their query ids.
    pub(super) modifications: Vec<Modification>,
    /// Milliseconds by which the client's clock is ahead, when it said what time it has.
    pub(super) client_clock_skew: Option<i64>,
}

/// What became of one query.
#[derive(Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(super) enum Modification {
    /// It has another result.
    #[serde(rename = "QueryUpdated")]
    Updated { query_id: u32, value: Box<RawValue>, log_lines: NoLines, journal: () },
    /// It has no result.
    #[serde(rename = "QueryFailed")]
    Failed { query_id: u32, error_message: String, log_lines: NoLines, journal: () },
    /// It is asked no more.
    #[serde(rename = "QueryRemoved")]
    Removed { query_id: u32 },
}

/// The console output of a function. There is none here.
pub(super) type NoLines = [&'static str; 0];

/// A message but for its printing.
#[derive(Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(super) enum ServerMessage<'a> {
    Transition {
        start_version: VersionText,
        end_version: VersionText,
        modifications: &'a [Modification],
        client_clock_skew: Option<i64>,
        server_ts: i64,
    },
    TransitionChunk {
        chunk: &'a str,
        part_number: usize,
        total_parts: usize,
        transition_id: &'a str,
    },
    MutationResponse {
        request_id: u32,
        success: bool,
        result: &'a RawValue,
        ts: Option<String>,
        log_lines: NoLines,
    },
    ActionResponse {
        request_id: u32,
        success: bool,
        result: &'a RawValue,
        log_lines: NoLines,
    },
    AuthError {
        error: &'a str,
        base_version: u32,
        auth_update_attempted: bool,
    },
    FatalError {
        error: &'a str,
    },
    Ping,
}

/// A version as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VersionText {
    query_set: u32,
    identity: u32,
    ts: String,
}

impl From<Version> for VersionText {
    fn from(version: Version) -> Self {
        Self { query_set: version.query_set, identity: version.identity, ts: print_timestamp(version.timestamp) }
    }
}

impl std::fmt::Debug for Modification {
    /// Which query; values are somebody's.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Updated { query_id, .. } => write!(formatter, "QueryUpdated({query_id})"),
            Self::Failed { query_id, .. } => write!(formatter, "QueryFailed({query_id})"),
            Self::Removed { query_id } => write!(formatter, "QueryRemoved({query_id})"),
        }
    }
}

/// The text of a message.
pub(super) fn print(message: &ServerMessage<'_>) -> String {
    // Strings, numbers and JSON that was printed before: none of them can fail.
    serde_json::to_string(message).unwrap_or_default()
}

/// The text of a Transition that goes out at `now_nanoseconds` since 1970.
pub(super) fn print_transition(transition: &Transition, now_nanoseconds: i64) -> String {
    print(&ServerMessage::Transition {
        start_version: transition.start.into(),
        end_version: transition.end.into(),
        modifications: &transition.modifications,
        client_clock_skew: transition.client_clock_skew,
        server_ts: now_nanoseconds,
    })
}

/// The text of an answer to a mutation: the result and the time of its commit, or why there is none.
pub(super) fn print_mutation(request_id: u32, outcome: Result<(&RawValue, Timestamp), &str>) -> String {
    let complaint = outcome.err().map(raw);
    print(&ServerMessage::MutationResponse {
        request_id,
        success: outcome.is_ok(),
        result: outcome.ok().map(|(value, _)| value).or(complaint.as_deref()).unwrap_or(RawValue::NULL),
        ts: outcome.ok().map(|(_, timestamp)| print_timestamp(timestamp)),
        log_lines: [],
    })
}

/// The text of an answer to an action.
pub(super) fn print_action(request_id: u32, outcome: Result<&RawValue, &str>) -> String {
    let complaint = outcome.err().map(raw);
    print(&ServerMessage::ActionResponse {
        request_id,
        success: outcome.is_ok(),
        result: outcome.ok().or(complaint.as_deref()).unwrap_or(RawValue::NULL),
        log_lines: [],
    })
}

/// A value as JSON text. Sockets know only the encoded spelling.
pub(super) fn encode(value: &Value) -> Box<RawValue> {
    raw(&value.encode(OutputFormat::Encoded))
}

fn raw<T: Serialize + ?Sized>(json: &T) -> Box<RawValue> {
    // Neither a text nor a JSON value can fail to be printed.
    serde_json::value::to_raw_value(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn a_transition_has_its_members_in_the_backends_order() {
        let version = |query_set, timestamp: u64| Version {
            query_set,
            identity: 2,
            timestamp: Timestamp::try_from(timestamp).unwrap(),
        };
        let transition = Transition {
            start: Version::START,
            end: version(1, 258),
            modifications: vec![
                Modification::Updated { query_id: 0, value: json("-1e-320"), log_lines: [], journal: () },
                Modification::Failed { query_id: 1, error_message: "no\n".into(), log_lines: [], journal: () },
                Modification::Removed { query_id: 2 },
            ],
            client_clock_skew: None,
        };
        insta::assert_snapshot!(print_transition(&transition, 5), @r#"{"type":"Transition","startVersion":{"querySet":0,"identity":0,"ts":"AAAAAAAAAAA="},"endVersion":{"querySet":1,"identity":2,"ts":"AgEAAAAAAAA="},"modifications":[{"type":"QueryUpdated","queryId":0,"value":-1e-320,"logLines":[],"journal":null},{"type":"QueryFailed","queryId":1,"errorMessage":"no\n","logLines":[],"journal":null},{"type":"QueryRemoved","queryId":2}],"clientClockSkew":null,"serverTs":5}"#);
    }

    #[test]
    fn answers_say_what_became_of_a_request() {
        let committed = (&*json("[1.0]"), Timestamp::MIN);
        insta::assert_snapshot!(print_mutation(7, Ok(committed)), @r#"{"type":"MutationResponse","requestId":7,"success":true,"result":[1.0],"ts":"AAAAAAAAAAA=","logLines":[]}"#);
        insta::assert_snapshot!(print_mutation(7, Err("no")), @r#"{"type":"MutationResponse","requestId":7,"success":false,"result":"no","ts":null,"logLines":[]}"#);
        insta::assert_snapshot!(print_action(8, Ok(&json("null"))), @r#"{"type":"ActionResponse","requestId":8,"success":true,"result":null,"logLines":[]}"#);
        insta::assert_snapshot!(print_action(8, Err("no")), @r#"{"type":"ActionResponse","requestId":8,"success":false,"result":"no","logLines":[]}"#);
    }

    #[test]
    fn the_short_messages_are_short() {
        assert_eq!(print(&ServerMessage::Ping), r#"{"type":"Ping"}"#);
        assert_eq!(print(&ServerMessage::FatalError { error: "no" }), r#"{"type":"FatalError","error":"no"}"#);
        let chunk = ServerMessage::TransitionChunk { chunk: "\"", part_number: 0, total_parts: 2, transition_id: "a" };
        assert_eq!(
            print(&chunk),
            r#"{"type":"TransitionChunk","chunk":"\"","partNumber":0,"totalParts":2,"transitionId":"a"}"#
        );
    }
}
