//! How a socket ends: the last message and the close frame of each way.
//!
//! The kinds are the backend's (`crates/errors`): what is the client's fault is told in a message and closed without a
//! code; what is not is told by the code alone, so that clients try again.

use http::StatusCode;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::message::{self, ServerMessage};
use crate::dev::refusal::Refusal;

/// Why a socket ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The client closed it.
    Closed,
    /// The connection is gone.
    Lost,
    /// The client was silent for too long.
    Silent,
    /// The deployment is being stopped.
    Stopped,
    /// A message that a client never sends. The client gives up for good.
    Fatal {
        /// What is wrong with it.
        error: String,
    },
    /// A token that is not taken, or no longer.
    Authentication {
        /// Why.
        error: String,
        /// The identity version of the newest Transition.
        base_version: u32,
        /// Whether a new token was refused, rather than that the one in use has died.
        update_attempted: bool,
    },
    /// Versions or ids that do not fit together, or frames that are none of this protocol.
    Internal,
    /// Somebody else is down, or too much was asked of him.
    Overloaded {
        /// The name of the failure, as clients choose their pause by it.
        reason: &'static str,
    },
}

impl Ending {
    /// What a refused token comes to.
    pub(super) fn refused(refusal: &Refusal, base_version: u32) -> Self {
        let status = refusal.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Self::Overloaded { reason: refusal.code() };
        }
        Self::Authentication { error: refusal.to_string(), base_version, update_attempted: true }
    }

    /// The message before the close frame.
    pub(super) fn last_words(&self) -> Option<String> {
        match self {
            Self::Fatal { error } => Some(message::print(&ServerMessage::FatalError { error })),
            Self::Authentication { error, base_version, update_attempted } => {
                Some(message::print(&ServerMessage::AuthError {
                    error,
                    base_version: *base_version,
                    auth_update_attempted: *update_attempted,
                }))
            }
            Self::Closed | Self::Lost | Self::Silent | Self::Stopped | Self::Internal | Self::Overloaded { .. } => None,
        }
    }

    /// The close frame; none when the client sent one or is gone.
    pub(super) fn close(&self) -> Option<Message> {
        let coded = |code: u16, reason: &'static str| {
            Message::Close(Some(CloseFrame { code: CloseCode::from(code), reason: reason.into() }))
        };
        match self {
            Self::Closed | Self::Lost => None,
            Self::Fatal { .. } | Self::Authentication { .. } => Some(Message::Close(None)),
            Self::Silent => Some(coded(1000, "")),
            Self::Stopped => Some(coded(1012, "Stopped")),
            Self::Internal => Some(coded(1011, "InternalServerError")),
            Self::Overloaded { reason } => Some(coded(1013, reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_token_is_told_and_an_outage_is_not() {
        let discovery = |status| {
            let refusal =
                Refusal::Discovery { status: StatusCode::from_u16(status).unwrap(), issuer: "http://i".to_owned() };
            Ending::refused(&refusal, 3)
        };
        for told in [400, 403, 404] {
            assert!(matches!(discovery(told), Ending::Authentication { base_version: 3, .. }), "{told}");
        }
        for silent in [429, 503] {
            assert_eq!(discovery(silent), Ending::Overloaded { reason: "AuthProviderDiscoveryFailed" }, "{silent}");
        }
        let refused = Ending::refused(&Refusal::AdminKeyWrong, 0);
        assert_eq!(
            refused.last_words().unwrap(),
            r#"{"type":"AuthError","error":"The provided admin key was invalid for this instance","baseVersion":0,"authUpdateAttempted":true}"#
        );
        assert_eq!(refused.close(), Some(Message::Close(None)));
    }

    #[test]
    fn what_is_not_the_clients_fault_has_a_code_and_no_message() {
        let code = |ending: Ending| {
            assert_eq!(ending.last_words(), None);
            let Some(Message::Close(Some(frame))) = ending.close() else { panic!("no code") };
            (u16::from(frame.code), frame.reason.to_string())
        };
        assert_eq!(code(Ending::Internal), (1011, "InternalServerError".to_owned()));
        assert_eq!(code(Ending::Silent).0, 1000);
        assert_eq!(code(Ending::Stopped).0, 1012);
        assert_eq!(code(Ending::Overloaded { reason: "Busy" }), (1013, "Busy".to_owned()));
    }
}
