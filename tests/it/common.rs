//! Worlds to test in: a proxy in front of the embedded deployment, or of one that answers as the test tells it to.

mod client;
mod connection;
mod scripted;
pub(crate) mod socket;

use std::net::SocketAddr;

use convex_auth_proxy::{
    config::{self, Config, Mode, Sources},
    dev::{Deployment, DeploymentOptions, SyncOptions},
    launch::{Running, Sockets},
};
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

pub(crate) use self::{
    client::{Answer, Request, get, post, raw},
    connection::Connection,
    scripted::{NOTHING, Received, Scripted, Seen},
};

/// The secret that proxy and deployment share in every world.
pub(crate) const SECRET: &str = "canary-secret-e2a81c44";
/// All spellings that the backend resolves to one function.
pub(crate) const SPELLINGS: [&str; 8] = [
    "authAdapter:getUser",
    "authAdapter.js:getUser",
    "authAdapter/:getUser",
    "authAdapter//:getUser",
    "authAdapter/.:getUser",
    "authAdapter/./:getUser",
    "authAdapter.js/:getUser",
    "authAdapter.js/.:getUser",
];
/// The origin that every world lists.
pub(crate) const ORIGIN: &str = "http://localhost:3000";

/// A proxy, and where it listens.
pub(crate) struct World {
    pub(crate) public: SocketAddr,
    pub(crate) adapter: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) deployment: Option<Deployment>,
    running: Option<Running>,
    config: Config,
    stop_deployment: CancellationToken,
    /// Holds a port at which nobody listens.
    _silent: Option<TcpSocket>,
}

impl World {
    /// A proxy in front of the embedded deployment.
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The same, with further settings: names as in the environment without their prefix, e.g. `("TOKEN__LIFETIME", "10s")`.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        Self::with_provider(settings, None).await
    }

    /// The same, with a deployment that was told of another issuer: it takes none of the proxy's tokens.
    pub(crate) async fn without_provider() -> Self {
        Self::with_provider(&[], Some("https://another-issuer.example")).await
    }

    async fn with_provider(settings: &[(&str, &str)], issuer: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        let (config, sockets) = configure(upstream, settings);
        let deployment = Deployment::new(DeploymentOptions {
            adapter_secret: config.adapter.secret.clone(),
            module: config.adapter.module.clone(),
            issuer: issuer.map_or_else(|| config.token.issuer.clone(), str::to_owned),
            application_id: config.token.audience.clone(),
            record_requests: true,
            sync: SyncOptions::default(),
        })
        .unwrap();
        let stop_deployment = CancellationToken::new();
        tokio::spawn(deployment.clone().serve(listener, stop_deployment.clone()));
        Self::start(config, sockets, Some(deployment), stop_deployment)
    }

    /// A proxy in front of a deployment that does as the test says.
    pub(crate) async fn scripted(settings: &[(&str, &str)]) -> (Self, Scripted) {
        let scripted = Scripted::start().await;
        let (config, sockets) = configure(scripted.address(), settings);
        (Self::start(config, sockets, None, CancellationToken::new()), scripted)
    }

    /// A proxy in front of nothing: nobody listens at the port, and nobody else can come to.
    pub(crate) async fn without_deployment(settings: &[(&str, &str)]) -> Self {
        let silent = TcpSocket::new_v4().unwrap();
        silent.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let (config, sockets) = configure(silent.local_addr().unwrap(), settings);
        let mut world = Self::start(config, sockets, None, CancellationToken::new());
        world._silent = Some(silent);
        world
    }

    fn start(
        config: Config,
        sockets: Sockets,
        deployment: Option<Deployment>,
        stop_deployment: CancellationToken,
    ) -> Self {
        let (public, adapter, admin) = (sockets.public(), sockets.adapter(), sockets.admin());
        let none = SocketAddr::from(([127, 0, 0, 1], 0));
        let running = Running::start(config.clone(), sockets).unwrap();
        Self {
            public: public.unwrap(),
            adapter: adapter.unwrap_or(none),
            admin: admin.unwrap_or(none),
            deployment,
            running: Some(running),
            config,
            stop_deployment,
            _silent: None,
        }
    }

    /// Stops the proxy as SIGTERM does; says whether all that was in flight ended.
    pub(crate) async fn stop(mut self) -> bool {
        self.running.take().unwrap().stop().await
    }

    /// Begins the stop and gives a handle to its end.
    pub(crate) fn begin_stop(&mut self) -> tokio::task::JoinHandle<bool> {
        tokio::spawn(self.running.take().unwrap().stop())
    }

    /// How often the embedded deployment ran a function.
    pub(crate) fn calls(&self, function: &str) -> u64 {
        self.deployment.as_ref().unwrap().calls().get(function).copied().unwrap_or(0)
    }

    /// Creates a user and a session through the adapter listener; gives the user's id and the session's token.
    pub(crate) async fn sign_in(&self, email: &str) -> (String, String) {
        let user = serde_json::json!({ "user": { "email": email, "name": "Ada" } });
        let user = post(self.adapter, "/adapter/createUser").json(&user).send().await.ok();
        let user_id = user["id"].as_str().unwrap().to_owned();
        let token = format!("session-of-{email}");
        let session = serde_json::json!({
            "session": { "sessionToken": token, "userId": user_id, "expires": "2100-01-01T00:00:00.000Z" }
        });
        post(self.adapter, "/adapter/createSession").json(&session).send().await.ok();
        (user_id, token)
    }

    /// The value of one line of `/metrics`, e.g. `convex_auth_proxy_session_reads_total{result="hit"}`; 0 when it is not there.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = get(self.admin, "/metrics").send().await.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop_deployment.cancel();
    }
}

