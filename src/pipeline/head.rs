//! Refuses heads that are too large, or that do not say which host they are for, with a reason. (Beyond twice the limit hyper refuses them itself, without one.)

use std::task::{Context, Poll};

use futures_util::future::{Either, Ready, ready};
use http::{Request, Response, Version, header::HOST};
use tower::{Layer, Service};

use super::Inbound;
use crate::{body::Body, error::Rejection};

pub(super) struct HeadLayer {
    bytes_at_most: usize,
}

pub(super) struct Head<S> {
    inner: S,
    bytes_at_most: usize,
}

impl HeadLayer {
    pub(super) fn new(bytes_at_most: usize) -> Self {
        Self { bytes_at_most }
    }
}

impl<S> Layer<S> for HeadLayer {
    type Service = Head<S>;

    fn layer(&self, inner: S) -> Head<S> {
        Head { inner, bytes_at_most: self.bytes_at_most }
    }
}

impl<S> Service<Inbound> for Head<S>
where
    S: Service<Inbound, Response = Response<Body>, Error = Rejection>,
{
    type Response = Response<Body>;
    type Error = Rejection;
    type Future = Either<S::Future, Ready<Result<Response<Body>, Rejection>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Rejection>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, inbound: Inbound) -> Self::Future {
        let request = &inbound.request;
        if size(request) > self.bytes_at_most {
            return Either::Right(ready(Err(Rejection::HeadTooLarge)));
        }
        if request.version() == Version::HTTP_11
            && request.headers().iter().filter(|(name, _)| *name == HOST).count() != 1
        {
            return Either::Right(ready(Err(Rejection::BadHost)));
        }
        Either::Left(self.inner.call(inbound))
    }
}

/// The bytes of the target and of all header lines, with their separators.
fn size<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let lines: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    target + lines
}
