//! The configuration: what an operator wrote, turned into values that cannot be wrong.
//!
//! [`Config`] is what the rest of the proxy reads. It has no serde of its own: the mirror that serde sees is private to
//! `config/`, and the conversion reports every problem of all sources at once ([`Problems`]).

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use convex_sync_types::CanonicalizedModulePath;
use url::Url;

use crate::{keys::SigningKey, secret::Secret};

mod address;
mod assemble;
mod finding;
mod issuer;
mod load;
mod mirror;
mod nearest;
mod problem;
mod quotable;
mod read;
mod reason;
mod source;
mod value;

#[cfg(test)]
mod tests;

pub use self::{
    load::{Mode, Sources, load},
    problem::{Problem, Problems},
};

/// Everything that the proxy can be told, complete and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the proxy listens.
    pub listen: Listen,
    /// The deployment behind it.
    pub upstream: Upstream,
    /// The adapter's functions and who may call them.
    pub adapter: Adapter,
    /// What is minted, and with which key.
    pub token: Token,
    /// How a browser says who it is.
    pub session: Session,
    /// How much is kept, and how long.
    pub cache: Cache,
    /// The embedded deployment of `dev`.
    pub dev: Dev,
    /// Bounds in number and bytes.
    pub limits: Limits,
    /// Bounds in time.
    pub timeouts: Timeouts,
    /// What is logged, and how.
    pub log: Log,
}

impl Config {
    /// The same with another issuer.
    ///
    /// In `dev` the issuer is the public listener's address. With port 0 that is known only after the listener is
    /// bound: until then the issuer holds port 0, and whoever binds must put the real one in its place with this.
    #[must_use]
    pub fn with_issuer(mut self, issuer: String) -> Self {
        self.token.issuer = issuer;
        self
    }
}

/// `listen.*`: the three listeners.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Browsers and the internet.
    pub public: SocketAddr,
    /// The app's server; `None` turns the listener off.
    pub adapter: Option<ListenAddress>,
    /// Operators; `None` turns the listener off.
    pub admin: Option<SocketAddr>,
    /// Empty, or a path such as `/convex` (leading slash, none at the end) under which all public routes live.
    pub base_path: String,
    /// Host names, besides loopback and the listener's own address, by which the adapter and admin listeners may be
    /// addressed. Lower case, without a port.
    pub hosts: Vec<String>,
}

/// Where the adapter listener is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An IP address and port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// `unix:/path`: an absolute path; the socket gets mode 0600 in a directory of mode 0700.
    Unix(PathBuf),
}

/// `upstream.*`: the deployment.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// `http` or `https`, a host, perhaps a port; no path, query, fragment or credentials.
    pub url: Url,
    /// Where the deployment serves HTTP actions. `None` only when `token.issuer` was given and the host is not
    /// `.convex.cloud`.
    pub site_url: Option<Url>,
}

/// `adapter.*`: the functions behind the shared secret.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// The module that holds them, e.g. `authAdapter` or `auth/adapter`.
    pub module: CanonicalizedModulePath,
    /// The secret shared with the deployment. Never empty.
    pub secret: Secret,
    /// What the public listener does with a call of an adapter function.
    pub on_public: OnPublic,
    /// Bearer tokens of callers of the adapter listener. When not empty, each call must carry one.
    pub tokens: Vec<Secret>,
    /// What happens to null members of arguments.
    pub nulls: Nulls,
}

/// `adapter.on_public`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPublic {
    /// `require-secret`: allowed with the right secret in the arguments.
    RequireSecret,
    /// `deny`: refused always.
    Deny,
}

/// `adapter.nulls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// `drop`: null members are left out, as Convex's `v.optional` wants it.
    Drop,
    /// `keep`: null members are sent, for Convex functions that clear a field on null.
    Keep,
}

