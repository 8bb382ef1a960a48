//! From a request to a socket: who may have one, and the answer that makes it.
//!
//! The client's version was looked at before. The checks here are axum's, which the backend leaves them to. Compression is offered by some
//! clients and never taken. Invariant: a socket is among the open ones before its client knows that it has one.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::Full;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::OpenSocket;
use super::socket::converse;
use crate::dev::call::Client;
use crate::dev::{Shared, Tasks};

/// Answers a request for a socket, and starts it.
pub(in crate::dev) fn upgrade(
    deployment: &Arc<Shared>,
    tasks: &Tasks,
    head: &Parts,
    client: &Client,
) -> Response<Full<Bytes>> {
    let (key, upgrade) = match requested(head) {
        Ok(requested) => requested,
        Err((status, complaint)) => {
            let mut response = Response::new(Full::from(complaint));
            *response.status_mut() = status;
            return response;
        }
    };
    let socket = OpenSocket::new(Arc::clone(deployment));
    let (shutdown, takes_chunks) = (tasks.shutdown.clone(), client.takes_chunks());
    tasks.tracker.spawn(async move {
        // A client that left before the answer has no socket.
        let Ok(connection) = upgrade.await else { return };
        converse(socket, TokioIo::new(connection), takes_chunks, shutdown).await;
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    response
}

/// The key of the answer and the connection to come, or why there is none.
fn requested(head: &Parts) -> Result<(HeaderValue, OnUpgrade), (StatusCode, &'static str)> {
    let refused = |complaint| (StatusCode::BAD_REQUEST, complaint);
    if head.method != Method::GET {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "A WebSocket begins with GET"));
    }
    if !names(&head.headers, &header::CONNECTION, "upgrade") {
        return Err(refused("The header Connection does not say upgrade"));
    }
    if !names(&head.headers, &header::UPGRADE, "websocket") {
        return Err(refused("The header Upgrade does not say websocket"));
    }
    if head.headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(refused("The header Sec-WebSocket-Version does not say 13"));
    }
    let key = head.headers.get(header::SEC_WEBSOCKET_KEY).ok_or_else(|| refused("There is no Sec-WebSocket-Key"))?;
    let key = HeaderValue::try_from(derive_accept_key(key.as_bytes()))
        .map_err(|_| refused("There is no usable Sec-WebSocket-Key"))?;
    let upgrade = head.extensions.get::<OnUpgrade>().cloned();
    let upgrade = upgrade.ok_or((StatusCode::UPGRADE_REQUIRED, "This connection cannot become a WebSocket"))?;
    Ok((key, upgrade))
}

/// Whether one of the values, which are lists, has this item; letters have no case.
fn names(headers: &HeaderMap, name: &HeaderName, item: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(item))
}
