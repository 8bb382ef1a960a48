//! JSON objects as spans: which members there are, each name and value as the text that was sent.
//!
//! For text that serde_json has already accepted: nothing is checked again, and nothing is decoded but names with escapes in
//! them. On text that is no JSON the spans mean nothing, but there is no panic. The one invariant: every span is a piece of
//! the text that was given, so that a copy of it is byte for byte what the sender wrote.
//!
//! Written by hand because serde_json's own way to spans, a map of `&RawValue`, costs about as much as building the tree.

use std::{borrow::Cow, collections::HashSet};

use memchr::memchr2;

use super::text::{between_quotes, read_text};

/// Members of one object at most. Convex takes no more in an object; here it also bounds the memory that a hostile body of
/// tiny members can ask for.
pub(super) const MAX_MEMBERS: usize = 1_024;

/// One member of an object.
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
///
/// `text` is one JSON value or several with commas between, and white space around; anything but one object is refused.
pub(super) fn read_members(text: &str) -> Result<Vec<Member<'_>>, MembersProblem> {
    let mut rest = Rest(text);
    rest.skip_space();
    let members = rest.take_members()?;
    rest.skip_space();
    if rest.0.is_empty() { Ok(members) } else { Err(MembersProblem::NotAnObject) }
}

/// Splits those members of an object that are objects into their own members, in one pass; what else the object has is left behind. Of
/// two with one name neither can be told from the other, so neither is there.
pub(super) fn read_objects_in<'a, const N: usize>(
    text: &'a str,
    names: [&str; N],
) -> Result<[Option<Vec<Member<'a>>>; N], MembersProblem> {
    let mut objects = [const { None }; N];
    let mut seen = [0_usize; N];
    let mut rest = Rest(text);
    rest.each_member(|name, _, rest| {
        let place = names.iter().position(|wanted| *wanted == name);
        let Some((object, seen)) = place.and_then(|place| Some((objects.get_mut(place)?, seen.get_mut(place)?))) else {
            return rest.take_value().map(drop);
        };
        *seen += 1;
        if rest.0.starts_with('{') {
            *object = Some(rest.take_members()?);
        } else {
            rest.take_value()?;
        }
        if *seen > 1 {
            *object = None;
        }
        Ok(())
    })?;
    Ok(objects)
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

/// Whether a string has a backslash in it.
#[derive(Clone, Copy)]
enum Escapes {
    None,
    Some,
}

/// The length of the value at the start, if it ends.
fn value_length(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'"' => string_length(bytes).map(|(length, _)| length),
        b'{' | b'[' => container_length(bytes),
        _ => {
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            Some(bytes.iter().position(ends).unwrap_or(bytes.len()))
        }
    }
}

/// The length of the object or array at the start. Its brackets match, since it is JSON, so they need only be counted.
fn container_length(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut length = 0;
    loop {
        let rest = bytes.get(length..)?;
        let skipped = rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']'))?;
        length += skipped;
        match rest.get(skipped)? {
            b'"' => {
                length += string_length(rest.get(skipped..)?)?.0;
                continue;
            }
            b'{' | b'[' => depth += 1,
            _ => depth = depth.checked_sub(1)?,
        }
        length += 1;
        if depth == 0 {
            return Some(length);
        }
    }
}

/// The length of the string at the start, quotes included.
fn string_length(bytes: &[u8]) -> Option<(usize, Escapes)> {
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut length = 1;
    let mut escapes = Escapes::None;
    loop {
        length += memchr2(b'"', b'\\', bytes.get(length..)?)?;
        if bytes.get(length)? == &b'"' {
            return Some((length + 1, escapes));
        }
        // Whatever is escaped, its first byte ends nothing.
        length += 2;
        escapes = Escapes::Some;
    }
}

