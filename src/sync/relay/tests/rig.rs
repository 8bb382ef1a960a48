//! A relay with a test around it: what it asks of the proxy is answered by a [`World`] that the test rules.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::{
    io::DuplexStream,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};

use super::peer::Peer;
use crate::{
    classify::{Call, Listener},
    clock::{Now, UnixMillis},
    config::{self, Nulls, OnPublic},
    error::Rejection,
    keys::{Algorithm, SigningKey},
    permit::{FunctionRefusal, Permitted},
    secret::Secret,
    server::{Intake, Lease},
    session::{Bell, Coherence, LiveSession, Profile, Scope, SessionKeys, SessionToken, Watching, Write, WriteOutcome},
    sync::{Authority, Judge, Parts, Relay, Reopen, Report, TokenStanding, Told, Waits, laws},
    token::{Freshness, MintError, Minted, Minter, MinterSettings},
};

pub(super) const SECRET: &str = "the-secret-of-this-test";

/// How a relay is begun.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    /// Whether the client came with a cookie of a session that lives.
    pub(super) is_signed_in: bool,
    /// How long tokens live, in seconds.
    pub(super) token_seconds: u64,
    /// How long the session lives, in seconds from the start.
    pub(super) session_seconds: i64,
    /// Bytes that the client's connection holds in each direction.
    pub(super) client_pipe: usize,
    /// The same of the deployment's.
    pub(super) upstream_pipe: usize,
    /// `limits.buffered_bytes`.
    pub(super) buffered_bytes: usize,
}

impl Setup {
    pub(super) const ANONYMOUS: Self = Self {
        is_signed_in: false,
        token_seconds: 600,
        session_seconds: 100_000,
        client_pipe: 1 << 20,
        upstream_pipe: 1 << 20,
        buffered_bytes: 512 << 20,
    };
    pub(super) const SIGNED_IN: Self = Self { is_signed_in: true, ..Self::ANONYMOUS };

    pub(super) fn start(self) -> Rig {
        let world = Arc::new(World::new(self));
        let (client, client_end) = tokio::io::duplex(self.client_pipe);
        let (upstream, upstream_end) = tokio::io::duplex(self.upstream_pipe);
        let (opened, reopened) = mpsc::unbounded_channel();
        let reopen: Reopen<DuplexStream> = Box::new(move || {
            let (stream, end) = tokio::io::duplex(self.upstream_pipe);
            let _ = opened.send(Peer::deployment(end));
            Box::pin(async { Ok((stream, Vec::new())) })
        });
        let cookie = self.is_signed_in.then(|| {
            let session = world.session();
            let minted = world.mint(&session).expect("a token");
            (session, minted)
        });
        let (stop, stopping) = oneshot::channel();
        let parts = Parts {
            client: (client, Vec::new()),
            upstream: (upstream, Vec::new()),
            authority: Desk(Arc::clone(&world)),
            reopen: cookie.is_some().then_some(reopen),
            cookie,
            stopping: Box::pin(async {
                if stopping.await.is_err() {
                    std::future::pending().await
                }
            }),
            waits: Arc::new(Waits::default()),
        };
        Rig {
            client: Peer::client(client_end),
            upstream: Peer::deployment(upstream_end),
            world,
            reopened,
            stop: Some(stop),
            relay: tokio::spawn(Relay::new(parts, Now::read())),
        }
    }
}

/// A relay that runs, and both its peers.
pub(super) struct Rig {
    pub(super) client: Peer,
    pub(super) upstream: Peer,
    pub(super) world: Arc<World>,
    /// Connections to the deployment that were opened once more.
    pub(super) reopened: mpsc::UnboundedReceiver<Peer>,
    stop: Option<oneshot::Sender<()>>,
    relay: JoinHandle<Report>,
}

impl Rig {
    pub(super) fn anonymous() -> Self {
        Setup::ANONYMOUS.start()
    }

    pub(super) fn signed_in() -> Self {
        Setup::SIGNED_IN.start()
    }

    /// The proxy begins to stop.
    pub(super) fn stop(&mut self) {
        let _ = self.stop.take().expect("once").send(());
    }

    /// How it has ended. Neither peer is heard meanwhile.
    pub(super) async fn report(self) -> Report {
        let Self { client: _client, upstream: _upstream, relay, .. } = self;
        relay.await.expect("no panic")
    }
}

