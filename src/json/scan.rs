//! Text that need not be JSON: what in it is, and where that ends.
//!
//! Takes exactly what serde_json takes for a `RawValue`, which is the grammar of RFC 8259: escapes may stand for half a surrogate
//! pair, numbers may be beyond all floats, and arrays and objects may lie within each other as deep as the text is long. That both
//! take the same is a law with a test, since whoever reads the copy reads it with serde_json.
//!
//! Nothing here is recursive, and nothing is decoded.

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
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index};
    use serde_json::value::RawValue;

    use super::{Text, is_special, plain_length, special_bytes};
    use crate::json::members::tests::any_value;

    fn is_json(bytes: &[u8]) -> bool {
        Text::read(bytes).is_some_and(Text::is_json)
    }

    fn is_json_to_serde(bytes: &[u8]) -> bool {
        serde_json::from_slice::<&RawValue>(bytes).is_ok()
    }

    #[track_caller]
    fn assert_is_json(bytes: &[u8], expected: bool) {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(is_json(bytes), expected, "{text}");
        assert_eq!(is_json_to_serde(bytes), expected, "{text}, by serde_json");
    }

    #[test]
    fn what_only_looks_odd_is_json() {
        for text in [
            "0",
            "-0",
            "0.0",
            "-0e-0",
            "1E+2",
            "1e999",
            "123456789012345678901234567890",
            "0.00000000000000000000001",
            "\"\"",
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u0000\ud800\uDFFF\uaBcD""#,
            "\"\u{7f}é\u{2028}💡\"",
            "[]",
            "{}",
            " \t\r\n[ \t\r\n] \t\r\n",
            "{\"\":{\"\":[{}]}}",
            "{\"a\":1,\"a\":1}",
            "[null , true,false]",
            "[[],[[]],{}]",
            "[\"a\",\"]\",\"}\"]",
            "{\"}\":\"{\",\"]\":\"[\"}",
        ] {
            assert_is_json(text.as_bytes(), true);
        }
    }

    #[test]
    fn what_nearly_is_json_is_none() {
        for text in [
            "",
            " ",
            "-",
            "+1",
            "01",
            "-01",
            "00",
            "1.",
            ".5",
            "-.5",
            "1.e1",
            "1e",
            "1e+",
            "1e1.0",
            "0x1",
            "1_0",
            "NaN",
            "Infinity",
            "-Infinity",
            "tru",
            "truee",
            "True",
            "nul",
            "nulll",
            "n",
            "undefined",
            "'a'",
            "\"",
            "\"a",
            "\"\\",
            "\"\\\"",
            r#""\x""#,
            r#""\u12""#,
            r#""\u12g4""#,
            r#""\u+123""#,
            r#""\U0041""#,
            r#""\'""#,
            "\"\n\"",
            "\"\0\"",
            "\"\u{1f}\"",
            "\"a\"b",
            "[",
            "]",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[,]",
            "[1 2]",
            "[1,,2]",
            "[1}",
            "[}",
            "[1]]",
            "{",
            "}",
            "{]",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":}",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{,}",
            "{\"a\"}",
            "{\"a\",1}",
            "{\"a\":1:2}",
            "{a:1}",
            "{1:1}",
            "{null:1}",
            "{\"a\" 1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":[}]",
            "{{}}",
            "[{]}",
            "1 2",
            "{} {}",
            "{},",
            ",",
            ":",
            "//",
            "/**/1",
            "[1]//",
            "\u{feff}1",
            "\u{a0}1",
            "1\u{b}",
            "1\u{c}",
            "[\u{85}]",
            "1\0",
            "[1\0]",
        ] {
            assert_is_json(text.as_bytes(), false);
        }
        let long = "x".repeat(100);
        for inside in ["\u{1f}", "\\x", "\\u00g0", "\\"] {
            for before in 0..100 {
                assert_is_json(format!("\"{}{inside}\"", &long[..before]).as_bytes(), false);
                assert_is_json(format!("\"{}{inside}{long}\"", &long[..before]).as_bytes(), false);
            }
        }
    }

    #[test]
    fn what_is_not_utf_8_is_no_text() {
        for bytes in [
            &b"\"\xff\""[..],
            b"\"\xc0\xaf\"",
            b"\"\xed\xa0\x80\"",
            b"\"\xe9\"",
            b"{\"\x80\":1}",
            b"\"\xf4\x90\x80\x80\"",
        ] {
            assert_is_json(bytes, false);
        }
    }

    #[test]
    fn nothing_is_too_deep() {
        let depth = 100_000;
        for (open, close) in [("[", "]"), ("{\"\":", "}"), ("[{\"a\":", "}]")] {
            let (opened, closed) = (open.repeat(depth), close.repeat(depth));
            assert_is_json(format!("{opened}0{closed}").as_bytes(), true);
            assert_is_json(format!("{opened}0{}", &closed[1..]).as_bytes(), false);
            assert_is_json(format!("{opened}0{closed}{close}").as_bytes(), false);
        }
    }

    /// JSON, and what little changes make of it.
    fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            "[\\[\\]{}\",:\\\\0-9eE.+\\-ntrfua \\t\\x00\\x1f]{0,3}".prop_map(String::into_bytes),
            vec(any::<u8>(), 0..3),
        ];
        (any_value(), any::<Index>(), 0..3_usize, piece).prop_map(|(text, at, removed, piece)| {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len() + 1);
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, piece);
            bytes
        })
    }

    proptest! {
        #[test]
        fn law_what_is_json_is_what_serde_json_takes(
            value in any_value(), near in nearly_json(),
            text in "[\\[\\]{}\",:\\\\0-2eE.+\\-ntrfualsx \\n\\x1fé]{0,24}", bytes in vec(any::<u8>(), 0..12),
        ) {
            prop_assert!(is_json(value.as_bytes()));
            for bytes in [value.as_bytes(), &near, text.as_bytes(), &bytes] {
                prop_assert_eq!(is_json(bytes), is_json_to_serde(bytes), "{}", String::from_utf8_lossy(bytes));
            }
        }

        #[test]
        fn law_a_word_tells_its_first_special_byte(bytes: [u8; 8], near in proptest::array::uniform8("[\"\\\\\\x1f !#\\x5b\\x5d]")) {
            for bytes in [bytes, near.map(|byte| byte.as_bytes()[0])] {
                let found = special_bytes(u64::from_le_bytes(bytes));
                let first = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
                prop_assert_eq!((found != 0).then(|| found.trailing_zeros() as usize / 8), first);
            }
        }

        #[test]
        fn law_plain_bytes_are_counted_up_to_the_first_special_one(
            mut bytes in vec(0x80..=0xff_u8, 0..200), special in "[\"\\\\\\x00-\\x1f]", at: Index,
        ) {
            prop_assert_eq!(plain_length(&bytes), bytes.len());
            let at = at.index(bytes.len() + 1);
            bytes.insert(at, special.as_bytes()[0]);
            prop_assert_eq!(plain_length(&bytes), at);
        }
    }

    #[test]
    fn special_bytes_are_quote_backslash_and_the_control_characters() {
        for byte in 0..=u8::MAX {
            assert_eq!(is_special(byte), matches!(byte, b'"' | b'\\' | 0..0x20), "{byte}");
        }
    }
}
