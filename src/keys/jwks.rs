//! The key set as it is published.
//!
//! The one invariant: a [`PublishedSet`] has no private member, holds the key that signs, and says which `kid` a token's
//! header must have so that Convex finds it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Algorithm, KeyProblem, PublicNumbers, SigningKey, pkcs8::unquote};

/// Members that belong to a private or a symmetric key (RFC 7518 section 6; `priv` of the post-quantum kinds).
const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
const KID_MAX_CHARACTERS: usize = 256;

/// A set that may be shown to anybody, and the name of the signing key in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedSet {
    /// `{"keys":[…]}`, compact JSON.
    pub jwks: String,
    /// The `kid` of every header minted; `None` when the set has none for the key.
    pub kid: Option<String>,
}

/// One public key as JSON, members in the order in which they are written here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublicJwk {
    kty: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(rename = "use")]
    public_key_use: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<&'static str>,
}

impl PublicJwk {
    pub(super) fn new(numbers: &PublicNumbers, kid: Option<&str>) -> Self {
        let bare = Self {
            kty: "OKP",
            crv: None,
            n: None,
            e: None,
            x: None,
            y: None,
            kid: kid.map(str::to_owned),
            public_key_use: "sig",
            // Without `alg` for OKP: Convex's customJwt reader does not know `EdDSA` and would refuse the whole set,
            // the other keys in it included.
            alg: None,
        };
        match numbers.clone() {
            PublicNumbers::Rsa { n, e } => {
                Self { kty: "RSA", n: Some(n), e: Some(e), alg: Some(Algorithm::Rs256.name()), ..bare }
            }
            PublicNumbers::Ed25519 { x } => Self { kty: "OKP", crv: Some("Ed25519"), x: Some(x), ..bare },
            PublicNumbers::P256 { x, y } => Self {
                kty: "EC",
                crv: Some("P-256"),
                x: Some(x),
                y: Some(y),
                alg: Some(Algorithm::Es256.name()),
                ..bare
            },
        }
    }
}

/// Makes the set that is published for `key`, and finds the `kid` that tokens must have.
///
/// With `jwks`, the operator's set: it must hold this key (found by its numbers, whatever its `kid`), and is served as
/// given, written compactly. Its `kid` for the key counts; one that is given must be the same. Without it a set of this
/// key alone, under `kid` or the RFC 7638 thumbprint.
///
/// # Errors
///
/// - [`KeyProblem::JwksUnreadable`], [`KeyProblem::JwksPrivate`], [`KeyProblem::JwksKidUnusable`]: nothing that may be
///   published.
/// - [`KeyProblem::JwksWithoutKey`]: the set is of another key.
/// - [`KeyProblem::JwksOtherAlgorithm`], [`KeyProblem::JwksOtherUse`], [`KeyProblem::JwksAmbiguous`]: Convex would
///   not find or not use this key by it.
/// - [`KeyProblem::KidDiffers`], [`KeyProblem::KidNotInJwks`], [`KeyProblem::KidUnusable`]: `kid` cannot be this key's.
pub fn publish(key: &SigningKey, jwks: Option<&str>, kid: Option<&str>) -> Result<PublishedSet, KeyProblem> {
    kid.map_or(Ok(()), check_kid)?;
    match jwks {
        Some(jwks) => publish_given(key, jwks, kid),
        None => publish_made(key, kid),
    }
}

/// Checks what can be told of a set without a key: that it is one, that it may be shown, and that its names are names.
///
/// # Errors
///
/// - [`KeyProblem::JwksUnreadable`], [`KeyProblem::JwksPrivate`], [`KeyProblem::JwksKidUnusable`]: nothing that may be
///   published.
pub(crate) fn check_set(jwks: &str) -> Result<(), KeyProblem> {
    entries(&read_set(jwks)?).map(drop)
}

/// Checks the form of a `kid`.
///
/// # Errors
///
/// - [`KeyProblem::KidUnusable`]: it is empty, too long, or has control characters.
pub(crate) fn check_kid(kid: &str) -> Result<(), KeyProblem> {
    if is_usable_kid(kid) { Ok(()) } else { Err(KeyProblem::KidUnusable) }
}

fn publish_made(key: &SigningKey, kid: Option<&str>) -> Result<PublishedSet, KeyProblem> {
    #[derive(Serialize)]
    struct Set {
        keys: [PublicJwk; 1],
    }

    let kid = kid.map_or_else(|| key.thumbprint(), str::to_owned);
    let set = Set { keys: [key.public_jwk(Some(&kid))] };
    let jwks = serde_json::to_string(&set).map_err(|_| KeyProblem::JwksUnreadable)?;
    Ok(PublishedSet { jwks, kid: Some(kid) })
}

