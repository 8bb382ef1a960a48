//! What the deployment says: looked at where it begins, and changed in a few bytes.
//!
//! Nothing here reads values, and nothing is written anew but numbers and what is put in. The deployment is trusted: that it says nothing
//! twice is not checked.

use std::ops::Range;

use super::cursor::Cursor;

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// New results.
    Transition,
    /// A piece of a `Transition`'s text.
    TransitionChunk,
    /// The outcome of a mutation or of an action.
    Response,
    /// An identity that is not taken.
    AuthError,
    /// Any other: nothing in it concerns the proxy.
    Other,
}

/// Where a message's versions and lists stand in its bytes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outline {
    /// `type`, once it was met.
    pub kind: Option<Kind>,
    /// `startVersion`.
    pub start: Option<Version>,
    /// `endVersion`.
    pub end: Option<Version>,
    /// Just behind the bracket that opens `modifications`, and whether the list is empty.
    pub modifications: Option<(usize, bool)>,
    /// `requestId`.
    pub request_id: Option<u32>,
    /// `baseVersion`: its number, and where it stands.
    pub base_version: Option<(u32, Range<usize>)>,
    /// `authUpdateAttempted`.
    pub auth_update_attempted: bool,
    /// Just behind the quote that opens `chunk`.
    pub chunk: Option<usize>,
}

/// One version of a client's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Which query set.
    pub query_set: u32,
    /// Which identity.
    pub identity: u32,
    /// Where the number of the identity stands.
    pub identity_at: Range<usize>,
    /// Which moment of the database, as it is written.
    pub timestamp: Timestamp,
}

/// Eight bytes in base64: twelve characters.
pub type Timestamp = [u8; TIMESTAMP_BYTES];

const TIMESTAMP_BYTES: usize = 12;

/// The moment before all others.
pub const NO_TIMESTAMP: Timestamp = *b"AAAAAAAAAAA=";

impl Outline {
    /// Looks at a message, or at the beginning of one, until all that its kind needs is known. What lies beyond the bytes is missing from the
    /// outline. No input makes it panic.
    pub fn read(bytes: &[u8]) -> Self {
        if let Some(outline) = Self::as_usual(bytes) {
            return outline;
        }
        let mut outline = Self::default();
        let mut cursor = Cursor::new(bytes, 0);
        // The end of the bytes is no error: there may be more of the message.
        let _ = outline.members(&mut cursor);
        outline
    }

    /// Whether it needs no further look.
    pub fn is_complete(&self) -> bool {
        match self.kind {
            None => false,
            Some(Kind::Transition) => self.start.is_some() && self.end.is_some() && self.modifications.is_some(),
            Some(Kind::TransitionChunk) => self.chunk.is_some(),
            Some(Kind::Response) => self.request_id.is_some(),
            // It is short, and its members may stand in any order.
            Some(Kind::AuthError) => false,
            Some(Kind::Other) => true,
        }
    }

    /// The same for the two kinds that come all the time, in the form in which the backend prints them: a few comparisons. `None` for
    /// whatever looks another way.
    fn as_usual(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes, 0);
        if cursor.skip(b"{\"type\":\"Transition\",\"startVersion\":").is_some() {
            let start = usual_version(&mut cursor)?;
            cursor.skip(b",\"endVersion\":")?;
            let end = usual_version(&mut cursor)?;
            cursor.skip(b",\"modifications\":[")?;
            let first = cursor.peek().filter(|first| !first.is_ascii_whitespace())?;
            let modifications = Some((cursor.at, first == b']'));
            let kind = Some(Kind::Transition);
            return Some(Self { kind, start: Some(start), end: Some(end), modifications, ..Self::default() });
        }
        cursor.skip(b"{\"type\":\"MutationResponse\",\"requestId\":")?;
        let request_id = Some(cursor.number()?.0);
        Some(Self { kind: Some(Kind::Response), request_id, ..Self::default() })
    }

    fn members(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        cursor.token(b'{')?;
        loop {
            let name = cursor.string()?;
            cursor.token(b':')?;
            cursor.space();
            match name {
                b"type" => self.kind = Some(kind(cursor.string()?)),
                b"startVersion" => self.start = Some(version(cursor)?),
                b"endVersion" => self.end = Some(version(cursor)?),
                b"requestId" => self.request_id = Some(cursor.number()?.0),
                b"baseVersion" if cursor.peek()? != b'n' => self.base_version = Some(cursor.number()?),
                b"authUpdateAttempted" => {
                    self.auth_update_attempted = cursor.peek()? == b't';
                    cursor.value()?;
                }
                b"chunk" => {
                    let piece = cursor.at;
                    cursor.token(b'"')?;
                    self.chunk = Some(cursor.at);
                    if self.is_complete() {
                        return Some(());
                    }
                    cursor.at = piece;
                    cursor.value()?;
                }
                b"modifications" => {
                    let list = cursor.at;
                    cursor.token(b'[')?;
                    let open = cursor.at;
                    cursor.space();
                    let is_empty = cursor.peek()? == b']';
                    self.modifications = Some((open, is_empty));
                    if self.is_complete() {
                        return Some(());
                    }
                    cursor.at = list;
                    cursor.value()?;
                }
                _ => cursor.value()?,
            }
            if self.is_complete() {
                return Some(());
            }
            cursor.token(b',')?;
        }
    }
}

