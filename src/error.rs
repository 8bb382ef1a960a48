//! Everything that the proxy says no to, as one closed list.
//!
//! A [`Rejection`] decides status, code and public sentence in one place, without a catch-all: a new reason does not compile
//! until somebody has chosen its answer. No sentence holds a value that the caller sent.

mod deployment_code;

use http::{HeaderName, HeaderValue, Response, StatusCode, header};

pub use self::deployment_code::DeploymentCode;
use crate::{adapter::WireProblem, body::Body};

/// A request that is not served, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No route of this listener has that method and path.
    #[error("This listener serves no such route.")]
    NotFound,
    /// A request for the sync socket that does not ask for a WebSocket of version 13.
    #[error("This route is a WebSocket: ask for an upgrade, version 13.")]
    UpgradeRequired,
    /// A request for the sync socket without exactly one key of 16 bytes, or with a body.
    #[error("An upgrade has one Sec-WebSocket-Key, 16 bytes in base64, and no body.")]
    BadUpgrade,

    /// The header lines are larger than `limits.header_bytes`.
    #[error("The request's header lines are too large.")]
    HeadTooLarge,
    /// No `Host`, or more than one (RFC 9112 section 3.2).
    #[error("An HTTP/1.1 request has exactly one Host header.")]
    BadHost,
    /// The body is larger than `limits.body_bytes`.
    #[error("The request's body is too large.")]
    BodyTooLarge,
    /// The body did not end within `timeouts.body`.
    #[error("The request's body did not arrive in time.")]
    BodyTimeout,
    /// The body ended before its declared end, or its framing was wrong.
    #[error("The request's body ended before its end.")]
    BodyCut,
    /// A Content-Type that is not JSON, or none where one is needed.
    #[error("The Content-Type must be application/json.")]
    NotJson,
    /// A Content-Encoding other than identity.
    #[error("A request's body must not be compressed.")]
    Encoded,
    /// `limits.requests_in_flight` is reached.
    #[error("Too many requests are under way; try again shortly.")]
    TooManyRequests,
    /// `limits.buffered_bytes` is reached.
    #[error("Too many bytes are held in memory; try again shortly.")]
    TooManyBytes,

    /// The body is not the JSON that the route takes.
    #[error("{0}")]
    BadBody(BadBody),
    /// `path` is not a function path by Convex's grammar.
    #[error("The function path is not valid: `module:function` is expected.")]
    BadFunctionPath,
    /// `Convex-Client` is not `name-version`.
    #[error("The Convex-Client header must be `name-version`.")]
    BadClientVersion,

    /// More than one Authorization header.
    #[error("Send exactly one Authorization header.")]
    ManyAuthorizations,
    /// An Authorization that is not `Bearer token`.
    #[error("The Authorization header must be `Bearer` and a token.")]
    BadAuthorization,
    /// An admin or deploy key in a header or in the query string.
    #[error("Admin keys are not accepted here.")]
    AdminCredential,
    /// A caller's token speaks for a session that has ended, or cannot be opened.
    #[error("The session of this token has ended; ask for a new token.")]
    TokenEnded,
    /// A caller's token was not minted here and `token.client_tokens` is `refuse`.
    #[error("Only tokens minted by this proxy are accepted.")]
    TokenForeign,

    /// A call of an adapter function without the right secret.
    #[error("Adapter functions are not open to this caller.")]
    AdapterForbidden,
    /// More wrong secrets than a minute allows from one address.
    #[error("Too many wrong secrets from this address; try again in a minute.")]
    AdapterThrottled,
    /// An argument of an adapter function that has no meaning.
    #[error("{0}")]
    AdapterArgumentInvalid(crate::adapter::ArgumentProblem),

    /// The deployment's answer to a call of the Auth.js wire cannot be given as Auth.js wants it.
    #[error("{0}")]
    AdapterAnswer(WireProblem),

    /// A browser at the adapter or admin listener.
    #[error("This listener is not for browsers.")]
    BrowserRefused,
    /// A Host that is neither loopback nor configured, at the adapter or admin listener.
    #[error("This listener is not known by that Host; list it in `listen.hosts`.")]
    HostRefused,
    /// No caller's token, or a wrong one, where `adapter.tokens` asks for one.
    #[error("A caller's token is required on this listener.")]
    CallerUnknown,
    /// A token was asked for, or a socket opened with a session cookie, from an Origin that is not listed.
    #[error("This Origin may not act by a session cookie; list it in `session.origins`.")]
    OriginForbidden,
    /// A token was asked for without a live session.
    #[error("There is no live session.")]
    NoSession,

    /// The deployment could not be reached, or went away.
    #[error("The deployment cannot be reached.")]
    UpstreamUnreachable,
    /// The deployment did not answer in time.
    #[error("The deployment did not answer in time.")]
    UpstreamTimeout,
    /// The deployment answered something that is not Convex's.
    #[error("The deployment's answer could not be read.")]
    UpstreamUnreadable,
    /// The deployment refused a call of the Auth.js wire and said which reason of its own it had.
    #[error("The deployment refused the call.")]
    DeploymentRefused(DeploymentCode),
    /// The deployment refused a call that the proxy made itself.
    #[error("The deployment refused a call of the proxy; see the proxy's log.")]
    UpstreamRefused,
    /// An id or a session token of many kilobytes: no client could send the token back.
    #[error("The user's id or the session's token is too long for a token.")]
    TokenTooLong,
    /// A token could not be signed.
    #[error("A token could not be signed.")]
    SigningFailed,
}

