//! Time and the end of a relay: who is there still, and how it is said to both sides that it is over.

use std::{io, task::Context};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use super::{DOWN, End, Ending, Farewell, Relay, Scratch, UP};
use crate::sync::{
    authority::Authority,
    close::{Close, CloseCause},
    frame::Opcode,
    inbox::Received,
    input::{Control, Input},
    passage::Arrived,
};

impl<C, U, A> Relay<C, U, A>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
    A: Authority<Upstream = U>,
{
    /// What is due by the clock: questions whether somebody is there, and ends of patience.
    pub(super) fn on_time(&mut self, scratch: &mut Scratch) {
        let now = Instant::now();
        if let Some(ending) = &mut self.ending {
            if now >= ending.deadline {
                ending.client = Farewell::Done;
                ending.upstream = Farewell::Done;
            }
            return;
        }
        // Whoever is not listened to cannot be blamed for silence.
        if !self.client.is_clear() {
            self.upstream.excuse(now);
        }
        if self.is_client_held_up() {
            self.client.excuse(now);
            self.midway_since = self.midway_since.map(|_| now);
        }
        let is_over = |since: Option<Instant>, patience| since.is_some_and(|since| now >= since + patience);
        let waits = &self.waits;
        if is_over(self.client.stalled_since(), waits.stall) {
            self.begin_end(End::ClientGone, scratch);
        } else if is_over(self.midway_since, waits.message) || is_over(Some(self.client.heard()), waits.client_silence)
        {
            self.begin_end(End::Here(CloseCause::Silent), scratch);
        } else if is_over(self.upstream.stalled_since(), waits.stall)
            || is_over(Some(self.upstream.heard()), waits.upstream_silence)
        {
            self.begin_end(End::Here(CloseCause::UpstreamLost), scratch);
        } else {
            if is_over(Some(self.client.tested()), waits.ask) {
                self.client.ask(now);
                if !self.passage.is_passing() && self.client.is_clear() {
                    DOWN.control(Opcode::Ping, b"", &mut scratch.down);
                }
            }
            if is_over(Some(self.upstream.tested()), waits.ask) {
                self.upstream.ask(now);
                if self.upstream.is_clear() {
                    UP.control(Opcode::Ping, b"", &mut scratch.up);
                }
            }
        }
    }

    /// Sees to it that there is a turn when something is due. An alarm that rings early costs a look; one that were set anew for each message
    /// would cost more.
    pub(super) fn set_alarm(&mut self) {
        let next = self.next_deadline();
        let deadline = self.alarm.deadline();
        if next < deadline || self.alarm.is_elapsed() {
            self.alarm.as_mut().reset(next);
        }
    }

    /// Whether a look at that moment may be due, as far as the alarm knows.
    pub(super) fn is_look_due_soon(&self, at: Instant) -> bool {
        at <= self.alarm.deadline()
    }

    fn next_deadline(&self) -> Instant {
        if let Some(ending) = &self.ending {
            return ending.deadline;
        }
        let waits = &self.waits;
        let look = match (&self.look, &self.standing) {
            (Some(under_way), _) => Some(under_way.look.known_by()),
            (None, Some(standing)) => Some(standing.next_look().at),
            (None, None) => None,
        };
        [
            Some(self.client.tested() + waits.ask),
            Some(self.client.heard() + waits.client_silence),
            Some(self.upstream.tested() + waits.ask),
            Some(self.upstream.heard() + waits.upstream_silence),
            self.client.stalled_since().map(|since| since + waits.stall),
            self.upstream.stalled_since().map(|since| since + waits.stall),
            self.midway_since.map(|since| since + waits.message),
            look,
        ]
        .into_iter()
        .flatten()
        .fold(self.client.heard() + waits.client_silence, Instant::min)
    }

    /// Says the end to both sides, each in its terms, and lets go of the session.
    pub(super) fn begin_end(&mut self, end: End, scratch: &mut Scratch) {
        self.standing = None;
        self.look = None;
        self.question = None;
        self.reopening = None;
        let deadline = Instant::now() + self.waits.goodbye;
        // A Close cannot stand within a frame: a client that has half of one is left without.
        let may_speak = !self.passage.is_passing();
        if may_speak {
            scratch.down.append(&mut self.controls);
            // An AuthError is said before the end that it is the reason of.
            scratch.down.append(&mut self.replies);
        }
        let mut say_down = |close: &Close| {
            if may_speak {
                DOWN.control(Opcode::Close, &close.payload(), &mut scratch.down);
                Farewell::Waiting
            } else {
                Farewell::Said
            }
        };
        let mut say_up = |close: &Close| UP.control(Opcode::Close, &close.payload(), &mut scratch.up);
        let (client, upstream) = match &end {
            End::ClientClosed(close) => {
                say_down(close);
                say_up(close);
                (Farewell::Said, Farewell::Waiting)
            }
            End::ClientGone => {
                say_up(&Close::going_away());
                (Farewell::Done, Farewell::Waiting)
            }
            End::UpstreamClosed(close) => {
                let client = say_down(close);
                say_up(close);
                (client, Farewell::Said)
            }
            End::Here(cause @ CloseCause::UpstreamLost) => (say_down(&cause.to_client()), Farewell::Done),
            End::Here(cause) => {
                let client = say_down(&cause.to_client());
                say_up(&Close::going_away());
                (client, Farewell::Waiting)
            }
        };
        self.ending = Some(Ending { end, deadline, client, upstream });
    }

    /// Sends what waits, and hears out both sides until they have said their end too. Says whether anything moved.
    pub(super) fn wind_down(&mut self, context: &mut Context<'_>, scratch: &mut Scratch) -> bool {
        let Some(mut ending) = self.ending.take() else { return false };
        let before = (ending.client, ending.upstream);
        let mut has_read = false;
        if self.client.resume(context).is_err() {
            ending.client = Farewell::Done;
        }
        if self.upstream.resume(context).is_err() {
            ending.upstream = Farewell::Done;
        }
        let (intake, listener) = self.authority.memory();
        if ending.client == Farewell::Waiting {
            let read = self.client.poll_read(context, &mut scratch.read).map(bytes_or_end);
            has_read |= read.is_ready();
            ending.client = after_reading(read, &mut scratch.read, |input| {
                while let Some(received) = self.inbox.next(input, intake, listener)? {
                    if matches!(received, Received::Control(Control::Close(_))) {
                        return Ok(true);
                    }
                }
                Ok(false)
            });
        }
        if ending.upstream == Farewell::Waiting {
            let read = self.upstream.poll_read(context, &mut scratch.read).map(bytes_or_end);
            has_read |= read.is_ready();
            ending.upstream = after_reading(read, &mut scratch.read, |input| {
                while let Some(arrived) = self.passage.next(input, intake, listener)? {
                    match arrived {
                        Arrived::Control(Control::Close(_)) => return Ok(true),
                        // What became of a write is worth knowing to others.
                        Arrived::Whole(message) => self.conversation.note_outcome(message.bytes()),
                        Arrived::Beginning { beginning, .. } => self.conversation.note_outcome(beginning.bytes()),
                        Arrived::Control(Control::Ping(_) | Control::Pong) | Arrived::Rest { .. } => {}
                    }
                }
                Ok(false)
            });
        }
        if ending.client == Farewell::Said && self.client.is_clear() && scratch.down.is_empty() {
            // The client may take its time to hear it; the system sees to that.
            let _ = self.client.poll_finish(context);
            ending.client = Farewell::Done;
        }
        if ending.upstream == Farewell::Said && self.upstream.is_clear() && scratch.up.is_empty() {
            let _ = self.upstream.poll_finish(context);
            ending.upstream = Farewell::Done;
        }
        let has_moved = has_read || before != (ending.client, ending.upstream);
        self.ending = Some(ending);
        has_moved
    }

    /// Hands what was put together over to the connections. One that is gone ends the socket.
    pub(super) fn deliver(&mut self, context: &mut Context<'_>, scratch: &mut Scratch) {
        let (mut sent_down, mut sent_up) = (Ok(()), Ok(()));
        let (intake, listener) = self.authority.memory();
        if !scratch.down.is_empty() {
            sent_down = self.client.send(context, &scratch.down, || intake.lease(listener));
            scratch.down.clear();
        }
        if !scratch.up.is_empty() {
            sent_up = self.upstream.send(context, &scratch.up, || intake.lease(listener));
            scratch.up.clear();
        }
        let is_full =
            |sent: &io::Result<()>| sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::OutOfMemory);
        if self.ending.is_none() && (is_full(&sent_down) || is_full(&sent_up)) {
            // What could not be held is lost, so that nothing may follow it.
            self.begin_end(End::Here(CloseCause::TooManyBytes), scratch);
            return self.deliver(context, scratch);
        }
        let (is_client_gone, is_upstream_gone) = (sent_down.is_err(), sent_up.is_err());
        if let Some(ending) = &mut self.ending {
            if is_client_gone {
                ending.client = Farewell::Done;
            }
            if is_upstream_gone {
                ending.upstream = Farewell::Done;
            }
        } else if is_client_gone {
            self.begin_end(End::ClientGone, scratch);
            self.deliver(context, scratch);
        } else if is_upstream_gone {
            // What the deployment said last may still lie in the socket, its Close among it: it is read before the end is told.
            self.is_upstream_deaf = true;
        }
    }
}

fn bytes_or_end(read: io::Result<usize>) -> usize {
    read.unwrap_or(0)
}

/// How far a connection's end has come when so much was read: its Close, its silence, or nothing new.
fn after_reading(
    read: std::task::Poll<usize>,
    buffer: &mut [u8],
    mut heard_close: impl FnMut(&mut Input<'_>) -> Result<bool, CloseCause>,
) -> Farewell {
    match read {
        std::task::Poll::Pending => Farewell::Waiting,
        std::task::Poll::Ready(0) => Farewell::Said,
        std::task::Poll::Ready(bytes) => {
            let mut input = Input::new(buffer.get_mut(..bytes).unwrap_or_default());
            match heard_close(&mut input) {
                Ok(false) => Farewell::Waiting,
                Ok(true) | Err(_) => Farewell::Said,
            }
        }
    }
}
