//! The laws in the everyday run: texts that are nearly messages, and frames that are nearly frames.

use proptest::prelude::*;

use super::{
    a_client_message_means_what_the_backend_reads, an_outline_lies_within_its_bytes, frames_are_the_same_in_any_pieces,
    nothing_is_called_without_the_secret,
};

/// One of these, as text.
fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(texts).prop_map(str::to_owned)
}

const NAMES: [&str; 22] = [
    "type",
    "requestId",
    "udfPath",
    "args",
    "componentPath",
    "baseVersion",
    "newVersion",
    "modifications",
    "queryId",
    "journal",
    "tokenType",
    "value",
    "sessionId",
    "connectionCount",
    "clientTs",
    "eventType",
    "event",
    "impersonating",
    "acting_as",
    "unknown",
    "maxObservedTimestamp",
    "$serde_json::private::RawValue",
];

/// A name, at times with an escape in it.
fn name() -> impl Strategy<Value = String> {
    (prop::sample::select(&NAMES[..]), prop::option::weighted(0.1, 0..4_usize)).prop_map(|(name, escaped)| {
        let escape = |(index, letter): (usize, char)| match escaped {
            Some(at) if at == index => format!("\\u{:04x}", u32::from(letter)),
            _ => letter.to_string(),
        };
        name.chars().enumerate().map(escape).collect()
    })
}

fn path() -> impl Strategy<Value = String> {
    one_of(&[
        "a:b",
        "dir/a:b",
        "authAdapter:getUser",
        "authAdapter.js/.:getUser",
        "a",
        "a.js",
        "./a:b",
        "a//b.js:c",
        "",
        "\\u0061:b",
        "authAdapter",
        "a.b.c:d",
        "a:b:c",
        "\\ud800:b",
        "é:b",
    ])
    .prop_map(|path| format!("\"{path}\""))
}

/// Numbers in odd forms, and other things in their place.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0..5_u32).prop_map(|number| number.to_string()),
        1 => one_of(&["1.0", "-1", "-0", "1e0", "1E2", "4294967295", "4294967296", "18446744073709551616", "01", "1e400", "null", "\"1\"", "[1]", "1.5", "9007199254740993"]),
    ]
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        one_of(&[
            "null",
            "true",
            "\"x\"",
            "\"\\ud83d\\ude00\"",
            "\"\\udc00\"",
            "\"\\/\"",
            "-0",
            "1e-320",
            "1e309",
            "NaN",
            "\u{7f}"
        ]),
        number(),
        path(),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((name(), inner), 0..4).prop_map(|members| object(&members)),
        ]
    })
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn args() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => one_of(&["[{}]", "[]", "{}", "[{\"secret\":\"s\"}]", "[{\"secret\":\"wrong\"}]", "[{\"secret\":\"s\",\"secret\":\"x\"}]", "null"]),
        1 => value(),
        1 => (0..200_usize).prop_map(|depth| "[".repeat(depth) + &"]".repeat(depth)),
    ]
}

/// Members of a message or of a change: those of its kind, some left out, some twice, some of another kind, in any order.
fn members(of_kind: Vec<(&'static str, BoxedStrategy<String>)>) -> impl Strategy<Value = String> {
    let own: Vec<_> = of_kind
        .into_iter()
        .map(|(name, value)| {
            (prop::bool::weighted(0.97), value)
                .prop_map(move |(is_there, value)| is_there.then(|| (name.to_owned(), value)))
        })
        .collect();
    let others = prop_oneof![
        4 => Just(Vec::new()).boxed(),
        1 => prop::collection::vec((name(), value()), 1..3).boxed(),
    ];
    (own, others)
        .prop_map(|(own, others)| own.into_iter().flatten().chain(others).collect::<Vec<_>>())
        .prop_shuffle()
        .prop_map(|members| object(&members))
}

fn journal() -> BoxedStrategy<String> {
    one_of(&["null", "\"j\"", "\"\\u004a\"", "5", "{}"]).boxed()
}

fn component() -> BoxedStrategy<String> {
    prop_oneof![6 => Just("null".to_owned()), 1 => one_of(&["\"\"", "\"c\"", "5"])].boxed()
}

fn text_of(text: &'static str) -> BoxedStrategy<String> {
    Just(format!("\"{text}\"")).boxed()
}

fn change() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => members(vec![("type", text_of("Add")), ("queryId", number().boxed()), ("udfPath", path().boxed()), ("args", args().boxed()), ("journal", journal()), ("componentPath", component())]),
        2 => members(vec![("type", text_of("Remove")), ("queryId", number().boxed())]),
        1 => value(),
    ]
}

