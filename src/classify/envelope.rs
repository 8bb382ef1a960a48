//! The body of a call: which function, with which arguments, in which format.
//!
//! Only the envelope is parsed. Arguments stay the text that the caller sent, so that numbers keep every digit.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{FunctionPath, Lane};
use crate::{
    error::{BadBody, Rejection},
    json::{JsonText, members::read_known, read_text},
};

/// A body that was read: one call, or the calls of a batch in their order.
#[derive(Debug)]
pub enum Envelope<'body> {
    /// `{"path","args",…}`.
    One(Call<'body>),
    /// `{"queries":[…]}`.
    Batch(Vec<Call<'body>>),
}

/// One call of one function. `Debug` shows which, and nothing else that the caller sent.
pub struct Call<'body> {
    /// The function.
    pub path: FunctionPath,
    /// `args` as it was sent: any JSON text.
    pub args: JsonText<'body>,
    /// `format`, if one was named; the deployment says whether it knows it.
    pub format: Option<Cow<'body, str>>,
    /// `ts` of a `query_at_ts`, decoded text.
    pub timestamp: Option<Cow<'body, str>>,
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Call").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<'body> Envelope<'body> {
    /// Reads a body. The bytes are untrusted.
    ///
    /// Every level must be an object, since the backend also reads arrays as positional members; a known member must not come
    /// twice; unknown members are left behind, as the backend ignores them. A batch has 1,000 calls at most (our choice: the backend
    /// has no bound but its body's).
    ///
    /// # Errors
    ///
    /// - [`Rejection::BadBody`]: not UTF-8 JSON of that shape, or with a `componentPath`.
    /// - [`Rejection::BadFunctionPath`]: a `path` that the backend's grammar refuses.
    pub fn read(lane: Lane, body: &'body [u8]) -> Result<Self, Rejection> {
        let text = std::str::from_utf8(body).map_err(|_| Rejection::BadBody(BadBody::Syntax))?;
        match lane {
            Lane::Query | Lane::Mutation | Lane::Action => Ok(Self::One(read_call(text, HasTimestamp::No)?)),
            Lane::QueryAtTimestamp => Ok(Self::One(read_call(text, HasTimestamp::Yes)?)),
            Lane::QueryBatch => {
                refuse_other_than_object(text)?;
                let batch: WireBatch<'body> =
                    serde_json::from_str(text).map_err(|_| Rejection::BadBody(BadBody::Syntax))?;
                let calls = batch.queries.0.iter().map(|query| read_call(query.get(), HasTimestamp::No));
                Ok(Self::Batch(calls.collect::<Result<_, _>>()?))
            }
        }
    }

    /// The calls, one or several.
    pub fn into_calls(self) -> Vec<Call<'body>> {
        match self {
            Self::One(call) => vec![call],
            Self::Batch(calls) => calls,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum HasTimestamp {
    Yes,
    No,
}

#[derive(Deserialize)]
struct WireBatch<'body> {
    #[serde(borrow)]
    queries: Queries<'body>,
}

/// The items of a batch, so many and no more: each costs many times its bytes once it is parsed.
struct Queries<'body>(Vec<&'body RawValue>);

const CALLS_AT_MOST: usize = 1_000;

impl<'input: 'body, 'body> Deserialize<'input> for Queries<'body> {
    fn deserialize<D: Deserializer<'input>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;
        impl<'body> Visitor<'body> for Items {
            type Value = Queries<'body>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "at most {CALLS_AT_MOST} calls")
            }

            fn visit_seq<A: SeqAccess<'body>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut queries = Vec::new();
                while let Some(item) = items.next_element()? {
                    if queries.len() == CALLS_AT_MOST {
                        return Err(de::Error::invalid_length(CALLS_AT_MOST + 1, &self));
                    }
                    queries.push(item);
                }
                Ok(Queries(queries))
            }
        }
        deserializer.deserialize_seq(Items)
    }
}

