//! `POST /adapter/{function}`: Auth.js in, Auth.js out, with the deployment's functions in between.

use std::{borrow::Cow, time::Instant};

use bytes::Bytes;
use http::{Response, StatusCode, request};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Proxy, outbound};
use crate::{
    adapter::{
        Arguments, Function, Kind, Touches,
        wire::{self, Outcome, Run, Step},
    },
    body::Body,
    classify::{FunctionPath, Lane},
    error::{DeploymentCode, JSON, Rejection},
    json::{JsonText, present},
    permit::SecretHeld,
    server::Arrival,
    session::{Format, Scope, SessionToken, WriteOutcome},
    upstream::{Crossing, WholeAnswer},
};

/// What the deployment answered to a call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAnswer<'body> {
    #[serde(default)]
    status: Option<&'body str>,
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'body RawValue>,
    /// What a `ConvexError` carries.
    #[serde(borrow, default, deserialize_with = "present")]
    error_data: Option<&'body RawValue>,
    /// Of a refusal by HTTP.
    #[serde(borrow, default)]
    code: Option<Cow<'body, str>>,
}

/// What is told of a refusal.
#[derive(Deserialize)]
struct Coded<'body> {
    #[serde(borrow)]
    code: Cow<'body, str>,
}

/// How a function that was run for a call ended.
enum Ran {
    /// With this value, JSON text.
    Returned(Bytes),
    /// It threw without a reason that may be told.
    Threw,
}

impl Proxy {
    pub(super) async fn auth_js(
        &self,
        arrival: &Arrival,
        function: Function,
        head: &request::Parts,
        body: Incoming,
    ) -> Result<Response<Body>, Rejection> {
        let whole = self.intake.read(arrival.ends.listener, &head.headers, body).await?;
        let _ = arrival.function.set(function.contract().name.to_owned());
        let policy = &self.config.adapter;
        let request = wire::read(function, whole.bytes()).map_err(Rejection::AdapterArgumentInvalid)?;
        // No secret belongs here; one that is wrong is as wrong as anywhere.
        let proof = SecretHeld::show(request.arguments(), arrival.ends.listener, &policy.secret)
            .map_err(|refusal| self.refuse(arrival.ends.peer, refusal))?;
        let mut run = wire::begin(request, policy.nulls, &policy.secret).map_err(Rejection::AdapterArgumentInvalid)?;
        drop(whole);
        let text = loop {
            let ran = match (self.run(arrival, &run, proof).await, run.answer_without()) {
                (Err(_), Some(text)) => break text,
                (ran, _) => ran?,
            };
            let outcome = match &ran {
                Ran::Returned(value) => Outcome::Returned(JsonText::checked(text_of(value)?)),
                Ran::Threw => Outcome::Threw,
            };
            match run.resume(outcome, &policy.secret).map_err(Rejection::AdapterAnswer)? {
                Step::Answer(text) => break text,
                Step::Run(next) => run = next,
            }
        };
        let mut response = Response::new(Body::bytes(text));
        response.headers_mut().insert(http::header::CONTENT_TYPE, JSON);
        Ok(response)
    }

    /// Runs one function of the contract; what reads a write back is tried twice, since the write has happened.
    async fn run(&self, arrival: &Arrival, run: &Run, proof: SecretHeld) -> Result<Ran, Rejection> {
        let (function, arguments) = (run.function(), run.arguments());
        match self.run_once(arrival, function, arguments, proof).await {
            Err(_) if run.follows_a_write() => self.run_once(arrival, function, arguments, proof).await,
            ran => ran,
        }
    }

    async fn run_once(
        &self,
        arrival: &Arrival,
        function: Function,
        arguments: &[u8],
        proof: SecretHeld,
    ) -> Result<Ran, Rejection> {
        let (status, body) = if function == Function::GetSessionAndUser
            && let Some(token) = own(function, arguments)?.arguments().text(&["sessionToken"])
        {
            let token = SessionToken::new(token);
            let (_, answer) = self.read_session(&arrival.id, proof, &token, Format::Encoded).await?;
            (answer.status(), answer.body())
        } else {
            let whole = self.send_own(arrival, function, arguments).await?;
            // A function may return what it was given.
            (whole.status, self.scrub.clean(whole.body))
        };
        let convex_request_id = convex_request_id(&body).map(str::to_owned);
        let ended = how_it_ended(status, &body);
        if !matches!(ended, Ok(Ran::Returned(_))) {
            // Not why: Convex's sentence prints the arguments. The deployment's own log has it, under this id.
            tracing::warn!(
                target: "adapter",
                id = arrival.id.to_str().unwrap_or_default(),
                function = function.contract().name,
                status = status.as_u16(),
                convex_request_id,
                "the deployment refused a function of the adapter: its log says why"
            );
        }
        ended
    }

    /// Sends a call; one that writes goes on when its caller has gone, and its write is over only when it was answered.
    async fn send_own(
        &self,
        arrival: &Arrival,
        function: Function,
        arguments: &[u8],
    ) -> Result<WholeAnswer, Rejection> {
        let contract = function.contract();
        let path = FunctionPath::in_module(&self.config.adapter.module, contract.name);
        let body = outbound::write_own(path.as_str(), Format::Encoded.as_str(), arguments);
        let crossing = Crossing::default().identified(&arrival.id);
        let started = Instant::now();
        let whole = match contract.kind {
            Kind::Query => self.upstream.read(Lane::Query.path(), crossing, body.into()).await,
            Kind::Mutation => {
                let upstream = self.upstream.clone();
                let scope = match contract.touches {
                    Touches::Nothing => None,
                    touches @ (Touches::Session { .. } | Touches::User { .. }) => {
                        self.touched(touches, own(function, arguments)?.arguments())
                    }
                };
                let write = scope.map(|scope| self.sessions.begin_write(vec![scope]));
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
        whole
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

/// Tells a value from a throw and from a refusal. An outage is neither.
fn how_it_ended(status: StatusCode, body: &Bytes) -> Result<Ran, Rejection> {
    let told = |code: Cow<'_, str>| {
        Err(DeploymentCode::read(&code).map_or(Rejection::UpstreamRefused, Rejection::DeploymentRefused))
    };
    let answer = serde_json::from_slice::<WireAnswer<'_>>(body);
    if !status.is_success() {
        return match answer {
            Ok(WireAnswer { code: Some(code), .. }) => told(code),
            _ => Err(Rejection::UpstreamUnreadable),
        };
    }
    match answer {
        Ok(WireAnswer { status: Some("success"), value: Some(value), .. }) => {
            Ok(Ran::Returned(body.slice_ref(value.get().as_bytes())))
        }
        Ok(WireAnswer { status: Some("error"), error_data: None, .. }) => Ok(Ran::Threw),
        Ok(WireAnswer { status: Some("error"), error_data: Some(data), .. }) => {
            told(serde_json::from_str::<Coded<'_>>(data.get()).map(|coded| coded.code).unwrap_or_default())
        }
        _ => Err(Rejection::UpstreamUnreadable),
    }
}

/// The proxy's own arguments, as they were written.
fn own(function: Function, arguments: &[u8]) -> Result<wire::Request<'_>, Rejection> {
    wire::read(function, arguments).map_err(Rejection::AdapterArgumentInvalid)
}

fn text_of(value: &[u8]) -> Result<&str, Rejection> {
    std::str::from_utf8(value).map_err(|_| Rejection::UpstreamUnreadable)
}