/// What is still to be read.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take_members(&mut self) -> Result<Vec<Member<'a>>, MembersProblem> {
        // As many as a user's row has.
        let mut members = Vec::with_capacity(8);
        self.each_member(|name, name_text, rest| {
            if members.len() == MAX_MEMBERS {
                return Err(MembersProblem::TooMany);
            }
            members.push(Member { name, name_text, value: rest.take_value()? });
            Ok(())
        })?;
        Ok(members)
    }

    /// Reads an object; `take` is given each name, decoded and as sent, and takes the value that follows.
    fn each_member(
        &mut self,
        mut take: impl FnMut(Cow<'a, str>, &'a str, &mut Self) -> Result<(), MembersProblem>,
    ) -> Result<(), MembersProblem> {
        self.expect(b'{')?;
        self.skip_space();
        let mut is_open = !self.eat(b'}');
        while is_open {
            let (name_text, escapes) = self.take_string()?;
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            let name = match escapes {
                Escapes::None => Cow::Borrowed(between_quotes(name_text).unwrap_or_default()),
                Escapes::Some => read_text(name_text).ok_or(MembersProblem::UnreadableName)?,
            };
            take(name, name_text, self)?;
            self.skip_space();
            if self.eat(b',') {
                self.skip_space();
            } else {
                self.expect(b'}')?;
                is_open = false;
            }
        }
        Ok(())
    }

    fn skip_space(&mut self) {
        // Nearly always there is none.
        if self.0.as_bytes().first().is_some_and(|byte| *byte <= b' ') {
            self.0 = self.0.trim_start_matches([' ', '\t', '\n', '\r']);
        }
    }

    fn eat(&mut self, expected: u8) -> bool {
        let is_there = self.0.as_bytes().first() == Some(&expected);
        if is_there {
            self.0 = self.0.get(1..).unwrap_or_default();
        }
        is_there
    }

    fn expect(&mut self, expected: u8) -> Result<(), MembersProblem> {
        if self.eat(expected) { Ok(()) } else { Err(MembersProblem::NotAnObject) }
    }

    fn take_string(&mut self) -> Result<(&'a str, Escapes), MembersProblem> {
        let (length, escapes) = string_length(self.0.as_bytes()).ok_or(MembersProblem::NotAnObject)?;
        Ok((self.take(length)?, escapes))
    }

    fn take_value(&mut self) -> Result<&'a str, MembersProblem> {
        let length = value_length(self.0.as_bytes()).ok_or(MembersProblem::NotAnObject)?;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Result<&'a str, MembersProblem> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(MembersProblem::NotAnObject)?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fmt;

    use proptest::{collection::vec, prelude::*, sample::select};
    use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
    use serde_json::value::RawValue;

    use super::{MAX_MEMBERS, MembersProblem, find_duplicate, read_members, read_objects_in};

    fn spans(text: &str) -> Result<Vec<(&str, &str)>, MembersProblem> {
        Ok(read_members(text)?.iter().map(|member| (member.name_text, member.value)).collect())
    }

    #[test]
    fn spans_are_the_text_that_was_sent() {
        let text = " { \"a\" : [1,  2] ,\"\\u0062\":{\"x\":1.50e+3}\n,\"\":\"\\ud800\\\"}\",\"d\":-0\t} ";
        let expected =
            [(r#""a""#, "[1,  2]"), (r#""\u0062""#, r#"{"x":1.50e+3}"#), (r#""""#, r#""\ud800\"}""#), (r#""d""#, "-0")];
        assert_eq!(spans(text).unwrap(), expected);
        let names: Vec<_> = read_members(text).unwrap().into_iter().map(|member| member.name).collect();
        assert_eq!(names, ["a", "b", "", "d"]);
        assert_eq!(spans("{}"), Ok(vec![]));
        assert_eq!(spans(" { } "), Ok(vec![]));
    }

    #[test]
    fn of_two_objects_with_one_name_neither_is_there() {
        let found = |text: &str| {
            read_objects_in(text, ["session", "user"]).unwrap().map(|members| {
                members.map(|members| members.iter().map(|member| member.value.to_owned()).collect::<Vec<_>>())
            })
        };
        let one = |value: &str| Some(vec![value.to_owned()]);
        let both = r#"{"x":[{"user":{}}],"session":{"a":1},"us\u0065r":{"b":{"session":{}}}}"#;
        assert_eq!(found(both), [one("1"), one(r#"{"session":{}}"#)]);
        assert_eq!(found(r#"{"session":{"a":1},"session":{"a":2}}"#), [None, None]);
        assert_eq!(found(r#"{"session":{"a":1},"session":null,"user":{}}"#), [None, Some(vec![])]);
        assert_eq!(found(r#"{"session":null,"session":{"a":1},"session":{"a":2},"user":7}"#), [None, None]);
        assert!(read_objects_in("[]", ["session"]).is_err());
    }

    #[test]
    fn only_one_object_has_members() {
        for text in ["", "null", "[]", "[[\"a\",1]]", "\"{}\"", "1", "{", "{} {}", "{},{}", "{\"a\":1},null", "null,{}"]
        {
            assert_eq!(spans(text), Err(MembersProblem::NotAnObject), "{text}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_no_name() {
        assert_eq!(spans(r#"{"\ud800":1}"#), Err(MembersProblem::UnreadableName));
        assert_eq!(read_members(r#"{"\ud83d\ude00":1}"#).ok().unwrap()[0].name, "😀");
    }

    #[test]
    fn the_number_of_members_is_bounded() {
        let object = |count: usize| {
            let members: Vec<_> = (0..count).map(|index| format!("\"{index}\":0")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert_eq!(spans(&object(MAX_MEMBERS)).unwrap().len(), MAX_MEMBERS);
        assert_eq!(spans(&object(MAX_MEMBERS + 1)), Err(MembersProblem::TooMany));
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

    /// Any JSON value that is no array or object, as text.
    pub(in crate::adapter) fn any_scalar() -> impl Strategy<Value = String> {
        prop_oneof![
            select(vec!["null", "true", "false", "0", "-0", "1.7e12", "1700000000000.0", "1E-7", "9007199254740993"])
                .prop_map(str::to_owned),
            any::<f64>()
                .prop_filter("JSON has no such number", |number| number.is_finite())
                .prop_map(|n| format!("{n:e}")),
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
            select(vec![r#""\u0041\/\ud83d\ude00""#, r#""2026-01-01""#, r#""{\"secret\":1}""#, r#""\\\"""#])
                .prop_map(str::to_owned),
        ]
    }

    /// Any JSON value, as text with white space in it.
    pub(in crate::adapter) fn any_value() -> impl Strategy<Value = String> {
        any_scalar().prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(|values| format!("[ {}]", values.join(" ,"))),
                vec(inner, 0..4).prop_map(|values| {
                    let members = values.iter().enumerate().map(|(index, value)| format!("\"{index}\" :{value}"));
                    format!("{{{}\n}}", members.collect::<Vec<_>>().join(", "))
                }),
            ]
        })
    }

    /// Names and values as serde_json finds them.
    struct Oracle<'a>(Vec<(&'a RawValue, &'a RawValue)>);

    impl<'de> Deserialize<'de> for Oracle<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Entries;
            impl<'de> Visitor<'de> for Entries {
                type Value = Oracle<'de>;
                fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    formatter.write_str("an object")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                    let mut entries = Vec::new();
                    while let Some(entry) = map.next_entry()? {
                        entries.push(entry);
                    }
                    Ok(Oracle(entries))
                }
            }
            deserializer.deserialize_map(Entries)
        }
    }

    proptest! {
        #[test]
        fn law_spans_are_those_that_serde_json_finds(value in any_value()) {
            match serde_json::from_str::<Oracle<'_>>(&value) {
                Ok(Oracle(entries)) => {
                    let entries: Vec<_> = entries.into_iter().map(|(name, value)| (name.get(), value.get())).collect();
                    prop_assert_eq!(spans(&value), Ok(entries));
                }
                Err(_) => prop_assert_eq!(spans(&value), Err(MembersProblem::NotAnObject)),
            }
        }

        #[test]
        fn any_text_is_split_or_refused_without_a_panic(text: String, near in "[{}\\[\\]\",:\\\\a1 é]{0,24}") {
            let _ = spans(&text);
            let _ = spans(&near);
            let _ = spans(&format!("{{\"a\":{near}"));
        }
    }
}
