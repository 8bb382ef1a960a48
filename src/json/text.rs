//! JSON text that has been read as such, and is carried on as it stands.

use std::{borrow::Cow, fmt};

use memchr::memchr;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The text of exactly one JSON value, without space around it. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct JsonText<'text>(&'text str);

impl<'text> JsonText<'text> {
    /// Takes a text that a parser has just found to be one value.
    pub(crate) fn checked(text: &'text str) -> Self {
        Self(text)
    }

    /// The text.
    pub fn get(self) -> &'text str {
        self.0
    }
}

impl<'text> From<&'text RawValue> for JsonText<'text> {
    fn from(value: &'text RawValue) -> Self {
        Self(value.get())
    }
}

impl<'text> From<&'text Box<RawValue>> for JsonText<'text> {
    fn from(value: &'text Box<RawValue>) -> Self {
        Self(value.get())
    }
}

impl fmt::Debug for JsonText<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "JsonText({} bytes)", self.0.len())
    }
}

/// The text in a JSON string, escapes decoded; `None` for every other value and for half a surrogate pair.
pub fn read_text(value: &str) -> Option<Cow<'_, str>> {
    let inside = between_quotes(value)?;
    if memchr(b'\\', inside.as_bytes()).is_some() {
        serde_json::from_str(value).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inside))
    }
}

/// The same of a span of a text.
pub(crate) fn read_span(span: &[u8]) -> Option<Cow<'_, str>> {
    str::from_utf8(span).ok().and_then(read_text)
}

/// For an `Option` in serde's hands: a member that is null is there. Without it null is taken for a member that is not.
///
/// # Errors
///
/// What the deserializer finds.
pub(crate) fn present<'text, D: Deserializer<'text>>(value: D) -> Result<Option<&'text RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

fn between_quotes(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::read_text;

    #[test]
    fn text_is_decoded_and_nothing_else_is_text() {
        assert_eq!(read_text(r#""a\u0062\n""#).as_deref(), Some("ab\n"));
        assert_eq!(read_text(r#""a\u0062""#).as_deref(), Some("ab"));
        assert_eq!(read_text(r#""""#).as_deref(), Some(""));
        for value in ["null", "1", "{}", "[]", r#""\ud800""#, r#""\udc00\ud800""#, "\""] {
            assert_eq!(read_text(value), None, "{value}");
        }
    }
}