fn configure(upstream: SocketAddr, settings: &[(&str, &str)]) -> (Config, Sockets) {
    let mut pairs = vec![
        ("CONVEX_AUTH_PROXY__LISTEN__PUBLIC".to_owned(), "127.0.0.1:0".to_owned()),
        ("CONVEX_AUTH_PROXY__LISTEN__ADAPTER".to_owned(), "127.0.0.1:0".to_owned()),
        ("CONVEX_AUTH_PROXY__LISTEN__ADMIN".to_owned(), "127.0.0.1:0".to_owned()),
        ("CONVEX_AUTH_PROXY__UPSTREAM__URL".to_owned(), format!("http://{upstream}")),
        ("CONVEX_AUTH_PROXY__TOKEN__ALGORITHM".to_owned(), "EdDSA".to_owned()),
        ("CONVEX_AUTH_ADAPTER_SECRET".to_owned(), SECRET.to_owned()),
    ];
    for (name, value) in settings {
        let name = format!("CONVEX_AUTH_PROXY__{name}");
        pairs.retain(|(known, _)| *known != name);
        pairs.push((name, (*value).to_owned()));
    }
    let sources = Sources { file: None, directory: None, environment: pairs, mode: Mode::Dev };
    let config = config::load(&sources).unwrap_or_else(|problems| panic!("{problems}"));
    let sockets = Sockets::bind(&config).unwrap();
    let issuer = format!("http://{}{}", sockets.public().unwrap(), config.listen.base_path);
    (config.with_issuer(issuer), sockets)
}

impl World {
    /// Two proxies that share nothing but the deployment and their configuration, as two replicas do. The first is the issuer.
    pub(crate) async fn replicas(settings: &[(&str, &str)]) -> (Self, Self) {
        let first = Self::with(settings).await;
        let config = first.config.clone();
        let upstream = SocketAddr::from(([127, 0, 0, 1], config.upstream.url.port().unwrap()));
        let (other, sockets) = configure(upstream, settings);
        let config = other.with_issuer(config.token.issuer);
        let second = Self::start(config, sockets, first.deployment.clone(), CancellationToken::new());
        (first, second)
    }

    /// What the proxy was told.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// A POST of one call in Convex's own format, to the listener at that address.
    pub(crate) async fn call(&self, to: SocketAddr, lane: &str, path: &str, args: Value) -> Answer {
        let call = serde_json::json!({ "path": path, "args": [args], "format": "convex_encoded_json" });
        post(to, &format!("/api/{lane}")).json(&call).send().await
    }

    /// The requests that the embedded deployment got for functions: their targets and bodies, in their order.
    pub(crate) fn received(&self) -> Vec<Seen> {
        let requests = self.deployment.as_ref().unwrap().requests();
        let calls = requests.into_iter().filter(|request| request.target.starts_with("/api/"));
        calls.map(|request| Seen::new(&request.target, &request.headers, &request.body)).collect()
    }
}
