use std::fmt;

use proptest::{prelude::*, sample::Index};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{MAX_MEMBERS, Member, MembersProblem, Text, find_duplicate, read_objects_in};
use crate::json::any::any_value;

fn read_members(text: &str) -> Result<Vec<Member<'_>>, MembersProblem> {
    super::read_members(Text::new(text))
}

fn as_text(span: &[u8]) -> &str {
    str::from_utf8(span).unwrap()
}

fn spans(text: &str) -> Result<Vec<(&str, &str)>, MembersProblem> {
    Ok(read_members(text)?.iter().map(|member| (as_text(member.name_text()), as_text(member.value))).collect())
}

#[test]
fn spans_are_the_text_that_was_sent() {
    let text = " { \"a\" : [1,  2] ,\"\\u0062\":{\"x\":1.50e+3}\n,\"\":\"\\ud800\\\"}\",\"d\":-0\t} ";
    let expected =
        [(r#""a""#, "[1,  2]"), (r#""\u0062""#, r#"{"x":1.50e+3}"#), (r#""""#, r#""\ud800\"}""#), (r#""d""#, "-0")];
    assert_eq!(spans(text).unwrap(), expected);
    let members = read_members(text).unwrap();
    assert!(members.iter().zip(["a", "b", "", "d"]).all(|(member, name)| member.is(name)));
    assert_eq!(spans("{}"), Ok(vec![]));
    assert_eq!(spans(" { } "), Ok(vec![]));
}

#[test]
fn what_is_the_matter_with_an_inner_object_is_not_the_outer_ones() {
    let read = |text: &str| {
        let (members, inner) = super::read_nested(Text::new(text), Some("user")).ok()?;
        let values =
            |members: &[Member<'_>]| members.iter().map(|member| as_text(member.value).to_owned()).collect::<Vec<_>>();
        Some((values(&members), inner.map(|inner| inner.map(|members| values(&members)))))
    };
    let one = |value: &str| vec![value.to_owned()];
    assert_eq!(read(r#"{"us\u0065r" :{"a":1}}"#), Some((one(r#"{"a":1}"#), Some(Ok(one("1"))))));
    assert_eq!(read(r#"{"session":{"a":1}}"#), Some((one(r#"{"a":1}"#), None)));
    assert_eq!(read(r#"{"user":[{}]}"#), Some((one("[{}]"), None)));
    let unreadable = Some(Err(MembersProblem::UnreadableName));
    assert_eq!(read(r#"{"user":{"\ud800":[1]}}"#), Some((one(r#"{"\ud800":[1]}"#), unreadable)));
    let many = format!("{{{}}}", vec!["\"\":0"; MAX_MEMBERS + 1].join(","));
    let too_many = Some(Err(MembersProblem::TooMany));
    assert_eq!(read(&format!(r#"{{"user":{many}}}"#)), Some((vec![many.clone()], too_many)));
    for broken in [r#"{"user":{"\ud800":}}"#, &format!(r#"{{"user":{}}}"#, many.replace(":0}", ":0,}"))] {
        assert_eq!(read(broken), None, "{broken}");
    }
}

#[test]
fn of_two_objects_with_one_name_neither_is_there() {
    let found = |text: &str| {
        read_objects_in(Text::new(text), ["session", "user"]).unwrap().map(|members| {
            members.map(|members| members.iter().map(|member| as_text(member.value).to_owned()).collect::<Vec<_>>())
        })
    };
    let one = |value: &str| Some(vec![value.to_owned()]);
    let both = r#"{"x":[{"user":{}}],"session":{"a":1},"us\u0065r":{"b":{"session":{}}}}"#;
    assert_eq!(found(both), [one("1"), one(r#"{"session":{}}"#)]);
    assert_eq!(found(r#"{"session":{"a":1},"session":{"a":2}}"#), [None, None]);
    assert_eq!(found(r#"{"session":{"a":1},"session":null,"user":{}}"#), [None, Some(vec![])]);
    assert_eq!(found(r#"{"session":null,"session":{"a":1},"session":{"a":2},"user":7}"#), [None, None]);
    assert!(read_objects_in(Text::new("[]"), ["session"]).is_err());
}

#[test]
fn only_one_object_has_members() {
    for text in ["", "null", "[]", "[[\"a\",1]]", "\"{}\"", "1", "{", "{} {}", "{},{}", "{\"a\":1},null", "null,{}"] {
        assert_eq!(spans(text), Err(MembersProblem::NotAnObject), "{text}");
    }
}

#[test]
fn half_a_surrogate_pair_is_no_name() {
    assert_eq!(spans(r#"{"\ud800":1}"#), Err(MembersProblem::UnreadableName));
    assert_eq!(read_members(r#"{"\ud83d\ude00":1}"#).ok().unwrap()[0].name, "😀".as_bytes());
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
        let found = |names: &[String], except: Option<&str>| {
            let members: Vec<_> = names.iter().map(|name| format!("\"{name}\":0")).collect();
            let text = format!("{{{}}}", members.join(","));
            find_duplicate(&read_members(&text).unwrap(), except).map(|name| as_text(name).to_owned())
        };
        assert_eq!(found(&names, None), None, "{count}");
        names[count - 1] = "0".to_owned();
        assert_eq!(found(&names, None).as_deref(), Some("0"), "{count}");
        assert_eq!(found(&names, Some("0")), None, "{count}");
    }
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
    fn law_what_has_spans_is_an_object_to_serde_json(
        value in any_value(), at: Index, removed in 0..2_usize, put in "[\\[\\]{}\",:\\\\0-9eE.nué\\x1f]{0,2}",
    ) {
        let boundaries: Vec<_> = value.char_indices().map(|(at, _)| at).chain([value.len()]).collect();
        let at = at.index(boundaries.len());
        let end = boundaries[(at + removed).min(boundaries.len() - 1)];
        let text = format!("{{\"a\":{}{put}{}}}", &value[..boundaries[at]], &value[end..]);
        let theirs = serde_json::from_str::<Oracle<'_>>(&text).ok().map(|Oracle(entries)| {
            entries.into_iter().map(|(name, value)| (name.get(), value.get())).collect::<Vec<_>>()
        });
        match spans(&text) {
            Ok(ours) => prop_assert_eq!(Some(ours), theirs),
            Err(MembersProblem::NotAnObject) => prop_assert_eq!(theirs, None),
            Err(problem) => prop_assert_eq!(problem, MembersProblem::UnreadableName),
        }
    }

    #[test]
    fn any_text_is_split_or_refused_without_a_panic(text: String, near in "[{}\\[\\]\",:\\\\a1 é]{0,24}") {
        let _ = spans(&text);
        let _ = spans(&near);
        let _ = spans(&format!("{{\"a\":{near}"));
    }
}
