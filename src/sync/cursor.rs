//! A place in the deployment's JSON, which may end anywhere: names, numbers, and steps over values.
//!
//! The deployment is trusted, and its results are large: nothing is checked that need not be known to find the next member. What a client
//! says is read by `scan`, which takes nothing that the backend does not.

use std::ops::Range;

/// A place in JSON text. `None` from any of its methods: not what was expected, or the bytes have ended.
pub(super) struct Cursor<'bytes> {
    bytes: &'bytes [u8],
    pub(super) at: usize,
}

impl<'bytes> Cursor<'bytes> {
    pub(super) fn new(bytes: &'bytes [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    pub(super) fn token(&mut self, expected: u8) -> Option<()> {
        self.space();
        (self.next()? == expected).then_some(())
    }

    /// Exactly these bytes.
    pub(super) fn skip(&mut self, expected: &[u8]) -> Option<()> {
        let is_there = self.bytes.get(self.at..)?.starts_with(expected);
        self.at += if is_there { expected.len() } else { 0 };
        is_there.then_some(())
    }

    /// So many bytes, whatever they are.
    pub(super) fn array<const BYTES: usize>(&mut self) -> Option<[u8; BYTES]> {
        let array = *self.bytes.get(self.at..)?.first_chunk()?;
        self.at += BYTES;
        Some(array)
    }

    /// The bytes between the quotes, escapes and all: no name or text that is looked for has any.
    pub(super) fn string(&mut self) -> Option<&'bytes [u8]> {
        self.token(b'"')?;
        let start = self.at;
        loop {
            let rest = self.bytes.get(self.at..)?;
            let found = memchr::memchr2(b'"', b'\\', rest)?;
            self.at += found + 1;
            if rest.get(found) == Some(&b'"') {
                return self.bytes.get(start..self.at - 1);
            }
            self.at += 1;
        }
    }

    pub(super) fn number(&mut self) -> Option<(u32, Range<usize>)> {
        self.space();
        let start = self.at;
        while self.peek()?.is_ascii_digit() {
            self.at += 1;
        }
        let digits = self.bytes.get(start..self.at).filter(|digits| !digits.is_empty())?;
        let number = digits
            .iter()
            .try_fold(0_u32, |number, digit| number.checked_mul(10)?.checked_add(u32::from(*digit - b'0')));
        Some((number?, start..self.at))
    }

    /// Steps over any value.
    pub(super) fn value(&mut self) -> Option<()> {
        self.space();
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                // A number, or a word: it ends where anything else begins, which must be seen.
                _ => {
                    while !matches!(self.peek()?, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}
