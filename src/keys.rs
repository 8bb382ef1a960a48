//! Signing keys: read once, used for every signature, published without their private half.
//!
//! Not for tokens: what is signed, and for whom, is the token room's. The one invariant: a [`SigningKey`] that exists can
//! sign, and its public half is what [`publish`] and [`keygen::render`] write. Every signature is made by aws-lc-rs from
//! a key that was parsed once; `rsa` only reads DER here.

use std::{fmt, str::FromStr, sync::Arc};

use aws_lc_rs::{
    digest,
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::secret::Secret;

mod jwks;
pub mod keygen;
mod pkcs8;
mod problem;

pub(crate) use self::jwks::{check_kid, check_set};
use self::pkcs8::Kind;
pub use self::{
    jwks::{PublicJwk, PublishedSet, publish},
    problem::{Concerns, KeyProblem},
};

/// How tokens are signed: the three that Convex's verifiers take between them.
///
/// `RS256` serves OIDC and customJwt providers, `EdDSA` OIDC alone, `ES256` customJwt alone (Convex
/// `crates/authentication/src/lib.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256; a key of 2048 to 8192 bits.
    Rs256,
    /// Ed25519.
    EdDsa,
    /// ECDSA on P-256 with SHA-256; a signature is `r || s`, 64 bytes.
    Es256,
}

impl Algorithm {
    /// The name in a header's and a JWK's `alg` (RFC 7518 section 3.1, RFC 8037 section 3.1).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = KeyProblem;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Rs256, Self::EdDsa, Self::Es256]
            .into_iter()
            .find(|algorithm| algorithm.name() == text)
            .ok_or(KeyProblem::AlgorithmUnknown)
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 => Self::RS256,
            Algorithm::EdDsa => Self::EdDSA,
            Algorithm::Es256 => Self::ES256,
        }
    }
}

/// A private key that signs, with its public half at hand. A clone is the same key. `Debug` shows the algorithm only.
#[derive(Clone)]
pub struct SigningKey(Arc<Parsed>);

struct Parsed {
    pair: Pair,
    public: PublicNumbers,
    /// The PKCS#8 document as it was read or made; for [`SigningKey::to_pkcs8_pem`].
    document: Zeroizing<Vec<u8>>,
}

enum Pair {
    Rsa { pair: RsaKeyPair, signature_bytes: usize },
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

/// A public key as JWK writes it: base64url, no padding, no leading zeros of integers.
#[derive(Clone, PartialEq, Eq)]
enum PublicNumbers {
    Rsa { n: String, e: String },
    Ed25519 { x: String },
    P256 { x: String, y: String },
}

/// No signature could be made. With a key that was accepted this means that memory ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the signature could not be made")]
pub struct SignatureFailed;

impl SigningKey {
    /// Reads an unencrypted PKCS#8 PEM: RSA of 2048 to 8192 bits, Ed25519, or EC on P-256.
    ///
    /// As environments carry it: line breaks may be written as the two characters `\n`, or have become blanks, and
    /// quotes and blanks may stand around it. The key says which algorithm it is for; a given one must agree.
    ///
    /// # Errors
    ///
    /// - [`KeyProblem::NotPem`], [`KeyProblem::SeveralPems`], [`KeyProblem::Damaged`]: no PEM, more than one, or one
    ///   that is no key inside.
    /// - [`KeyProblem::Pkcs1`], [`KeyProblem::Sec1`], [`KeyProblem::OpenSsh`], [`KeyProblem::Encrypted`],
    ///   [`KeyProblem::Public`]: a PEM of another kind; the text says how to convert it.
    /// - [`KeyProblem::KindNotServed`], [`KeyProblem::RsaSize`], [`KeyProblem::Refused`]: a key that Convex or the
    ///   cryptography library does not take.
    /// - [`KeyProblem::AlgorithmDisagrees`]: `algorithm` is not the key's.
    pub fn from_pem(pem: &Secret, algorithm: Option<Algorithm>) -> Result<Self, KeyProblem> {
        let key = Self::from_document(pkcs8::decode(pem.expose())?)?;
        match algorithm {
            Some(asked) if asked != key.algorithm() => Err(KeyProblem::AlgorithmDisagrees { key: key.algorithm() }),
            Some(_) | None => Ok(key),
        }
    }

    /// Makes a new key; RSA with 2048 bits.
    ///
    /// # Errors
    ///
    /// - [`KeyProblem::Generation`]: the system gave no randomness or no memory.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyProblem> {
        let random = SystemRandom::new();
        let document = match algorithm {
            Algorithm::Rs256 => generate_rsa()?,
            // Version 1 without the public key: OpenSSL 1.1 and WebCrypto read no other.
            Algorithm::EdDsa => {
                owned(Ed25519KeyPair::generate_pkcs8v1(&random).map_err(|_| KeyProblem::Generation)?.as_ref())
            }
            Algorithm::Es256 => owned(
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
                    .map_err(|_| KeyProblem::Generation)?
                    .as_ref(),
            ),
        };
        Self::from_document(document)
    }

