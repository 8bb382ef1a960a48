//! How a socket ends: the codes of RFC 6455 section 7.4 and the reasons beside them, as they go over the wire.

use super::frame::FrameProblem;

/// What a Close frame says: a code and a reason, or nothing. `Debug` shows the code alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Close {
    code: Option<u16>,
    reason: Box<str>,
}

/// Why the proxy itself ends a socket. The reason that goes over the wire is a fixed word and holds nothing that a peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseCause {
    /// Bytes that are no frame, or frames that are no message (RFC 6455 sections 5 and 7).
    #[error("a frame that the protocol does not allow: {0}")]
    Frame(FrameProblem),
    /// A piece of a message without a beginning, or a message within a message (section 5.4).
    #[error("pieces of messages in the wrong order")]
    Fragments,
    /// A Close frame whose code is reserved or whose payload is one byte or no text (sections 5.5.1 and 7.4).
    #[error("a Close frame that the protocol does not allow")]
    BadClose,
    /// A message of bytes: the sync protocol has none.
    #[error("a binary message")]
    Binary,
    /// A text that is not UTF-8 (section 8.1).
    #[error("a text that is not UTF-8")]
    NotUtf8,
    /// A frame or a message beyond the limit of its direction.
    #[error("a frame or a message that is too large")]
    TooLarge,
    /// A text that is no message of the sync protocol.
    #[error("a text that is no message of the sync protocol")]
    BadMessage,
    /// Versions of query set or identity that cannot follow on those before them.
    #[error("a version that cannot follow")]
    BadVersion,
    /// The client may not say this here: an admin key, or a token by `token.client_tokens`.
    #[error("a credential that is not taken")]
    Credential,
    /// The session that the client's token spoke for has ended.
    #[error("the session of the client's token has ended")]
    SessionEnded,
    /// Whether a session lives cannot be read from the deployment, for too long.
    #[error("whether the session lives is not known")]
    SessionUnknown,
    /// The deployment has refused a token of the proxy's on a socket that was in use.
    #[error("the deployment refused the proxy's token")]
    TokenRefused,
    /// An identity has ended at the deployment, and it is the proxy's, or nobody knows whose.
    #[error("an identity has ended at the deployment")]
    IdentityLost,
    /// `limits.buffered_bytes` is reached.
    #[error("too many bytes are held in memory")]
    TooManyBytes,
    /// Nothing was heard of the peer for longer than its liveness allows, or a message did not end in time.
    #[error("nothing was heard in time")]
    Silent,
    /// The deployment's connection has ended without a Close frame.
    #[error("the deployment's connection was lost")]
    UpstreamLost,
    /// The deployment said something that cannot be passed on.
    #[error("what the deployment said cannot be passed on")]
    UpstreamUnreadable,
    /// The proxy is being stopped.
    #[error("the proxy is being stopped")]
    Stopping,
}

impl Close {
    /// Without a code: what the other side's program sees as 1005.
    pub fn bare() -> Self {
        Self { code: None, reason: Box::default() }
    }

    /// What the deployment is told when it was not the one that ended it: nothing of what anybody did wrong.
    pub fn going_away() -> Self {
        Self::new(1001, "")
    }

    /// A code and a reason; beyond 123 bytes the reason is cut.
    pub fn new(code: u16, reason: &str) -> Self {
        let end = reason.floor_char_boundary(123);
        Self { code: Some(code), reason: reason.get(..end).unwrap_or_default().into() }
    }

    /// Reads the payload of a Close frame, untrusted.
    ///
    /// # Errors
    ///
    /// [`CloseCause::BadClose`]: one byte alone, a code that must not be sent (section 7.4: below 1000, 1004 to 1006, 1015, what is not
    /// defined below 3000, and from 5000), or a reason that is not UTF-8.
    pub fn read(payload: &[u8]) -> Result<Self, CloseCause> {
        let Some((code, reason)) = payload.split_first_chunk::<2>() else {
            return if payload.is_empty() { Ok(Self::bare()) } else { Err(CloseCause::BadClose) };
        };
        let code = u16::from_be_bytes(*code);
        let may_be_sent = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        match std::str::from_utf8(reason) {
            Ok(reason) if may_be_sent => Ok(Self { code: Some(code), reason: reason.into() }),
            _ => Err(CloseCause::BadClose),
        }
    }

