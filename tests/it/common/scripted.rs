//! A deployment that does as the test says: each request waits until the test takes it and answers it, or lets it go.
//!
//! `GET /version` is answered by itself, as the readiness watch asks it at moments that no test chooses.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// The deployment.
pub(crate) struct Scripted {
    address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Received>,
}

/// One request that came, with the connection it came by. Dropping it closes the connection.
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    stream: TcpStream,
    later: mpsc::UnboundedSender<Self>,
}

impl Scripted {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(receive(stream, sender.clone()));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request, however long it takes to come.
    pub(crate) async fn next(&mut self) -> Received {
        self.requests.recv().await.unwrap()
    }

    /// Whether a request has come that was not taken yet.
    pub(crate) fn has_next(&self) -> bool {
        !self.requests.is_empty()
    }
}

impl Received {
    /// The request line's target.
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// A header's value; header names are lower case here.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &'_ str| line.split_once(':').is_some_and(|(known, _)| known == name);
        self.head.lines().find(|text| line(text)).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Answers 200 with JSON.
    pub(crate) async fn answer(self, body: &str) {
        self.answer_with("200 OK", "application/json", body).await;
    }

    /// Answers with any status line and type, and closes.
    pub(crate) async fn answer_with(mut self, status: &str, content_type: &str, body: &str) {
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        self.send(head.as_bytes()).await;
        self.send(body.as_bytes()).await;
        let _ = self.stream.shutdown().await;
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Waits until the proxy has closed its side.
    pub(crate) async fn closed(mut self) {
        let mut rest = [0; 1_024];
        while matches!(self.stream.read(&mut rest).await, Ok(read) if read > 0) {}
    }
}

async fn receive(mut stream: TcpStream, sender: mpsc::UnboundedSender<Received>) {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1_024];
    loop {
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&buffer[..read]),
            _ => return,
        }
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let is_chunked = head.contains("transfer-encoding: chunked");
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        let body = &bytes[end + 4..];
        // What is passed on unread is handed over as it begins.
        let is_stream = head.starts_with("POST /api/query_ts ");
        if !is_stream && (body.len() < length || (is_chunked && !body.ends_with(b"0\r\n\r\n"))) {
            continue;
        }
        let received = Received { body: body.to_vec(), stream, head, later: sender.clone() };
        if received.target() == "/version" {
            return received.answer_with("200 OK", "text/plain", "scripted").await;
        }
        let _ = sender.send(received);
        return;
    }
}

impl Received {
    /// Answers 200 with JSON and keeps the connection: the next request on it is received like any other.
    pub(crate) async fn answer_and_stay(mut self, body: &str) {
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        self.send(head.as_bytes()).await;
        self.send(body.as_bytes()).await;
        tokio::spawn(receive(self.stream, self.later));
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Whether the proxy has not ended the connection yet.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// The proxy's end of the connection: the same address twice is the same connection.
    pub(crate) fn connection(&self) -> SocketAddr {
        self.stream.peer_addr().unwrap()
    }

    /// Sends as much as the proxy takes at this moment.
    pub(crate) fn try_send(&self, bytes: &[u8]) -> usize {
        self.stream.try_write(bytes).unwrap_or(0)
    }

    /// Reads on until these bytes have come; for a request that is handed over as it begins.
    pub(crate) async fn read_to(&mut self, mark: &str) {
        while !self.body.windows(mark.len()).any(|window| window == mark.as_bytes()) {
            let mut buffer = [0; 1_024];
            let read = self.stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "closed before {mark:?}");
            self.body.extend_from_slice(&buffer[..read]);
        }
    }
}

/// What is left of a request when it was answered.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The request line's target.
    pub(crate) target: String,
    /// Header names, lower case, and values.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// The answer of a function that returned nothing.
pub(crate) const NOTHING: &str = r#"{"status":"success","value":null}"#;

impl Scripted {
    /// Sends a request through the proxy and answers the one request that comes of it.
    pub(crate) async fn pass(&mut self, request: crate::common::Request, body: &str) -> (Seen, crate::common::Answer) {
        let mut sending = tokio::spawn(request.send());
        let received = tokio::select! {
            received = self.next() => received,
            answer = &mut sending => panic!("nothing went upstream: {:?}", answer.unwrap().text()),
        };
        let seen = received.seen();
        received.answer(body).await;
        (seen, sending.await.unwrap())
    }
}

impl Received {
    pub(crate) fn seen(&self) -> Seen {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        Seen {
            target: self.target().to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect(),
            body: String::from_utf8(self.body.clone()).unwrap(),
        }
    }
}

impl Seen {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn new(target: &str, headers: &http::HeaderMap, body: &[u8]) -> Self {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Self {
            target: target.to_owned(),
            headers: headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}