    /// The algorithm that this key is for.
    pub fn algorithm(&self) -> Algorithm {
        match &self.0.pair {
            Pair::Rsa { .. } => Algorithm::Rs256,
            Pair::Ed25519(_) => Algorithm::EdDsa,
            Pair::P256(_) => Algorithm::Es256,
        }
    }

    /// The RFC 7638 thumbprint of the public half: SHA-256, base64url, 43 characters.
    pub fn thumbprint(&self) -> String {
        // Required members in the order of their names, nothing else (RFC 7638 section 3.2, RFC 8037 section 2). Base64url
        // needs no escapes in JSON.
        let canonical = match &self.0.public {
            PublicNumbers::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
            PublicNumbers::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            PublicNumbers::P256 { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
        };
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
    }

    /// The private key as PKCS#8 PEM in lines of 64 characters, with a line break at its end.
    pub fn to_pkcs8_pem(&self) -> Secret {
        pkcs8::encode(&self.0.document)
    }

    /// The public half as a JWK, ready for a set.
    pub fn public_jwk(&self, kid: Option<&str>) -> PublicJwk {
        PublicJwk::new(&self.0.public, kid)
    }

    /// Signs `message`. The signature is as JWS wants it (RFC 7518 sections 3.3 and 3.4, RFC 8037 section 3.1).
    ///
    /// Costs an allocation and the signature itself: on one 2-core x86-64 machine about 210 us for RSA-2048 with AVX-512 IFMA
    /// (650 us without), 6 us for Ed25519, 12 us for P-256.
    ///
    /// # Errors
    ///
    /// - [`SignatureFailed`]: out of memory.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureFailed> {
        match &self.0.pair {
            Pair::Rsa { pair, signature_bytes } => {
                let mut signature = vec![0; *signature_bytes];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| SignatureFailed)?;
                Ok(signature)
            }
            Pair::Ed25519(pair) => Ok(pair.try_sign(message).map_err(|_| SignatureFailed)?.as_ref().to_vec()),
            Pair::P256(pair) => {
                Ok(pair.sign(&SystemRandom::new(), message).map_err(|_| SignatureFailed)?.as_ref().to_vec())
            }
        }
    }

    /// How long every signature of this key is, in bytes.
    pub(crate) fn signature_bytes(&self) -> usize {
        match &self.0.pair {
            Pair::Rsa { signature_bytes, .. } => *signature_bytes,
            Pair::Ed25519(_) | Pair::P256(_) => 64,
        }
    }

    fn from_document(document: Zeroizing<Vec<u8>>) -> Result<Self, KeyProblem> {
        let pair = match pkcs8::kind(&document)? {
            Kind::Rsa => {
                let pair = RsaKeyPair::from_pkcs8(&document).map_err(|_| KeyProblem::Refused)?;
                Pair::Rsa { signature_bytes: pair.public_modulus_len(), pair }
            }
            Kind::Ed25519 => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(&document).map_err(|_| KeyProblem::Refused)?),
            Kind::P256 => Pair::P256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &document)
                    .map_err(|_| KeyProblem::Refused)?,
            ),
        };
        let public = public_numbers(&pair)?;
        Ok(Self(Arc::new(Parsed { pair, public, document })))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.algorithm())
    }
}

/// By aws-lc, as all else that handles a private key. Measured 2026-11-23 on a busy 2-core x86-64 machine, 2048 bits: aws-lc 100 ms
/// (mean of 20), `rsa` 0.10.0 74 ms (median of 41, at most 301 ms): the difference is not worth a second generator.
fn generate_rsa() -> Result<Zeroizing<Vec<u8>>, KeyProblem> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyProblem::Generation)?;
    let document: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyProblem::Generation)?;
    Ok(owned(document.as_ref()))
}

fn owned(document: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(document.to_vec())
}

fn public_numbers(pair: &Pair) -> Result<PublicNumbers, KeyProblem> {
    let base64url = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match pair {
        Pair::Rsa { pair, .. } => {
            let public = pair.public_key();
            Ok(PublicNumbers::Rsa {
                n: base64url(public.modulus().big_endian_without_leading_zero()),
                e: base64url(public.exponent().big_endian_without_leading_zero()),
            })
        }
        Pair::Ed25519(pair) => Ok(PublicNumbers::Ed25519 { x: base64url(pair.public_key().as_ref()) }),
        Pair::P256(pair) => {
            // SEC 1 section 2.3.3: 4, then both coordinates of 32 bytes.
            let point = pair.public_key().as_ref();
            let (x, y) =
                point.strip_prefix(&[4]).and_then(|point| point.split_at_checked(32)).ok_or(KeyProblem::Refused)?;
            Ok(PublicNumbers::P256 { x: base64url(x), y: base64url(y) })
        }
    }
}

#[cfg(test)]
mod tests;