    /// The payload that says it.
    pub fn payload(&self) -> Vec<u8> {
        let code = self.code.map(u16::to_be_bytes);
        code.iter().flatten().chain(self.reason.as_bytes().iter().filter(|_| code.is_some())).copied().collect()
    }

    /// The code; none for a bare one.
    pub fn code(&self) -> Option<u16> {
        self.code
    }
}

impl std::fmt::Debug for Close {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Close").field("code", &self.code).finish_non_exhaustive()
    }
}

impl CloseCause {
    /// What the client is told. Convex's clients choose how long to wait before they come back by the words that they know; these are
    /// none of them, so they wait a second.
    pub fn to_client(self) -> Close {
        // After an AuthError the deployment closes without a code, and so does the proxy.
        if matches!(self, Self::Credential | Self::SessionEnded) {
            return Close::bare();
        }
        Close::new(self.code(), self.name())
    }

    /// The word in reasons, metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Frame(_) => "InvalidFrame",
            Self::Fragments => "InvalidFragment",
            Self::BadClose => "InvalidClose",
            Self::Binary => "BinaryMessage",
            Self::NotUtf8 => "InvalidUtf8",
            Self::TooLarge => "MessageTooLarge",
            Self::BadMessage => "InvalidMessage",
            Self::BadVersion => "InvalidVersion",
            Self::Credential => "CredentialRefused",
            Self::SessionEnded => "SessionEnded",
            Self::SessionUnknown => "SessionUnknown",
            Self::TokenRefused => "TokenRefused",
            Self::IdentityLost => "IdentityLost",
            Self::TooManyBytes => "TooManyBytesBuffered",
            Self::Silent => "Silent",
            Self::UpstreamLost => "UpstreamLost",
            Self::UpstreamUnreadable => "UpstreamUnreadable",
            Self::Stopping => "Stopping",
        }
    }

    fn code(self) -> u16 {
        match self {
            Self::Frame(_) | Self::Fragments | Self::BadClose => 1002,
            Self::Binary => 1003,
            Self::NotUtf8 => 1007,
            Self::BadMessage | Self::Credential | Self::SessionEnded => 1008,
            Self::TooLarge => 1009,
            Self::BadVersion | Self::UpstreamUnreadable => 1011,
            Self::Stopping | Self::TokenRefused | Self::IdentityLost | Self::UpstreamLost => 1012,
            Self::TooManyBytes | Self::SessionUnknown => 1013,
            Self::Silent => 1001,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Close, CloseCause};

    #[test]
    fn rfc_6455_7_4_codes_that_must_not_be_sent_are_refused() {
        for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
            assert_eq!(Close::read(&code.to_be_bytes()), Err(CloseCause::BadClose), "{code}");
        }
        for code in [1000_u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4040, 4999] {
            let close = Close::read(&code.to_be_bytes()).expect("a code");
            assert_eq!(close.payload(), code.to_be_bytes(), "{code}");
        }
    }

    #[test]
    fn rfc_6455_5_5_1_a_close_has_no_payload_or_a_code_and_text() {
        assert_eq!(Close::read(&[]), Ok(Close::bare()));
        assert_eq!(Close::read(&[3]), Err(CloseCause::BadClose));
        assert_eq!(Close::read(&[3, 232, 0xFF]), Err(CloseCause::BadClose));
        let close = Close::read(b"\x03\xf5InternalServerError").expect("a close");
        assert_eq!(close.payload(), b"\x03\xf5InternalServerError");
        assert_eq!(Close::bare().payload(), b"");
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let close = Close::new(1000, &"ß".repeat(100));
        assert_eq!(close.payload().len(), 2 + 122);
        assert!(Close::read(&close.payload()).is_ok());
    }
}
