//! A whole conversation, a message a line; those of the deployment begin with `<`.

#![no_main]

#[path = "../../src/sync/laws.rs"]
#[allow(dead_code, reason = "each target tries one law")]
mod laws;

libfuzzer_sys::fuzz_target!(|script: &str| {
    laws::nothing_is_called_without_the_secret(script, false);
    laws::nothing_is_called_without_the_secret(script, true);
});
