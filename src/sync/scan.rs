//! A client's JSON, read once: found to be what the backend's generic parser takes, and cut into the spans of its members.
//!
//! Stricter than JSON's grammar where that parser is, since a text that it does not take ends the client for good (rule 19): no number beyond
//! all floats, no half of a surrogate pair, no nesting beyond 127, none of the names by which it talks to itself. Its own reading would make
//! a value of everything and cost several times this; that both take the same is a law with a test (`laws`).

/// A place in a text. `None` from any of its methods: the text is not taken.
pub(super) struct Scanner<'text> {
    text: &'text str,
    at: usize,
    depth: u32,
}

/// A text that is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotTaken;

/// Names of members by which the backend's parser talks to itself: an object with one would be read as what its text says.
const PRIVATE: &str = "$serde_json::private::";
/// Arrays and objects within each other.
const DEPTH_AT_MOST: u32 = 127;

/// Reads a text that must be one object, and gives each member to `take`: its decoded name and the text of its value.
pub(super) fn read_object<'text>(
    text: &'text str,
    mut take: impl FnMut(&str, &'text str) -> Option<()>,
) -> Result<(), NotTaken> {
    let mut scanner = Scanner { text, at: 0, depth: 0 };
    let mut read = || {
        scanner.space();
        scanner.members(&mut take)?;
        scanner.space();
        (scanner.at == text.len()).then_some(())
    };
    read().ok_or(NotTaken)
}

/// The texts of an array's items. The array has been read before: it is one.
pub(super) struct Items<'text> {
    scanner: Scanner<'text>,
}

impl<'text> Items<'text> {
    /// Begins; `array` is the text of an array that was read.
    pub(super) fn new(array: &'text str) -> Self {
        // Behind the bracket, and as deep as it: the text around it counts too, and was counted when it was read.
        Self { scanner: Scanner { text: array, at: 1, depth: 0 } }
    }
}

impl<'text> Iterator for Items<'text> {
    type Item = &'text str;

    fn next(&mut self) -> Option<&'text str> {
        let scanner = &mut self.scanner;
        scanner.space();
        if scanner.peek()? == b',' {
            scanner.at += 1;
        }
        scanner.value()
    }
}

/// The number of a value that is a 32-bit one: digits alone.
pub(super) fn number(value: &str) -> Option<u32> {
    // The parser took it for a number, so that it has no zeros before it; a sign, a fraction or an exponent makes it another kind.
    if value.bytes().all(|byte| byte.is_ascii_digit()) { value.parse().ok() } else { None }
}

impl<'text> Scanner<'text> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn token(&mut self, expected: u8) -> Option<()> {
        (self.next()? == expected).then_some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let is_there = self.text.as_bytes().get(self.at..)?.starts_with(word.as_bytes());
        self.at += word.len();
        is_there.then_some(())
    }

    /// Any value, and its text.
    fn value(&mut self) -> Option<&'text str> {
        self.space();
        let start = self.at;
        match self.peek()? {
            b'"' => drop(self.string()?),
            b'{' => self.members(&mut |_, _| Some(()))?,
            b'[' => self.items()?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => self.any_number()?,
        }
        self.text.get(start..self.at)
    }

    fn members(&mut self, take: &mut impl FnMut(&str, &'text str) -> Option<()>) -> Option<()> {
        self.token(b'{')?;
        self.enter()?;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
        } else {
            loop {
                self.space();
                let name = self.string()?;
                self.space();
                self.token(b':')?;
                // Names with escapes are rare; what they spell counts.
                if name.contains('\\') {
                    let name = self.decoded(name)?;
                    if name.starts_with(PRIVATE) {
                        return None;
                    }
                    let value = self.value()?;
                    take(&name, value)?;
                } else if name.starts_with(PRIVATE) {
                    return None;
                } else {
                    let value = self.value()?;
                    take(name, value)?;
                }
                self.space();
                match self.next()? {
                    b',' => {}
                    b'}' => break,
                    _ => return None,
                }
            }
        }
        self.depth -= 1;
        Some(())
    }

    fn items(&mut self) -> Option<()> {
        self.token(b'[')?;
        self.enter()?;
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
        } else {
            loop {
                self.value()?;
                self.space();
                match self.next()? {
                    b',' => {}
                    b']' => break,
                    _ => return None,
                }
            }
        }
        self.depth -= 1;
        Some(())
    }

    fn enter(&mut self) -> Option<()> {
        self.depth += 1;
        (self.depth <= DEPTH_AT_MOST).then_some(())
    }

    /// What stands between the quotes, with its escapes.
    fn string(&mut self) -> Option<&'text str> {
        self.token(b'"')?;
        let start = self.at;
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            // Names and short texts end within a few bytes: looking at them one by one is faster than setting out with wide steps.
            let near = rest.iter().take(SHORT).position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F));
            let end = match near {
                Some(end) => end,
                None => {
                    let far = rest.get(SHORT..)?;
                    let end = memchr::memchr2(b'"', b'\\', far)?;
                    if has_control(far.get(..end)?) {
                        return None;
                    }
                    SHORT + end
                }
            };
            self.at += end + 1;
            match rest.get(end)? {
                b'"' => return self.text.get(start..self.at - 1),
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.code_unit()? {
                0xDC00..=0xDFFF => None,
                0xD800..=0xDBFF => {
                    self.token(b'\\')?;
                    self.token(b'u')?;
                    matches!(self.code_unit()?, 0xDC00..=0xDFFF).then_some(())
                }
                _ => Some(()),
            },
            _ => None,
        }
    }

    fn code_unit(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |unit, _| Some(unit * 16 + char::from(self.next()?).to_digit(16)?))
    }

    fn decoded(&self, name: &'text str) -> Option<String> {
        serde_json::from_str(&format!("\"{name}\"")).ok()
    }

    fn any_number(&mut self) -> Option<()> {
        let start = self.at;
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.next()? {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        let mut may_be_infinite = self.at - start > DIGITS_OF_FLOATS;
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
            may_be_infinite = true;
        }
        let is_finite = || self.text.get(start..self.at)?.parse::<f64>().ok().map(f64::is_finite);
        (!may_be_infinite || is_finite()?).then_some(())
    }

    fn some_digits(&mut self) -> Option<()> {
        let start = self.at;
        self.digits();
        (self.at > start).then_some(())
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }
}

