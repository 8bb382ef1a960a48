//! The relay of one socket: one small task, two connections, and nothing held while both are idle.
//!
//! Each turn moves what can be moved in each direction by itself: a blocked send stops the reading of what it is for, and nothing else. The
//! invariants: at most one batch waits in each direction; a message that the client sends is looked at after the one before has been decided
//! on (rule 23); whatever ends the socket is said to both sides, in their own terms.

mod attend;
mod farewell;
mod hear;
mod leg;

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Sleep, sleep_until},
};

use self::leg::Leg;
use super::{
    authority::Authority,
    close::{Close, CloseCause},
    conversation::Conversation,
    frame::{FrameWriter, Sender},
    inbox::Inbox,
    passage::Passage,
    standing::{By, Look, Standing},
};
use crate::{
    chance,
    clock::Now,
    error::Rejection,
    secret::Secret,
    session::{Bell, LiveSession, Ring},
    token::Minted,
};

/// A connection to the deployment, just opened: the stream, and what was read of it with the handshake.
pub type Opened<U> = (U, Vec<u8>);
/// Opens the connection to the deployment once more, the same way.
pub type Reopen<U> = Box<dyn FnOnce() -> BoxFuture<'static, Result<Opened<U>, Rejection>> + Send>;

/// How long a relay waits for what.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// A peer from which nothing came for so long is asked whether it is there.
    pub ask: Duration,
    /// A client from which nothing came for so long is gone. The deployment has the same patience.
    pub client_silence: Duration,
    /// A deployment from which nothing came for so long is gone: it asks every 5 seconds.
    pub upstream_silence: Duration,
    /// From the first byte of a client's message to its last.
    pub message: Duration,
    /// A peer that takes nothing of what waits for it.
    pub stall: Duration,
    /// For the other side's Close, when the end was said.
    pub goodbye: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            ask: Duration::from_secs(30),
            client_silence: Duration::from_secs(120),
            upstream_silence: Duration::from_secs(75),
            message: Duration::from_secs(60),
            stall: Duration::from_secs(60),
            goodbye: Duration::from_secs(2),
        }
    }
}

/// What a relay is given.
pub struct Parts<C, U, A> {
    /// The client's connection.
    pub client: Opened<C>,
    /// The deployment's.
    pub upstream: Opened<U>,
    /// Who decides.
    pub authority: A,
    /// The session of the client's cookie, with a token for it.
    pub cookie: Option<(LiveSession, Arc<Minted>)>,
    /// How the connection to the deployment is opened once more, should the deployment refuse that token.
    pub reopen: Option<Reopen<U>>,
    /// Ends when the proxy is being stopped.
    pub stopping: BoxFuture<'static, ()>,
    /// Its patience.
    pub waits: Arc<Waits>,
}

/// The relay of one socket: a future that ends with the socket.
pub struct Relay<C, U, A> {
    client: Leg<C>,
    upstream: Leg<U>,
    authority: A,
    inbox: Inbox,
    passage: Passage,
    conversation: Conversation,
    /// Of the client, read and not looked at: behind a question that is not answered yet.
    held: Vec<u8>,
    /// Messages to the client that wait for a place between others.
    replies: Vec<u8>,
    /// Control frames to the client that wait for the end of a frame.
    controls: Vec<u8>,
    bell: Arc<Bell>,
    standing: Option<Box<Standing>>,
    look: Option<Box<LookUnderWay>>,
    question: Option<Box<TokenCheck>>,
    reopen: Option<Reopen<U>>,
    reopening: Option<BoxFuture<'static, Result<Opened<U>, Rejection>>>,
    /// Since when a message of the client has been coming.
    midway_since: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
    stopping: BoxFuture<'static, ()>,
    waits: Arc<Waits>,
    /// Whether the deployment takes nothing any more: what it said last is still heard.
    is_upstream_deaf: bool,
    ending: Option<Ending>,
    tally: Tally,
}

type Reading = BoxFuture<'static, Result<Option<LiveSession>, Rejection>>;

struct LookUnderWay {
    look: Look,
    reading: Reading,
    /// It rang meanwhile: what is being read may be from before.
    rung: Option<(Ring, Now)>,
}

impl LookUnderWay {
    /// What is known from here on counts from the first ring.
    fn rung(&mut self, ring: Ring, now: Now) {
        let (for_whom, _) = self.rung.get_or_insert((ring, now));
        if ring == Ring::This {
            *for_whom = ring;
            self.look.hurry(now);
        }
    }
}

/// A token that the client has shown and whose session is being read.
struct TokenCheck {
    base_version: u32,
    token: Secret,
    reading: Reading,
}

/// How the socket ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The client said so.
    ClientClosed(Close),
    /// The client went away without a word.
    ClientGone,
    /// The deployment said so.
    UpstreamClosed(Close),
    /// The proxy ends it.
    Here(CloseCause),
}

struct Ending {
    end: End,
    deadline: Instant,
    client: Farewell,
    upstream: Farewell,
}

