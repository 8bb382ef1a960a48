//! Laws of the sync socket. Property tests hold the code to them in every run, and the targets in `fuzz/` for as long as somebody lets them.
//!
//! Each takes what an adversary may choose, and panics when it is broken. Written against the public interface, since the fuzz targets
//! include this file as it is.

use std::time::Duration;

use bytes::Bytes;
use convex_auth_proxy::sync::client_message::{ClientMessage, ClientToken, Modification, OperationKind};
use convex_auth_proxy::{
    classify::{Call, FunctionPath, Listener},
    config::{self, Nulls, OnPublic},
    error::Rejection,
    permit::{FunctionRefusal, Permitted},
    secret::Secret,
    server::{Intake, Lease},
    session::Write,
    sync::{
        authority::Judge,
        close::CloseCause,
        conversation::{Conversation, Extent, Heard, Outputs, Turn},
        frame::{FrameHead, Opcode, Sender},
        inbox::{Inbox, Received},
        input::{Control, Input},
        passage::{Arrived, Passage},
        server_message::{Edits, Outline, chunk_numbers, decode_beginning},
    },
};
use convex_sync_types::{AuthenticationToken, ClientMessage as Theirs, QuerySetModification, UdfPath};
use serde_json::Value;

const AMPLE_BYTES: usize = 1 << 30;

/// Something that came out of frames, without how it was cut.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Text(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
    Failed(CloseCause),
}

/// The law: frames are read the same in whatever pieces they come.
pub(crate) fn frames_are_the_same_in_any_pieces(bytes: &[u8], cuts: &[u8]) {
    let intake = intake(AMPLE_BYTES);
    let whole = from_client(&[bytes], &intake);
    let pieces = pieces(bytes, cuts);
    assert_eq!(whole, from_client(&pieces, &intake));
    assert_eq!(from_deployment(&[bytes], &intake), from_deployment(&pieces, &intake));
}

fn pieces<'bytes>(mut bytes: &'bytes [u8], cuts: &[u8]) -> Vec<&'bytes [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, rest) = bytes.split_at(usize::from(*cut).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}

fn from_client(pieces: &[&[u8]], intake: &Intake) -> Vec<Event> {
    let mut inbox = Inbox::new();
    let mut events = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        loop {
            match inbox.next(&mut input, intake, Listener::Public) {
                Ok(None) => break,
                Ok(Some(Received::Text(text))) => events.push(Event::Text(text.as_str().as_bytes().to_vec())),
                Ok(Some(Received::Control(control))) => events.push(event(control)),
                Err(cause) => {
                    events.push(Event::Failed(cause));
                    return events;
                }
            }
        }
        assert!(input.is_empty(), "more is asked for only when all was taken");
    }
    events
}

fn from_deployment(pieces: &[&[u8]], intake: &Intake) -> Vec<Event> {
    let mut passage = Passage::new();
    let mut events = Vec::new();
    let mut passing = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        loop {
            match passage.next(&mut input, intake, Listener::Public) {
                Ok(None) => break,
                Ok(Some(Arrived::Whole(message))) => events.push(Event::Text(message.bytes().to_vec())),
                Ok(Some(Arrived::Beginning { beginning, message_bytes })) => {
                    assert!(beginning.bytes().len() as u64 <= message_bytes);
                    passing = beginning.bytes().to_vec();
                }
                Ok(Some(Arrived::Rest { bytes, is_last })) => {
                    passing.extend_from_slice(bytes);
                    if is_last {
                        events.push(Event::Text(std::mem::take(&mut passing)));
                    }
                }
                Ok(Some(Arrived::Control(control))) => events.push(event(control)),
                Err(cause) => {
                    events.push(Event::Failed(cause));
                    return events;
                }
            }
        }
    }
    events
}

fn event(control: Control) -> Event {
    match control {
        Control::Ping(payload) => Event::Ping(payload.into_vec()),
        Control::Pong => Event::Pong,
        Control::Close(close) => Event::Close(close.code()),
    }
}

