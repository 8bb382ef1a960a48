//! Which reads are still true: the order of reads and writes that pass through this proxy.
//!
//! The law: an answer may be given from memory only if no write that may touch it was *sent or answered* after its read began, and none
//! is under way. Writes are counted in a fixed table, by a hash of what they touch: two sessions that share a place cost each other
//! a needless read, never a wrong one. So nothing has to be looked up, listed or locked for a read, and a write of a user reaches all of that
//! user's sessions without an index. Those who live on a session for longer than a read are listed apart (`watch`), and told of each write.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use http::StatusCode;

use super::{SessionKey, Watchers};

/// The table of writes.
#[derive(Debug)]
pub struct Coherence {
    sequence: AtomicU64,
    sessions: Box<[Place]>,
    users: Box<[Place]>,
    any_user: Place,
    everything: Place,
    hasher: RandomState,
    watchers: Arc<Watchers>,
}

/// What a write may touch.
#[derive(Clone, PartialEq, Eq)]
pub enum Scope {
    /// One session.
    Session(SessionKey),
    /// All sessions of one user, by `_id`.
    User(String),
    /// Nobody knows: all sessions.
    Everything,
}

/// A write that was sent. Its end is its drop: when it was answered, or when its outcome will not be known.
#[derive(Debug)]
pub struct Write {
    coherence: Arc<Coherence>,
    scopes: Vec<Scope>,
}

/// Whether it is known what a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The deployment said: done, or refused.
    Known,
    /// It may have happened, or may still happen.
    Unknown,
}

/// The moment at which a read began, among all writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(u64);

/// Where writes of one user are counted: a hash of the user's id.
#[derive(Debug, Clone, Copy)]
pub struct UserPlace(u64);

#[derive(Debug, Default)]
struct Place {
    /// Writes under way.
    active: AtomicU32,
    /// The number of the last sending or answering.
    touched: AtomicU64,
}

impl Default for Coherence {
    fn default() -> Self {
        let places = || (0..PLACES).map(|_| Place::default()).collect();
        Self {
            sequence: AtomicU64::new(0),
            sessions: places(),
            users: places(),
            any_user: Place::default(),
            everything: Place::default(),
            hasher: RandomState::new(),
            watchers: Arc::default(),
        }
    }
}

const PLACES: usize = 4_096;

impl Coherence {
    /// Notes that a write is about to be sent. From here on no answer that it may touch comes from memory.
    pub fn begin(self: &Arc<Self>, scopes: Vec<Scope>) -> Write {
        self.each_place(&scopes, |place, coherence| {
            // First active, then touched: a read that begins between the two sees one of them.
            place.active.fetch_add(1, SeqCst);
            place.touch(coherence);
        });
        Write { coherence: Arc::clone(self), scopes }
    }

    /// Those who are told of every write when it was answered.
    pub fn watchers(&self) -> &Arc<Watchers> {
        &self.watchers
    }

    /// Notes that a read begins.
    pub fn stamp(&self) -> Stamp {
        Stamp(self.sequence.load(SeqCst))
    }

    /// Where writes of a user are counted, to be kept with what was read of that user.
    pub fn place_of_user(&self, user_id: &str) -> UserPlace {
        UserPlace(self.hasher.hash_one(user_id))
    }

    /// Whether an answer whose read began at `stamp` is true of that session and user still.
    pub fn is_true(&self, stamp: Stamp, session: &SessionKey, user: UserPlace) -> bool {
        [self.session_place(session), self.user_place(user), &self.everything]
            .iter()
            .all(|place| place.is_quiet_since(stamp))
    }

    /// Whether a read that begins now may wait for one of the same session that began at `stamp`. Whose session it is is not known
    /// yet, so any write of a user stands against it.
    pub fn may_join(&self, stamp: Stamp, session: &SessionKey) -> bool {
        [self.session_place(session), &self.any_user, &self.everything]
            .iter()
            .all(|place| place.touched.load(SeqCst) <= stamp.0)
    }

    fn each_place(&self, scopes: &[Scope], act: impl Fn(&Place, &Self)) {
        for scope in scopes {
            match scope {
                Scope::Session(key) => act(self.session_place(key), self),
                Scope::User(user_id) => {
                    act(self.user_place(self.place_of_user(user_id)), self);
                    act(&self.any_user, self);
                }
                Scope::Everything => act(&self.everything, self),
            }
        }
    }

    fn session_place(&self, key: &SessionKey) -> &Place {
        self.place(&self.sessions, key.word())
    }

    fn user_place(&self, user: UserPlace) -> &Place {
        self.place(&self.users, user.0)
    }

    fn place<'table>(&'table self, table: &'table [Place], hash: u64) -> &'table Place {
        let index = usize::try_from(hash % PLACES as u64).unwrap_or(0);
        table.get(index).unwrap_or(&self.everything)
    }
}