/// What is wrong with a body that should have been a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// Not JSON, not UTF-8, a known member twice or of another kind than it must be.
    #[error("The body is not the JSON that this route takes.")]
    Syntax,
    /// JSON, but not an object.
    #[error("The body must be a JSON object.")]
    NotAnObject,
    /// `componentPath` in a call.
    #[error("`componentPath` is not accepted.")]
    Component,
    /// The body of `/auth/token` on the adapter listener names no one, or more than one.
    #[error("Give either `sessionToken` or `userId`, a string that is not empty.")]
    TokenFor,
}

impl Rejection {
    /// The status that a client sees.
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadBody(_)
            | Self::BadHost
            | Self::BadUpgrade
            | Self::BodyCut
            | Self::BadFunctionPath
            | Self::BadClientVersion
            | Self::TokenTooLong
            | Self::AdapterArgumentInvalid(_) => StatusCode::BAD_REQUEST,
            Self::ManyAuthorizations
            | Self::BadAuthorization
            | Self::TokenEnded
            | Self::TokenForeign
            | Self::CallerUnknown
            | Self::NoSession => StatusCode::UNAUTHORIZED,
            Self::AdminCredential
            | Self::AdapterForbidden
            | Self::BrowserRefused
            | Self::HostRefused
            | Self::OriginForbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJson | Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::AdapterThrottled => StatusCode::TOO_MANY_REQUESTS,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::SigningFailed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Self::AdapterAnswer(problem) => match problem {
                WireProblem::NoSuchUser | WireProblem::NoSuchAuthenticator => StatusCode::NOT_FOUND,
                WireProblem::Threw { .. } | WireProblem::Unreadable { .. } | WireProblem::NotADate { .. } => {
                    StatusCode::BAD_GATEWAY
                }
            },
            Self::UpstreamUnreachable
            | Self::UpstreamUnreadable
            | Self::UpstreamRefused
            | Self::DeploymentRefused(_) => StatusCode::BAD_GATEWAY,
            Self::TooManyRequests | Self::TooManyBytes => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The code that a program tells refusals apart by; also the `reason` in metrics and logs. A caller of the Auth.js wire is told the
    /// deployment's own where it has one.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotFound => "NotFound",
            Self::UpgradeRequired => "UpgradeRequired",
            Self::BadUpgrade => "InvalidUpgrade",
            Self::HeadTooLarge => "HeadersTooLarge",
            Self::BadHost => "BadHost",
            Self::BodyTooLarge => "BodyTooLarge",
            Self::BodyTimeout => "RequestTimeout",
            Self::BodyCut => "BodyCut",
            Self::NotJson => "ContentTypeNotJson",
            Self::Encoded => "ContentEncodingRefused",
            Self::TooManyRequests => "TooManyRequestsInFlight",
            Self::TooManyBytes => "TooManyBytesBuffered",
            Self::BadBody(_) => "BadJsonBody",
            Self::BadFunctionPath => "InvalidFunctionPath",
            Self::BadClientVersion => "InvalidClientVersion",
            Self::ManyAuthorizations | Self::BadAuthorization => "InvalidAuthHeader",
            Self::AdminCredential => "AdminCredentialRefused",
            Self::TokenEnded => "SessionEnded",
            Self::TokenForeign => "TokenForeign",
            Self::AdapterForbidden => "AdapterForbidden",
            Self::AdapterThrottled => "AdapterThrottled",
            Self::AdapterArgumentInvalid(_) => "AdapterArgumentInvalid",
            Self::AdapterAnswer(problem) => match problem {
                WireProblem::NoSuchUser => "UserNotFound",
                WireProblem::NoSuchAuthenticator => "AuthenticatorNotFound",
                WireProblem::Threw { .. } => "UpstreamRefused",
                WireProblem::Unreadable { .. } | WireProblem::NotADate { .. } => "UpstreamUnreadable",
            },
            Self::BrowserRefused => "BrowserRefused",
            Self::HostRefused => "HostRefused",
            Self::CallerUnknown => "CallerUnauthorized",
            Self::OriginForbidden => "OriginForbidden",
            Self::NoSession => "NoSession",
            Self::UpstreamUnreachable => "UpstreamUnreachable",
            Self::UpstreamTimeout => "UpstreamTimeout",
            Self::UpstreamUnreadable => "UpstreamUnreadable",
            Self::UpstreamRefused | Self::DeploymentRefused(_) => "UpstreamRefused",
            Self::TokenTooLong => "TokenTooLong",
            Self::SigningFailed => "SigningFailed",
        }
    }

    /// Whether it may be said before the request's body was read to its end.
    pub fn leaves_body_unread(self) -> bool {
        match self {
            Self::NotFound
            | Self::UpgradeRequired
            | Self::BadUpgrade
            | Self::HeadTooLarge
            | Self::BadHost
            | Self::BodyTooLarge
            | Self::BodyTimeout
            | Self::BodyCut
            | Self::NotJson
            | Self::Encoded
            | Self::TooManyRequests
            | Self::TooManyBytes
            | Self::BadClientVersion
            | Self::ManyAuthorizations
            | Self::BadAuthorization
            | Self::AdminCredential
            | Self::TokenEnded
            | Self::TokenForeign
            | Self::BrowserRefused
            | Self::HostRefused
            | Self::CallerUnknown
            | Self::OriginForbidden => true,
            Self::BadBody(_)
            | Self::BadFunctionPath
            | Self::AdapterForbidden
            | Self::AdapterThrottled
            | Self::AdapterArgumentInvalid(_)
            | Self::AdapterAnswer(_)
            | Self::NoSession
            | Self::UpstreamUnreachable
            | Self::UpstreamTimeout
            | Self::UpstreamUnreadable
            | Self::UpstreamRefused
            | Self::DeploymentRefused(_)
            | Self::TokenTooLong
            | Self::SigningFailed => false,
        }
    }

    /// Whose doing it is, for metrics and logs.
    pub fn outcome(self) -> Outcome {
        let status = self.status();
        if status.is_client_error() || matches!(self, Self::TooManyRequests | Self::TooManyBytes) {
            Outcome::Refused
        } else {
            Outcome::Failed
        }
    }

    /// The answer: `{"code","message"}`, never cached.
    pub fn response(self) -> Response<Body> {
        let code = if let Self::DeploymentRefused(code) = &self { code.as_str() } else { self.code() };
        let text = serde_json::json!({ "code": code, "message": self.to_string() }).to_string();
        let mut response = Response::new(Body::bytes(text));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some((name, value)) = self.challenge() {
            headers.insert(name, value);
        }
        if self == Self::UpgradeRequired {
            // RFC 9110 section 15.5.22, RFC 6455 section 4.4.
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }

    fn retry_after_s(self) -> Option<u64> {
        match self.status() {
            StatusCode::SERVICE_UNAVAILABLE => Some(1),
            StatusCode::TOO_MANY_REQUESTS => Some(60),
            _ => None,
        }
    }

    // RFC 9110 section 15.5.2: a 401 says which scheme would do.
    fn challenge(self) -> Option<(HeaderName, HeaderValue)> {
        (self.status() == StatusCode::UNAUTHORIZED)
            .then(|| (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
    }
}

/// How a request ended, as metrics and logs have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered, by the deployment or here, and not with an error of the proxy's.
    Answered,
    /// The caller's doing, or the proxy's limits: nothing went upstream, or its answer was not passed.
    Refused,
    /// The deployment's or the proxy's doing.
    Failed,
}

impl Outcome {
    /// The label in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// `application/json`, as Convex sends it.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::Rejection;

    #[tokio::test]
    async fn an_answer_names_code_and_sentence() {
        let response = Rejection::AdapterForbidden.response();
        assert_eq!(response.status(), 403);
        let body = response.into_body().collect().await.expect("bytes").to_bytes();
        insta::assert_snapshot!(std::str::from_utf8(&body).expect("text"), @r#"{"code":"AdapterForbidden","message":"Adapter functions are not open to this caller."}"#);
    }

    #[test]
    fn overload_says_when_to_come_back() {
        assert_eq!(Rejection::TooManyRequests.response().headers()["retry-after"], "1");
        assert_eq!(Rejection::AdapterThrottled.response().headers()["retry-after"], "60");
    }
}