/// `token.*`: what is minted.
#[derive(Debug, Clone)]
pub struct Token {
    /// The private key, parsed; its algorithm is `token.algorithm`, or follows from the key.
    pub key: SigningKey,
    /// The `kid` of every header minted, by the rule in `config.toml`; `None` when the published set has none for this key.
    pub kid: Option<String>,
    /// The key set as it is published: `{"keys":[…]}`, JSON text, public members only. A customJwt provider refuses the
    /// whole set for the sake of any key in it with `"alg":"EdDSA"`; an OIDC provider takes it.
    pub jwks: String,
    /// `iss` of every token, exactly as the deployment's provider has it.
    pub issuer: String,
    /// `aud` of every token.
    pub audience: String,
    /// How long a token lives, whole seconds, from 10 s to 24 h.
    pub lifetime: Duration,
    /// Profile members of the user row that become claims.
    pub claims: Vec<ProfileClaim>,
    /// What happens to a caller's own Bearer token.
    pub client_tokens: ClientTokens,
}

/// One value of `token.claims`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileClaim {
    /// `email` of the user row.
    Email,
    /// `name` of the user row.
    Name,
    /// `picture`: `image` of the user row.
    Picture,
}

/// `token.client_tokens`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientTokens {
    /// `check`: one minted here is honoured while its session lives; any other passes untouched.
    Check,
    /// `pass`: every one passes untouched.
    Pass,
    /// `refuse`: one minted here is honoured while its session lives; any other is refused.
    Refuse,
}

/// `session.*`: cookies and origins.
#[derive(Debug, Clone)]
pub struct Session {
    /// Names of the session cookie; of several present, the first listed counts.
    pub cookies: Vec<String>,
    /// Origins (`scheme://host[:port]`, lower case, no default port) whose cookies are authority.
    pub origins: Vec<String>,
}

/// `cache.*`: sessions kept in memory.
#[derive(Debug, Clone)]
pub struct Cache {
    /// Entries at most.
    pub capacity: u64,
    /// How long an entry may answer; zero turns keeping off and leaves the joining of identical reads.
    pub ttl: Duration,
}

/// `dev.*`: the embedded deployment.
#[derive(Debug, Clone)]
pub struct Dev {
    /// Where it listens.
    pub listen: SocketAddr,
}

/// `limits.*`: each has an answer of its own.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a request's header lines; beyond: 431.
    pub header_bytes: usize,
    /// Bytes of a request's body; beyond: 413. Default 16 MiB + 2,000, as the deployment has it.
    pub body_bytes: usize,
    /// Bytes of an answer that the proxy reads whole, each by itself: a session's, and every one of the adapter's
    /// functions; beyond: 502.
    pub answer_bytes: usize,
    /// Open connections on each listener; beyond: 503.
    pub connections: usize,
    /// Requests under way on the public and adapter listeners together; beyond: 503. An eighth is kept free for the
    /// adapter listener: the public one may use seven eighths.
    pub requests_in_flight: usize,
    /// Bytes of request bodies held in memory at one time, in all; beyond: 503. Answers do not count here: each that is
    /// read whole has `answer_bytes`. An eighth is kept free for the adapter listener: the public one may use seven
    /// eighths.
    pub buffered_bytes: usize,
    /// Idle connections kept to the deployment.
    pub upstream_idle_connections: usize,
}

/// `timeouts.*`.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// From the first byte of a request to the end of its head; beyond: 408. Also how long a new connection may say nothing.
    pub header: Duration,
    /// From the end of the head to the end of the body; beyond: 408.
    pub body: Duration,
    /// A connection between requests; beyond: closed.
    pub idle: Duration,
    /// Until the deployment's connection stands; beyond: 504.
    pub connect: Duration,
    /// From a call's departure to the head of the deployment's answer; beyond: 504.
    pub upstream: Duration,
    /// The same for a session read that the proxy makes; beyond: 504.
    pub session_read: Duration,
    /// Between two pieces of a streamed body, either way; beyond: cut.
    pub stall: Duration,
    /// A connection to the deployment between calls; beyond: closed.
    pub upstream_idle: Duration,
    /// After SIGTERM, for what is in flight; beyond: cut.
    pub shutdown: Duration,
}

/// `log.*`.
#[derive(Debug, Clone)]
pub struct Log {
    /// A level (`info`) or a filter in tracing's syntax (`info,hyper=warn`).
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Plain text.
    Text,
}
