//! Who is told that a session may have changed: everything that lives on one for longer than a request.
//!
//! One entry: a [`Write`](super::Write) that ends, whoever noted it. What changed is not told, only that the session is to be read again.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use super::{LiveSession, Scope, SessionKey};

/// Those who watch, by session and by user.
#[derive(Default)]
pub struct Watchers {
    lists: Mutex<Lists>,
}

#[derive(Default)]
struct Lists {
    sessions: HashMap<SessionKey, Vec<Arc<Bell>>>,
    users: HashMap<String, Vec<Arc<Bell>>>,
}

/// Rung when a session may have changed. However often it rings before somebody looks, it has rung once.
#[derive(Debug, Default)]
pub struct Bell {
    rung: AtomicU8,
    waker: AtomicWaker,
}

/// Whom a ring was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    /// This session, or this user: look at once.
    This,
    /// All there are: look soon, and not all at the same moment.
    All,
    /// Nobody wrote: the place on the lists is new.
    New,
}

/// A place on the lists, given up when it is dropped.
pub struct Watching {
    watchers: Arc<Watchers>,
    bell: Arc<Bell>,
    key: SessionKey,
    user_id: String,
}

const THIS: u8 = 1;
const ALL: u8 = 2;
const NEW: u8 = 4;

impl Bell {
    /// Ready once it has rung since the last look; else the task is woken when it does.
    pub fn poll_rung(&self, context: &mut Context<'_>) -> Poll<Ring> {
        // First the waker, then the look: a ring between the two wakes.
        self.waker.register(context.waker());
        match self.rung.swap(0, SeqCst) {
            0 => Poll::Pending,
            rung if rung & THIS != 0 => Poll::Ready(Ring::This),
            rung if rung & ALL != 0 => Poll::Ready(Ring::All),
            _ => Poll::Ready(Ring::New),
        }
    }

    fn ring(&self, for_whom: u8) {
        self.rung.fetch_or(for_whom, SeqCst);
        self.waker.wake();
    }
}

impl Watchers {
    /// Takes a place on the lists of that session and of its user. The bell rings once at the start: what was written between the session's
    /// reading and this moment would be missed otherwise.
    pub fn watch(self: &Arc<Self>, session: &LiveSession, bell: Arc<Bell>) -> Watching {
        let mut lists = self.lists.lock();
        lists.sessions.entry(session.key).or_default().push(Arc::clone(&bell));
        lists.users.entry(session.user_id.clone()).or_default().push(Arc::clone(&bell));
        drop(lists);
        bell.ring(NEW);
        Watching { watchers: Arc::clone(self), bell, key: session.key, user_id: session.user_id.clone() }
    }

    /// Rings for all whom a write may concern.
    pub fn ring(&self, scopes: &[Scope]) {
        let lists = self.lists.lock();
        for scope in scopes {
            let (bells, for_whom) = match scope {
                Scope::Session(key) => (lists.sessions.get(key), THIS),
                Scope::User(user_id) => (lists.users.get(user_id), THIS),
                Scope::Everything => {
                    lists.sessions.values().flatten().for_each(|bell| bell.ring(ALL));
                    continue;
                }
            };
            bells.into_iter().flatten().for_each(|bell| bell.ring(for_whom));
        }
    }

    /// How many watch.
    pub fn len(&self) -> usize {
        self.lists.lock().sessions.values().map(Vec::len).sum()
    }

    /// Whether nobody watches.
    pub fn is_empty(&self) -> bool {
        self.lists.lock().sessions.is_empty()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut lists = self.watchers.lists.lock();
        let Lists { sessions, users } = &mut *lists;
        take_out(sessions, &self.key, &self.bell);
        take_out(users, &self.user_id, &self.bell);
    }
}

fn take_out<K: std::hash::Hash + Eq>(lists: &mut HashMap<K, Vec<Arc<Bell>>>, key: &K, bell: &Arc<Bell>) {
    let Some(bells) = lists.get_mut(key) else { return };
    if let Some(place) = bells.iter().position(|other| Arc::ptr_eq(other, bell)) {
        bells.swap_remove(place);
    }
    if bells.is_empty() {
        lists.remove(key);
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Watchers({})", self.len())
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Watching")
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        task::{Context, Poll, Waker},
    };

    use super::{Bell, Ring, Scope, Watchers};
    use crate::{
        clock::UnixMillis,
        secret::Secret,
        session::{Coherence, LiveSession, Profile, SessionKeys, SessionToken, WriteOutcome},
    };

    fn session(token: &str, user_id: &str) -> LiveSession {
        let token = SessionToken::new(token);
        LiveSession {
            key: SessionKeys::new(&Secret::new("s"), "http://d").key_of(&token),
            token,
            user_id: user_id.to_owned(),
            expires: UnixMillis(0),
            profile: Profile::default(),
        }
    }

    fn rung(bell: &Bell) -> Option<Ring> {
        match bell.poll_rung(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ring) => Some(ring),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_write_rings_for_its_session_its_user_or_all_and_for_nobody_else() {
        let watchers = Arc::new(Watchers::default());
        let (one, other) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
        let _one = watchers.watch(&session("a", "u"), Arc::clone(&one));
        let _other = watchers.watch(&session("b", "v"), Arc::clone(&other));
        assert_eq!((rung(&one), rung(&other)), (Some(Ring::New), Some(Ring::New)), "at the start");
        watchers.ring(&[Scope::Session(session("a", "u").key)]);
        assert_eq!((rung(&one), rung(&other)), (Some(Ring::This), None));
        watchers.ring(&[Scope::User("v".to_owned())]);
        assert_eq!((rung(&one), rung(&other)), (None, Some(Ring::This)));
        watchers.ring(&[Scope::Everything]);
        assert_eq!((rung(&one), rung(&other)), (Some(Ring::All), Some(Ring::All)));
        assert_eq!((rung(&one), rung(&other)), (None, None));
    }

    #[test]
    fn whoever_has_gone_is_on_no_list() {
        let watchers = Arc::new(Watchers::default());
        let bell = Arc::new(Bell::default());
        let (first, second) =
            (watchers.watch(&session("a", "u"), Arc::clone(&bell)), watchers.watch(&session("a", "u"), Arc::default()));
        drop(first);
        assert_eq!(rung(&bell), Some(Ring::New), "at the start");
        watchers.ring(&[Scope::User("u".to_owned())]);
        assert_eq!((rung(&bell), watchers.len()), (None, 1));
        drop(second);
        assert!(watchers.is_empty() && watchers.lists.lock().users.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_rings_when_it_was_answered_and_again_and_again_when_nobody_knows() {
        let coherence = Arc::new(Coherence::default());
        let bell = Arc::new(Bell::default());
        let watched = session("a", "u");
        let _watching = coherence.watchers().watch(&watched, Arc::clone(&bell));
        assert_eq!(rung(&bell), Some(Ring::New), "at the start");
        let write = coherence.begin(vec![Scope::Session(watched.key)]);
        assert_eq!(rung(&bell), None, "it was only sent");
        write.end(WriteOutcome::Known);
        assert_eq!(rung(&bell), Some(Ring::This));
        coherence.begin(vec![Scope::User("u".to_owned())]).end(WriteOutcome::Unknown);
        // It may take effect at any moment: whoever looks each time sees it within a second.
        for _ in 0..60 {
            assert_eq!(rung(&bell), Some(Ring::This));
            tokio::time::sleep(std::time::Duration::from_millis(1_001)).await;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert_eq!(rung(&bell), Some(Ring::This));
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        assert_eq!(rung(&bell), None, "it cannot any more");
    }
}
