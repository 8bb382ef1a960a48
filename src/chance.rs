//! Numbers that nobody can foresee, without a call of the system: for masks, and to spread what many would do at one moment.
//!
//! Not for keys, tokens or ids that are secrets: those take the system's randomness.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// 64 bits: a keyed hash of a count, as good as random to whoever does not have the key.
pub fn bits() -> u64 {
    static KEYED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    KEYED.hash_one(COUNT.fetch_add(1, Relaxed))
}

/// A number from 0 up to 1.
pub fn fraction() -> f64 {
    // 53 bits are what a float holds.
    #[expect(clippy::cast_precision_loss, reason = "both are below 2^53")]
    let fraction = (bits() >> 11) as f64 / (1_u64 << 53) as f64;
    fraction
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_differ_and_fractions_are_below_one() {
        assert_ne!(super::bits(), super::bits());
        assert!((0..1_000).all(|_| (0.0..1.0).contains(&super::fraction())));
    }
}
