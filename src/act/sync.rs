//! `GET /api/sync`, `GET /api/{version}/sync`: from a request to a relay that goes on by itself.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Response, Version, request};
use http_body::Body as _;
use hyper::body::Incoming;

use super::Proxy;
use crate::{
    body::Body,
    chance,
    classify::{Call, Listener, mounted},
    clock::Now,
    config,
    error::Rejection,
    permit::{Caller, CookieStanding, Permitted},
    server::{Arrival, Intake, Lease, Seat, Socket, Upgrade},
    session::{Bell, CookieSession, LiveSession, SessionKey, SessionToken, Watching, Write},
    sync::{Authority, End, Judge, Opened, Opening, Parts, Relay, Reopen, Report, TokenStanding, Told},
    telemetry::Metrics,
    token::{Freshness, Minted},
    upstream::{Crossing, SocketAnswer, SocketStream},
};

/// The proxy, on behalf of one socket.
struct SocketDesk {
    proxy: Arc<Proxy>,
    id: HeaderValue,
    listener: Listener,
    peer: Option<IpAddr>,
    /// The session of the cookie.
    session: Option<SessionKey>,
}

impl Proxy {
    /// Opens a socket at the deployment, then answers 101 and spawns the relay between the two.
    ///
    /// # Errors
    ///
    /// - [`Rejection::UpgradeRequired`], [`Rejection::BadUpgrade`]: no opening handshake, or one with a body.
    /// - [`Rejection::OriginForbidden`]: a session cookie from a page that is not listed.
    /// - The failures of a session read and of the deployment: a client that may be signed in is never served as nobody.
    pub(super) async fn sync(
        self: &Arc<Self>,
        arrival: &Arrival,
        caller: &Caller<'_>,
        head: &request::Parts,
        body: &Incoming,
    ) -> Result<Response<Body>, Rejection> {
        if head.version != Version::HTTP_11 {
            return Err(Rejection::UpgradeRequired);
        }
        let opening = Opening::read(&head.headers)?;
        // Bytes of a body would be taken for the first of the socket (L10).
        if !body.is_end_stream() {
            return Err(Rejection::BadUpgrade);
        }
        let upgrade = Upgrade::of(&head.extensions).ok_or(Rejection::UpgradeRequired)?;
        let listener = caller.listener();
        let client = Crossing::check_client(&head.headers)?;
        let crossing = Crossing::from_caller(&head.headers, &client).identified(&arrival.id);
        let cookie = self.socket_identity(arrival, caller, &head.headers).await?;
        let path = mounted(listener, &head.uri, &self.config.listen.base_path)?.to_owned();
        let again = cookie.is_some().then(|| (path.clone(), crossing.detached()));
        let upstream = match self.upstream.open_socket(&path, crossing).await? {
            SocketAnswer::Open(stream, ahead) => (stream, ahead),
            SocketAnswer::Refused(refusal) => return Ok(refusal),
        };
        let desk = SocketDesk {
            proxy: Arc::clone(self),
            id: arrival.id.clone(),
            listener,
            peer: arrival.ends.peer,
            session: cookie.as_ref().map(|(session, _)| session.key),
        };
        let reopen = again.map(|(path, crossing)| self.reopen(path, crossing));
        tokio::spawn(carry(upgrade, desk, upstream, cookie, reopen));
        Ok(opening.answer())
    }

