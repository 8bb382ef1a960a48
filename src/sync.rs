//! The sync socket: one client and the deployment, message by message, authenticated, policed, and cut when the session ends.
//!
//! ```text
//!  client ── frames ─► inbox ─► client_message ─► conversation ─► frames ─► deployment
//!  client ◄─ frames ─┬───────── server_message ◄─ conversation ◄─ passage ◄─ frames ── deployment
//!                    └ refused
//! ```
//!
//! Not for: HTTP (the handshake's heads apart), or who may call what (`permit`, which is asked for each call). Frames are read and written
//! here, over whatever stream there is, because a relay must hold no buffer while it is idle and must put nothing together that it passes
//! on. The invariant: what is said for a client goes to its own upstream socket and to no other.

pub mod authority;
pub mod client_message;
pub mod close;
pub mod conversation;
mod cursor;
pub mod frame;
pub mod handshake;
pub mod identity;
pub mod inbox;
pub mod input;
#[cfg(test)]
mod laws;
pub mod passage;
pub mod refused;
pub mod relay;
mod replay;
mod scan;
pub mod server_message;
pub mod standing;

pub use self::{
    authority::{Authority, Judge, TokenStanding, Told},
    close::{Close, CloseCause},
    handshake::{Opening, Question},
    relay::{End, Opened, Parts, Relay, Reopen, Report, Tally, Waits},
};
