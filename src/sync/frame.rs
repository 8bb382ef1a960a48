//! Frames of RFC 6455, section 5.2: heads and masks, read and written over plain bytes.
//!
//! Not for: messages (`inbox`, `passage`) or what is in them. The invariant: a head that this module gives is one that the RFC allows from
//! that sender, so nobody behind it asks again. No extension is ever negotiated here, so reserved bits are refused.

/// What a frame carries (section 11.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// A further piece of a message.
    Continuation,
    /// A message of UTF-8 text, or its first piece.
    Text,
    /// A message of bytes, or its first piece.
    Binary,
    /// The end.
    Close,
    /// A question whether somebody is there.
    Ping,
    /// The answer to it.
    Pong,
}

/// Who sent a frame: clients mask theirs, servers must not (section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The side that opened the connection.
    Client,
    /// The side that accepted it.
    Server,
}

/// The head of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// Whether it ends its message.
    pub is_final: bool,
    /// What it carries.
    pub opcode: Opcode,
    /// The key of a client's frame.
    pub mask: Option<Mask>,
    /// Bytes of payload that follow the head.
    pub payload_bytes: u64,
    /// Bytes of the head itself.
    pub head_bytes: usize,
}

/// The key that a payload is masked with (section 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mask([u8; 4]);

/// A head that the RFC does not allow from that sender. The connection fails with 1002.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameProblem {
    /// A reserved bit is set without an extension that means something by it (section 5.2).
    #[error("a reserved bit is set")]
    ReservedBit,
    /// An opcode that nobody has defined (section 5.2).
    #[error("an unknown opcode")]
    UnknownOpcode,
    /// A control frame in pieces (section 5.5).
    #[error("a control frame in pieces")]
    FragmentedControl,
    /// A control frame with more than 125 bytes (section 5.5).
    #[error("a control frame that is too long")]
    LongControl,
    /// A length in more bytes than it needs, or with its highest bit set (section 5.2).
    #[error("a length in the wrong form")]
    BadLength,
    /// A client's frame without a mask, or a server's with one (section 5.1).
    #[error("a frame with the wrong masking")]
    WrongMasking,
}

impl Opcode {
    fn read(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    /// Whether it may stand between the pieces of a message (section 5.5).
    pub fn is_control(self) -> bool {
        match self {
            Self::Close | Self::Ping | Self::Pong => true,
            Self::Continuation | Self::Text | Self::Binary => false,
        }
    }
}

impl FrameHead {
    /// Reads the head at the start of `bytes`, which are untrusted; `None` when more of them are needed. A problem is told as early as its
    /// byte is there.
    ///
    /// # Errors
    ///
    /// [`FrameProblem`]: every variant; reading on is of no use.
    pub fn read(bytes: &[u8], sender: Sender) -> Result<Option<Self>, FrameProblem> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        if first & 0b0111_0000 != 0 {
            return Err(FrameProblem::ReservedBit);
        }
        let is_final = first & 0b1000_0000 != 0;
        let opcode = Opcode::read(first & 0b0000_1111).ok_or(FrameProblem::UnknownOpcode)?;
        if opcode.is_control() && !is_final {
            return Err(FrameProblem::FragmentedControl);
        }
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let is_masked = second & 0b1000_0000 != 0;
        if is_masked != (sender == Sender::Client) {
            return Err(FrameProblem::WrongMasking);
        }
        let short = second & 0b0111_1111;
        if opcode.is_control() && short > 125 {
            return Err(FrameProblem::LongControl);
        }
        let (length_bytes, payload_bytes) = match short {
            126 => {
                let Some(length) = bytes.get(2..).and_then(<[u8]>::first_chunk::<2>) else { return Ok(None) };
                (2, u64::from(u16::from_be_bytes(*length)))
            }
            127 => {
                let Some(length) = bytes.get(2..).and_then(<[u8]>::first_chunk::<8>) else { return Ok(None) };
                (8, u64::from_be_bytes(*length))
            }
            short => (0, u64::from(short)),
        };
        let is_minimal = match length_bytes {
            2 => payload_bytes > 125,
            8 => payload_bytes > u64::from(u16::MAX) && payload_bytes >> 63 == 0,
            _ => true,
        };
        if !is_minimal {
            return Err(FrameProblem::BadLength);
        }
        let mask_at = 2 + length_bytes;
        let mask = if is_masked {
            let Some(key) = bytes.get(mask_at..).and_then(<[u8]>::first_chunk::<4>) else { return Ok(None) };
            Some(Mask(*key))
        } else {
            None
        };
        let head_bytes = mask_at + if is_masked { 4 } else { 0 };
        Ok(Some(Self { is_final, opcode, mask, payload_bytes, head_bytes }))
    }

    /// Appends the head of a whole, unfragmented frame.
    pub fn write(opcode: Opcode, payload_bytes: u64, mask: Option<Mask>, out: &mut Vec<u8>) {
        let (head, head_bytes) = Self::print(opcode, payload_bytes, mask);
        out.extend_from_slice(head.get(..head_bytes).unwrap_or(&head));
    }

