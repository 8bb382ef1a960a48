//! PKCS#8 as text: what environments and files make of a PEM, and back.
//!
//! Reads the PEM armour by hand, because a key that went through an environment has lost its line breaks in one of
//! several ways, and RFC 7468 readers insist on them.

use base64::{Engine, engine::general_purpose::STANDARD};
use rsa::{
    pkcs1::RsaPrivateKeyRef,
    pkcs8::{ObjectIdentifier, PrivateKeyInfoRef},
};
use zeroize::Zeroizing;

use super::KeyProblem;
use crate::secret::Secret;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
const LABEL: &str = "PRIVATE KEY";
const LINE_CHARACTERS: usize = 64;

/// RFC 8017 appendix A.1.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// RFC 8410 section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// RFC 5480 section 2.1.1, and its P-256.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// What a document holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa,
    Ed25519,
    P256,
}

/// The document inside a PEM.
pub(super) fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
    let text = Zeroizing::new(unquote(text).replace("\\r", ""));
    let text = Zeroizing::new(text.replace("\\n", "\n"));
    let (_, from_label) = text.split_once(BEGIN).ok_or(KeyProblem::NotPem)?;
    let (label, from_body) = from_label.split_once(DASHES).ok_or(KeyProblem::NotPem)?;
    check_label(label)?;
    let (body, after) = from_body.split_once("-----END PRIVATE KEY-----").ok_or(KeyProblem::NotPem)?;
    if after.contains(BEGIN) {
        return Err(KeyProblem::SeveralPems);
    }
    let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
    base64.extend(body.chars().filter(|character| !character.is_ascii_whitespace()));
    STANDARD.decode(base64.as_bytes()).map(Zeroizing::new).map_err(|_| KeyProblem::Damaged)
}

/// The PEM of a document, in lines of 64 characters.
pub(super) fn encode(document: &[u8]) -> Secret {
    let base64 = Zeroizing::new(STANDARD.encode(document));
    let mut pem = String::with_capacity(base64.len() + base64.len() / LINE_CHARACTERS + 2 * 30);
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(LINE_CHARACTERS).unwrap_or((rest, ""));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    Secret::new(pem)
}

/// What a document holds, read far enough to say why a key is not served.
pub(super) fn kind(document: &[u8]) -> Result<Kind, KeyProblem> {
    let info = PrivateKeyInfoRef::try_from(document).map_err(|_| KeyProblem::Damaged)?;
    let algorithm = info.algorithm;
    if algorithm.oid == RSA {
        let key = RsaPrivateKeyRef::try_from(info.private_key.as_bytes()).map_err(|_| KeyProblem::Damaged)?;
        // aws-lc has the same bounds; they are Convex's too (`crates/authentication`, biscuit's RSA parameters).
        return match bits(key.modulus.as_bytes()) {
            2048..=8192 => Ok(Kind::Rsa),
            _ => Err(KeyProblem::RsaSize),
        };
    }
    if algorithm.oid == ED25519 {
        return Ok(Kind::Ed25519);
    }
    if algorithm.oid == EC && algorithm.parameters_oid() == Ok(P256) {
        return Ok(Kind::P256);
    }
    Err(KeyProblem::KindNotServed)
}

/// Takes one pair of quotes, and the blanks on either side of them, from around a value.
pub(super) fn unquote(text: &str) -> &str {
    let text = text.trim();
    ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote)).map_or(text, str::trim)
}

fn check_label(label: &str) -> Result<(), KeyProblem> {
    match label {
        LABEL => Ok(()),
        "RSA PRIVATE KEY" => Err(KeyProblem::Pkcs1),
        // `openssl ecparam -genkey` writes the curve before the key.
        "EC PRIVATE KEY" | "EC PARAMETERS" => Err(KeyProblem::Sec1),
        "OPENSSH PRIVATE KEY" => Err(KeyProblem::OpenSsh),
        "ENCRYPTED PRIVATE KEY" => Err(KeyProblem::Encrypted),
        "PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE" => Err(KeyProblem::Public),
        _ => Err(KeyProblem::NotPem),
    }
}

fn bits(big_endian: &[u8]) -> usize {
    let significant = big_endian.iter().skip_while(|byte| **byte == 0);
    let leading_zeros = significant.clone().next().map_or(0, |byte| byte.leading_zeros() as usize);
    significant.count() * 8 - leading_zeros
}