    /// The session of the upgrade's cookie, with a token for it. Looked up only for a page that is listed, and refused for any other.
    async fn socket_identity(
        &self,
        arrival: &Arrival,
        caller: &Caller<'_>,
        headers: &HeaderMap,
    ) -> Result<Option<(LiveSession, Arc<Minted>)>, Rejection> {
        if caller.listener() != Listener::Public {
            return Ok(None);
        }
        let cookie = CookieSession::read(headers, &self.config.session.cookies);
        let session_token = match (cookie, caller.cookies()) {
            (CookieSession::None, _) => return Ok(None),
            (CookieSession::Sealed | CookieSession::Token(_), CookieStanding::Ignored) => {
                return Err(Rejection::OriginForbidden);
            }
            (CookieSession::Sealed, CookieStanding::Authority) => return Ok(None),
            (CookieSession::Token(token), CookieStanding::Authority) => token,
        };
        let identity = self.cookie_identity(&arrival.id, session_token).await?;
        if identity.as_ref().is_some_and(|(session, _)| self.refused_sessions.contains_key(&session.key)) {
            // Else the client would be led through the same refusal for ever.
            self.metrics.socket_identity("refused");
            return Ok(None);
        }
        Ok(identity)
    }

    fn reopen(self: &Arc<Self>, path: String, crossing: Crossing) -> Reopen<SocketStream> {
        let upstream = self.upstream.clone();
        Box::new(move || {
            Box::pin(async move {
                match upstream.open_socket(&path, crossing).await? {
                    SocketAnswer::Open(stream, ahead) => Ok((stream, ahead)),
                    SocketAnswer::Refused(_) => Err(Rejection::UpstreamUnreachable),
                }
            })
        })
    }
}

/// Waits for the hand-over, then relays until one side ends it. The request is gone by then: an idle socket holds this task and no more.
async fn carry(
    upgrade: Upgrade,
    desk: SocketDesk,
    upstream: Opened<SocketStream>,
    cookie: Option<(LiveSession, Arc<Minted>)>,
    reopen: Option<Reopen<SocketStream>>,
) {
    // The connection ended before its answer was sent: there is nobody to relay for.
    let Ok(socket) = upgrade.take().await else { return };
    let relay = assemble(socket, desk, upstream, cookie, reopen);
    // A task of its own, so that none of what has led here is kept beside it.
    tokio::spawn(relay);
}

fn assemble(
    socket: Socket,
    desk: SocketDesk,
    upstream: Opened<SocketStream>,
    cookie: Option<(LiveSession, Arc<Minted>)>,
    reopen: Option<Reopen<SocketStream>>,
) -> impl Future<Output = ()> + Send {
    let Socket { stream, ahead, seat } = socket;
    let metrics = Arc::clone(&desk.proxy.metrics);
    let open = metrics.socket_opened(cookie.is_some());
    let id = desk.id.clone();
    let waits = Arc::clone(&desk.proxy.socket_waits);
    let now = Now::read();
    let stopping = Box::pin(stop_in_turn(Arc::clone(&seat), Arc::clone(&desk.proxy)));
    let parts = Parts { client: (stream, ahead), upstream, authority: desk, cookie, reopen, stopping, waits };
    let relay = Relay::new(parts, now);
    async move {
        let report = relay.await;
        drop(open);
        tell(&id, &report, now, &metrics);
        drop(seat);
    }
}

/// Ends some while after the proxy began to stop, another for each socket: clients that all come back at once are a load of their own. A
/// few are let go at once; many are spread over a quarter of the time that a stop may take.
async fn stop_in_turn(seat: Arc<Seat>, proxy: Arc<Proxy>) {
    seat.stopping().await;
    let spread = EACH_AFTER.saturating_mul(u32::try_from(proxy.metrics.sockets()).unwrap_or(u32::MAX));
    tokio::time::sleep(spread.min(proxy.config.timeouts.shutdown / 4).mul_f64(chance::fraction())).await;
}

/// Between two sockets that are let go, on average.
const EACH_AFTER: Duration = Duration::from_millis(2);

