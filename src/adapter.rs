//! The adapter room: what the guide's adapter functions take and answer, and how it is carried between Auth.js and Convex.
//!
//! ```text
//!  contract    the functions as one table
//!  arguments   what a caller sent, as spans ─► codec   written again for Convex: secret, dates, nulls
//!  wire        POST /adapter/{function}: Auth.js in, Auth.js out
//!  date        ISO 8601 ◄─► epoch milliseconds
//! ```
//!
//! Pure functions over bytes: nothing here calls anything, waits, or knows who is asking. Its one invariant: what the
//! contract does not name is copied byte for byte.

pub mod arguments;
mod codec;
pub mod contract;
pub mod date;
#[cfg(test)]
mod laws;
pub mod wire;

pub use self::{
    arguments::{ArgumentProblem, Arguments, SecretCheck},
    contract::{Function, Kind, Touches},
    wire::{Step, WireProblem},
};
