//! Tokens and documents before the verifiers that Convex itself uses: `openidconnect` for OIDC providers, `biscuit` for
//! customJwt. What they are told, Convex tells them (`crates/authentication/src/lib.rs`).

use std::time::Duration;

use biscuit::{
    ClaimPresenceOptions, ClaimsSet, Empty, JWT, Presence, TemporalOptions, Timestamp, Validation, ValidationOptions,
    jwa::SignatureAlgorithm, jwk::JWKSet,
};
use openidconnect::{
    ClientId, IdTokenVerifier, IssuerUrl, Nonce,
    core::{CoreIdToken, CoreIdTokenClaims, CoreJsonWebKeySet, CoreJwsSigningAlgorithm, CoreProviderMetadata},
};

use super::{Documents, Freshness, Minter, MinterSettings};
use crate::{
    clock::UnixMillis,
    config::ProfileClaim,
    keys::{Algorithm, SigningKey, publish},
    secret::Secret,
    session::{LiveSession, Profile, SessionKeys, SessionToken},
};

const ISSUER: &str = "https://happy-otter-123.convex.site";
const AUDIENCE: &str = "convex";
const NOW: UnixMillis = UnixMillis(1_795_435_200_250);
const LIFETIME_SECONDS: i64 = 3_600;

/// A token, and the documents as Convex fetches them.
struct Published {
    token: String,
    discovery: String,
    jwks: String,
}

fn published(algorithm: Algorithm, jwks: impl Fn(&SigningKey) -> Option<String>) -> Published {
    let key = SigningKey::generate(algorithm).unwrap();
    let set = publish(&key, jwks(&key).as_deref(), None).unwrap();
    let documents = Documents::new(ISSUER, algorithm, &set.jwks);
    let adapter_secret = Secret::new("adapter secret");
    let minter = Minter::new(MinterSettings {
        key,
        kid: set.kid,
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        lifetime: Duration::from_secs(LIFETIME_SECONDS.unsigned_abs()),
        claims: vec![ProfileClaim::Email, ProfileClaim::Name, ProfileClaim::Picture],
        adapter_secret: &adapter_secret,
        capacity: 10,
    });
    let token = SessionToken::new("a8f3b9c2-session");
    let session = LiveSession {
        key: SessionKeys::new(&adapter_secret, "http://127.0.0.1:3210").key_of(&token),
        token,
        user_id: "j57dkq2vn9bq0ds1j2kd7yhnhn6sx3fe".to_owned(),
        expires: UnixMillis(NOW.0 + 30 * 24 * 3_600_000),
        profile: Profile {
            email: Some("ada@example.com".to_owned()),
            name: Some("Ada \"Zoë\" Lovelace".to_owned()),
            image: Some("https://example.com/ada.png".to_owned()),
        },
    };
    let (minted, _) = minter.for_session(&session, Freshness::Reuse, NOW).unwrap();
    let text = |body: bytes::Bytes| String::from_utf8(body.to_vec()).unwrap();
    Published {
        token: minted.token().to_owned(),
        discovery: text(documents.discovery.body()),
        jwks: text(documents.jwks.body()),
    }
}

fn with_thumbprint(_: &SigningKey) -> Option<String> {
    None
}

/// A set as the guide's older script made it: no `kid`.
fn without_kid(key: &SigningKey) -> Option<String> {
    Some(serde_json::json!({ "keys": [key.public_jwk(None)] }).to_string())
}

/// Convex's OIDC path; `Err` says why.
fn verify_oidc(published: &Published, audience: &str, now_seconds: i64) -> Result<CoreIdTokenClaims, String> {
    let metadata: CoreProviderMetadata = serde_json::from_str(&published.discovery).map_err(|e| e.to_string())?;
    if metadata.issuer().as_str() != ISSUER {
        return Err("issuer".to_owned());
    }
    assert_eq!(metadata.jwks_uri().as_str(), format!("{ISSUER}/.well-known/jwks.json"));
    let jwks: CoreJsonWebKeySet = serde_json::from_str(&published.jwks).map_err(|e| e.to_string())?;
    let issuer = IssuerUrl::new(ISSUER.to_owned()).map_err(|e| e.to_string())?;
    let verifier = IdTokenVerifier::new_public_client(ClientId::new(audience.to_owned()), issuer, jwks)
        .set_allowed_algs([CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256, CoreJwsSigningAlgorithm::EdDsa])
        .set_time_fn(move || *Timestamp::from(now_seconds));
    let token: CoreIdToken = published.token.parse().map_err(|e: serde_json::Error| e.to_string())?;
    token.into_claims(&verifier, |_: Option<&Nonce>| Ok(())).map_err(|e| e.to_string())
}

