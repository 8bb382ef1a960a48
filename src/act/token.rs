//! `POST /auth/token`: a Convex token for the session of a cookie, or for whom the app's server names.

use std::{borrow::Cow, sync::Arc, time::Instant};

use http::{HeaderValue, Response, header, request};
use hyper::body::Incoming;
use serde::Deserialize;

use super::Proxy;
use crate::{
    body::Body,
    classify::Listener,
    clock::UnixMillis,
    error::{BadBody, JSON, Rejection},
    permit::{Caller, CookieStanding},
    server::Arrival,
    session::{CookieSession, LiveSession, SessionToken},
    token::{Freshness, MintError, Minted, Outcome},
};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct WireRequest<'body> {
    #[serde(default)]
    force_refresh: Option<bool>,
    #[serde(borrow, default)]
    session_token: Option<Cow<'body, str>>,
    #[serde(borrow, default)]
    user_id: Option<Cow<'body, str>>,
}

impl Proxy {
    pub(super) async fn token(
        &self,
        arrival: &Arrival,
        caller: &Caller<'_>,
        head: &request::Parts,
        body: Incoming,
    ) -> Result<Response<Body>, Rejection> {
        let is_public = caller.listener() == Listener::Public;
        // Before anything is looked up: a page that is not listed learns nothing about the visitor.
        if is_public && caller.cookies() == CookieStanding::Ignored {
            return Err(Rejection::OriginForbidden);
        }
        let whole = self.intake.read(arrival.ends.listener, &head.headers, body).await?;
        let asked = read_request(whole.bytes(), caller.sends_json())?;
        let freshness = if asked.force_refresh == Some(true) { Freshness::Forced } else { Freshness::Reuse };
        let minted = if is_public {
            let CookieSession::Token(token) = CookieSession::read(&head.headers, &self.config.session.cookies) else {
                return Err(Rejection::NoSession);
            };
            self.mint_for(arrival, token, freshness).await?
        } else {
            match (asked.session_token.as_deref(), asked.user_id.as_deref()) {
                (Some(token), None) if !token.is_empty() => {
                    self.mint_for(arrival, SessionToken::new(token), freshness).await?
                }
                (None, Some(user_id)) if !user_id.is_empty() => {
                    let started = Instant::now();
                    let minted = self.minter.for_user(user_id, UnixMillis::now()).map_err(refuse)?;
                    self.metrics.token_signed(started.elapsed());
                    minted
                }
                _ => return Err(Rejection::BadBody(BadBody::TokenFor)),
            }
        };
        Ok(respond(&minted))
    }

    /// Mints for a session that is alive, or gives the token that serves it.
    pub(super) fn mint(&self, session: &LiveSession, freshness: Freshness) -> Result<Arc<Minted>, Rejection> {
        let started = Instant::now();
        let (minted, outcome) = self.minter.for_session(session, freshness, UnixMillis::now()).map_err(refuse)?;
        match outcome {
            Outcome::Signed => self.metrics.token_signed(started.elapsed()),
            Outcome::Reused => self.metrics.token_reused(),
        }
        Ok(minted)
    }

    async fn mint_for(
        &self,
        arrival: &Arrival,
        token: SessionToken,
        freshness: Freshness,
    ) -> Result<Arc<Minted>, Rejection> {
        let session = self.live_session(&arrival.id, token).await?.ok_or(Rejection::NoSession)?;
        self.mint(&session, freshness)
    }
}

fn read_request(body: &[u8], is_json: bool) -> Result<WireRequest<'_>, Rejection> {
    if body.trim_ascii().is_empty() {
        return Ok(WireRequest::default());
    }
    if !is_json {
        return Err(Rejection::NotJson);
    }
    if !body.trim_ascii().starts_with(b"{") {
        return Err(Rejection::BadBody(BadBody::NotAnObject));
    }
    serde_json::from_slice(body).map_err(|_| Rejection::BadBody(BadBody::Syntax))
}

fn refuse(error: MintError) -> Rejection {
    match error {
        MintError::SessionOver => Rejection::NoSession,
        MintError::TooLong => Rejection::TokenTooLong,
        MintError::Cryptography => Rejection::SigningFailed,
    }
}

fn respond(minted: &Minted) -> Response<Body> {
    // A compact JWS has no character that JSON would escape.
    let mut expires_at = itoa::Buffer::new();
    let mut body = String::with_capacity(minted.token().len() + 64);
    body.push_str(r#"{"token":""#);
    body.push_str(minted.token());
    body.push_str(r#"","expiresAt":"#);
    body.push_str(expires_at.format(minted.expires_at_millis()));
    body.push('}');
    let mut response = Response::new(Body::bytes(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
