//! Signatures by aws-lc-rs alone, from a key that it has parsed itself: what no token can cost less than.

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{BenchProblem, Case, Row, pace::pace};
use crate::keys::{KeyProblem, SigningKey};

/// A private key in the hands of aws-lc-rs, without anything of the proxy's.
#[derive(Debug)]
pub struct RawKey {
    pair: Pair,
    random: SystemRandom,
    signature: Vec<u8>,
}

#[derive(Debug)]
enum Pair {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl RawKey {
    /// Takes a key from its PKCS#8 document.
    ///
    /// # Errors
    ///
    /// [`KeyProblem::Refused`]: the document is none that aws-lc reads.
    pub fn new(key: &SigningKey) -> Result<Self, KeyProblem> {
        let pem = key.to_pkcs8_pem();
        let base64: String = pem.expose().lines().filter(|line| !line.starts_with('-')).collect();
        let document = STANDARD.decode(base64).map_err(|_| KeyProblem::Refused)?;
        let pair = match key.algorithm() {
            super::Algorithm::Rs256 => RsaKeyPair::from_pkcs8(&document).map(Pair::Rsa),
            super::Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(&document).map(Pair::Ed25519),
            super::Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &document).map(Pair::P256)
            }
        };
        let pair = pair.map_err(|_| KeyProblem::Refused)?;
        let bytes = if let Pair::Rsa(pair) = &pair { pair.public_modulus_len() } else { 0 };
        Ok(Self { pair, random: SystemRandom::new(), signature: vec![0; bytes] })
    }

    /// Signs, and gives the signature to nobody. Says whether there is one.
    pub fn sign(&mut self, message: &[u8]) -> bool {
        match &self.pair {
            Pair::Rsa(pair) => pair.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut self.signature).is_ok(),
            Pair::Ed25519(pair) => pair.try_sign(message).map(black_box).is_ok(),
            Pair::P256(pair) => pair.sign(&self.random, message).map(black_box).is_ok(),
        }
    }

    /// Whether what it signs is verified by its public half.
    pub fn proves_itself(&mut self, message: &[u8]) -> bool {
        match &self.pair {
            Pair::Rsa(pair) => {
                let signed = pair.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut self.signature);
                let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key());
                signed.is_ok() && public.verify(message, &self.signature).is_ok()
            }
            Pair::Ed25519(pair) => {
                let public = UnparsedPublicKey::new(&ED25519, pair.public_key());
                pair.try_sign(message).is_ok_and(|signature| public.verify(message, signature.as_ref()).is_ok())
            }
            Pair::P256(pair) => {
                let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key());
                let signature = pair.sign(&self.random, message);
                signature.is_ok_and(|signature| public.verify(message, signature.as_ref()).is_ok())
            }
        }
    }
}

pub(super) fn measure(case: Case) -> Result<Row, BenchProblem> {
    let key = SigningKey::generate(case.algorithm())?;
    let message = super::tokens::unsigned_token(&key)?;
    if !RawKey::new(&key)?.proves_itself(message.as_bytes()) {
        return Err(BenchProblem::Wrong("a signature"));
    }
    let failed = AtomicBool::new(false);
    let pace = pace(case.at_once, case.each, 1, || {
        let mut key = RawKey::new(&key)?;
        let (message, failed) = (message.as_bytes(), &failed);
        // One that fails is fast, and must not be counted as a signature.
        Ok(move || {
            if !black_box(key.sign(black_box(message))) {
                failed.store(true, Relaxed);
            }
        })
    })?;
    if failed.into_inner() { Err(BenchProblem::Wrong("a signature")) } else { Ok(Row::new(case, pace)) }
}
