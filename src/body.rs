//! The body of every response that leaves the proxy: bytes made here, or the deployment's as they come.

use std::{
    any::Any,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// A response body. Whatever is [held](Body::holding) by it is let go when it ends or is dropped, which is how a place
/// among the requests in flight is given back only after the last byte.
pub struct Body {
    source: Source,
    held: Option<Box<dyn Any + Send + Sync>>,
}

enum Source {
    Bytes(Bytes),
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyCut> + Send>>),
}

/// The body ended before its end: the sender went away, stalled, or sent something unreadable.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the body ended before its end")]
pub struct BodyCut;

impl Body {
    /// No bytes at all.
    pub fn empty() -> Self {
        Self::bytes(Bytes::new())
    }

    /// Bytes that are all there.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self { source: Source::Bytes(bytes.into()), held: None }
    }

    /// Bytes as they come.
    pub fn stream(stream: impl http_body::Body<Data = Bytes, Error = BodyCut> + Send + 'static) -> Self {
        Self { source: Source::Stream(Box::pin(stream)), held: None }
    }

    /// Keeps a value alive until the body has ended.
    pub fn holding(mut self, value: impl Any + Send + Sync) -> Self {
        self.held = Some(match self.held.take() {
            Some(before) => Box::new((before, value)),
            None => Box::new(value),
        });
        self
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyCut;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyCut>>> {
        let this = self.get_mut();
        let next = match &mut this.source {
            Source::Bytes(bytes) if bytes.is_empty() => None,
            Source::Bytes(bytes) => Some(Ok(Frame::data(std::mem::take(bytes)))),
            Source::Stream(stream) => match stream.as_mut().poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(next) => next,
            },
        };
        if next.is_none() {
            this.held = None;
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Bytes(bytes) => bytes.is_empty(),
            Source::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Stream(stream) => stream.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match &self.source {
            Source::Bytes(_) => "Body(bytes)",
            Source::Stream(_) => "Body(stream)",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt;

    use super::Body;

    #[tokio::test]
    async fn what_is_held_is_let_go_at_the_end() {
        let held = Arc::new(());
        let mut body = Body::bytes("abc").holding(Arc::clone(&held)).holding(1_u8);
        assert_eq!(Arc::strong_count(&held), 2);
        while body.frame().await.is_some() {}
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
