//! The proxy as its callers see it: real sockets on port 0, a real deployment in the same process, or one that does as the test says.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall stop"
)]

mod common;

// A whole small life: sign in, read, write, sign out.
mod journey;
// Who may call what, on every lane.
mod policy;
// The adapter's secret: added, demanded, never doubled.
mod secret;
// Dates and nulls, on Convex's wire.
mod codec;
// The methods of Auth.js's adapter, on its own wire.
mod auth_js;
// Cookies, tokens, key documents.
mod token;
// Sessions from memory, and when not.
mod session;
// The sync socket: what passes, who is who, what is refused, and when it ends.
mod sync;
// Connections: how they are read, bounded, kept and ended.
mod server;
// A deployment that is down, late or talks nonsense, and clients that leave.
mod failure;
// Nothing secret is ever told.
mod canary;
