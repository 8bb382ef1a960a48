//! Stamps a request, and writes its one log line and its counts.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::near::Near;
use crate::{
    body::{Body, End},
    error::{Outcome, Rejection},
    server::{Arrival, Ends},
    telemetry::Metrics,
    upstream::REQUEST_ID,
};

/// What a connection hands in.
pub(super) type Raw = (Ends, Request<Incoming>);

/// A stamped request. `Debug` shows the stamp alone: cookies and tokens are in the head.
pub struct Inbound {
    /// Its stamp.
    pub arrival: Arc<Arrival>,
    /// The request, untrusted.
    pub request: Request<Incoming>,
}

impl fmt::Debug for Inbound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Inbound").field("arrival", &self.arrival).finish_non_exhaustive()
    }
}

pub(super) struct TraceLayer {
    metrics: Near<Metrics>,
}

pub(super) struct Trace<S> {
    inner: S,
    metrics: Near<Metrics>,
}

pin_project! {
    /// An answer on its way, with the line that will tell of it.
    pub(super) struct Traced<F> {
        #[pin]
        answering: F,
        line: Option<Line>,
    }
}

/// The line of one request; written when the answer has ended, or when nobody waits for it any more.
struct Line {
    arrival: Arc<Arrival>,
    metrics: Near<Metrics>,
    answer: Option<(StatusCode, Option<Rejection>)>,
    is_cut: bool,
}

// === impl TraceLayer ===

impl TraceLayer {
    pub(super) fn new(metrics: &Arc<Metrics>) -> Self {
        Self { metrics: Near::new(metrics) }
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner, metrics: self.metrics.clone() }
    }
}

// === impl Trace ===

impl<S> Service<Raw> for Trace<S>
where
    S: Service<Inbound, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Traced<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, (ends, request): Raw) -> Self::Future {
        let arrival = Arc::new(Arrival::new(ends));
        let line = Line { arrival: Arc::clone(&arrival), metrics: self.metrics.clone(), answer: None, is_cut: false };
        Traced { answering: self.inner.call(Inbound { arrival, request }), line: Some(line) }
    }
}

impl<F> Future for Traced<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.answering.poll(context));
        let Some(mut line) = this.line.take() else { return Poll::Ready(Ok(response)) };
        response.headers_mut().insert(REQUEST_ID, line.arrival.id.clone());
        line.answer = Some((response.status(), response.extensions().get().copied()));
        Poll::Ready(Ok(response.map(|body| {
            body.watched(move |end| {
                line.is_cut = end == End::Cut;
                drop(line);
            })
        })))
    }
}

// === impl Line ===

impl Drop for Line {
    fn drop(&mut self) {
        let Arrival { ends, at, id, route, function } = &*self.arrival;
        let rejection = self.answer.and_then(|(_, rejection)| rejection);
        let outcome = match (self.answer, rejection) {
            (None, _) => "gone",
            (Some(_), _) if self.is_cut => "cut",
            (Some(_), Some(rejection)) => rejection.outcome().as_str(),
            (Some(_), None) => Outcome::Answered.as_str(),
        };
        let listener = ends.listener.name();
        let route = route.get().map_or("none", |route| route.name());
        self.metrics.request(listener, route, outcome);
        if let Some(rejection) = rejection {
            self.metrics.refusal(rejection.code());
        }
        tracing::info!(
            target: "request",
            id = id.to_str().unwrap_or_default(),
            listener,
            route,
            function = function.get().map(String::as_str),
            status = self.answer.map(|(status, _)| status.as_u16()),
            outcome,
            reason = rejection.map(Rejection::code),
            ms = (at.elapsed().as_secs_f64() * 1e6).round() / 1e3,
        );
    }
}
