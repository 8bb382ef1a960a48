//! Sessions in memory: kept for a moment, read once for all who ask at the same time.

use std::{
    collections::HashMap,
    future::Future,
    hash::{Hash, Hasher},
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Bell, Coherence, LiveSession, Scope, SessionAnswer, SessionKey, Watching, Write,
    coherence::{Stamp, UserPlace},
    key::Hashed,
};
use crate::{clock::Now, config, error::Rejection, permit::SecretHeld};

/// The cache of `getSessionAndUser`.
///
/// It never gives a null or an error from memory, nothing past `session.expires`, nothing older than `cache.ttl`, and nothing that a
/// write through this proxy may have changed.
pub struct SessionCache {
    entries: moka::sync::Cache<CacheKey, Entry, Hashed>,
    reads: Mutex<HashMap<CacheKey, ReadUnderWay>>,
    coherence: Arc<Coherence>,
    time_to_live: Duration,
}

/// What an answer is kept under: whose session, in which format. The deployment is part of the session's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheKey {
    session: SessionKey,
    format: Format,
}

impl Hash for CacheKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.session.word() ^ self.format as u64);
    }
}

/// The encodings of values that Convex knows, by their names in `format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `convex_encoded_json`, also called `convex_json`.
    Encoded,
    /// `json`, also called `convex_clean_json`.
    Clean,
    /// `export_json`.
    Export,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From memory.
    Memory,
    /// From a read that another caller had begun.
    Joined,
    /// From the deployment.
    Deployment,
}

/// An answer, or why there is none. Shared by all who wait for it.
pub type ReadResult = Result<Arc<SessionAnswer>, Rejection>;

/// Moka gives out copies: an answer behind one pointer, and three numbers.
#[derive(Clone)]
struct Entry {
    answer: Arc<SessionAnswer>,
    stamp: Stamp,
    user: UserPlace,
    fresh_until: Instant,
}

struct ReadUnderWay {
    stamp: Stamp,
    shared: WeakShared<BoxFuture<'static, ReadResult>>,
}

impl CacheKey {
    /// The key of one session's answer, for somebody who may act with the adapter's secret.
    pub fn new(_proof: SecretHeld, session: SessionKey, format: Format) -> Self {
        Self { session, format }
    }
}

impl Format {
    /// Reads `format` as Convex does; `None` for a name that it does not know.
    pub fn read(name: &str) -> Option<Self> {
        match name {
            "convex_encoded_json" | "convex_json" => Some(Self::Encoded),
            "json" | "convex_clean_json" => Some(Self::Clean),
            "export_json" => Some(Self::Export),
            _ => None,
        }
    }

    /// The name that goes upstream.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Encoded => "convex_encoded_json",
            Self::Clean => "json",
            Self::Export => "export_json",
        }
    }
}

impl SessionCache {
    /// An empty cache by `cache.*`.
    pub fn new(settings: &config::Cache) -> Self {
        // moka's own clock only sweeps; whether an entry may answer is decided on the caller's stamp.
        let sweep_after = settings.ttl.max(Duration::from_millis(1));
        Self {
            entries: moka::sync::Cache::builder()
                .max_capacity(settings.capacity)
                .time_to_live(sweep_after)
                .build_with_hasher(Hashed::default()),
            reads: Mutex::new(HashMap::new()),
            coherence: Arc::new(Coherence::default()),
            time_to_live: settings.ttl,
        }
    }

    /// Notes a write through this proxy, to be held until it is answered.
    pub fn begin_write(&self, scopes: Vec<Scope>) -> Write {
        self.coherence.begin(scopes)
    }

    /// How many answers are kept, about.
    pub fn len(&self) -> u64 {
        self.entries.entry_count()
    }

