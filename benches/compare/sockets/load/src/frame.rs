//! WebSocket frames (RFC 6455, section 5) of either end.

use std::{collections::VecDeque, io};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Whether a frame's payload is masked: a client's is, a server's is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Masking {
    Masked,
    Plain,
}

/// What came in whole.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A message, however many frames it took.
    Text(&'a [u8]),
    /// Wants a pong with the same bytes.
    Ping(&'a [u8]),
    Close(&'a [u8]),
}

/// Bytes that came in, and the messages in them.
#[derive(Debug)]
pub struct Inbox {
    /// How the other end's frames must be.
    expected: Masking,
    bytes: Vec<u8>,
    /// Where the next frame begins in `bytes`.
    next: usize,
    /// What a message's frames have brought so far, when it has several.
    partial: Vec<u8>,
    /// Frames that did not end their message, over all the time.
    pub fragments: u64,
}

impl Inbox {
    /// `bytes` is what came behind the upgrade's head.
    pub fn new(expected: Masking, bytes: Vec<u8>) -> Self {
        Self { expected, bytes, next: 0, partial: Vec::new(), fragments: 0 }
    }

    /// Reads once. A dropped future has read nothing.
    ///
    /// # Errors
    ///
    /// The stream's, and `UnexpectedEof` at its end.
    pub async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
        self.bytes.drain(..self.next);
        self.next = 0;
        if self.bytes.is_empty() && self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        // A large message that has begun is read in large pieces.
        self.bytes.reserve(self.bytes.len().clamp(READ_BYTES, 1 << 20));
        if stream.read_buf(&mut self.bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// The next message or control frame that is there whole.
    ///
    /// # Errors
    ///
    /// A frame that the other end must not send.
    pub fn next(&mut self) -> io::Result<Option<Incoming<'_>>> {
        loop {
            let Some(frame) = self.take_frame()? else { return Ok(None) };
            let range = frame.start..frame.end;
            // Pongs answer nothing that is sent here: a relay's own heartbeat may let one through.
            match frame.opcode {
                TEXT | CONTINUATION if !frame.last => {
                    self.fragments += 1;
                    if frame.opcode == TEXT {
                        self.partial.clear();
                    }
                    self.partial.extend_from_slice(self.bytes.get(range).unwrap_or_default());
                }
                TEXT => return Ok(self.bytes.get(range).map(Incoming::Text)),
                CONTINUATION => {
                    self.partial.extend_from_slice(self.bytes.get(range).unwrap_or_default());
                    return Ok(Some(Incoming::Text(&self.partial)));
                }
                PING => return Ok(self.bytes.get(range).map(Incoming::Ping)),
                CLOSE => return Ok(self.bytes.get(range).map(Incoming::Close)),
                PONG => {}
                _ => return Err(io::Error::other("a frame that is neither text nor control")),
            }
        }
    }

    fn take_frame(&mut self) -> io::Result<Option<Frame>> {
        let bytes = self.bytes.get_mut(self.next..).unwrap_or_default();
        let [first, second, after @ ..] = bytes else { return Ok(None) };
        let (first, second) = (*first, *second);
        let masking = if second & 0x80 == 0 { Masking::Plain } else { Masking::Masked };
        if masking != self.expected || first & 0x70 != 0 {
            return Err(io::Error::other("a frame whose mask or reserved bits are wrong"));
        }
        let (length, after) = match second & 0x7f {
            126 => match after.split_first_chunk_mut::<2>() {
                Some((length, after)) => (usize::from(u16::from_be_bytes(*length)), after),
                None => return Ok(None),
            },
            127 => match after.split_first_chunk_mut::<8>() {
                Some((length, after)) => {
                    (usize::try_from(u64::from_be_bytes(*length)).map_err(io::Error::other)?, after)
                }
                None => return Ok(None),
            },
            short => (usize::from(short), after),
        };
        let (mask, after) = match masking {
            Masking::Masked => match after.split_first_chunk_mut::<4>() {
                Some((mask, after)) => (Some(*mask), after),
                None => return Ok(None),
            },
            Masking::Plain => (None, after),
        };
        let behind = after.len();
        let Some(payload) = after.get_mut(..length) else { return Ok(None) };
        if let Some(mask) = mask {
            apply(mask, payload);
        }
        let start = self.bytes.len() - behind;
        self.next = start + length;
        Ok(Some(Frame { last: first & 0x80 != 0, opcode: first & 0x0f, start, end: start + length }))
    }
}

struct Frame {
    last: bool,
    opcode: u8,
    start: usize,
    end: usize,
}

/// Frames on their way out.
#[derive(Debug)]
pub struct Outbox {
    masking: Masking,
    bytes: Vec<u8>,
    /// Where in `bytes` a write ends, besides their end; ascending.
    cuts: VecDeque<usize>,
    written: usize,
}

impl Outbox {
    pub fn new(masking: Masking) -> Self {
        Self { masking, bytes: Vec::new(), cuts: VecDeque::new(), written: 0 }
    }

    /// Adds a text message of one frame; `write` appends its payload.
    pub fn push_text(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.push(TEXT, write);
    }

    /// Adds the answer to a ping.
    pub fn push_pong(&mut self, payload: &[u8]) {
        self.push(PONG, |out| out.extend_from_slice(payload));
    }

    /// Adds a close frame without a code.
    pub fn push_close(&mut self) {
        self.push(CLOSE, |_| ());
    }

    /// What comes from here on leaves by a write of its own.
    pub fn cut(&mut self) {
        self.cuts.push_back(self.bytes.len());
    }

    pub fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    /// Writes once. A dropped future has written nothing.
    ///
    /// # Errors
    ///
    /// The stream's.
    pub async fn write(&mut self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        while self.cuts.front().is_some_and(|cut| *cut <= self.written) {
            self.cuts.pop_front();
        }
        let end = self.cuts.front().copied().unwrap_or(self.bytes.len());
        self.written += stream.write(self.bytes.get(self.written..end).unwrap_or_default()).await?;
        if self.is_empty() {
            self.written = 0;
            self.cuts.clear();
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES);
        }
        Ok(())
    }

    /// Writes all.
    ///
    /// # Errors
    ///
    /// The stream's.
    pub async fn flush(&mut self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        while !self.is_empty() {
            self.write(stream).await?;
        }
        Ok(())
    }

    fn push(&mut self, opcode: u8, write: impl FnOnce(&mut Vec<u8>)) {
        // The head is written last, when the length is known, into the room of the longest.
        let head_start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; MAX_HEAD_BYTES]);
        let start = self.bytes.len();
        write(&mut self.bytes);
        let length = self.bytes.len() - start;
        let mut head = Vec::with_capacity(MAX_HEAD_BYTES);
        let masked = if self.masking == Masking::Masked { 0x80 } else { 0 };
        head.push(0x80 | opcode);
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ ..126), _) => head.push(masked | short),
            (_, Ok(middle)) => {
                head.push(masked | 126);
                head.extend_from_slice(&middle.to_be_bytes());
            }
            _ => {
                head.push(masked | 127);
                head.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        if self.masking == Masking::Masked {
            // Not random, but never zero: a relay that forgets to unmask must be seen.
            let mask = (0x9e37_79b9_u32.wrapping_mul(u32::try_from(length).unwrap_or(1) | 1)).to_be_bytes();
            head.extend_from_slice(&mask);
            apply(mask, self.bytes.get_mut(start..).unwrap_or_default());
        }
        self.bytes.splice(head_start..start, head);
    }
}

