//! Who calls: the credential of a request, and the identity that a verified token makes.
//!
//! The rules are those of Convex's OIDC providers (`crates/authentication`), with one difference: ES256 is taken too, as
//! Convex's `customJwt` kind does, so that one provider serves whatever key the proxy signs with. Invariant: an
//! [`Identity`] comes only out of [`Verifier::identify`].

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use jsonwebtoken::jwk::{Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation};
use serde::Deserialize;

use super::discovery::KeySource;
use super::refusal::Refusal;
use super::value::{Object, Value};
use crate::clock::{Now, UnixMillis};
use crate::secret::Secret;

/// What a request brings to say who calls.
#[derive(Debug)]
pub enum Credential {
    /// Nothing: an anonymous caller.
    None,
    /// A token.
    Bearer(Secret),
    /// A key of an administrator, in the header or the query. No key is valid here.
    Admin,
}

/// A caller whose token was verified. `Debug` prints nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    issuer: String,
    subject: String,
    email: Option<String>,
    name: Option<String>,
    picture_url: Option<String>,
    /// The first moment at which the token is dead.
    expires: UnixMillis,
}

impl Credential {
    /// Reads the first `Authorization` header, or `adminKey` in the query when there is none
    /// (`crates/local_backend/src/authentication.rs`).
    ///
    /// # Errors
    ///
    /// - [`Refusal::HeaderUnreadable`]: not visible ASCII, or an acting user that is no base64
    /// - [`Refusal::HeaderTooShort`]: fewer than 7 characters
    /// - [`Refusal::AdminKeyInvalid`]: neither `Convex` nor `Bearer`, or an empty token
    /// - [`Refusal::QueryUnreadable`]: `adminKey` twice
    pub fn read(headers: &HeaderMap, query: Option<&str>) -> Result<Self, Refusal> {
        let Some(header) = headers.get(AUTHORIZATION) else { return Self::read_query(query.unwrap_or_default()) };
        let header = header.to_str().map_err(|_| Refusal::HeaderUnreadable)?;
        let (scheme, credential) = header.split_at_checked(7).ok_or(Refusal::HeaderTooShort)?;
        if scheme.eq_ignore_ascii_case("convex ") {
            let key = credential.split_once('|').map_or(credential, |(_, key)| key);
            match key.split_once(':') {
                Some((_, user)) if base64::engine::general_purpose::STANDARD.decode(user).is_err() => {
                    Err(Refusal::HeaderUnreadable)
                }
                _ => Ok(Self::Admin),
            }
        } else if scheme.eq_ignore_ascii_case("bearer ") && !credential.is_empty() {
            Ok(Self::Bearer(Secret::new(credential.trim())))
        } else {
            Err(Refusal::AdminKeyInvalid)
        }
    }

    fn read_query(query: &str) -> Result<Self, Refusal> {
        match url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "adminKey").count() {
            0 => Ok(Self::None),
            1 => Ok(Self::Admin),
            _ => Err(Refusal::QueryUnreadable),
        }
    }
}

impl Identity {
    /// The fields that `ctx.auth.getUserIdentity()` gives; a claim that the token lacks is no field.
    pub fn to_object(&self) -> Object {
        let mut object = Object::default();
        object.set("tokenIdentifier", Value::String(format!("{}|{}", self.issuer, self.subject)));
        object.set("issuer", Value::from(self.issuer.as_str()));
        object.set("subject", Value::from(self.subject.as_str()));
        for (name, claim) in [("email", &self.email), ("name", &self.name), ("pictureUrl", &self.picture_url)] {
            if let Some(claim) = claim {
                object.set(name, Value::from(claim.as_str()));
            }
        }
        object
    }

    /// Whether the token has died since it was verified. No leeway.
    pub fn is_expired(&self, now: Now) -> bool {
        now.wall >= self.expires
    }

    /// Who it is: the id of a user, for tokens of the proxy.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The name, if the token has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What to call the caller: the name, else the e-mail address, else the subject.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().or(self.email.as_deref()).unwrap_or(&self.subject)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Identity")
    }
}

