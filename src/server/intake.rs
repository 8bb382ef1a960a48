//! Request bodies that must be read whole: bounded in size, in time, and in what all of them together hold.

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::poll;
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::{classify::Listener, error::Rejection};

/// The bounds, shared by all requests.
#[derive(Debug, Clone)]
pub struct Intake {
    body_bytes: usize,
    within: Duration,
    budget: Arc<Budget>,
}

#[derive(Debug)]
struct Budget {
    free_bytes: AtomicUsize,
    /// Kept from the public listener: whoever fills the memory there must not shut out the app's own server.
    reserve_bytes: usize,
}

/// A body in memory. Its bytes count against `limits.buffered_bytes` until this is dropped; `Debug` does not show them.
pub struct WholeBody {
    bytes: Bytes,
    lease: Lease,
}

/// Bytes that count against `limits.buffered_bytes` until this is dropped.
#[derive(Debug)]
pub struct Lease {
    budget: Arc<Budget>,
    bytes: usize,
    /// What this one must leave to others.
    untouched_bytes: usize,
}

impl WholeBody {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Lets the bytes go and keeps their count, for what was written from them and is as large.
    pub fn into_lease(self) -> Lease {
        self.lease
    }
}

impl fmt::Debug for WholeBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WholeBody({} bytes)", self.bytes.len())
    }
}

impl Intake {
    /// Bounds by `limits.body_bytes`, `timeouts.body` and `limits.buffered_bytes`.
    pub fn new(limits: &crate::config::Limits, timeouts: &crate::config::Timeouts) -> Self {
        Self {
            body_bytes: limits.body_bytes,
            within: timeouts.body,
            budget: Arc::new(Budget {
                free_bytes: AtomicUsize::new(limits.buffered_bytes),
                reserve_bytes: limits.buffered_bytes / 8,
            }),
        }
    }

    /// Reads a body whole.
    ///
    /// # Errors
    ///
    /// - [`Rejection::Encoded`]: the bytes would not be what the policy must read.
    /// - [`Rejection::BodyTooLarge`]: by its declared length, before a byte is read, or as it comes.
    /// - [`Rejection::TooManyBytes`]: other requests hold the memory.
    /// - [`Rejection::BodyTimeout`], [`Rejection::BodyCut`]: it did not end, or not rightly.
    pub async fn read(&self, listener: Listener, headers: &HeaderMap, body: Incoming) -> Result<WholeBody, Rejection> {
        refuse_encoding(headers)?;
        if body.size_hint().lower() > self.body_bytes as u64 {
            return Err(Rejection::BodyTooLarge);
        }
        let mut collecting = pin!(self.collect(listener, body));
        // Most bodies have come with their heads: they need no timer.
        if let Poll::Ready(collected) = poll!(collecting.as_mut()) {
            return collected;
        }
        timeout(self.within, collecting).await.unwrap_or(Err(Rejection::BodyTimeout))
    }

    /// Checks the length that a body declares, where it is passed on unread.
    ///
    /// # Errors
    ///
    /// [`Rejection::BodyTooLarge`], [`Rejection::Encoded`].
    pub fn check_unread(&self, headers: &HeaderMap, body: &Incoming) -> Result<(), Rejection> {
        refuse_encoding(headers)?;
        if body.size_hint().lower() > self.body_bytes as u64 { Err(Rejection::BodyTooLarge) } else { Ok(()) }
    }

    /// How much a body that is passed on unread may have.
    pub fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// A count of no bytes yet, for what comes in by that listener.
    pub fn lease(&self, listener: Listener) -> Lease {
        let untouched_bytes = if listener == Listener::Public { self.budget.reserve_bytes } else { 0 };
        Lease { budget: Arc::clone(&self.budget), bytes: 0, untouched_bytes }
    }

    /// How long a body may take.
    pub fn within(&self) -> Duration {
        self.within
    }

    async fn collect(&self, listener: Listener, mut body: Incoming) -> Result<WholeBody, Rejection> {
        let mut lease = self.lease(listener);
        let mut whole = BytesMut::new();
        let mut only: Option<Bytes> = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Rejection::BodyCut)?.into_data() else { continue };
            lease.grow(data.len())?;
            if lease.bytes > self.body_bytes {
                return Err(Rejection::BodyTooLarge);
            }
            // Most bodies come in one piece, which then need not be copied.
            match only.take() {
                None if whole.is_empty() => only = Some(data),
                None => whole.extend_from_slice(&data),
                Some(first) => {
                    whole.extend_from_slice(&first);
                    whole.extend_from_slice(&data);
                }
            }
        }
        Ok(WholeBody { bytes: only.unwrap_or_else(|| whole.freeze()), lease })
    }
}

fn refuse_encoding(headers: &HeaderMap) -> Result<(), Rejection> {
    let is_identity = |value: &http::HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().all(is_identity) { Ok(()) } else { Err(Rejection::Encoded) }
}

impl Lease {
    /// Counts so many bytes more.
    ///
    /// # Errors
    ///
    /// [`Rejection::TooManyBytes`]: others hold the memory; nothing more is counted then.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Rejection> {
        self.budget
            .free_bytes
            .fetch_update(Relaxed, Relaxed, |free| {
                free.checked_sub(bytes).filter(|left| bytes == 0 || *left >= self.untouched_bytes)
            })
            .map_err(|_| Rejection::TooManyBytes)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.free_bytes.fetch_add(self.bytes, Relaxed);
    }
}
