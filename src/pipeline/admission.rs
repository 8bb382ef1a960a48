//! How many requests may be under way at once. A place is held until the answer's body has been handed over.
//!
//! An eighth of the places is kept from the public listener: whoever crowds it must not shut out the app's own server.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{
            AtomicUsize,
            Ordering::{AcqRel, Acquire},
        },
    },
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{Inbound, near::Near};
use crate::{body::Body, classify::Listener, error::Rejection};

/// The places of all listeners together.
#[derive(Debug, Clone)]
pub struct Admission(Arc<Places>);

#[derive(Debug)]
struct Places {
    any: Free,
    public: Free,
}

/// Places that nobody has. Who finds none does not wait, so there is nothing to queue or to wake.
#[derive(Debug)]
struct Free(AtomicUsize);

/// A place, given back by its drop.
struct Place {
    places: Near<Places>,
    is_public: bool,
}

pub(super) struct AdmissionLayer {
    places: Near<Places>,
}

pub(super) struct Admit<S> {
    inner: S,
    places: Near<Places>,
}

impl Admission {
    /// As many places as `limits.requests_in_flight`.
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Places { any: Free::new(places), public: Free::new(places - places / 8) }))
    }
}

impl Near<Places> {
    fn take(&self, listener: Listener) -> Option<Place> {
        let is_public = listener == Listener::Public;
        if is_public && !self.public.take() {
            return None;
        }
        if !self.any.take() {
            if is_public {
                self.public.give_back();
            }
            return None;
        }
        Some(Place { places: self.clone(), is_public })
    }
}

impl Free {
    fn new(places: usize) -> Self {
        Self(AtomicUsize::new(places))
    }

    fn take(&self) -> bool {
        self.0.fetch_update(AcqRel, Acquire, |free| free.checked_sub(1)).is_ok()
    }

    fn give_back(&self) {
        self.0.fetch_add(1, AcqRel);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.any.give_back();
        if self.is_public {
            self.places.public.give_back();
        }
    }
}

impl AdmissionLayer {
    pub(super) fn new(admission: &Admission) -> Self {
        Self { places: Near::new(&admission.0) }
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admit<S>;

    fn layer(&self, inner: S) -> Admit<S> {
        Admit { inner, places: self.places.clone() }
    }
}

pin_project! {
    /// A request that is being served in its place, or one for which there is none.
    pub(super) struct Admitted<F> {
        #[pin]
        serving: Option<F>,
        place: Option<Place>,
    }
}

impl<S> Service<Inbound> for Admit<S>
where
    S: Service<Inbound, Response = Response<Body>, Error = Rejection>,
{
    type Response = Response<Body>;
    type Error = Rejection;
    type Future = Admitted<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Rejection>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, inbound: Inbound) -> Self::Future {
        match self.places.take(inbound.arrival.ends.listener) {
            Some(place) => Admitted { serving: Some(self.inner.call(inbound)), place: Some(place) },
            None => Admitted { serving: None, place: None },
        }
    }
}

impl<F> Future for Admitted<F>
where
    F: Future<Output = Result<Response<Body>, Rejection>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(serving) = this.serving.as_pin_mut() else {
            return Poll::Ready(Err(Rejection::TooManyRequests));
        };
        let served = ready!(serving.poll(context));
        let place = this.place.take();
        Poll::Ready(served.map(|response| response.map(|body| body.holding(place))))
    }
}

#[cfg(test)]
mod tests {
    use super::{Admission, Listener, Near};

    #[test]
    fn an_eighth_is_kept_from_the_public_listener_and_every_place_comes_back() {
        let places = Near::new(&Admission::new(16).0);
        for _ in 0..2 {
            let public: Vec<_> = std::iter::from_fn(|| places.take(Listener::Public)).collect();
            assert_eq!(public.len(), 14);
            let adapter: Vec<_> = std::iter::from_fn(|| places.take(Listener::Adapter)).collect();
            assert_eq!(adapter.len(), 2);
            drop(public);
            let adapter_again: Vec<_> = std::iter::from_fn(|| places.take(Listener::Adapter)).collect();
            assert_eq!(adapter_again.len(), 14);
            assert!(places.take(Listener::Public).is_none(), "none is left at all");
        }
    }
}