/// An identity out of thin air, for tests of what is done with one.
#[cfg(test)]
pub(super) fn identity_of(subject: &str, expires: UnixMillis) -> Identity {
    let (issuer, subject) = ("http://issuer".to_owned(), subject.to_owned());
    Identity { issuer, subject, email: None, name: None, picture_url: None, expires }
}

/// Verifies tokens of one issuer for one application.
#[derive(Debug)]
pub struct Verifier {
    issuer: String,
    application_id: String,
    keys: KeySource,
}

impl Verifier {
    /// Tokens must be of this issuer and for this application; keys come from the source.
    pub fn new(issuer: String, application_id: String, keys: KeySource) -> Self {
        Self { issuer, application_id, keys }
    }

    /// Who a credential speaks for; nothing for an anonymous caller.
    ///
    /// # Errors
    ///
    /// - [`Refusal::AdminKeyWrong`]: an administrator's key
    /// - [`Refusal::TokenUnreadable`], [`Refusal::IssuerMissing`], [`Refusal::NoAuthProvider`],
    ///   [`Refusal::Unauthenticated`]: the token is not valid here
    /// - [`Refusal::Discovery`]: the issuer's documents cannot be had
    pub async fn identify(&self, credential: &Credential, now: Now) -> Result<Option<Identity>, Refusal> {
        match credential {
            Credential::None => Ok(None),
            Credential::Admin => Err(Refusal::AdminKeyWrong),
            Credential::Bearer(token) => self.verify(token.expose(), now).await.map(Some),
        }
    }

    async fn verify(&self, token: &str, now: Now) -> Result<Identity, Refusal> {
        let unverified: Claims = payload(token).ok_or(Refusal::TokenUnreadable)?;
        let issuer = unverified.iss.as_deref().ok_or(Refusal::IssuerMissing)?;
        let ours = comparable(issuer) == comparable(&self.issuer);
        if !ours || !unverified.audiences().contains(&self.application_id.as_str()) {
            return Err(Refusal::NoAuthProvider);
        }
        let keys = self.keys.keys_of(issuer, now).await?;
        let header: Header = segment(token, 0).ok_or(Refusal::TokenUnreadable)?;
        let (algorithm, key) = choose_key(&header, &keys).ok_or(Refusal::Unauthenticated)?;
        let claims = verify_signature(token, algorithm, key).ok_or(Refusal::Unauthenticated)?;
        claims.into_identity(&self.application_id, now).ok_or(Refusal::Unauthenticated)
    }
}

/// Issuers are compared without trailing slashes, and `https://` is implied.
fn comparable(issuer: &str) -> String {
    let issuer = issuer.trim_end_matches('/');
    if issuer.starts_with("https://") || issuer.starts_with("http://") {
        issuer.to_owned()
    } else {
        format!("https://{issuer}")
    }
}

/// The header members that decide about the key.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    cty: Option<String>,
    crit: Option<serde_json::Value>,
}

/// The claims that Convex reads.
#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    aud: Option<Audience>,
    sub: Option<String>,
    exp: Option<f64>,
    iat: Option<f64>,
    email: Option<String>,
    name: Option<String>,
    picture: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Claims {
    fn audiences(&self) -> Vec<&str> {
        match &self.aud {
            None => Vec::new(),
            Some(Audience::One(audience)) => vec![audience],
            Some(Audience::Several(audiences)) => audiences.iter().map(String::as_str).collect(),
        }
    }

    /// The identity, when no time and no audience speaks against it: no leeway for `exp`, an `iat` of any time, and no
    /// audience but ours.
    fn into_identity(self, application_id: &str, now: Now) -> Option<Identity> {
        let audiences = self.audiences();
        let for_us_alone = !audiences.is_empty() && audiences.iter().all(|audience| *audience == application_id);
        // Whole seconds are compared, so a fraction of one counts as the whole. The cast stops at the ends of `i64`.
        #[expect(clippy::cast_possible_truncation, reason = "no time that matters is outside of `i64`")]
        let expires = UnixMillis((self.exp?.ceil() as i64).saturating_mul(1_000));
        self.iat?;
        if !for_us_alone || now.wall >= expires {
            return None;
        }
        Some(Identity {
            expires,
            issuer: self.iss?,
            subject: self.sub?,
            email: self.email,
            name: self.name,
            picture_url: self.picture,
        })
    }
}

