//! The routes of the deployment and the shape of its answers.
//!
//! Everything that is not in the table of [`Route::of`] is a 404 without a body, as the backend's. Invariant: a refusal
//! before [`Engine`](super::Engine) ran is `{"code", "message"}`; after it ran, only an unknown `format` is.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::{Value as Json, json};

use super::auth::{Credential, Identity};
use super::call::{
    BatchBody, CallBody, Client, TimedCallBody, is_json, parse_body, parse_format, parse_path, parse_timestamp,
    print_timestamp,
};
use super::function::{FunctionKind, FunctionOutcome};
use super::refusal::Refusal;
use super::value::OutputFormat;
use super::{Shared, Tasks, sync};
use crate::clock::Now;

/// The backend's limit on bodies (`MAX_BACKEND_PUBLIC_API_REQUEST_SIZE`).
const BODY_BYTES: usize = 16 * 1024 * 1024 + 2_000;

/// A route that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route<'a> {
    /// A call of one function.
    Function(FunctionKind),
    QueryTimestamp,
    QueryAtTimestamp,
    QueryBatch,
    /// A sync socket, with the client's version when it stands in the path.
    Sync(Option<&'a str>),
    /// A page of one fixed text.
    Text(&'static str),
    /// How often each function was called. No other deployment has it.
    Calls,
}

impl<'a> Route<'a> {
    /// By the raw path: nothing is decoded or normalised.
    fn of(path: &'a str) -> Option<Self> {
        Some(match path {
            "/api/query" => Self::Function(FunctionKind::Query),
            "/api/mutation" => Self::Function(FunctionKind::Mutation),
            "/api/action" => Self::Function(FunctionKind::Action),
            "/api/query_ts" => Self::QueryTimestamp,
            "/api/query_at_ts" => Self::QueryAtTimestamp,
            "/api/query_batch" => Self::QueryBatch,
            "/" => Self::Text("This Convex deployment is running. See https://docs.convex.dev/."),
            "/version" => Self::Text("unknown"),
            "/instance_name" => Self::Text("convex-auth-proxy-dev"),
            "/_dev/calls" => Self::Calls,
            "/api/sync" => Self::Sync(None),
            _ => {
                let version = path.strip_prefix("/api/")?.strip_suffix("/sync")?;
                if version.is_empty() || version.contains('/') {
                    return None;
                }
                Self::Sync(Some(version))
            }
        })
    }

    /// The methods that the route has, as the `Allow` header of a 405 lists them.
    fn methods(self) -> &'static str {
        match self {
            Self::Function(FunctionKind::Query) => "GET,HEAD,POST",
            Self::Function(FunctionKind::Mutation | FunctionKind::Action)
            | Self::QueryTimestamp
            | Self::QueryAtTimestamp
            | Self::QueryBatch => "POST",
            Self::Text(_) | Self::Calls | Self::Sync(_) => "GET,HEAD",
        }
    }
}

/// Answers one request.
pub(super) async fn answer(
    deployment: &Arc<Shared>,
    tasks: &Tasks,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let now = Now::read();
    let (head, body) = request.into_parts();
    let body = read_body(body).await;
    deployment.record(&head, body.as_ref().map_or(&[], |body| &body[..]));

    let path = head.uri.path();
    let is_api = path.starts_with("/api/");
    if is_api && head.method == Method::OPTIONS && head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return with_cors(empty(StatusCode::OK), &head.headers, true);
    }
    let response = match Route::of(path) {
        None => empty(StatusCode::NOT_FOUND),
        Some(route) if !route.methods().split(',').any(|method| method == head.method.as_str()) => {
            let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(route.methods()));
            response
        }
        Some(route) => {
            respond(deployment, tasks, route, &head, body, now).await.unwrap_or_else(|refusal| print_refusal(&refusal))
        }
    };
    if is_api { with_cors(response, &head.headers, false) } else { response }
}

