//! The sealed `jti`: what a token speaks for, readable by every replica with the same adapter secret and by nobody else.
//!
//! Its form is `cap1.` and base64url of nonce, ciphertext and tag. The sealed text is one byte for the kind and, for a
//! session, the session's token. AES-256-GCM-SIV: a nonce that comes twice, which is likely after 2^48 random ones, then
//! shows no more than that two equal texts are equal.

use std::{cell::RefCell, fmt};

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{secret::Secret, session::SessionToken};

/// Begins every `jti` made here; the digit is the version of what follows.
const PREFIX: &str = "cap1.";
const KIND_SESSION: u8 = b's';
const KIND_USER: u8 = b'u';

/// Seals and opens `jti`s of one issuer under one adapter secret. `Debug` shows nothing.
pub struct Seal {
    key: LessSafeKey,
    issuer: String,
}

/// What a token speaks for.
#[derive(Debug, Clone)]
pub enum SpeaksFor {
    /// A session: the token is worth as much as the session is.
    Session(SessionToken),
    /// A user without a session, on the word of a trusted caller.
    User,
}

/// A `jti` with our prefix that this secret and issuer did not seal, or that was changed; or there was no randomness to seal one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the seal does not open")]
pub struct SealBroken;

impl Seal {
    /// A seal of `issuer`'s tokens. Convex compares issuers without a trailing slash and reads a missing scheme as
    /// `https`; so does the seal, so that replicas whose configurations differ in that alone open each other's.
    pub fn new(adapter_secret: &Secret, issuer: &str) -> Self {
        let key = adapter_secret.derive_key("convex-auth-proxy jti seal 1", "");
        #[expect(clippy::expect_used, reason = "a key of AES-256 has 32 bytes, and this one has")]
        let key = UnboundKey::new(&AES_256_GCM_SIV, key.as_slice()).expect("32 bytes");
        Self { key: LessSafeKey::new(key), issuer: comparable_issuer(issuer).to_owned() }
    }

    /// A `jti` that was never given before.
    ///
    /// # Errors
    ///
    /// - [`SealBroken`]: the system gave no randomness.
    pub fn seal(&self, speaks_for: &SpeaksFor) -> Result<String, SealBroken> {
        match speaks_for {
            SpeaksFor::Session(token) => self.seal_session(token),
            SpeaksFor::User => self.seal_user(),
        }
    }

    /// What `jti` speaks for.
    ///
    /// # Errors
    ///
    /// - [`SealBroken`]: another secret, another issuer, a changed byte, or no `jti` of ours at all.
    pub fn open(&self, jti: &str) -> Result<SpeaksFor, SealBroken> {
        let sealed = jti.strip_prefix(PREFIX).ok_or(SealBroken)?;
        let mut sealed = Zeroizing::new(URL_SAFE_NO_PAD.decode(sealed).map_err(|_| SealBroken)?);
        let (nonce, text) = sealed.split_at_mut_checked(NONCE_LEN).ok_or(SealBroken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealBroken)?;
        let aad = Aad::from(self.issuer.as_bytes());
        let text = self.key.open_in_place(nonce, aad, text).map_err(|_| SealBroken)?;
        match text.split_first() {
            Some((&KIND_SESSION, token)) => {
                let token = str::from_utf8(token).map_err(|_| SealBroken)?;
                Ok(SpeaksFor::Session(SessionToken::new(token)))
            }
            Some((&KIND_USER, [])) => Ok(SpeaksFor::User),
            Some(_) | None => Err(SealBroken),
        }
    }

    pub(super) fn seal_session(&self, token: &SessionToken) -> Result<String, SealBroken> {
        self.seal_text(KIND_SESSION, token.expose())
    }

    pub(super) fn seal_user(&self) -> Result<String, SealBroken> {
        self.seal_text(KIND_USER, "")
    }

    pub(super) fn is_issuer(&self, issuer: &str) -> bool {
        comparable_issuer(issuer) == self.issuer
    }

    fn seal_text(&self, kind: u8, token: &str) -> Result<String, SealBroken> {
        // With room for the tag: the text is encrypted where it lies and leaves no copy behind.
        let mut sealed = Vec::with_capacity(1 + token.len() + AES_256_GCM_SIV.tag_len());
        sealed.push(kind);
        sealed.extend_from_slice(token.as_bytes());
        let aad = Aad::from(self.issuer.as_bytes());
        let nonce = next_nonce()?;
        let used_once = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(used_once, aad, &mut sealed).map_err(|_| SealBroken)?;
        let mut jti = String::with_capacity(PREFIX.len() + (NONCE_LEN + sealed.len()) * 4 / 3 + 4);
        jti.push_str(PREFIX);
        // Twelve bytes are sixteen characters without a rest, so that the two encodings are the encoding of both.
        URL_SAFE_NO_PAD.encode_string(nonce, &mut jti);
        URL_SAFE_NO_PAD.encode_string(&sealed, &mut jti);
        Ok(jti)
    }
}

