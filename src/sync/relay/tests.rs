//! Relays in memory: a client and a deployment that say what a test has them say, over two streams that hold as much as a test wants.
//!
//! Time stands still unless everybody waits, so that patience costs nothing and nothing depends on the machine.

#![expect(clippy::wildcard_enum_match_arm, reason = "whatever else comes is what a test fails on")]

mod adapter;
mod calls;
mod endings;
mod flow;
mod frames;
mod identity;
mod limits;
mod patience;
mod peer;
mod retreat;
mod revocation;
mod rig;
mod transitions;
