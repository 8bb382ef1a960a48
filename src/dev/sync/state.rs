//! What a socket knows: versions, queries and identity. Pure: no clock, no engine, no frames.
//!
//! The rules are the backend's (`crates/sync/src/state.rs`). Changes that a client asks for wait until the next Transition,
//! which takes all of them at once. Invariants: a Transition starts where the one before it ended; its time is never
//! earlier; what it says of a query differs from what was said last.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use convex_sync_types::{QuerySetModification, SessionId, Timestamp};
use serde_json::value::RawValue;

use super::call::Call;
use super::ending::Ending;
use super::message::{Modification, Transition, Version};
use crate::clock::Now;
use crate::dev::auth::Identity;
use crate::dev::function::FunctionError;

/// One socket's state.
#[derive(Debug)]
pub(super) struct SyncState {
    session: Option<SessionId>,
    client_clock_skew: Option<i64>,
    /// The end of the newest Transition.
    told: Version,
    /// What the client last asked for.
    received_query_set: u32,
    received_identity: u32,
    pending_modifications: Vec<QuerySetModification>,
    pending_identity: Option<Option<Identity>>,
    queries: BTreeMap<u32, LiveQuery>,
    identity: Option<Identity>,
    due: Due,
}

/// Whether there is to be a Transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    No,
    /// Data changed: one is due if a result did.
    Perhaps,
    /// The client waits for one, if only to learn the time.
    Yes,
}

#[derive(Debug)]
struct LiveQuery {
    call: Call,
    last: Option<LastAnswer>,
}

#[derive(Debug)]
struct LastAnswer {
    timestamp: Timestamp,
    /// Of the result or of the error, apart from the id of the request.
    digest: (bool, Vec<u8>),
}

/// What a query came to.
pub(super) enum Answer {
    /// The value, encoded.
    Value(Box<RawValue>),
    /// The error, and the id under which it is told.
    Failure(FunctionError, String),
}

impl SyncState {
    pub(super) fn new() -> Self {
        Self {
            session: None,
            client_clock_skew: None,
            told: Version::START,
            received_query_set: 0,
            received_identity: 0,
            pending_modifications: Vec::new(),
            pending_identity: None,
            queries: BTreeMap::new(),
            identity: None,
            due: Due::No,
        }
    }

    /// The client says who it is and what it has seen.
    ///
    /// # Errors
    ///
    /// - [`Ending::Internal`]: it saw a time that is not yet
    pub(super) fn connect(
        &mut self,
        session: SessionId,
        client_milliseconds: Option<i64>,
        observed: Option<Timestamp>,
        newest: Timestamp,
        now: Now,
    ) -> Result<(), Ending> {
        self.session = Some(session);
        if let Some(client) = client_milliseconds {
            self.client_clock_skew = Some(client.saturating_sub(now.wall.0));
        }
        if observed.is_some_and(|observed| observed > newest) { Err(Ending::Internal) } else { Ok(()) }
    }

    /// The session, once the client named it.
    pub(super) fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// The client asks for other queries. The ids are looked at with the next Transition.
    ///
    /// # Errors
    ///
    /// - [`Ending::Fatal`]: another base than the last query set
    /// - [`Ending::Internal`]: not a later version
    pub(super) fn modify_query_set(
        &mut self,
        base: u32,
        new: u32,
        modifications: Vec<QuerySetModification>,
    ) -> Result<(), Ending> {
        if base != self.received_query_set {
            let current = self.received_query_set;
            let error = format!("BaseVersionMismatch: the query set is at version {current}, not at {base}");
            return Err(Ending::Fatal { error });
        }
        if new <= base {
            return Err(Ending::Internal);
        }
        self.received_query_set = new;
        self.pending_modifications.extend(modifications);
        self.due = Due::Yes;
        Ok(())
    }

    /// The client is somebody else, and was found to be.
    ///
    /// # Errors
    ///
    /// - [`Ending::Internal`]: another base than the last identity
    pub(super) fn authenticate(&mut self, base: u32, identity: Option<Identity>) -> Result<(), Ending> {
        if base != self.received_identity {
            return Err(Ending::Internal);
        }
        self.received_identity = base.checked_add(1).ok_or(Ending::Internal)?;
        self.pending_identity = Some(identity);
        self.due = Due::Yes;
        Ok(())
    }

    /// The identity version that failures of authentication name.
    pub(super) fn told_identity(&self) -> u32 {
        self.told.identity
    }

