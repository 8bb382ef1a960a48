//! The values that Convex functions take and return, and their two spellings in JSON.
//!
//! For reading arguments and writing results; not for the documents of the proxy itself, which never builds a tree.
//! Invariants: `Debug` output never holds a value's content, which may be a secret; and a [`Value`] made by
//! [`Value::decode`] obeys Convex's rules for field names and nesting, so whatever is
//! stored can be written out again in either spelling.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use convex_sync_types::identifier::{check_valid_field_name, is_valid_field_name};
use serde_json::{Map, Number, json};

/// How deep a value may nest (Convex's limit on values).
const NESTING_LIMIT: usize = 64;

/// Convex's reader of base64: standard alphabet, padding optional, no stray bits at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One Convex value.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// `null`; also what a function that returns nothing returns on the wire.
    Null,
    /// A 64-bit integer (`bigint` in JavaScript), `{"$integer": …}` in the encoded spelling.
    Int64(i64),
    /// Every plain JSON number.
    Float64(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A string.
    String(String),
    /// `{"$bytes": …}` in the encoded spelling.
    Bytes(Vec<u8>),
    /// A list.
    Array(Vec<Self>),
    /// Named fields, in the order of their names as Convex keeps them.
    Object(Object),
}

/// Named fields in the order of their names.
#[derive(Clone, PartialEq, Default)]
pub struct Object(pub BTreeMap<String, Value>);

/// How a result is written (the `format` member of a request).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// Nothing is lost: `convex_encoded_json`, and its older name `convex_json`.
    Encoded,
    /// Plain JSON, integers and odd floats as strings: `json`, and its older name `convex_clean_json`.
    Clean,
    /// Integers as JSON numbers, the rest encoded: `export_json`.
    Export,
}

/// Why JSON is no Convex value.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// The text cannot be read as JSON (a lone surrogate, a number out of range).
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A single-member object of one of the special names does not hold what it must.
    #[error("{member} must hold {expected}")]
    Special {
        /// `$integer`, `$float` or `$bytes`.
        member: &'static str,
        /// What belongs there.
        expected: &'static str,
    },
    /// `$float` holds a number that has a plain spelling.
    #[error("Float64 {0} should be encoded as a number")]
    PlainFloat(f64),
    /// A field name that Convex does not take; the complaint is its own.
    #[error("{}", field_name_complaint(.0))]
    FieldName(String),
    /// Nested deeper than 64 levels.
    #[error("Value is too nested (maximum nesting: {NESTING_LIMIT})")]
    TooNested,
}

impl Value {
    /// Reads JSON by the encoded rules, whatever format the answer will have (`crates/value/src/json`).
    ///
    /// # Errors
    ///
    /// - [`ValueError::Special`], [`ValueError::PlainFloat`]: a `$…` object of the wrong content
    /// - [`ValueError::FieldName`]: a name that starts with `$`, is too long or is not printable ASCII
    /// - [`ValueError::TooNested`]: more than 64 levels
    pub fn decode(json: serde_json::Value) -> Result<Self, ValueError> {
        decode_at(json, 0)
    }

    /// Writes the value in the given format.
    pub fn encode(&self, format: OutputFormat) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Boolean(boolean) => json!(boolean),
            Self::String(text) => json!(text),
            Self::Int64(integer) => match format {
                OutputFormat::Encoded => json!({ "$integer": BASE64.encode(integer.to_le_bytes()) }),
                OutputFormat::Clean => json!(integer.to_string()),
                OutputFormat::Export => json!(integer),
            },
            Self::Float64(float) => encode_float(*float, format),
            Self::Bytes(bytes) => match format {
                OutputFormat::Clean => json!(BASE64.encode(bytes)),
                OutputFormat::Encoded | OutputFormat::Export => json!({ "$bytes": BASE64.encode(bytes) }),
            },
            Self::Array(items) => items.iter().map(|item| item.encode(format)).collect(),
            Self::Object(object) => {
                let fields: Map<_, _> =
                    object.0.iter().map(|(name, value)| (name.clone(), value.encode(format))).collect();
                serde_json::Value::Object(fields)
            }
        }
    }

    /// The text of a string; nothing of any other value.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The fields of an object; nothing of any other value.
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }
}

