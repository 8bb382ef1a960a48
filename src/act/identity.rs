//! Who the deployment shall take a caller for: its own token, or one minted from its session cookie.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use super::Proxy;
use crate::{
    clock::UnixMillis,
    config::ClientTokens,
    error::Rejection,
    permit::{Caller, CookieStanding, Credential, Permitted},
    server::Arrival,
    session::{CookieSession, LiveSession, SessionToken},
    sync::TokenStanding,
    token::{Bearer, Freshness, Minted},
    upstream::Crossing,
};

impl Proxy {
    /// Sets the identity of a call. A caller's own token wins over its cookie; adapter functions are called without one, since they go by the
    /// secret.
    ///
    /// # Errors
    ///
    /// - [`Rejection::TokenEnded`], [`Rejection::TokenForeign`]: by `token.client_tokens`.
    /// - The failures of a session read and of signing: a caller who may be signed in is never served as nobody.
    pub(super) async fn identify(
        &self,
        arrival: &Arrival,
        caller: &Caller<'_>,
        headers: &HeaderMap,
        calls: &[Permitted<'_>],
        crossing: Crossing,
    ) -> Result<Crossing, Rejection> {
        if let Credential::Bearer(token) = caller.credential() {
            self.check_bearer(arrival, token).await?;
            return Ok(crossing.with_credential(caller.credential()));
        }
        let has_plain_call = calls.iter().any(|permitted| permitted.adapter().is_none());
        if !has_plain_call || caller.cookies() == CookieStanding::Ignored {
            return Ok(crossing);
        }
        let CookieSession::Token(session_token) = CookieSession::read(headers, &self.config.session.cookies) else {
            return Ok(crossing);
        };
        let identity = self.cookie_identity(&arrival.id, session_token).await?;
        Ok(match identity {
            Some((_, minted)) => crossing.with_token(minted.token()),
            None => crossing,
        })
    }

    /// The session of a cookie that is authority, with a token for it; nothing where it does not live, or is over as far as a token can tell.
    ///
    /// # Errors
    ///
    /// The failures of a session read and of signing.
    pub(super) async fn cookie_identity(
        &self,
        id: &HeaderValue,
        session_token: SessionToken,
    ) -> Result<Option<(LiveSession, Arc<Minted>)>, Rejection> {
        let Some(session) = self.live_session(id, session_token).await? else { return Ok(None) };
        match self.mint(&session, Freshness::Reuse) {
            Ok(minted) if outlives_the_way(&minted) => Ok(Some((session, minted))),
            Ok(_) | Err(Rejection::NoSession) => Ok(None),
            Err(rejection) => Err(rejection),
        }
    }

    /// What a caller's own token is worth by `token.client_tokens`, before its session is looked at: the one place that says it, for HTTP and
    /// for the sync socket.
    pub(super) fn judge_bearer(&self, token: &str) -> TokenStanding {
        let policy = self.config.token.client_tokens;
        if policy == ClientTokens::Pass {
            return TokenStanding::Passes;
        }
        match self.minter.read_bearer(token) {
            Bearer::Foreign if policy == ClientTokens::Refuse => TokenStanding::Refused(Rejection::TokenForeign),
            Bearer::Foreign | Bearer::User => TokenStanding::Passes,
            Bearer::Unopenable => TokenStanding::Refused(Rejection::TokenEnded),
            Bearer::Session(session) => TokenStanding::OfSession(session),
        }
    }

    async fn check_bearer(&self, arrival: &Arrival, token: &str) -> Result<(), Rejection> {
        match self.judge_bearer(token) {
            TokenStanding::Passes => Ok(()),
            TokenStanding::Refused(rejection) => Err(rejection),
            TokenStanding::OfSession(session) => match self.live_session(&arrival.id, session).await? {
                Some(_) => Ok(()),
                None => Err(Rejection::TokenEnded),
            },
        }
    }
}

/// Whether a token will still be good when the deployment looks at it. One that ends on its way is refused there, and its caller, who may
/// as well be nobody by then, would be told of an error that is none of theirs.
fn outlives_the_way(minted: &Minted) -> bool {
    minted.expires_at_millis() - UnixMillis::now().0 > WAY_MILLIS
}

const WAY_MILLIS: i64 = 250;
