//! The minter: one signature serves a session until the last fifth of its life.

use std::{fmt, sync::Arc, time::Duration};

use moka::sync::Cache;
use parking_lot::{Mutex, MutexGuard};
use thiserror::Error;

use super::{
    bearer::{self, Bearer},
    claims::{Claims, MAX_TOKEN_BYTES, Subject, Template, append_signature},
    seal::{Seal, SealBroken},
};
use crate::{
    clock::UnixMillis,
    config::{Config, ProfileClaim},
    keys::{SignatureFailed, SigningKey},
    secret::Secret,
    session::{Hashed, LiveSession, Profile, SessionKey},
};

/// How far the calendar may be set back before tokens from "later" are no longer given: Convex's customJwt takes an `iat`
/// up to 5 s ahead of its own clock. Requests that were stamped just before a token was made are within it.
const CLOCK_SLACK_MILLIS: i64 = 2_000;

/// What a [`Minter`] is made from.
#[derive(Debug, Clone)]
pub struct MinterSettings<'a> {
    /// Signs every token.
    pub key: SigningKey,
    /// `kid` of every header; `None` leaves the member out.
    pub kid: Option<String>,
    /// `iss` of every token.
    pub issuer: String,
    /// `aud` of every token.
    pub audience: String,
    /// How long a token lives when its session lives longer; whole seconds count.
    pub lifetime: Duration,
    /// Profile members that become claims.
    pub claims: Vec<ProfileClaim>,
    /// The seal of `jti` is derived from it.
    pub adapter_secret: &'a Secret,
    /// Sessions at most whose token is kept; a few hundred bytes to [`MAX_TOKEN_BYTES`] each.
    pub capacity: u64,
}

impl<'a> From<&'a Config> for MinterSettings<'a> {
    fn from(config: &'a Config) -> Self {
        let token = &config.token;
        Self {
            key: token.key.clone(),
            kid: token.kid.clone(),
            issuer: token.issuer.clone(),
            audience: token.audience.clone(),
            lifetime: token.lifetime,
            claims: token.claims.clone(),
            adapter_secret: &config.adapter.secret,
            capacity: config.cache.capacity,
        }
    }
}

/// Mints tokens under one key, issuer and audience, and keeps the last one of each session. `Debug` shows nothing.
pub struct Minter {
    key: SigningKey,
    signature_bytes: usize,
    lifetime_seconds: i64,
    template: Template,
    seal: Seal,
    /// By session alone. Of what else a token depends on (L6), deployment and full session token are in the key, and
    /// issuer, audience, algorithm and `kid` are this minter's, which has one of each and a cache of its own. User and
    /// profile are compared on every use.
    kept: Cache<SessionKey, Arc<Latest>, Hashed>,
    turns: Turns,
}

/// Who signs for a session. A fixed number of locks, chosen by the session's key: two sessions that share one cost each other a
/// signature's time, which is rare, since no more ask at once than there are threads.
struct Turns([Mutex<()>; 256]);

impl Turns {
    fn take(&self, session: &SessionKey) -> Option<MutexGuard<'_, ()>> {
        let place = usize::try_from(session.word() % self.0.len() as u64).unwrap_or_default();
        self.0.get(place).map(Mutex::lock)
    }
}

/// The latest token of a session. It is replaced in its place: for moka a new value is dearer than to find the old one.
struct Latest(Mutex<Arc<Minted>>);

impl Latest {
    fn new(minted: Arc<Minted>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(minted)))
    }
}

/// A token and the span of its life. `Debug` shows the span only.
pub struct Minted {
    token: Secret,
    issued_at: i64,
    expires_at: i64,
    subject: Subject,
}

/// Whether a token that was given before will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Yes, until the last fifth of its life.
    Reuse,
    /// No: a string that was never given before, which serves the session from then on.
    Forced,
}

/// What it took to give a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A look into memory.
    Reused,
    /// A signature.
    Signed,
}

/// Why there is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MintError {
    /// The session ends within the second, or has ended; or `lifetime` is below one second.
    #[error("the session is over")]
    SessionOver,
    /// It would be longer than [`MAX_TOKEN_BYTES`]: an id or a session token of many kilobytes.
    #[error("the token would be too long to be sent")]
    TooLong,
    /// The system gave no randomness or no memory.
    #[error("the token could not be sealed or signed")]
    Cryptography,
}

impl From<SignatureFailed> for MintError {
    fn from(_: SignatureFailed) -> Self {
        Self::Cryptography
    }
}

impl From<SealBroken> for MintError {
    fn from(_: SealBroken) -> Self {
        Self::Cryptography
    }
}

