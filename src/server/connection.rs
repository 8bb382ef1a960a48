//! One connection: hyper speaks HTTP/1.1 on Pingora's stream, the pipeline decides.

use std::{
    cell::RefCell,
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use http::{Request, Response, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use pingora_core::protocols::Stream;
use tokio::{
    io::AsyncWriteExt,
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::{
    Ends, Seat, Upgrade,
    accept::Addresses,
    stream::{ClientStream, Exchange, Serving, Waits},
    workers::Place,
};
use crate::{
    body::{Body, BodyCut},
    classify::Listener,
    config::Config,
    error::Outcome,
    telemetry::Metrics,
};

/// What gives each connection of a listener its pipeline.
pub type Pipelines = Arc<dyn Fn() -> Pipeline + Send + Sync>;
/// The pipeline of one connection: it always has an answer.
pub type Pipeline = Box<dyn FnMut(Ends, Request<Incoming>) -> AnswerFuture + Send>;
/// The answer of a pipeline, on its way.
pub type AnswerFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

pin_project! {
    /// An answer's body as hyper takes it. The exchange is over when this is dropped.
    struct Delivery {
        #[pin]
        body: Body,
        _serving: Serving,
    }
}

impl http_body::Body for Delivery {
    type Data = Bytes;
    type Error = BodyCut;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BodyCut>>> {
        self.project().body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// What a listener does with its connections.
pub(super) struct Connections {
    listener: Listener,
    pipelines: Pipelines,
    http: http1::Builder,
    waits: Waits,
    places: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    tracker: TaskTracker,
}

impl Connections {
    pub(super) fn new(
        listener: Listener,
        pipelines: Pipelines,
        config: &Config,
        metrics: Arc<Metrics>,
        tracker: TaskTracker,
    ) -> Self {
        let mut http = http1::Builder::new();
        // hyper answers 431 by itself where a head outgrows its buffer; below that the pipeline does, with a reason.
        http.max_buf_size((config.limits.header_bytes * 2).max(16 * 1_024)).half_close(false);
        Self {
            listener,
            pipelines,
            http,
            waits: Waits { header: config.timeouts.header, idle: config.timeouts.idle, stall: config.timeouts.stall },
            places: Arc::new(Semaphore::new(config.limits.connections)),
            metrics,
            tracker,
        }
    }

    async fn speak(&self, stream: Stream, ends: Ends, shutdown: watch::Receiver<bool>, seat: Arc<Seat>) {
        let exchange = Exchange::default();
        let io = TokioIo::new(ClientStream::new(stream, exchange.clone(), self.waits));
        let pipeline = RefCell::new((self.pipelines)());
        let served = exchange.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            // Only a request that asks for it can be upgraded.
            if request.headers().contains_key(header::UPGRADE) {
                Upgrade::prepare(&mut request, &seat);
            }
            let serving = served.begin();
            let answering = (pipeline.borrow_mut())(ends, request);
            async move {
                let Ok(response) = answering.await;
                if response.headers().contains_key(header::CONNECTION) {
                    serving.linger();
                }
                Ok::<_, Infallible>(response.map(|body| Delivery { body, _serving: serving }))
            }
        });
        let mut connection = pin!(self.http.serve_connection(io, service).with_upgrades());
        // A set of one, which asks it when it was woken, and not whenever the connection was: to ask takes a lock that all share.
        let mut stop: FuturesUnordered<_> = std::iter::once(stopping(shutdown)).collect();
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            _ = stop.next() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if exchange.gave_up() {
            self.metrics.request(self.listener.name(), "none", Outcome::Refused.as_str());
            self.metrics.refusal(HEAD_TIMEOUT_CODE);
            tracing::info!(
                target: "request",
                listener = self.listener.name(),
                status = 408,
                outcome = Outcome::Refused.as_str(),
                reason = HEAD_TIMEOUT_CODE,
            );
        }
        if let Err(error) = ended {
            tracing::debug!(target: "connection", listener = self.listener.name(), %error, "ended early");
        }
    }

    /// Has a stop wait for a connection, until this is dropped.
    pub(super) fn track(&self) -> TaskTrackerToken {
        self.tracker.token()
    }

    /// Serves one connection to its end, or to what it becomes.
    pub(super) async fn serve(
        &self,
        stream: Stream,
        addresses: Addresses,
        counted: (Place, TaskTrackerToken),
        shutdown: watch::Receiver<bool>,
    ) {
        let (place, tracked) = counted;
        let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else {
            return self.turn_away(stream).await;
        };
        let open = self.metrics.connection_opened(self.listener.name());
        let seat = Seat::new((permit, place), open, tracked, shutdown.clone());
        let peer = addresses.peer.map(|address| address.ip());
        let ends = Ends { listener: self.listener, peer, local: addresses.local };
        self.speak(stream, ends, shutdown, Arc::new(seat)).await;
    }

    /// Says no to a connection for which there is no place.
    async fn turn_away(&self, mut stream: Stream) {
        self.metrics.connection_refused(self.listener.name());
        let farewell = async {
            stream.write_all(NO_PLACE).await?;
            stream.flush().await?;
            stream.shutdown().await?;
            // What the client has sent already must be read, else the answer is lost to a reset.
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
        };
        let _ = timeout(Duration::from_secs(1), farewell).await;
    }
}

/// The code of [`crate::error::Rejection::BodyTimeout`], which a head that does not end shares.
const HEAD_TIMEOUT_CODE: &str = "RequestTimeout";

const NO_PLACE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
content-type: application/json\r\ncontent-length: 88\r\n\r\n\
{\"code\":\"TooManyConnections\",\"message\":\"Too many connections are open; try again soon.\"}";

async fn stopping(mut shutdown: watch::Receiver<bool>) {
    // An error means that nobody is left who could ask for an end: then there is none.
    if shutdown.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::NO_PLACE;

    #[test]
    fn the_refusal_has_the_length_that_it_declares() {
        let text = std::str::from_utf8(NO_PLACE).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
        serde_json::from_str::<serde_json::Value>(body).expect("JSON");
    }
}
