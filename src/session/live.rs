//! A session that was read and is alive: what tokens are minted from.

use std::fmt;

use super::SessionKey;
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
    /// What the user row says of the person; empty where tokens have no claim of it.
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
