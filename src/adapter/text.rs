//! JSON text that has been read as such, and is carried on as it stands.

use std::fmt;

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