fn tell(id: &HeaderValue, report: &Report, opened: Now, metrics: &Metrics) {
    let (end, code) = match &report.end {
        End::ClientClosed(close) => ("client", close.code()),
        End::ClientGone => ("client_gone", None),
        End::UpstreamClosed(close) => ("deployment", close.code()),
        End::Here(cause) => (cause.name(), cause.to_client().code()),
    };
    metrics.socket_ended(end);
    tracing::info!(
        target: "sync",
        id = id.to_str().unwrap_or_default(),
        end,
        code,
        from_client = report.tally.from_client,
        from_deployment = report.tally.from_upstream,
        s = opened.steady.elapsed().as_secs(),
        "a socket has ended"
    );
}

impl Judge for SocketDesk {
    fn decide<'text>(&self, call: Call<'text>) -> Result<Permitted<'text>, Rejection> {
        Permitted::decide(call, self.listener, &self.proxy.config.adapter)
            .map_err(|refusal| self.proxy.refuse(self.peer, refusal))
    }

    fn policy(&self) -> &config::Adapter {
        &self.proxy.config.adapter
    }

    fn begin_write(&self, permitted: &Permitted<'_>) -> Option<Write> {
        self.proxy.scope(permitted).map(|scope| self.proxy.sessions.begin_write(vec![scope]))
    }

    fn clean(&self, answer: Bytes) -> Bytes {
        self.proxy.scrub.clean(answer)
    }

    fn lease(&self) -> Lease {
        self.proxy.intake.lease(self.listener)
    }

    fn refused(&self, rejection: Rejection) {
        self.proxy.metrics.refusal(rejection.code());
    }
}

impl Authority for SocketDesk {
    type Upstream = SocketStream;

    fn read_session(
        &self,
        session: &SessionToken,
        from_memory: bool,
    ) -> BoxFuture<'static, Result<Option<LiveSession>, Rejection>> {
        let (proxy, id, session) = (Arc::clone(&self.proxy), self.id.clone(), session.clone());
        Box::pin(async move {
            if from_memory {
                proxy.live_session(&id, session).await
            } else {
                proxy.live_session_anew(&id, session).await
            }
        })
    }

    fn mint(&self, session: &LiveSession) -> Result<Arc<Minted>, Rejection> {
        self.proxy.mint(session, Freshness::Reuse)
    }

    fn judge_token(&self, token: &str) -> TokenStanding {
        self.proxy.judge_bearer(token)
    }

    fn watch(&self, session: &LiveSession, bell: Arc<Bell>) -> Watching {
        self.proxy.sessions.watch(session, bell)
    }

    fn memory(&self) -> (&Intake, Listener) {
        (&self.proxy.intake, self.listener)
    }

    fn told(&self, what: Told) {
        let metrics = &self.proxy.metrics;
        let id = self.id.to_str().unwrap_or_default();
        match what {
            Told::Renewed => metrics.socket_identity("renewed"),
            Told::Ended => metrics.socket_identity("ended"),
            Told::Unknown => {
                metrics.socket_identity("unknown");
                tracing::warn!(target: "sync", id, "a session could not be read in time; its socket is closed");
            }
            Told::TokenRefused { goes_on } => {
                metrics.socket_identity("refused");
                let outcome = if goes_on {
                    "the socket goes on as nobody"
                } else {
                    if let Some(session) = self.session {
                        self.proxy.refused_sessions.insert(session, ());
                    }
                    "the socket is closed; its client comes back as nobody"
                };
                tracing::error!(
                    target: "sync",
                    id,
                    issuer = self.proxy.config.token.issuer,
                    audience = self.proxy.config.token.audience,
                    outcome,
                    "the deployment refused the proxy's token. Does the deployment's auth.config have a provider with this issuer and \
                     this audience as applicationID, and can the deployment read the issuer's key set?"
                );
            }
            Told::Unconfirmed => {
                metrics.socket_identity("unconfirmed");
                tracing::warn!(
                    target: "sync",
                    id,
                    issuer = self.proxy.config.token.issuer,
                    "the deployment ended a socket before it had taken the proxy's token: can it read the issuer's key set?"
                );
            }
            Told::Lost => metrics.socket_identity("lost"),
        }
    }
}
