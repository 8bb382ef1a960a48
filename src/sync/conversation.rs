//! One client and the deployment, talking through the proxy: what of each message goes on, and how it is changed.
//!
//! Does no I/O and reads no clock: frames are appended to the buffers that it is given. The invariants: nothing of the client's goes on but
//! what was parsed, decided on and written anew; the client never sees a version that does not follow on the one before (rule 15); order
//! is kept in each direction (rule 23).

mod deployment;
mod write;

use std::{borrow::Cow, sync::Arc};

pub use self::deployment::{Extent, Heard};
use self::{
    deployment::Chunks,
    write::{refusal_response, write_authenticate, write_call, write_number},
};
use super::{
    authority::Judge,
    client_message::{ClientMessage, ClientToken, Modification, ModifyQuerySet, Operation, OperationKind},
    close::CloseCause,
    frame::{FrameWriter, Sender},
    identity::Identities,
    refused::RefusedQueries,
    replay::Replay,
    server_message::{NO_TIMESTAMP, Timestamp},
};
use crate::{error::Rejection, permit::Permitted, session::Write, token::Minted};

/// Where frames are appended: to the deployment, masked, and to the client.
#[derive(Debug)]
pub struct Outputs<'buffers> {
    /// To the deployment.
    pub up: &'buffers mut Vec<u8>,
    /// To the client.
    pub down: &'buffers mut Vec<u8>,
}

/// What came of a client's message.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn<'text> {
    /// It went on, or was answered.
    Done,
    /// The client says who it is. Nothing further of it may be looked at until [`Conversation::authenticate`] was called, or the connection
    /// is ended.
    Shows {
        /// What it says of its version.
        base_version: u32,
        /// Its token; none when it says that it is nobody.
        token: Option<Cow<'text, str>>,
    },
}

/// The state of one conversation.
#[derive(Debug)]
pub struct Conversation {
    identities: Identities,
    refused: RefusedQueries,
    cookie: Cookie,
    /// The version of the client's query set.
    query_set: u32,
    /// The end of the last transition, by the deployment's counting.
    told: (u32, u32, Timestamp),
    chunks: Chunks,
    adapter: Option<Box<AdapterTraffic>>,
    /// What went up, the proxy's own words apart, until the deployment has taken them.
    replay: Option<Box<Replay>>,
}

/// The identity by cookie.
#[derive(Debug)]
enum Cookie {
    /// There is none, or it has ended, or the client speaks for itself.
    None,
    /// It will be said before the client's first request.
    Unsaid(Arc<Minted>),
    /// The deployment was told.
    Said,
}

/// What is known of calls of adapter functions, once there was one.
#[derive(Debug, Default)]
struct AdapterTraffic {
    writes: Vec<(u32, Write)>,
}

/// The version that every conversation begins with.
const FIRST_VERSION: (u32, u32, Timestamp) = (0, 0, NO_TIMESTAMP);

/// Bytes of an `Event` at most that go on (our choice).
const EVENT_BYTES_AT_MOST: usize = 16 * 1_024;

const UP: FrameWriter = FrameWriter::new(Sender::Client);
const DOWN: FrameWriter = FrameWriter::new(Sender::Server);

impl Conversation {
    /// A conversation that begins. With a token, the deployment is told of it before the client's first request, unless the client has
    /// spoken for itself by then.
    pub fn new(cookie: Option<Arc<Minted>>) -> Self {
        Self {
            identities: Identities::default(),
            refused: RefusedQueries::default(),
            replay: cookie.is_some().then(Box::default),
            cookie: cookie.map_or(Cookie::None, Cookie::Unsaid),
            query_set: 0,
            told: FIRST_VERSION,
            chunks: Chunks::None,
            adapter: None,
        }
    }

    /// Whether messages to the client may stand at this place: not between the pieces of a transition (rule 20).
    pub fn may_interject(&self) -> bool {
        matches!(self.chunks, Chunks::None | Chunks::Whole { .. })
    }

    /// Whether a connection that the deployment ends over the proxy's token can be begun anew without the client's noticing.
    pub fn may_start_over(&self) -> bool {
        self.replay.is_some()
    }

    /// Whether the deployment was told of the cookie's identity and has not taken it yet.
    pub fn is_unconfirmed(&self) -> bool {
        matches!(self.cookie, Cookie::Said) && self.replay.is_some()
    }

