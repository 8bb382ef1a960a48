//! As much HTTP/1.1 as the two ends need: a head, a body with a length, the upgrade.

use std::io;

use base64::{Engine, engine::general_purpose::STANDARD};
use memchr::memmem;
use sha1::{Digest, Sha1};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpListener,
};

/// Says on standard output where `listener` listens, for whoever started this process.
///
/// # Errors
///
/// When the listener has no address any more.
pub fn announce(listener: &TcpListener) -> io::Result<()> {
    println!("listening {}", listener.local_addr()?);
    Ok(())
}

/// A head, from its first line to the empty one, and what was read beyond it.
pub struct Head {
    text: String,
    pub rest: Vec<u8>,
}

impl Head {
    /// Reads one head after `rest`, what was read already. `None` at an end between two heads.
    ///
    /// # Errors
    ///
    /// The stream's; an end amid a head; a head beyond 64 KiB or that is no text.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin), rest: Vec<u8>) -> io::Result<Option<Self>> {
        let mut bytes = rest;
        loop {
            if let Some(end) = memmem::find(&bytes, b"\r\n\r\n") {
                let rest = bytes.split_off(end + 4);
                let text = String::from_utf8(bytes).map_err(io::Error::other)?;
                return Ok(Some(Self { text, rest }));
            }
            if bytes.len() > MAX_HEAD_BYTES {
                return Err(io::Error::other("a head that does not end"));
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return if bytes.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// The first line.
    pub fn start(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The value of the first line of that name, compared without case.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.text
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value.trim()))
    }

    /// Reads the body that `Content-Length` announces; what comes after it stays in `rest`.
    ///
    /// # Errors
    ///
    /// The stream's; a length that is no number; an end amid the body.
    pub async fn body(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
        let length = self.value("content-length").unwrap_or("0").parse().map_err(io::Error::other)?;
        let mut body = std::mem::take(&mut self.rest);
        while body.len() < length {
            if stream.read_buf(&mut body).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.rest = body.split_off(length);
        Ok(body)
    }
}

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455, section 4.2.2).
pub fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize())
}

const MAX_HEAD_BYTES: usize = 64 * 1024;
