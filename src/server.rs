//! Sockets and connections: bound first, then served by hyper on Pingora's streams, on our own threads and with our own end.
//!
//! Not for: what a request means. The invariant: every byte of a request reaches the pipeline through hyper's parser, and no
//! connection is served longer than its timeouts allow.
//!
//! Pingora's `Server` is not used: it waits out its whole grace period, does not wait for tasks, panics when a bind fails and hides
//! the port of `:0`. Nor is its listening service: it serves a connection on whichever runtime accepted it.

mod accept;
mod arrival;
mod bind;
mod connection;
mod intake;
mod stream;
mod upgrade;
mod workers;

use std::{io, sync::Arc};

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use self::connection::Connections;
pub use self::{
    arrival::{Arrival, Ends},
    bind::{BindProblem, Bound},
    connection::{AnswerFuture, Pipeline, Pipelines},
    intake::{Intake, Lease, WholeBody},
    upgrade::{Seat, Socket, Upgrade, UpgradeFailed},
    workers::Workers,
};
use crate::{classify::Listener, config::Config, telemetry::Metrics};

/// Listeners that are being served. Dropping it cuts whatever is under way; [`stop`](Server::stop) ends it in order.
#[derive(Debug)]
pub struct Server {
    shutdown: watch::Sender<bool>,
    listeners: TaskTracker,
    connections: TaskTracker,
    workers: Arc<Workers>,
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
            workers: Arc::new(Workers::start()?),
        })
    }

    /// Begins to serve one bound socket. Must be called within a runtime, on which connections are accepted.
    ///
    /// # Errors
    ///
    /// [`io::Error`]: the system does not watch the socket.
    pub fn serve(
        &self,
        listener: Listener,
        bound: Bound,
        pipelines: Pipelines,
        config: &Config,
        metrics: Arc<Metrics>,
    ) -> io::Result<()> {
        let app = Arc::new(Connections::new(listener, pipelines, config, metrics, self.connections.clone()));
        let accepting = accept::accept(bound.listen()?, Arc::clone(&self.workers), app, self.shutdown.subscribe());
        self.listeners.spawn(accepting);
        Ok(())
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
