//! A connection that stays: bytes out as the test has them, answers in one by one, and its end.

use std::{io, net::SocketAddr, path::Path, pin::Pin};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

use super::Answer;

trait Stream: AsyncRead + AsyncWrite + Send {}
impl<S: AsyncRead + AsyncWrite + Send> Stream for S {}

/// A client's end of a connection.
pub(crate) struct Connection {
    stream: Pin<Box<dyn Stream>>,
    came: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> Self {
        Self::try_open(to).await.unwrap()
    }

    pub(crate) async fn try_open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: Box::pin(stream), came: Vec::new() })
    }

    pub(crate) async fn open_unix(path: &Path) -> Self {
        Self { stream: Box::pin(UnixStream::connect(path).await.unwrap()), came: Vec::new() }
    }

    /// Sends bytes as they are; whether the other side still took them.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Reads until these bytes have come, and gives all up to their end.
    pub(crate) async fn read_to(&mut self, mark: &str) -> String {
        loop {
            let found = self.came.windows(mark.len()).position(|window| window == mark.as_bytes());
            if let Some(at) = found {
                let head: Vec<u8> = self.came.drain(..at + mark.len()).collect();
                return String::from_utf8_lossy(&head).into_owned();
            }
            assert!(self.read().await, "closed before {mark:?}: {}", String::from_utf8_lossy(&self.came));
        }
    }

    /// Reads so many bytes.
    pub(crate) async fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        while self.came.len() < count {
            assert!(self.read().await, "closed after {} of {count} bytes", self.came.len());
        }
        self.came.drain(..count).collect()
    }

    /// Reads one answer, whole; the connection stays. An interim answer (1xx) and one without a body (HEAD, 204, 304) are their heads.
    pub(crate) async fn answer_to(&mut self, method: &str) -> Answer {
        let head = self.read_to("\r\n\r\n").await;
        let mut answer = Answer::parse(head.as_bytes());
        if method == "HEAD" || answer.status < 200 || matches!(answer.status, 204 | 304) {
            return answer;
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            let body = self.read_to("0\r\n\r\n").await;
            return Answer::parse([head.as_bytes(), body.as_bytes()].concat().as_slice());
        }
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.came.len() < length {
            assert!(self.read().await, "closed within a body");
        }
        answer.body = self.came.drain(..length).collect();
        answer
    }

    /// Reads one answer to anything but HEAD.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_to("POST").await
    }

    /// Waits until the other side has closed, and gives what came before that was not read yet.
    pub(crate) async fn closed(mut self) -> String {
        while self.read().await {}
        String::from_utf8_lossy(&self.came).into_owned()
    }

    /// Reads some more; false at the end.
    async fn read(&mut self) -> bool {
        let mut buffer = [0; 16 * 1_024];
        match self.stream.read(&mut buffer).await {
            Ok(read) if read > 0 => {
                self.came.extend_from_slice(&buffer[..read]);
                true
            }
            _ => false,
        }
    }
}
