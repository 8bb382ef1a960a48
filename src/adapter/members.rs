//! JSON objects as spans: which members there are, each name and value as the text that was sent.
//!
//! Nothing is decoded here but names with escapes in them. The one invariant: every span is a piece of the text that was
//! given, so that a copy of it is byte for byte what the sender wrote.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Members of one object at most. Convex takes no more in an object; here it also bounds the memory that a hostile body of
/// tiny members can ask for.
pub(super) const MAX_MEMBERS: usize = 1_024;

/// One member of an object.
#[derive(Debug)]
pub(super) struct Member<'a> {
    /// The name, escapes decoded.
    pub(super) name: Cow<'a, str>,
    /// The name as sent, with its quotes.
    pub(super) name_text: &'a str,
    /// The value as sent, without white space around.
    pub(super) value: &'a str,
}

/// Why the members of an object cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MembersProblem {
    /// It is no JSON object.
    NotAnObject,
    /// More than [`MAX_MEMBERS`].
    TooMany,
    /// A name holds the escape of half a surrogate pair, which is no character.
    UnreadableName,
}

/// Splits an object into its members, in order, duplicates included.
pub(super) fn read_members(object: &str) -> Result<Vec<Member<'_>>, MembersProblem> {
    let Spans(spans) = serde_json::from_str(object).map_err(|_| MembersProblem::NotAnObject)?;
    if spans.len() > MAX_MEMBERS {
        return Err(MembersProblem::TooMany);
    }
    spans.into_iter().map(read_member).collect()
}

/// The first name that is there twice.
pub(super) fn find_duplicate<'n>(mut names: impl Iterator<Item = &'n str> + Clone) -> Option<&'n str> {
    // Up to here, comparing each with each is faster than hashing.
    const FEW: usize = 16;
    if names.clone().nth(FEW).is_none() {
        let mut later = names.clone();
        names.find(|name| {
            later.next();
            later.clone().any(|other| other == *name)
        })
    } else {
        let mut seen = HashSet::new();
        names.find(|name| !seen.insert(*name))
    }
}

/// The text in a JSON string, escapes decoded; `None` for every other value and for half a surrogate pair.
pub(super) fn read_text(value: &str) -> Option<Cow<'_, str>> {
    let inside = value.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') { serde_json::from_str(value).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inside)) }
}

fn read_member<'a>((name, value): (&'a RawValue, &'a RawValue)) -> Result<Member<'a>, MembersProblem> {
    let name_text = name.get();
    let name = read_text(name_text).ok_or(MembersProblem::UnreadableName)?;
    Ok(Member { name, name_text, value: value.get() })
}

/// Names and values of one object; one more than [`MAX_MEMBERS`] when there are too many.
struct Spans<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Spans<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SpansVisitor)
    }
}

struct SpansVisitor;

impl<'de> Visitor<'de> for SpansVisitor {
    type Value = Spans<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut spans = Vec::with_capacity(8);
        while spans.len() <= MAX_MEMBERS {
            match map.next_entry()? {
                Some(entry) => spans.push(entry),
                None => return Ok(Spans(spans)),
            }
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Spans(spans))
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_MEMBERS, MembersProblem, find_duplicate, read_members, read_text};

    #[test]
    fn spans_are_the_text_that_was_sent() {
        let members = read_members(" { \"a\" : [1,  2] ,\"\\u0062\":{\"x\":1.50e+3}\n,\"c\":\"\\ud800\"} ").unwrap();
        let spans: Vec<_> = members.iter().map(|member| (&*member.name, member.name_text, member.value)).collect();
        assert_eq!(
            spans,
            [("a", r#""a""#, "[1,  2]"), ("b", r#""\u0062""#, r#"{"x":1.50e+3}"#), ("c", r#""c""#, r#""\ud800""#)]
        );
    }

    #[test]
    fn only_an_object_has_members() {
        for text in ["", "null", "[]", "[[\"a\",1]]", "\"{}\"", "1", "{", "{} {}"] {
            assert_eq!(read_members(text).unwrap_err(), MembersProblem::NotAnObject, "{text}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_no_name() {
        assert_eq!(read_members(r#"{"\ud800":1}"#).unwrap_err(), MembersProblem::UnreadableName);
        assert_eq!(read_members(r#"{"\ud83d\ude00":1}"#).unwrap()[0].name, "😀");
    }

    #[test]
    fn the_number_of_members_is_bounded() {
        let object = |count: usize| {
            let members: Vec<_> = (0..count).map(|index| format!("\"{index}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert_eq!(read_members(&object(MAX_MEMBERS)).unwrap().len(), MAX_MEMBERS);
        assert_eq!(read_members(&object(MAX_MEMBERS + 1)).unwrap_err(), MembersProblem::TooMany);
        assert_eq!(read_members(&object(MAX_MEMBERS * 3)).unwrap_err(), MembersProblem::TooMany);
    }

    #[test]
    fn a_duplicate_is_found_among_few_and_among_many() {
        for count in [2, 3, 15, 16, 17, 200] {
            let mut names: Vec<_> = (0..count).map(|index| index.to_string()).collect();
            assert_eq!(find_duplicate(names.iter().map(String::as_str)), None, "{count}");
            names[count - 1] = "0".to_owned();
            assert_eq!(find_duplicate(names.iter().map(String::as_str)), Some("0"), "{count}");
        }
    }

    #[test]
    fn text_is_decoded_and_nothing_else_is_text() {
        assert_eq!(read_text(r#""a\u0062\n""#).as_deref(), Some("ab\n"));
        assert_eq!(read_text(r#""""#).as_deref(), Some(""));
        for value in ["null", "1", "{}", "[]", r#""\ud800""#, r#""\udc00\ud800""#, "\""] {
            assert_eq!(read_text(value), None, "{value}");
        }
    }
}
