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
    /// Whether the stream took nothing when it was last offered something. Only then is it news that it takes more: one with TLS takes
    /// what it has room for, whether its peer takes anything or not.
    was_full: bool,
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
                    self.unsent.was_full = true;
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
                    if std::mem::take(&mut self.unsent.was_full) {
                        self.unsent.since = Some(Instant::now());
                    }
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    self.unsent.was_full = true;
                    return Ok(());
                }
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

#[cfg(test)]
mod tests {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll, Waker},
        time::Duration,
    };

    use tokio::{
        io::{AsyncRead, AsyncWrite, ReadBuf},
        time::{Instant, advance},
    };

    use super::Leg;
    use crate::{classify::Listener, sync::laws::Judging};

    /// As a stream with TLS whose peer takes nothing: it has room for so many bytes, and none of them ever leaves.
    struct Hoarder {
        room: usize,
    }

    impl AsyncRead for Hoarder {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Hoarder {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.room);
            self.room -= taken;
            if taken > 0 { Poll::Ready(Ok(taken)) } else { Poll::Pending }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_takes_bytes_and_lets_none_go_makes_no_progress() {
        let judging = Judging::new();
        let lease = || judging.intake.lease(Listener::Public);
        let mut context = Context::from_waker(Waker::noop());
        let start = Instant::now();
        let mut leg = Leg::new(Hoarder { room: 1_000 }, Vec::new(), start);
        leg.send(&mut context, &[0; 100], lease).unwrap();
        assert_eq!(leg.stalled_since(), Some(start));
        for _ in 0..5 {
            advance(Duration::from_secs(1)).await;
            // As a pong for every ping of a peer that does not read.
            leg.send(&mut context, &[0; 10], lease).unwrap();
            leg.resume(&mut context).unwrap();
            assert!(!leg.is_clear());
            assert_eq!(leg.stalled_since(), Some(start));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_was_full_and_takes_more_makes_progress() {
        let judging = Judging::new();
        let lease = || judging.intake.lease(Listener::Public);
        let mut context = Context::from_waker(Waker::noop());
        let mut leg = Leg::new(Hoarder { room: 50 }, Vec::new(), Instant::now());
        leg.send(&mut context, &[0; 100], lease).unwrap();
        assert_eq!(leg.unsent_bytes(), 50);
        advance(Duration::from_secs(1)).await;
        leg.stream.room = 20;
        leg.resume(&mut context).unwrap();
        assert_eq!((leg.unsent_bytes(), leg.stalled_since()), (30, Some(Instant::now())));
    }
}
