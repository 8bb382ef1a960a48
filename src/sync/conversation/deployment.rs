//! The deployment's half of a conversation: what it says goes on as it is, but for versions and for news of refused queries.

use std::borrow::Cow;

use bytes::Bytes;

use super::{AdapterTraffic, Conversation, DOWN, FIRST_VERSION};
use crate::{
    server::Lease,
    session::WriteOutcome,
    sync::{
        authority::Judge,
        close::CloseCause,
        frame::{FrameHead, Opcode},
        identity::Blame,
        server_message::{Edits, Kind, Outline, chunk_numbers, decode_beginning},
    },
};

/// What came of a deployment's message.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// It went on, or as much of it as there is.
    Done,
    /// All of it must be there first.
    Gather,
    /// The deployment refuses the proxy's token, and the client has not heard anything yet: [`Conversation::start_over`] on a new
    /// connection, as nobody.
    Refused,
}

/// How much of a message there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// The beginning of one with so many bytes.
    Beginning(u64),
}

/// Pieces of one transition under way to the client.
#[derive(Debug, Default)]
pub(super) enum Chunks {
    /// None.
    #[default]
    None,
    /// The next one.
    Next(u32),
    /// One of them is passing; its last bytes, where its numbers are.
    Passing { expected: u32, tail: Vec<u8> },
    /// They are put together, since their beginning does not say enough.
    Whole { text: String, next: u32, lease: Lease },
}

impl Conversation {
    /// A message of the deployment, or its beginning. When it is a beginning and [`Heard::Done`] comes of it, the rest is to follow
    /// unchanged, each part told to [`rest`](Self::rest).
    ///
    /// # Errors
    ///
    /// [`CloseCause`]: the connection ends.
    pub fn deployment_says(
        &mut self,
        bytes: &[u8],
        extent: Extent,
        judge: &impl Judge,
        down: &mut Vec<u8>,
    ) -> Result<Heard, CloseCause> {
        let outline = Outline::read(bytes);
        let is_whole = extent == Extent::Whole;
        if !is_whole && (!outline.is_complete() || !self.may_pass(outline.kind)) {
            return Ok(Heard::Gather);
        }
        match outline.kind {
            Some(Kind::Transition) => {
                let edits = self.transition(&outline)?;
                self.pass(bytes, extent, &edits, judge, down);
            }
            Some(Kind::TransitionChunk) => return self.chunk(bytes, extent, &outline, judge, down),
            Some(Kind::Response) => {
                self.end_write(outline.request_id);
                // A call that was carried out must not be made once more.
                self.replay = None;
                self.pass(bytes, extent, &Edits::default(), judge, down);
            }
            Some(Kind::AuthError) => return self.auth_error(bytes, &outline, judge, down),
            Some(Kind::Other) | None => self.pass(bytes, extent, &Edits::default(), judge, down),
        }
        Ok(Heard::Done)
    }

    /// Hears what became of a call when nothing goes on any more.
    pub fn note_outcome(&mut self, bytes: &[u8]) {
        if self.adapter.is_some() {
            let outline = Outline::read(bytes);
            if outline.kind == Some(Kind::Response) {
                self.end_write(outline.request_id);
            }
        }
    }

    /// A further part of a message whose beginning went on.
    ///
    /// # Errors
    ///
    /// [`CloseCause::UpstreamUnreadable`]: a piece of a transition that is none of those expected.
    pub fn rest(&mut self, bytes: &[u8], is_last: bool) -> Result<(), CloseCause> {
        let Chunks::Passing { expected, tail } = &mut self.chunks else { return Ok(()) };
        tail.extend_from_slice(last(bytes));
        let surplus = tail.len().saturating_sub(TAIL_BYTES);
        tail.drain(..surplus);
        if is_last {
            let (expected, numbers) = (*expected, chunk_numbers(tail));
            self.chunks = after_chunk(expected, numbers)?;
        }
        Ok(())
    }

