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
    adapter::JsonText,
    error::{BadBody, Rejection},
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
                let batch: WireBatch<'body> = read_object(text)?;
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
#[serde(rename_all = "camelCase")]
struct WireCall<'body> {
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
    let WireCall { path, args, format, ts, component_path } = read_object(text)?;
    if component_path.is_some_and(|component| component.get() != "null") {
        return Err(Rejection::BadBody(BadBody::Component));
    }
    let timestamp = match has_timestamp {
        HasTimestamp::Yes => Some(ts.ok_or(Rejection::BadBody(BadBody::Syntax))?),
        HasTimestamp::No => None,
    };
    Ok(Call { path: FunctionPath::parse(&path)?, args: args.into(), format, timestamp })
}

fn read_object<'body, T: Deserialize<'body>>(text: &'body str) -> Result<T, Rejection> {
    // serde would read an array as the members in their order.
    if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        return Err(Rejection::BadBody(BadBody::NotAnObject));
    }
    serde_json::from_str(text).map_err(|_| Rejection::BadBody(BadBody::Syntax))
}

#[cfg(test)]
mod tests {
    use super::{Envelope, Lane};
    use crate::error::{BadBody, Rejection};

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
