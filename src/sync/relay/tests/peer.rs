//! One end of a stream, with frames written and read by hand: what is tried must not be what tries.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::timeout,
};

/// The client, or the deployment.
pub(super) struct Peer {
    stream: DuplexStream,
    is_client: bool,
    received: Vec<u8>,
}

/// Something that a peer has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Got {
    Text(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    End,
}

pub(super) const TEXT: u8 = 0x81;
pub(super) const PING: u8 = 0x89;
pub(super) const PONG: u8 = 0x8A;
pub(super) const CLOSE: u8 = 0x88;

impl Peer {
    pub(super) fn client(stream: DuplexStream) -> Self {
        Self { stream, is_client: true, received: Vec::new() }
    }

    pub(super) fn deployment(stream: DuplexStream) -> Self {
        Self { stream, is_client: false, received: Vec::new() }
    }

    /// The bytes of a frame as this peer has to send it.
    pub(super) fn frame(&self, first: u8, payload: &[u8]) -> Vec<u8> {
        frame(first, payload, self.is_client.then_some([7, 0, 255, 42]))
    }

    pub(super) async fn send(&mut self, first: u8, payload: &[u8]) {
        let bytes = self.frame(first, payload);
        self.raw(&bytes).await;
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the relay reads");
    }

    /// Sends what is taken without waiting; says how many bytes were.
    pub(super) async fn send_what_is_taken(&mut self, bytes: &[u8]) -> usize {
        let mut sent = 0;
        while let Ok(written) = timeout(MOMENT, self.stream.write(&bytes[sent..])).await {
            sent += written.expect("the relay lives");
            if sent == bytes.len() {
                break;
            }
        }
        sent
    }

    pub(super) async fn text(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes()).await;
    }

    pub(super) async fn close(&mut self, code: u16, reason: &str) {
        let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
        self.send(CLOSE, &payload).await;
    }

    /// The next frame. Waits for as long as it takes.
    pub(super) async fn next(&mut self) -> Got {
        loop {
            if let Some(got) = self.take_frame() {
                return got;
            }
            if !self.read_more().await {
                assert!(self.received.is_empty(), "the stream ended within a frame");
                return Got::End;
            }
        }
    }

    /// The next text, as JSON.
    pub(super) async fn json(&mut self) -> Value {
        match self.next().await {
            Got::Text(text) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("a text was expected, and came: {other:?}"),
        }
    }

    /// The next text, as it is.
    pub(super) async fn next_text(&mut self) -> String {
        match self.next().await {
            Got::Text(text) => text,
            other => panic!("a text was expected, and came: {other:?}"),
        }
    }

    /// Frames until something else than a ping comes. Each ping is answered, as a browser does.
    pub(super) async fn next_but_pings(&mut self) -> Got {
        loop {
            match self.next().await {
                Got::Ping(payload) => self.send(PONG, &payload).await,
                other => return other,
            }
        }
    }

    /// Asserts that nothing comes for a moment.
    pub(super) async fn hears_nothing(&mut self) {
        if let Ok(got) = timeout(MOMENT, self.next()).await {
            panic!("nothing was expected, and came: {got:?}");
        }
    }

    /// Bytes that have come, however many: at least so many.
    pub(super) async fn read_at_least(&mut self, bytes: usize) -> &[u8] {
        while self.received.len() < bytes {
            assert!(self.read_more().await, "the stream ended");
        }
        &self.received
    }

    async fn read_more(&mut self) -> bool {
        self.received.reserve(64 * 1_024);
        self.stream.read_buf(&mut self.received).await.is_ok_and(|bytes| bytes > 0)
    }

    fn take_frame(&mut self) -> Option<Got> {
        let bytes = &self.received;
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        assert_eq!(second & 0x80 != 0, !self.is_client, "clients mask, servers do not");
        let (length, mut at) = match second & 0x7F {
            126 => (u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?), 10),
            short => (u64::from(short), 2),
        };
        let mask: [u8; 4] = if self.is_client { [0; 4] } else { *bytes.get(at..)?.first_chunk()? };
        at += if self.is_client { 0 } else { 4 };
        let end = at + usize::try_from(length).expect("a length");
        let mut payload = bytes.get(at..end)?.to_vec();
        if mask != [0; 4] {
            for (index, byte) in payload.iter_mut().enumerate() {
                *byte ^= mask[index % 4];
            }
        }
        self.received.drain(..end);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Some(match first {
            TEXT => Got::Text(text(&payload)),
            PING => Got::Ping(payload),
            PONG => Got::Pong(payload),
            CLOSE => match payload.split_first_chunk() {
                Some((code, reason)) => Got::Close(Some(u16::from_be_bytes(*code)), text(reason)),
                None => Got::Close(None, text(&payload)),
            },
            first => panic!("a frame that nobody sends: {first:#x}"),
        })
    }
}

/// As long as nothing is waited for here.
pub(super) const MOMENT: Duration = Duration::from_millis(10);

/// A frame with its length in the shortest form.
pub(super) fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = head(first, payload.len() as u64, mask.is_some());
    let start = bytes.len() + mask.map_or(0, |mask| mask.len());
    bytes.extend(mask.iter().flatten());
    bytes.extend_from_slice(payload);
    if let Some(mask) = mask {
        for (index, byte) in bytes[start..].iter_mut().enumerate() {
            *byte ^= mask[index % 4];
        }
    }
    bytes
}

/// A head without its mask.
pub(super) fn head(first: u8, length: u64, is_masked: bool) -> Vec<u8> {
    let bit = if is_masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(bit | u8::try_from(length).expect("short")),
        126..=65_535 => {
            bytes.push(bit | 126);
            bytes.extend(u16::try_from(length).expect("middling").to_be_bytes());
        }
        _ => {
            bytes.push(bit | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes
}