/// The order of checks is the backend's: client, credential, content type, body, path, token, function, format.
async fn respond(
    deployment: &Arc<Shared>,
    tasks: &Tasks,
    route: Route<'_>,
    head: &http::request::Parts,
    body: Result<Bytes, Refusal>,
    now: Now,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let client = match route {
        // The one route whose path may name the client.
        Route::Sync(Some(version)) => Client::read_with_path(&head.headers, version)?,
        Route::Sync(None)
        | Route::Function(_)
        | Route::QueryTimestamp
        | Route::QueryAtTimestamp
        | Route::QueryBatch
        | Route::Calls
        | Route::Text(_) => Client::read(&head.headers)?,
    };
    let answer = match route {
        Route::Text(text) => return Ok(page(text)),
        Route::Calls => json!(deployment.engine.calls()),
        Route::Sync(_) => return Ok(sync::upgrade(deployment, tasks, head, &client)),
        Route::QueryTimestamp => json!({ "ts": print_timestamp(deployment.engine.snapshot().timestamp()) }),
        Route::Function(_) if head.method != Method::POST => return Err(Refusal::GetQuery),
        Route::Function(kind) => {
            let credential = Credential::read(&head.headers, head.uri.query())?;
            let call: CallBody = parse_body(&json_body(head, body)?)?;
            let path = parse_path(&call.path)?;
            let identity = deployment.verifier.identify(&credential, now).await?;
            let identity = identity.as_ref();
            let engine = &deployment.engine;
            let outcome = match kind {
                FunctionKind::Query => engine.run_query(&path, &call.args, identity),
                FunctionKind::Mutation => {
                    engine.run_mutation(&path, &call.args, identity, now).map(|committed| committed.value)
                }
                FunctionKind::Action => engine.run_action(&path, &call.args, identity),
            };
            let format = parse_format(call.format.as_deref(), &client)?;
            print_outcome(outcome, format, &deployment.next_request_id())
        }
        Route::QueryAtTimestamp => {
            let credential = Credential::read(&head.headers, head.uri.query())?;
            let call: TimedCallBody = parse_body(&json_body(head, body)?)?;
            let path = parse_path(&call.path)?;
            let identity = deployment.verifier.identify(&credential, now).await?;
            // No history is kept: a moment of the past is answered from the newest state.
            let snapshot = deployment.engine.snapshot();
            parse_timestamp(&call.ts, snapshot.timestamp())?;
            let outcome = snapshot.run_query(&path, &call.args, identity.as_ref());
            let format = parse_format(call.format.as_deref(), &client)?;
            print_outcome(outcome, format, &deployment.next_request_id())
        }
        Route::QueryBatch => {
            let credential = Credential::read(&head.headers, head.uri.query())?;
            let batch: BatchBody = parse_body(&json_body(head, body)?)?;
            let identity = deployment.verifier.identify(&credential, now).await?;
            json!({ "results": run_batch(deployment, &batch, &client, identity.as_ref())? })
        }
    };
    Ok(print_json(StatusCode::OK, &answer))
}

/// All queries see one state. The first one that does not parse is the answer to all.
fn run_batch(
    deployment: &Shared,
    batch: &BatchBody,
    client: &Client,
    identity: Option<&Identity>,
) -> Result<Vec<Json>, Refusal> {
    let snapshot = deployment.engine.snapshot();
    let request_id = deployment.next_request_id();
    let results = batch.queries.iter().map(|call| {
        let format = parse_format(call.format.as_deref(), client)?;
        let path = parse_path(&call.path)?;
        Ok(print_outcome(snapshot.run_query(&path, &call.args, identity), format, &request_id))
    });
    results.collect()
}

async fn read_body(body: Incoming) -> Result<Bytes, Refusal> {
    match Limited::new(body, BODY_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge),
        Err(_) => Err(Refusal::BodyBroken),
    }
}

fn json_body(head: &http::request::Parts, body: Result<Bytes, Refusal>) -> Result<Bytes, Refusal> {
    if is_json(&head.headers) { body } else { Err(Refusal::NotJson) }
}

fn print_outcome(outcome: FunctionOutcome, format: OutputFormat, request_id: &str) -> Json {
    match outcome {
        Ok(value) => json!({ "status": "success", "value": value.encode(format) }),
        Err(error) => json!({ "status": "error", "errorMessage": error.message(request_id) }),
    }
}

fn print_refusal(refusal: &Refusal) -> Response<Full<Bytes>> {
    print_json(refusal.status(), &json!({ "code": refusal.code(), "message": refusal.to_string() }))
}

fn print_json(status: StatusCode, json: &Json) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(json.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn page(text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// The backend lets every origin read with credentials: it mirrors what the request names (`router.rs`, `cors`).
fn with_cors(mut response: Response<Full<Bytes>>, request: &HeaderMap, is_preflight: bool) -> Response<Full<Bytes>> {
    let headers = response.headers_mut();
    let mut mirror = |from: HeaderName, to: HeaderName| {
        if let Some(value) = request.get(from) {
            headers.insert(to, value.clone());
        }
    };
    mirror(header::ORIGIN, header::ACCESS_CONTROL_ALLOW_ORIGIN);
    if is_preflight {
        mirror(header::ACCESS_CONTROL_REQUEST_HEADERS, header::ACCESS_CONTROL_ALLOW_HEADERS);
    }
    let mut fixed = |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
    fixed(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    fixed(header::VARY, "origin, access-control-request-method, access-control-request-headers");
    if is_preflight {
        fixed(header::ACCESS_CONTROL_ALLOW_METHODS, "GET,POST,OPTIONS,PATCH,DELETE,PUT");
        fixed(header::ACCESS_CONTROL_MAX_AGE, "86400");
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_raw_paths() {
        assert_eq!(Route::of("/api/query"), Some(Route::Function(FunctionKind::Query)));
        for path in [
            "//api/query",
            "/api/query/",
            "/api/%71uery",
            "/API/query",
            "/api//sync",
            "/api/a/b/sync",
            "/api/function",
            "/api/run/a/b",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
        assert_eq!(Route::of("/api/sync"), Some(Route::Sync(None)));
        assert_eq!(Route::of("/api/1.48.0/sync"), Some(Route::Sync(Some("1.48.0"))));
    }
}
