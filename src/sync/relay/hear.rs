//! The two directions of a relay: what comes is read, looked at, and put where it is to go.
//!
//! Each direction stops by itself when what it feeds is full, and goes on by itself.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use super::{DOWN, End, Relay, Scratch, TokenCheck, UP, leg::Leg};
use crate::{
    chance,
    clock::Now,
    error::Rejection,
    secret::Secret,
    sync::{
        authority::{Authority, TokenStanding, Told},
        close::CloseCause,
        conversation::{Extent, Heard, Outputs, Turn},
        frame::Opcode,
        inbox::Received,
        input::{Control, Input},
        passage::{Arrived, Passage},
        standing::{By, Standing},
    },
};

/// A batch to the deployment ends when it has so many bytes.
const BATCH_BYTES: usize = 256 * 1_024;
/// A client that does not take its refusals is not listened to any more.
const REPLIES_AT_MOST: usize = 64 * 1_024;
/// Pongs that a peer has not taken yet.
const CONTROLS_AT_MOST: usize = 4 * 1_024;

/// From the deployment to the client.
impl<C, U, A> Relay<C, U, A>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
    A: Authority<Upstream = U>,
{
    pub(super) fn hear_deployment(&mut self, context: &mut Context<'_>, scratch: &mut Scratch) -> Result<bool, End> {
        if !self.client.is_clear() || !scratch.down.is_empty() {
            return Ok(false);
        }
        // What waited for the client to take what came before.
        self.interject(&mut scratch.down);
        let bytes = match self.upstream.poll_read(context, &mut scratch.read) {
            Poll::Pending => return Ok(!scratch.down.is_empty()),
            Poll::Ready(Ok(bytes)) if bytes > 0 => bytes,
            Poll::Ready(_) => return Err(End::Here(CloseCause::UpstreamLost)),
        };
        let Scratch { read, up, down } = scratch;
        let mut input = Input::new(read.get_mut(..bytes).unwrap_or_default());
        loop {
            let (intake, listener) = self.authority.memory();
            let arrived = self.passage.next(&mut input, intake, listener).map_err(blame_deployment)?;
            let Some(arrived) = arrived else { break };
            let heard = match arrived {
                Arrived::Whole(message) => {
                    self.tally.from_upstream += 1;
                    self.conversation.deployment_says(message.bytes(), Extent::Whole, &self.authority, down)
                }
                Arrived::Beginning { message_bytes, beginning } => {
                    let extent = Extent::Beginning(message_bytes);
                    let heard = self.conversation.deployment_says(beginning.bytes(), extent, &self.authority, down);
                    match heard {
                        Ok(Heard::Gather) => {
                            self.passage.gather(&beginning, intake, listener).map_err(End::Here)?;
                            Ok(Heard::Done)
                        }
                        heard => {
                            self.tally.from_upstream += 1;
                            if heard.is_err() {
                                // Nothing of it went on, so that the end can still be said.
                                self.passage.abandon();
                            }
                            heard
                        }
                    }
                }
                Arrived::Rest { bytes, is_last } => {
                    down.extend_from_slice(bytes);
                    self.conversation.rest(bytes, is_last).map(|()| Heard::Done)
                }
                Arrived::Control(Control::Ping(payload)) => {
                    if up.len() + self.upstream.unsent_bytes() < CONTROLS_AT_MOST {
                        UP.control(Opcode::Pong, &payload, up);
                    }
                    continue;
                }
                Arrived::Control(Control::Pong) => continue,
                Arrived::Control(Control::Close(close)) => {
                    if self.conversation.is_unconfirmed() {
                        self.authority.told(Told::Unconfirmed);
                    }
                    return Err(End::UpstreamClosed(close));
                }
            };
            match heard {
                Ok(Heard::Done | Heard::Gather) => {}
                Ok(Heard::Refused) => {
                    up.clear();
                    return self.retreat().map(|()| true);
                }
                Err(CloseCause::TokenRefused) => {
                    self.authority.told(Told::TokenRefused { goes_on: false });
                    return Err(End::Here(CloseCause::TokenRefused));
                }
                Err(CloseCause::IdentityLost) => {
                    self.authority.told(Told::Lost);
                    return Err(End::Here(CloseCause::IdentityLost));
                }
                Err(cause) => return Err(End::Here(cause)),
            }
            self.interject(down);
        }
        if !self.conversation.may_start_over() {
            self.reopen = None;
        }
        Ok(true)
    }

    /// The deployment has refused the proxy's token before the client heard anything: the client goes on as nobody, on a new connection.
    fn retreat(&mut self) -> Result<(), End> {
        let reopen = self.reopen.take();
        self.authority.told(Told::TokenRefused { goes_on: reopen.is_some() });
        let reopen = reopen.ok_or(End::Here(CloseCause::TokenRefused))?;
        self.standing = None;
        self.look = None;
        self.reopening = Some(reopen());
        Ok(())
    }

    pub(super) fn start_over(&mut self, context: &mut Context<'_>, scratch: &mut Scratch) -> Result<bool, End> {
        let Some(reopening) = &mut self.reopening else { return Ok(false) };
        let Poll::Ready(opened) = reopening.poll_unpin(context) else { return Ok(false) };
        let (stream, ahead) = opened.map_err(|_| End::Here(CloseCause::UpstreamLost))?;
        self.reopening = None;
        self.upstream = Leg::new(stream, ahead, Instant::now());
        self.is_upstream_deaf = false;
        self.passage = Passage::new();
        self.conversation.start_over(&mut scratch.up);
        Ok(true)
    }

    /// Puts what waits for the client in between, where it may stand. A client that does not take what it has gets nothing more: there is a
    /// bound for what waits here, and none for what waits behind it.
    fn interject(&mut self, down: &mut Vec<u8>) {
        // Nearly always there is nothing.
        let is_empty = self.controls.is_empty() && self.replies.is_empty();
        if is_empty || self.passage.is_passing() || !self.client.is_clear() {
            return;
        }
        down.append(&mut self.controls);
        if self.conversation.may_interject() {
            down.append(&mut self.replies);
        }
        // A buffer that was emptied keeps its room; an idle socket must not.
        if self.controls.is_empty() && self.replies.is_empty() {
            self.controls = Vec::new();
            self.replies = Vec::new();
        }
    }
}

