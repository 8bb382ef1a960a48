//! One binary in front of a Convex deployment, for apps that sign in with Auth.js.
//!
//! ```text
//!  browser ────────► public listener ──┐                                ┌── Convex HTTP API
//!                                      ├─► classify ► permit ► act ─────┼── Convex sync socket
//!  Next.js server ─► adapter listener ─┘        │                       └── (dev) embedded deployment
//!  operators ──────► admin listener             └─ answered here: cached session, token, JWKS, refusal
//! ```
//!
//! The modules stand in the order in which a request meets them; `docs/design.md` says what each may know of the others.

// Laws that fuzzing holds the library to from outside are tried from within, too.
#[cfg(test)]
extern crate self as convex_auth_proxy;

// From the command line to a configuration that cannot be wrong.
pub mod cli;
pub mod config;

// A connection, and the order in which its requests are looked at.
pub mod server;

pub mod pipeline;

// What is asked for, and who may ask: pure.
pub mod classify;

pub mod permit;

pub mod adapter;

// Who is signed in, and what shows it to the deployment.
pub mod session;

pub mod token;

// The deployment, and what is done with it.
pub mod sync;

pub mod upstream;

pub mod act;

// Beside a request's way.
pub mod admin;

pub mod dev;

pub mod launch;

pub mod bench;

// Known to all.
pub mod body;
pub mod chance;
pub mod clock;
pub mod error;
pub mod json;
pub mod keys;
pub mod secret;
pub mod telemetry;
