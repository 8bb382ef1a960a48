//! A streamed body on its way through: as it comes, and not for ever.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};

use crate::body::{Body, BodyCut};

/// Passes an answer's body on piece by piece. A sender that stays silent for longer than `stall` is given up on.
pub fn relay(incoming: Incoming, stall: Duration) -> Body {
    Body::stream(Relay { incoming, stall: Some(stall), patience: None })
}

/// Passes a request's body on piece by piece. It must end `within` that time, however steadily it drips.
pub fn relay_request(incoming: Incoming, within: Duration) -> Body {
    Body::stream(Relay { incoming, stall: None, patience: Some(sleep(within)) })
}

pin_project! {
    struct Relay {
        incoming: Incoming,
        // How much patience each piece earns anew; none for a body that has a time in all.
        stall: Option<Duration>,
        // Made when there is something to wait for: a small answer has come as a whole.
        #[pin]
        patience: Option<Sleep>,
    }
}

impl http_body::Body for Relay {
    type Data = Bytes;
    type Error = BodyCut;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyCut>>> {
        let mut this = self.project();
        match Pin::new(&mut *this.incoming).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(stall), Some(patience)) = (*this.stall, this.patience.as_pin_mut()) {
                    patience.reset(Instant::now() + stall);
                }
                // Trailers could carry what the table of headers keeps back.
                Poll::Ready(frame.into_data().ok().map(|data| Ok(Frame::data(data))))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(BodyCut))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                if let (Some(stall), None) = (*this.stall, this.patience.as_ref().get_ref()) {
                    this.patience.set(Some(sleep(stall)));
                }
                match this.patience.as_pin_mut() {
                    Some(patience) => patience.poll(context).map(|()| Some(Err(BodyCut))),
                    None => Poll::Pending,
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
