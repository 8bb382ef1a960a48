//! A client's connection as hyper sees it, with the two waits that hyper does not tell apart: for a request to begin, and for its head
//! to end.
//!
//! hyper's own header timeout covers both and closes without a word. Here a connection that says nothing is closed in silence, after
//! `timeouts.idle` or, when it is new, `timeouts.header`; one that began a head and does not end it is answered 408. Neither wait runs
//! while an answer is being delivered.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use pingora_core::protocols::Stream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, sleep_until},
};

/// A connection with its waits.
pub(super) struct ClientStream {
    stream: Stream,
    exchange: Exchange,
    /// The state of the exchange when it was last looked at.
    seen: u64,
    waits: Waits,
    /// Whether a head began to arrive that has not ended.
    head_began: bool,
    /// Whether something was written that was not flushed yet. hyper lets go of an answer's body when it has taken it over, which
    /// may be long before the client has it.
    is_delivering: bool,
    first: bool,
    /// When the present wait began: with the connection, the first byte of a head, or the end of an answer. None for a head until it is
    /// found not to have come whole: most have, and there is no wait.
    since: Option<Instant>,
    alarm: Alarm,
    write_wait: Wait,
    linger_wait: Wait,
    farewell: Option<&'static [u8]>,
    closing: bool,
}

/// How long a connection may keep the proxy waiting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) stall: Duration,
}

/// Whether a request of this connection is being served: set by the service, read by the stream. Counts beginnings and ends, so it is
/// odd while one is served, and no exchange passes unseen between two looks.
#[derive(Debug, Clone, Default)]
pub(super) struct Exchange(Arc<Turns>);

#[derive(Debug, Default)]
struct Turns {
    count: AtomicU64,
    /// Whether the connection ends with bytes of a request that nobody has read.
    lingers: AtomicBool,
    /// Whether a head was given up on.
    gave_up: AtomicBool,
}

/// Lives as long as a request is served, its answer's last byte included.
#[derive(Debug)]
pub(super) struct Serving(Exchange);

/// Wakes the connection for its waits. It rings early rather than being set anew for each request: then there is another look.
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

/// A timer that is made on the first wait.
#[derive(Default)]
struct Wait {
    sleep: Option<Pin<Box<Sleep>>>,
    is_running: bool,
}

impl Exchange {
    pub(super) fn begin(&self) -> Serving {
        self.0.count.fetch_add(1, SeqCst);
        Serving(self.clone())
    }

    /// Whether a head did not end in its time, and 408 was answered.
    pub(super) fn gave_up(&self) -> bool {
        self.0.gave_up.load(SeqCst)
    }
}

impl Serving {
    /// Notes that the answer under way leaves a request's body unread.
    pub(super) fn linger(&self) {
        self.0.0.lingers.store(true, SeqCst);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.0.count.fetch_add(1, SeqCst);
    }
}

impl ClientStream {
    pub(super) fn new(stream: Stream, exchange: Exchange, waits: Waits) -> Self {
        Self {
            stream,
            exchange,
            seen: 0,
            waits,
            head_began: false,
            is_delivering: false,
            first: true,
            since: None,
            alarm: Alarm::default(),
            write_wait: Wait::default(),
            linger_wait: Wait::default(),
            farewell: None,
            closing: false,
        }
    }

