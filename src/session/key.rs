//! From a session's token to the key that stands for it in caches.

use std::{
    fmt,
    hash::{BuildHasherDefault, Hash, Hasher},
};

use aws_lc_rs::digest::{SHA256, digest};
use zeroize::{Zeroize, Zeroizing};

use super::SessionToken;
use crate::secret::Secret;

/// A keyed hash that stands for one session of one deployment. Nobody can go back from it to the session's token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// A part of it, for tables: it is spread evenly already, and nobody outside can choose it.
    pub(crate) fn word(&self) -> u64 {
        self.0.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
    }
}

impl Hash for SessionKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.word());
    }
}

/// For tables by [`SessionKey`]: the key is a keyed hash already, and its word is taken as it is.
pub(crate) type Hashed = BuildHasherDefault<Word>;

/// Hashes one word to itself.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Word(u64);

impl Hasher for Word {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 ^= word;
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SessionKey")
    }
}

/// The one maker of [`SessionKey`]s: a keyed hash over session tokens of one deployment.
///
/// Two replicas with the same adapter secret in front of the same deployment make the same keys. `Debug` shows nothing.
pub struct SessionKeys(Zeroizing<[u8; KEY_BYTES]>);

/// 128 bits; with a token of the usual 36 bytes it is hashed as one block.
const KEY_BYTES: usize = 16;

/// Tokens up to this length are hashed without an allocation.
const USUAL_BYTES: usize = 80;

impl SessionKeys {
    /// Keys for the sessions of `deployment`, its URL as the configuration has it.
    ///
    /// Our choice: SHA-256 over a secret prefix, derived from secret and deployment, and the token, so that a dump of a cache names no
    /// session and a key of one deployment finds nothing in another's cache. HMAC would hash twice as much, against somebody who sees
    /// hashes and makes up that of a longer token: nobody sees them, and no such token is a session's.
    pub fn new(adapter_secret: &Secret, deployment: &str) -> Self {
        let derived = adapter_secret.derive_key("convex-auth-proxy session key 2", deployment);
        Self(Zeroizing::new(derived.first_chunk().copied().unwrap_or_default()))
    }

    /// The key that stands for `token`. Any text is a token here, the empty one included.
    pub fn key_of(&self, token: &SessionToken) -> SessionKey {
        let token = token.expose().as_bytes();
        let mut usual = [0; KEY_BYTES + USUAL_BYTES];
        // Both are secret: what is written together here is wiped again.
        let hash = match usual.get_mut(..KEY_BYTES + token.len()) {
            Some(text) => {
                let (key, rest) = text.split_at_mut(KEY_BYTES);
                key.copy_from_slice(self.0.as_slice());
                rest.copy_from_slice(token);
                digest(&SHA256, text)
            }
            None => digest(&SHA256, &Zeroizing::new([self.0.as_slice(), token].concat())),
        };
        usual.as_mut_slice().zeroize();
        // SHA-256 has exactly the 32 bytes of a key.
        SessionKey(hash.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SessionKeys")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{SessionKey, SessionKeys, SessionToken};
    use crate::secret::Secret;

    fn key(secret: &str, deployment: &str, token: &str) -> SessionKey {
        SessionKeys::new(&Secret::new(secret), deployment).key_of(&SessionToken::new(token))
    }

    proptest! {
        /// L6: any one part that changes gives another key; the same parts always give the same.
        #[test]
        fn l6_a_key_misses_when_any_one_part_changes(secret in ".{1,40}", deployment in ".{1,40}", token in ".{1,40}", more in ".{1,4}") {
            let of_all = key(&secret, &deployment, &token);
            prop_assert_eq!(of_all, key(&secret, &deployment, &token));
            prop_assert_ne!(of_all, key(&format!("{secret}{more}"), &deployment, &token));
            prop_assert_ne!(of_all, key(&secret, &format!("{deployment}{more}"), &token));
            prop_assert_ne!(of_all, key(&secret, &deployment, &format!("{token}{more}")));
        }
    }

    #[test]
    fn a_key_uses_all_its_bytes() {
        let (one, other) = (key("secret", "deployment", "one"), key("secret", "deployment", "other"));
        assert!(one.0.iter().zip(other.0).filter(|(a, b)| *a != b).count() > 16);
        assert_ne!(one.0.last(), Some(&0));
    }

    #[test]
    fn debug_output_shows_no_key() {
        assert_eq!(format!("{:?}", SessionKeys::new(&Secret::new("canary"), "canary")), "SessionKeys");
    }
}