impl Minter {
    /// A minter with nothing kept yet.
    pub fn new(settings: MinterSettings<'_>) -> Self {
        let MinterSettings { key, kid, issuer, audience, lifetime, claims, adapter_secret, capacity } = settings;
        Self {
            template: Template::new(key.algorithm(), kid.as_deref(), &issuer, &audience, &claims),
            seal: Seal::new(adapter_secret, &issuer),
            signature_bytes: key.signature_bytes(),
            key,
            lifetime_seconds: i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX),
            // Of one that nobody asked for within a lifetime nothing is left.
            kept: Cache::builder().max_capacity(capacity).time_to_idle(lifetime).build_with_hasher(Hashed::default()),
            turns: Turns([const { Mutex::new(()) }; 256]),
        }
    }

    /// The token of a session that is alive at `now`.
    ///
    /// A kept one is given when `freshness` allows it, it has more than a fifth of its life before it, user and
    /// configured profile are still the same, and the session does not end before it. Else one is signed, living
    /// `lifetime` or to the session's `expires`, rounded down to seconds, whichever is sooner. However many ask at
    /// once for one session, one of them signs and the others wait for it (a signature's time) and share it.
    ///
    /// # Errors
    ///
    /// - [`MintError::SessionOver`]: no whole second of the session is left. Nothing is given from memory either.
    /// - [`MintError::TooLong`]: never with ids and session tokens of less than a kilobyte.
    /// - [`MintError::Cryptography`]: another try may help.
    pub fn for_session(
        &self,
        session: &LiveSession,
        freshness: Freshness,
        now: UnixMillis,
    ) -> Result<(Arc<Minted>, Outcome), MintError> {
        if session.expires.seconds() <= now.seconds() {
            return Err(MintError::SessionOver);
        }
        let reusable = |kept: &Option<Arc<Latest>>| match (freshness, kept) {
            (Freshness::Reuse, Some(latest)) => {
                let minted = latest.0.lock();
                self.is_reusable(&minted, session, now).then(|| Arc::clone(&minted))
            }
            (Freshness::Reuse, None) | (Freshness::Forced, _) => None,
        };
        // A look without a turn first: this is what nearly every call ends with.
        if let Some(minted) = reusable(&self.kept.get(&session.key)) {
            return Ok((minted, Outcome::Reused));
        }
        let _turn = self.turns.take(&session.key);
        let kept = self.kept.get(&session.key);
        if let Some(minted) = reusable(&kept) {
            return Ok((minted, Outcome::Reused));
        }
        let minted = Arc::new(self.sign_session(session, now)?);
        match kept {
            Some(latest) => *latest.0.lock() = Arc::clone(&minted),
            None => self.kept.insert(session.key, Latest::new(Arc::clone(&minted))),
        }
        Ok((minted, Outcome::Signed))
    }

    /// A token for a user without a session, on the word of a trusted caller. Never kept, never looked up, not revoked:
    /// it lives `lifetime`.
    ///
    /// # Errors
    ///
    /// - [`MintError::SessionOver`]: `lifetime` is below one second.
    /// - [`MintError::TooLong`]: `user_id` has many kilobytes.
    /// - [`MintError::Cryptography`]: another try may help.
    pub fn for_user(&self, user_id: &str, now: UnixMillis) -> Result<Arc<Minted>, MintError> {
        let subject = self.template.subject(user_id, &Profile::default());
        self.sign(subject, &self.seal.seal_user()?, now, i64::MAX).map(Arc::new)
    }

    /// Drops the token that is kept for a session, if any. It stays valid to Convex until it expires.
    pub fn forget(&self, key: &SessionKey) {
        self.kept.invalidate(key);
    }

    /// Tells whose a caller's Bearer token is, without verifying it: that is Convex's, and it does. `token` is what stands
    /// after `Bearer `, untrusted, of any length.
    pub fn read_bearer(&self, token: &str) -> Bearer {
        bearer::read(token, &self.seal)
    }

    fn is_reusable(&self, minted: &Minted, session: &LiveSession, now: UnixMillis) -> bool {
        minted.is_in_first_four_fifths(now)
            && minted.expires_at <= session.expires.seconds()
            && self.template.is_subject(&minted.subject, &session.user_id, &session.profile)
    }

    fn sign_session(&self, session: &LiveSession, now: UnixMillis) -> Result<Minted, MintError> {
        let subject = self.template.subject(&session.user_id, &session.profile);
        self.sign(subject, &self.seal.seal_session(&session.token)?, now, session.expires.seconds())
    }

    fn sign(&self, subject: Subject, jti: &str, now: UnixMillis, end: i64) -> Result<Minted, MintError> {
        let issued_at = now.seconds();
        let expires_at = issued_at.saturating_add(self.lifetime_seconds).min(end);
        if expires_at <= issued_at {
            return Err(MintError::SessionOver);
        }
        let claims = Claims { subject: &subject, issued_at, expires_at, jti };
        let mut token = self.template.unsigned(&claims, self.signature_bytes);
        let signature = self.key.sign(token.as_bytes())?;
        append_signature(&mut token, &signature);
        if token.len() > MAX_TOKEN_BYTES {
            return Err(MintError::TooLong);
        }
        Ok(Minted { token: Secret::new(token), issued_at, expires_at, subject })
    }
}

impl Minted {
    /// The compact JWS. It is authority: it goes to its session's client and to the deployment, and nowhere else.
    pub fn token(&self) -> &str {
        self.token.expose()
    }

    /// `iat`: seconds since 1970.
    pub fn issued_at(&self) -> i64 {
        self.issued_at
    }

    /// `exp`: seconds since 1970; the first second in which the token is worth nothing.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// `exp` in milliseconds since 1970, as `POST /auth/token` answers it.
    pub fn expires_at_millis(&self) -> i64 {
        self.expires_at.saturating_mul(1_000)
    }

    /// Whether both are about the same user, with the same claims.
    pub fn has_same_subject(&self, other: &Self) -> bool {
        self.subject == other.subject
    }

    fn is_in_first_four_fifths(&self, now: UnixMillis) -> bool {
        let age_millis = now.0.saturating_sub(self.issued_at.saturating_mul(1_000));
        let life_millis = (self.expires_at - self.issued_at).saturating_mul(1_000);
        age_millis >= -CLOCK_SLACK_MILLIS && age_millis < life_millis / 5 * 4
    }
}

impl fmt::Debug for Minter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Minter")
    }
}

impl fmt::Debug for Minted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Minted")
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
