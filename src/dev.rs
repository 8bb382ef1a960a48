//! An embedded Convex deployment in memory: what the proxy stands in front of in `convex-auth-proxy dev` and in tests.
//!
//! It answers as a self-hosted backend does (routes, statuses, JSON, wording) for the functions of the Auth.js adapter and
//! for a small demo app, over HTTP and over sync sockets, and verifies tokens by OpenID Connect discovery. It is not for production: nothing is kept beyond
//! the process, there is no history and no administrator. Invariant: it knows nothing of the proxy but
//! the adapter secret and the issuer, so that what works against it has crossed the wire.

pub mod adapter;
pub mod auth;
pub mod call;
pub mod demo;
pub mod discovery;
pub mod engine;
pub mod function;
mod http;
pub mod id;
pub mod refusal;
pub mod store;
mod sync;
pub mod validate;
pub mod value;

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::http::{HeaderMap, Method};
use bytes::Bytes;
use convex_sync_types::CanonicalizedModulePath;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::auth::Verifier;
use self::discovery::KeySource;
use self::engine::Engine;
use self::id::IdSource;
use self::sync::Sockets;
pub use self::sync::{SeenSyncMessage, SyncOptions};
use crate::clock::Now;
use crate::secret::Secret;

/// Requests that are remembered when recording is on.
const REMEMBERED: usize = 256;
/// Bytes of each body that are remembered.
const REMEMBERED_BODY_BYTES: usize = 64 * 1024;
/// How long calls in flight may take once the end was asked for (our choice).
const LAST_CALLS: Duration = Duration::from_secs(5);
/// How long to wait after a failed `accept`, which mostly means that open files ran out (our choice).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a deployment is told.
#[derive(Debug)]
pub struct DeploymentOptions {
    /// The `secret` that adapter functions demand.
    pub adapter_secret: Secret,
    /// The module of the adapter functions.
    pub module: CanonicalizedModulePath,
    /// Whose tokens are taken: the issuer's URL, compared without trailing slashes.
    pub issuer: String,
    /// The only audience of those tokens.
    pub application_id: String,
    /// Whether requests are remembered for [`Deployment::requests`], and the messages of sync sockets for
    /// [`Deployment::sync_messages`]. For tests: what is remembered holds secrets.
    pub record_requests: bool,
    /// Times and sizes of the sync sockets.
    pub sync: SyncOptions,
}

/// Why there is no deployment.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// The system has no random bytes for the ids.
    #[error("the system gives no random bytes")]
    Randomness,
    /// The client that fetches the issuer's keys cannot be made.
    #[error("the client for the issuer's keys cannot be made")]
    Client(#[source] reqwest::Error),
}

/// A deployment. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Deployment(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    engine: Engine,
    verifier: Verifier,
    /// Where the ids of requests start, so that two runs differ.
    first_request: u64,
    answered: AtomicU64,
    seen: Option<Mutex<VecDeque<SeenRequest>>>,
    sockets: Sockets,
}

/// What runs beside the accepting of connections: what all of it ends by, and what waits for its end.
#[derive(Debug, Clone)]
struct Tasks {
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

/// A request as it came in. `Debug` prints neither headers nor body: they hold secrets.
#[derive(Clone)]
pub struct SeenRequest {
    /// The method.
    pub method: Method,
    /// Path and query, as sent.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The first 64 KiB of the body.
    pub body: Bytes,
}

impl Deployment {
    /// A deployment with empty tables. Installs a TLS provider for the process when there is none.
    ///
    /// # Errors
    ///
    /// - [`DeploymentError::Randomness`]: no random bytes
    /// - [`DeploymentError::Client`]: no HTTP client
    pub fn new(options: DeploymentOptions) -> Result<Self, DeploymentError> {
        let keys = KeySource::new().map_err(DeploymentError::Client)?;
        let ids = IdSource::new(random()?);
        Ok(Self(Arc::new(Shared {
            engine: Engine::new(&options.module, options.adapter_secret, ids, Now::read()),
            verifier: Verifier::new(options.issuer, options.application_id, keys),
            first_request: u64::from_le_bytes(random()?),
            answered: AtomicU64::new(0),
            seen: options.record_requests.then(Mutex::default),
            sockets: Sockets::new(options.sync, options.record_requests),
        })))
    }

