//! JSON of any kind, for laws.

use proptest::{collection::vec, prelude::*, sample::select};

/// Any JSON value that is no array or object, as text.
pub(crate) fn any_scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["null", "true", "false", "0", "-0", "1.7e12", "1700000000000.0", "1E-7", "9007199254740993"])
            .prop_map(str::to_owned),
        any::<f64>().prop_filter("JSON has no such number", |number| number.is_finite()).prop_map(|n| format!("{n:e}")),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        select(vec![r#""\u0041\/\ud83d\ude00""#, r#""2026-01-01""#, r#""{\"secret\":1}""#, r#""\\\"""#])
            .prop_map(str::to_owned),
    ]
}

/// Any JSON value, as text with white space in it.
pub(crate) fn any_value() -> impl Strategy<Value = String> {
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