/// What a read of the session gives.
#[derive(Debug, Clone, Copy)]
pub(super) enum Store {
    /// It lives, until that second from the start.
    Lives(i64),
    /// There is none.
    Ended,
    /// The deployment answers with an error.
    Fails,
    /// The deployment does not answer.
    Hangs,
    /// It lives, and the deployment takes its time to say so.
    Slow(Duration),
}

/// What the proxy knows, ruled by the test.
pub(super) struct World {
    start: UnixMillis,
    policy: config::Adapter,
    minter: Minter,
    intake: Intake,
    pub(super) writes: Arc<Coherence>,
    store: Mutex<Store>,
    user: Mutex<&'static str>,
    /// Reads of sessions: when, and whether an answer from memory would do.
    pub(super) reads: Mutex<Vec<(Instant, bool)>>,
    pub(super) told: Mutex<Vec<Told>>,
    pub(super) refusals: Mutex<Vec<Rejection>>,
}

impl World {
    fn new(setup: Setup) -> Self {
        static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::EdDsa).expect("a key"));
        let secret = Secret::new(SECRET);
        let minter = Minter::new(MinterSettings {
            key: KEY.clone(),
            kid: None,
            issuer: "https://proxy.test".to_owned(),
            audience: "convex".to_owned(),
            lifetime: Duration::from_secs(setup.token_seconds),
            claims: Vec::new(),
            adapter_secret: &secret,
            capacity: 10,
        });
        Self {
            start: UnixMillis::now(),
            policy: config::Adapter {
                module: "authAdapter".parse().expect("a module"),
                secret,
                on_public: OnPublic::RequireSecret,
                tokens: Vec::new(),
                nulls: Nulls::Drop,
            },
            minter,
            intake: laws::intake(setup.buffered_bytes),
            writes: Arc::default(),
            store: Mutex::new(Store::Lives(setup.session_seconds)),
            user: Mutex::new("user-1"),
            reads: Mutex::default(),
            told: Mutex::default(),
            refusals: Mutex::default(),
        }
    }

    /// The session as it lies in the store.
    pub(super) fn session(&self) -> LiveSession {
        let token = SessionToken::new("session-token");
        let Store::Lives(seconds) = *self.store.lock() else { panic!("it has ended") };
        LiveSession {
            key: SessionKeys::new(&Secret::new(SECRET), "http://deployment.test").key_of(&token),
            token,
            user_id: self.user.lock().to_string(),
            expires: UnixMillis(self.start.0 + seconds * 1_000),
            profile: Profile::default(),
        }
    }

    /// What the store holds from now on. Nobody is told.
    pub(super) fn hold(&self, store: Store) {
        *self.store.lock() = store;
    }

    /// The same, by a write through the proxy.
    pub(super) fn write(&self, store: Store) {
        let write = self.writes.begin(vec![Scope::User("user-1".to_owned())]);
        self.hold(store);
        write.end(WriteOutcome::Known);
    }

    /// The session is another user's from now on. Nobody is told.
    pub(super) fn belong_to(&self, user: &'static str) {
        *self.user.lock() = user;
    }

    pub(super) fn mint(&self, session: &LiveSession) -> Result<Arc<Minted>, Rejection> {
        match self.minter.for_session(session, Freshness::Reuse, UnixMillis::now()) {
            Ok((minted, _)) => Ok(minted),
            Err(MintError::SessionOver) => Err(Rejection::NoSession),
            Err(_) => Err(Rejection::SigningFailed),
        }
    }

    pub(super) fn told(&self) -> Vec<Told> {
        self.told.lock().clone()
    }

    pub(super) fn reads(&self) -> usize {
        self.reads.lock().len()
    }

    /// How many bytes are counted as held.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        self.intake.lease(Listener::Adapter).grow(bytes).is_ok()
    }
}

/// The proxy on behalf of one socket.
struct Desk(Arc<World>);

impl Judge for Desk {
    fn decide<'text>(&self, call: Call<'text>) -> Result<Permitted<'text>, Rejection> {
        Permitted::decide(call, Listener::Public, &self.0.policy).map_err(|refusal| match refusal {
            FunctionRefusal::Rejected(rejection) => rejection,
            FunctionRefusal::WrongSecret => Rejection::AdapterForbidden,
        })
    }

    fn policy(&self) -> &config::Adapter {
        &self.0.policy
    }

    fn begin_write(&self, permitted: &Permitted<'_>) -> Option<Write> {
        permitted.adapter()?;
        Some(self.0.writes.begin(vec![Scope::User("user-1".to_owned())]))
    }

    fn clean(&self, answer: Bytes) -> Bytes {
        let text = String::from_utf8(answer.to_vec()).expect("UTF-8");
        Bytes::from(text.replace(SECRET, "[redacted]"))
    }

    fn refused(&self, rejection: Rejection) {
        self.0.refusals.lock().push(rejection);
    }

    fn lease(&self) -> Lease {
        self.0.intake.lease(Listener::Public)
    }
}

