//! Convex's sync protocol over WebSockets: how a client subscribes to queries, calls functions and says who it is.
//!
//! ```text
//!            ┌─ inbox ──► worker ──► outbox ─┐
//!  client ───┤            state              ├──► client
//!            └─ frames ─────────────── frames ┘
//! ```
//!
//! One task per socket holds all of it ([`socket`]): what is read waits in the inbox, the worker takes it strictly in order,
//! what it says waits in the outbox. The rules about versions are pure and stand in [`state`]. Not for other transports.
//! Invariant: whatever ends a socket travels the same way as its messages, so everything before it was answered.

mod call;
mod chunk;
mod ending;
mod handshake;
mod inbox;
mod message;
mod outbox;
mod sessions;
mod socket;
mod state;
mod worker;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(super) use self::handshake::upgrade;
use self::sessions::Sessions;
use super::Shared;

/// Messages that are remembered when recording is on.
const REMEMBERED: usize = 1_024;
/// Bytes of each message that are remembered.
const REMEMBERED_BYTES: usize = 64 * 1024;

/// The times and sizes of the protocol. The defaults are Convex's; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub struct SyncOptions {
    /// How often a socket is pinged by a WebSocket frame. Not zero.
    pub ping_every: Duration,
    /// After how much time without any frame from the client a socket is closed with 1000.
    pub silence: Duration,
    /// After how much time without another message the client gets a message of the type `Ping`: what a browser sees of
    /// a live socket.
    pub heartbeat: Duration,
    /// The longest Transition in bytes that goes out whole to a client that takes it in pieces, and the length of a piece.
    pub chunk_bytes: usize,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(5),
            silence: Duration::from_secs(120),
            heartbeat: Duration::from_secs(15),
            chunk_bytes: 5_000_000,
        }
    }
}

/// A message as a client sent it. `Debug` prints no text: it holds secrets.
#[derive(Clone)]
pub struct SeenSyncMessage {
    /// The socket, counted from 1 in the order in which they were opened.
    pub socket: u64,
    /// The first 64 KiB of the text.
    pub text: String,
}

impl fmt::Debug for SeenSyncMessage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SeenSyncMessage").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// All sync sockets of a deployment.
#[derive(Debug)]
pub(super) struct Sockets {
    options: SyncOptions,
    sessions: Sessions,
    open: Mutex<Open>,
    seen: Option<Mutex<VecDeque<SeenSyncMessage>>>,
    activity: watch::Sender<u64>,
    /// How often all tokens were let die.
    token_age: AtomicU64,
}

#[derive(Debug, Default)]
struct Open {
    /// How many there ever were; the number of the newest.
    opened: u64,
    /// What drops each.
    dropping: BTreeMap<u64, CancellationToken>,
}

impl Sockets {
    pub(super) fn new(options: SyncOptions, record: bool) -> Self {
        Self {
            options,
            sessions: Sessions::default(),
            open: Mutex::default(),
            seen: record.then(Mutex::default),
            activity: watch::Sender::new(0),
            token_age: AtomicU64::new(0),
        }
    }

    /// How many are open.
    pub(super) fn count(&self) -> usize {
        self.open().dropping.len()
    }

    /// Ends all that are open now without another word.
    pub(super) fn drop_all(&self) {
        self.open().dropping.values().for_each(CancellationToken::cancel);
    }

    /// Lets the tokens die that were verified until now.
    pub(super) fn expire_tokens(&self) {
        self.token_age.fetch_add(1, Ordering::AcqRel);
    }

    /// To compare: a token of an earlier age is dead.
    fn token_age(&self) -> u64 {
        self.token_age.load(Ordering::Acquire)
    }

    /// The newest messages, the newest last; none unless recording is on.
    pub(super) fn seen(&self) -> Vec<SeenSyncMessage> {
        let seen = self.seen.as_ref().map(|seen| seen.lock().unwrap_or_else(PoisonError::into_inner));
        seen.iter().flat_map(|seen| seen.iter().cloned()).collect()
    }

    /// Changes when a socket is opened, has ended, or sent a message.
    pub(super) fn activity(&self) -> watch::Receiver<u64> {
        self.activity.subscribe()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stir(&self) {
        self.activity.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// One socket's place among the open ones. Dropped, it is one of them no more.
#[derive(Debug)]
struct OpenSocket {
    deployment: Arc<Shared>,
    number: u64,
    dropped: CancellationToken,
}

impl OpenSocket {
    fn new(deployment: Arc<Shared>) -> Self {
        let dropped = CancellationToken::new();
        let number = {
            let mut open = deployment.sockets.open();
            open.opened += 1;
            let number = open.opened;
            open.dropping.insert(number, dropped.clone());
            number
        };
        deployment.sockets.stir();
        Self { deployment, number, dropped }
    }

    fn options(&self) -> SyncOptions {
        self.deployment.sockets.options
    }

    /// Remembers a message.
    fn record(&self, text: &str) {
        let sockets = &self.deployment.sockets;
        if let Some(seen) = &sockets.seen {
            let kept = text.get(..text.floor_char_boundary(REMEMBERED_BYTES)).unwrap_or_default();
            let message = SeenSyncMessage { socket: self.number, text: kept.to_owned() };
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.len() == REMEMBERED {
                seen.pop_front();
            }
            seen.push_back(message);
        }
        sockets.stir();
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.deployment.sockets.open().dropping.remove(&self.number);
        self.deployment.sockets.stir();
    }
}

#[cfg(test)]
mod tests;
