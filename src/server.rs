//! Sockets and connections: bound first, then served by Pingora's listeners on our own runtime, with our own end.
//!
//! Not for: what a request means. The invariant: every byte of a request reaches the pipeline through hyper's parser, and no
//! connection is served longer than its timeouts allow.
//!
//! Pingora's `Server` is not used: it waits out its whole grace period, does not wait for tasks, panics when a bind fails and hides
//! the port of `:0`.

mod arrival;
mod bind;
mod connection;
mod intake;
mod stream;
mod upgrade;

use std::{fs::Permissions, os::unix::fs::PermissionsExt, sync::Arc};

use pingora_core::{
    listeners::ListenerConfig,
    protocols::l4::stream::L4BufferSettings,
    server::Fds,
    services::{Service as _, listening::Service},
};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use self::connection::Connections;
pub use self::{
    arrival::{Arrival, Ends},
    bind::{BindProblem, Bound},
    connection::{Answering, Pipeline},
    intake::{Intake, Lease, WholeBody},
    upgrade::{Seat, Socket, Upgrade, UpgradeFailed},
};
use crate::{classify::Listener, config::Config, telemetry::Metrics};

/// Listeners that are being served. Dropping it serves on; [`stop`](Server::stop) ends it.
#[derive(Debug)]
pub struct Server {
    shutdown: watch::Sender<bool>,
    listeners: TaskTracker,
    connections: TaskTracker,
}

impl Server {
    /// A server without listeners yet.
    pub fn new() -> Self {
        Self { shutdown: watch::Sender::new(false), listeners: TaskTracker::new(), connections: TaskTracker::new() }
    }

    /// Begins to serve one bound socket.
    pub fn serve(&self, listener: Listener, bound: Bound, pipeline: Pipeline, config: &Config, metrics: Arc<Metrics>) {
        let (name, fd, kind) = bound.into_parts();
        let endpoint = match kind {
            bind::Kind::Tcp => ListenerConfig::tcp(name.clone()),
            // Pingora sets the mode again when it takes the socket over, and would open it to all.
            bind::Kind::Unix => ListenerConfig::uds(name.clone()).permissions(Permissions::from_mode(0o600)),
        };
        let app = Connections::new(listener, pipeline, config, metrics, self.connections.clone());
        let mut service = Service::new(listener.name().to_owned(), app);
        // Pingora's default read buffer is 64 KiB for each connection; hyper has its own.
        service.add_listener(endpoint.l4_buffer(L4BufferSettings::unbuffered()));
        let mut sockets = Fds::new();
        sockets.add(name, fd);
        let sockets = Arc::new(parking_lot::Mutex::new(sockets));
        let shutdown = self.shutdown.subscribe();
        self.listeners.spawn(async move { service.start_service(Some(sockets), shutdown, 1).await });
    }

    /// Stops accepting, lets every request in flight end, and gives up on the rest after `timeouts.shutdown`. Says whether all ended.
    pub async fn stop(self, config: &Config) -> bool {
        self.shutdown.send_replace(true);
        self.listeners.close();
        self.connections.close();
        let ended = async {
            self.listeners.wait().await;
            self.connections.wait().await;
        };
        tokio::time::timeout(config.timeouts.shutdown, ended).await.is_ok()
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}
