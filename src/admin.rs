//! What operators ask: alive, ready, counters, and a page to look at.

mod readiness;

use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, header};

pub use self::readiness::{Readiness, Watch};
use crate::{
    body::Body,
    classify::Route,
    error::{JSON, Rejection},
    telemetry::Metrics,
};

/// The admin listener's answers.
#[derive(Debug)]
pub struct Admin {
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
}

impl Admin {
    /// Answers from these counters and this watch on the deployment.
    pub fn new(metrics: Arc<Metrics>, readiness: Arc<Readiness>) -> Self {
        Self { metrics, readiness }
    }

    /// Answers one of the admin routes.
    ///
    /// # Errors
    ///
    /// [`Rejection::NotFound`]: a route of another listener.
    pub fn answer(&self, route: Route, sessions_kept: u64) -> Result<Response<Body>, Rejection> {
        match route {
            Route::Alive => Ok(text(StatusCode::OK, JSON, r#"{"alive":true}"#.to_owned())),
            Route::Ready => Ok(self.ready()),
            Route::Metrics => {
                self.metrics.observe(sessions_kept, self.readiness.deployment_answers());
                let exposition = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                Ok(text(StatusCode::OK, exposition, self.metrics.render()))
            }
            Route::Page => Ok(self.page(sessions_kept)),
            Route::Call(_)
            | Route::QueryTimestamp
            | Route::Sync
            | Route::Discovery
            | Route::KeySet
            | Route::Token
            | Route::AuthJs(_)
            | Route::Preflight => Err(Rejection::NotFound),
        }
    }

    fn ready(&self) -> Response<Body> {
        let deployment = if self.readiness.deployment_answers() { "answers" } else { "does not answer" };
        let is_ready = self.readiness.is_ready();
        let body = serde_json::json!({ "ready": is_ready, "keys": "loaded", "deployment": deployment });
        let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        text(status, JSON, body.to_string())
    }

    fn page(&self, sessions_kept: u64) -> Response<Body> {
        self.metrics.observe(sessions_kept, self.readiness.deployment_answers());
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        let ready = if self.readiness.is_ready() { "ready" } else { "not ready: the deployment has not answered yet" };
        let counters: String = self
            .metrics
            .render()
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.contains("_bucket"))
            .filter_map(|line| line.strip_prefix("convex_auth_proxy_"))
            .map(|line| format!("  {line}\n"))
            .collect();
        text(StatusCode::OK, plain, format!("convex-auth-proxy {}\n{ready}\n\n{counters}", env!("CARGO_PKG_VERSION")))
    }
}

fn text(status: StatusCode, content_type: HeaderValue, body: String) -> Response<Body> {
    let mut response = Response::new(Body::bytes(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
