//! Sessions: from a cookie to a session that is alive, read once and kept for a moment.
//!
//! Not for: deciding whether a cookie counts (`permit`) or what is minted from a session (`token`). The invariant: an answer from
//! memory is one that no write through this proxy may have changed since it was read, and it is given only to somebody who may act
//! with the adapter's secret.

mod answer;
mod cache;
mod coherence;
mod cookie;
mod key;
mod live;
mod watch;

pub(crate) use self::key::Hashed;
pub use self::{
    answer::{Reading, SessionAnswer},
    cache::{CacheKey, Format, ReadResult, SessionCache, Source},
    coherence::{Coherence, Scope, Write, WriteOutcome},
    cookie::CookieSession,
    key::{SessionKey, SessionKeys},
    live::{LiveSession, Profile, SessionToken},
    watch::{Bell, Ring, Watchers, Watching},
};