/// Random bytes for a nonce, each given to one seal alone.
///
/// Each thread asks the system's generator for many nonces at once: asked for one at a time it takes a third as long as sealing does.
fn next_nonce() -> Result<[u8; NONCE_LEN], SealBroken> {
    const AT_ONCE: usize = 64;
    thread_local! {
        static NONCES: RefCell<Vec<[u8; NONCE_LEN]>> = const { RefCell::new(Vec::new()) };
    }
    NONCES.with_borrow_mut(|nonces| {
        if nonces.is_empty() {
            let mut fresh = [[0; NONCE_LEN]; AT_ONCE];
            rand::fill(fresh.as_flattened_mut()).map_err(|_| SealBroken)?;
            nonces.extend(fresh);
        }
        nonces.pop().ok_or(SealBroken)
    })
}

impl fmt::Debug for Seal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seal")
    }
}

/// Whether `jti` claims to have been made here. Says nothing of whether it was.
pub(super) fn is_ours(jti: &str) -> bool {
    jti.starts_with(PREFIX)
}

/// An issuer as Convex compares it (`crates/authentication/src/lib.rs`).
fn comparable_issuer(issuer: &str) -> &str {
    issuer.strip_prefix("https://").unwrap_or(issuer).trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{PREFIX, Seal, SealBroken, SpeaksFor};
    use crate::{secret::Secret, session::SessionToken};

    const ISSUER: &str = "https://happy-otter-123.convex.site";

    fn seal() -> Seal {
        Seal::new(&Secret::new("adapter secret"), ISSUER)
    }

    fn opened(seal: &Seal, jti: &str) -> Result<Option<String>, SealBroken> {
        seal.open(jti).map(|speaks_for| match speaks_for {
            SpeaksFor::Session(token) => Some(token.expose().to_owned()),
            SpeaksFor::User => None,
        })
    }

    proptest! {
        /// The law: what was sealed opens to itself, in any replica with the same secret, and two seals differ.
        #[test]
        fn what_was_sealed_opens_to_itself(token in ".{0,200}") {
            let session = SpeaksFor::Session(SessionToken::new(token.clone()));
            let (one, other) = (seal().seal(&session).unwrap(), seal().seal(&session).unwrap());
            prop_assert_ne!(&one, &other);
            prop_assert!(!one.contains(&token) || token.len() < 4);
            prop_assert_eq!(opened(&seal(), &one), Ok(Some(token.clone())));
            prop_assert_eq!(opened(&seal(), &other), Ok(Some(token)));
        }

        /// No input makes it panic, and none that was not sealed opens.
        #[test]
        fn what_was_not_sealed_does_not_open(text in ".{0,200}", base64url in "[A-Za-z0-9_-]{0,200}") {
            prop_assert_eq!(opened(&seal(), &text), Err(SealBroken));
            prop_assert_eq!(opened(&seal(), &format!("{PREFIX}{base64url}")), Err(SealBroken));
        }
    }

    #[test]
    fn a_user_opens_to_a_user_and_two_of_them_differ() {
        let (one, other) = (seal().seal(&SpeaksFor::User).unwrap(), seal().seal(&SpeaksFor::User).unwrap());
        assert_ne!(one, other);
        assert_eq!(opened(&seal(), &one), Ok(None));
    }

    #[test]
    fn any_changed_character_breaks_it() {
        let jti = seal().seal(&SpeaksFor::Session(SessionToken::new("a8f3b9c2-session"))).unwrap();
        for index in 0..jti.len() {
            for other in [b'A', b'B', b'/', b' '] {
                let mut bytes = jti.clone().into_bytes();
                if bytes[index] == other {
                    continue;
                }
                bytes[index] = other;
                assert_eq!(opened(&seal(), &String::from_utf8(bytes).unwrap()), Err(SealBroken), "character {index}");
            }
            assert_eq!(opened(&seal(), &jti[..index]), Err(SealBroken), "cut at {index}");
        }
        assert_eq!(opened(&seal(), &format!("{jti}A")), Err(SealBroken));
        assert_eq!(opened(&seal(), &format!("{jti}=")), Err(SealBroken));
    }

    #[test]
    fn another_secret_or_issuer_does_not_open_it() {
        let jti = seal().seal(&SpeaksFor::User).unwrap();
        assert_eq!(opened(&Seal::new(&Secret::new("other secret"), ISSUER), &jti), Err(SealBroken));
        let other = Seal::new(&Secret::new("adapter secret"), "https://other.convex.site");
        assert_eq!(opened(&other, &jti), Err(SealBroken));
    }

    #[test]
    fn issuers_that_are_one_to_convex_are_one_here() {
        let jti = seal().seal(&SpeaksFor::User).unwrap();
        for spelling in ["https://happy-otter-123.convex.site/", "happy-otter-123.convex.site"] {
            assert_eq!(opened(&Seal::new(&Secret::new("adapter secret"), spelling), &jti), Ok(None), "{spelling}");
        }
        let plain = Seal::new(&Secret::new("adapter secret"), "http://happy-otter-123.convex.site");
        assert_eq!(opened(&plain, &jti), Err(SealBroken));
    }
}
