//! Who may ask for what: pure decisions over a request head and over the calls in a body.
//!
//! Not for: what is asked (`classify`), or carrying it out (`act`). The invariant: a [`Caller`], a [`Permitted`] call and a
//! [`SecretHeld`] have one maker each, here, so that code which holds one need not ask whether it was checked.

mod caller;
mod cors;
mod credential;
mod function;
mod throttle;

pub(crate) use self::caller::is_json;
pub use self::{
    caller::{Caller, CallerPolicy, CookieStanding},
    cors::Cors,
    credential::Credential,
    function::{AdapterCall, FunctionRefusal, Permitted, SecretHeld},
    throttle::WrongSecrets,
};
