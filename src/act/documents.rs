//! The key documents over HTTP.

use http::{HeaderMap, Response, StatusCode, header};

use crate::{
    body::Body,
    token::{Document, is_current},
};

/// Answers with a document, or with 304 when the asker has it already.
pub(super) fn answer(document: &Document, request: &HeaderMap) -> Response<Body> {
    let is_known = is_current(request.get_all(header::IF_NONE_MATCH), document.etag());
    let mut response = Response::new(if is_known { Body::empty() } else { Body::bytes(document.body()) });
    let headers = response.headers_mut();
    headers.insert(header::ETAG, document.etag().clone());
    headers.insert(header::CACHE_CONTROL, document.cache_control());
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(header::CONTENT_TYPE, document.content_type());
    }
    response
}
