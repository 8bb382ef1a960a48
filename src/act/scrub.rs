//! Takes the adapter's secret out of answers.
//!
//! A deployment that does not redact its errors prints the whole argument object when an argument does not fit, and with it the secret that
//! was injected for a caller who never had it.

use bytes::Bytes;
use http::{Response, header};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde_json::Value;

use crate::{body::Body, error::Rejection, secret::Secret};

/// The secret in the spellings that an answer may have it in.
pub(super) struct Scrub {
    spellings: Vec<String>,
    is_unmistakable: bool,
}

#[derive(Deserialize)]
struct Status<'body> {
    #[serde(borrow, default)]
    status: Option<&'body str>,
    #[serde(default)]
    results: Option<serde::de::IgnoredAny>,
}

impl Scrub {
    pub(super) fn new(secret: &Secret) -> Self {
        let plain = secret.expose().to_owned();
        let escaped = escape(&plain);
        // Printed as a literal of JavaScript's and then put into JSON. The longest first: a shorter one may stand within it.
        let twice = escape(&escaped);
        let mut spellings = vec![twice, escaped.replace('/', "\\/"), escape_all(&plain), escaped, plain];
        spellings.dedup();
        let is_unmistakable = secret.expose().len() >= UNMISTAKABLE_BYTES;
        Self { spellings, is_unmistakable }
    }

    /// Reads an answer whole and cleans it.
    ///
    /// # Errors
    ///
    /// [`Rejection::UpstreamUnreadable`]: it did not end, is larger than `bytes_at_most`, or is compressed.
    pub(super) async fn response(
        &self,
        response: Response<Body>,
        bytes_at_most: usize,
    ) -> Result<Response<Body>, Rejection> {
        let (mut head, body) = response.into_parts();
        // It was asked for uncompressed; what cannot be looked into is not passed.
        if head.headers.contains_key(header::CONTENT_ENCODING) {
            return Err(Rejection::UpstreamUnreadable);
        }
        let whole = Limited::new(body, bytes_at_most).collect().await.map_err(|_| Rejection::UpstreamUnreadable)?;
        head.headers.remove(header::CONTENT_LENGTH);
        Ok(Response::from_parts(head, Body::bytes(self.clean(whole.to_bytes()))))
    }

    /// The same bytes where the secret is not among them. A success is left alone when the secret is so short that it may stand in somebody's
    /// data by chance.
    pub(super) fn clean(&self, body: Bytes) -> Bytes {
        let Ok(text) = std::str::from_utf8(&body) else { return body };
        // JSON may spell any character as a number; then only the decoded texts tell.
        let has_escapes = text.contains("\\u") || text.contains("\\/");
        let is_there = self.is_in(text) || (has_escapes && self.is_in_decoded(text));
        if !is_there || (!self.is_unmistakable && is_success(text)) {
            return body;
        }
        match serde_json::from_str(text) {
            Ok(value) => Bytes::from(self.clean_value(value).to_string()),
            Err(_) => Bytes::from(self.clean_text(text)),
        }
    }

    fn is_in(&self, text: &str) -> bool {
        self.spellings.iter().any(|spelling| text.contains(spelling.as_str()))
    }

    fn is_in_decoded(&self, text: &str) -> bool {
        serde_json::from_str(text).is_ok_and(|value: Value| self.clean_value(value.clone()) != value)
    }

    fn clean_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.clean_text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.clean_value(item)).collect(),
            Value::Object(members) => {
                members.into_iter().map(|(name, value)| (self.clean_text(&name), self.clean_value(value))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }

    fn clean_text(&self, text: &str) -> String {
        self.spellings.iter().fold(text.to_owned(), |text, spelling| text.replace(spelling.as_str(), "[secret]"))
    }
}

const UNMISTAKABLE_BYTES: usize = 16;

fn is_success(text: &str) -> bool {
    serde_json::from_str::<Status<'_>>(text)
        .is_ok_and(|answer| answer.status == Some("success") || answer.results.is_some())
}

fn escape(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&quoted).to_owned()
}

/// As [`escape`], with every character beyond ASCII as a number.
fn escape_all(text: &str) -> String {
    let mut units = [0; 2];
    let escaped = escape(text);
    escaped.chars().fold(String::new(), |mut out, character| {
        if character.is_ascii() {
            out.push(character);
        } else {
            out.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
        out
    })
}

impl std::fmt::Debug for Scrub {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Scrub")
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::Scrub;
    use crate::secret::Secret;

    fn clean(secret: &str, body: &str) -> String {
        let cleaned = Scrub::new(&Secret::new(secret)).clean(Bytes::from(body.to_owned()));
        String::from_utf8(cleaned.to_vec()).expect("text")
    }

    #[test]
    fn the_secret_is_taken_out_in_every_spelling() {
        let error = r#"{"status":"error","errorMessage":"Object: {secret: \"a-long-secret-of-a-proxy\"}"}"#;
        assert_eq!(
            clean("a-long-secret-of-a-proxy", error),
            r#"{"status":"error","errorMessage":"Object: {secret: \"[secret]\"}"}"#
        );
        let quoted = r#"{"status":"error","errorMessage":"{secret: \"a\\\"b\"}"}"#;
        let numbered = r#"{"status":"error","errorMessage":"a-long-secret-of-a-pr\u006fxy \u00df"}"#;
        assert_eq!(clean("a-long-secret-of-a-proxy", numbered), r#"{"status":"error","errorMessage":"[secret] ß"}"#);
        assert_eq!(clean("a\"b", quoted), r#"{"status":"error","errorMessage":"{secret: \"[secret]\"}"}"#);
    }

    #[test]
    fn data_that_holds_a_short_secret_by_chance_is_left_alone() {
        let success = r#"{"status":"success","value":"test@example.com"}"#;
        assert_eq!(clean("test", success), success);
        assert_eq!(
            clean("test", r#"{"status":"error","errorMessage":"test"}"#),
            r#"{"status":"error","errorMessage":"[secret]"}"#
        );
    }
}
