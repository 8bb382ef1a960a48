//! Takes connections in, and gives each to the worker that has the fewest.
//!
//! Were each worker to accept for itself, whichever is awake first would take a whole burst, and a client that opens its connections at
//! once (as a pool does) would be served by one processor for as long as they live.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use pingora_core::protocols::{Stream, l4::stream::Stream as L4Stream};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::watch,
    time::sleep,
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    connection::Connections,
    workers::{Place, Workers},
};

/// A listening socket, of either kind.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection that no runtime knows.
enum Accepted {
    Tcp(std::net::TcpStream, SocketAddr),
    Unix(std::os::unix::net::UnixStream),
}

/// Both ends, as addresses; none on a unix socket.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Addresses {
    pub(super) peer: Option<SocketAddr>,
    pub(super) local: Option<SocketAddr>,
}

/// Accepts until the server is being stopped.
pub(super) async fn accept(
    listening: Listening,
    workers: Arc<Workers>,
    app: Arc<Connections>,
    mut shutdown: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listening.accept() => accepted,
            // An error means that nobody is left who could ask for an end, or for more.
            _ = shutdown.wait_for(|stop| *stop) => return,
        };
        match accepted {
            Ok(accepted) => {
                let (app, shutdown) = (Arc::clone(&app), shutdown.clone());
                // Counted from here on: a stop waits for those too that wait for their worker.
                let tracked = app.track();
                workers.give(|place| serve(accepted, (place, tracked), app, shutdown));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(target: "listen", %error, "a connection cannot be accepted");
                // No descriptors, or no memory: the connection waits in the queue, and would be tried again at once.
                tokio::select! {
                    () = sleep(Duration::from_secs(1)) => {}
                    _ = shutdown.wait_for(|stop| *stop) => return,
                }
            }
        }
    }
}

async fn serve(
    accepted: Accepted,
    counted: (Place, TaskTrackerToken),
    app: Arc<Connections>,
    shutdown: watch::Receiver<bool>,
) {
    match accepted.register() {
        Ok((stream, addresses)) => app.serve(stream, addresses, counted, shutdown).await,
        Err(error) => tracing::debug!(target: "connection", %error, "lost before it was served"),
    }
}

/// Whether it tells of one connection, which went away while it waited or cannot be reached any more: Linux hands such errors of the network
/// to whoever accepts (`accept(2)`).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::Interrupted
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::PermissionDenied
    )
}

impl Listening {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Accepted::Tcp(stream.into_std()?, peer))
            }
            Self::Unix(listener) => Ok(Accepted::Unix(listener.accept().await?.0.into_std()?)),
        }
    }
}

impl Accepted {
    /// Puts it into the hands of the runtime that runs this.
    fn register(self) -> io::Result<(Stream, Addresses)> {
        match self {
            Self::Tcp(stream, peer) => {
                stream.set_nodelay(true)?;
                let addresses = Addresses { peer: Some(peer), local: stream.local_addr().ok() };
                Ok((Box::new(L4Stream::from(TcpStream::from_std(stream)?)), addresses))
            }
            Self::Unix(stream) => Ok((Box::new(L4Stream::from(UnixStream::from_std(stream)?)), Addresses::default())),
        }
    }
}
