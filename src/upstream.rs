//! The deployment: one pooled client, and the table of what crosses each way.
//!
//! Not for: deciding whether something crosses (`permit`), or what a function's answer means (`session`, `adapter`). The invariant: a
//! request is sent once. Nothing here retries; hyper's pool sends again only what provably never left.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header, uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use thread_local::ThreadLocal;
use tokio::time::timeout;

use crate::{
    body::Body,
    config::Config,
    error::{JSON, Rejection},
    server::Workers,
};

mod crossing;
mod relay;
mod socket;

use self::socket::SocketConnector;
pub use self::{
    crossing::{CONVEX_CLIENT, ClientChecked, Crossing, REQUEST_ID},
    relay::{relay, relay_request},
    socket::{SocketAnswer, SocketStream},
};

/// The client of one deployment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Upstream {
    clients: Arc<Clients>,
    socket_connector: SocketConnector,
    target: Arc<Target>,
}

/// One client for each thread that calls: a pooled connection is served by the runtime on which it was opened, nearly always that of the
/// thread (a read that several threads wait for may be carried on by another), and waking another thread for each call would cost
/// as much as the call.
#[derive(Debug)]
struct Clients {
    of_thread: ThreadLocal<HttpClient>,
    connector: HttpsConnector<HttpConnector>,
    idle_timeout: Duration,
    idle_connections: usize,
}

type HttpClient = Client<HttpsConnector<HttpConnector>, Body>;

#[derive(Debug)]
struct Target {
    scheme: uri::Scheme,
    authority: uri::Authority,
    answer_bytes: usize,
    connect_timeout: Duration,
    upstream_timeout: Duration,
    read_timeout: Duration,
    stall: Duration,
}

/// A whole answer that was read into memory. `Debug` does not show its bytes.
pub struct WholeAnswer {
    /// The deployment's status.
    pub status: StatusCode,
    /// The deployment's Content-Type: JSON of some kind.
    pub content_type: HeaderValue,
    /// The body.
    pub body: Bytes,
}

impl std::fmt::Debug for WholeAnswer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WholeAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamProblem {
    /// The system has no usable root certificates and the deployment is reached by https.
    #[error("the system's root certificates cannot be read: {0}")]
    Roots(#[source] std::io::Error),
    /// The cryptography is too old for any protocol version.
    #[error("TLS cannot be set up")]
    Tls,
    /// `upstream.url` names no host.
    #[error("upstream.url names no host")]
    Host,
}

impl Upstream {
    /// A client by `upstream.*`, `timeouts.*` and `limits.*`. System roots are read only for an https deployment.
    ///
    /// # Errors
    ///
    /// [`UpstreamProblem`]; none may be helped by trying again.
    pub fn new(config: &Config) -> Result<Self, UpstreamProblem> {
        let is_https = config.upstream.url.scheme() == "https";
        let authority = authority(&config.upstream.url).ok_or(UpstreamProblem::Host)?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(config.timeouts.connect));
        connector.set_keepalive(Some(Duration::from_secs(60)));
        let tls = tls(&config.upstream.url)?;
        let https = || hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        let socket_connector = https().enable_http1().wrap_connector(connector.clone());
        let https = https().enable_http1().enable_http2().wrap_connector(connector);
        let clients = Clients {
            of_thread: ThreadLocal::new(),
            connector: https,
            idle_timeout: config.timeouts.upstream_idle,
            idle_connections: config.limits.upstream_idle_connections.div_ceil(Workers::count()),
        };
        let target = Target {
            scheme: if is_https { uri::Scheme::HTTPS } else { uri::Scheme::HTTP },
            authority,
            answer_bytes: config.limits.answer_bytes,
            connect_timeout: config.timeouts.connect,
            upstream_timeout: config.timeouts.upstream,
            read_timeout: config.timeouts.session_read,
            stall: config.timeouts.stall,
        };
        Ok(Self { clients: Arc::new(clients), socket_connector, target: Arc::new(target) })
    }

    /// Sends a caller's call and gives the head of the answer, its body still to come, cut down to what crosses.
    ///
    /// Dropping the future cuts the call short: hand it to a task of its own when that must not be.
    ///
    /// # Errors
    ///
    /// [`Rejection::UpstreamUnreachable`], [`Rejection::UpstreamTimeout`] (`timeouts.upstream` until the head), and
    /// [`Rejection::UpstreamUnreadable`] for an answer that is not JSON.
    pub async fn send(&self, path: &'static str, crossing: Crossing, body: Body) -> Result<Response<Body>, Rejection> {
        let answer = self.exchange(path, crossing.headers, body, self.target.upstream_timeout).await?;
        let (head, body) = answer.into_parts();
        readable(head.status, &head.headers)?;
        let mut response = Response::new(relay(body, self.target.stall));
        *response.status_mut() = head.status;
        *response.headers_mut() = crossing::back(&head.headers);
        Ok(response)
    }

