//! The upgrade of a connection to a socket: what carries it on, and its place among the connections.

use std::{fmt, sync::Arc};

use http::{Extensions, Request};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use pingora_core::protocols::Stream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{stream::ClientStream, workers::Place};
use crate::telemetry::OpenConnection;

/// A place among the connections of a listener, and of a worker: held by a connection, and by whatever it becomes, until both have ended.
pub struct Seat {
    _places: (OwnedSemaphorePermit, Place),
    _open: OpenConnection,
    _tracked: TaskTrackerToken,
    shutdown: watch::Receiver<bool>,
}

/// What a request carries so that its connection can become a socket.
#[derive(Clone)]
pub struct Upgrade {
    on: OnUpgrade,
    seat: Arc<Seat>,
}

/// A connection that HTTP has let go of.
pub struct Socket {
    /// The connection.
    pub stream: Stream,
    /// What was read of it behind the request's head.
    pub ahead: Vec<u8>,
    /// Its place.
    pub seat: Arc<Seat>,
}

/// The connection ended before it became a socket.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the connection ended before it became a socket")]
pub struct UpgradeFailed;

impl Seat {
    pub(super) fn new(
        places: (OwnedSemaphorePermit, Place),
        open: OpenConnection,
        tracked: TaskTrackerToken,
        shutdown: watch::Receiver<bool>,
    ) -> Self {
        Self { _places: places, _open: open, _tracked: tracked, shutdown }
    }

    /// Ends when the server is being stopped.
    pub async fn stopping(&self) {
        let mut shutdown = self.shutdown.clone();
        // An error means that nobody is left who could ask for an end: then there is none.
        if shutdown.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Upgrade {
    /// Gives a request what the upgrade of its connection needs. Whether it comes to that is the answer's business: 101.
    pub(super) fn prepare<B>(request: &mut Request<B>, seat: &Arc<Seat>) {
        let on = hyper::upgrade::on(&mut *request);
        request.extensions_mut().insert(Self { on, seat: Arc::clone(seat) });
    }

    /// What a request's head carries.
    pub fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().cloned()
    }

    /// The connection, once the answer 101 has been sent.
    ///
    /// # Errors
    ///
    /// [`UpgradeFailed`].
    pub async fn take(self) -> Result<Socket, UpgradeFailed> {
        let Self { on, seat } = self;
        let upgraded = on.await.map_err(|_| UpgradeFailed)?;
        let parts = upgraded.downcast::<TokioIo<ClientStream>>().map_err(|_| UpgradeFailed)?;
        Ok(Socket { stream: parts.io.into_inner().into_stream(), ahead: parts.read_buf.to_vec(), seat })
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seat")
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Upgrade")
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Socket")
    }
}
