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
    watch: Option<Box<dyn FnOnce(End) + Send + Sync>>,
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With its last byte, as far as the connection has taken it.
    Whole,
    /// Before: its sender failed, or nobody was left to take it.
    Cut,
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
        Self { source: Source::Bytes(bytes.into()), held: None, watch: None }
    }

    /// Bytes as they come.
    pub fn stream(stream: impl http_body::Body<Data = Bytes, Error = BodyCut> + Send + 'static) -> Self {
        Self { source: Source::Stream(Box::pin(stream)), held: None, watch: None }
    }

    /// Calls back once, when the body has ended.
    pub fn watched(mut self, watch: impl FnOnce(End) + Send + Sync + 'static) -> Self {
        self.watch = Some(Box::new(watch));
        self
    }

    fn end(&mut self, end: End) {
        self.held = None;
        if let Some(watch) = self.watch.take() {
            watch(end);
        }
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
        match &next {
            None => this.end(End::Whole),
            Some(Err(_)) => this.end(End::Cut),
            Some(Ok(_)) => {}
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

impl Drop for Body {
    fn drop(&mut self) {
        // Bytes that are all there have no end to wait for: an answer to HEAD is never asked for them.
        let is_whole = matches!(self.source, Source::Bytes(_)) || http_body::Body::is_end_stream(self);
        self.end(if is_whole { End::Whole } else { End::Cut });
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

    use super::{Body, BodyCut, End};

    #[tokio::test]
    async fn a_body_tells_how_it_ended() {
        let (sender, mut ends) = tokio::sync::mpsc::unbounded_channel();
        let watched = |body: Body| {
            let sender = sender.clone();
            body.watched(move |end| sender.send(end).expect("heard"))
        };
        drop(watched(Body::bytes("abc")));
        assert_eq!(ends.recv().await, Some(End::Whole));
        drop(watched(Body::stream(http_body_util::Empty::new().map_err(|_| BodyCut))));
        assert_eq!(ends.recv().await, Some(End::Whole));
        drop(watched(Body::stream(http_body_util::Full::new("abc".into()).map_err(|_| BodyCut))));
        assert_eq!(ends.recv().await, Some(End::Cut));
    }

    #[tokio::test]
    async fn what_is_held_is_let_go_at_the_end() {
        let held = Arc::new(());
        let mut body = Body::bytes("abc").holding(Arc::clone(&held)).holding(1_u8);
        assert_eq!(Arc::strong_count(&held), 2);
        while body.frame().await.is_some() {}
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