fn kind(name: &[u8]) -> Kind {
    match name {
        b"Transition" => Kind::Transition,
        b"TransitionChunk" => Kind::TransitionChunk,
        b"MutationResponse" | b"ActionResponse" => Kind::Response,
        b"AuthError" => Kind::AuthError,
        _ => Kind::Other,
    }
}

fn version(cursor: &mut Cursor<'_>) -> Option<Version> {
    cursor.token(b'{')?;
    let (mut query_set, mut identity, mut timestamp) = (None, None, None);
    loop {
        let name = cursor.string()?;
        cursor.token(b':')?;
        cursor.space();
        match name {
            b"querySet" => query_set = Some(cursor.number()?.0),
            b"identity" => identity = Some(cursor.number()?),
            b"ts" => timestamp = Some(Timestamp::try_from(cursor.string()?).ok()?),
            _ => cursor.value()?,
        }
        cursor.space();
        match cursor.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    let (identity, identity_at) = identity?;
    Some(Version { query_set: query_set?, identity, identity_at, timestamp: timestamp? })
}

/// A version in the form in which the backend prints it.
fn usual_version(cursor: &mut Cursor<'_>) -> Option<Version> {
    cursor.skip(b"{\"querySet\":")?;
    let query_set = cursor.number()?.0;
    cursor.skip(b",\"identity\":")?;
    let (identity, identity_at) = cursor.number()?;
    cursor.skip(b",\"ts\":\"")?;
    let timestamp = cursor.array()?;
    cursor.skip(b"\"}")?;
    Some(Version { query_set, identity, identity_at, timestamp })
}

/// Changes of a text, in the order of their places.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Edits(Vec<(Range<usize>, Vec<u8>)>);

impl Edits {
    /// Puts a number in another's place.
    pub fn number(&mut self, at: Range<usize>, number: u32) {
        self.put(at, number.to_string().into_bytes());
    }

    /// Puts text in before a place.
    pub fn insert(&mut self, at: usize, text: Vec<u8>) {
        self.put(at..at, text);
    }

    fn put(&mut self, at: Range<usize>, text: Vec<u8>) {
        let place = self.0.partition_point(|(other, _)| other.start <= at.start);
        self.0.insert(place, (at, text));
    }

    /// By how much the text grows, or shrinks.
    pub fn growth(&self) -> i64 {
        self.0.iter().map(|(at, text)| text.len() as i64 - at.len() as i64).sum()
    }

    /// Appends `bytes` with the changes made. All places must lie within.
    pub fn apply(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut copied = 0;
        for (at, text) in &self.0 {
            out.extend_from_slice(bytes.get(copied..at.start).unwrap_or_default());
            out.extend_from_slice(text);
            copied = at.end;
        }
        out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    }

    /// The same changes of a text that stands within a JSON string, with its escapes: `places` has the place there of every byte here.
    pub fn within_string(self, places: &[usize]) -> Option<Self> {
        let place = |at: usize| places.get(at).copied();
        let moved = self.0.into_iter().map(|(at, text)| {
            let text = std::str::from_utf8(&text).ok().and_then(|text| serde_json::to_string(text).ok())?;
            let escaped = text.strip_prefix('"')?.strip_suffix('"')?.as_bytes().to_vec();
            Some((place(at.start)?..place(at.end)?, escaped))
        });
        moved.collect::<Option<_>>().map(Self)
    }
}

/// The text that begins within a JSON string, as far as it goes, and where each of its bytes stands in the string; one place more than bytes.
/// Escapes by number end it: none stands where a `Transition` begins.
pub fn decode_beginning(string: &[u8], start: usize) -> (Vec<u8>, Vec<usize>) {
    let (mut text, mut places) = (Vec::new(), Vec::new());
    let mut at = start;
    while let Some(&byte) = string.get(at) {
        let (decoded, bytes) = match (byte, string.get(at + 1)) {
            (b'"', _) | (b'\\', None | Some(b'u')) => break,
            (b'\\', Some(b'n')) => (b'\n', 2),
            (b'\\', Some(b't')) => (b'\t', 2),
            (b'\\', Some(b'r')) => (b'\r', 2),
            (b'\\', Some(b'b')) => (0x08, 2),
            (b'\\', Some(b'f')) => (0x0C, 2),
            (b'\\', Some(&escaped)) => (escaped, 2),
            (byte, _) => (byte, 1),
        };
        text.push(decoded);
        places.push(at);
        at += bytes;
    }
    places.push(at);
    (text, places)
}

/// Which piece of how many a `TransitionChunk` is: it stands at its end, behind the piece, or before it. `bytes` holds one of the two.
pub fn chunk_numbers(bytes: &[u8]) -> Option<(u32, u32)> {
    // Within the piece every quote is escaped, so that neither name can stand there in this form.
    let number = |name: &[u8]| {
        let at = memchr::memmem::rfind(bytes, name)?;
        let mut cursor = Cursor::new(bytes, at + name.len());
        cursor.token(b':')?;
        cursor.number().map(|(number, _)| number)
    };
    Some((number(b"\"partNumber\"")?, number(b"\"totalParts\"")?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Edits, Kind, NO_TIMESTAMP, Outline, chunk_numbers, decode_beginning};

    const TRANSITION: &str = r#"{"type":"Transition","startVersion":{"querySet":0,"identity":1,"ts":"AAAAAAAAAAA="},"endVersion":{"querySet":3,"identity":12,"ts":"AQAAAAAAAAA="},"modifications":[{"type":"QueryUpdated","queryId":0,"value":{"a":["]}\"",1]},"logLines":[],"journal":null}],"clientClockSkew":null,"serverTs":17}"#;

    #[test]
    fn a_transition_is_known_by_its_beginning() {
        let outline = Outline::read(TRANSITION.as_bytes());
        let (start, end) = (outline.start.clone().unwrap(), outline.end.clone().unwrap());
        assert_eq!((start.query_set, start.identity, start.timestamp), (0, 1, NO_TIMESTAMP));
        assert_eq!((end.query_set, end.identity), (3, 12));
        assert_eq!(&TRANSITION[end.identity_at], "12");
        let (open, is_empty) = outline.modifications.unwrap();
        assert!(TRANSITION[open..].starts_with(r#"{"type":"QueryUpdated""#) && !is_empty);
        let beginning = &TRANSITION.as_bytes()[..open + 1];
        assert_eq!(Outline::read(beginning), outline);
        for cut in 0..=open {
            assert!(!Outline::read(&TRANSITION.as_bytes()[..cut]).is_complete(), "{cut}");
        }
    }

    #[test]
    fn the_order_of_members_and_the_space_between_them_do_not_matter() {
        let sorted = r#" { "clientClockSkew" : null , "endVersion" : { "identity" : 2 , "ts" : "AQAAAAAAAAA=" , "querySet" : 1 } ,
            "modifications" : [ {"type":"Transition","x":[[]]} ] , "serverTs":-1.5e3, "startVersion" :{"identity":0,"querySet":0,"ts":"AAAAAAAAAAA="}, "type" : "Transition" } "#;
        let outline = Outline::read(sorted.as_bytes());
        assert!(outline.is_complete());
        assert_eq!(outline.kind, Some(Kind::Transition));
        assert_eq!(outline.end.map(|end| (end.identity, end.query_set)), Some((2, 1)));
        assert_eq!(outline.modifications.map(|(_, is_empty)| is_empty), Some(false));
        let empty = Outline::read(TRANSITION.replace(r#"[{"type"#, r#"[ ],"x":[{"type"#).as_bytes());
        assert_eq!(empty.modifications.map(|(_, is_empty)| is_empty), Some(true));
    }

    #[test]
    fn other_messages_are_told_apart() {
        let read = |text: &str| Outline::read(text.as_bytes());
        assert_eq!(read(r#"{"type":"Ping"}"#).kind, Some(Kind::Other));
        let response = read(r#"{"type":"MutationResponse","requestId":7,"success":true,"result":null}"#);
        assert_eq!((response.kind, response.request_id, response.is_complete()), (Some(Kind::Response), Some(7), true));
        let error = read(r#"{"type":"AuthError","error":"x","baseVersion":3,"authUpdateAttempted":true}"#);
        assert_eq!((error.kind, error.base_version.map(|base| base.0)), (Some(Kind::AuthError), Some(3)));
        assert!(error.auth_update_attempted);
        let null = read(r#"{"error":"x","authUpdateAttempted":false,"baseVersion":null,"type":"AuthError"}"#);
        assert_eq!((null.kind, null.base_version, null.auth_update_attempted), (Some(Kind::AuthError), None, false));
        for text in ["", "[]", "{}", "null", r#"{"type":5}"#, r#"{"a":]"#] {
            assert_eq!(read(text).kind, None, "{text}");
        }
    }

    #[test]
    fn a_piece_begins_where_its_quote_is() {
        for text in [r#"{"type":"TransitionChunk","chunk":"#, r#"{"type":"TransitionChunk","chunk":5}"#] {
            assert!(!Outline::read(text.as_bytes()).is_complete(), "{text}");
        }
    }

    #[test]
    fn edits_change_their_places_and_nothing_else() {
        let outline = Outline::read(TRANSITION.as_bytes());
        let mut edits = Edits::default();
        edits.insert(outline.modifications.unwrap().0, br#"{"x":1},"#.to_vec());
        edits.number(outline.end.unwrap().identity_at, 3);
        edits.number(outline.start.unwrap().identity_at, 100);
        let mut out = Vec::new();
        edits.apply(TRANSITION.as_bytes(), &mut out);
        let expected = TRANSITION
            .replace(r#""identity":12"#, r#""identity":3"#)
            .replace(r#""identity":1,"#, r#""identity":100,"#)
            .replace(r#""modifications":["#, r#""modifications":[{"x":1},"#);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(edits.growth(), expected.len() as i64 - TRANSITION.len() as i64);
    }

    #[test]
    fn a_piece_of_a_transition_is_changed_within_its_string() {
        let message = format!(
            r#"{{"type":"TransitionChunk","chunk":{},"partNumber":0,"totalParts":3,"transitionId":"t"}}"#,
            serde_json::to_string(TRANSITION).unwrap()
        );
        let start = Outline::read(message.as_bytes()).chunk.unwrap();
        let (text, places) = decode_beginning(message.as_bytes(), start);
        assert_eq!(String::from_utf8(text.clone()).unwrap(), TRANSITION);
        let outline = Outline::read(&text);
        let mut edits = Edits::default();
        edits.number(outline.end.unwrap().identity_at, 3);
        edits.insert(outline.modifications.unwrap().0, br#"{"m":"a\"b"},"#.to_vec());
        let mut out = Vec::new();
        edits.within_string(&places).unwrap().apply(message.as_bytes(), &mut out);
        let changed: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let expected = TRANSITION
            .replace(r#""identity":12"#, r#""identity":3"#)
            .replace(r#""modifications":["#, r#""modifications":[{"m":"a\"b"},"#);
        assert_eq!(changed["chunk"].as_str().unwrap(), expected);
        assert_eq!(chunk_numbers(&message.as_bytes()[message.len() - 60..]), Some((0, 3)));
    }

    #[test]
    fn the_usual_form_says_what_the_general_reading_says() {
        let response = r#"{"type":"MutationResponse","requestId":7,"success":true,"result":null}"#;
        for text in [TRANSITION, response, &TRANSITION.replace("[{\"type\"", "[],\"x\":[{\"type\"")] {
            let usual = Outline::as_usual(text.as_bytes()).unwrap();
            assert_eq!(usual, Outline::read(format!(" {text}").as_bytes()).shifted_back());
        }
        for unusual in [
            r#"{"type":"Transition","startVersion":{"identity":0"#,
            r#"{"type":"MutationResponse","requestId":4294967296,"#,
        ] {
            assert_eq!(Outline::as_usual(unusual.as_bytes()), None);
        }
    }

    impl Outline {
        /// As if the text began one byte earlier.
        fn shifted_back(mut self) -> Self {
            for version in [&mut self.start, &mut self.end].into_iter().flatten() {
                version.identity_at = version.identity_at.start - 1..version.identity_at.end - 1;
            }
            self.modifications = self.modifications.map(|(at, is_empty)| (at - 1, is_empty));
            self
        }
    }

    proptest! {
        /// No bytes make it panic, and no beginning of a message says what the whole does not.
        #[test]
        fn a_beginning_never_says_what_the_whole_does_not(cut in 0..TRANSITION.len()) {
            let (part, whole) = (Outline::read(&TRANSITION.as_bytes()[..cut]), Outline::read(TRANSITION.as_bytes()));
            prop_assert!(part.kind.is_none() || part.kind == whole.kind);
            prop_assert!(part.start.is_none() || part.start == whole.start);
            prop_assert!(part.end.is_none() || part.end == whole.end);
            prop_assert!(part.modifications.is_none() || part.modifications == whole.modifications);
        }

        #[test]
        fn any_bytes_have_an_outline(bytes in prop::collection::vec(prop::sample::select(b"{}[]\",:\\ 0123typeTransition".to_vec()), 0..60)) {
            let outline = Outline::read(&bytes);
            prop_assert!(outline.kind.is_some() || !outline.is_complete());
            let _ = chunk_numbers(&bytes);
            let _ = decode_beginning(&bytes, 0);
        }
    }
}