impl Authority for Desk {
    type Upstream = DuplexStream;

    fn read_session(
        &self,
        session: &SessionToken,
        from_memory: bool,
    ) -> BoxFuture<'static, Result<Option<LiveSession>, Rejection>> {
        assert_eq!(session.expose(), "session-token");
        self.0.reads.lock().push((Instant::now(), from_memory));
        let world = Arc::clone(&self.0);
        Box::pin(async move {
            let store = *world.store.lock();
            match store {
                Store::Lives(_) => Ok(Some(world.session())),
                Store::Ended => Ok(None),
                Store::Fails => Err(Rejection::UpstreamUnreachable),
                Store::Hangs => std::future::pending().await,
                Store::Slow(wait) => {
                    tokio::time::sleep(wait).await;
                    world.hold(Store::Lives(100_000));
                    let session = world.session();
                    world.hold(Store::Slow(wait));
                    Ok(Some(session))
                }
            }
        })
    }

    fn mint(&self, session: &LiveSession) -> Result<Arc<Minted>, Rejection> {
        self.0.mint(session)
    }

    fn judge_token(&self, token: &str) -> TokenStanding {
        match token {
            "of-the-session" => TokenStanding::OfSession(SessionToken::new("session-token")),
            "refused" => TokenStanding::Refused(Rejection::TokenForeign),
            _ => TokenStanding::Passes,
        }
    }

    fn watch(&self, session: &LiveSession, bell: Arc<Bell>) -> Watching {
        self.0.writes.watchers().watch(session, bell)
    }

    fn memory(&self) -> (&Intake, Listener) {
        (&self.0.intake, Listener::Public)
    }

    fn told(&self, what: Told) {
        self.0.told.lock().push(what);
    }
}

pub(super) const CONNECT: &str = r#"{"type":"Connect","sessionId":"7f1e5a52-22d1-4bd1-8f0a-0123456789ab","connectionCount":0,"lastCloseReason":"InitialConnect","clientTs":1}"#;

/// A change of the query set from one version to the next.
pub(super) fn modify(base: u32, modifications: &str) -> String {
    let new = base + 1;
    format!(r#"{{"type":"ModifyQuerySet","baseVersion":{base},"newVersion":{new},"modifications":[{modifications}]}}"#)
}

/// One query more.
pub(super) fn add(query_id: u32, path: &str) -> String {
    format!(r#"{{"type":"Add","queryId":{query_id},"udfPath":"{path}","args":[{{}}]}}"#)
}

/// One query less.
pub(super) fn remove(query_id: u32) -> String {
    format!(r#"{{"type":"Remove","queryId":{query_id}}}"#)
}

pub(super) fn mutation(request_id: u32, path: &str, args: &str) -> String {
    format!(r#"{{"type":"Mutation","requestId":{request_id},"udfPath":"{path}","args":[{args}]}}"#)
}

pub(super) fn authenticate(base_version: u32, token: &str) -> String {
    format!(r#"{{"type":"Authenticate","baseVersion":{base_version},"tokenType":"User","value":"{token}"}}"#)
}

/// From one version to another, each as query set, identity and moment.
pub(super) fn transition(start: (u32, u32, u64), end: (u32, u32, u64), modifications: &str) -> String {
    let (start, end) = (version(start), version(end));
    format!(
        r#"{{"type":"Transition","startVersion":{start},"endVersion":{end},"modifications":[{modifications}],"clientClockSkew":null,"serverTs":1}}"#
    )
}

fn version((query_set, identity, moment): (u32, u32, u64)) -> String {
    let moment = STANDARD.encode(moment.to_le_bytes());
    format!(r#"{{"querySet":{query_set},"identity":{identity},"ts":"{moment}"}}"#)
}

pub(super) const UPDATED: &str =
    r#"{"type":"QueryUpdated","queryId":0,"value":{"n":1.0},"logLines":[],"journal":null}"#;

pub(super) fn auth_error(was_attempted: bool) -> String {
    format!(r#"{{"type":"AuthError","error":"no","baseVersion":0,"authUpdateAttempted":{was_attempted}}}"#)
}
