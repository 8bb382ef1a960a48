//! Tokens from the minter, each signed anew: what the proxy adds to a signature.

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use jsonwebtoken::{DecodingKey, Validation, jwk::Jwk};

use super::{BenchProblem, Case, Row, pace::pace};
use crate::{
    clock::UnixMillis,
    keys::SigningKey,
    secret::Secret,
    session::{LiveSession, Profile, SessionKeys, SessionToken},
    token::{Freshness, Minter, MinterSettings},
};

const USER_ID: &str = "j57dkq2vn9bq0ds1j2kd7yhnhn6sx3fe";
const ISSUER: &str = "https://happy-otter-123.convex.site";
const SECRET: &str = "c2a5e4c1b1d94c5f8f2f6c0f3b0f9d7e";

pub(super) fn measure(case: Case) -> Result<Row, BenchProblem> {
    let key = SigningKey::generate(case.algorithm())?;
    let minter = minter(&key);
    let now = UnixMillis::now();
    check_token(&mint(&minter, &session(now, "proved"), now)?, &key, USER_ID)?;
    let (number, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let pace = pace(case.at_once, case.each, 1, || {
        // A session of its own for each thread: one session's tokens are made one after the other.
        let session = session(now, &format!("session-{}", number.fetch_add(1, Relaxed)));
        let minter = &minter;
        let failed = &failed;
        Ok(move || {
            if black_box(minter.for_session(black_box(&session), Freshness::Forced, now)).is_err() {
                failed.store(true, Relaxed);
            }
        })
    })?;
    if failed.into_inner() { Err(BenchProblem::Wrong("a token")) } else { Ok(Row::new(case, pace)) }
}

/// What a signature is made of: header and claims of a token of usual length.
pub(super) fn unsigned_token(key: &SigningKey) -> Result<String, BenchProblem> {
    let now = UnixMillis::now();
    let token = mint(&minter(key), &session(now, "signed"), now)?;
    token.rsplit_once('.').map(|(signed, _)| signed.to_owned()).ok_or(BenchProblem::Wrong("a token"))
}

fn mint(minter: &Minter, session: &LiveSession, now: UnixMillis) -> Result<String, BenchProblem> {
    let minted = minter.for_session(session, Freshness::Forced, now);
    minted.map(|(minted, _)| minted.token().to_owned()).map_err(|_| BenchProblem::Wrong("a token"))
}

/// A minter as the proxy makes it, for an issuer of usual length.
pub fn minter(key: &SigningKey) -> Minter {
    Minter::new(MinterSettings {
        key: key.clone(),
        kid: Some(key.thumbprint()),
        issuer: ISSUER.to_owned(),
        audience: "convex".to_owned(),
        lifetime: Duration::from_secs(3_600),
        claims: Vec::new(),
        adapter_secret: &Secret::new(SECRET),
        capacity: 100_000,
    })
}

/// A session of a month from that moment on.
pub fn session(now: UnixMillis, token: &str) -> LiveSession {
    let token = SessionToken::new(token);
    LiveSession {
        key: SessionKeys::new(&Secret::new(SECRET), "https://happy-otter-123.convex.cloud").key_of(&token),
        token,
        user_id: USER_ID.to_owned(),
        expires: UnixMillis(now.0 + 30 * 24 * 3_600_000),
        profile: Profile::default(),
    }
}

/// Verifies a token as anybody would who has the public key: a token that nobody accepts may cost anything.
///
/// # Errors
///
/// [`BenchProblem::Wrong`]: another signature, user or audience.
pub fn check_token(token: &str, key: &SigningKey, user_id: &str) -> Result<(), BenchProblem> {
    let wrong = || BenchProblem::Wrong("a token");
    let jwk = serde_json::to_value(key.public_jwk(None)).map_err(|_| wrong())?;
    let jwk: Jwk = serde_json::from_value(jwk).map_err(|_| wrong())?;
    let mut validation = Validation::new(key.algorithm().into());
    validation.set_audience(&["convex"]);
    let key = DecodingKey::from_jwk(&jwk).map_err(|_| wrong())?;
    let decoded = jsonwebtoken::decode::<serde_json::Value>(token, &key, &validation).map_err(|_| wrong())?;
    let subject = decoded.claims.get("sub").and_then(serde_json::Value::as_str);
    if subject == Some(user_id) { Ok(()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::{USER_ID, check_token, mint, minter, session};
    use crate::{
        clock::UnixMillis,
        keys::{Algorithm, SigningKey},
    };

    #[test]
    fn a_token_of_another_key_or_user_is_not_timed() {
        let (key, other) = (
            SigningKey::generate(Algorithm::EdDsa).expect("a key"),
            SigningKey::generate(Algorithm::EdDsa).expect("a key"),
        );
        let now = UnixMillis::now();
        let token = mint(&minter(&key), &session(now, "t"), now).expect("a token");
        assert!(check_token(&token, &key, USER_ID).is_ok());
        assert!(check_token(&token, &other, USER_ID).is_err());
        assert!(check_token(&token, &key, "somebody else").is_err());
    }
}