    /// The bytes of a head, and how many of them count.
    fn print(opcode: Opcode, payload_bytes: u64, mask: Option<Mask>) -> ([u8; HEAD_BYTES_AT_MOST], usize) {
        let first = 0b1000_0000 | opcode.bits();
        // Written out, since one is printed for every message.
        match (u8::try_from(payload_bytes), u16::try_from(payload_bytes), mask) {
            (Ok(short @ ..=125), _, None) => ([first, short, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 2),
            (Ok(short @ ..=125), _, Some(Mask([a, b, c, d]))) => {
                ([first, MASKED | short, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0], 6)
            }
            (_, Ok(length), None) => {
                let [l, m] = length.to_be_bytes();
                ([first, 126, l, m, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 4)
            }
            (_, Ok(length), Some(Mask([a, b, c, d]))) => {
                let [l, m] = length.to_be_bytes();
                ([first, MASKED | 126, l, m, a, b, c, d, 0, 0, 0, 0, 0, 0], 8)
            }
            (_, Err(_), None) => {
                let [l, m, n, o, p, q, r, s] = payload_bytes.to_be_bytes();
                ([first, 127, l, m, n, o, p, q, r, s, 0, 0, 0, 0], 10)
            }
            (_, Err(_), Some(Mask([a, b, c, d]))) => {
                let [l, m, n, o, p, q, r, s] = payload_bytes.to_be_bytes();
                ([first, MASKED | 127, l, m, n, o, p, q, r, s, a, b, c, d], 14)
            }
        }
    }

    /// How many bytes a head has.
    fn bytes(payload_bytes: usize, is_masked: bool) -> usize {
        let of_length = match payload_bytes {
            0..=125 => 2,
            126..=65_535 => 4,
            _ => 10,
        };
        of_length + if is_masked { 4 } else { 0 }
    }
}

/// The bit that says that a payload is masked.
const MASKED: u8 = 0b1000_0000;
/// Bytes of the longest head.
pub const HEAD_BYTES_AT_MOST: usize = 14;

impl Mask {
    /// A key that nobody can foresee (section 10.3): what a page sends must not decide which bytes stand on the wire.
    pub fn random() -> Self {
        let bits = crate::chance::bits();
        let [a, b, c, d, ..] = bits.to_le_bytes();
        Self([a, b, c, d])
    }

    /// Masks, or unmasks, a part of a payload in place; `position` is where in the payload the part begins.
    pub fn apply(self, part: &mut [u8], position: u64) {
        let Self([a, b, c, d]) = self;
        let key = match position % 4 {
            0 => [a, b, c, d],
            1 => [b, c, d, a],
            2 => [c, d, a, b],
            _ => [d, a, b, c],
        };
        let wide = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
        let (words, rest) = part.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
            *byte ^= key;
        }
    }
}

/// Writes whole frames of one side of a connection.
#[derive(Debug, Clone, Copy)]
pub struct FrameWriter {
    sender: Sender,
}

impl FrameWriter {
    /// Writes what `sender` sends: masked for a client.
    pub const fn new(sender: Sender) -> Self {
        Self { sender }
    }

    /// Appends a message of text that `write` appends. `bytes_about` is how long it will probably be: with a good guess nothing is moved.
    pub fn text_by(self, bytes_about: usize, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let mask = (self.sender == Sender::Client).then(Mask::random);
        // The length stands before the payload and is not known yet.
        let start = out.len();
        let payload = start + FrameHead::bytes(bytes_about, mask.is_some());
        out.resize(payload, 0);
        write(out);
        let payload_bytes = out.len() - payload;
        if let (Some(mask), Some(bytes)) = (mask, out.get_mut(payload..)) {
            mask.apply(bytes, 0);
        }
        let (head, head_bytes) = FrameHead::print(Opcode::Text, payload_bytes as u64, mask);
        let head = head.get(..head_bytes).unwrap_or(&head);
        match out.get_mut(start..payload) {
            Some(place) if place.len() == head.len() => place.copy_from_slice(head),
            _ => drop(out.splice(start..payload, head.iter().copied())),
        }
    }

    /// Appends a control frame; `payload` has 125 bytes at most, what is beyond is left out.
    pub fn control(self, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
        self.whole(opcode, payload.get(..125).unwrap_or(payload), out);
    }

    /// Appends a message of text.
    pub fn text(self, text: &[u8], out: &mut Vec<u8>) {
        self.whole(Opcode::Text, text, out);
    }

