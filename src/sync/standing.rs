//! The session that a socket lives on: when it is to be read again, and what follows from what was read.
//!
//! Pure: moments are arguments. The invariants: nothing is cut before it was read again; nothing outlives what is known of it; whether a
//! session lives is never guessed.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    clock::{Now, UnixMillis},
    error::Rejection,
    session::{LiveSession, Ring, SessionToken, Watching},
    token::Minted,
};

/// What is known of the session of one socket.
#[derive(Debug)]
pub struct Standing {
    session: SessionToken,
    /// What shows the session to the deployment.
    by: By,
    next_look: Look,
    /// Since when the session could not be read, and how often it was tried.
    trouble: Option<Trouble>,
    _watching: Watching,
}

/// What shows a session to the deployment.
#[derive(Debug, Clone)]
pub enum By {
    /// A token that the proxy minted for the client's cookie.
    Cookie(Arc<Minted>),
    /// A token that the client has shown, minted here for a session that ends then.
    ClientToken(UnixMillis),
}

/// A look at the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// When.
    pub at: Instant,
    /// Whether an answer from memory will do: it does where only writes through this proxy matter.
    pub from_memory: bool,
    /// Whether the identity ends with this look, unless the session was prolonged.
    pub is_last: bool,
    /// When the session must be known at the latest.
    known_by: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Trouble {
    tries: u32,
    known_by: Instant,
}

/// A session that was read and lives.
#[derive(Debug)]
pub struct Living {
    /// The session.
    pub session: LiveSession,
    /// A token for it, where one is needed; none where too little is left of it.
    pub token: Option<Arc<Minted>>,
}

/// What follows from a look.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Stay,
    /// The deployment is to be shown another token.
    Renew,
    /// The session has ended.
    Cut,
    /// Whether it lives was not to be had in time.
    Unknown,
}

/// The last look at a session comes so long before its token ends: the deployment must not be the one that finds out.
const LAST_MOMENT: Duration = Duration::from_millis(400);
/// After a write, whether the session lives is known within this (our choice; a second is promised, the rest is the way to the client).
const KNOWN_WITHIN: Duration = Duration::from_millis(800);
/// The same where nothing was written that is known to concern the session.
const PATIENCE: Duration = Duration::from_secs(30);
/// Looks of many sockets at once are spread over this.
const SPREAD: Duration = Duration::from_millis(400);
/// The first pause after a session could not be read; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Look {
    /// Something was written: what this look finds must be known as soon as after any write.
    pub fn hurry(&mut self, now: Now) {
        self.known_by = self.known_by.min(now.steady + KNOWN_WITHIN);
    }

    /// When there must be an answer at the latest.
    pub fn known_by(&self) -> Instant {
        self.known_by
    }

    /// Whether it is too late for an answer.
    pub fn is_overdue(&self, now: Instant) -> bool {
        now >= self.known_by
    }
}

impl Standing {
    /// A socket that lives on a session from now on. `chance` is between 0 and 1 and spreads the looks of many sockets.
    pub fn new(session: SessionToken, by: By, watching: Watching, now: Now, chance: f64) -> Self {
        let next_look = scheduled(&by, now, chance);
        Self { session, by, next_look, trouble: None, _watching: watching }
    }

    /// Whose session it is.
    pub fn session(&self) -> &SessionToken {
        &self.session
    }

    /// What shows it.
    pub fn by(&self) -> &By {
        &self.by
    }

    /// The next look.
    pub fn next_look(&self) -> Look {
        self.next_look
    }

