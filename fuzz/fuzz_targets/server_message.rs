//! Bytes of a deployment: outlined, and changed in their places alone.

#![no_main]

#[path = "../../src/sync/laws.rs"]
#[allow(dead_code, reason = "each target tries one law")]
mod laws;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| laws::an_outline_lies_within_its_bytes(bytes));
