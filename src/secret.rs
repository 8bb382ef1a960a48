//! Values that must never be seen: their type keeps them out of logs, errors and `Debug` output.
//!
//! A [`Secret`] can be compared and, at the few places that send or derive from it, exposed. Nothing
//! else can be done with it: there is no `Display`, no `Serialize`, and `Debug` prints a fixed word.

use std::fmt;

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
    use super::Secret;

    #[test]
    fn debug_output_never_holds_the_text() {
        let secret = Secret::new("canary-5d1f");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "[secret] Some(\n    [secret],\n)");
    }

    #[test]
    fn only_the_same_bytes_match() {
        let secret = Secret::new("abc");
        assert!(secret.matches(b"abc"));
        for other in ["", "ab", "abd", "abcd", "ABC"] {
            assert!(!secret.matches(other.as_bytes()), "{other:?} must not match");
        }
    }
}