/// How far the end of one connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Farewell {
    /// Our Close is on its way, theirs is waited for.
    Waiting,
    /// Both were said; what waits is still sent.
    Said,
    /// Nothing is left to do.
    Done,
}

/// What passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages of the client.
    pub from_client: u64,
    /// Messages of the deployment.
    pub from_upstream: u64,
}

/// How a socket ended, for its log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Why.
    pub end: End,
    /// What passed.
    pub tally: Tally,
}

const UP: FrameWriter = FrameWriter::new(Sender::Client);
const DOWN: FrameWriter = FrameWriter::new(Sender::Server);
/// Bytes that are read at once.
const READ_BYTES: usize = 64 * 1_024;
/// Turns in one go; then others have theirs.
const TURNS: usize = 16;

/// Buffers of a thread, lent to whichever relay has its turn.
#[derive(Default)]
struct Scratch {
    read: Vec<u8>,
    up: Vec<u8>,
    down: Vec<u8>,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

impl Scratch {
    fn borrow() -> Self {
        let mut scratch = SCRATCH.take();
        scratch.read.resize(READ_BYTES, 0);
        scratch
    }

    fn give_back(mut self) {
        for buffer in [&mut self.up, &mut self.down] {
            buffer.clear();
            // A very large message must not be kept room for.
            buffer.shrink_to(4 * READ_BYTES);
        }
        SCRATCH.set(self);
    }
}

impl<C, U, A> Relay<C, U, A>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
    A: Authority<Upstream = U>,
{
    /// A relay between two connections whose handshakes are done.
    pub fn new(parts: Parts<C, U, A>, now: Now) -> Self {
        let Parts { client, upstream, authority, cookie, reopen, stopping, waits } = parts;
        let bell = Arc::new(Bell::default());
        let token = cookie.as_ref().map(|(_, token)| Arc::clone(token));
        let standing = cookie.map(|(session, token)| {
            let watching = authority.watch(&session, Arc::clone(&bell));
            Box::new(Standing::new(session.token, By::Cookie(token), watching, now, chance::fraction()))
        });
        Self {
            client: Leg::new(client.0, client.1, now.steady),
            upstream: Leg::new(upstream.0, upstream.1, now.steady),
            authority,
            inbox: Inbox::new(),
            passage: Passage::new(),
            conversation: Conversation::new(token),
            held: Vec::new(),
            replies: Vec::new(),
            controls: Vec::new(),
            bell,
            standing,
            look: None,
            question: None,
            reopen,
            reopening: None,
            midway_since: None,
            alarm: Box::pin(sleep_until(now.steady + waits.ask)),
            stopping,
            waits,
            is_upstream_deaf: false,
            ending: None,
            tally: Tally::default(),
        }
    }

    fn turns(&mut self, context: &mut Context<'_>, scratch: &mut Scratch) -> Poll<Report> {
        // Once is enough: it wakes this task when it happens.
        if self.ending.is_none() && self.stopping.poll_unpin(context).is_ready() {
            self.begin_end(End::Here(CloseCause::Stopping), scratch);
        }
        for _ in 0..TURNS {
            let has_moved = if self.ending.is_none() {
                self.turn(context, scratch).unwrap_or_else(|end| {
                    self.begin_end(end, scratch);
                    true
                })
            } else {
                self.wind_down(context, scratch)
            };
            self.deliver(context, scratch);
            if let Some(ending) = &self.ending
                && ending.client == Farewell::Done
                && ending.upstream == Farewell::Done
            {
                return Poll::Ready(Report { end: ending.end.clone(), tally: self.tally });
            }
            if !has_moved {
                self.set_alarm();
                if self.alarm.poll_unpin(context).is_pending() {
                    return Poll::Pending;
                }
                self.on_time(scratch);
                self.deliver(context, scratch);
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Moves what can be moved. Says whether anything was.
    fn turn(&mut self, context: &mut Context<'_>, scratch: &mut Scratch) -> Result<bool, End> {
        self.client.resume(context).map_err(|_| End::ClientGone)?;
        self.is_upstream_deaf |= self.upstream.resume(context).is_err();
        let mut has_moved = self.attend_session(context, scratch)?;
        if self.reopening.is_some() {
            has_moved |= self.start_over(context, scratch)?;
        } else {
            has_moved |= self.hear_deployment(context, scratch)?;
        }
        has_moved |= self.hear_client(context, scratch)?;
        Ok(has_moved)
    }
}

impl<C, U, A> Future for Relay<C, U, A>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
    A: Authority<Upstream = U>,
{
    type Output = Report;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Report> {
        let mut scratch = Scratch::borrow();
        let polled = self.get_mut().turns(context, &mut scratch);
        scratch.give_back();
        polled
    }
}

impl<C, U, A> std::fmt::Debug for Relay<C, U, A> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Relay").field("tally", &self.tally).finish_non_exhaustive()
    }
}

impl<C, U, A> std::fmt::Debug for Parts<C, U, A> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Parts")
    }
}

#[cfg(test)]
mod tests;
