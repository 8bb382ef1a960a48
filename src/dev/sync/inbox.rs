//! What the client sends: frames to messages, by the backend's own parser.
//!
//! Invariant: a message that cannot be read ends the socket only after all messages before it were taken.

use std::future::pending;
use std::time::Duration;

use convex_sync_types::ClientMessage;
use futures_util::{Stream, StreamExt};
use serde_json::Value as Json;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::OpenSocket;
use super::ending::Ending;

/// A message, or that there are no more.
pub(super) type Received = Result<ClientMessage, Ending>;

/// Messages that wait to be taken at most; the client's next ones wait on its side (our choice).
pub(super) const WAITING: usize = 100;

/// Reads into the inbox. Comes back only when the connection itself has ended; what else ends the socket stands in the
/// inbox after the messages before it.
pub(super) async fn receive_all<S>(
    stream: &mut S,
    inbox: mpsc::Sender<Received>,
    socket: &OpenSocket,
    silence: Duration,
) -> Ending
where
    S: Stream<Item = Result<Message, Error>> + Unpin,
{
    loop {
        let Ok(frame) = tokio::time::timeout(silence, stream.next()).await else { return Ending::Silent };
        let received = match frame {
            Some(Ok(Message::Text(text))) => {
                socket.record(&text);
                parse(&text)
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Close(_))) => Err(Ending::Closed),
            Some(Ok(Message::Binary(_))) => Err(Ending::Internal),
            Some(Err(error)) if is_lost(&error) => return Ending::Lost,
            // Frames that are too large or none at all.
            Some(Err(_)) => Err(Ending::Internal),
            None => return Ending::Lost,
        };
        let is_last = received.is_err();
        if inbox.send(received).await.is_err() || is_last {
            return pending().await;
        }
    }
}

fn is_lost(error: &Error) -> bool {
    matches!(
        error,
        Error::Io(_)
            | Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
    )
}

/// Reads one message.
///
/// # Errors
///
/// - [`Ending::Fatal`]: no JSON, no known type, a field of another type, or no path of a function
fn parse(text: &str) -> Received {
    let fatal = |complaint: String| Ending::Fatal { error: format!("The message cannot be read: {complaint}") };
    let json: Json = serde_json::from_str(text).map_err(|error| fatal(error.to_string()))?;
    // The parser of paths panics on a long name that is not ASCII.
    if !paths(&json).all(str::is_ascii) {
        return Err(fatal("path components can only contain ASCII characters".to_owned()));
    }
    ClientMessage::try_from(json).map_err(|error| fatal(error.to_string()))
}

/// Every path of a function that the message may name.
fn paths(message: &Json) -> impl Iterator<Item = &str> {
    let modifications = message.get("modifications").and_then(Json::as_array).into_iter().flatten();
    std::iter::once(message).chain(modifications).filter_map(|part| part.get("udfPath")?.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fatal(text: &str) -> bool {
        matches!(parse(text), Err(Ending::Fatal { .. }))
    }

    #[test]
    fn messages_are_read_as_the_backend_reads_them() {
        for text in [
            r#"{"type":"Connect","sessionId":"00000000-0000-0000-0000-000000000001","connectionCount":0,"lastCloseReason":null,"more":1}"#,
            r#"{"modifications":[],"newVersion":1,"baseVersion":0,"baseVersion":0,"type":"ModifyQuerySet"}"#,
            r#"{"type":"Authenticate","baseVersion":0,"tokenType":"None"}"#,
            r#"{"type":"Mutation","requestId":0,"udfPath":"demo:send","args":{"not":"a list"},"componentPath":null}"#,
            r#"{"type":"Event","eventType":"anything","event":null}"#,
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_no_client_sends_is_fatal() {
        for text in [
            "",
            "{",
            "[]",
            r#"["Connect"]"#,
            r#"{"type":"connect"}"#,
            r#"{"type":"Ping"}"#,
            r#"{"type":"Connect","sessionId":"x","connectionCount":0}"#,
            r#"{"type":"ModifyQuerySet","baseVersion":0.0,"newVersion":1,"modifications":[]}"#,
            r#"{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1}"#,
            r#"{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[{"type":"Add","queryId":0}]}"#,
            r#"{"type":"Action","requestId":0,"udfPath":"./demo:ping","args":[]}"#,
            r#"{"type":"Action","requestId":0,"udfPath":"demo:ping"}"#,
        ] {
            assert!(fatal(text), "{text}");
        }
    }

    #[test]
    fn a_long_path_that_is_not_ascii_is_fatal_and_no_panic() {
        let path = format!("a{}", "é".repeat(64));
        assert!(fatal(&format!(r#"{{"type":"Mutation","requestId":0,"udfPath":"{path}:b","args":[]}}"#)));
        assert!(fatal(&format!(r#"{{"type":"Mutation","requestId":0,"udfPath":"b:{path}","args":[]}}"#)));
        let add = format!(r#"{{"type":"Add","queryId":0,"udfPath":"{path}","args":[]}}"#);
        assert!(fatal(&format!(
            r#"{{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[{add}]}}"#
        )));
    }
}
