//! Sockets and connections: bound first, then served by Pingora's listeners on our own runtimes, with our own end.
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
mod workers;

use std::{
    fs::Permissions,
    io,
    os::{fd::IntoRawFd, unix::fs::PermissionsExt},
    sync::Arc,
};

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
    workers::Workers,
};
use crate::{classify::Listener, config::Config, telemetry::Metrics};

/// Listeners that are being served, each by every worker. Dropping it cuts whatever is under way; [`stop`](Server::stop) ends it in order.
#[derive(Debug)]
pub struct Server {
    shutdown: watch::Sender<bool>,
    listeners: TaskTracker,
    connections: TaskTracker,
    workers: Workers,
}

impl Server {
    /// A server without listeners yet.
    ///
    /// # Errors
    ///
    /// As [`Workers::start`].
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            shutdown: watch::Sender::new(false),
            listeners: TaskTracker::new(),
            connections: TaskTracker::new(),
            workers: Workers::start()?,
        })
    }

    /// Begins to serve one bound socket.
    ///
    /// # Errors
    ///
    /// [`io::Error`]: no more descriptors; each worker has one of the socket.
    pub fn serve(
        &self,
        listener: Listener,
        bound: Bound,
        pipeline: Pipeline,
        config: &Config,
        metrics: Arc<Metrics>,
    ) -> io::Result<()> {
        let (name, socket, kind) = bound.into_parts();
        let app = Connections::new(listener, pipeline, config, metrics, self.connections.clone());
        self.workers.on_each(|| {
            let endpoint = match kind {
                bind::Kind::Tcp => ListenerConfig::tcp(name.clone()),
                // Pingora sets the mode again when it takes the socket over, and would open it to all.
                bind::Kind::Unix => ListenerConfig::uds(name.clone()).permissions(Permissions::from_mode(0o600)),
            };
            let mut service = Service::new(listener.name().to_owned(), app.clone());
            // Pingora's default read buffer is 64 KiB for each connection; hyper has its own.
            service.add_listener(endpoint.l4_buffer(L4BufferSettings::unbuffered()));
            let mut sockets = Fds::new();
            // Pingora owns the descriptor from here on.
            sockets.add(name.clone(), socket.try_clone()?.into_raw_fd());
            let sockets = Arc::new(parking_lot::Mutex::new(sockets));
            let shutdown = self.shutdown.subscribe();
            let serving = async move { service.start_service(Some(sockets), shutdown, 1).await };
            Ok(self.listeners.track_future(serving))
        })
    }

    /// Stops accepting, lets every request in flight end, and gives up on the rest after `timeouts.shutdown`. Says whether all ended.
    ///
    /// What was begun beside the connections goes on until this is dropped.
    pub async fn stop(&self, config: &Config) -> bool {
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
