//! How many requests may be under way at once. A place is held until the last byte of the answer.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::{Either, Ready, ready};
use http::Response;
use tokio::sync::Semaphore;
use tower::{Layer, Service};

use super::Inbound;
use crate::{body::Body, error::Rejection};

/// The places of all listeners together.
#[derive(Debug, Clone)]
pub struct Admission {
    places: Arc<Semaphore>,
}

#[derive(Clone)]
pub(super) struct AdmissionLayer {
    admission: Admission,
}

#[derive(Clone)]
pub(super) struct Admit<S> {
    inner: S,
    admission: Admission,
}

impl Admission {
    /// As many places as `limits.requests_in_flight`.
    pub fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))) }
    }
}

impl AdmissionLayer {
    pub(super) fn new(admission: Admission) -> Self {
        Self { admission }
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admit<S>;

    fn layer(&self, inner: S) -> Admit<S> {
        Admit { inner, admission: self.admission.clone() }
    }
}

type Boxed = Pin<Box<dyn Future<Output = Result<Response<Body>, Rejection>> + Send>>;

impl<S> Service<Inbound> for Admit<S>
where
    S: Service<Inbound, Response = Response<Body>, Error = Rejection>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Rejection;
    type Future = Either<Boxed, Ready<Result<Response<Body>, Rejection>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Rejection>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, inbound: Inbound) -> Self::Future {
        let Ok(place) = Arc::clone(&self.admission.places).try_acquire_owned() else {
            return Either::Right(ready(Err(Rejection::TooManyRequests)));
        };
        let serving = self.inner.call(inbound);
        Either::Left(Box::pin(async move { serving.await.map(|response| response.map(|body| body.holding(place))) }))
    }
}
