//! What can be wrong with a key, its set, its name or its algorithm.

use thiserror::Error;

use super::Algorithm;

/// One thing that is wrong, in one sentence that says what to do. Never holds a value that somebody wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyProblem {
    /// No `-----BEGIN PRIVATE KEY-----`, or no end to it.
    #[error("is not a PKCS#8 PEM (`-----BEGIN PRIVATE KEY-----` … `-----END PRIVATE KEY-----`)")]
    NotPem,
    /// More than one PEM block.
    #[error("holds more than one PEM block; keep the private key alone")]
    SeveralPems,
    /// A PEM whose content is no PKCS#8 document.
    #[error("is a PEM whose content cannot be read; copy the whole key again, with all its lines")]
    Damaged,
    /// `RSA PRIVATE KEY`.
    #[error("is a PKCS#1 key; convert it with `openssl pkcs8 -topk8 -nocrypt -in KEY.pem`")]
    Pkcs1,
    /// `EC PRIVATE KEY`.
    #[error("is a SEC1 key; convert it with `openssl pkcs8 -topk8 -nocrypt -in KEY.pem`")]
    Sec1,
    /// `OPENSSH PRIVATE KEY`.
    #[error("is an OpenSSH key; make one with `convex-auth-proxy keygen`")]
    OpenSsh,
    /// `ENCRYPTED PRIVATE KEY`.
    #[error("is encrypted; decrypt it with `openssl pkcs8 -topk8 -nocrypt -in KEY.pem`")]
    Encrypted,
    /// A public key or a certificate.
    #[error("is a public key or a certificate; the private key is needed to sign")]
    Public,
    /// Neither RSA nor Ed25519 nor P-256.
    #[error("is neither an RSA nor an Ed25519 nor a P-256 key; make one with `convex-auth-proxy keygen`")]
    KindNotServed,
    /// RSA below 2048 or above 8192 bits.
    #[error("is an RSA key of a size that Convex refuses; it must have 2048 to 8192 bits")]
    RsaSize,
    /// Numbers that do not belong together, or another fault that aws-lc found.
    #[error("is a key whose numbers do not belong together; make one with `convex-auth-proxy keygen`")]
    Refused,
    /// No randomness or no memory.
    #[error("could not be generated: the system gave no randomness or no memory")]
    Generation,
    /// A name that is no algorithm here.
    #[error("must be `RS256`, `EdDSA` or `ES256`")]
    AlgorithmUnknown,
    /// The algorithm asked for is not the key's.
    #[error("must be `{key}`, which the private key is for, or left out")]
    AlgorithmDisagrees {
        /// What the key is for.
        key: Algorithm,
    },
    /// Not `{"keys":[{…}]}`, or a key whose `kty`, `kid`, `alg` or `use` is no text.
    #[error("is not a JSON Web Key Set: `{{\"keys\":[{{…}}]}}`, with texts as `kty`, `kid`, `alg` and `use`")]
    JwksUnreadable,
    /// A private member anywhere in it.
    #[error("holds private members (`d`, `p`, `k` or the like), and this set is published; leave the public ones only")]
    JwksPrivate,
    /// A key of the set has a `kid` that is empty, long, or has control characters.
    #[error(
        "has a key whose `kid` is not 1 to 256 characters without control characters; correct or remove that `kid`"
    )]
    JwksKidUnusable,
    /// The key is not in the set.
    #[error("does not contain the public half of the private key; `convex-auth-proxy keygen` prints both together")]
    JwksWithoutKey,
    /// The set has another `alg` for the key than tokens will have.
    #[error("has another `alg` for this key than its tokens have, and Convex would refuse each; correct or remove it")]
    JwksOtherAlgorithm,
    /// The set has the key for something else than signatures.
    #[error("has this key for another `use` than `sig`, and Convex would refuse each token; correct or remove it")]
    JwksOtherUse,
    /// Another key comes first under the same `kid`, or the key has no `kid` and is not the only one of its kind.
    #[error("does not tell this key from another in it; give each key a `kid` of its own")]
    JwksAmbiguous,
    /// The `kid` asked for is not the one in the set.
    #[error("is not the `kid` that the key set has for this key, and Convex would refuse each token; leave it out")]
    KidDiffers,
    /// The set has no `kid` for the key.
    #[error("names a `kid` where the key set has none for this key, and Convex would refuse each token; leave it out")]
    KidNotInJwks,
    /// Empty, long, or with control characters.
    #[error("must have 1 to 256 characters, none of them a control character")]
    KidUnusable,
}

/// Which of an operator's values a [`KeyProblem`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concerns {
    /// `token.private_key`.
    PrivateKey,
    /// `token.jwks`.
    Jwks,
    /// `token.kid`, `keygen --kid`.
    Kid,
    /// `token.algorithm`, `keygen --alg`.
    Algorithm,
}

impl KeyProblem {
    /// The value to change.
    pub fn concerns(&self) -> Concerns {
        match self {
            Self::NotPem
            | Self::SeveralPems
            | Self::Damaged
            | Self::Pkcs1
            | Self::Sec1
            | Self::OpenSsh
            | Self::Encrypted
            | Self::Public
            | Self::KindNotServed
            | Self::RsaSize
            | Self::Refused
            | Self::Generation => Concerns::PrivateKey,
            Self::AlgorithmUnknown | Self::AlgorithmDisagrees { .. } => Concerns::Algorithm,
            Self::JwksUnreadable
            | Self::JwksPrivate
            | Self::JwksKidUnusable
            | Self::JwksWithoutKey
            | Self::JwksOtherAlgorithm
            | Self::JwksOtherUse
            | Self::JwksAmbiguous => Concerns::Jwks,
            Self::KidDiffers | Self::KidNotInJwks | Self::KidUnusable => Concerns::Kid,
        }
    }
}
