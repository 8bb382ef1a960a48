//! Laws of the adapter's wires. Property tests hold the code to them in every run, and a target in `fuzz/` for as long as somebody lets it.
//!
//! Each takes what an adversary may choose, and panics when it is broken. Written against the public interface, since the fuzz target
//! includes this file as it is.

use convex_auth_proxy::{
    adapter::{
        ArgumentProblem, Arguments, Function,
        wire::{self, Request},
    },
    config::Nulls,
    secret::Secret,
};
use serde_json::{Value, value::RawValue};

/// The law: a body is read as one JSON object if it is that to serde_json, by which the deployment reads the copy, and not otherwise. What is
/// written of it is JSON, with one secret, ours.
pub(crate) fn a_body_is_what_serde_json_takes(function: Function, body: &[u8]) {
    let theirs = serde_json::from_slice::<&RawValue>(body).ok().filter(|value| value.get().starts_with('{'));
    let ours = wire::read(function, body);
    assert_eq!(!matches!(ours, Err(ArgumentProblem::NotAJsonObject)), theirs.is_some());
    if let Ok(request) = ours {
        begins_with_our_secret(request);
    }
    if let Some(args) = theirs
        && let Ok(arguments) = Arguments::read(Some(function), args)
    {
        let mut out = Vec::new();
        match arguments.encode(Nulls::Drop, &secret(), &mut out) {
            Ok(()) => has_our_secret(&out),
            Err(_) => assert!(out.is_empty()),
        }
    }
}

fn begins_with_our_secret(request: Request<'_>) {
    if let Ok(run) = wire::begin(request, Nulls::Drop, &secret()) {
        has_our_secret(run.arguments());
    }
}

fn has_our_secret(written: &[u8]) {
    let written: &RawValue = serde_json::from_slice(written).expect("JSON is written");
    let read = Arguments::read(None, written).expect("the arguments can be read again");
    assert!(read.text(&["secret"]).as_deref() == Some(SECRET), "exactly one");
    // As a tree it can be had when it is not too deep, and has neither numbers beyond all floats nor halves of letters.
    if let Ok(tree) = serde_json::from_str::<Value>(written.get()) {
        assert_eq!(tree["secret"], SECRET);
    }
}

fn secret() -> Secret {
    Secret::new(SECRET)
}

const SECRET: &str = "our \"own\"";

// The path is told since the fuzz target includes this file from elsewhere.
#[cfg(test)]
#[path = "laws/tests.rs"]
mod tests;
