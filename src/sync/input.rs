//! Frames out of a stream of bytes that comes in pieces of any size: what both directions have in common.

use super::{
    close::{Close, CloseCause},
    frame::{FrameHead, HEAD_BYTES_AT_MOST, Opcode, Sender},
};

/// Bytes that were read and not looked at yet.
#[derive(Debug)]
pub struct Input<'bytes> {
    rest: &'bytes mut [u8],
}

impl<'bytes> Input<'bytes> {
    /// All of them.
    pub fn new(bytes: &'bytes mut [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether all were looked at.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    pub fn rest(&self) -> &[u8] {
        self.rest
    }

    /// Takes so many, or as many as there are.
    pub fn take(&mut self, bytes: usize) -> &'bytes mut [u8] {
        let rest = std::mem::take(&mut self.rest);
        let (taken, rest) = rest.split_at_mut(bytes.min(rest.len()));
        self.rest = rest;
        taken
    }
}

/// Where in a frame a direction is. Holds the few bytes of a head or of a control frame that has not come whole, and nothing else.
#[derive(Debug)]
pub struct Frames {
    sender: Sender,
    current: Option<Current>,
    /// Bytes of a head, or of a control frame's payload, until there are enough.
    stray: Vec<u8>,
}

/// A frame whose payload is being read.
#[derive(Debug, Clone, Copy)]
struct Current {
    head: FrameHead,
    read_bytes: u64,
}

/// What stands between the pieces of messages. `Close` has been checked.
#[derive(Debug)]
pub enum Control {
    /// To be answered with the same payload.
    Ping(Box<[u8]>),
    /// Somebody is there.
    Pong,
    /// The end.
    Close(Close),
}

/// What the next bytes belong to.
#[derive(Debug)]
pub enum Next {
    /// A data frame; its payload is to be taken with [`Frames::part`].
    Data(FrameHead),
    /// A control frame that came whole.
    Control(Control),
}

impl Frames {
    /// A direction in which nothing has come yet.
    pub fn new(sender: Sender) -> Self {
        Self { sender, current: None, stray: Vec::new() }
    }

    /// Whether a frame has begun that has not ended.
    pub fn is_midway(&self) -> bool {
        self.current.is_some() || !self.stray.is_empty()
    }

    /// The frame that the next bytes belong to, once that is known; `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`CloseCause::Frame`], [`CloseCause::BadClose`]: the connection fails.
    pub fn next(&mut self, input: &mut Input<'_>) -> Result<Option<Next>, CloseCause> {
        let head = match self.current {
            Some(current) => current.head,
            None => {
                let Some(head) = self.read_head(input).map_err(CloseCause::Frame)? else { return Ok(None) };
                self.current = Some(Current { head, read_bytes: 0 });
                head
            }
        };
        if !head.opcode.is_control() {
            return Ok(Some(Next::Data(head)));
        }
        let (part, is_last) = self.part(input);
        // Most come whole.
        let payload = if is_last && self.stray.is_empty() {
            Box::from(&*part)
        } else {
            self.stray.extend_from_slice(part);
            if !is_last {
                return Ok(None);
            }
            std::mem::take(&mut self.stray).into_boxed_slice()
        };
        Ok(Some(Next::Control(match head.opcode {
            Opcode::Ping => Control::Ping(payload),
            Opcode::Close => Control::Close(Close::read(&payload)?),
            Opcode::Pong | Opcode::Text | Opcode::Binary | Opcode::Continuation => Control::Pong,
        })))
    }

    /// What there is of the present frame's payload, unmasked, and whether it is the last of it.
    pub fn part<'bytes>(&mut self, input: &mut Input<'bytes>) -> (&'bytes mut [u8], bool) {
        let Some(current) = &mut self.current else { return (&mut [], true) };
        let left = current.head.payload_bytes - current.read_bytes;
        let part = input.take(usize::try_from(left).unwrap_or(usize::MAX));
        if let Some(mask) = current.head.mask {
            mask.apply(part, current.read_bytes);
        }
        current.read_bytes += part.len() as u64;
        let is_last = current.read_bytes == current.head.payload_bytes;
        if is_last {
            self.current = None;
        }
        (part, is_last)
    }

    fn read_head(&mut self, input: &mut Input<'_>) -> Result<Option<FrameHead>, super::frame::FrameProblem> {
        if self.stray.is_empty() {
            let head = FrameHead::read(input.rest(), self.sender)?;
            match head {
                Some(head) => drop(input.take(head.head_bytes)),
                None => self.stray.extend_from_slice(input.take(HEAD_BYTES_AT_MOST)),
            }
            return Ok(head);
        }
        let had = self.stray.len();
        let rest = input.rest();
        let more = rest.get(..HEAD_BYTES_AT_MOST.saturating_sub(had)).unwrap_or(rest);
        self.stray.extend_from_slice(more);
        let head = FrameHead::read(&self.stray, self.sender)?;
        let taken = head.map_or(self.stray.len(), |head| head.head_bytes) - had;
        input.take(taken);
        if head.is_some() {
            self.stray = Vec::new();
        }
        Ok(head)
    }
}
