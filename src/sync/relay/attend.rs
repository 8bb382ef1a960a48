//! The session that a relay lives on: looked at in time, and whenever something was written that may concern it.

use std::task::{Context, Poll};

use futures_util::FutureExt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use super::{End, LookUnderWay, Relay, Scratch};
use crate::{
    chance,
    clock::Now,
    error::Rejection,
    sync::{
        authority::{Authority, Told},
        close::CloseCause,
        standing::{By, Living, Verdict},
    },
};

impl<C, U, A> Relay<C, U, A>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
    A: Authority<Upstream = U>,
{
    /// Hears the bell, begins a look that is due, and acts on one that has been taken. Says whether anything was done.
    pub(super) fn attend_session(&mut self, context: &mut Context<'_>, scratch: &mut Scratch) -> Result<bool, End> {
        if self.standing.is_none() && self.look.is_none() {
            return Ok(false);
        }
        let mut has_moved = false;
        if let Poll::Ready(ring) = self.bell.poll_rung(context) {
            match (&mut self.look, &mut self.standing) {
                (Some(under_way), _) => under_way.rung(ring, Now::read()),
                (None, Some(standing)) => standing.rung(ring, Now::read(), chance::fraction()),
                (None, None) => {}
            }
            has_moved = true;
        }
        has_moved |= self.begin_look();
        let read = match &mut self.look {
            Some(under_way) => under_way.reading.poll_unpin(context),
            None => return Ok(has_moved),
        };
        let read = match (read, &self.look) {
            (Poll::Ready(read), _) => read,
            // No answer in time is none.
            (Poll::Pending, Some(under_way)) if under_way.look.is_overdue(Instant::now()) => {
                Err(Rejection::UpstreamTimeout)
            }
            (Poll::Pending, _) => return Ok(has_moved),
        };
        let (Some(under_way), Some(standing)) = (self.look.take(), &mut self.standing) else { return Ok(true) };
        let read = match (read, standing.by()) {
            (Ok(Some(session)), By::Cookie(_)) => match self.authority.mint(&session) {
                Ok(token) => Ok(Some(Living { session, token: Some(token) })),
                Err(Rejection::NoSession) => Ok(Some(Living { session, token: None })),
                Err(rejection) => Err(rejection),
            },
            (Ok(session), _) => Ok(session.map(|session| Living { session, token: None })),
            (Err(rejection), _) => Err(rejection),
        };
        let now = Now::read();
        let verdict = standing.judge(under_way.look, read, now, chance::fraction());
        if let Some((ring, when)) = under_way.rung {
            standing.rung(ring, when, chance::fraction());
        }
        self.carry_out(verdict, scratch)?;
        Ok(true)
    }

    fn carry_out(&mut self, verdict: Verdict, scratch: &mut Scratch) -> Result<(), End> {
        match (verdict, self.standing.as_ref().map(|standing| standing.by())) {
            (Verdict::Stay, _) | (_, None) => {}
            (Verdict::Renew, Some(By::Cookie(token))) => {
                self.authority.told(Told::Renewed);
                self.conversation.renew(token, &mut scratch.up);
            }
            (Verdict::Renew, Some(By::ClientToken(_))) => {}
            (Verdict::Cut, Some(By::Cookie(_))) => {
                self.authority.told(Told::Ended);
                self.standing = None;
                self.conversation.forget_cookie(&mut scratch.up);
            }
            (Verdict::Cut, Some(By::ClientToken(_))) => {
                self.authority.told(Told::Ended);
                self.standing = None;
                self.conversation.end_identity(&mut self.replies);
                return Err(End::Here(CloseCause::SessionEnded));
            }
            (Verdict::Unknown, Some(_)) => {
                self.authority.told(Told::Unknown);
                return Err(End::Here(CloseCause::SessionUnknown));
            }
        }
        Ok(())
    }

    fn begin_look(&mut self) -> bool {
        let (None, Some(standing)) = (&self.look, &self.standing) else { return false };
        let look = standing.next_look();
        // The clock is asked only when something may be due: at most turns nothing is.
        if !self.is_look_due_soon(look.at) || look.at > Instant::now() {
            return false;
        }
        let reading = self.authority.read_session(standing.session(), look.from_memory);
        self.look = Some(Box::new(LookUnderWay { look, reading, rung: None }));
        true
    }
}