fn message() -> impl Strategy<Value = String> {
    let call = |kind| {
        members(vec![
            ("type", text_of(kind)),
            ("requestId", number().boxed()),
            ("udfPath", path().boxed()),
            ("args", args().boxed()),
            ("componentPath", component()),
        ])
        .boxed()
    };
    let changes = prop::collection::vec(change(), 0..4).prop_map(|changes| format!("[{}]", changes.join(",")));
    let token = prop_oneof![text_of("User"), text_of("None"), text_of("Admin"), text_of("user")];
    prop_oneof![
        call("Mutation"),
        call("Action"),
        members(vec![
            ("type", text_of("ModifyQuerySet")),
            ("baseVersion", number().boxed()),
            ("newVersion", number().boxed()),
            ("modifications", changes.boxed())
        ]),
        members(vec![
            ("type", text_of("Authenticate")),
            ("baseVersion", number().boxed()),
            ("tokenType", token.boxed()),
            ("value", value().boxed())
        ]),
        members(vec![
            ("type", text_of("Connect")),
            ("sessionId", text_of("7f1e5a52-22d1-4bd1-8f0a-0123456789ab")),
            ("connectionCount", number().boxed()),
            ("clientTs", number().boxed())
        ]),
        members(vec![("type", text_of("Event")), ("eventType", text_of("x")), ("event", value().boxed())]),
        value(),
    ]
}

/// Frames of which most are right, in the form in which that side sends them.
fn frames(is_masked: bool) -> impl Strategy<Value = Vec<u8>> {
    let first =
        prop_oneof![8 => prop::sample::select(&[0x81_u8, 0x01, 0x00, 0x80, 0x89, 0x8A, 0x88][..]), 1 => any::<u8>()];
    let payload = prop_oneof![
        4 => prop::collection::vec(prop::sample::select(b"{}\"e ".to_vec()), 0..8),
        2 => prop::collection::vec(0x20..0x7F_u8, 100..300),
        1 => prop::collection::vec(any::<u8>(), 0..8),
        1 => Just(b"x".repeat(2_500)),
    ];
    prop::collection::vec((first, payload), 1..5).prop_map(move |frames| {
        let mut bytes = Vec::new();
        for (first, payload) in frames {
            let bit = if is_masked { 0x80 } else { 0 };
            bytes.push(first);
            match payload.len() {
                short @ 0..=125 => bytes.push(bit | short as u8),
                length => {
                    bytes.push(bit | 126);
                    bytes.extend((length as u16).to_be_bytes());
                }
            }
            if is_masked {
                bytes.extend([0; 4]);
            }
            bytes.extend(payload);
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn rule_13_what_is_taken_of_a_client_means_what_the_backend_reads(text in message()) {
        a_client_message_means_what_the_backend_reads(&text);
    }

    #[test]
    fn rule_2_no_script_calls_an_adapter_function_without_the_secret(
        lines in prop::collection::vec(prop_oneof![4 => message(), 1 => value().prop_map(|value| format!("<{value}"))], 0..6),
        is_signed_in in any::<bool>(),
    ) {
        nothing_is_called_without_the_secret(&lines.join("\n"), is_signed_in);
    }

    #[test]
    fn rfc_6455_5_2_frames_are_read_the_same_in_any_pieces(
        bytes in prop_oneof![frames(true), frames(false), prop::collection::vec(any::<u8>(), 0..60)],
        cuts in prop::collection::vec(prop_oneof![4 => 0..6_u8, 1 => any::<u8>()], 0..40),
    ) {
        frames_are_the_same_in_any_pieces(&bytes, &cuts);
    }

    #[test]
    fn an_outline_of_any_text_lies_within_it(text in prop_oneof![message(), value()]) {
        an_outline_lies_within_its_bytes(text.as_bytes());
    }
}
