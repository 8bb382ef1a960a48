//! Time as data: the one place that reads the clocks.
//!
//! Whoever decides takes a [`Now`] or a [`UnixMillis`], so that a test can say what time it is. It is read where a session is
//! decided on, not where its request began: a body may take its time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// The calendar's: for `iat`, `exp` and `session.expires`. May jump.
    pub wall: UnixMillis,
    /// The steady one: for how long something was kept.
    pub steady: Instant,
}

impl Now {
    /// Reads both clocks.
    pub fn read() -> Self {
        Self { wall: UnixMillis::now(), steady: Instant::now() }
    }
}

/// By how many milliseconds a test has moved the steady clock on, or holds it back: the calendar goes with it.
#[cfg(test)]
fn ahead_of_the_system(steady: Instant) -> i64 {
    let system = std::time::Instant::now();
    let millis = |span: Duration| i64::try_from(span.as_millis()).expect("a test's time");
    millis(steady.into_std().saturating_duration_since(system))
        - millis(system.saturating_duration_since(steady.into_std()))
}

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted, as JavaScript's `Date` has them. May be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// Reads the calendar's clock.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the calendar's clock")]
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let now = Self(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX));
        #[cfg(test)]
        let now = Self(now.0 + ahead_of_the_system(Instant::now()));
        now
    }

    /// Whole seconds, rounded down, as JWT's `NumericDate` is written here.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }
}
