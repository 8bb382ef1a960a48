//! Text that need not be JSON: what in it is, and where that ends.
//!
//! Takes exactly what serde_json takes for a `RawValue`, which is the grammar of RFC 8259: escapes may stand for half a surrogate
//! pair, numbers may be beyond all floats, and arrays and objects may lie within each other as deep as the text is long. That both
//! take the same is a law with a test, since whoever reads the copy reads it with serde_json.
//!
//! Nothing here is recursive, and nothing is decoded. The sync socket has a scanner of its own, which takes less: what the backend's
//! parser takes of a message.

/// A text, UTF-8. As bytes, since where letters begin need not be asked for at the ends of spans that begin and end with JSON's own signs.
///
/// Methods take the place where something begins and tell the one behind it; `None` is the answer to what is no JSON.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a>(&'a [u8]);

/// Whether a string has a backslash in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escapes {
    None,
    Some,
}

impl<'a> Text<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self(text.as_bytes())
    }

    /// Takes untrusted bytes that are UTF-8.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        // Nearly always it is ASCII, which is found out several times faster.
        (bytes.is_ascii() || str::from_utf8(bytes).is_ok()).then_some(Self(bytes))
    }

    /// Whether it is one JSON value, with white space around.
    pub(crate) fn is_json(self) -> bool {
        self.value(self.space(0)).is_some_and(|end| self.is_at_end(end))
    }

    /// Whether there is nothing left but white space.
    pub(crate) fn is_at_end(self, at: usize) -> bool {
        self.peek(self.space(at)).is_none()
    }

    pub(crate) fn span(self, start: usize, end: usize) -> Option<&'a [u8]> {
        self.0.get(start..end)
    }

    pub(crate) fn peek(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    /// White space, perhaps none.
    pub(crate) fn space(self, mut at: usize) -> usize {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek(at) {
            at += 1;
        }
        at
    }

    /// A byte.
    pub(crate) fn byte(self, at: usize, expected: u8) -> Option<usize> {
        (self.peek(at)? == expected).then_some(at + 1)
    }

    /// A byte, perhaps after white space.
    pub(crate) fn token(self, at: usize, expected: u8) -> Option<usize> {
        // Nearly always there is none.
        self.byte(at, expected).or_else(|| self.byte(self.space(at), expected))
    }

    /// A string, quotes included.
    #[inline]
    pub(crate) fn string(self, at: usize) -> Option<(usize, Escapes)> {
        let inside = self.byte(at, b'"')?;
        let end = inside + plain_length(self.0.get(inside..)?);
        match self.peek(end)? {
            b'"' => Some((end + 1, Escapes::None)),
            _ => self.rest_of_string(end).map(|end| (end, Escapes::Some)),
        }
    }

    /// A string, from a byte on that is not as it is.
    #[cold]
    fn rest_of_string(self, mut at: usize) -> Option<usize> {
        loop {
            at = match self.peek(at)? {
                b'"' => return Some(at + 1),
                b'\\' => self.escape(at + 1)?,
                _ => return None,
            };
            at += plain_length(self.0.get(at..)?);
        }
    }

    fn escape(self, at: usize) -> Option<usize> {
        match self.peek(at)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
            b'u' => self.span(at + 1, at + 5)?.iter().all(u8::is_ascii_hexdigit).then_some(at + 5),
            _ => None,
        }
    }

    /// Any value.
    #[inline]
    pub(crate) fn value(self, at: usize) -> Option<usize> {
        match self.peek(at)? {
            b'"' => self.string(at).map(|(end, _)| end),
            b'{' | b'[' => self.container(at),
            _ => self.word(at),
        }
    }

    /// An object or an array. By a list of the brackets around instead of recursion, since how many there are is the sender's choice.
    #[inline(never)]
    fn container(self, mut at: usize) -> Option<usize> {
        let mut around = Vec::new();
        let mut bracket = self.peek(at)?;
        let mut is_first = true;
        at += 1;
        loop {
            at = self.space(at);
            if let Some(end) = self.byte(at, closing(bracket)) {
                at = end;
                let Some(outer) = around.pop() else { return Some(at) };
                bracket = outer;
                is_first = false;
                continue;
            }
            if !is_first {
                at = self.space(self.byte(at, b',')?);
            }
            if bracket == b'{' {
                at = self.string(at)?.0;
                at = self.space(self.token(at, b':')?);
            }
            is_first = false;
            at = match self.peek(at)? {
                b'"' => self.string(at)?.0,
                inner @ (b'{' | b'[') => {
                    around.push(bracket);
                    bracket = inner;
                    is_first = true;
                    at + 1
                }
                _ => self.word(at)?,
            };
        }
    }

    /// A number, `true`, `false` or `null`.
    #[inline(never)]
    fn word(self, at: usize) -> Option<usize> {
        match self.peek(at)? {
            b't' => self.letters(at, b"true"),
            b'f' => self.letters(at, b"false"),
            b'n' => self.letters(at, b"null"),
            _ => self.number(at),
        }
    }

    fn letters(self, at: usize, word: &[u8]) -> Option<usize> {
        self.0.get(at..)?.starts_with(word).then_some(at + word.len())
    }

    fn number(self, at: usize) -> Option<usize> {
        let at = self.byte(at, b'-').unwrap_or(at);
        let mut end = match self.byte(at, b'0') {
            Some(end) => end,
            None => self.digits(at)?,
        };
        if let Some(at) = self.byte(end, b'.') {
            end = self.digits(at)?;
        }
        if let Some(b'e' | b'E') = self.peek(end) {
            let has_sign = matches!(self.peek(end + 1), Some(b'+' | b'-'));
            end = self.digits(end + 1 + usize::from(has_sign))?;
        }
        Some(end)
    }

    /// At least one.
    fn digits(self, at: usize) -> Option<usize> {
        let mut end = at;
        while let Some(b'0'..=b'9') = self.peek(end) {
            end += 1;
        }
        (end > at).then_some(end)
    }
}

