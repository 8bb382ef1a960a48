//! Requests that never reach a function: the status, code and sentence of each, as the backend gives them.
//!
//! A sentence repeats what the caller sent where the backend's does, and only there. Invariant: a refusal is an HTTP error with `{"code", "message"}`; what a function answers is none.

use http::StatusCode;

/// Why a request is refused. Printed as the `message` of the answer.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The content type is not JSON.
    #[error("Expected request with `Content-Type: application/json`")]
    NotJson,
    /// The body is larger than 16 MiB + 2,000 bytes.
    #[error("Failed to buffer the request body: length limit exceeded")]
    BodyTooLarge,
    /// The client went away or broke the framing.
    #[error("Failed to buffer the request body")]
    BodyBroken,
    /// The body is no JSON.
    #[error("Failed to parse the request body as JSON: {0}")]
    Syntax(serde_json::Error),
    /// The body is JSON of another shape.
    #[error("Failed to deserialize the JSON body into the target type: {0}")]
    Shape(serde_json::Error),
    /// `Convex-Client` is not `<name>-<version>`.
    #[error(
        "Failed to parse client version string: '{0}'. Expected format is {{client_name}}-{{semver}}, e.g. \
         my-esolang-client-0.0.1"
    )]
    ClientVersion(String),
    /// The version in the path of a sync socket is none. The words are ours.
    #[error("'{0}' is not the version of a client: it should be like 1.2.3")]
    PathVersion(String),
    /// The client is older than Convex serves.
    #[error("The Convex {name} package at version {version} is no longer supported.")]
    ClientTooOld {
        /// The client's name.
        name: String,
        /// Its version.
        version: String,
    },
    /// The query string of `GET /api/query`, which the backend cannot read either.
    #[error("Failed to deserialize query string: invalid type: newtype struct")]
    GetQuery,
    /// `adminKey` stands in the query twice.
    #[error("Failed to deserialize query string: duplicate field `adminKey`")]
    QueryUnreadable,
    /// The `Authorization` header cannot be read.
    #[error("Malformed Authorization header.")]
    HeaderUnreadable,
    /// The `Authorization` header is too short for any scheme.
    #[error("Invalid authentication header")]
    HeaderTooShort,
    /// The `Authorization` header has another scheme.
    #[error("Invalid admin key")]
    AdminKeyInvalid,
    /// An administrator's key; none is valid here.
    #[error("The provided admin key was invalid for this instance")]
    AdminKeyWrong,
    /// The path of a function does not parse.
    #[error("{path} is not a valid path to a Convex function. {complaint}")]
    FunctionPath {
        /// The path as sent.
        path: String,
        /// The parser's complaint.
        complaint: String,
    },
    /// An unknown `format`.
    #[error("format param must be one of [`json`]. Got {0}")]
    Format(String),
    /// A `ts` that is no timestamp, or of the future. The backend has no better answer than its general one.
    #[error("Your request couldn't be completed. Try again later.")]
    Timestamp,
    /// The token is no JWS of three parts with a JSON payload.
    #[error(
        "Could not parse JWT payload. Check that the token is a valid JWT format with three base64-encoded parts \
         separated by dots."
    )]
    TokenUnreadable,
    /// The token names no issuer.
    #[error(
        "Missing issuer claim ('iss') in JWT payload. The JWT must include an 'iss' claim that matches one of your \
         configured auth providers."
    )]
    IssuerMissing,
    /// The token is of another issuer or for another application.
    #[error("No auth provider found matching the given token")]
    NoAuthProvider,
    /// The token's signature, times or claims do not hold.
    #[error("Could not verify OIDC token claim. Check that the token signature is valid and the token hasn't expired.")]
    Unauthenticated,
    /// The issuer's documents cannot be had.
    #[error("Auth provider discovery of {issuer} failed")]
    Discovery {
        /// The status that says whose fault it is.
        status: StatusCode,
        /// The configured issuer, as the token spells it.
        issuer: String,
    },
}

impl Refusal {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotJson
            | Self::BodyTooLarge
            | Self::BodyBroken
            | Self::Syntax(_)
            | Self::Shape(_)
            | Self::ClientVersion(_)
            | Self::PathVersion(_)
            | Self::ClientTooOld { .. }
            | Self::GetQuery
            | Self::QueryUnreadable
            | Self::HeaderUnreadable
            | Self::HeaderTooShort
            | Self::AdminKeyInvalid
            | Self::FunctionPath { .. }
            | Self::Format(_) => StatusCode::BAD_REQUEST,
            Self::AdminKeyWrong
            | Self::TokenUnreadable
            | Self::IssuerMissing
            | Self::NoAuthProvider
            | Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Timestamp => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Discovery { status, .. } => *status,
        }
    }

    /// The `code` of the answer.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotJson | Self::BodyTooLarge | Self::BodyBroken | Self::Syntax(_) | Self::Shape(_) => "BadJsonBody",
            Self::ClientVersion(_) | Self::PathVersion(_) => "InvalidClientVersion",
            Self::ClientTooOld { .. } => "ClientVersionUnsupported",
            Self::GetQuery | Self::QueryUnreadable => "BadQueryArgs",
            Self::HeaderUnreadable => "HeaderParseFailure",
            Self::HeaderTooShort => "InvalidHeaderFailure",
            Self::AdminKeyInvalid => "InvalidAdminKey",
            Self::AdminKeyWrong => "BadAdminKey",
            Self::FunctionPath { .. } => "BadConvexFunctionIdentifier",
            Self::Format(_) => "BadFormat",
            Self::Timestamp => "InternalServerError",
            Self::TokenUnreadable | Self::IssuerMissing => "InvalidAuthHeader",
            Self::NoAuthProvider => "NoAuthProvider",
            Self::Unauthenticated => "Unauthenticated",
            Self::Discovery { .. } => "AuthProviderDiscoveryFailed",
        }
    }
}
