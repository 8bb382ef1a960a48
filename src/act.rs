//! What is done for a request that may be served: the last stage before, and after, the deployment.
//!
//! Not for: whether it may be served (`permit`) or in which order it is looked at (`pipeline`). The invariant: nothing goes upstream but
//! what was permitted, in the spelling that was parsed.

mod auth_js;
mod call;
mod documents;
mod identity;
mod outbound;
mod scrub;
mod session_read;
mod sync;
mod token;

use std::{sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};
use http::{Response, request};
use hyper::body::Incoming;
use tokio_util::task::TaskTracker;

use self::scrub::Scrub;
use crate::{
    body::Body,
    classify::{FunctionPath, Route},
    config::Config,
    error::Rejection,
    permit::{Caller, CallerPolicy, Cors, WrongSecrets},
    server::{Arrival, Intake},
    session::{Hashed, SessionCache, SessionKey, SessionKeys},
    sync::Waits,
    telemetry::Metrics,
    token::{Documents, Minter, MinterSettings},
    upstream::{Upstream, UpstreamProblem},
};

/// One proxy in front of one deployment: everything that a request may need.
#[derive(Debug)]
pub struct Proxy {
    config: Config,
    callers: CallerPolicy,
    wrong_secrets: WrongSecrets,
    scrub: Arc<Scrub>,
    intake: Intake,
    upstream: Upstream,
    sessions: Arc<SessionCache>,
    session_keys: SessionKeys,
    /// `<module>:getSessionAndUser`.
    session_function: FunctionPath,
    minter: Minter,
    documents: Documents,
    metrics: Arc<Metrics>,
    /// Sessions whose token the deployment has refused a moment ago on a socket that was in use.
    refused_sessions: moka::sync::Cache<SessionKey, (), Hashed>,
    /// The patience of sync sockets.
    socket_waits: Arc<Waits>,
    /// Calls that go on when their callers have gone.
    departed: TaskTracker,
}

/// How long a refusal is remembered (our choice): long enough for the client to come back, short enough to try again soon.
const REFUSED_FOR: Duration = Duration::from_secs(60);

impl Proxy {
    /// Builds a proxy by the configuration. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`UpstreamProblem`]: the client for the deployment cannot be made.
    pub fn new(config: Config, metrics: Arc<Metrics>) -> Result<Self, UpstreamProblem> {
        let session_function = FunctionPath::in_module(&config.adapter.module, "getSessionAndUser");
        Ok(Self {
            callers: CallerPolicy::new(&config),
            wrong_secrets: WrongSecrets::default(),
            scrub: Arc::new(Scrub::new(&config.adapter.secret)),
            intake: Intake::new(&config.limits, &config.timeouts),
            upstream: Upstream::new(&config)?,
            sessions: Arc::new(SessionCache::new(&config.cache)),
            session_keys: SessionKeys::new(&config.adapter.secret, config.upstream.url.as_str()),
            session_function,
            minter: Minter::new(MinterSettings::from(&config)),
            documents: Documents::new(&config.token.issuer, config.token.key.algorithm(), &config.token.jwks),
            metrics,
            refused_sessions: moka::sync::Cache::builder()
                .max_capacity(10_000)
                .time_to_live(REFUSED_FOR)
                .build_with_hasher(Hashed::default()),
            socket_waits: Arc::new(Waits {
                message: config.timeouts.body,
                stall: config.timeouts.stall,
                ..Waits::default()
            }),
            departed: TaskTracker::new(),
            config,
        })
    }

    /// Carries out what a request of the public or adapter listener asks for.
    ///
    /// # Errors
    ///
    /// Every [`Rejection`] that belongs to its route.
    pub fn act<'request>(
        self: &'request Arc<Self>,
        arrival: &'request Arrival,
        route: Route,
        caller: &'request Caller<'request>,
        head: &'request request::Parts,
        body: Incoming,
    ) -> BoxFuture<'request, Result<Response<Body>, Rejection>> {
        // Each in a box of its own size: one for all would be as large as the largest, and be moved for the smallest.
        match route {
            Route::Call(lane) => self.call(arrival, lane, caller, head, body).boxed(),
            Route::QueryTimestamp => self.query_timestamp(arrival, caller, head, body).boxed(),
            Route::AuthJs(function) => self.auth_js(arrival, function, head, body).boxed(),
            Route::Token => self.token(arrival, caller, head, body).boxed(),
            Route::Sync => async move { self.sync(arrival, caller, head, &body).await }.boxed(),
            Route::Discovery => ready(Ok(documents::answer(&self.documents.discovery, &head.headers))).boxed(),
            Route::KeySet => ready(Ok(documents::answer(&self.documents.jwks, &head.headers))).boxed(),
            Route::Preflight => ready(Ok(Cors::preflight(&head.headers))).boxed(),
            Route::Alive | Route::Ready | Route::Metrics | Route::Page => ready(Err(Rejection::NotFound)).boxed(),
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Who may speak.
    pub fn callers(&self) -> &CallerPolicy {
        &self.callers
    }

    /// How many sessions are in memory, about.
    pub fn sessions_kept(&self) -> u64 {
        self.sessions.len()
    }

    /// Waits until every call that may not be cut short has been answered.
    pub async fn finish(&self) {
        self.departed.close();
        self.departed.wait().await;
    }
}