impl Object {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The text of a string field; empty when the field is absent or no string. For arguments that were validated.
    pub fn text(&self, name: &str) -> &str {
        self.field(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The object in a field; empty when the field is absent or no object. For arguments that were validated.
    pub fn object(&self, name: &str) -> Self {
        self.field(name).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// Sets a field.
    pub fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

/// The kind alone.
impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Null => "Null",
            Self::Int64(_) => "Int64",
            Self::Float64(_) => "Float64",
            Self::Boolean(_) => "Boolean",
            Self::String(_) => "String",
            Self::Bytes(_) => "Bytes",
            Self::Array(_) => "Array",
            Self::Object(_) => "Object",
        })
    }
}

/// How many fields there are; a caller may have chosen their names.
impl fmt::Debug for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Object({} fields)", self.0.len())
    }
}

/// As Convex prints values in its messages.
impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Int64(integer) => write!(formatter, "{integer}"),
            Self::Float64(float) => write!(formatter, "{float:?}"),
            Self::Boolean(boolean) => write!(formatter, "{boolean}"),
            Self::String(text) => write!(formatter, "{text:?}"),
            Self::Bytes(bytes) => formatter.write_str(&BASE64.encode(bytes)),
            Self::Array(items) => {
                formatter.write_str("[")?;
                write_list(formatter, items.iter())?;
                formatter.write_str("]")
            }
            Self::Object(object) => object.fmt(formatter),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{")?;
        write_list(formatter, self.0.iter().map(|(name, value)| format!("{name}: {value}")))?;
        formatter.write_str("}")
    }
}

/// Writes items with a comma and a space between them.
pub(super) fn write_list<T: fmt::Display>(
    formatter: &mut fmt::Formatter<'_>,
    items: impl Iterator<Item = T>,
) -> fmt::Result {
    for (position, item) in items.enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        write!(formatter, "{separator}{item}")?;
    }
    Ok(())
}

fn decode_at(json: serde_json::Value, depth: usize) -> Result<Value, ValueError> {
    if depth > NESTING_LIMIT {
        return Err(ValueError::TooNested);
    }
    Ok(match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(boolean) => Value::Boolean(boolean),
        // `as_f64` is total here: without `arbitrary_precision` a number is u64, i64 or f64.
        serde_json::Value::Number(number) => Value::Float64(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::String(text),
        serde_json::Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| decode_at(item, depth + 1)).collect::<Result<_, _>>()?)
        }
        serde_json::Value::Object(members) => decode_object(members, depth)?,
    })
}

fn decode_object(members: Map<String, serde_json::Value>, depth: usize) -> Result<Value, ValueError> {
    // A special object is one with exactly one member; elsewhere `$` is not allowed.
    if members.len() == 1
        && let Some((name, content)) = members.iter().next()
        && let Some(special) = decode_special(name, content)
    {
        return special;
    }
    let mut fields = BTreeMap::new();
    for (name, content) in members {
        if !is_valid_field_name(&name) {
            return Err(ValueError::FieldName(name));
        }
        fields.insert(name, decode_at(content, depth + 1)?);
    }
    Ok(Value::Object(Object(fields)))
}

fn decode_special(name: &str, content: &serde_json::Value) -> Option<Result<Value, ValueError>> {
    let bytes = || content.as_str().and_then(|text| BASE64.decode(text).ok());
    let eight = || bytes().and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    let wrong = |member, expected| Err(ValueError::Special { member, expected });
    Some(match name {
        "$integer" => match eight() {
            Some(bytes) => Ok(Value::Int64(i64::from_le_bytes(bytes))),
            None => wrong("$integer", "8 bytes in base64"),
        },
        "$float" => match eight().map(f64::from_le_bytes) {
            Some(float) if float.is_normal() || float.is_subnormal() => Err(ValueError::PlainFloat(float)),
            Some(float) => Ok(Value::Float64(float)),
            None => wrong("$float", "8 bytes in base64"),
        },
        "$bytes" => match bytes() {
            Some(bytes) => Ok(Value::Bytes(bytes)),
            None => wrong("$bytes", "base64"),
        },
        _ => return None,
    })
}

fn encode_float(float: f64, format: OutputFormat) -> serde_json::Value {
    let negative_zero = float == 0.0 && float.is_sign_negative();
    match (format, Number::from_f64(float)) {
        (OutputFormat::Clean, Some(number)) => serde_json::Value::Number(number),
        (OutputFormat::Clean, None) if float.is_nan() => json!("NaN"),
        (OutputFormat::Clean, None) => json!(if float > 0.0 { "Infinity" } else { "-Infinity" }),
        (OutputFormat::Encoded | OutputFormat::Export, Some(number)) if !negative_zero => {
            serde_json::Value::Number(number)
        }
        (OutputFormat::Encoded | OutputFormat::Export, _) => json!({ "$float": BASE64.encode(float.to_le_bytes()) }),
    }
}