    /// Sends a call whose answer the proxy reads itself.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), with `timeouts.session_read` for the whole, and [`Rejection::UpstreamUnreadable`] also for more than
    /// `limits.answer_bytes`.
    pub async fn read(&self, path: &'static str, crossing: Crossing, body: Bytes) -> Result<WholeAnswer, Rejection> {
        self.whole(path, crossing, body, self.target.read_timeout).await
    }

    /// The same for a call that may write, with `timeouts.upstream` for the whole: to give up on it early would leave its outcome unknown.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn write(&self, path: &'static str, crossing: Crossing, body: Bytes) -> Result<WholeAnswer, Rejection> {
        self.whole(path, crossing, body, self.target.upstream_timeout).await
    }

    async fn whole(
        &self,
        path: &'static str,
        crossing: Crossing,
        body: Bytes,
        within: Duration,
    ) -> Result<WholeAnswer, Rejection> {
        let whole = async {
            let answer = self.exchange(path, crossing.headers, Body::bytes(body), within).await?;
            let (head, body) = answer.into_parts();
            let content_type = readable(head.status, &head.headers)?.clone();
            let limited = http_body_util::Limited::new(body, self.target.answer_bytes);
            let body = limited.collect().await.map_err(|_| Rejection::UpstreamUnreadable)?.to_bytes();
            Ok(WholeAnswer { status: head.status, content_type, body })
        };
        timeout(within, whole).await.unwrap_or(Err(Rejection::UpstreamTimeout))
    }

    async fn exchange(
        &self,
        path: &'static str,
        mut headers: HeaderMap,
        body: Body,
        head_within: Duration,
    ) -> Result<Response<Incoming>, Rejection> {
        let target = Uri::builder()
            .scheme(self.target.scheme.clone())
            .authority(self.target.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|_| Rejection::UpstreamUnreachable)?;
        headers.entry(header::CONTENT_TYPE).or_insert(JSON);
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target;
        *request.headers_mut() = headers;
        match timeout(head_within, self.clients.of_this_thread().request(request)).await {
            Err(_) => Err(Rejection::UpstreamTimeout),
            Ok(Err(error)) if is_timeout(&error) => Err(Rejection::UpstreamTimeout),
            Ok(Err(error)) => {
                tracing::warn!(target: "upstream", error = %Causes(&error), "the deployment cannot be reached");
                Err(Rejection::UpstreamUnreachable)
            }
            Ok(Ok(answer)) => Ok(answer),
        }
    }
}

impl Clients {
    fn of_this_thread(&self) -> &HttpClient {
        self.of_thread.get_or(|| {
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .timer(TokioTimer::new())
                .pool_idle_timeout(self.idle_timeout)
                .pool_max_idle_per_host(self.idle_connections)
                .http2_keep_alive_interval(Some(Duration::from_secs(20)))
                .build(self.connector.clone())
        })
    }
}

/// An answer of Convex's is JSON, whatever its status; a page of some gateway's is not passed on.
fn readable(status: StatusCode, headers: &HeaderMap) -> Result<&HeaderValue, Rejection> {
    // Convex redirects nobody, and what is not asked for in parts does not come in parts.
    if status.is_redirection() || status.is_informational() {
        return Err(Rejection::UpstreamUnreadable);
    }
    let content_type = headers.get(header::CONTENT_TYPE).ok_or(Rejection::UpstreamUnreadable)?;
    if crate::permit::is_json(headers) { Ok(content_type) } else { Err(Rejection::UpstreamUnreadable) }
}

fn authority(url: &url::Url) -> Option<uri::Authority> {
    let host = url.host_str()?;
    match url.port() {
        Some(port) => format!("{host}:{port}").parse().ok(),
        None => host.parse().ok(),
    }
}

/// TLS towards a deployment: aws-lc, the system's roots. They are read only for an https URL.
///
/// # Errors
///
/// [`UpstreamProblem::Roots`]: there are none.
pub fn tls(deployment: &url::Url) -> Result<rustls::ClientConfig, UpstreamProblem> {
    let mut roots = rustls::RootCertStore::empty();
    if deployment.scheme() == "https" {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(UpstreamProblem::Roots(std::io::Error::from(std::io::ErrorKind::NotFound)));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|_| UpstreamProblem::Tls)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Whether somewhere among the causes a connection was given up on for its time.
fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// An error with all its causes on one line. They come from the transport and hold addresses at most.
struct Causes<'error>(&'error (dyn std::error::Error + 'static));

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