    fn may_pass(&self, kind: Option<Kind>) -> bool {
        match kind {
            // What may hold the secret is looked through whole.
            Some(Kind::Transition | Kind::Response) => self.adapter.is_none(),
            Some(Kind::TransitionChunk) => self.adapter.is_none() && !matches!(self.chunks, Chunks::Whole { .. }),
            Some(Kind::Other) => true,
            Some(Kind::AuthError) | None => false,
        }
    }

    /// What is to be changed in a transition so that it follows on the one before, by the client's counting.
    fn transition(&mut self, outline: &Outline) -> Result<Edits, CloseCause> {
        let (Some(start), Some(end), Some((list, is_empty))) = (&outline.start, &outline.end, outline.modifications)
        else {
            return Err(CloseCause::UpstreamUnreadable);
        };
        if (start.query_set, start.identity, start.timestamp) != self.told {
            return Err(CloseCause::UpstreamUnreadable);
        }
        let shown_start = self.identities.shown();
        let shown_end = self.identities.advance(end.identity)?;
        self.told = (end.query_set, end.identity, end.timestamp);
        if self.told != FIRST_VERSION {
            // The client stands where no second beginning leads to, whether or not the proxy's token is among what was taken.
            self.replay = None;
        }
        let mut edits = Edits::default();
        if shown_start != start.identity {
            edits.number(start.identity_at.clone(), shown_start);
        }
        if shown_end != end.identity {
            edits.number(end.identity_at.clone(), shown_end);
        }
        if self.refused.has_news(end.query_set) {
            let mut news = self.refused.tell(end.query_set);
            if !is_empty {
                news.push(b',');
            }
            edits.insert(list, news);
        }
        Ok(edits)
    }

    fn pass(&self, bytes: &[u8], extent: Extent, edits: &Edits, judge: &impl Judge, down: &mut Vec<u8>) {
        match extent {
            Extent::Whole if self.adapter.is_some() => {
                let mut text = Vec::with_capacity(bytes.len());
                edits.apply(bytes, &mut text);
                DOWN.text(&judge.clean(Bytes::from(text)), down);
            }
            Extent::Whole => {
                write_head(bytes.len() as u64, edits, down);
                edits.apply(bytes, down);
            }
            Extent::Beginning(message_bytes) => {
                write_head(message_bytes, edits, down);
                edits.apply(bytes, down);
            }
        }
    }

    fn chunk(
        &mut self,
        bytes: &[u8],
        extent: Extent,
        outline: &Outline,
        judge: &impl Judge,
        down: &mut Vec<u8>,
    ) -> Result<Heard, CloseCause> {
        const UNREADABLE: CloseCause = CloseCause::UpstreamUnreadable;
        let expected = match std::mem::take(&mut self.chunks) {
            Chunks::None => 0,
            Chunks::Next(expected) => expected,
            Chunks::Whole { text, next, lease } => {
                return self.put_together(bytes, text, next, lease, judge, down);
            }
            Chunks::Passing { .. } => return Err(UNREADABLE),
        };
        if expected == 0 && self.adapter.is_some() {
            // A seam may run through the secret.
            return self.put_together(bytes, String::new(), 0, judge.lease(), judge, down);
        }
        let edits = if expected == 0 {
            let (text, places) = decode_beginning(bytes, outline.chunk.ok_or(UNREADABLE)?);
            let beginning = Outline::read(&text);
            if beginning.kind != Some(Kind::Transition) || !beginning.is_complete() {
                if extent != Extent::Whole {
                    return Ok(Heard::Gather);
                }
                return self.put_together(bytes, String::new(), 0, judge.lease(), judge, down);
            }
            self.transition(&beginning)?.within_string(&places).ok_or(UNREADABLE)?
        } else {
            Edits::default()
        };
        self.chunks = match extent {
            Extent::Whole => after_chunk(expected, chunk_numbers(bytes))?,
            // The numbers may begin here and end in the rest.
            Extent::Beginning(_) => Chunks::Passing { expected, tail: last(bytes).to_vec() },
        };
        self.pass(bytes, extent, &edits, judge, down);
        Ok(Heard::Done)
    }