    /// Serves HTTP/1.1 until `shutdown`, then closes sync sockets and lets calls in flight end, for five seconds at most.
    ///
    /// # Errors
    ///
    /// - [`std::io::Error`]: never at present; a failed `accept` is tried again
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
        let tasks = Tasks { tracker: TaskTracker::new(), shutdown };
        loop {
            let stream = tokio::select! {
                () = tasks.shutdown.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => {
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            tasks.tracker.spawn(serve_connection(Arc::clone(&self.0), stream, tasks.clone()));
        }
        drop(listener);
        tasks.tracker.close();
        tasks.tracker.wait().await;
        Ok(())
    }

    /// The deployment without its wire: runs functions, tells of changes.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// How often each function was called, by `module:function` without `.js`. Calls that failed count.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.0.engine.calls()
    }

    /// The newest 256 requests, the newest last; none unless recording is on.
    pub fn requests(&self) -> Vec<SeenRequest> {
        let seen = self.0.seen.as_ref().map(|seen| seen.lock().unwrap_or_else(PoisonError::into_inner));
        seen.iter().flat_map(|seen| seen.iter().cloned()).collect()
    }

    /// The newest 1,024 messages that clients sent over sync sockets, the newest last; none unless recording is on.
    pub fn sync_messages(&self) -> Vec<SeenSyncMessage> {
        self.0.sockets.seen()
    }

    /// How many sync sockets are open. One counts from before its client knows that it has it until its task has ended.
    pub fn open_sync_sockets(&self) -> usize {
        self.0.sockets.count()
    }

    /// Ends all open sync sockets at once, without a close frame, as a broken network does.
    pub fn drop_sync_sockets(&self) {
        self.0.sockets.drop_all();
    }

    /// Lets the tokens die by which sync sockets are signed in now, as if their time were over: the next call or push that
    /// needs one ends its socket. Tokens that come later live as long as they say.
    pub fn expire_sync_tokens(&self) {
        self.0.sockets.expire_tokens();
    }

    /// Changes whenever a sync socket is opened, has ended, or sent a message: what to wait on before looking again.
    pub fn sync_activity(&self) -> watch::Receiver<u64> {
        self.0.sockets.activity()
    }
}

impl Shared {
    fn record(&self, head: &::http::request::Parts, body: &[u8]) {
        let Some(seen) = &self.seen else { return };
        let request = SeenRequest {
            method: head.method.clone(),
            target: head.uri.to_string(),
            headers: head.headers.clone(),
            body: Bytes::copy_from_slice(body.get(..REMEMBERED_BODY_BYTES).unwrap_or(body)),
        };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() == REMEMBERED {
            seen.pop_front();
        }
        seen.push_back(request);
    }

    /// 16 hexadecimal digits.
    fn next_request_id(&self) -> String {
        // A multiplier without common factors with 2^64 spreads the count over all digits.
        let count = self.answered.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{:016x}", self.first_request.wrapping_add(count))
    }
}

impl fmt::Debug for SeenRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SeenRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

async fn serve_connection(deployment: Arc<Shared>, stream: TcpStream, tasks: Tasks) {
    // Small answers must not wait for more to send; without it they only come later.
    let _ = stream.set_nodelay(true);
    let shutdown = tasks.shutdown.clone();
    let service = service_fn(move |request| {
        let (deployment, tasks) = (Arc::clone(&deployment), tasks.clone());
        async move { Ok::<_, Infallible>(http::answer(&deployment, &tasks, request).await) }
    });
    let mut server = http1::Builder::new();
    // No limit on the wait for a request: a pooled connection that closed by itself would fail the next mutation.
    server.header_read_timeout(None);
    let connection = server.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        // A connection that fails has nobody left to tell.
        _ = connection.as_mut() => return,
        () = shutdown.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST_CALLS, connection).await;
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], DeploymentError> {
    let mut bytes = [0; BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| DeploymentError::Randomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
