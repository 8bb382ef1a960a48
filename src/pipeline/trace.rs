//! Stamps a request, and writes its one log line and its counts.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tower::{Layer, Service};

use crate::{
    body::{Body, End},
    clock::Now,
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

#[derive(Clone)]
pub(super) struct TraceLayer {
    metrics: Arc<Metrics>,
}

#[derive(Clone)]
pub(super) struct Trace<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

/// The line of one request; written when the answer has ended, or when nobody waits for it any more.
struct Line {
    arrival: Arc<Arrival>,
    metrics: Arc<Metrics>,
    answer: Option<(StatusCode, Option<Rejection>)>,
    is_cut: bool,
}

// === impl TraceLayer ===

impl TraceLayer {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics }
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner, metrics: Arc::clone(&self.metrics) }
    }
}

// === impl Trace ===

impl<S> Service<Raw> for Trace<S>
where
    S: Service<Inbound, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, (ends, request): Raw) -> Self::Future {
        let arrival = Arc::new(Arrival::new(ends, Now::read()));
        let mut line =
            Line { arrival: Arc::clone(&arrival), metrics: Arc::clone(&self.metrics), answer: None, is_cut: false };
        let answering = self.inner.call(Inbound { arrival: Arc::clone(&arrival), request });
        Box::pin(async move {
            let Ok(mut response) = answering.await;
            response.headers_mut().insert(REQUEST_ID, arrival.id.clone());
            line.answer = Some((response.status(), response.extensions().get().copied()));
            Ok(response.map(|body| {
                body.watched(move |end| {
                    line.is_cut = end == End::Cut;
                    drop(line);
                })
            }))
        })
    }
}

// === impl Line ===

impl Drop for Line {
    fn drop(&mut self) {
        let Arrival { ends, now, id, route, function } = &*self.arrival;
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
        let took = now.steady.elapsed();
        tracing::info!(
            target: "request",
            id = id.to_str().unwrap_or_default(),
            listener,
            route,
            function = function.get().map(String::as_str),
            status = self.answer.map(|(status, _)| status.as_u16()),
            outcome,
            reason = rejection.map(Rejection::code),
            ms = (took.as_secs_f64() * 1e6).round() / 1e3,
        );
    }
}
