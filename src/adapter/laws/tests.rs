//! The laws in the everyday run: bodies that are nearly what a method takes.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{Function, a_body_is_what_serde_json_takes};
use crate::json::any::any_value;

/// A body of one member or two, each of which may be what the contract names.
fn nearly_a_body() -> impl Strategy<Value = String> {
    let name =
        prop::sample::select(&["user", "session", "s\\u0065ssion", "sessionToken", "id", "secret", "account"][..]);
    let field =
        prop::sample::select(&["id", "userId", "expires", "emailVerified", "_id", "sessionToken", "\\ud800"][..]);
    let value = prop_oneof![any_value(), Just("\"2026-01-01\"".to_owned()), Just("null".to_owned())];
    let row = vec((field, value), 0..4).prop_map(|members| {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(" , "))
    });
    let member =
        (name, prop_oneof![2 => row, 1 => any_value()]).prop_map(|(name, value)| format!("\"{name}\": {value}"));
    vec(member, 0..3).prop_map(|members| format!(" {{{}}}\n", members.join(",")))
}

proptest! {
    #[test]
    fn law_a_body_is_what_serde_json_takes(
        body in nearly_a_body(), at: Index, removed in 0..2_usize,
        put in prop_oneof![vec(any::<u8>(), 0..2), "[\\[\\]{}\",:\\\\0-9eE.nu\\x1f]{0,2}".prop_map(String::into_bytes)],
        index in 0..Function::ALL.len(),
    ) {
        let function = Function::ALL[index];
        a_body_is_what_serde_json_takes(function, body.as_bytes());
        let at = at.index(body.len());
        let mut changed = body.into_bytes();
        changed.splice(at..(at + removed).min(changed.len()), put);
        a_body_is_what_serde_json_takes(function, &changed);
    }
}
