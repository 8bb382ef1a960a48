//! A session that was read and is alive: what tokens are minted from.

use std::{
    fmt,
    hash::{BuildHasherDefault, Hash, Hasher},
};

use crate::{clock::UnixMillis, secret::Secret};

/// The token of a session, as the browser's cookie and the deployment's row have it. It is authority: whoever holds it is
/// the user. `Debug` never shows it.
#[derive(Debug, Clone)]
pub struct SessionToken(Secret);

impl SessionToken {
    /// Wraps the text of a cookie or of an argument.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Secret::new(text))
    }

    /// The text itself, for the call to the deployment and for the seal in a token's `jti`.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// A keyed hash that stands for one session of one deployment. Nobody can go back from it to the session's token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionKey(pub(super) [u8; 32]);

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

/// A session that the deployment knows and that has not expired at the moment it was read.
#[derive(Debug, Clone)]
pub struct LiveSession {
    /// Stands for the session in caches.
    pub key: SessionKey,
    /// The session's token.
    pub token: SessionToken,
    /// `_id` of the user row.
    pub user_id: String,
    /// `expires` of the session row.
    pub expires: UnixMillis,
    /// What the user row says of the person.
    pub profile: Profile,
}

/// Members of the user row that may become claims. Personal data: `Debug` does not show it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Profile {
    /// `email`.
    pub email: Option<String>,
    /// `name`.
    pub name: Option<String>,
    /// `image`.
    pub image: Option<String>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[profile]")
    }
}
