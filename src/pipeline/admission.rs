//! How many requests may be under way at once. A place is held until the answer's body has been handed over.
//!
//! An eighth of the places is kept from the public listener: whoever crowds it must not shut out the app's own server.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::{Either, Ready, ready};
use http::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tower::{Layer, Service};

use super::Inbound;
use crate::{body::Body, classify::Listener, error::Rejection};

/// The places of all listeners together.
#[derive(Debug, Clone)]
pub struct Admission {
    places: Arc<Semaphore>,
    public_places: Arc<Semaphore>,
}

struct Place {
    _public: Option<OwnedSemaphorePermit>,
    _any: OwnedSemaphorePermit,
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
        let places = places.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(places)), public_places: Arc::new(Semaphore::new(places - places / 8)) }
    }

    fn take(&self, listener: Listener) -> Result<Place, TryAcquireError> {
        let public = match listener {
            Listener::Public => Some(Arc::clone(&self.public_places).try_acquire_owned()?),
            Listener::Adapter | Listener::Admin => None,
        };
        Ok(Place { _public: public, _any: Arc::clone(&self.places).try_acquire_owned()? })
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
        let Ok(place) = self.admission.take(inbound.arrival.ends.listener) else {
            return Either::Right(ready(Err(Rejection::TooManyRequests)));
        };
        let serving = self.inner.call(inbound);
        Either::Left(Box::pin(async move { serving.await.map(|response| response.map(|body| body.holding(place))) }))
    }
}
