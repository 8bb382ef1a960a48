//! The token room: from a session that is alive to a JWT that Convex accepts, and the two documents by which it is verified.
//!
//! Pure but for randomness: no I/O, no async, no clock; every moment is an argument. Not for sessions (who is signed in is
//! decided before a [`Minter`] is asked) and not for verification, which is Convex's: [`Minter::read_bearer`] only tells
//! whose token it is. The one invariant: a token made here never outlives the session that it was made for, and says
//! which one that is to nobody but a holder of the adapter secret.

mod bearer;
mod claims;
mod documents;
mod minter;
mod seal;

pub use self::{
    bearer::Bearer,
    claims::{MAX_CLAIM_BYTES, MAX_TOKEN_BYTES},
    documents::{Document, Documents, is_current},
    minter::{Freshness, MintError, Minted, Minter, MinterSettings, Outcome},
    seal::{Seal, SealBroken, SpeaksFor},
};

#[cfg(test)]
mod oracles;
