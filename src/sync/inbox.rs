//! The client's messages, each whole: they are decided on before anything of them goes on.
//!
//! The invariant: what is held of a message that has not come whole counts against `limits.buffered_bytes`, and nothing is held of one
//! that came in one piece.

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

/// Bytes of one frame at most, as the deployment has it.
const FRAME_BYTES_AT_MOST: u64 = 16 << 20;
/// Bytes of one message at most, as the deployment has it.
const MESSAGE_BYTES_AT_MOST: u64 = 64 << 20;

/// Reads a client's frames into messages.
#[derive(Debug)]
pub struct Inbox {
    frames: Frames,
    /// The message whose pieces are coming.
    partial: Option<Box<Partial>>,
}

struct Partial {
    text: Vec<u8>,
    lease: Lease,
    /// Whether a further frame is expected, and not more of the present one.
    is_between_frames: bool,
}

/// Something that came whole.
#[derive(Debug)]
pub enum Received<'bytes> {
    /// A message.
    Text(Text<'bytes>),
    /// A control frame.
    Control(Control),
}

/// A message's text. What was put together from pieces counts against the memory for as long as it is held. `Debug` shows its length.
pub struct Text<'bytes> {
    text: Cow<'bytes, str>,
    _lease: Option<Lease>,
}

impl Text<'_> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<'bytes> Text<'bytes> {
    /// A text that lies in what was read.
    ///
    /// # Errors
    ///
    /// [`CloseCause::NotUtf8`].
    pub(super) fn borrowed(bytes: &'bytes [u8]) -> Result<Self, CloseCause> {
        let text = std::str::from_utf8(bytes).map_err(|_| CloseCause::NotUtf8)?;
        Ok(Self { text: Cow::Borrowed(text), _lease: None })
    }

    /// A text that was put together.
    ///
    /// # Errors
    ///
    /// [`CloseCause::NotUtf8`].
    pub(super) fn owned(bytes: Vec<u8>, lease: Lease) -> Result<Self, CloseCause> {
        let text = String::from_utf8(bytes).map_err(|_| CloseCause::NotUtf8)?;
        Ok(Self { text: Cow::Owned(text), _lease: Some(lease) })
    }
}

impl Inbox {
    /// An inbox in which nothing is.
    pub fn new() -> Self {
        Self { frames: Frames::new(Sender::Client), partial: None }
    }

    /// Whether a message or a frame has begun that has not ended.
    pub fn is_midway(&self) -> bool {
        self.partial.is_some() || self.frames.is_midway()
    }

    /// The next thing that came whole; `None` when more bytes are needed, and then `input` is empty.
    ///
    /// # Errors
    ///
    /// [`CloseCause`]: the connection fails; nothing after it is looked at.
    pub fn next<'bytes>(
        &mut self,
        input: &mut Input<'bytes>,
        intake: &Intake,
        listener: Listener,
    ) -> Result<Option<Received<'bytes>>, CloseCause> {
        while !input.is_empty() || self.frames.is_midway() {
            let head = match self.frames.next(input)? {
                None => return Ok(None),
                Some(Next::Control(control)) => return Ok(Some(Received::Control(control))),
                Some(Next::Data(head)) => head,
            };
            self.check(head)?;
            let (part, is_frame_over) = self.frames.part(input);
            let is_whole = is_frame_over && head.is_final;
            if is_whole && self.partial.is_none() {
                return Text::borrowed(part).map(|text| Some(Received::Text(text)));
            }
            let partial = self.partial.get_or_insert_with(|| {
                Box::new(Partial { text: Vec::new(), lease: intake.lease(listener), is_between_frames: false })
            });
            partial.hold(part)?;
            partial.is_between_frames = is_frame_over;
            if is_whole && let Some(partial) = self.partial.take() {
                let Partial { text, lease, .. } = *partial;
                return Text::owned(text, lease).map(|text| Some(Received::Text(text)));
            }
            if !is_frame_over {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Whether a data frame may stand here, and may be that large.
    fn check(&self, head: FrameHead) -> Result<(), CloseCause> {
        let gathered = self.partial.as_ref().map_or(0, |partial| partial.text.len() as u64);
        let continues = self.partial.as_ref().is_some_and(|partial| partial.is_between_frames);
        match head.opcode {
            Opcode::Binary => return Err(CloseCause::Binary),
            Opcode::Continuation if self.partial.is_none() => return Err(CloseCause::Fragments),
            Opcode::Text if continues => return Err(CloseCause::Fragments),
            Opcode::Text | Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => {}
        }
        let is_too_large = head.payload_bytes > FRAME_BYTES_AT_MOST
            || (continues && gathered + head.payload_bytes > MESSAGE_BYTES_AT_MOST);
        if is_too_large { Err(CloseCause::TooLarge) } else { Ok(()) }
    }
}

impl Partial {
    fn hold(&mut self, part: &[u8]) -> Result<(), CloseCause> {
        // So many are not counted: a usual message that comes in two pieces must not fail for what others hold.
        let counted = (self.text.len() + part.len()).saturating_sub(UNCOUNTED_BYTES.max(self.text.len()));
        self.lease.grow(counted).map_err(|_| CloseCause::TooManyBytes)?;
        self.text.extend_from_slice(part);
        Ok(())
    }
}

/// Bytes of a message that are not counted while it comes (our choice).
const UNCOUNTED_BYTES: usize = 16 * 1_024;

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Partial {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Partial({} bytes)", self.text.len())
    }
}

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Text({} bytes)", self.text.len())
    }
}