/// Bytes of a string that are looked at one by one.
const SHORT: usize = 16;
/// No number of so few digits is beyond all floats.
const DIGITS_OF_FLOATS: usize = 300;

/// Whether a control character is among the bytes. Looks at all of them, many at a time.
fn has_control(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, byte| found | (*byte < 0x20))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Items, number, read_object};

    fn members(json: &str) -> Option<Vec<(String, String)>> {
        let mut members = Vec::new();
        let read = read_object(json, |name, value| {
            members.push((name.to_owned(), value.to_owned()));
            Some(())
        });
        read.is_ok().then_some(members)
    }

    fn is_value(value: &str) -> bool {
        members(&format!(r#"{{"v":{value}}}"#)).is_some()
    }

    #[test]
    fn an_object_is_cut_into_its_members() {
        let read = members(" { \"a\" : [1, {\"b\":\"]}\"}] ,\"\\u0062\":-1.5e3,\"c\":\"\\ud83d\\ude00\"} \n").unwrap();
        let read: Vec<_> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(read, [("a", r#"[1, {"b":"]}"}]"#), ("b", "-1.5e3"), ("c", r#""\ud83d\ude00""#)]);
        assert_eq!(members("{}"), Some(Vec::new()));
        let items: Vec<_> = Items::new(r#"[ 1 ,{"a":[2]}, "x" ]"#).collect();
        assert_eq!(items, ["1", r#"{"a":[2]}"#, r#""x""#]);
        assert_eq!(Items::new("[ ]").count(), 0);
    }

    #[test]
    fn rule_19_what_the_backends_parser_refuses_within_values_is_refused() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        for value in [
            "1e400",
            &"9".repeat(400),
            r#""\ud800""#,
            r#""\ud800x""#,
            r#""\udc00""#,
            r#""\ud800\ud800""#,
            r#""\x""#,
            r#""\u12g4""#,
            "\"\u{1}\"",
            &format!("\"{}\u{1f}\"", "x".repeat(40)),
            &deep(127),
            r#"{"$serde_json::private::RawValue":"{}"}"#,
            r#"{"\u0024serde_json::private::Number":"1"}"#,
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "NaN",
            "tru",
            "nulll",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "[1 2]",
            "",
        ] {
            assert!(!is_value(value), "{value}");
        }
        for value in [
            "1e308",
            "-0",
            "0.0",
            &"9".repeat(300),
            r#""\ud83d\ude00""#,
            "\"\u{7f}é💡\"",
            r#"{"$integer":"AAAAAAAAAAA="}"#,
            "18446744073709551616",
            &deep(126),
        ] {
            assert!(is_value(value), "{value}");
        }
    }

    #[test]
    fn numbers_and_texts_are_what_the_backend_takes_for_them() {
        for (value, expected) in [
            ("0", Some(0)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("1.0", None),
            ("1e0", None),
            ("-0", None),
            ("\"1\"", None),
            ("null", None),
        ] {
            assert_eq!(number(value), expected, "{value}");
        }
    }

    proptest! {
        /// The law: what is taken is what the backend's generic parser takes, private names apart.
        #[test]
        fn what_is_taken_is_json_to_the_backends_parser(json in prop_oneof![
            "[\\[\\]{}:,\" \\\\u0-9a-fDd.eE+\\-tnrl]{0,24}",
            r#"\{"a":[\[\]{}:,"\\u0-9dDcC8.eE+-]{0,16}\}"#,
        ]) {
            let theirs = serde_json::from_str::<serde_json::Value>(&json).is_ok_and(|value| value.is_object());
            prop_assert_eq!(members(&json).is_some(), theirs, "{}", json);
        }
    }
}