/// The law: what is taken of a client, the backend takes, and means by it the same.
pub(crate) fn a_client_message_means_what_the_backend_reads(text: &str) {
    let Ok(ours) = ClientMessage::read(text) else { return };
    match ours {
        ClientMessage::Connect(_) => assert!(matches!(theirs(text), Theirs::Connect { .. })),
        ClientMessage::Event(_) => assert!(matches!(theirs(text), Theirs::Event(_))),
        ClientMessage::Call(kind, operation) => {
            // What is refused never gets there.
            let Ok(call) = operation.call else { return };
            let (request_id, path, args) = match (theirs(text), kind) {
                (Theirs::Mutation { request_id, udf_path, args, component_path: None }, OperationKind::Mutation)
                | (Theirs::Action { request_id, udf_path, args, component_path: None }, OperationKind::Action) => {
                    (request_id, udf_path, args)
                }
                (other, _) => panic!("another kind of message: {}", other.as_ref()),
            };
            assert_eq!(request_id, operation.request_id);
            same_call(&call, path, args.get());
        }
        ClientMessage::ModifyQuerySet(modify) => {
            let modifications: Result<Vec<_>, _> = modify.modifications().collect();
            let Ok(modifications) = modifications else { return };
            let is_refused = |one: &Modification<'_>| matches!(one, Modification::Add { call: Err(_), .. });
            if modifications.iter().any(is_refused) {
                return;
            }
            let Theirs::ModifyQuerySet { base_version, new_version, modifications: others } = theirs(text) else {
                panic!("another kind of message");
            };
            assert_eq!((base_version, new_version), (modify.base_version, modify.new_version));
            assert_eq!(modifications.len(), others.len());
            for (ours, theirs) in modifications.into_iter().zip(others) {
                same_modification(ours, theirs);
            }
        }
        // It goes no further, whatever else stands in it.
        ClientMessage::Authenticate { token: ClientToken::Admin, .. } => {}
        ClientMessage::Authenticate { base_version, token } => {
            let Theirs::Authenticate { base_version: theirs, token: other } = theirs(text) else {
                panic!("another kind of message");
            };
            assert_eq!(base_version, theirs);
            match (token, other) {
                (ClientToken::None, AuthenticationToken::None) => {}
                (ClientToken::User(ours), AuthenticationToken::User(theirs)) => assert!(ours == theirs),
                _ => panic!("another kind of token"),
            }
        }
    }
}

fn theirs(text: &str) -> Theirs {
    let value: Value = serde_json::from_str(text).expect("the backend's parser takes it");
    Theirs::try_from(value).expect("the backend takes it")
}

fn same_call(ours: &Call<'_>, path: UdfPath, args: &str) {
    let path = path.canonicalize();
    assert!(ours.path.is_in(path.module()), "{} is another module", ours.path.as_str());
    assert_eq!(ours.path.name(), &**path.function_name());
    let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    assert!(read(ours.args.get()) == read(args), "other arguments");
}

fn same_modification(ours: Modification<'_>, theirs: QuerySetModification) {
    match (ours, theirs) {
        (Modification::Add { query_id, call: Ok(call), journal }, QuerySetModification::Add(query)) => {
            assert_eq!(query_id, query.query_id.get_id());
            assert_eq!(query.component_path, None);
            same_call(&call, query.udf_path, query.args.get());
            let journal = journal.map(|text| serde_json::from_str::<Option<String>>(text).expect("a journal"));
            assert!(journal == query.journal, "another journal");
        }
        (Modification::Remove { query_id }, QuerySetModification::Remove { query_id: other }) => {
            assert_eq!(query_id, other.get_id());
        }
        _ => panic!("another kind of change"),
    }
}

/// The law: no bytes make an outline panic, all its places lie within them, and changes change nothing else.
pub(crate) fn an_outline_lies_within_its_bytes(bytes: &[u8]) {
    let outline = Outline::read(bytes);
    let mut edits = Edits::default();
    for version in [&outline.start, &outline.end].into_iter().flatten() {
        assert!(bytes[version.identity_at.clone()].iter().all(u8::is_ascii_digit));
        edits.number(version.identity_at.clone(), 7);
    }
    if let Some((at, _)) = outline.modifications {
        assert_eq!(bytes[at - 1], b'[');
        edits.insert(at, b"null".to_vec());
    }
    let mut changed = Vec::new();
    edits.apply(bytes, &mut changed);
    assert_eq!(changed.len() as i64, bytes.len() as i64 + edits.growth());
    let _ = chunk_numbers(bytes);
    if let Some(chunk) = outline.chunk {
        let (text, places) = decode_beginning(bytes, chunk);
        assert_eq!(places.len(), text.len() + 1);
        assert!(places.is_sorted() && places.last().is_some_and(|last| *last <= bytes.len()));
    }
}

/// The law: whatever client and deployment say, nothing panics, all that goes up is what the backend takes, and no adapter function is
/// called without the secret. A line of the script that begins with `<` is the deployment's.
pub(crate) fn nothing_is_called_without_the_secret(script: &str, is_signed_in_by_client: bool) {
    let judge = Judging::new();
    let mut conversation = Conversation::new(None);
    let (mut up, mut down) = (Vec::new(), Vec::new());
    if is_signed_in_by_client {
        conversation.authenticate(0, Some("token"), &mut up).expect("the first");
    }
    for line in script.lines() {
        let is_over = if let Some(text) = line.strip_prefix('<') {
            deployment_says(&mut conversation, text.as_bytes(), &judge, &mut down)
        } else {
            let mut out = Outputs { up: &mut up, down: &mut down };
            match conversation.client_says(line, &judge, &mut out) {
                Ok(Turn::Done) => false,
                Ok(Turn::Shows { base_version, token }) => {
                    conversation.authenticate(base_version, token.as_deref(), &mut up).is_err()
                }
                Err(_) => true,
            }
        };
        if is_over {
            break;
        }
    }
    for text in texts(&up, Sender::Client) {
        permitted(&judge, theirs(std::str::from_utf8(&text).expect("UTF-8")));
    }
    let _ = texts(&down, Sender::Server);
}

