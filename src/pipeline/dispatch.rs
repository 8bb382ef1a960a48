//! The innermost service: admit the caller, find the route, act.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::Response;
use tower::Service;

use super::{Inbound, near::Near};
use crate::{act::Proxy, admin::Admin, body::Body, classify::classify, error::Rejection};

#[derive(Clone)]
pub(super) enum Dispatch {
    /// The public and the adapter listener.
    App(Near<Proxy>),
    /// The admin listener.
    Admin(Near<Proxy>, Arc<Admin>),
}

impl Service<Inbound> for Dispatch {
    type Response = Response<Body>;
    type Error = Rejection;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Rejection>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Rejection>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, Inbound { arrival, request }: Inbound) -> Self::Future {
        let dispatch = self.clone();
        // Taken apart here: what is taken apart within has a place there twice.
        let (head, body) = request.into_parts();
        Box::pin(async move {
            let (Self::App(proxy) | Self::Admin(proxy, _)) = &dispatch;
            let listener = arrival.ends.listener;
            let route = classify(listener, &head.method, &head.uri, &proxy.config().listen.base_path);
            if let Ok(route) = route {
                let _ = arrival.route.set(route);
            }
            // Before the route is spoken of: who may not speak here learns nothing of what there is.
            let caller = proxy.callers().admit(listener, &head, arrival.ends.local)?;
            match &dispatch {
                Self::App(proxy) => proxy.act(&arrival, route?, &caller, &head, body).await,
                Self::Admin(proxy, admin) => admin.answer(route?, proxy.sessions_kept()),
            }
        })
    }
}
