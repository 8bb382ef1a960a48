//! Header and claims: everything of a token but its signature.
//!
//! Written as JSON text straight into one buffer: what is the same for every token is written once, when the proxy starts,
//! and texts that others chose go through serde_json's escaping.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use crate::{config::ProfileClaim, keys::Algorithm, session::Profile};

/// The longest token that is made, in bytes. It stays below what Node takes as a header (16 KiB), and
/// [`read_bearer`](super::Minter::read_bearer) reads this far, so that no token made here is too long to be known.
pub const MAX_TOKEN_BYTES: usize = 12 * 1024;

/// The longest profile member that becomes a claim, in bytes; a longer one is left out. Our choice: some providers give a
/// picture as a `data:` URL of many kilobytes, and a token travels with every call.
pub const MAX_CLAIM_BYTES: usize = 1024;

/// What every token of one minter has in common.
pub(super) struct Template {
    /// Base64url of the header, and the dot after it.
    header: String,
    /// `{"iss":…,"aud":…,`: the claims that never change.
    opening: Vec<u8>,
    profile: Vec<ProfileClaim>,
}

/// Whom a token is about: the user and the profile members that become claims.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) user_id: String,
    pub(super) profile: Profile,
}

/// One token's own claims. Times are seconds since 1970.
pub(super) struct Claims<'a> {
    pub(super) subject: &'a Subject,
    pub(super) issued_at: i64,
    pub(super) expires_at: i64,
    pub(super) jti: &'a str,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    typ: &'a str,
}

impl Template {
    pub(super) fn new(
        algorithm: Algorithm,
        kid: Option<&str>,
        issuer: &str,
        audience: &str,
        profile: &[ProfileClaim],
    ) -> Self {
        let mut header_json = Vec::new();
        write_json(&mut header_json, &Header { alg: algorithm.name(), kid, typ: "JWT" });
        let mut header = URL_SAFE_NO_PAD.encode(header_json);
        header.push('.');

        let mut opening = b"{\"iss\":".to_vec();
        write_json(&mut opening, issuer);
        // One text and no list: the OIDC path accepts no other audience beside Convex's, and some readers no list.
        opening.extend_from_slice(b",\"aud\":");
        write_json(&mut opening, audience);
        opening.extend_from_slice(b",\"sub\":");

        let mut distinct = Vec::new();
        for claim in profile {
            if !distinct.contains(claim) {
                distinct.push(*claim);
            }
        }
        Self { header, opening, profile: distinct }
    }

    /// Of a user, what becomes claims here: the members that are configured, present and not too long.
    pub(super) fn subject(&self, user_id: &str, profile: &Profile) -> Subject {
        let mut kept = Profile::default();
        for claim in &self.profile {
            let member = member(profile, *claim).filter(|text| text.len() <= MAX_CLAIM_BYTES).map(str::to_owned);
            match claim {
                ProfileClaim::Email => kept.email = member,
                ProfileClaim::Name => kept.name = member,
                ProfileClaim::Picture => kept.image = member,
            }
        }
        Subject { user_id: user_id.to_owned(), profile: kept }
    }

    /// Whether `subject` is what [`Self::subject`] would make of these; without making it.
    pub(super) fn is_subject(&self, subject: &Subject, user_id: &str, profile: &Profile) -> bool {
        subject.user_id == user_id
            && self.profile.iter().all(|claim| {
                member(profile, *claim).filter(|text| text.len() <= MAX_CLAIM_BYTES) == member(&subject.profile, *claim)
            })
    }

    /// Header and claims as they are signed: `base64url.base64url`. Has room for a dot and `signature_bytes`' encoding.
    pub(super) fn unsigned(&self, claims: &Claims<'_>, signature_bytes: usize) -> String {
        let mut json = Vec::with_capacity(self.opening.len() + claims.jti.len() + 256);
        json.extend_from_slice(&self.opening);
        write_json(&mut json, &claims.subject.user_id);
        write_times(&mut json, claims.issued_at, claims.expires_at);
        // Letters, digits and signs of base64url: nothing to escape.
        json.extend_from_slice(b",\"jti\":\"");
        json.extend_from_slice(claims.jti.as_bytes());
        json.push(b'"');
        for claim in &self.profile {
            if let Some(text) = member(&claims.subject.profile, *claim) {
                json.extend_from_slice(name(*claim));
                write_json(&mut json, text);
            }
        }
        json.push(b'}');

        let encoded_bytes = (json.len() + signature_bytes) * 4 / 3 + 8;
        let mut unsigned = String::with_capacity(self.header.len() + encoded_bytes);
        unsigned.push_str(&self.header);
        URL_SAFE_NO_PAD.encode_string(&json, &mut unsigned);
        unsigned
    }
}

/// Ends a token with its signature.
pub(super) fn append_signature(unsigned: &mut String, signature: &[u8]) {
    unsigned.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, unsigned);
}

fn member(profile: &Profile, claim: ProfileClaim) -> Option<&str> {
    match claim {
        ProfileClaim::Email => profile.email.as_deref(),
        ProfileClaim::Name => profile.name.as_deref(),
        ProfileClaim::Picture => profile.image.as_deref(),
    }
}

fn name(claim: ProfileClaim) -> &'static [u8] {
    match claim {
        ProfileClaim::Email => b",\"email\":",
        ProfileClaim::Name => b",\"name\":",
        ProfileClaim::Picture => b",\"picture\":",
    }
}

fn write_times(json: &mut Vec<u8>, issued_at: i64, expires_at: i64) {
    let mut digits = itoa::Buffer::new();
    json.extend_from_slice(b",\"iat\":");
    json.extend_from_slice(digits.format(issued_at).as_bytes());
    json.extend_from_slice(b",\"exp\":");
    json.extend_from_slice(digits.format(expires_at).as_bytes());
}

#[expect(
    clippy::expect_used,
    reason = "a `Vec` takes all bytes, and texts and structs of texts always have a JSON form"
)]
fn write_json<T: Serialize + ?Sized>(json: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(json, value).expect("texts have a JSON form");
}