fn field_name_complaint(name: &str) -> String {
    check_valid_field_name(name).err().map(|complaint| complaint.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(text: &str) -> Result<Value, ValueError> {
        Value::decode(serde_json::from_str(text)?)
    }

    fn round_trip(text: &str) -> String {
        decode(text).unwrap().encode(OutputFormat::Encoded).to_string()
    }

    #[test]
    fn plain_numbers_are_floats_and_print_with_a_dot() {
        assert_eq!(
            round_trip("[1, 1.0, 1700000000000, 9007199254740993]"),
            "[1.0,1.0,1700000000000.0,9007199254740992.0]"
        );
    }

    #[test]
    fn special_objects_keep_what_json_cannot_say() {
        for text in [r#"{"$integer":"BQAAAAAAAAA="}"#, r#"{"$float":"AAAAAAAA8H8="}"#, r#"{"$bytes":"ABCD"}"#] {
            assert_eq!(round_trip(text), text);
        }
        assert_eq!(decode(r#"{"$integer":"BQAAAAAAAAA"}"#).unwrap(), Value::Int64(5), "padding is optional");
        assert_eq!(round_trip("-0.0"), r#"{"$float":"AAAAAAAAAIA="}"#);
    }

    #[test]
    fn special_objects_with_the_wrong_content_are_refused() {
        for text in [
            r#"{"$integer":"BQ=="}"#,
            r#"{"$integer":5}"#,
            r#"{"$float":"AAAAAAAA8D8="}"#,
            r#"{"$bytes":"A"}"#,
            r#"{"$bytes":"AB"}"#,
            r#"{"$set":[]}"#,
            r#"{"$integer":"BQAAAAAAAAA=","other":1}"#,
            r#"{"né":1}"#,
        ] {
            assert!(decode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_clean_spelling_is_plain_json() {
        let value = decode(r#"[{"$integer":"BQAAAAAAAAA="},{"$float":"AAAAAAAA8P8="},-0.0,{"$bytes":"ABCD"},{"a":1}]"#);
        assert_eq!(
            value.unwrap().encode(OutputFormat::Clean).to_string(),
            r#"["5","-Infinity",-0.0,"ABCD",{"a":1.0}]"#
        );
    }

    #[test]
    fn the_export_spelling_writes_integers_as_numbers() {
        let value = decode(r#"[{"$integer":"BQAAAAAAAAA="},{"$float":"AAAAAAAA8H8="},2]"#).unwrap();
        assert_eq!(value.encode(OutputFormat::Export).to_string(), r#"[5,{"$float":"AAAAAAAA8H8="},2.0]"#);
    }

    #[test]
    fn nesting_ends_at_sixty_four_levels() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(decode(&nested(64)).is_ok());
        assert!(matches!(decode(&nested(66)), Err(ValueError::TooNested)));
    }

    #[test]
    fn messages_print_values_as_convex_does() {
        let value = decode(r#"{"b":[1,"x\"y",null,true],"a":{"$integer":"BQAAAAAAAAA="}}"#).unwrap();
        assert_eq!(value.to_string(), r#"{a: 5, b: [1.0, "x\"y", null, true]}"#);
    }

    #[test]
    fn debug_output_never_holds_the_content() {
        let value = decode(r#"{"canary":["canary",{"canary":1}]}"#).unwrap();
        assert_eq!(format!("{value:?} {:?}", value.as_object()), "Object Some(Object(1 fields))");
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Int64),
            any::<f64>().prop_filter("NaN is not equal to itself", |float| !float.is_nan()).prop_map(Value::Float64),
            any::<bool>().prop_map(Value::Boolean),
            any::<String>().prop_map(Value::String),
            any::<Vec<u8>>().prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::btree_map("[a-z ]{0,6}", inner, 0..4)
                    .prop_map(|fields| Value::Object(Object(fields))),
            ]
        })
    }

    proptest! {
        /// Law: decoding the encoded spelling gives the value back, bit for bit.
        #[test]
        fn the_encoded_spelling_loses_nothing(value in any_value()) {
            let text = value.encode(OutputFormat::Encoded).to_string();
            prop_assert_eq!(decode(&text).unwrap(), value, "{}", text);
        }
    }
}
