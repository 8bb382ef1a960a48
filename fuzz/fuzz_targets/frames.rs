//! Bytes as frames, cut anywhere: the first byte says how many cuts there are, and they follow.

#![no_main]

#[path = "../../src/sync/laws.rs"]
#[allow(dead_code, reason = "each target tries one law")]
mod laws;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&count, rest)) = input.split_first() else { return };
    let (cuts, bytes) = rest.split_at(usize::from(count % 32).min(rest.len()));
    laws::frames_are_the_same_in_any_pieces(bytes, cuts);
});
