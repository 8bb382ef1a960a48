//! A body of the Auth.js wire, after a byte that tells the function: read as serde_json reads it, and written with one secret.

#![no_main]

#[path = "../../src/adapter/laws.rs"]
mod laws;

use convex_auth_proxy::adapter::Function;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&chosen, body)) = input.split_first() else { return };
    let Some(function) = Function::ALL.get(usize::from(chosen) % Function::ALL.len()) else { return };
    laws::a_body_is_what_serde_json_takes(*function, body);
});
