//! What a relay asks of the proxy, as one interface: so that a socket can be tried without one.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::{
    classify::{Call, Listener},
    config,
    error::Rejection,
    permit::Permitted,
    server::{Intake, Lease},
    session::{Bell, LiveSession, SessionToken, Watching, Write},
    token::Minted,
};

/// Decides on calls, on behalf of one client.
pub trait Judge {
    /// Whether a call may go on: the same decision as on every other lane.
    ///
    /// # Errors
    ///
    /// Why it may not.
    fn decide<'text>(&self, call: Call<'text>) -> Result<Permitted<'text>, Rejection>;

    /// How arguments of adapter functions are written.
    fn policy(&self) -> &config::Adapter;

    /// Notes a write that makes kept sessions untrue, if it does.
    fn begin_write(&self, permitted: &Permitted<'_>) -> Option<Write>;

    /// An answer without the adapter's secret.
    fn clean(&self, answer: Bytes) -> Bytes;

    /// Counts a call that was refused.
    fn refused(&self, rejection: Rejection);

    /// Memory for what must be held.
    fn lease(&self) -> Lease;
}

/// Whoever knows sessions and tokens, on behalf of one socket.
pub trait Authority: Judge + Unpin {
    /// A connection to the deployment.
    type Upstream;

    /// Reads a session: nothing when it does not live. From memory where that is true and `from_memory` says so.
    fn read_session(
        &self,
        session: &SessionToken,
        from_memory: bool,
    ) -> BoxFuture<'static, Result<Option<LiveSession>, Rejection>>;

    /// A token for a session that lives.
    ///
    /// # Errors
    ///
    /// - [`Rejection::NoSession`]: too little is left of it for a token.
    /// - The failures of signing.
    fn mint(&self, session: &LiveSession) -> Result<Arc<Minted>, Rejection>;

    /// What a client's own token is worth, by `token.client_tokens`.
    fn judge_token(&self, token: &str) -> TokenStanding;

    /// Has the bell rung whenever that session may have changed.
    fn watch(&self, session: &LiveSession, bell: Arc<Bell>) -> Watching;

    /// What counts bytes that are held, and by which listener the client came.
    fn memory(&self) -> (&Intake, Listener);

    /// Counts and logs.
    fn told(&self, what: Told);
}

/// What a client's own token is worth.
#[derive(Debug)]
pub enum TokenStanding {
    /// It goes to the deployment, which decides.
    Passes,
    /// It was minted here for that session, and is worth as much.
    OfSession(SessionToken),
    /// It is not taken.
    Refused(Rejection),
}

/// What happens to identities, for metrics and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The deployment was shown a further token.
    Renewed,
    /// A session has ended under an open socket.
    Ended,
    /// Whether a session lives was not to be had in time.
    Unknown,
    /// The deployment has refused a token of the proxy's: the socket goes on as nobody, or is closed where the client had heard something.
    TokenRefused {
        /// Whether it goes on.
        goes_on: bool,
    },
    /// The deployment has ended a connection on which the proxy's token was not taken yet: it may not be able to verify it.
    Unconfirmed,
    /// An identity has ended at the deployment, the proxy's perhaps, and the client is to come back.
    Lost,
}
