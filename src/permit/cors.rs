//! CORS, answered here: the deployment's own headers never pass.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::CallerPolicy;
use crate::body::Body;

/// What a browser is told about one request of the public listener.
#[derive(Debug, Clone)]
pub struct Cors(Option<Reach>);

#[derive(Debug, Clone)]
enum Reach {
    /// A listed origin: it may send cookies and read the answer.
    Listed(HeaderValue),
    /// Any other: it may read what everybody may read.
    Anyone,
}

impl Cors {
    /// Decides from the head. Without an `Origin` there is nothing to tell.
    pub fn read(headers: &HeaderMap, policy: &CallerPolicy) -> Self {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        Self(match (origins.next(), origins.next()) {
            (None, _) => None,
            (Some(origin), None) if policy.is_listed_origin(origin.as_bytes()) => Some(Reach::Listed(origin.clone())),
            _ => Some(Reach::Anyone),
        })
    }

    /// Sets the one set of CORS headers on an answer. `Vary` is always there: the answer depends on `Origin`.
    pub fn mark(&self, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        match &self.0 {
            None => {}
            Some(Reach::Listed(origin)) => {
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
                headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            }
            Some(Reach::Anyone) => {
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
                headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            }
        }
    }

    /// The answer to a preflight on a route that exists. Requested header names are mirrored, as Convex does.
    pub fn preflight(request: &HeaderMap) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
        let requested = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS).filter(|names| is_name_list(names));
        let allowed = requested.cloned().unwrap_or(USUAL);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        headers.append(header::VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
        response
    }
}

const USUAL: HeaderValue = HeaderValue::from_static("authorization, content-type, convex-client");
const EXPOSED: HeaderValue = HeaderValue::from_static("x-request-id");

fn is_name_list(value: &HeaderValue) -> bool {
    value
        .to_str()
        .is_ok_and(|names| names.split(',').all(|name| HeaderName::from_bytes(name.trim().as_bytes()).is_ok()))
}
