//! The one file that knows the order in which a request is looked at.
//!
//! ```text
//!  trace      stamp, name, log line, metrics        (Ends, Request) ─► Inbound
//!  answer     a refusal becomes an answer, CORS      Result ─► Response
//!  head       how large a head may be
//!  admission  how many at once
//!  dispatch   admit ► classify ► act
//! ```

mod admission;
mod answer;
mod dispatch;
mod head;
mod near;
mod trace;

use std::sync::Arc;

use tower::{Service, ServiceBuilder};

pub use self::{admission::Admission, trace::Inbound};
use self::{
    admission::AdmissionLayer, answer::AnswerLayer, dispatch::Dispatch, head::HeadLayer, near::Near, trace::TraceLayer,
};
use crate::{
    act::Proxy,
    admin::Admin,
    classify::Listener,
    server::{Pipeline, Pipelines},
    telemetry::Metrics,
};

/// The pipelines of the public or of the adapter listener. `admission` is shared by both.
pub fn app(listener: Listener, proxy: &Arc<Proxy>, admission: &Admission, metrics: &Arc<Metrics>) -> Pipelines {
    let (proxy, admission, metrics) = (Arc::clone(proxy), admission.clone(), Arc::clone(metrics));
    Arc::new(move || {
        let proxy = Near::new(&proxy);
        let service = ServiceBuilder::new()
            // Outermost: whatever happens below, there is one log line and one count, also for a client that goes away.
            .layer(TraceLayer::new(&metrics))
            // Above everything that may refuse, so that a refusal from any layer is JSON with CORS headers.
            .layer(AnswerLayer::new((listener == Listener::Public).then(|| proxy.clone())))
            // Before a place is taken: a head that is too large costs nobody a place.
            .layer(HeadLayer::new(proxy.config().limits.header_bytes))
            // Before anything that takes time or memory.
            .layer(AdmissionLayer::new(&admission))
            .service(Dispatch::App(proxy));
        callable(service)
    })
}

/// The pipelines of the admin listener: the same, without a bound on how many at once, so that an overload can be watched.
pub fn admin(proxy: &Arc<Proxy>, admin: &Arc<Admin>, metrics: &Arc<Metrics>) -> Pipelines {
    let (proxy, admin, metrics) = (Arc::clone(proxy), Arc::clone(admin), Arc::clone(metrics));
    Arc::new(move || {
        let service = ServiceBuilder::new()
            .layer(TraceLayer::new(&metrics))
            .layer(AnswerLayer::new(None))
            .layer(HeadLayer::new(proxy.config().limits.header_bytes))
            .service(Dispatch::Admin(Near::new(&proxy), Arc::clone(&admin)));
        callable(service)
    })
}

fn callable<S>(mut service: S) -> Pipeline
where
    S: Service<trace::Raw, Response = http::Response<crate::body::Body>, Error = std::convert::Infallible>
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    // Every layer here is always ready: admission decides in the call, with an answer of its own.
    Box::new(move |ends, request| Box::pin(service.call((ends, request))))
}