fn publish_given(key: &SigningKey, jwks: &str, kid: Option<&str>) -> Result<PublishedSet, KeyProblem> {
    let set = read_set(jwks)?;
    let entries = entries(&set)?;
    let ours: Vec<&Entry<'_>> = entries.iter().filter(|entry| entry.is(&key.0.public)).collect();
    // Should a set have the key twice: under the `kid` asked for, else under any, before none.
    let entry = ours
        .iter()
        .find(|entry| kid.is_some() && entry.kid == kid)
        .or_else(|| ours.iter().find(|entry| entry.kid.is_some()))
        .or_else(|| ours.first())
        .ok_or(KeyProblem::JwksWithoutKey)?;
    match (kid, entry.kid) {
        (Some(_), None) => return Err(KeyProblem::KidNotInJwks),
        (Some(asked), Some(present)) if asked != present => return Err(KeyProblem::KidDiffers),
        (Some(_), Some(_)) | (None, _) => {}
    }
    check_entry(entry, key.algorithm())?;
    check_found(entry, &entries)?;
    Ok(PublishedSet { kid: entry.kid.map(str::to_owned), jwks: set.to_string() })
}

fn read_set(jwks: &str) -> Result<Value, KeyProblem> {
    let set: Value = serde_json::from_str(unquote(jwks)).map_err(|_| KeyProblem::JwksUnreadable)?;
    if has_private_member(&set) { Err(KeyProblem::JwksPrivate) } else { Ok(set) }
}

/// One key of a set: its members, and those that decide whether Convex finds it.
struct Entry<'set> {
    members: &'set Map<String, Value>,
    kty: &'set str,
    kid: Option<&'set str>,
    alg: Option<&'set str>,
    public_key_use: Option<&'set str>,
}

impl Entry<'_> {
    fn is(&self, numbers: &PublicNumbers) -> bool {
        let text_is = |name: &str, text: &str| self.members.get(name).and_then(Value::as_str) == Some(text);
        match numbers {
            // Some tools write integers with a leading zero byte.
            PublicNumbers::Rsa { n, e } => {
                self.kty == "RSA" && self.integer("n") == decoded(n) && self.integer("e") == decoded(e)
            }
            PublicNumbers::Ed25519 { x } => self.kty == "OKP" && text_is("crv", "Ed25519") && text_is("x", x),
            PublicNumbers::P256 { x, y } => {
                self.kty == "EC" && text_is("crv", "P-256") && text_is("x", x) && text_is("y", y)
            }
        }
    }

    fn integer(&self, name: &str) -> Option<Vec<u8>> {
        let bytes = decoded(self.members.get(name)?.as_str()?)?;
        Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
    }
}

fn entries(set: &Value) -> Result<Vec<Entry<'_>>, KeyProblem> {
    let keys = set.get("keys").and_then(Value::as_array).ok_or(KeyProblem::JwksUnreadable)?;
    let entries: Vec<_> =
        keys.iter().map(|key| read_entry(key).ok_or(KeyProblem::JwksUnreadable)).collect::<Result<_, _>>()?;
    let are_named = entries.iter().filter_map(|entry| entry.kid).all(is_usable_kid);
    if are_named { Ok(entries) } else { Err(KeyProblem::JwksKidUnusable) }
}

fn read_entry(key: &Value) -> Option<Entry<'_>> {
    let members = key.as_object()?;
    // The outer `None`: neither text nor absent.
    let text = |name: &str| match members.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(value) => value.as_str().map(Some),
    };
    Some(Entry { members, kty: text("kty")??, kid: text("kid")?, alg: text("alg")?, public_key_use: text("use")? })
}

fn check_entry(entry: &Entry<'_>, algorithm: Algorithm) -> Result<(), KeyProblem> {
    if entry.alg.is_some_and(|alg| alg != algorithm.name()) {
        return Err(KeyProblem::JwksOtherAlgorithm);
    }
    if entry.public_key_use.is_some_and(|public_key_use| public_key_use != "sig") {
        return Err(KeyProblem::JwksOtherUse);
    }
    Ok(())
}

/// A customJwt provider takes the first key with the token's `kid`; an OIDC provider without a `kid` takes the only
/// signing key of the kind, or fails.
fn check_found(entry: &Entry<'_>, entries: &[Entry<'_>]) -> Result<(), KeyProblem> {
    let is_found = match entry.kid {
        Some(kid) => {
            entries.iter().find(|other| other.kid == Some(kid)).is_some_and(|first| std::ptr::eq(first, entry))
        }
        None => {
            let signs = |other: &&Entry<'_>| other.kty == entry.kty && other.public_key_use != Some("enc");
            entries.iter().filter(signs).count() == 1
        }
    };
    if is_found { Ok(()) } else { Err(KeyProblem::JwksAmbiguous) }
}

fn has_private_member(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            members.iter().any(|(name, value)| PRIVATE_MEMBERS.contains(&name.as_str()) || has_private_member(value))
        }
        Value::Array(values) => values.iter().any(has_private_member),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn is_usable_kid(kid: &str) -> bool {
    (1..=KID_MAX_CHARACTERS).contains(&kid.chars().count()) && !kid.chars().any(char::is_control)
}

fn decoded(base64url: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(base64url).ok()
}
