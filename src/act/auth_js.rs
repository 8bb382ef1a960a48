//! `POST /adapter/{function}`: Auth.js in, Auth.js out, with the deployment's functions in between.

use std::time::Instant;

use http::{Response, request};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Proxy, outbound};
use crate::{
    adapter::{Arguments, Function, Kind, NextStep, Touches, WireFunction, wire},
    body::Body,
    classify::{FunctionPath, Lane},
    error::{JSON, Rejection},
    permit::SecretHeld,
    server::Arrival,
    session::{Format, Reading, Scope, SessionToken, WriteOutcome},
    upstream::Crossing,
};

#[derive(Deserialize)]
struct WireAnswer<'body> {
    status: &'body str,
    #[serde(borrow, default, deserialize_with = "some")]
    value: Option<&'body RawValue>,
}

fn some<'body, D: serde::Deserializer<'body>>(value: D) -> Result<Option<&'body RawValue>, D::Error> {
    Deserialize::deserialize(value).map(Some)
}

impl Proxy {
    pub(super) async fn auth_js(
        &self,
        arrival: &Arrival,
        function: WireFunction,
        head: &request::Parts,
        body: Incoming,
    ) -> Result<Response<Body>, Rejection> {
        let whole = self.intake.read(arrival.ends.listener, &head.headers, body).await?;
        let _ = arrival.function.set(function.function().contract().name.to_owned());
        let policy = &self.config.adapter;
        // No secret belongs here; one that is wrong is as wrong as anywhere. A body that cannot be read is refused below.
        let shown = serde_json::from_slice(whole.bytes()).ok().and_then(|body: &RawValue| Arguments::read(body).ok());
        if let Some(shown) = shown {
            SecretHeld::show(&shown, arrival.ends.listener, &policy.secret)
                .map_err(|refusal| self.refuse(arrival.ends.peer, refusal))?;
        }
        let mut arguments = Vec::new();
        let call = wire::arguments(function, whole.bytes(), policy.nulls, &policy.secret, &mut arguments)
            .map_err(Rejection::AdapterArgumentInvalid)?;
        drop(whole);
        let answer = self.run(arrival, function.function(), &arguments).await?;
        let text = match wire::answer(&call, value(&answer)?).map_err(Rejection::AdapterAnswer)? {
            NextStep::Answer(text) => text,
            NextStep::ReadUser(read) => {
                let mut arguments = Vec::new();
                read.arguments(&policy.secret, &mut arguments);
                let answer = self.run(arrival, Function::GetUser, &arguments).await?;
                read.answer(value(&answer)?).map_err(Rejection::AdapterAnswer)?
            }
        };
        let mut response = Response::new(Body::bytes(text));
        response.headers_mut().insert(http::header::CONTENT_TYPE, JSON);
        Ok(response)
    }

    /// Runs one function and gives the deployment's whole answer, which is a success.
    async fn run(&self, arrival: &Arrival, function: Function, arguments: &[u8]) -> Result<bytes::Bytes, Rejection> {
        let text: &RawValue = serde_json::from_slice(arguments).map_err(|_| Rejection::UpstreamUnreadable)?;
        let read = Arguments::read(text).map_err(Rejection::AdapterArgumentInvalid)?;
        if function == Function::GetSessionAndUser
            && let Some(token) = read.text(&["sessionToken"])
        {
            let token = SessionToken::new(token);
            let answer = self.read_session(&arrival.id, SecretHeld::by_the_proxy(), &token, Format::Encoded).await?;
            return match answer.reading {
                Reading::Row(_) | Reading::Absent => Ok(answer.body.clone()),
                Reading::Refused | Reading::Unreadable => Err(Rejection::UpstreamRefused),
            };
        }
        let contract = function.contract();
        let path = FunctionPath::in_module(&self.config.adapter.module, contract.name);
        let body = outbound::write_own(path.as_str(), Format::Encoded.as_str(), arguments);
        let crossing = Crossing::default().identified(&arrival.id);
        let started = Instant::now();
        let whole = match contract.kind {
            Kind::Query => self.upstream.read(Lane::Query.path(), crossing, body.into()).await,
            Kind::Mutation => {
                let upstream = self.upstream.clone();
                let write = self.touched(contract.touches, &read).map(|scope| self.sessions.begin_write(vec![scope]));
                let sent = self.departed.spawn(async move {
                    let whole = upstream.write(Lane::Mutation.path(), crossing, body.into()).await;
                    let outcome = WriteOutcome::of(whole.as_ref().ok().map(|whole| whole.status));
                    if let Some(write) = write {
                        write.end(outcome);
                    }
                    whole
                });
                sent.await.unwrap_or(Err(Rejection::UpstreamUnreachable))
            }
        };
        self.metrics.upstream(started.elapsed());
        let whole = whole?;
        let refusal =
            if whole.status.is_success() { value(&whole.body).err() } else { Some(Rejection::UpstreamRefused) };
        if let Some(refusal) = refusal {
            // Not why: Convex's sentence prints the arguments. The deployment's own log has it, under this id.
            tracing::warn!(
                target: "adapter",
                id = arrival.id.to_str().unwrap_or_default(),
                function = contract.name,
                status = whole.status.as_u16(),
                convex_request_id = convex_request_id(&whole.body),
                "the deployment refused a function of the adapter: its log says why"
            );
            return Err(refusal);
        }
        Ok(whole.body)
    }

    /// Which sessions' answers a call of the contract may change.
    pub(super) fn touched(&self, touches: Touches, arguments: &Arguments<'_>) -> Option<Scope> {
        match touches {
            Touches::Nothing => None,
            Touches::Session { token } => Some(arguments.text(token).map_or(Scope::Everything, |token| {
                Scope::Session(self.session_keys.key_of(&SessionToken::new(token)))
            })),
            Touches::User { id } => {
                Some(arguments.text(id).map_or(Scope::Everything, |id| Scope::User(id.into_owned())))
            }
        }
    }
}

/// The id in `[Request ID: 0123456789abcdef] Server Error`, by which the deployment's log has a failure.
fn convex_request_id(answer: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(answer).ok()?;
    let (id, _) = text.split_once("[Request ID: ")?.1.split_once(']')?;
    (id.len() <= 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

fn value(answer: &[u8]) -> Result<&RawValue, Rejection> {
    let answer: WireAnswer<'_> = serde_json::from_slice(answer).map_err(|_| Rejection::UpstreamUnreadable)?;
    match (answer.status, answer.value) {
        ("success", Some(value)) => Ok(value),
        ("error", _) => Err(Rejection::UpstreamRefused),
        _ => Err(Rejection::UpstreamUnreadable),
    }
}
