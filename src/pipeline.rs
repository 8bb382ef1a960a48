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
mod trace;

use std::sync::Arc;

use tower::{Service, ServiceBuilder};

pub use self::{admission::Admission, trace::Inbound};
use self::{admission::AdmissionLayer, answer::AnswerLayer, dispatch::Dispatch, head::HeadLayer, trace::TraceLayer};
use crate::{act::Proxy, admin::Admin, classify::Listener, server::Pipeline, telemetry::Metrics};

/// The pipeline of the public or of the adapter listener. `admission` is shared by both.
pub fn app(listener: Listener, proxy: &Arc<Proxy>, admission: &Admission, metrics: &Arc<Metrics>) -> Pipeline {
    let service = ServiceBuilder::new()
        // Outermost: whatever happens below, there is one log line and one count, also for a client that goes away.
        .layer(TraceLayer::new(Arc::clone(metrics)))
        // Above everything that may refuse, so that a refusal from any layer is JSON with CORS headers.
        .layer(AnswerLayer::new((listener == Listener::Public).then(|| Arc::clone(proxy))))
        // Before a place is taken: a head that is too large costs nobody a place.
        .layer(HeadLayer::new(proxy.config().limits.header_bytes))
        // Before anything that takes time or memory.
        .layer(AdmissionLayer::new(admission.clone()))
        .service(Dispatch::App(Arc::clone(proxy)));
    callable(service)
}

/// The pipeline of the admin listener: the same, without a bound on how many at once, so that an overload can be watched.
pub fn admin(proxy: &Arc<Proxy>, admin: &Arc<Admin>, metrics: &Arc<Metrics>) -> Pipeline {
    let service = ServiceBuilder::new()
        .layer(TraceLayer::new(Arc::clone(metrics)))
        .layer(AnswerLayer::new(None))
        .layer(HeadLayer::new(proxy.config().limits.header_bytes))
        .service(Dispatch::Admin(Arc::clone(proxy), Arc::clone(admin)));
    callable(service)
}

fn callable<S>(service: S) -> Pipeline
where
    S: Service<trace::Raw, Response = http::Response<crate::body::Body>, Error = std::convert::Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    Arc::new(move |ends, request| {
        // Every layer here is always ready: admission decides in the call, with an answer of its own.
        let answering = service.clone().call((ends, request));
        Box::pin(async move {
            let Ok(response) = answering.await;
            response
        })
    })
}