    /// The connection itself, for what it has become.
    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }

    fn is_serving(&mut self) -> bool {
        let state = self.exchange.0.count.load(SeqCst);
        if state != self.seen {
            self.seen = state;
            self.head_began = false;
            self.first = false;
        }
        state % 2 == 1
    }

    fn poll_wait_for_request(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A new connection that says nothing gets no longer than a head may take.
        let limit = if self.head_began || self.first { self.waits.header } else { self.waits.idle };
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.alarm.poll_until(since + limit, context).is_pending() {
            return Poll::Pending;
        }
        self.closing = true;
        if self.head_began {
            self.farewell = Some(HEAD_TIMEOUT);
            self.exchange.0.gave_up.store(true, SeqCst);
        }
        self.poll_farewell(context)
    }

    /// Reads and drops what the client still sends, for a moment: a socket that is closed with unread bytes is reset, and the answer to
    /// them is lost on its way.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 8 * 1_024];
        // A bound on one turn, not on the whole: others are waiting too.
        for _ in 0..64 {
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.linger_wait.poll(LINGER, context),
            }
        }
        context.waker().wake_by_ref();
        self.linger_wait.poll(LINGER, context)
    }

    /// Says what is left to say, then ends the reading side: hyper takes it for a client that has gone.
    fn poll_farewell(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.farewell {
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Ready(Ok(written)) if written > 0 => {
                    self.farewell = rest.get(written..).filter(|rest| !rest.is_empty());
                }
                // Nobody listens; the connection is about to be closed anyway.
                Poll::Ready(_) => self.farewell = None,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// How long a refused client may go on sending what nobody reads.
const LINGER: Duration = Duration::from_secs(1);

const HEAD_TIMEOUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-type: application/json\r\n\
content-length: 82\r\n\r\n{\"code\":\"RequestTimeout\",\"message\":\"The request's head did not arrive in time.  \"}";

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closing {
            return this.poll_farewell(context);
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        let is_serving = this.is_serving();
        if !is_serving && buffer.filled().len() > before && !this.head_began {
            // The time of a head runs from its first byte, however slowly the others come.
            this.head_began = true;
            this.since = None;
        }
        if read.is_ready() {
            return read;
        }
        if is_serving || this.is_delivering {
            // hyper does not look again by itself when the answer has ended, and a wait that nobody looks at never ends.
            this.alarm.keep(this.waits.header.min(this.waits.idle), context);
            return Poll::Pending;
        }
        this.poll_wait_for_request(context)
    }
}

impl ClientStream {
    /// Ends a write that makes no progress: a client that does not read must not hold its answer for ever.
    fn watch_write<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_wait.stop();
            return written;
        }
        match self.write_wait.poll(self.waits.stall, context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.is_delivering = true;
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.watch_write(written, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.is_delivering = true;
        let mut gathered = [0; GATHERED_BYTES];
        let written = match gather(slices, &mut gathered) {
            Some(bytes) => Pin::new(&mut this.stream).poll_write(context, bytes),
            None => Pin::new(&mut this.stream).poll_write_vectored(context, slices),
        };
        this.watch_write(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(context);
        // hyper flushes the socket only when its own buffer is empty.
        if flushed.is_ready() && std::mem::take(&mut this.is_delivering) {
            // Now, and not at the next look: hyper does not look again before the alarm rings.
            this.since = Some(Instant::now());
        }
        this.watch_write(flushed, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.stream).poll_shutdown(context);
        let is_shut = matches!(shut, Poll::Ready(Ok(())));
        if is_shut && this.exchange.0.lingers.load(SeqCst) { this.poll_linger(context).map(Ok) } else { shut }
    }
}

/// A head and a small body: to copy them costs less than to have the system gather them.
const GATHERED_BYTES: usize = 1_024;

/// All pieces as one, where they are few bytes.
fn gather<'buffer>(slices: &[io::IoSlice<'_>], buffer: &'buffer mut [u8]) -> Option<&'buffer [u8]> {
    let mut end = 0;
    for slice in slices {
        buffer.get_mut(end..end + slice.len())?.copy_from_slice(slice);
        end += slice.len();
    }
    buffer.get(..end)
}

impl Alarm {
    /// Ready once that moment has come.
    fn poll_until(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(context).is_ready() {
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// Sees to it that there is another look: within `limit`, or when an earlier wait would have ended.
    fn keep(&mut self, limit: Duration, context: &mut Context<'_>) {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep(limit)));
        while sleep.as_mut().poll(context).is_ready() {
            sleep.as_mut().reset(Instant::now() + limit);
        }
    }
}

impl Wait {
    fn poll(&mut self, limit: Duration, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(limit)));
        if !self.is_running {
            self.is_running = true;
            sleep.as_mut().reset(Instant::now() + limit);
        }
        sleep.as_mut().poll(context)
    }

    fn stop(&mut self) {
        self.is_running = false;
    }
}

#[cfg(test)]
mod tests {
    use super::HEAD_TIMEOUT;

    #[test]
    fn the_farewell_has_the_length_that_it_declares() {
        let text = std::str::from_utf8(HEAD_TIMEOUT).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        serde_json::from_str::<serde_json::Value>(body).expect("JSON");
    }
}