/// The bracket that closes one: in ASCII it is the one after the next.
fn closing(bracket: u8) -> u8 {
    bracket + 2
}

/// How many bytes at the beginning mean themselves in a string.
///
/// A call of `memchr` costs more than most strings of the contract are long, and it would leave the control characters to a second look.
#[inline]
fn plain_length(bytes: &[u8]) -> usize {
    match bytes.split_at_checked(SHORT) {
        None => plain_length_by_words(bytes),
        Some((near, far)) => match plain_length_by_words(near) {
            SHORT => SHORT + plain_length_by_blocks(far),
            length => length,
        },
    }
}

/// Most strings end before.
const SHORT: usize = 40;

/// Eight at a time, in plain arithmetic.
#[inline]
fn plain_length_by_words(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let found = special_bytes(u64::from_le_bytes(*word));
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    words.len() * 8 + rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len())
}

/// Many at a time, as the compiler arranges it.
#[inline(never)]
fn plain_length_by_blocks(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<32>();
    let is_plain = |block: &&[u8; 32]| !block.iter().fold(false, |found, byte| found | is_special(*byte));
    let length = blocks.iter().take_while(is_plain).count() * 32;
    length + bytes.get(length..).map_or(0, plain_length_by_words)
}

/// Whether a byte is a quote, a backslash or a control character. By exchanging two bits' worth of characters the quote comes to stand
/// next to the control characters.
fn is_special(byte: u8) -> bool {
    (byte ^ 2) <= b' ' || byte == b'\\'
}

/// The same for each byte of a word: the high bit of the first that is one is set, counted from the low end, and no bit before it.
///
/// A subtraction in a byte sets its high bit if it borrows; what a borrow does to the bytes after it does not matter. Bytes whose high bit
/// is set from the start are parts of letters.
fn special_bytes(word: u64) -> u64 {
    const EACH: u64 = u64::MAX / 255;
    let low = (word ^ (EACH * 2)).wrapping_sub(EACH * (b' ' as u64 + 1));
    let backslash = (word ^ (EACH * b'\\' as u64)).wrapping_sub(EACH);
    (low | backslash) & !word & (EACH * 0x80)
}

#[cfg(test)]
mod tests;