/// The payload of a compact JWS of three parts.
fn payload(token: &str) -> Option<Claims> {
    if token.split('.').count() == 3 { segment(token, 1) } else { None }
}

fn segment<T: for<'de> Deserialize<'de>>(token: &str, position: usize) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(position)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The algorithm of the header and the only key that fits it: of its kind, for signatures, and of the header's `kid`
/// when it names one. No key, or several, is a refusal.
fn choose_key<'a>(header: &Header, keys: &'a [Jwk]) -> Option<(Algorithm, &'a Jwk)> {
    let algorithm = match header.alg.as_str() {
        "RS256" => Algorithm::RS256,
        "EdDSA" => Algorithm::EdDSA,
        "ES256" => Algorithm::ES256,
        _ => return None,
    };
    let typ = header.typ.as_deref().map(str::to_ascii_lowercase);
    let typ = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
    if header.cty.is_some() || header.crit.is_some() || !matches!(typ, None | Some("jwt" | "jose" | "jose+json")) {
        return None;
    }
    let mut fitting = keys.iter().filter(|key| fits(key, algorithm, header.kid.as_deref()));
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Some((algorithm, key)),
        _ => None,
    }
}

fn fits(key: &Jwk, algorithm: Algorithm, kid: Option<&str>) -> bool {
    let common = &key.common;
    kid.is_none_or(|kid| common.key_id.as_deref() == Some(kid))
        && matches!(common.public_key_use, None | Some(PublicKeyUse::Signature))
        && common.key_algorithm.is_none_or(|of_key| of_key == KeyAlgorithm::from(algorithm))
        && DecodingKey::from_jwk(key)
            .is_ok_and(|decoding| decoding.family() == algorithm.family() && decoding.family() != AlgorithmFamily::Hmac)
}