    /// Whether nothing is kept, about.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The answer to one read: from memory, from a read under way, or by `fetch`, which is called at most once and whose future is
    /// dropped when nobody waits for it any more.
    ///
    /// # Errors
    ///
    /// What `fetch` gives, the same for all who waited. Nothing is kept then.
    pub async fn read<Fetch, Fetched>(self: &Arc<Self>, key: CacheKey, now: Now, fetch: Fetch) -> (ReadResult, Source)
    where
        Fetch: FnOnce() -> Fetched,
        Fetched: Future<Output = ReadResult> + Send + 'static,
    {
        if let Some(answer) = self.recall(&key, now) {
            return (Ok(answer), Source::Memory);
        }
        self.read_anew(key, now, fetch).await
    }

    /// The same, and never from memory: for whoever must know of writes that do not pass through this proxy.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn read_anew<Fetch, Fetched>(
        self: &Arc<Self>,
        key: CacheKey,
        now: Now,
        fetch: Fetch,
    ) -> (ReadResult, Source)
    where
        Fetch: FnOnce() -> Fetched,
        Fetched: Future<Output = ReadResult> + Send + 'static,
    {
        let (shared, source) = self.join_or_begin(key, now, fetch);
        (shared.await, source)
    }

    /// Has the bell rung whenever something that was written may have changed that session.
    pub fn watch(&self, session: &LiveSession, bell: Arc<Bell>) -> Watching {
        self.coherence.watchers().watch(session, bell)
    }

    fn recall(&self, key: &CacheKey, now: Now) -> Option<Arc<SessionAnswer>> {
        let entry = self.entries.get(key)?;
        let is_good = now.steady < entry.fresh_until
            && entry.answer.is_live(now.wall)
            && self.coherence.is_true(entry.stamp, &key.session, entry.user);
        is_good.then_some(entry.answer)
    }

    fn join_or_begin<Fetch, Fetched>(
        self: &Arc<Self>,
        key: CacheKey,
        now: Now,
        fetch: Fetch,
    ) -> (Shared<BoxFuture<'static, ReadResult>>, Source)
    where
        Fetch: FnOnce() -> Fetched,
        Fetched: Future<Output = ReadResult> + Send + 'static,
    {
        let mut reads = self.reads.lock();
        let under_way = reads.get(&key).filter(|read| self.coherence.may_join(read.stamp, &key.session));
        if let Some(shared) = under_way.and_then(|read| read.shared.upgrade()) {
            return (shared, Source::Joined);
        }
        let stamp = self.coherence.stamp();
        let fetched = fetch();
        let forget = Forget { cache: Arc::downgrade(self), key, stamp };
        let cache = Arc::clone(self);
        let read = async move {
            let _forget = forget;
            let result = fetched.await;
            if let Ok(answer) = &result {
                cache.keep(key, now, stamp, answer);
            }
            result
        };
        let shared = read.boxed().shared();
        if let Some(weak) = shared.downgrade() {
            reads.insert(key, ReadUnderWay { stamp, shared: weak });
        }
        (shared, Source::Deployment)
    }

    fn keep(&self, key: CacheKey, begun: Now, stamp: Stamp, answer: &Arc<SessionAnswer>) {
        let Some(user_id) = answer.user_id() else { return };
        let is_small = answer.body_bytes() <= BYTES_KEPT_AT_MOST;
        // The age counts from the moment that the read began: what it saw is at least that old.
        let user = self.coherence.place_of_user(&user_id);
        if is_small && !self.time_to_live.is_zero() && self.coherence.is_true(stamp, &key.session, user) {
            let fresh_until = begun.steady + self.time_to_live;
            let entry = Entry { answer: Arc::clone(answer), stamp, user, fresh_until };
            self.entries.insert(key, entry);
        }
    }
}

const BYTES_KEPT_AT_MOST: usize = 64 * 1024;

/// Takes a read off the list when it ends, or when nobody waits for it any more.
struct Forget {
    cache: Weak<SessionCache>,
    key: CacheKey,
    stamp: Stamp,
}

impl Drop for Forget {
    fn drop(&mut self) {
        let Some(cache) = self.cache.upgrade() else { return };
        let mut reads = cache.reads.lock();
        if reads.get(&self.key).is_some_and(|read| read.stamp == self.stamp) {
            reads.remove(&self.key);
        }
    }
}

impl std::fmt::Debug for SessionCache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SessionCache").field("entries", &self.entries.entry_count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
