//! What a request asks for: pure and total functions from a head, and from a body, to closed types.
//!
//! Not for: who may ask (`permit`). The invariant: nothing that is not in [`Route`] is served, and no function is named except
//! as a [`FunctionPath`], which the backend's own grammar has parsed.

mod envelope;
mod path;
mod route;

pub use self::{
    envelope::{Call, Envelope},
    path::FunctionPath,
    route::{Lane, Listener, Route, classify, mounted},
};
