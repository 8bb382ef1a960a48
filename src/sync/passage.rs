//! The deployment's messages: passed on as they come, looked at where they begin.
//!
//! What must be known of a message, or be changed in it, stands at its beginning. So a long one is not held: its beginning is looked at,
//! and its rest goes through in whatever pieces it comes. One that must be looked at whole is gathered, and counts against the memory
//! while it is.

use std::borrow::Cow;

use super::{
    close::CloseCause,
    frame::{FrameHead, Opcode, Sender},
    input::{Control, Frames, Input, Next},
};
use crate::{
    classify::Listener,
    server::{Intake, Lease},
};

/// Bytes of one frame, and of one message, at most. The deployment's answers are at most 16 MiB as values; written out they may be
/// several times that.
const MESSAGE_BYTES_AT_MOST: u64 = 128 << 20;

/// As much of a message as is waited for before it is looked at. Versions and names stand within a few hundred bytes.
pub const BEGINNING_BYTES: usize = 2_048;

/// Reads a deployment's frames into messages and beginnings of messages.
#[derive(Debug)]
pub struct Passage {
    frames: Frames,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Between messages.
    Between,
    /// The first bytes of a long message, until there are [`BEGINNING_BYTES`].
    Beginning(Vec<u8>),
    /// The rest of a message goes through.
    Passing,
    /// All of a message is wanted.
    Gathering(Box<Gathered>),
}

struct Gathered {
    text: Vec<u8>,
    lease: Lease,
    is_between_frames: bool,
}

/// What has come.
#[derive(Debug)]
pub enum Arrived<'bytes> {
    /// A message, whole.
    Whole(Message<'bytes>),
    /// The beginning of a message of so many bytes. Its rest comes as [`Arrived::Rest`], unless [`Passage::gather`] is called now.
    Beginning {
        /// Bytes of the whole message.
        message_bytes: u64,
        /// The first of them.
        beginning: Beginning<'bytes>,
    },
    /// More of a message that began to pass.
    Rest {
        /// The bytes.
        bytes: &'bytes [u8],
        /// Whether they are the last.
        is_last: bool,
    },
    /// A control frame.
    Control(Control),
}

/// A message, whole. What was put together counts against the memory for as long as it is held. That the deployment writes UTF-8 is not
/// checked: nothing is read here as text, and the client checks. `Debug` shows its length.
pub struct Message<'bytes> {
    bytes: Cow<'bytes, [u8]>,
    _lease: Option<Lease>,
}

impl Message<'_> {
    fn owned(bytes: Vec<u8>, lease: Lease) -> Self {
        Self { bytes: Cow::Owned(bytes), _lease: Some(lease) }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The first bytes of a message. `Debug` does not show them.
pub struct Beginning<'bytes>(Cow<'bytes, [u8]>);

