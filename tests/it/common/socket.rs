//! A sync socket as a client holds it: raw messages, so that a test says what no published client would.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, Message, client::IntoClientRequest, http::HeaderValue, protocol::WebSocketConfig},
};

/// How long anything may take that a test waits for. Nothing waits this long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The client's end of a socket.
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
}

/// What came over a socket.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Message(Value),
    /// Code and reason; none where the frame had none.
    Closed(Option<(u16, String)>),
    /// The connection ended without a Close frame.
    Lost,
}

/// A socket that is to be opened.
pub(crate) struct Opening {
    to: SocketAddr,
    target: String,
    headers: Vec<(&'static str, String)>,
}

pub(crate) fn socket(to: SocketAddr) -> Opening {
    Opening { to, target: "/api/1.48.0/sync".to_owned(), headers: Vec::new() }
}

impl Opening {
    pub(crate) fn target(mut self, target: &str) -> Self {
        self.target = target.to_owned();
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// As a browser on a listed page sends it.
    pub(crate) fn cookie(self, token: &str) -> Self {
        self.header("cookie", &format!("authjs.session-token={token}")).header("origin", super::ORIGIN)
    }

    /// Opens it; the status of the refusal where it is refused.
    pub(crate) async fn try_open(self) -> Result<Socket, u16> {
        let mut request = format!("ws://{}{}", self.to, self.target).into_client_request().unwrap();
        for (name, value) in self.headers {
            request.headers_mut().append(name, HeaderValue::try_from(value).unwrap());
        }
        let tcp = TcpStream::connect(self.to).await.unwrap();
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        match client_async_with_config(request, tcp, Some(config)).await {
            Ok((stream, answer)) => {
                assert!(answer.headers().get("sec-websocket-extensions").is_none(), "nothing is compressed (L12)");
                Ok(Socket { stream })
            }
            Err(tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn open(self) -> Socket {
        self.try_open().await.unwrap_or_else(|status| panic!("refused with {status}"))
    }

    /// Opens it and says `Connect`.
    pub(crate) async fn connect(self) -> Socket {
        let mut socket = self.open().await;
        socket.say(&connect()).await;
        socket
    }
}

/// Waits for something that happens soon, or fails.
pub(crate) async fn soon<T>(happens: impl Future<Output = T>) -> T {
    timeout(PATIENCE, happens).await.expect("it happens soon")
}

/// The message that every client says first.
pub(crate) fn connect() -> Value {
    json!({
        "type": "Connect", "sessionId": "7f1e5a52-22d1-4bd1-8f0a-0123456789ab", "connectionCount": 0,
        "lastCloseReason": null, "clientTs": 1,
    })
}

/// A change of the query set by one version.
pub(crate) fn modify(base: u32, modifications: &[Value]) -> Value {
    json!({ "type": "ModifyQuerySet", "baseVersion": base, "newVersion": base + 1, "modifications": modifications })
}

pub(crate) fn add(query: u32, path: &str, argument: &Value) -> Value {
    json!({ "type": "Add", "queryId": query, "udfPath": path, "args": [argument] })
}

pub(crate) fn remove(query: u32) -> Value {
    json!({ "type": "Remove", "queryId": query })
}

pub(crate) fn mutation(request: u32, path: &str, argument: &Value) -> Value {
    json!({ "type": "Mutation", "requestId": request, "udfPath": path, "args": [argument] })
}

pub(crate) fn action(request: u32, path: &str, argument: &Value) -> Value {
    json!({ "type": "Action", "requestId": request, "udfPath": path, "args": [argument] })
}

pub(crate) fn authenticate(base: u32, token: Option<&str>) -> Value {
    match token {
        Some(token) => json!({ "type": "Authenticate", "baseVersion": base, "tokenType": "User", "value": token }),
        None => json!({ "type": "Authenticate", "baseVersion": base, "tokenType": "None" }),
    }
}

impl Socket {
    pub(crate) async fn say(&mut self, message: &Value) {
        self.say_text(&message.to_string()).await;
    }

    pub(crate) async fn say_text(&mut self, text: &str) {
        self.send(Message::text(text)).await;
    }

    pub(crate) async fn send(&mut self, message: Message) {
        timeout(PATIENCE, self.stream.send(message)).await.unwrap().unwrap();
    }

    /// The next thing that comes, control frames between apart.
    pub(crate) async fn heard(&mut self) -> Heard {
        loop {
            return match timeout(PATIENCE, self.stream.next()).await.expect("something is heard") {
                Some(Ok(Message::Text(text))) => Heard::Message(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => {
                    Heard::Closed(frame.map(|frame| (frame.code.into(), frame.reason.to_string())))
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => continue,
                Some(Err(_)) | None => Heard::Lost,
            };
        }
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Value {
        match self.heard().await {
            Heard::Message(message) => message,
            end @ (Heard::Closed(_) | Heard::Lost) => panic!("{end:?}"),
        }
    }

    /// The next message of that type; others are passed over.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The next result of that query: its value, or the whole modification where it is another.
    pub(crate) async fn next_result(&mut self, query: u32) -> Value {
        loop {
            let transition = self.next_of("Transition").await;
            let of_query = |modification: &&Value| modification["queryId"] == json!(query);
            if let Some(modification) = transition["modifications"].as_array().unwrap().iter().find(of_query) {
                let is_result = modification["type"] == "QueryUpdated";
                return if is_result { modification["value"].clone() } else { modification.clone() };
            }
        }
    }

    /// The first results of those queries, in their order: one transition may tell of several.
    pub(crate) async fn next_results(&mut self, queries: &[u32]) -> Vec<Value> {
        let mut results = vec![None; queries.len()];
        while results.iter().any(Option::is_none) {
            let transition = self.next_of("Transition").await;
            for modification in transition["modifications"].as_array().unwrap() {
                let place = queries.iter().position(|query| modification["queryId"] == json!(query));
                results[place.unwrap()] = Some(modification["value"].clone());
            }
        }
        results.into_iter().flatten().collect()
    }

    /// How the socket ends; messages before are passed over.
    pub(crate) async fn end(&mut self) -> Heard {
        loop {
            match self.heard().await {
                Heard::Message(_) => {}
                end @ (Heard::Closed(_) | Heard::Lost) => return end,
            }
        }
    }
}