impl Write {
    /// Says what came of it. A write whose outcome is unknown (no answer, or a server's error, after which the deployment may still carry
    /// it out) stays under way until it cannot take effect any more; its sessions are read anew until then.
    ///
    /// Must be called within a runtime.
    pub fn end(self, outcome: WriteOutcome) {
        match outcome {
            WriteOutcome::Known => drop(self),
            WriteOutcome::Unknown => {
                // It may have happened already, and it may still happen at any moment until then.
                self.coherence.watchers.ring(&self.scopes);
                tokio::spawn(async move {
                    for _ in 0..MUTATION_AT_MOST.as_secs() {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        self.coherence.watchers.ring(&self.scopes);
                    }
                    drop(self);
                });
            }
        }
    }
}

/// Convex gives up on a mutation after this.
const MUTATION_AT_MOST: Duration = Duration::from_secs(60);

impl WriteOutcome {
    /// What a status says of a write, or what its absence says.
    pub fn of(status: Option<StatusCode>) -> Self {
        match status {
            Some(status) if !status.is_server_error() && status != StatusCode::REQUEST_TIMEOUT => Self::Known,
            _ => Self::Unknown,
        }
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        self.coherence.each_place(&self.scopes, |place, coherence| {
            place.touch(coherence);
            place.active.fetch_sub(1, SeqCst);
        });
        // After the places were touched: whoever reads now reads what the write has left.
        self.coherence.watchers.ring(&self.scopes);
    }
}

impl Place {
    fn touch(&self, coherence: &Coherence) {
        let number = coherence.sequence.fetch_add(1, SeqCst) + 1;
        self.touched.fetch_max(number, SeqCst);
    }

    fn is_quiet_since(&self, stamp: Stamp) -> bool {
        self.active.load(SeqCst) == 0 && self.touched.load(SeqCst) <= stamp.0
    }
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Session(_) => "Session",
            Self::User(_) => "User",
            Self::Everything => "Everything",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use http::StatusCode;

    use super::{Coherence, Scope, WriteOutcome};
    use crate::{
        secret::Secret,
        session::{SessionKey, SessionKeys, SessionToken},
    };

    fn key(token: &str) -> SessionKey {
        SessionKeys::new(&Secret::new("s"), "http://d").key_of(&SessionToken::new(token))
    }

    #[test]
    fn a_read_is_true_until_a_write_of_its_session_or_user_is_sent() {
        for scope in [Scope::Session(key("a")), Scope::User("u".to_owned()), Scope::Everything] {
            let coherence = Arc::new(Coherence::default());
            let stamp = coherence.stamp();
            assert!(coherence.is_true(stamp, &key("a"), coherence.place_of_user("u")));
            let write = coherence.begin(vec![scope.clone()]);
            assert!(!coherence.is_true(stamp, &key("a"), coherence.place_of_user("u")), "{scope:?} was sent");
            let during = coherence.stamp();
            assert!(!coherence.is_true(during, &key("a"), coherence.place_of_user("u")), "{scope:?} is under way");
            drop(write);
            assert!(
                !coherence.is_true(during, &key("a"), coherence.place_of_user("u")),
                "{scope:?} was answered after the read began"
            );
            assert!(coherence.is_true(coherence.stamp(), &key("a"), coherence.place_of_user("u")));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_with_an_unknown_outcome_stays_under_way_for_as_long_as_it_may_happen() {
        let coherence = Arc::new(Coherence::default());
        coherence.begin(vec![Scope::Session(key("a"))]).end(WriteOutcome::of(Some(StatusCode::GATEWAY_TIMEOUT)));
        let during = coherence.stamp();
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert!(!coherence.is_true(coherence.stamp(), &key("a"), coherence.place_of_user("u")));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(!coherence.is_true(during, &key("a"), coherence.place_of_user("u")));
        assert!(coherence.is_true(coherence.stamp(), &key("a"), coherence.place_of_user("u")));
        assert_eq!(WriteOutcome::of(Some(StatusCode::BAD_REQUEST)), WriteOutcome::Known);
        assert_eq!(WriteOutcome::of(None), WriteOutcome::Unknown);
    }

    #[test]
    fn other_sessions_and_users_are_left_alone() {
        let coherence = Arc::new(Coherence::default());
        let stamp = coherence.stamp();
        let _writes = coherence.begin(vec![Scope::Session(key("a")), Scope::User("u".to_owned())]);
        // One of these could share a place by chance, not all of them.
        assert!((0..8).any(|number| coherence.is_true(
            stamp,
            &key(&format!("b{number}")),
            coherence.place_of_user(&format!("v{number}"))
        )));
    }

    #[test]
    fn a_reader_that_comes_after_a_write_does_not_wait_for_a_read_from_before_it() {
        let coherence = Arc::new(Coherence::default());
        let stamp = coherence.stamp();
        assert!(coherence.may_join(stamp, &key("a")));
        drop(coherence.begin(vec![Scope::User("anybody".to_owned())]));
        assert!(!coherence.may_join(stamp, &key("a")));
    }
}
