//! One connection of the two: bytes in, bytes out, and what is held because the peer does not take it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use crate::server::Lease;

/// A connection after its handshake. Holds no buffer while it is idle.
#[derive(Debug)]
pub(super) struct Leg<S> {
    stream: S,
    /// Read with the handshake and not looked at yet.
    ahead: Vec<u8>,
    unsent: Unsent,
    /// When the peer was heard last.
    heard: Instant,
    /// When the peer was asked last whether it is there.
    asked: Instant,
}

/// Bytes that the peer has not taken yet.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    /// How many of them are gone.
    sent: usize,
    /// Whether the stream itself holds some: one with TLS does until it is flushed.
    is_in_stream: bool,
    /// Since when nothing was taken.
    since: Option<Instant>,
    /// Counts them; none while there are few.
    lease: Option<Lease>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Leg<S> {
    /// A connection, with what was read of it already.
    pub(super) fn new(stream: S, ahead: Vec<u8>, now: Instant) -> Self {
        Self { stream, ahead, unsent: Unsent::default(), heard: now, asked: now }
    }

    /// Reads what there is, without waiting for more. Nothing read is the end.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if !self.ahead.is_empty() {
            let bytes = self.ahead.len().min(into.len());
            if let (Some(to), Some(from)) = (into.get_mut(..bytes), self.ahead.get(..bytes)) {
                to.copy_from_slice(from);
            }
            self.ahead.drain(..bytes);
            if self.ahead.is_empty() {
                self.ahead = Vec::new();
            }
            return Poll::Ready(Ok(bytes));
        }
        let mut buffer = ReadBuf::new(into);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        let bytes = buffer.filled().len();
        if bytes > 0 {
            self.heard = Instant::now();
        }
        Poll::Ready(Ok(bytes))
    }

    /// Sends bytes behind those that wait; what the peer does not take at once waits, and counts against the memory that `lease` gives.
    ///
    /// # Errors
    ///
    /// The system's: the peer is gone. [`io::ErrorKind::OutOfMemory`]: others hold the memory.
    pub(super) fn send(
        &mut self,
        context: &mut Context<'_>,
        mut bytes: &[u8],
        lease: impl FnOnce() -> Lease,
    ) -> io::Result<()> {
        if !self.is_clear() {
            return self.unsent.hold(bytes, lease);
        }
        while !bytes.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, bytes) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => bytes = bytes.get(written..).unwrap_or_default(),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.unsent.since = Some(Instant::now());
                    return self.unsent.hold(bytes, lease);
                }
            }
        }
        self.flush(context)
    }

    /// Goes on sending what waits.
    ///
    /// # Errors
    ///
    /// The system's: the peer is gone.
    pub(super) fn resume(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.is_clear() {
            return Ok(());
        }
        while let Some(rest) = self.unsent.bytes.get(self.unsent.sent..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    self.unsent.sent += written;
                    self.unsent.since = Some(Instant::now());
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        // Lets its memory go. How long a stream with TLS has held some of it is not forgotten.
        self.unsent = Unsent { is_in_stream: true, since: self.unsent.since, ..Unsent::default() };
        self.flush(context)
    }

    /// Whether the peer has taken all.
    pub(super) fn is_clear(&self) -> bool {
        self.unsent.bytes.is_empty() && !self.unsent.is_in_stream
    }

    /// How many bytes wait.
    pub(super) fn unsent_bytes(&self) -> usize {
        self.unsent.bytes.len() - self.unsent.sent
    }

    /// Since when the peer has taken nothing of what waits.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        self.unsent.since
    }

    /// When the peer was heard last.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// When something last passed that shows, or will show, whether the peer is there.
    pub(super) fn tested(&self) -> Instant {
        self.heard.max(self.asked)
    }

    /// Notes that the peer was asked whether it is there.
    pub(super) fn ask(&mut self, now: Instant) {
        self.asked = now;
    }

    /// Counts the peer as heard: it was not listened to.
    pub(super) fn excuse(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Says that nothing more will come.
    pub(super) fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn flush(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(flushed) => {
                self.unsent = Unsent::default();
                flushed
            }
            Poll::Pending => {
                self.unsent.is_in_stream = true;
                self.unsent.since.get_or_insert_with(Instant::now);
                Ok(())
            }
        }
    }
}

impl Unsent {
    fn hold(&mut self, bytes: &[u8], lease: impl FnOnce() -> Lease) -> io::Result<()> {
        let held = self.bytes.len() + bytes.len();
        let is_counted = match &mut self.lease {
            Some(counted) => counted.grow(bytes.len()),
            None if held <= UNCOUNTED_BYTES => Ok(()),
            None => self.lease.insert(lease()).grow(held),
        };
        is_counted.map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// Bytes that may wait without being counted (our choice): what a slow peer leaves of a usual message.
const UNCOUNTED_BYTES: usize = 16 * 1_024;

impl std::fmt::Debug for Unsent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Unsent({} bytes)", self.bytes.len() - self.sent)
    }
}
