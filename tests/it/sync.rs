//! The sync socket, over real sockets and in front of the embedded deployment, which enforces what Convex's does.
//!
//! Tests that show a rule of the protocol notes' section 9 begin with its number.

// What passes, and how.
mod passing;
// Who the deployment takes the client for.
mod identity;
// What is refused, and that the client lives on.
mod policy;
// Sessions that end under an open socket.
mod revocation;