impl Beginning<'_> {
    /// The bytes. They may end within a character.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Passage {
    /// A passage through which nothing has come.
    pub fn new() -> Self {
        Self { frames: Frames::new(Sender::Server), state: State::Between }
    }

    /// Whether the rest of a message is going through, so that nothing else may stand in between.
    pub fn is_passing(&self) -> bool {
        matches!(self.state, State::Passing)
    }

    /// The message whose beginning was just given does not go on: nothing of it was sent.
    pub fn abandon(&mut self) {
        self.state = State::Between;
    }

    /// Holds the message whose beginning was just given until it is whole.
    ///
    /// # Errors
    ///
    /// [`CloseCause::TooManyBytes`].
    pub fn gather(&mut self, beginning: &Beginning<'_>, intake: &Intake, listener: Listener) -> Result<(), CloseCause> {
        let mut lease = intake.lease(listener);
        lease.grow(beginning.0.len()).map_err(|_| CloseCause::TooManyBytes)?;
        let text = beginning.0.to_vec();
        self.state = State::Gathering(Box::new(Gathered { text, lease, is_between_frames: false }));
        Ok(())
    }

    /// The next thing that has come; `None` when more bytes are needed, and then `input` is empty.
    ///
    /// # Errors
    ///
    /// [`CloseCause`]: the connection fails; nothing after it is looked at.
    pub fn next<'bytes>(
        &mut self,
        input: &mut Input<'bytes>,
        intake: &Intake,
        listener: Listener,
    ) -> Result<Option<Arrived<'bytes>>, CloseCause> {
        while !input.is_empty() || self.frames.is_midway() {
            let head = match self.frames.next(input)? {
                None => return Ok(None),
                Some(Next::Control(control)) => return Ok(Some(Arrived::Control(control))),
                Some(Next::Data(head)) => head,
            };
            self.check(head)?;
            let (part, is_frame_over) = self.frames.part(input);
            match self.take(head, part, is_frame_over, intake, listener)? {
                Some(arrived) => return Ok(Some(arrived)),
                None if is_frame_over => {}
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    fn take<'bytes>(
        &mut self,
        head: FrameHead,
        part: &'bytes [u8],
        is_frame_over: bool,
        intake: &Intake,
        listener: Listener,
    ) -> Result<Option<Arrived<'bytes>>, CloseCause> {
        let is_whole = is_frame_over && head.is_final;
        if matches!(self.state, State::Between) {
            if is_whole {
                return Ok(Some(Arrived::Whole(Message { bytes: Cow::Borrowed(part), _lease: None })));
            }
            if !head.is_final {
                // No deployment sends messages in pieces; one that does is heard whole.
                self.gather(&Beginning(Cow::Borrowed(&[])), intake, listener)?;
            } else if part.len() >= BEGINNING_BYTES {
                self.state = State::Passing;
                let beginning = Beginning(Cow::Borrowed(part));
                return Ok(Some(Arrived::Beginning { message_bytes: head.payload_bytes, beginning }));
            } else {
                self.state = State::Beginning(Vec::new());
            }
        }
        match &mut self.state {
            State::Passing => {
                if is_frame_over {
                    self.state = State::Between;
                }
                let has_come = !part.is_empty() || is_frame_over;
                Ok(has_come.then_some(Arrived::Rest { bytes: part, is_last: is_frame_over }))
            }
            State::Beginning(so_far) => {
                so_far.extend_from_slice(part);
                if so_far.len() < BEGINNING_BYTES && !is_frame_over {
                    return Ok(None);
                }
                let so_far = std::mem::take(so_far);
                self.state = if is_frame_over { State::Between } else { State::Passing };
                if is_frame_over {
                    // At most a beginning and what came with its last byte.
                    return Ok(Some(Arrived::Whole(Message { bytes: Cow::Owned(so_far), _lease: None })));
                }
                let beginning = Beginning(Cow::Owned(so_far));
                Ok(Some(Arrived::Beginning { message_bytes: head.payload_bytes, beginning }))
            }
            State::Gathering(gathered) => {
                gathered.lease.grow(part.len()).map_err(|_| CloseCause::TooManyBytes)?;
                gathered.text.extend_from_slice(part);
                gathered.is_between_frames = is_frame_over;
                if !is_whole {
                    return Ok(None);
                }
                let State::Gathering(gathered) = std::mem::replace(&mut self.state, State::Between) else {
                    return Ok(None);
                };
                let Gathered { text, lease, .. } = *gathered;
                Ok(Some(Arrived::Whole(Message::owned(text, lease))))
            }
            State::Between => Ok(None),
        }
    }

    fn check(&self, head: FrameHead) -> Result<(), CloseCause> {
        let (gathered_bytes, continues) = match &self.state {
            State::Gathering(gathered) => (gathered.text.len() as u64, gathered.is_between_frames),
            State::Between | State::Beginning(_) | State::Passing => (0, false),
        };
        match head.opcode {
            Opcode::Binary => return Err(CloseCause::UpstreamUnreadable),
            Opcode::Continuation if matches!(self.state, State::Between) => return Err(CloseCause::Fragments),
            Opcode::Text if continues => return Err(CloseCause::Fragments),
            Opcode::Text | Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => {}
        }
        let is_too_large = head.payload_bytes > MESSAGE_BYTES_AT_MOST
            || (continues && gathered_bytes + head.payload_bytes > MESSAGE_BYTES_AT_MOST);
        if is_too_large { Err(CloseCause::TooLarge) } else { Ok(()) }
    }
}

impl Default for Passage {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Gathered {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Gathered({} bytes)", self.text.len())
    }
}

impl std::fmt::Debug for Message<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Message({} bytes)", self.bytes.len())
    }
}

impl std::fmt::Debug for Beginning<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Beginning({} bytes)", self.0.len())
    }
}
