//! Mutations that happened, so that a client that sends one again gets its result and not a second one.
//!
//! Invariant: of one session and request id at most one mutation is committed while it is remembered; the newest are
//! remembered, as many as fit.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use convex_sync_types::{SessionId, Timestamp};
use serde_json::value::RawValue;

use super::message::encode;
use crate::dev::engine::Committed;
use crate::dev::function::FunctionError;

/// Results that are kept at most (our choice; the backend keeps them for hours).
const KEPT: usize = 10_000;
/// Bytes of results that are kept at most (our choice).
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// Which request of which client: whoever knows it reads the result.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct RequestKey {
    session: u128,
    request_id: u32,
}

impl RequestKey {
    pub(super) fn new(session: SessionId, request_id: u32) -> Self {
        Self { session: session.as_u128(), request_id }
    }
}

/// What a mutation came to.
#[derive(Clone)]
pub(super) struct Happened {
    pub(super) result: Box<RawValue>,
    pub(super) timestamp: Timestamp,
}

/// The committed mutations of all sessions.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    results: HashMap<RequestKey, Happened>,
    oldest_first: VecDeque<RequestKey>,
    bytes: usize,
}

impl Sessions {
    /// What the request came to when it was committed before; else what it comes to now. A failure is not kept: it left
    /// nothing behind. A request of no session is never kept.
    ///
    /// # Errors
    ///
    /// - [`FunctionError`]: whatever `run` gives
    pub(super) fn once(
        &self,
        key: Option<RequestKey>,
        run: impl FnOnce() -> Result<Committed, FunctionError>,
    ) -> Result<Happened, FunctionError> {
        let happened =
            |committed: Committed| Happened { result: encode(&committed.value), timestamp: committed.timestamp };
        let Some(key) = key else { return run().map(happened) };
        // Held while it runs, so that the same request on two sockets happens once.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = kept.results.get(&key) {
            return Ok(before.clone());
        }
        let now = happened(run()?);
        kept.keep(key, now.clone());
        Ok(now)
    }
}

impl Kept {
    fn keep(&mut self, key: RequestKey, happened: Happened) {
        self.bytes += happened.result.get().len();
        self.results.insert(key, happened);
        self.oldest_first.push_back(key);
        while self.oldest_first.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.oldest_first.pop_front() else { break };
            let dropped = self.results.remove(&oldest);
            self.bytes -= dropped.map_or(0, |dropped| dropped.result.get().len());
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write!(formatter, "Sessions({})", kept.results.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::function::Thrown;
    use crate::dev::value::Value;

    fn key(request_id: u32) -> Option<RequestKey> {
        Some(RequestKey::new("00000000-0000-0000-0000-000000000001".parse().unwrap(), request_id))
    }

    fn committed(text: &str) -> Result<Committed, FunctionError> {
        Ok(Committed { value: Value::from(text), timestamp: Timestamp::MIN })
    }

    fn failed() -> Result<Committed, FunctionError> {
        Err(Thrown::MessageLength.into())
    }

    fn result(happened: Result<Happened, FunctionError>) -> String {
        happened.unwrap().result.get().to_owned()
    }

    #[test]
    fn a_request_that_was_committed_does_not_run_again() {
        let sessions = Sessions::default();
        assert_eq!(result(sessions.once(key(1), || committed("first"))), r#""first""#);
        assert_eq!(result(sessions.once(key(1), || panic!("it runs again"))), r#""first""#);
        assert_eq!(result(sessions.once(key(2), || committed("second"))), r#""second""#);
        let other = Some(RequestKey::new("00000000-0000-0000-0000-000000000002".parse().unwrap(), 1));
        assert_eq!(result(sessions.once(other, || committed("another's"))), r#""another's""#);
    }

    #[test]
    fn a_request_that_failed_or_has_no_session_runs_again() {
        let sessions = Sessions::default();
        assert!(sessions.once(key(1), failed).is_err());
        assert_eq!(result(sessions.once(key(1), || committed("now"))), r#""now""#);
        for text in ["one", "two"] {
            assert_eq!(result(sessions.once(None, || committed(text))), format!("\"{text}\""));
        }
    }

    #[test]
    fn the_oldest_results_go_when_too_many_or_too_long() {
        let sessions = Sessions::default();
        for request in 0..=u32::try_from(KEPT).unwrap() {
            sessions.once(key(request), || committed("a")).unwrap();
        }
        assert_eq!(result(sessions.once(key(0), || committed("again"))), r#""again""#);
        assert_eq!(result(sessions.once(key(2), || committed("again"))), r#""a""#);
        let long = "x".repeat(KEPT_BYTES / 2);
        sessions.once(key(20_000), || committed(&long)).unwrap();
        sessions.once(key(20_001), || committed(&long)).unwrap();
        assert_eq!(format!("{sessions:?}"), "Sessions(1)");
    }
}
