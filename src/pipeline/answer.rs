//! Turns refusals into answers, and tells browsers what they may read.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Response, header};
use http_body::Body as _;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Inbound, near::Near};
use crate::{act::Proxy, body::Body, error::Rejection, permit::Cors};

/// Holds the proxy where browsers call: on the public listener.
pub(super) struct AnswerLayer {
    browsers: Option<Near<Proxy>>,
}

pub(super) struct Answer<S> {
    inner: S,
    browsers: Option<Near<Proxy>>,
}

pin_project! {
    /// A decision on its way to an answer.
    pub(super) struct Answering<F> {
        #[pin]
        deciding: F,
        cors: Option<Cors>,
        has_body: bool,
    }
}

// === impl AnswerLayer ===

impl AnswerLayer {
    pub(super) fn new(browsers: Option<Near<Proxy>>) -> Self {
        Self { browsers }
    }
}

impl<S> Layer<S> for AnswerLayer {
    type Service = Answer<S>;

    fn layer(&self, inner: S) -> Answer<S> {
        Answer { inner, browsers: self.browsers.clone() }
    }
}

// === impl Answer ===

impl<S> Service<Inbound> for Answer<S>
where
    S: Service<Inbound, Response = Response<Body>, Error = Rejection>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, inbound: Inbound) -> Self::Future {
        let cors = self.browsers.as_ref().map(|proxy| Cors::read(inbound.request.headers(), proxy.callers()));
        let has_body = !inbound.request.body().is_end_stream();
        Answering { deciding: self.inner.call(inbound), cors, has_body }
    }
}

impl<F> Future for Answering<F>
where
    F: Future<Output = Result<Response<Body>, Rejection>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let decided = ready!(this.deciding.poll(context));
        let mut response = decided.unwrap_or_else(|rejection| refuse(rejection, *this.has_body));
        if let Some(cors) = this.cors {
            cors.mark(response.headers_mut());
        }
        Poll::Ready(Ok(response))
    }
}

fn refuse(rejection: Rejection, has_body: bool) -> Response<Body> {
    let mut response = rejection.response();
    // What is left of an unread body must not be taken for a request.
    if has_body && rejection.leaves_body_unread() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.extensions_mut().insert(rejection);
    response
}
