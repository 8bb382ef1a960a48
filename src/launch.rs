//! From a configuration to a proxy that serves, and back to an orderly end.

mod embedded;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time};

use crate::{
    act::Proxy,
    admin::{Admin, Readiness, Watch},
    classify::Listener,
    config::{Config, ListenAddress},
    pipeline::{self, Admission},
    server::{BindProblem, Bound, Server},
    telemetry::Metrics,
    upstream::{self, UpstreamProblem},
};

pub use self::embedded::{Embedded, EmbeddedProblem, Visitors};

/// The proxy's sockets, all bound.
#[derive(Debug)]
pub struct Sockets {
    public: Bound,
    adapter: Option<Bound>,
    admin: Option<Bound>,
}

/// A proxy that serves.
#[derive(Debug)]
pub struct Running {
    proxy: Arc<Proxy>,
    server: Server,
    background: Vec<JoinHandle<()>>,
}

/// A proxy cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchProblem {
    /// The client for the deployment cannot be made.
    #[error(transparent)]
    Upstream(#[from] UpstreamProblem),
    /// The client for the readiness check cannot be made.
    #[error("the client for the readiness check cannot be made")]
    Readiness(#[from] reqwest::Error),
    /// The system gives no threads to serve on, or no more descriptors.
    #[error("the threads that serve cannot be started: {0}")]
    Workers(#[from] io::Error),
}

impl Sockets {
    /// Binds all listeners by the configuration.
    ///
    /// # Errors
    ///
    /// Every socket that cannot be bound, not only the first.
    pub fn bind(config: &Config) -> Result<Self, Vec<BindProblem>> {
        let listen = &config.listen;
        let public = Bound::new("listen.public", &ListenAddress::Tcp(listen.public));
        let adapter = listen.adapter.as_ref().map(|address| Bound::new("listen.adapter", address)).transpose();
        let admin = listen.admin.map(|address| Bound::new("listen.admin", &ListenAddress::Tcp(address))).transpose();
        match (public, adapter, admin) {
            (Ok(public), Ok(adapter), Ok(admin)) => Ok(Self { public, adapter, admin }),
            (public, adapter, admin) => Err([public.err(), adapter.err(), admin.err()].into_iter().flatten().collect()),
        }
    }

    /// Where the public listener was bound.
    pub fn public(&self) -> Option<SocketAddr> {
        self.public.tcp_address()
    }

    /// Where the adapter listener was bound, if it is on and has an address.
    pub fn adapter(&self) -> Option<SocketAddr> {
        self.adapter.as_ref().and_then(Bound::tcp_address)
    }

    /// Where the admin listener was bound, if it is on.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(Bound::tcp_address)
    }

    /// Listener names and addresses as text, for a person.
    pub fn display(&self) -> Vec<(&'static str, String)> {
        let named =
            [("public", Some(&self.public)), ("adapter", self.adapter.as_ref()), ("admin", self.admin.as_ref())];
        named.into_iter().filter_map(|(name, bound)| Some((name, bound?.display()))).collect()
    }
}

impl Running {
    /// Begins to serve, on threads of its own. Must be called within a runtime, on which it watches over the deployment.
    ///
    /// # Errors
    ///
    /// [`LaunchProblem`]; nothing is served then.
    pub fn start(config: Config, sockets: Sockets) -> Result<Self, LaunchProblem> {
        let metrics = Arc::new(Metrics::new());
        let readiness = Arc::new(Readiness::default());
        let tls = upstream::tls(&config.upstream.url)?;
        let watch = Watch::new(Arc::clone(&readiness), &config.upstream.url, tls)?;
        let proxy = Arc::new(Proxy::new(config, Arc::clone(&metrics))?);
        let config = proxy.config();
        let admission = Admission::new(config.limits.requests_in_flight);
        let server = Server::new()?;
        let app = |listener| pipeline::app(listener, &proxy, &admission, &metrics);
        server.serve(Listener::Public, sockets.public, app(Listener::Public), config, Arc::clone(&metrics))?;
        if let Some(bound) = sockets.adapter {
            server.serve(Listener::Adapter, bound, app(Listener::Adapter), config, Arc::clone(&metrics))?;
        }
        if let Some(bound) = sockets.admin {
            let admin = Arc::new(Admin::new(Arc::clone(&metrics), readiness));
            let pipeline = pipeline::admin(&proxy, &admin, &metrics);
            server.serve(Listener::Admin, bound, pipeline, config, Arc::clone(&metrics))?;
        }
        let background = vec![tokio::spawn(watch.run()), tokio::spawn(fold_metrics(metrics))];
        Ok(Self { proxy, server, background })
    }

    /// Accepts no more, finishes what is in flight, and says whether all of it ended within `timeouts.shutdown`.
    pub async fn stop(self) -> bool {
        let config = self.proxy.config();
        let deadline = time::Instant::now() + config.timeouts.shutdown;
        let has_ended = self.server.stop(config).await;
        // What may write was answered or is given its time too: its caller may be gone, its outcome is not.
        let has_finished = time::timeout_at(deadline, self.proxy.finish()).await.is_ok();
        for task in self.background {
            task.abort();
        }
        has_ended && has_finished
    }
}

async fn fold_metrics(metrics: Arc<Metrics>) {
    let mut every = time::interval(Duration::from_secs(5));
    loop {
        every.tick().await;
        metrics.fold();
    }
}