fn apply(mask: [u8; 4], payload: &mut [u8]) {
    let wide = u64::from_ne_bytes([mask, mask].concat().try_into().unwrap_or_default());
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Two bytes, eight of length, four of mask.
const MAX_HEAD_BYTES: usize = 14;
/// A socket that has nothing to read keeps no more.
const KEPT_BYTES: usize = 8 * 1024;
const READ_BYTES: usize = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_read_again_at_each_form_of_length() {
        for masking in [Masking::Masked, Masking::Plain] {
            for length in [0, 1, 7, 125, 126, 65_535, 65_536] {
                let payload: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
                let mut outbox = Outbox::new(masking);
                outbox.push_text(|out| out.extend_from_slice(&payload));
                outbox.push_close();
                let out = outbox.bytes;

                let mut whole = Inbox::new(masking, out.clone());
                assert_eq!(whole.next().unwrap(), Some(Incoming::Text(&payload)));
                assert_eq!(whole.next().unwrap(), Some(Incoming::Close(&[])));
                assert_eq!(whole.next().unwrap(), None);

                let message = out.len() - if masking == Masking::Masked { 6 } else { 2 };
                let mut cut = Inbox::new(masking, out[..message - 1].to_vec());
                assert_eq!(cut.next().unwrap(), None);
            }
        }
    }

    #[test]
    fn the_masked_frame_of_rfc_6455_section_5_7_is_read() {
        let bytes = vec![0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(Inbox::new(Masking::Masked, bytes).next().unwrap(), Some(Incoming::Text(b"Hello")));
    }

    #[test]
    fn fragments_make_one_message_and_a_ping_between_them_is_seen() {
        let bytes = [&[1, 1, b'a'][..], &[0x89, 1, b'p'], &[0, 1, b'b'], &[0x80, 1, b'c']].concat();
        let mut inbox = Inbox::new(Masking::Plain, bytes);
        assert_eq!(inbox.next().unwrap(), Some(Incoming::Ping(b"p")));
        assert_eq!(inbox.next().unwrap(), Some(Incoming::Text(b"abc")));
        assert_eq!(inbox.fragments, 2);
    }

    #[test]
    fn a_mask_where_none_may_be_is_an_error() {
        let mut outbox = Outbox::new(Masking::Masked);
        outbox.push_text(|out| out.push(b'a'));
        assert!(Inbox::new(Masking::Plain, outbox.bytes).next().is_err());
    }

    #[tokio::test]
    async fn a_cut_ends_a_write() {
        let (mut near, mut far) = tokio::io::duplex(64);
        let mut outbox = Outbox::new(Masking::Plain);
        for letter in *b"abc" {
            outbox.push_text(|out| out.push(letter));
            if letter == b'a' {
                outbox.cut();
            }
        }
        let mut seen = [0; 64];
        outbox.write(&mut near).await.unwrap();
        assert_eq!(far.read(&mut seen).await.unwrap(), 3);
        outbox.write(&mut near).await.unwrap();
        assert_eq!(far.read(&mut seen).await.unwrap(), 6);
        assert!(outbox.is_empty());
    }
}