    /// Something was written: the session is looked at now, or soon when all are.
    pub fn rung(&mut self, ring: Ring, now: Now, chance: f64) {
        let (wait, known_within) = match ring {
            Ring::This => (Duration::ZERO, KNOWN_WITHIN),
            // All sockets look, perhaps at a deployment that has trouble: to close all of them would be more of it.
            Ring::All => (SPREAD.mul_f64(chance), PATIENCE),
            // Nobody wrote, and the session was read a moment ago.
            Ring::New => (Duration::ZERO, PATIENCE),
        };
        let look = Look {
            at: now.steady + wait,
            from_memory: true,
            is_last: false,
            known_by: now.steady + wait + known_within,
        };
        if look.at < self.next_look.at {
            self.next_look = look;
        } else {
            if ring == Ring::This {
                self.next_look.hurry(now);
            }
        }
    }

    /// What follows from what was read, by the look that was taken.
    pub fn judge(&mut self, look: Look, read: Result<Option<Living>, Rejection>, now: Now, chance: f64) -> Verdict {
        let Ok(session) = read else { return self.wait(look, now) };
        self.trouble = None;
        let Some(Living { session, token }) = session else { return Verdict::Cut };
        let verdict = match (&mut self.by, token) {
            (By::Cookie(current), Some(minted)) => {
                let lives_longer = minted.expires_at() > current.expires_at();
                let is_another = !minted.has_same_subject(current);
                // Each token that the deployment is shown runs all queries of the socket again: after a write only one that says something
                // else is worth that.
                if is_another || (lives_longer && !look.from_memory) {
                    *current = minted;
                    Verdict::Renew
                } else if look.is_last {
                    return Verdict::Cut;
                } else {
                    if minted.expires_at() < current.expires_at() {
                        // The session was shortened; what the deployment was shown is taken back in time.
                        *current = minted;
                    }
                    Verdict::Stay
                }
            }
            // It lives, and no token can be had for what is left of it.
            (By::Cookie(_), None) => return Verdict::Cut,
            (By::ClientToken(expires), _) => {
                *expires = session.expires;
                Verdict::Stay
            }
        };
        self.next_look = scheduled(&self.by, now, chance);
        verdict
    }

    fn wait(&mut self, look: Look, now: Now) -> Verdict {
        let trouble = self.trouble.get_or_insert(Trouble { tries: 0, known_by: look.known_by });
        let pause = FIRST_PAUSE.saturating_mul(1 << trouble.tries.min(10)).min(LONGEST_PAUSE);
        trouble.tries += 1;
        trouble.known_by = trouble.known_by.min(look.known_by);
        let at = now.steady + pause;
        if at > trouble.known_by {
            return Verdict::Unknown;
        }
        self.next_look = Look { at, known_by: trouble.known_by, ..look };
        Verdict::Stay
    }
}

/// The look that comes by itself: for a cookie's token some while before it ends, and once more just before that; for a client's token when
/// the session ends.
fn scheduled(by: &By, now: Now, chance: f64) -> Look {
    let look = |at_millis: i64, is_last: bool, known_by_millis: i64| Look {
        at: moment(at_millis, now),
        from_memory: false,
        is_last,
        known_by: moment(known_by_millis, now),
    };
    match by {
        By::ClientToken(expires) => look(expires.0, true, expires.0.saturating_add(500)),
        By::Cookie(minted) => {
            let end = minted.expires_at_millis();
            let life = end - minted.issued_at().saturating_mul(1_000);
            // Between a seventh and a twentieth of its life is left then; the minter gives a new one when less than a fifth is.
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a day of milliseconds")]
            let left = (life as f64 * (0.05 + 0.1 * chance)) as i64;
            let early = end - left.max(1_000);
            let last = end - i64::try_from(LAST_MOMENT.as_millis()).unwrap_or(0);
            let known_by = end - 100;
            // At the early look, and whenever it is past: the next one is the last.
            if early > now.wall.0 { look(early, false, known_by) } else { look(last, true, known_by) }
        }
    }
}

fn moment(millis: i64, now: Now) -> Instant {
    let wait = u64::try_from(millis.saturating_sub(now.wall.0)).unwrap_or(0);
    // The calendar's clock is set at times: what lies far ahead is looked at again before.
    now.steady + Duration::from_millis(wait).min(Duration::from_secs(24 * 60 * 60))
}
