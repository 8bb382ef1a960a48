//! Sockets over the wire: a deployment on a free port, frames of `tokio-tungstenite`, and Convex's own client.

mod calls;
mod endings;
mod patience;
mod wire;

use std::collections::BTreeMap;
use std::future::Future;

use convex::{ConvexClient, FunctionResult, Value as ConvexValue};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::socket::converse;
use super::*;
use crate::dev::tests::{Running, TestKey};

const SESSION: &str = "00000000-0000-0000-0000-000000000001";

/// One end of a socket.
struct Socket<S = TcpStream>(WebSocketStream<S>);

impl Socket {
    async fn open(running: &Running) -> Self {
        Self::open_at(running, "/api/sync", None).await
    }

    async fn open_at(running: &Running, target: &str, client: Option<&'static str>) -> Self {
        Self::try_open(running, target, client).await.unwrap()
    }

    async fn try_open(running: &Running, target: &str, client: Option<&'static str>) -> Result<Self, Error> {
        let authority = running.address.strip_prefix("http://").unwrap();
        let mut request = format!("ws://{authority}{target}").into_client_request().unwrap();
        if let Some(client) = client {
            request.headers_mut().insert("convex-client", client.parse().unwrap());
        }
        let stream = TcpStream::connect(authority).await.unwrap();
        let config = WebSocketConfig::default().max_frame_size(None).max_message_size(None);
        Ok(Self(client_async_with_config(request, stream, Some(config)).await?.0))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    async fn send(&mut self, message: Json) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next frame but pings.
    async fn frame(&mut self) -> Message {
        loop {
            let frame = self.0.next().await.unwrap().unwrap();
            if !frame.is_ping() {
                return frame;
            }
        }
    }

    async fn next(&mut self) -> Json {
        let frame = self.frame().await;
        let Message::Text(text) = frame else { panic!("{frame}") };
        serde_json::from_str(&text).unwrap()
    }

    /// The next message, which must be of this type.
    async fn expect(&mut self, kind: &str) -> Json {
        let message = self.next().await;
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// The code and reason with which the socket is closed next; no code is 1005.
    async fn closed(&mut self) -> (u16, String) {
        let frame = self.frame().await;
        let Message::Close(close) = frame else { panic!("{frame}") };
        close.map_or((1005, String::new()), |close| (close.code.into(), close.reason.to_string()))
    }

    async fn modify(&mut self, base: u32, modifications: Json) {
        let new = base + 1;
        self.send(
            json!({"type": "ModifyQuerySet", "baseVersion": base, "newVersion": new, "modifications": modifications}),
        )
        .await;
    }

    async fn authenticate(&mut self, base: u32, token: &str) {
        self.send(json!({"type": "Authenticate", "baseVersion": base, "tokenType": "User", "value": token})).await;
    }
}

fn connect() -> Json {
    json!({"type": "Connect", "sessionId": SESSION, "connectionCount": 0, "lastCloseReason": "InitialConnect", "clientTs": 0})
}

fn add(query_id: u32, path: &str) -> Json {
    json!({"type": "Add", "queryId": query_id, "udfPath": path, "args": [{}]})
}

fn mutation(request_id: u32, body: &str) -> Json {
    json!({"type": "Mutation", "requestId": request_id, "udfPath": "demo:send", "args": [{"body": body}]})
}

fn ping_action(request_id: u32) -> Json {
    json!({"type": "Action", "requestId": request_id, "udfPath": "demo:ping", "args": [{}]})
}

fn ts(text: &Json) -> u64 {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap();
    u64::from_le_bytes(bytes.try_into().unwrap())
}

fn bodies(list: &Json) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|message| message["body"].as_str().unwrap()).collect()
}

/// Waits until the deployment's sockets are as asked.
async fn until(running: &Running, is_so: impl Fn() -> bool) {
    let mut activity = running.deployment.sync_activity();
    while !is_so() {
        activity.changed().await.unwrap();
    }
}
