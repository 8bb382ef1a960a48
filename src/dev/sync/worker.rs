//! Takes a socket's messages one after the other, runs what they ask for, and tells what changed.
//!
//! All that waits is taken before a Transition is computed, so that one answers several messages. Invariant: all queries of
//! a Transition read one snapshot, whose time it has.

use convex_sync_types::{AuthenticationToken, ClientMessage};
use tokio::sync::mpsc;

use super::call::Call;
use super::ending::Ending;
use super::inbox::Received;
use super::message::{encode, print_action, print_mutation};
use super::outbox::{Outbox, Outgoing};
use super::sessions::RequestKey;
use super::state::{Answer, SyncState};
use crate::clock::{Now, UnixMillis};
use crate::dev::Shared;
use crate::dev::auth::{Credential, Identity};
use crate::dev::engine::Snapshot;
use crate::dev::function::FunctionOutcome;
use crate::secret::Secret;

/// One socket's worker.
#[derive(Debug)]
pub(super) struct Worker<'a> {
    deployment: &'a Shared,
    outbox: &'a Outbox,
    state: SyncState,
    /// When the identity was verified, in ages of tokens.
    token_age: u64,
}

impl<'a> Worker<'a> {
    pub(super) fn new(deployment: &'a Shared, outbox: &'a Outbox) -> Self {
        Self { deployment, outbox, state: SyncState::new(), token_age: 0 }
    }

    /// Works until a message or the data gives a reason to end.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Received>) -> Ending {
        match self.work(&mut inbox).await {
            Ok(never) => match never {},
            Err(ending) => ending,
        }
    }

    async fn work(&mut self, inbox: &mut mpsc::Receiver<Received>) -> Result<std::convert::Infallible, Ending> {
        let mut data = self.deployment.engine.changes();
        let mut outbox = self.outbox.changes();
        loop {
            tokio::select! {
                biased;
                received = inbox.recv(), if self.outbox.has_room() => {
                    self.take(received.unwrap_or(Err(Ending::Lost))?).await?;
                    while self.outbox.has_room() && let Ok(received) = inbox.try_recv() {
                        self.take(received?).await?;
                    }
                }
                Ok(()) = data.changed() => self.state.data_changed(),
                Ok(()) = outbox.changed() => {}
            }
            if self.state.is_due() && self.outbox.has_room_for_transition() {
                self.tell_changes()?;
            }
        }
    }

    async fn take(&mut self, message: ClientMessage) -> Result<(), Ending> {
        match message {
            ClientMessage::Connect { session_id, client_ts, max_observed_timestamp, .. } => {
                let client_milliseconds = client_ts.map(u64::cast_signed);
                let newest = self.deployment.engine.snapshot().timestamp();
                self.state.connect(session_id, client_milliseconds, max_observed_timestamp, newest, Now::read())
            }
            ClientMessage::ModifyQuerySet { base_version, new_version, modifications } => {
                self.state.modify_query_set(base_version, new_version, modifications)
            }
            ClientMessage::Mutation { request_id, udf_path, args, component_path } => {
                self.run_mutation(request_id, &Call::new(udf_path, args, component_path))
            }
            ClientMessage::Action { request_id, udf_path, args, component_path } => {
                self.run_action(request_id, &Call::new(udf_path, args, component_path))
            }
            ClientMessage::Authenticate { base_version, token } => self.authenticate(base_version, token).await,
            // Only for the backend's own statistics.
            ClientMessage::Event(_) => Ok(()),
        }
    }

    async fn authenticate(&mut self, base: u32, token: AuthenticationToken) -> Result<(), Ending> {
        let credential = match token {
            AuthenticationToken::None => Credential::None,
            AuthenticationToken::User(token) => Credential::Bearer(Secret::new(token)),
            AuthenticationToken::Admin(..) => Credential::Admin,
        };
        let token_age = self.deployment.sockets.token_age();
        match self.deployment.verifier.identify(&credential, Now::read()).await {
            Ok(identity) => {
                self.token_age = token_age;
                self.state.authenticate(base, identity)
            }
            Err(refusal) => Err(Ending::refused(&refusal, self.state.told_identity())),
        }
    }

    fn run_mutation(&mut self, request_id: u32, call: &Call) -> Result<(), Ending> {
        let now = Now::read();
        let caller = self.state.caller(self.now_for_token())?;
        let key = self.state.session().map(|session| RequestKey::new(session, request_id));
        let outcome = self.deployment.sockets.sessions.once(key, || {
            let (path, arguments) = call.resolve()?;
            self.deployment.engine.run_mutation(path, arguments, caller, now)
        });
        let text = match outcome {
            Ok(happened) => print_mutation(request_id, Ok((&happened.result, happened.timestamp))),
            Err(error) => print_mutation(request_id, Err(&error.message(&self.deployment.next_request_id()))),
        };
        self.answer(text);
        Ok(())
    }

    fn run_action(&mut self, request_id: u32, call: &Call) -> Result<(), Ending> {
        let caller = self.state.caller(self.now_for_token())?;
        let run = |call: &Call| -> FunctionOutcome {
            let (path, arguments) = call.resolve()?;
            self.deployment.engine.run_action(path, arguments, caller)
        };
        let text = match run(call) {
            Ok(value) => print_action(request_id, Ok(&encode(&value))),
            Err(error) => print_action(request_id, Err(&error.message(&self.deployment.next_request_id()))),
        };
        self.answer(text);
        Ok(())
    }

    fn answer(&mut self, text: String) {
        self.outbox.push(Outgoing::Answer(text));
        self.state.answered();
    }

    /// The end of time for a token that was let die.
    fn now_for_token(&self) -> Now {
        let now = Now::read();
        let is_alive = self.token_age == self.deployment.sockets.token_age();
        if is_alive { now } else { Now { wall: UnixMillis(i64::MAX), ..now } }
    }

    fn tell_changes(&mut self) -> Result<(), Ending> {
        let deployment = self.deployment;
        let snapshot = deployment.engine.snapshot();
        let now = self.now_for_token();
        let transition = self
            .state
            .transition(snapshot.timestamp(), now, |call, identity| run_query(deployment, &snapshot, call, identity))?;
        if let Some(transition) = transition {
            self.outbox.push(Outgoing::Transition(transition));
        }
        Ok(())
    }
}

fn run_query(deployment: &Shared, snapshot: &Snapshot<'_>, call: &Call, identity: Option<&Identity>) -> Answer {
    let run = || -> FunctionOutcome {
        let (path, arguments) = call.resolve()?;
        snapshot.run_query(path, arguments, identity)
    };
    match run() {
        Ok(value) => Answer::Value(encode(&value)),
        Err(error) => Answer::Failure(error, deployment.next_request_id()),
    }
}
