//! Messages of the sync protocol: written whole, read by looking for members.
//!
//! Nothing is parsed: a relay may order the members anew, and what these ends send has no text that looks like a member.
//! The protocol is Convex's, `crates/convex/sync_types/src/types/json.rs`.

use std::{io, io::Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use memchr::memmem;

/// Of a socket's data: what a transition leads from and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Version {
    pub query_set: u32,
    pub identity: u32,
    pub ts: u64,
}

/// What a client says first. `session` is a UUID.
pub fn connect(out: &mut Vec<u8>, session: &str) {
    write(
        out,
        format_args!(
            r#"{{"type":"Connect","sessionId":"{session}","connectionCount":0,"lastCloseReason":null,"clientTs":1795435200250}}"#
        ),
    );
}

/// The first query set: one query.
pub fn first_query_set(out: &mut Vec<u8>) {
    out.extend_from_slice(
        br#"{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[{"type":"Add","queryId":0,"udfPath":"demo:list","args":[{}]}]}"#,
    );
}

/// Whether messages that are sent at one time leave by one write, or each by its own, as browsers and the backend do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    Together,
    Apart,
}

/// A mutation of `size` bytes, or the smallest where that is less. `writing` is how its answer is to leave.
pub fn mutation(out: &mut Vec<u8>, request: u32, writing: Writing, size: usize) {
    let start = out.len();
    let name = match writing {
        Writing::Together => "send",
        Writing::Apart => "sendApart",
    };
    write(out, format_args!(r#"{{"type":"Mutation","requestId":{request},"udfPath":"demo:{name}","args":[{{"body":""#));
    fill(out, start, size, br#""}]}"#);
}

/// How the answer to a mutation is to leave.
pub fn writing(mutation: &[u8]) -> Writing {
    if memmem::find(mutation, b"sendApart").is_some() { Writing::Apart } else { Writing::Together }
}

/// The answer to a mutation, as large as the mutation was.
pub fn mutation_response(out: &mut Vec<u8>, request: u32, size: usize) {
    let start = out.len();
    write(out, format_args!(r#"{{"type":"MutationResponse","requestId":{request},"success":true,"result":""#));
    fill(out, start, size, br#"","ts":"AAAAAAAAAAA=","logLines":[]}"#);
}

/// A transition that brings the one query's new value, `size` bytes in all, or the smallest where that is less.
pub fn transition(out: &mut Vec<u8>, from: Version, to: Version, size: usize) {
    let start = out.len();
    write(out, format_args!(r#"{{"type":"Transition","startVersion":{},"endVersion":{},"#, text(from), text(to)));
    write(out, format_args!(r#""modifications":[{{"type":"QueryUpdated","queryId":0,"value":""#));
    fill(out, start, size, br#"","logLines":[],"journal":null}],"clientClockSkew":null,"serverTs":null}"#);
}

/// The first and the last version of a transition.
pub fn versions(message: &[u8]) -> Option<(Version, Version)> {
    Some((version(message, b"\"startVersion\"")?, version(message, b"\"endVersion\"")?))
}

/// The number that a member has, the first of that name; `name` has its quotes.
pub fn number(message: &[u8], name: &[u8]) -> Option<u32> {
    let value = after(message, name)?;
    let digits = value.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(value.get(..digits)?).ok()?.parse().ok()
}

/// Whether a member has that text; `name` has its quotes.
pub fn has(message: &[u8], name: &[u8], value: &[u8]) -> bool {
    memmem::find_iter(message, name)
        .any(|at| message.get(at..).and_then(|rest| after(rest, name)).is_some_and(|rest| rest.starts_with(value)))
}

/// The text of a member, without its quotes; no escape is undone.
pub fn string<'a>(message: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let value = after(message, name)?.strip_prefix(b"\"")?;
    std::str::from_utf8(value.get(..memchr::memchr(b'"', value)?)?).ok()
}

fn after<'a>(message: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = message.get(memmem::find(message, name)? + name.len()..)?;
    Some(value.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())
}

fn version(message: &[u8], name: &[u8]) -> Option<Version> {
    let object = after(message, name)?;
    let object = object.get(..=memchr::memchr(b'}', object)?)?;
    let ts = STANDARD.decode(string(object, b"\"ts\"")?).ok()?;
    Some(Version {
        query_set: number(object, b"\"querySet\"")?,
        identity: number(object, b"\"identity\"")?,
        ts: u64::from_le_bytes(ts.try_into().ok()?),
    })
}

fn text(version: Version) -> String {
    let Version { query_set, identity, ts } = version;
    format!(r#"{{"querySet":{query_set},"identity":{identity},"ts":"{}"}}"#, STANDARD.encode(ts.to_le_bytes()))
}

fn fill(out: &mut Vec<u8>, start: usize, size: usize, end: &[u8]) {
    let written = out.len() - start + end.len();
    out.resize(out.len() + size.saturating_sub(written), b'x');
    out.extend_from_slice(end);
}

fn write(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    // A vector takes whatever is written.
    let _: io::Result<()> = out.write_fmt(arguments);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_size_that_was_asked_for() {
        for size in [300, 4_096, 30_000] {
            let version = Version { query_set: 1, identity: 0, ts: 7 };
            let (mut mutation_text, mut response, mut transition_text) = (Vec::new(), Vec::new(), Vec::new());
            mutation(&mut mutation_text, 4_000_000, Writing::Apart, size);
            assert_eq!(writing(&mutation_text), Writing::Apart);
            mutation_response(&mut response, 4_000_000, size);
            transition(&mut transition_text, version, Version { ts: 8, ..version }, size);
            assert_eq!([mutation_text.len(), response.len(), transition_text.len()], [size; 3]);
        }
    }

    #[test]
    fn members_are_found_in_whatever_order_and_spacing() {
        let message = br#"{ "args":[{"body":"x"}], "requestId" : 12 , "type" : "Mutation" }"#;
        assert_eq!(number(message, b"\"requestId\""), Some(12));
        assert!(has(message, b"\"type\"", b"\"Mutation\""));
        assert!(!has(message, b"\"type\"", b"\"Action\""));
    }

    #[test]
    fn a_transition_tells_its_versions() {
        let (from, to) = (Version::default(), Version { query_set: 3, identity: 1, ts: u64::MAX });
        let mut message = Vec::new();
        transition(&mut message, from, to, 0);
        assert_eq!(versions(&message), Some((from, to)));
    }
}
