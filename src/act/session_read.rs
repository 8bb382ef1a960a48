//! `getSessionAndUser`: from memory where that is true, from the deployment where it is not.

use std::{sync::Arc, time::Instant};

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Response, header};

use super::{Proxy, outbound};
use crate::{
    adapter::Function,
    body::Body,
    classify::Lane,
    clock::{Now, UnixMillis},
    error::Rejection,
    permit::{Permitted, SecretHeld},
    server::Arrival,
    session::{CacheKey, Format, LiveSession, ReadResult, Reading, SessionAnswer, SessionKey, SessionToken, Source},
    upstream::{CONVEX_CLIENT, Crossing, WholeAnswer},
};

impl Proxy {
    /// Answers a call from the cache if it is the one call that the cache is for: `getSessionAndUser` alone, with the right secret and with
    /// nothing but a session token, in a known format. `None` for every other call.
    pub(super) async fn recall_session(
        &self,
        arrival: &Arrival,
        lane: Lane,
        calls: &[Permitted<'_>],
        headers: &HeaderMap,
    ) -> Option<Result<Response<Body>, Rejection>> {
        let [permitted] = calls else { return None };
        let adapter = permitted.adapter()?;
        if lane != Lane::Query
            || adapter.arguments.function() != Some(Function::GetSessionAndUser)
            || !adapter.arguments.has_only("sessionToken")
        {
            return None;
        }
        let token = SessionToken::new(adapter.arguments.text(&["sessionToken"])?);
        let format = answer_format(permitted.call().format.as_deref(), headers)?;
        let read = self.read_session(&arrival.id, adapter.proof, &token, format).await;
        Some(read.map(|(_, answer)| respond(answer)))
    }

    /// The session of a token, if it lives. For the proxy's own use, on behalf of a cookie or of a token that was minted here.
    ///
    /// # Errors
    ///
    /// [`Rejection::UpstreamRefused`] and the failures of the deployment: "unknown" is never told as "none".
    pub(super) async fn live_session(
        &self,
        id: &HeaderValue,
        token: SessionToken,
    ) -> Result<Option<LiveSession>, Rejection> {
        let (key, answer) = self.read_session(id, SecretHeld::by_the_proxy(), &token, Format::Encoded).await?;
        self.live(&answer, key, token)
    }

    /// The same, read from the deployment now: another writer may have prolonged what memory says has ended.
    ///
    /// # Errors
    ///
    /// As [`live_session`](Self::live_session).
    pub(super) async fn live_session_anew(
        &self,
        id: &HeaderValue,
        token: SessionToken,
    ) -> Result<Option<LiveSession>, Rejection> {
        let session = self.session_keys.key_of(&token);
        let key = CacheKey::new(SecretHeld::by_the_proxy(), session, Format::Encoded);
        let fetch = self.session_fetch(id, &token, Format::Encoded);
        let (result, source) = self.sessions.read_anew(key, Now::read(), fetch).await;
        self.count_read(source);
        self.live(&*result?, session, token)
    }

    /// Reads a session through the cache; gives the session's key, too.
    ///
    /// # Errors
    ///
    /// The failures of the deployment.
    pub(super) async fn read_session(
        &self,
        id: &HeaderValue,
        proof: SecretHeld,
        token: &SessionToken,
        format: Format,
    ) -> Result<(SessionKey, Arc<SessionAnswer>), Rejection> {
        let session = self.session_keys.key_of(token);
        let key = CacheKey::new(proof, session, format);
        // Not the stamp of the arrival: a body may have taken its time since.
        let (result, source) = self.sessions.read(key, Now::read(), self.session_fetch(id, token, format)).await;
        self.count_read(source);
        Ok((session, result?))
    }

    fn count_read(&self, source: Source) {
        match source {
            Source::Memory => self.metrics.session_hit(),
            Source::Joined => self.metrics.session_coalesced(),
            Source::Deployment => self.metrics.session_miss(),
        }
    }

    /// What reads a session from the deployment, once it is called.
    fn session_fetch<'token>(
        &'token self,
        id: &'token HeaderValue,
        token: &'token SessionToken,
        format: Format,
    ) -> impl FnOnce() -> BoxFuture<'static, ReadResult> + 'token {
        move || {
            let upstream = self.upstream.clone();
            let metrics = Arc::clone(&self.metrics);
            let scrub = Arc::clone(&self.scrub);
            let body = self.session_call(token, format);
            let crossing = Crossing::default().identified(id);
            let keeps_profile = !self.config.token.claims.is_empty();
            Box::pin(async move {
                let started = Instant::now();
                let whole = upstream.read(Lane::Query.path(), crossing, body.into()).await;
                metrics.upstream(started.elapsed());
                let WholeAnswer { status, content_type, body } = whole?;
                let answer = SessionAnswer::read(status, &content_type, &scrub.clean(body), keeps_profile);
                match answer.reading() {
                    Reading::Unreadable => Err(Rejection::UpstreamUnreadable),
                    Reading::Row | Reading::Absent | Reading::Refused => Ok(Arc::new(answer)),
                }
            })
        }
    }

    fn session_call(&self, token: &SessionToken, format: Format) -> Vec<u8> {
        let mut arguments = b"[{\"sessionToken\":".to_vec();
        outbound::write_text(token.expose(), &mut arguments);
        arguments.extend_from_slice(b",\"secret\":");
        self.config.adapter.secret.write_json(&mut arguments);
        arguments.extend_from_slice(b"}]");
        outbound::write_own(self.session_function.as_str(), format.as_str(), &arguments)
    }

    /// The session that an answer tells of, if it lives now.
    fn live(
        &self,
        answer: &SessionAnswer,
        key: SessionKey,
        token: SessionToken,
    ) -> Result<Option<LiveSession>, Rejection> {
        match answer.reading() {
            Reading::Row | Reading::Absent => Ok(answer.live(key, token, UnixMillis::now())),
            Reading::Refused | Reading::Unreadable => {
                tracing::error!(
                    target: "session",
                    status = answer.status().as_u16(),
                    "the deployment refused getSessionAndUser: is adapter.secret the deployment's CONVEX_AUTH_ADAPTER_SECRET, and \
                     adapter.module the module that has the function?"
                );
                Err(Rejection::UpstreamRefused)
            }
        }
    }
}

fn respond(answer: Arc<SessionAnswer>) -> Response<Body> {
    let (status, content_type) = (answer.status(), answer.content_type());
    let mut response = Response::new(Body::bytes(answer.body()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// The format that the deployment would answer in. Without `format` that depends on the client's version; for the clients whose default
/// has changed with a version the call is not answered from memory.
fn answer_format(named: Option<&str>, headers: &HeaderMap) -> Option<Format> {
    if let Some(name) = named {
        return Format::read(name);
    }
    let client = headers.get(CONVEX_CLIENT).and_then(|client| client.to_str().ok()).unwrap_or_default();
    let default_has_changed = ["npm-", "cli-", "actions-", "python-"].iter().any(|name| client.starts_with(name));
    (!default_has_changed).then_some(Format::Clean)
}