    /// Who calls: the identity that the next Transition will be for.
    ///
    /// # Errors
    ///
    /// - [`Ending::Authentication`]: the token has died since it was verified
    pub(super) fn caller(&self, now: Now) -> Result<Option<&Identity>, Ending> {
        let identity = self.pending_identity.as_ref().unwrap_or(&self.identity).as_ref();
        if identity.is_some_and(|identity| identity.is_expired(now)) {
            return Err(Ending::Authentication {
                error: "Convex token identity expired".to_owned(),
                base_version: self.told.identity,
                update_attempted: false,
            });
        }
        Ok(identity)
    }

    /// A mutation or an action was answered, so a Transition follows.
    pub(super) fn answered(&mut self) {
        self.due = Due::Yes;
    }

    /// Data changed.
    pub(super) fn data_changed(&mut self) {
        if !self.queries.is_empty() {
            self.due = self.due.max(Due::Perhaps);
        }
    }

    /// Whether [`SyncState::transition`] has something to do.
    pub(super) fn is_due(&self) -> bool {
        self.due != Due::No
    }

    /// The next Transition, to the state of `timestamp`, in which `run` answers queries for an identity. Nothing when
    /// only data changed and no result with it.
    ///
    /// # Errors
    ///
    /// - [`Ending::Authentication`]: the token has died since it was verified
    /// - [`Ending::Internal`]: a query was added twice, or removed but never there
    pub(super) fn transition(
        &mut self,
        timestamp: Timestamp,
        now: Now,
        mut run: impl FnMut(&Call, Option<&Identity>) -> Answer,
    ) -> Result<Option<Transition>, Ending> {
        let due = std::mem::replace(&mut self.due, Due::No);
        let is_another = self.pending_identity.is_some();
        if let Some(identity) = self.pending_identity.take() {
            self.identity = identity;
        }
        if due == Due::Yes {
            self.caller(now)?;
        }
        let mut modifications = self.apply_pending()?;
        for (query_id, query) in &mut self.queries {
            let is_current = query.last.as_ref().is_some_and(|last| last.timestamp == timestamp);
            if is_current && !is_another {
                continue;
            }
            let answer = run(&query.call, self.identity.as_ref());
            let digest = answer.digest();
            if query.last.as_ref().is_none_or(|last| last.digest != digest) {
                modifications.insert(*query_id, answer.into_modification(*query_id));
            }
            query.last = Some(LastAnswer { timestamp, digest });
        }
        if due != Due::Yes {
            if modifications.is_empty() {
                return Ok(None);
            }
            // Not sooner: a socket whose results stay as they are outlives its token.
            self.caller(now)?;
        }
        let start = self.told;
        self.told = Version {
            query_set: self.received_query_set,
            identity: self.received_identity,
            timestamp: timestamp.max(start.timestamp),
        };
        Ok(Some(Transition {
            start,
            end: self.told,
            modifications: modifications.into_values().collect(),
            client_clock_skew: self.client_clock_skew,
        }))
    }

    /// Adds and removes queries; gives what there is to say of those that were removed.
    fn apply_pending(&mut self) -> Result<BTreeMap<u32, Modification>, Ending> {
        let mut removed = BTreeMap::new();
        for modification in std::mem::take(&mut self.pending_modifications) {
            match modification {
                QuerySetModification::Add(query) => {
                    let call = Call::new(query.udf_path, query.args, query.component_path);
                    if self.queries.insert(query.query_id.get_id(), LiveQuery { call, last: None }).is_some() {
                        return Err(Ending::Internal);
                    }
                }
                QuerySetModification::Remove { query_id } => {
                    let query_id = query_id.get_id();
                    self.queries.remove(&query_id).ok_or(Ending::Internal)?;
                    removed.insert(query_id, Modification::Removed { query_id });
                }
            }
        }
        Ok(removed)
    }
}

impl Answer {
    fn digest(&self) -> (bool, Vec<u8>) {
        let of = |text: &str| digest(&SHA256, text.as_bytes()).as_ref().to_vec();
        match self {
            Self::Value(value) => (true, of(value.get())),
            Self::Failure(error, _) => (false, of(&error.to_string())),
        }
    }

    fn into_modification(self, query_id: u32) -> Modification {
        match self {
            Self::Value(value) => Modification::Updated { query_id, value, log_lines: [], journal: () },
            Self::Failure(error, request_id) => {
                Modification::Failed { query_id, error_message: error.message(&request_id), log_lines: [], journal: () }
            }
        }
    }
}

#[cfg(test)]
mod tests;
