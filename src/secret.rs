//! Values that must never be seen: their type keeps them out of logs, errors and `Debug` output.
//!
//! A [`Secret`] can be compared and, at the few places that send or derive from it, exposed. Nothing
//! else can be done with it: there is no `Display`, no `Serialize`, and `Debug` prints a fixed word.

use std::fmt;

use aws_lc_rs::hkdf;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A text that must stay secret: the adapter secret, a caller's token, a private key.
///
/// Wiped from memory when dropped. `Debug` prints `[secret]`, whatever it holds.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text; any text is accepted, the empty one included.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Every call of this is a place where a secret leaves its wall: keep them few.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Appends the text as a JSON string: another place where it leaves its wall.
    #[expect(clippy::expect_used, reason = "a `str` is always a JSON string, and a `Vec` takes every byte")]
    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        // One look at all bytes, without a way out of its middle, is a few vector instructions.
        let needs_no_escape =
            self.0.bytes().fold(true, |so_far, byte| so_far & (byte >= b' ') & (byte != b'"') & (byte != b'\\'));
        if needs_no_escape {
            out.push(b'"');
            out.extend_from_slice(self.0.as_bytes());
            out.push(b'"');
        } else {
            serde_json::to_writer(out, self.expose()).expect("a text written to memory");
        }
    }

    /// A key of 32 bytes for one purpose: HKDF-SHA256 (RFC 5869) without salt, `purpose` as its info. Whoever sees the key
    /// learns nothing of the secret, and keys of different purposes have nothing to do with each other.
    ///
    /// `purpose` is a text of ours, fixed for ever: replicas agree on keys by it. `scope` narrows it further and may be
    /// anything; where one purpose ends and its scope begins is marked by a zero byte.
    pub fn derive_key(&self, purpose: &str, scope: &str) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let info = [purpose.as_bytes(), &[0], scope.as_bytes()];
        #[expect(
            clippy::expect_used,
            reason = "HKDF-SHA256 gives up to 255 blocks; one is asked for, and its length fits"
        )]
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
            .extract(self.expose().as_bytes())
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(key.as_mut()))
            .expect("one block of HKDF-SHA256");
        key
    }

    /// Compares with what a caller sent, in a time that depends on the lengths only.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(candidate).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Secret;

    #[test]
    fn debug_output_never_holds_the_text() {
        let secret = Secret::new("canary-5d1f");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "[secret] Some(\n    [secret],\n)");
    }

    #[test]
    fn a_derived_key_follows_from_secret_purpose_and_scope() {
        let key = |secret: &str, purpose: &str, scope: &str| *Secret::new(secret).derive_key(purpose, scope);
        let of_all = key("secret", "purpose", "scope");
        assert_eq!(of_all, key("secret", "purpose", "scope"));
        for other in [key("other", "purpose", "scope"), key("secret", "other", "scope"), key("secret", "purpose", "")] {
            assert_ne!(of_all, other);
        }
    }

    #[test]
    fn only_the_same_bytes_match() {
        let secret = Secret::new("abc");
        assert!(secret.matches(b"abc"));
        for other in ["", "ab", "abd", "abcd", "ABC"] {
            assert!(!secret.matches(other.as_bytes()), "{other:?} must not match");
        }
    }

    proptest! {
        #[test]
        fn law_a_secret_is_written_as_serde_json_writes_it(text: String, plain in "[ -~\\x00-\\x20\\x7fé]{0,6}") {
            for text in [text, plain] {
                let mut out = Vec::new();
                Secret::new(&*text).write_json(&mut out);
                prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
            }
        }
    }
}
