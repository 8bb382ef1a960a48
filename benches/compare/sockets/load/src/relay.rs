//! The yardstick: a relay that moves bytes and knows nothing of them.
//!
//! One task for each connection and, while it lives, one buffer of 8 KiB for each direction: what anybody would write
//! first. What the measured relay costs beyond it is the price of knowing where a message begins and ends.

use std::io;

use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpListener, TcpStream},
};

use crate::http::announce;

const BUFFER_BYTES: usize = 8 * 1024;

/// Relays every connection to `listen` to one of its own to `upstream`, for ever.
///
/// # Errors
///
/// When the listener cannot be opened or dies. A connection that fails ends alone.
pub async fn serve(listen: &str, upstream: &str) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    announce(&listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        let upstream = upstream.to_owned();
        tokio::spawn(async move { _ = relay(client, &upstream).await });
    }
}

async fn relay(mut client: TcpStream, upstream: &str) -> io::Result<()> {
    let mut upstream = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER_BYTES, BUFFER_BYTES).await?;
    Ok(())
}