/// The claims, when the signature is the key's. Times and audience are the caller's to check.
fn verify_signature(token: &str, algorithm: Algorithm, key: &Jwk) -> Option<Claims> {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    let key = DecodingKey::from_jwk(key).ok()?;
    Some(jsonwebtoken::decode(token, &key, &validation).ok()?.claims)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(header: &str, query: &str) -> Result<Credential, Refusal> {
        let mut headers = HeaderMap::new();
        if !header.is_empty() {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(header).unwrap());
        }
        Credential::read(&headers, Some(query))
    }

    #[test]
    fn a_bearer_token_is_trimmed_and_its_scheme_has_no_case() {
        for header in ["Bearer a.b.c", "bEARER  a.b.c "] {
            let Ok(Credential::Bearer(token)) = read(header, "adminKey=x") else { panic!("{header}") };
            assert_eq!(token.expose(), "a.b.c");
        }
    }

    #[test]
    fn admin_keys_are_seen_in_all_their_forms() {
        for (header, query) in
            [("Convex key", ""), ("convex prod:name|key:e30=", ""), ("", "adminKey=key"), ("", "a=1&admin%4bey=key")]
        {
            assert!(matches!(read(header, query), Ok(Credential::Admin)), "{header} {query}");
        }
        assert!(matches!(read("", "adminkey=key"), Ok(Credential::None)), "the name has a case");
    }

    #[test]
    fn what_is_neither_is_refused() {
        assert!(matches!(read("Basic abcdef", ""), Err(Refusal::AdminKeyInvalid)));
        assert!(matches!(read("Bearer ", ""), Err(Refusal::AdminKeyInvalid)));
        assert!(matches!(read("short", ""), Err(Refusal::HeaderTooShort)));
        assert!(matches!(read("Convex key:???", ""), Err(Refusal::HeaderUnreadable)));
        assert!(matches!(read("", "adminKey=a&adminKey=b"), Err(Refusal::QueryUnreadable)));
    }

    #[test]
    fn issuers_differ_in_more_than_slashes_and_the_scheme_that_is_implied() {
        assert_eq!(comparable("https://a.example/"), comparable("a.example"));
        assert_ne!(comparable("http://a.example"), comparable("https://a.example"));
        assert_ne!(comparable("https://a.example"), comparable("https://A.example"));
    }

    fn claims(json: serde_json::Value) -> Claims {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_token_dies_in_the_second_of_its_exp() {
        let identity = |now_seconds: i64| {
            let now = Now { wall: UnixMillis(now_seconds * 1_000), ..Now::read() };
            claims(serde_json::json!({"iss": "i", "aud": "convex", "sub": "u", "exp": 100, "iat": 900}))
                .into_identity("convex", now)
        };
        assert!(identity(99).is_some());
        assert!(identity(100).is_none());
        let verified = identity(99).unwrap();
        let at = |millis| Now { wall: UnixMillis(millis), ..Now::read() };
        assert!(!verified.is_expired(at(99_999)));
        assert!(verified.is_expired(at(100_000)));
    }

    #[test]
    fn every_claim_that_convex_needs_is_needed() {
        let now = Now { wall: UnixMillis(0), ..Now::read() };
        let whole = serde_json::json!({"iss": "i", "aud": ["convex"], "sub": "u", "exp": 100, "iat": 1});
        assert!(claims(whole.clone()).into_identity("convex", now).is_some());
        for name in ["iss", "aud", "sub", "exp", "iat"] {
            let mut less = whole.clone();
            less.as_object_mut().unwrap().remove(name);
            assert!(claims(less).into_identity("convex", now).is_none(), "{name}");
        }
        let mut more = whole;
        more["aud"] = serde_json::json!(["convex", "another"]);
        assert!(claims(more).into_identity("convex", now).is_none(), "another audience");
    }

    fn header(json: serde_json::Value) -> Header {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_key_is_chosen_by_its_kid_or_by_being_the_only_one() {
        let key = |kid: Option<&str>| {
            let mut key =
                serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
            if let Some(kid) = kid {
                key["kid"] = kid.into();
            }
            serde_json::from_value::<Jwk>(key).unwrap()
        };
        let chosen = |json, keys: &[Jwk]| choose_key(&header(json), keys).map(|(_, key)| key.common.key_id.clone());
        let (none, a, b) = (key(None), key(Some("a")), key(Some("b")));
        let plain = || serde_json::json!({"alg": "EdDSA"});
        assert_eq!(chosen(plain(), std::slice::from_ref(&none)), Some(None));
        assert_eq!(chosen(plain(), &[a.clone(), b.clone()]), None, "two keys fit");
        assert_eq!(chosen(serde_json::json!({"alg": "EdDSA", "kid": "b"}), &[a.clone(), b]), Some(Some("b".into())));
        assert_eq!(chosen(serde_json::json!({"alg": "EdDSA", "kid": "a"}), &[none]), None, "the key has no kid");
        for refused in [
            serde_json::json!({"alg": "RS256"}),
            serde_json::json!({"alg": "HS256"}),
            serde_json::json!({"alg": "none"}),
            serde_json::json!({"alg": "EdDSA", "typ": "JWE"}),
            serde_json::json!({"alg": "EdDSA", "cty": "JWT"}),
            serde_json::json!({"alg": "EdDSA", "crit": ["exp"]}),
        ] {
            assert_eq!(chosen(refused.clone(), std::slice::from_ref(&a)), None, "{refused}");
        }
        assert!(chosen(serde_json::json!({"alg": "EdDSA", "typ": "application/jwt"}), &[a]).is_some());
    }
}
