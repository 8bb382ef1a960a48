//! The task of one socket: reads, works and writes at once, and ends all three together.
//!
//! Not for the rules of the protocol. Invariant: the task ends at most [`FAREWELL`] after a reason to end came up.

use std::pin::pin;
use std::time::Duration;

use futures_util::{Sink, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::OpenSocket;
use super::ending::Ending;
use super::inbox::{WAITING, receive_all};
use super::outbox::{Outbox, Outgoing, send_all};
use super::worker::Worker;

/// How long the last messages may take, and the client to close its side (our choice; less than the server's last calls).
const FAREWELL: Duration = Duration::from_secs(2);
/// The longest message that is taken, in bytes.
const MESSAGE_BYTES: usize = 64 << 20;
/// The longest frame of it.
const FRAME_BYTES: usize = 16 << 20;
/// What a socket reads at once (our choice: most messages fit).
const READ_BYTES: usize = 8 << 10;

/// Speaks the protocol over a connection whose handshake is done.
pub(super) async fn converse<S>(socket: OpenSocket, connection: S, takes_chunks: bool, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(READ_BYTES)
        .max_message_size(Some(MESSAGE_BYTES))
        .max_frame_size(Some(FRAME_BYTES));
    let frames = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
    let (mut sink, mut stream) = frames.split();
    tokio::select! {
        biased;
        () = socket.dropped.cancelled() => return,
        () = exchange(&socket, &mut sink, &mut stream, takes_chunks, &shutdown) => {}
    }
    let Ok(frames) = sink.reunite(stream) else { return };
    let mut connection = frames.into_inner();
    // To close with something unread would take back what the client has not read yet.
    let goodbye = async {
        connection.shutdown().await?;
        let mut rest = [0; 1_024];
        while connection.read(&mut rest).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    tokio::select! {
        () = socket.dropped.cancelled() => {}
        // Late or broken, the connection ends here.
        _ = tokio::time::timeout(FAREWELL / 2, goodbye) => {}
    }
}

/// Everything up to the close frames of both sides.
async fn exchange<W, R>(
    socket: &OpenSocket,
    sink: &mut W,
    stream: &mut R,
    takes_chunks: bool,
    shutdown: &CancellationToken,
) where
    W: Sink<Message, Error = Error> + Unpin,
    R: Stream<Item = Result<Message, Error>> + Unpin,
{
    let (outbox, waiting) = Outbox::new();
    let (inbox, received) = mpsc::channel(WAITING);
    let worker = Worker::new(&socket.deployment, &outbox);
    let mut sending = pin!(send_all(sink, &outbox, waiting, socket, takes_chunks));
    let ending = tokio::select! {
        biased;
        () = shutdown.cancelled() => Ending::Stopped,
        // Before the worker, so that all that has arrived waits in the inbox when the worker looks.
        ending = receive_all(stream, inbox, socket, socket.options().silence) => ending,
        ending = worker.run(received) => ending,
        () = sending.as_mut() => return,
    };
    if ending == Ending::Lost {
        return;
    }
    outbox.push(Outgoing::End(ending));
    let farewell = async {
        // What comes before the client's own close frame is heard no more, but it must not keep the client from reading.
        let hear_out = async { while let Some(Ok(_)) = stream.next().await {} };
        tokio::join!(sending, hear_out);
    };
    let _ = tokio::time::timeout(FAREWELL / 2, farewell).await;
}