/// Convex's customJwt path; `Err` says why.
fn verify_custom(
    published: &Published,
    algorithm: SignatureAlgorithm,
    now_seconds: i64,
) -> Result<ClaimsSet<serde_json::Value>, String> {
    let jwks: JWKSet<Empty> = serde_json::from_str(&published.jwks).map_err(|e| e.to_string())?;
    let token: JWT<serde_json::Value, Empty> = JWT::new_encoded(&published.token);
    let token = token.decode_with_jwks(&jwks, Some(algorithm)).map_err(|e| e.to_string())?;
    token
        .validate(ValidationOptions {
            claim_presence_options: ClaimPresenceOptions {
                expiry: Presence::Required,
                issuer: Presence::Required,
                subject: Presence::Required,
                ..ClaimPresenceOptions::default()
            },
            temporal_options: TemporalOptions {
                now: Some(*Timestamp::from(now_seconds)),
                ..TemporalOptions::default()
            },
            issuer: Validation::Validate(ISSUER.to_owned()),
            audience: Validation::Validate(AUDIENCE.to_owned()),
            ..ValidationOptions::default()
        })
        .map_err(|e| e.to_string())?;
    token.payload().cloned().map_err(|e| e.to_string())
}

/// Every way to change one character of a token's claims or signature, a few of each.
fn changed(published: &Published) -> Vec<Published> {
    let token = &published.token;
    let payload = token.find('.').unwrap() + 1;
    (payload..token.len())
        .step_by(7)
        .chain([payload, token.rfind('.').unwrap() + 1])
        .filter(|index| token.as_bytes()[*index] != b'.')
        .map(|index| {
            let mut bytes = token.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let token = String::from_utf8(bytes).unwrap();
            Published { token, discovery: published.discovery.clone(), jwks: published.jwks.clone() }
        })
        .collect()
}

fn now() -> i64 {
    NOW.seconds()
}

#[test]
fn an_oidc_provider_accepts_rs256_and_eddsa_with_a_kid_and_without() {
    for algorithm in [Algorithm::Rs256, Algorithm::EdDsa] {
        for published in [published(algorithm, with_thumbprint), published(algorithm, without_kid)] {
            let claims = verify_oidc(&published, AUDIENCE, now()).unwrap();
            assert_eq!(claims.subject().as_str(), "j57dkq2vn9bq0ds1j2kd7yhnhn6sx3fe");
            assert_eq!(claims.audiences().iter().map(|audience| audience.as_str()).collect::<Vec<_>>(), [AUDIENCE]);
            assert_eq!(claims.email().unwrap().as_str(), "ada@example.com");
            assert_eq!(claims.name().unwrap().get(None).unwrap().as_str(), "Ada \"Zoë\" Lovelace");
            assert_eq!(claims.picture().unwrap().get(None).unwrap().as_str(), "https://example.com/ada.png");
        }
    }
}

#[test]
fn an_oidc_provider_refuses_another_audience_a_late_hour_and_any_change() {
    for algorithm in [Algorithm::Rs256, Algorithm::EdDsa] {
        let published = published(algorithm, with_thumbprint);
        verify_oidc(&published, AUDIENCE, now() + LIFETIME_SECONDS - 1).unwrap();
        verify_oidc(&published, AUDIENCE, now() + LIFETIME_SECONDS).unwrap_err();
        verify_oidc(&published, "other", now()).unwrap_err();
        for changed in changed(&published) {
            verify_oidc(&changed, AUDIENCE, now()).unwrap_err();
        }
    }
}

#[test]
fn a_custom_jwt_provider_accepts_rs256_and_es256() {
    for (algorithm, theirs) in
        [(Algorithm::Rs256, SignatureAlgorithm::RS256), (Algorithm::Es256, SignatureAlgorithm::ES256)]
    {
        let published = published(algorithm, with_thumbprint);
        let claims = verify_custom(&published, theirs, now()).unwrap();
        assert_eq!(claims.registered.subject.as_deref(), Some("j57dkq2vn9bq0ds1j2kd7yhnhn6sx3fe"));
        assert_eq!(claims.registered.audience, Some(biscuit::SingleOrMultiple::Single(AUDIENCE.to_owned())));
        assert_eq!(claims.private["email"], "ada@example.com");
        verify_custom(&published, theirs, now() + LIFETIME_SECONDS + 1).unwrap_err();
        for changed in changed(&published) {
            verify_custom(&changed, theirs, now()).unwrap_err();
        }
    }
}

#[test]
fn a_custom_jwt_provider_wants_a_kid() {
    let published = published(Algorithm::Rs256, without_kid);
    verify_custom(&published, SignatureAlgorithm::RS256, now()).unwrap_err();
}

#[test]
fn a_custom_jwt_provider_reads_our_eddsa_set_and_would_not_with_its_alg() {
    let with_alg = |key: &SigningKey| {
        let mut jwk = serde_json::to_value(key.public_jwk(Some("one"))).unwrap();
        jwk["alg"] = "EdDSA".into();
        Some(serde_json::json!({ "keys": [jwk] }).to_string())
    };
    let reads = |published: &Published| serde_json::from_str::<JWKSet<Empty>>(&published.jwks).is_ok();
    assert!(reads(&published(Algorithm::EdDsa, with_thumbprint)));
    assert!(!reads(&published(Algorithm::EdDsa, with_alg)));
    verify_oidc(&published(Algorithm::EdDsa, with_alg), AUDIENCE, now()).unwrap();
}