    /// A further token for the cookie. The deployment is told now if it was told of the one before.
    pub fn renew(&mut self, token: &Arc<Minted>, up: &mut Vec<u8>) {
        match &mut self.cookie {
            Cookie::None => {}
            Cookie::Unsaid(unsaid) => *unsaid = Arc::clone(token),
            Cookie::Said => self.say(Some(token), up),
        }
    }

    /// The cookie's session has ended: from here on the client is nobody.
    pub fn forget_cookie(&mut self, up: &mut Vec<u8>) {
        if matches!(std::mem::replace(&mut self.cookie, Cookie::None), Cookie::Said) {
            self.say(None, up);
        }
        self.replay = None;
    }

    /// A message of the client.
    ///
    /// # Errors
    ///
    /// [`CloseCause`]: the connection ends. What was appended before stands.
    pub fn client_says<'text>(
        &mut self,
        text: &'text str,
        judge: &impl Judge,
        out: &mut Outputs<'_>,
    ) -> Result<Turn<'text>, CloseCause> {
        match ClientMessage::read(text)? {
            ClientMessage::Connect(report) => {
                let start = out.up.len();
                UP.text_by(text.len(), out.up, |up| report.write("Connect", up));
                self.record(start, out.up, judge);
            }
            // Nobody waits for it, and nobody needs it twice: a large one is left out.
            ClientMessage::Event(report) if text.len() <= EVENT_BYTES_AT_MOST => {
                UP.text_by(text.len(), out.up, |up| report.write("Event", up));
            }
            ClientMessage::Event(_) => {}
            ClientMessage::ModifyQuerySet(modify) => {
                self.introduce(out.up);
                self.modify(&modify, text.len(), judge, out.up)?;
            }
            ClientMessage::Call(kind, operation) => {
                self.introduce(out.up);
                self.call(kind, operation, text.len(), judge, out);
            }
            ClientMessage::Authenticate { base_version, token: ClientToken::User(token) } => {
                return Ok(Turn::Shows { base_version, token: Some(token) });
            }
            ClientMessage::Authenticate { base_version, token: ClientToken::None } => {
                return Ok(Turn::Shows { base_version, token: None });
            }
            ClientMessage::Authenticate { token: ClientToken::Admin, .. } => {
                self.refuse_identity(Rejection::AdminCredential, out.down);
                return Err(CloseCause::Credential);
            }
        }
        Ok(Turn::Done)
    }

    /// The client speaks for itself, by a token that may pass or as nobody. From here on its cookie plays no part.
    ///
    /// # Errors
    ///
    /// [`CloseCause::BadVersion`].
    pub fn authenticate(&mut self, base_version: u32, token: Option<&str>, up: &mut Vec<u8>) -> Result<(), CloseCause> {
        let base_version = self.identities.client_speaks(base_version)?;
        self.cookie = Cookie::None;
        self.replay = None;
        write_authenticate(base_version, token, up);
        Ok(())
    }

    /// Tells the client that its identity is not taken. The connection is to end behind it.
    pub fn refuse_identity(&self, rejection: Rejection, down: &mut Vec<u8>) {
        self.write_auth_error(&rejection.to_string(), true, down);
    }

    /// Tells the client that its identity has ended, as the deployment does when a token has expired: it asks for a new one.
    pub fn end_identity(&self, down: &mut Vec<u8>) {
        self.write_auth_error(&Rejection::TokenEnded.to_string(), false, down);
    }

    /// What goes up on a new connection, as nobody, when the deployment has refused the proxy's token.
    pub fn start_over(&mut self, up: &mut Vec<u8>) {
        self.identities = Identities::default();
        self.cookie = Cookie::None;
        self.replay.take().unwrap_or_default().append_to(up);
    }

    fn modify(
        &mut self,
        modify: &ModifyQuerySet<'_>,
        bytes_about: usize,
        judge: &impl Judge,
        up: &mut Vec<u8>,
    ) -> Result<(), CloseCause> {
        // The deployment would end the client for good over it (rule 19).
        if modify.base_version != self.query_set || modify.new_version <= modify.base_version {
            return Err(CloseCause::BadVersion);
        }
        self.query_set = modify.new_version;
        let start = up.len();
        let mut result = Ok(());
        let this = &mut *self;
        UP.text_by(bytes_about, up, |out| {
            out.extend_from_slice(b"{\"type\":\"ModifyQuerySet\",\"baseVersion\":");
            write_number(modify.base_version, out);
            out.extend_from_slice(b",\"newVersion\":");
            write_number(modify.new_version, out);
            out.extend_from_slice(b",\"modifications\":[");
            let list = out.len();
            result = modify.modifications().try_for_each(|modification| {
                this.write_modification(modification?, modify.new_version, list, judge, out)
            });
            out.extend_from_slice(b"]}");
        });
        if result.is_err() {
            up.truncate(start);
            return result;
        }
        self.record(start, up, judge);
        Ok(())
    }

    fn write_modification(
        &mut self,
        modification: Modification<'_>,
        new_version: u32,
        list: usize,
        judge: &impl Judge,
        out: &mut Vec<u8>,
    ) -> Result<(), CloseCause> {
        let before = out.len();
        if before > list {
            out.push(b',');
        }
        match modification {
            Modification::Remove { query_id } => {
                if self.refused.remove(new_version, query_id) {
                    out.truncate(before);
                } else {
                    out.extend_from_slice(b"{\"type\":\"Remove\",\"queryId\":");
                    write_number(query_id, out);
                    out.push(b'}');
                }
            }
            Modification::Add { query_id, call, journal } => {
                if self.refused.contains(query_id) {
                    return Err(CloseCause::BadVersion);
                }
                out.extend_from_slice(b"{\"type\":\"Add\",\"queryId\":");
                write_number(query_id, out);
                let written = call.and_then(|call| judge.decide(call)).and_then(|permitted| {
                    self.note_adapter(&permitted);
                    write_call(&permitted, judge.policy(), out)
                });
                if let Err(refusal) = written {
                    judge.refused(refusal);
                    out.truncate(before);
                    return self.refused.add(new_version, query_id, refusal);
                }
                if let Some(journal) = journal {
                    out.extend_from_slice(b",\"journal\":");
                    out.extend_from_slice(journal.as_bytes());
                }
                out.push(b'}');
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        kind: OperationKind,
        operation: Operation<'_>,
        bytes_about: usize,
        judge: &impl Judge,
        out: &mut Outputs<'_>,
    ) {
        let Operation { request_id, call } = operation;
        let start = out.up.len();
        let written = call.and_then(|call| judge.decide(call)).and_then(|permitted| {
            let mut written = Ok(());
            UP.text_by(bytes_about, out.up, |up| {
                up.extend_from_slice(b"{\"type\":\"");
                up.extend_from_slice(kind.name().as_bytes());
                up.extend_from_slice(b"\",\"requestId\":");
                write_number(request_id, up);
                written = write_call(&permitted, judge.policy(), up);
                up.push(b'}');
            });
            written.map(|()| permitted)
        });
        match written {
            Ok(permitted) => {
                self.note_adapter(&permitted);
                if let (Some(write), Some(adapter)) = (judge.begin_write(&permitted), &mut self.adapter) {
                    adapter.writes.push((request_id, write));
                }
                self.record(start, out.up, judge);
            }
            Err(refusal) => {
                judge.refused(refusal);
                out.up.truncate(start);
                DOWN.text(refusal_response(kind, request_id, refusal).as_bytes(), out.down);
            }
        }
    }

    /// From the first call of an adapter function on, answers are looked through for the secret.
    fn note_adapter(&mut self, permitted: &Permitted<'_>) {
        if permitted.adapter().is_some() {
            self.adapter.get_or_insert_default();
        }
    }

    /// Before the client's first request, the deployment is told who it is.
    fn introduce(&mut self, up: &mut Vec<u8>) {
        if let Cookie::Unsaid(token) = &self.cookie {
            let token = Arc::clone(token);
            self.cookie = Cookie::Said;
            self.say(Some(&token), up);
        }
    }

    fn say(&mut self, token: Option<&Arc<Minted>>, up: &mut Vec<u8>) {
        let base_version = self.identities.proxy_speaks();
        write_authenticate(base_version, token.map(|token| token.token()), up);
    }

    /// Keeps what was just appended, as long as it may be needed again.
    fn record(&mut self, start: usize, up: &[u8], judge: &impl Judge) {
        let Some(replay) = &mut self.replay else { return };
        if !replay.keep(up.get(start..).unwrap_or_default(), judge) {
            self.replay = None;
        }
    }

    fn write_auth_error(&self, sentence: &str, was_attempted: bool, down: &mut Vec<u8>) {
        let error = serde_json::json!({
            "type": "AuthError",
            "error": sentence,
            "baseVersion": self.identities.shown(),
            "authUpdateAttempted": was_attempted,
        });
        DOWN.text(error.to_string().as_bytes(), down);
    }
}

#[cfg(test)]
mod model;