fn deployment_says(conversation: &mut Conversation, text: &[u8], judge: &Judging, down: &mut Vec<u8>) -> bool {
    // Half of it first, as if it were long.
    let (beginning, rest) = text.split_at(text.len() / 2);
    let extent = Extent::Beginning(text.len() as u64);
    match conversation.deployment_says(beginning, extent, judge, down) {
        Ok(Heard::Done) => {
            down.extend_from_slice(rest);
            conversation.rest(rest, true).is_err()
        }
        Ok(Heard::Gather) => conversation.deployment_says(text, Extent::Whole, judge, down).is_err(),
        Ok(Heard::Refused) | Err(_) => true,
    }
}

/// The texts of whole frames. That the frames are whole is part of the law.
fn texts(mut frames: &[u8], sender: Sender) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    while !frames.is_empty() {
        let head = FrameHead::read(frames, sender).expect("a head").expect("all of it");
        let end = head.head_bytes + usize::try_from(head.payload_bytes).expect("a length");
        let mut payload = frames[head.head_bytes..end].to_vec();
        if let Some(mask) = head.mask {
            mask.apply(&mut payload, 0);
        }
        assert_eq!(head.opcode, Opcode::Text);
        texts.push(payload);
        frames = &frames[end..];
    }
    texts
}

fn permitted(judge: &Judging, message: Theirs) {
    let calls = match message {
        Theirs::Mutation { udf_path, args, component_path, .. }
        | Theirs::Action { udf_path, args, component_path, .. } => {
            vec![(udf_path, args, component_path)]
        }
        Theirs::ModifyQuerySet { modifications, .. } => modifications
            .into_iter()
            .filter_map(|modification| match modification {
                QuerySetModification::Add(query) => Some((query.udf_path, query.args, query.component_path)),
                QuerySetModification::Remove { .. } => None,
            })
            .collect(),
        Theirs::Authenticate { token, .. } => {
            assert!(!matches!(token, AuthenticationToken::Admin(..)));
            Vec::new()
        }
        Theirs::Connect { .. } | Theirs::Event(_) => Vec::new(),
    };
    for (path, args, component) in calls {
        assert_eq!(component, None);
        let path = FunctionPath::parse(&String::from(path)).expect("a path");
        if path.is_in(&judge.policy.module) {
            let args: Value = serde_json::from_str(args.get()).expect("JSON");
            let object = args.get(0).unwrap_or(&args);
            assert_eq!(object["secret"], SECRET, "without the secret");
        }
    }
}

const SECRET: &str = "s";

/// A judge by the real policy, for a client from outside.
pub(crate) struct Judging {
    policy: config::Adapter,
    /// Counts what is held.
    pub(crate) intake: Intake,
}

impl Judging {
    /// With the module `authAdapter`.
    pub(crate) fn new() -> Self {
        let policy = config::Adapter {
            module: "authAdapter".parse().expect("a module"),
            secret: Secret::new(SECRET),
            on_public: OnPublic::RequireSecret,
            tokens: Vec::new(),
            nulls: Nulls::Drop,
        };
        Self { policy, intake: intake(AMPLE_BYTES) }
    }
}

impl Judge for Judging {
    fn decide<'text>(&self, call: Call<'text>) -> Result<Permitted<'text>, Rejection> {
        Permitted::decide(call, Listener::Public, &self.policy).map_err(|refusal| match refusal {
            FunctionRefusal::Rejected(rejection) => rejection,
            FunctionRefusal::WrongSecret => Rejection::AdapterForbidden,
        })
    }

    fn policy(&self) -> &config::Adapter {
        &self.policy
    }

    fn begin_write(&self, _: &Permitted<'_>) -> Option<Write> {
        None
    }

    fn clean(&self, answer: Bytes) -> Bytes {
        answer
    }

    fn refused(&self, _: Rejection) {}

    fn lease(&self) -> Lease {
        self.intake.lease(Listener::Public)
    }
}

/// Bounds that a test sets by hand: nothing but what may be buffered, in bytes, and no time.
pub(crate) fn intake(buffered_bytes: usize) -> Intake {
    let limits = config::Limits {
        header_bytes: 0,
        body_bytes: 0,
        answer_bytes: 0,
        connections: 0,
        requests_in_flight: 0,
        buffered_bytes,
        upstream_idle_connections: 0,
    };
    let never = Duration::ZERO;
    let timeouts = config::Timeouts {
        header: never,
        body: never,
        idle: never,
        connect: never,
        upstream: never,
        session_read: never,
        stall: never,
        upstream_idle: never,
        shutdown: never,
    };
    Intake::new(&limits, &timeouts)
}

// The path is told since the fuzz targets include this file from elsewhere.
#[cfg(test)]
#[path = "laws/tests.rs"]
mod tests;
