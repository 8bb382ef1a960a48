//! From a session's token to the key that stands for it in caches.

use std::fmt;

use aws_lc_rs::hmac;

use super::{SessionKey, SessionToken};
use crate::secret::Secret;

/// The one maker of [`SessionKey`]s: a keyed hash over session tokens of one deployment.
///
/// Two replicas with the same adapter secret in front of the same deployment make the same keys. `Debug` shows nothing.
pub struct SessionKeys(hmac::Key);

impl SessionKeys {
    /// Keys for the sessions of `deployment`, its URL as the configuration has it.
    ///
    /// Our choice: HMAC-SHA256 under a key derived from secret and deployment, so that a dump of a cache names no session
    /// and a key of one deployment finds nothing in another's cache.
    pub fn new(adapter_secret: &Secret, deployment: &str) -> Self {
        let key = adapter_secret.derive_key("convex-auth-proxy session key 1", deployment);
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()))
    }

    /// The key that stands for `token`. Any text is a token here, the empty one included.
    pub fn key_of(&self, token: &SessionToken) -> SessionKey {
        let tag = hmac::sign(&self.0, token.expose().as_bytes());
        let mut key = [0; 32];
        // The tag of HMAC-SHA256 has exactly the 32 bytes of a key.
        for (to, from) in key.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        SessionKey(key)
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
