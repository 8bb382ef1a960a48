//! What waits to be sent, and the sending of it.
//!
//! Transitions are few: at most two wait, and what changes meanwhile goes into the next one. Answers all wait, and while
//! many do, no further message of the client is taken. Invariant: pieces of one Transition go out back to back.

use bytes::Bytes;
use futures_util::{Sink, SinkExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::chunk::pieces;
use super::ending::Ending;
use super::message::{ServerMessage, Transition, print, print_transition};
use super::{OpenSocket, SyncOptions};
use crate::clock::UnixMillis;

/// Transitions that wait at most.
const TRANSITIONS: usize = 2;
/// Messages that wait before the client has to (the backend's limit on mutations in its queue).
const MESSAGES: usize = 1_000;

/// Something to send.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// Printed when it is sent: it tells the time.
    Transition(Transition),
    /// The text of an answer.
    Answer(String),
    /// The last one.
    End(Ending),
}

/// The worker's end.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    queue: mpsc::UnboundedSender<Outgoing>,
    unsent: watch::Sender<Unsent>,
}

/// What waits, the one that is being sent included.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Unsent {
    messages: usize,
    transitions: usize,
}

impl Outbox {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Outgoing>) {
        let (queue, waiting) = mpsc::unbounded_channel();
        (Self { queue, unsent: watch::Sender::new(Unsent::default()) }, waiting)
    }

    pub(super) fn push(&self, outgoing: Outgoing) {
        self.count(&outgoing, |count| count.saturating_add(1));
        // Whoever sends is gone when the connection is; nobody misses the message then.
        let _ = self.queue.send(outgoing);
    }

    /// Whether another message of the client may be taken.
    pub(super) fn has_room(&self) -> bool {
        self.unsent.borrow().messages < MESSAGES
    }

    /// Whether another Transition may wait.
    pub(super) fn has_room_for_transition(&self) -> bool {
        self.unsent.borrow().transitions < TRANSITIONS
    }

    /// Wakes when something was sent, and when something was pushed.
    pub(super) fn changes(&self) -> watch::Receiver<Unsent> {
        self.unsent.subscribe()
    }

    fn count(&self, outgoing: &Outgoing, change: impl Fn(usize) -> usize) {
        let is_transition = matches!(outgoing, Outgoing::Transition(_));
        self.unsent.send_modify(|unsent| {
            unsent.messages = change(unsent.messages);
            if is_transition {
                unsent.transitions = change(unsent.transitions);
            }
        });
    }
}

/// Sends what waits, pings, and comes back when the last message was sent or none can be.
pub(super) async fn send_all<S>(
    sink: &mut S,
    outbox: &Outbox,
    mut waiting: mpsc::UnboundedReceiver<Outgoing>,
    socket: &OpenSocket,
    takes_chunks: bool,
) where
    S: Sink<Message, Error = Error> + Unpin,
{
    let SyncOptions { ping_every, heartbeat, chunk_bytes, .. } = socket.options();
    let longest = if takes_chunks { chunk_bytes } else { usize::MAX };
    let mut pings = tokio::time::interval(ping_every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_text = Instant::now();
    loop {
        let sent = tokio::select! {
            biased;
            _ = pings.tick() => sink.send(Message::Ping(Bytes::new())).await,
            Some(outgoing) = waiting.recv() => {
                last_text = Instant::now();
                let sent = match &outgoing {
                    Outgoing::Transition(transition) => {
                        let text = print_transition(transition, UnixMillis::now().0.saturating_mul(1_000_000));
                        send_text(sink, text, longest, &socket.deployment.next_request_id()).await
                    }
                    Outgoing::Answer(text) => sink.send(Message::text(text.as_str())).await,
                    Outgoing::End(ending) => return end(sink, ending).await,
                };
                outbox.count(&outgoing, |count| count.saturating_sub(1));
                sent
            }
            () = tokio::time::sleep_until(last_text + heartbeat) => {
                last_text = Instant::now();
                sink.send(Message::text(print(&ServerMessage::Ping))).await
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Whole, or in pieces when it is longer than `longest`.
async fn send_text<S>(sink: &mut S, text: String, longest: usize, transition_id: &str) -> Result<(), Error>
where
    S: Sink<Message, Error = Error> + Unpin,
{
    if text.len() <= longest {
        return sink.send(Message::text(text)).await;
    }
    let total_parts = pieces(&text, longest).count();
    for (part_number, chunk) in pieces(&text, longest).enumerate() {
        let part = ServerMessage::TransitionChunk { chunk, part_number, total_parts, transition_id };
        sink.feed(Message::text(print(&part))).await?;
    }
    sink.flush().await
}

async fn end<S>(sink: &mut S, ending: &Ending)
where
    S: Sink<Message, Error = Error> + Unpin,
{
    let last_words = ending.last_words().map(Message::text);
    for message in last_words.into_iter().chain(ending.close()) {
        // The client may be gone already; then there is nobody left to tell.
        let _ = sink.send(message).await;
    }
}