fn read_call(text: &str, has_timestamp: HasTimestamp) -> Result<Call<'_>, Rejection> {
    const SYNTAX: Rejection = Rejection::BadBody(BadBody::Syntax);
    refuse_other_than_object(text)?;
    let known = read_known(text, ["path", "args", "format", "ts", "componentPath"]);
    let [path, args, format, timestamp, component] = known.ok_or(SYNTAX)?;
    let path = path.and_then(read_text).ok_or(SYNTAX)?;
    let args = args.ok_or(SYNTAX)?;
    let [format, timestamp] = [format, timestamp].map(|value| value.filter(|value| *value != "null"));
    let format = format.map(|format| read_text(format).ok_or(SYNTAX)).transpose()?;
    let timestamp = timestamp.map(|timestamp| read_text(timestamp).ok_or(SYNTAX)).transpose()?;
    if component.is_some_and(|component| component != "null") {
        return Err(Rejection::BadBody(BadBody::Component));
    }
    let timestamp = match has_timestamp {
        HasTimestamp::Yes => Some(timestamp.ok_or(SYNTAX)?),
        HasTimestamp::No => None,
    };
    Ok(Call { path: FunctionPath::parse(&path)?, args: JsonText::checked(args), format, timestamp })
}

/// An array in its place would be read as the members in their order, here by serde and by the backend.
fn refuse_other_than_object(text: &str) -> Result<(), Rejection> {
    let is_object = text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{');
    if is_object { Ok(()) } else { Err(Rejection::BadBody(BadBody::NotAnObject)) }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::{collection::vec, prelude::*, sample::select};
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::{Envelope, Lane};
    use crate::error::{BadBody, Rejection};

    /// A call as serde reads it.
    #[derive(Deserialize, Debug)]
    #[serde(rename_all = "camelCase")]
    struct Oracle<'body> {
        #[serde(borrow)]
        path: Cow<'body, str>,
        #[serde(borrow)]
        args: &'body RawValue,
        #[serde(borrow, default)]
        format: Option<Cow<'body, str>>,
        #[serde(borrow, default)]
        ts: Option<Cow<'body, str>>,
        #[serde(borrow, default)]
        component_path: Option<&'body RawValue>,
    }

    fn any_member() -> impl Strategy<Value = String> {
        let names = [
            "path",
            "args",
            "format",
            "ts",
            "componentPath",
            "\\u0070ath",
            "arg\\u0073",
            "other",
            "\\ud800",
            "Path",
            "",
        ];
        let values = [
            r#""a:b""#,
            r#""m:f\u0041""#,
            r#""\ud800""#,
            "null",
            "{}",
            "[ {\"a\" : 1} ]",
            "1",
            "true",
            "{\"path\":\"x\"}",
            "nul",
            "[1,]",
            r#""json""#,
        ];
        (select(names.to_vec()), select(values.to_vec()), select(vec!["", " ", "\n\t"]))
            .prop_map(|(name, value, space)| format!("{space}\"{name}\"{space}:{space}{value}{space}"))
    }

    proptest! {
        #[test]
        fn law_a_call_is_read_as_serde_reads_it(members in vec(any_member(), 0..6), usual: bool, end in select(vec!["", " ", ",", "}", "x"])) {
            let usual = if usual { vec![r#""path":"a:b""#.to_owned(), r#""args":{}"#.to_owned(), r#""ts":"t""#.to_owned()] } else { vec![] };
            let body = format!("{{{}}}{end}", [usual, members].concat().join(","));
            for lane in [Lane::Query, Lane::QueryAtTimestamp] {
                let read = Envelope::read(lane, body.as_bytes());
                match serde_json::from_str::<Oracle<'_>>(&body) {
                    Err(_) => prop_assert_eq!(read.err(), Some(Rejection::BadBody(BadBody::Syntax)), "{}", body),
                    Ok(oracle) if oracle.component_path.is_some_and(|path| path.get() != "null") => {
                        prop_assert_eq!(read.err(), Some(Rejection::BadBody(BadBody::Component)), "{}", body);
                    }
                    Ok(oracle) if lane == Lane::QueryAtTimestamp && oracle.ts.is_none() => {
                        prop_assert_eq!(read.err(), Some(Rejection::BadBody(BadBody::Syntax)), "{}", body);
                    }
                    Ok(oracle) => match read {
                        Err(refusal) => prop_assert_eq!(refusal, Rejection::BadFunctionPath, "{}", body),
                        Ok(envelope) => {
                            let call = envelope.into_calls().remove(0);
                            prop_assert!(oracle.path.contains(call.path.name()) || call.path.name() == "default");
                            prop_assert_eq!(call.args.get(), oracle.args.get());
                            prop_assert_eq!(call.format, oracle.format);
                            prop_assert_eq!(call.timestamp, oracle.ts.filter(|_| lane == Lane::QueryAtTimestamp));
                        }
                    },
                }
            }
        }
    }

    fn refusal(lane: Lane, body: &str) -> Option<Rejection> {
        Envelope::read(lane, body.as_bytes()).err()
    }

    #[test]
    fn a_call_keeps_the_text_of_its_arguments() {
        let body = r#" {"format":"json", "args" : [ {"n": 1.70e12} ] ,"\u0070ath":"a:b","unknown":[1]}"#;
        let calls = Envelope::read(Lane::Query, body.as_bytes()).expect("a call").into_calls();
        let call = calls.first().expect("one");
        assert_eq!((call.path.as_str(), call.args.get()), ("a:b", r#"[ {"n": 1.70e12} ]"#));
        assert_eq!(call.format.as_deref(), Some("json"));
    }

    #[test]
    fn rule_7_arrays_are_refused_at_every_level() {
        let not_an_object = Some(Rejection::BadBody(BadBody::NotAnObject));
        assert_eq!(refusal(Lane::Query, r#"["authAdapter:getUser",{},null]"#), not_an_object);
        assert_eq!(refusal(Lane::QueryBatch, r#"[[["authAdapter:getUser",{},null]]]"#), not_an_object);
        assert_eq!(refusal(Lane::QueryBatch, r#"{"queries":[["authAdapter:getUser",{},null]]}"#), not_an_object);
        assert_eq!(refusal(Lane::QueryAtTimestamp, r#"["a:b",{},"AAAAAAAAAAA=",null]"#), not_an_object);
    }

    #[test]
    fn rule_8_a_known_member_must_not_come_twice() {
        for body in [
            r#"{"path":"ok:f","path":"authAdapter:x","args":{}}"#,
            r#"{"path":"ok:f","\u0070ath":"authAdapter:x","args":{}}"#,
            r#"{"path":"ok:f","args":{},"args":{}}"#,
            r#"{"path":"ok:f","args":{},"format":"json","format":"json"}"#,
        ] {
            assert_eq!(refusal(Lane::Mutation, body), Some(Rejection::BadBody(BadBody::Syntax)), "{body}");
        }
    }

    #[test]
    fn rule_12_a_component_path_is_refused_and_null_is_none() {
        let component = Some(Rejection::BadBody(BadBody::Component));
        assert_eq!(refusal(Lane::Mutation, r#"{"componentPath":"","path":"a:b","args":{}}"#), component);
        assert_eq!(refusal(Lane::Mutation, r#"{"componentPath":"x","path":"a:b","args":{}}"#), component);
        assert_eq!(refusal(Lane::Mutation, r#"{"componentPath":null,"path":"a:b","args":{}}"#), None);
    }

    #[test]
    fn a_batch_of_more_than_a_thousand_calls_is_refused() {
        let batch =
            |calls: usize| format!(r#"{{"queries":[{}]}}"#, vec![r#"{"path":"a:b","args":{}}"#; calls].join(","));
        assert_eq!(refusal(Lane::QueryBatch, &batch(1_000)), None);
        assert_eq!(refusal(Lane::QueryBatch, &batch(1_001)), Some(Rejection::BadBody(BadBody::Syntax)));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for body in [
            "",
            "{",
            "{}",
            "null",
            "\u{feff}{}",
            r#"{"path":"a:b","args":{}} x"#,
            r#"{"path":"a:b","args":NaN}"#,
            r#"{"path":"\ud800:b","args":{}}"#,
            r#"{"path":1,"args":{}}"#,
            r#"{"path":"a:b"}"#,
        ] {
            assert!(refusal(Lane::Query, body).is_some(), "{body:?}");
        }
        assert!(Envelope::read(Lane::Query, b"{\"path\":\"a:b\",\"args\":{\"x\":\"\xff\"}}").is_err());
    }
}