    /// A transition whose beginning does not show its versions goes on whole, when its last piece is there.
    fn put_together(
        &mut self,
        bytes: &[u8],
        mut text: String,
        next: u32,
        mut lease: Lease,
        judge: &impl Judge,
        down: &mut Vec<u8>,
    ) -> Result<Heard, CloseCause> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct WireChunk<'bytes> {
            #[serde(borrow)]
            chunk: Cow<'bytes, str>,
            part_number: u32,
            total_parts: u32,
        }
        let wire: WireChunk<'_> = serde_json::from_slice(bytes).map_err(|_| CloseCause::UpstreamUnreadable)?;
        if wire.part_number != next {
            return Err(CloseCause::UpstreamUnreadable);
        }
        lease.grow(wire.chunk.len()).map_err(|_| CloseCause::TooManyBytes)?;
        text.push_str(&wire.chunk);
        if next.checked_add(1) == Some(wire.total_parts) {
            return self.deployment_says(text.as_bytes(), Extent::Whole, judge, down);
        }
        self.chunks = Chunks::Whole { text, next: next + 1, lease };
        Ok(Heard::Done)
    }

    fn auth_error(
        &mut self,
        bytes: &[u8],
        outline: &Outline,
        judge: &impl Judge,
        down: &mut Vec<u8>,
    ) -> Result<Heard, CloseCause> {
        let blame = if outline.auth_update_attempted {
            self.identities.blame_refusal()
        } else {
            self.identities.blame_expiry()
        };
        match blame {
            Blame::Client => {
                let mut edits = Edits::default();
                if let Some((version, at)) = &outline.base_version
                    && *version != self.identities.shown()
                {
                    edits.number(at.clone(), self.identities.shown());
                }
                self.pass(bytes, Extent::Whole, &edits, judge, down);
                Ok(Heard::Done)
            }
            Blame::Proxy if outline.auth_update_attempted && self.replay.is_some() => Ok(Heard::Refused),
            Blame::Proxy if outline.auth_update_attempted => Err(CloseCause::TokenRefused),
            // The client would take it for its own token's: it finds out when it comes back.
            Blame::Proxy | Blame::Either => Err(CloseCause::IdentityLost),
        }
    }

    fn end_write(&mut self, request_id: Option<u32>) {
        let Some(adapter) = &mut self.adapter else { return };
        if let Some(place) = adapter.writes.iter().position(|(of, _)| Some(*of) == request_id) {
            let (_, write) = adapter.writes.swap_remove(place);
            write.end(WriteOutcome::Known);
        }
    }
}

impl Drop for AdapterTraffic {
    fn drop(&mut self) {
        for (_, write) in self.writes.drain(..) {
            write.end(WriteOutcome::Unknown);
        }
    }
}

/// Bytes at the end of a `TransitionChunk` that hold its numbers.
const TAIL_BYTES: usize = 256;

fn last(bytes: &[u8]) -> &[u8] {
    bytes.get(bytes.len().saturating_sub(TAIL_BYTES)..).unwrap_or(bytes)
}

fn after_chunk(expected: u32, numbers: Option<(u32, u32)>) -> Result<Chunks, CloseCause> {
    match numbers {
        Some((part, parts)) if part == expected && part + 1 == parts => Ok(Chunks::None),
        Some((part, parts)) if part == expected && part < parts => Ok(Chunks::Next(part + 1)),
        _ => Err(CloseCause::UpstreamUnreadable),
    }
}

fn write_head(message_bytes: u64, edits: &Edits, down: &mut Vec<u8>) {
    FrameHead::write(Opcode::Text, message_bytes.saturating_add_signed(edits.growth()), None, down);
}
