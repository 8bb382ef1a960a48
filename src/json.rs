//! JSON as text: checked, split, and carried on as it stands, so that a number keeps its digits and a copy is what was sent.
//!
//! ```text
//!  scan      what is JSON, and where it ends
//!  members   an object as spans
//!  text      one value; the text in a string
//! ```
//!
//! What it takes is what serde_json takes. Not for: what a member means.

#[cfg(test)]
pub(crate) mod any;
pub(crate) mod members;
pub(crate) mod scan;
mod text;

pub use self::text::{JsonText, read_text};
pub(crate) use self::text::{present, read_span};
