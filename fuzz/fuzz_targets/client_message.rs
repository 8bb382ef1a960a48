//! A text of a client: taken as the backend takes it, or not at all.

#![no_main]

#[path = "../../src/sync/laws.rs"]
#[allow(dead_code, reason = "each target tries one law")]
mod laws;

libfuzzer_sys::fuzz_target!(|text: &str| {
    laws::a_client_message_means_what_the_backend_reads(text);
    laws::nothing_is_called_without_the_secret(text, false);
});
