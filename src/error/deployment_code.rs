//! The name by which a deployment tells one of its refusals from another.

use std::fmt;

/// A code of the deployment's: that of a `ConvexError` (`{"code":"EmailTaken"}`) or of a refusal by HTTP
/// (`{"code":"BadJsonBody","message":…}`).
///
/// An ASCII letter and up to 39 letters, digits and underscores: the name of a reason; of more than 30 characters one is a capital, as
/// ids of Convex's have none. So no id, address or token of a session passes; what else the author of a function calls a code does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeploymentCode {
    bytes: [u8; Self::MOST_BYTES],
    length: u8,
}

impl DeploymentCode {
    const MOST_BYTES: usize = 40;
    /// Ids have 31 to 37 characters, and no capitals.
    const MOST_WITHOUT_CAPITAL: usize = 30;

    /// Reads a code; `None` for a text of any other form. The text is untrusted.
    ///
    /// # Example
    ///
    /// ```
    /// use convex_auth_proxy::error::DeploymentCode;
    ///
    /// assert_eq!(DeploymentCode::read("EmailTaken").unwrap().as_str(), "EmailTaken");
    /// assert!(DeploymentCode::read("ada@example.org").is_none());
    /// ```
    pub fn read(text: &str) -> Option<Self> {
        let is_name = text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && (text.len() <= Self::MOST_WITHOUT_CAPITAL || text.bytes().any(|byte| byte.is_ascii_uppercase()));
        let length = u8::try_from(text.len()).ok().filter(|_| is_name)?;
        let mut bytes = [0; Self::MOST_BYTES];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, length })
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        self.bytes.get(..usize::from(self.length)).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl fmt::Debug for DeploymentCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DeploymentCode({})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::DeploymentCode;

    #[test]
    fn a_name_is_a_code_and_no_value_is() {
        for code in ["EmailTaken", "BadJsonBody", "a", "NOT_FOUND", "OptimisticConcurrencyControlFailure"] {
            assert_eq!(DeploymentCode::read(code).as_ref().map(DeploymentCode::as_str), Some(code));
        }
        for value in [
            "",
            "_a",
            "1a",
            "Email taken",
            "ada@example.org",
            "c0a3a6f5-1d3c-4f0e-9c55-0f6a4a9d8e11",
            "jx7d2m4k8v1n5q9s3w6y0b2c4f6h8j1",
            "A2345678901234567890123456789012345678901",
            "\u{e9}t\u{e9}",
        ] {
            assert_eq!(DeploymentCode::read(value), None, "{value}");
        }
    }
}
