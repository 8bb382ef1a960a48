//! Convex's own routes: calls of functions, read, decided on, written anew and sent.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Instant,
};

use http::{Response, header, request};
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::{Proxy, outbound};
use crate::{
    body::{Body, BodyCut},
    classify::{Envelope, Lane},
    clock::Now,
    error::Rejection,
    permit::{Caller, Credential, FunctionRefusal, Permitted},
    server::Arrival,
    session::{Scope, WriteOutcome},
    upstream::Crossing,
};

impl Proxy {
    pub(super) async fn call(
        &self,
        arrival: &Arrival,
        lane: Lane,
        caller: &Caller<'_>,
        head: &request::Parts,
        body: Incoming,
    ) -> Result<Response<Body>, Rejection> {
        if !caller.sends_json() {
            return Err(Rejection::NotJson);
        }
        let client = Crossing::check_client(&head.headers)?;
        let whole = self.intake.read(arrival.ends.listener, &head.headers, body).await?;
        let calls = self.permit_all(arrival, caller, Envelope::read(lane, whole.bytes())?)?;
        if caller.credential() == Credential::None
            && let Some(answer) = self.recall_session(arrival, lane, &calls, &head.headers).await
        {
            return answer;
        }
        let crossing = Crossing::from_caller(&head.headers, &client).identified(&arrival.id);
        let crossing = self.identify(arrival, caller, &head.headers, &calls, crossing).await?;
        let outbound = outbound::write(lane, &calls, &self.config.adapter)?;
        let scopes = calls.iter().filter_map(|permitted| self.scope(permitted)).collect();
        let carries_secret = calls.iter().any(|permitted| permitted.adapter().is_some());
        // What must be looked into must not be compressed.
        let crossing = if carries_secret { crossing.uncompressed() } else { crossing };
        drop(calls);
        let response = self.forward(lane, crossing, Body::bytes(outbound).holding(whole.into_lease()), scopes).await?;
        if carries_secret { self.scrub.response(response, self.config.limits.answer_bytes).await } else { Ok(response) }
    }

    /// `query_ts` takes no body and no identity; whatever body comes is passed through unread.
    pub(super) async fn query_timestamp(
        &self,
        arrival: &Arrival,
        caller: &Caller<'_>,
        head: &request::Parts,
        body: Incoming,
    ) -> Result<Response<Body>, Rejection> {
        let has_body = !body.is_end_stream();
        if !caller.sends_json() && (has_body || head.headers.contains_key(header::CONTENT_TYPE)) {
            return Err(Rejection::NotJson);
        }
        self.intake.check_unread(&head.headers, &body)?;
        let client = Crossing::check_client(&head.headers)?;
        let crossing = Crossing::from_caller(&head.headers, &client).identified(&arrival.id);
        let crossing = self.identify(arrival, caller, &head.headers, &[], crossing).await?;
        let caller_failed = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&caller_failed);
        let stream = crate::upstream::relay_request(body, self.intake.within());
        let limited = Limited::new(stream, self.intake.body_bytes()).map_err(move |_| {
            noted.store(true, Relaxed);
            BodyCut
        });
        let started = Instant::now();
        let response = self.upstream.send("/api/query_ts", crossing, Body::stream(limited)).await;
        self.metrics.upstream(started.elapsed());
        // A body that did not end breaks the call; that is not the deployment's doing.
        response.map_err(|rejection| if caller_failed.load(Relaxed) { Rejection::BodyCut } else { rejection })
    }

    fn permit_all<'body>(
        &self,
        arrival: &Arrival,
        caller: &Caller<'_>,
        envelope: Envelope<'body>,
    ) -> Result<Vec<Permitted<'body>>, Rejection> {
        let noted = match &envelope {
            Envelope::One(call) => beginning(call.path.as_str()).to_owned(),
            Envelope::Batch(calls) => format!("(batch of {})", calls.len()),
        };
        let _ = arrival.function.set(noted);
        let decide = |call| Permitted::decide(call, caller.listener(), &self.config.adapter);
        let permitted = match envelope {
            Envelope::One(call) => decide(call).map(|permitted| vec![permitted]),
            Envelope::Batch(calls) => calls.into_iter().map(decide).collect(),
        };
        permitted.map_err(|refusal| self.refuse(arrival.ends.peer, refusal))
    }

    /// How a refusal is told; a wrong secret is counted against its address.
    pub(super) fn refuse(&self, peer: Option<IpAddr>, refusal: FunctionRefusal) -> Rejection {
        match refusal {
            FunctionRefusal::Rejected(rejection) => rejection,
            FunctionRefusal::WrongSecret => self.wrong_secrets.refuse(peer, Now::read().steady),
        }
    }

    /// Which sessions' answers a call may change. A function of the module that the contract does not know may change any.
    pub(super) fn scope(&self, permitted: &Permitted<'_>) -> Option<Scope> {
        let adapter = permitted.adapter()?;
        let Some(function) = adapter.arguments.function() else { return Some(Scope::Everything) };
        self.touched(function.contract().touches, &adapter.arguments)
    }

    /// Sends a call. One that may write goes on when its caller has gone, and its write is over only when it was answered.
    async fn forward(
        &self,
        lane: Lane,
        crossing: Crossing,
        body: Body,
        scopes: Vec<Scope>,
    ) -> Result<Response<Body>, Rejection> {
        let started = Instant::now();
        let response = if lane.may_write() {
            let upstream = self.upstream.clone();
            let write = (!scopes.is_empty()).then(|| self.sessions.begin_write(scopes));
            let sent = self.departed.spawn(async move {
                let response = upstream.send(lane.path(), crossing, body).await;
                let outcome = WriteOutcome::of(response.as_ref().ok().map(Response::status));
                if let Some(write) = write {
                    write.end(outcome);
                }
                response
            });
            sent.await.unwrap_or(Err(Rejection::UpstreamUnreachable))
        } else {
            self.upstream.send(lane.path(), crossing, body).await
        };
        self.metrics.upstream(started.elapsed());
        response
    }
}

/// As much of a path as a log line has.
fn beginning(path: &str) -> &str {
    path.char_indices().nth(CHARACTERS_NOTED).map_or(path, |(end, _)| path.get(..end).unwrap_or(path))
}

/// Of a function's path, in a log line: the grammar bounds its components, not their number (our choice).
const CHARACTERS_NOTED: usize = 200;