    fn whole(self, opcode: Opcode, payload: &[u8], out: &mut Vec<u8>) {
        let mask = (self.sender == Sender::Client).then(Mask::random);
        FrameHead::write(opcode, payload.len() as u64, mask, out);
        let start = out.len();
        out.extend_from_slice(payload);
        if let (Some(mask), Some(bytes)) = (mask, out.get_mut(start..)) {
            mask.apply(bytes, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FrameHead, FrameProblem, FrameWriter, Mask, Opcode, Sender};

    fn read(bytes: &[u8]) -> Result<Option<FrameHead>, FrameProblem> {
        FrameHead::read(bytes, Sender::Server)
    }

    proptest! {
        /// The law: what was written reads as itself, from any number of bytes that holds it, and asks for more of fewer.
        #[test]
        fn a_head_reads_as_it_was_written(length in prop_oneof![0..200_u64, 60_000..70_000_u64, 0..=u64::MAX >> 1], key in prop::option::of(any::<[u8; 4]>())) {
            let mut head = Vec::new();
            FrameHead::write(Opcode::Text, length, key.map(Mask), &mut head);
            let sender = if key.is_some() { Sender::Client } else { Sender::Server };
            let expected = FrameHead { is_final: true, opcode: Opcode::Text, mask: key.map(Mask), payload_bytes: length, head_bytes: head.len() };
            prop_assert_eq!(FrameHead::read(&head, sender), Ok(Some(expected)));
            for cut in 0..head.len() {
                prop_assert_eq!(FrameHead::read(&head[..cut], sender), Ok(None));
            }
            head.push(7);
            prop_assert_eq!(FrameHead::read(&head, sender), Ok(Some(expected)));
        }

        /// No bytes make it panic.
        #[test]
        fn any_bytes_are_a_head_or_a_problem(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            for sender in [Sender::Client, Sender::Server] {
                if let Ok(Some(head)) = FrameHead::read(&bytes, sender) {
                    prop_assert!(head.head_bytes <= bytes.len());
                    prop_assert!(!head.opcode.is_control() || (head.is_final && head.payload_bytes <= 125));
                }
            }
        }

        /// The law: masking by pieces is masking whole, and twice is not at all.
        #[test]
        fn a_mask_is_its_own_inverse_in_any_pieces(bytes in prop::collection::vec(any::<u8>(), 0..100), cut in 0..100_usize, key in any::<[u8; 4]>()) {
            let cut = cut.min(bytes.len());
            let (mut whole, mut pieces) = (bytes.clone(), bytes.clone());
            Mask(key).apply(&mut whole, 0);
            for (index, byte) in whole.iter().enumerate() {
                prop_assert_eq!(*byte, bytes[index] ^ key[index % 4]);
            }
            let (first, second) = pieces.split_at_mut(cut);
            Mask(key).apply(first, 0);
            Mask(key).apply(second, cut as u64);
            prop_assert_eq!(&whole, &pieces);
            Mask(key).apply(&mut whole, 0);
            prop_assert_eq!(whole, bytes);
        }

        /// A wrong guess of a length costs a move and nothing else.
        #[test]
        fn a_text_is_framed_rightly_whatever_its_length_was_thought_to_be(length in prop_oneof![0..300_usize, 65_000..66_000_usize], about in prop_oneof![0..300_usize, 65_000..66_000_usize], sender in prop_oneof![Just(Sender::Client), Just(Sender::Server)]) {
            let mut out = b"before".to_vec();
            FrameWriter::new(sender).text_by(about, &mut out, |out| out.resize(out.len() + length, b'x'));
            let frame = &mut out[6..];
            let head = FrameHead::read(frame, sender).unwrap().unwrap();
            prop_assert_eq!(head.payload_bytes, length as u64);
            let payload = &mut frame[head.head_bytes..];
            if let Some(mask) = head.mask {
                mask.apply(payload, 0);
            }
            prop_assert_eq!(payload.len(), length);
            prop_assert!(payload.iter().all(|byte| *byte == b'x'));
        }
    }

    #[test]
    fn rfc_6455_5_2_reserved_bits_and_opcodes_are_refused() {
        for bit in [0x40, 0x20, 0x10] {
            assert_eq!(read(&[0x81 | bit, 0]), Err(FrameProblem::ReservedBit));
        }
        for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF] {
            assert_eq!(read(&[0x80 | opcode]), Err(FrameProblem::UnknownOpcode));
        }
    }

    #[test]
    fn rfc_6455_5_2_a_length_has_its_shortest_form() {
        assert_eq!(read(&[0x81, 126, 0, 125]), Err(FrameProblem::BadLength));
        assert_eq!(read(&[0x81, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]), Err(FrameProblem::BadLength));
        assert_eq!(read(&[0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err(FrameProblem::BadLength));
        assert!(matches!(read(&[0x81, 126, 0, 126]), Ok(Some(_))));
        assert!(matches!(read(&[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]), Ok(Some(_))));
    }

    #[test]
    fn rfc_6455_5_1_clients_mask_and_servers_do_not() {
        assert_eq!(FrameHead::read(&[0x81, 0x00], Sender::Client), Err(FrameProblem::WrongMasking));
        assert_eq!(FrameHead::read(&[0x81, 0x80], Sender::Server), Err(FrameProblem::WrongMasking));
    }

    #[test]
    fn rfc_6455_5_5_control_frames_are_whole_and_short() {
        for opcode in [0x8, 0x9, 0xA] {
            assert_eq!(read(&[opcode, 0]), Err(FrameProblem::FragmentedControl));
            assert_eq!(read(&[0x80 | opcode, 126]), Err(FrameProblem::LongControl));
            assert!(matches!(read(&[0x80 | opcode, 125]), Ok(Some(_))));
        }
    }

    #[test]
    fn masks_differ() {
        assert_ne!(Mask::random(), Mask::random());
    }
}