/// From the client to the deployment.
impl<C, U, A> Relay<C, U, A>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
    A: Authority<Upstream = U>,
{
    pub(super) fn hear_client(&mut self, context: &mut Context<'_>, scratch: &mut Scratch) -> Result<bool, End> {
        let mut has_moved = false;
        // What is answered now would be said to the connection that is given up.
        if self.question.is_some() && self.reopening.is_none() {
            if !self.answer_question(context, &mut scratch.up)? {
                return Ok(false);
            }
            has_moved = true;
        }
        if self.is_client_held_up() || !scratch.up.is_empty() {
            return Ok(has_moved);
        }
        let Scratch { read, up, down } = scratch;
        let mut held = std::mem::take(&mut self.held);
        let bytes = if held.is_empty() {
            match self.client.poll_read(context, read) {
                Poll::Pending => return Ok(has_moved),
                Poll::Ready(Ok(bytes)) if bytes > 0 => read.get_mut(..bytes).unwrap_or_default(),
                Poll::Ready(_) => return Err(End::ClientGone),
            }
        } else {
            held.as_mut_slice()
        };
        self.look_at_client(Input::new(bytes), up)?;
        if self.inbox.is_midway() {
            self.midway_since.get_or_insert_with(Instant::now);
        } else {
            self.midway_since = None;
        }
        self.interject(down);
        Ok(true)
    }

    /// Whether the client is not listened to, through no fault of its own but that it may not hear its answers.
    pub(super) fn is_client_held_up(&self) -> bool {
        self.question.is_some()
            || self.reopening.is_some()
            || self.is_upstream_deaf
            || !self.upstream.is_clear()
            || self.replies.len() > REPLIES_AT_MOST
    }

    fn look_at_client(&mut self, mut input: Input<'_>, up: &mut Vec<u8>) -> Result<(), End> {
        loop {
            let received = {
                let (intake, listener) = self.authority.memory();
                self.inbox.next(&mut input, intake, listener).map_err(End::Here)?
            };
            match received {
                None => return Ok(()),
                Some(Received::Control(Control::Ping(payload))) => {
                    if self.controls.len() < CONTROLS_AT_MOST {
                        DOWN.control(Opcode::Pong, &payload, &mut self.controls);
                    }
                }
                Some(Received::Control(Control::Pong)) => {}
                Some(Received::Control(Control::Close(close))) => return Err(End::ClientClosed(close)),
                Some(Received::Text(text)) => {
                    self.tally.from_client += 1;
                    self.midway_since = None;
                    let mut out = Outputs { up, down: &mut self.replies };
                    let turn = self.conversation.client_says(text.as_str(), &self.authority, &mut out);
                    match turn.map_err(End::Here)? {
                        Turn::Done => {}
                        Turn::Shows { base_version, token } => {
                            self.hear_token(base_version, token.as_deref(), up).map_err(End::Here)?;
                        }
                    }
                }
            }
            if self.question.is_some() || up.len() > BATCH_BYTES {
                self.held = input.rest().to_vec();
                return Ok(());
            }
        }
    }

    /// The client says who it is: by `token.client_tokens`, as on every other lane.
    fn hear_token(&mut self, base_version: u32, token: Option<&str>, up: &mut Vec<u8>) -> Result<(), CloseCause> {
        let standing = token.map_or(TokenStanding::Passes, |token| self.authority.judge_token(token));
        match standing {
            TokenStanding::Passes => {
                // What the client says wins, over its cookie and over what it said before.
                self.standing = None;
                self.look = None;
                self.conversation.authenticate(base_version, token, up)
            }
            TokenStanding::OfSession(session) => {
                let token = Secret::new(token.unwrap_or_default());
                let reading = self.authority.read_session(&session, true);
                self.question = Some(Box::new(TokenCheck { base_version, token, reading }));
                Ok(())
            }
            TokenStanding::Refused(rejection) => {
                self.authority.refused(rejection);
                self.conversation.refuse_identity(rejection, &mut self.replies);
                Err(CloseCause::Credential)
            }
        }
    }

    /// Whether the question that holds the client up has been answered.
    fn answer_question(&mut self, context: &mut Context<'_>, up: &mut Vec<u8>) -> Result<bool, End> {
        let Some(question) = &mut self.question else { return Ok(true) };
        let Poll::Ready(read) = question.reading.poll_unpin(context) else { return Ok(false) };
        let Some(question) = self.question.take() else { return Ok(true) };
        match read {
            Ok(Some(session)) => {
                let TokenCheck { base_version, token, .. } = *question;
                self.conversation.authenticate(base_version, Some(token.expose()), up).map_err(End::Here)?;
                let watching = self.authority.watch(&session, Arc::clone(&self.bell));
                let by = By::ClientToken(session.expires);
                self.look = None;
                self.standing =
                    Some(Box::new(Standing::new(session.token, by, watching, Now::read(), chance::fraction())));
                Ok(true)
            }
            Ok(None) => {
                self.authority.refused(Rejection::TokenEnded);
                self.conversation.refuse_identity(Rejection::TokenEnded, &mut self.replies);
                Err(End::Here(CloseCause::Credential))
            }
            Err(_) => Err(End::Here(CloseCause::SessionUnknown)),
        }
    }
}

/// What is wrong with the deployment's frames is none of the client's doing.
fn blame_deployment(cause: CloseCause) -> End {
    End::Here(if cause == CloseCause::TooManyBytes { cause } else { CloseCause::UpstreamUnreadable })
}
