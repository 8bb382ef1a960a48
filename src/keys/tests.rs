use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use serde_json::{Value, json};

use super::{Algorithm, Concerns, KeyProblem, SigningKey, publish};
use crate::secret::Secret;

/// The key of RFC 8037 appendix A.1.
pub(super) const RFC_8037: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";

/// Made for this test by `openssl genrsa 1024`.
const RSA_1024: &str = "-----BEGIN PRIVATE KEY-----
MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBALmQ3W5NFMAZf5Qv
mSzfA8zQIafJFnWnLDGHKPzUi5XzchKLGdFr9WOZaYQLpNnshT3SYXemy2ZMOpzk
O+uGH1XPHqnz8g1gJziCkkCN6mBoOwYP84kjKj39iCQTengbK+uvM7mtbh973cTA
PwTjfDHviqy5vmKJ8h7rD5xo1w8PAgMBAAECgYAilKl/JaQpTFcnEVu1LfYyU9MB
xoqF8Fpe/HYZ7633ir+GTx/HlBvNrMgqEFVvOxF1fOAnARFEhg4iMLIt6Pern61M
+aO3kPgtRxRuYFgwQqiHX40JxiRUXTUhqb0AM4z+PdqORH12M+VwtH1Rw/HOcJX3
aTAwoS+B7FJaQSZxSQJBAOXJ5hJxiaWi9kJm3jQUJPR0qprOjoJsl4NiPyEzfGy8
89DMmfjroKneA4JuxzmX+XBgz6XFz7txZK+aacfnv7UCQQDOu5vDIrVkdH2g6W4y
4QO9ir4kPwxLYmUxRrjuMmaCaSU2ES4aw7ZcNEVsuWig8zMvcHYSMpkbrertyl9O
uyYzAkBFTCHqJftQzFhfpg4Uvo52ekiI7wnjI0R+Br7rEE/RqxoMOeelPcnx8FY2
m5nRMJe04D0+zOzcplGq83I7KxSRAkAoAgCr6+ykyzKA0IwGBqvdo5sWkqkDccBZ
n/EsD87s0AJmiz6b6WJCR89jsiIAe/Bc7uu6q9YbmDXN3QtCxk8nAkEAllojgbWF
xhHclJ8cXVOQmyKklY/pYn/Zw0LoBmRNMMEPE6WxA0E6tUJ3XywpmtNDjnTVqaig
7moKoMq6nPbDvw==
-----END PRIVATE KEY-----
";

/// Made for this test by `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384`.
const P384: &str = "-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDCC56h3zXMVE5DDkzUt
cYmm8yMA3/uzH6ALm1pOR3/As2GyEZeDvdqg/QKGCJK0xP+hZANiAAQNTnetFFKV
F/MrYUgJhbubQURck6EeCYrSJAn18Vb7tn9g2ER8RWmoAFCATquc/9P+myHZyxRy
QACmyto/kiY/xMQcsIPE4GHyoWrbsaqNPZ6pRbF8+1RP7q7ralp72DY=
-----END PRIVATE KEY-----
";

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Es256];

fn read(pem: &str) -> Result<SigningKey, KeyProblem> {
    SigningKey::from_pem(&Secret::new(pem), None)
}

fn rfc_8037() -> SigningKey {
    read(RFC_8037).unwrap()
}

#[test]
fn a_generated_key_signs_what_its_public_half_verifies() {
    for algorithm in ALGORITHMS {
        let key = SigningKey::generate(algorithm).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let signature = key.sign(b"message").unwrap();
        assert_eq!(signature.len(), key.signature_bytes(), "{algorithm}");

        let jwk = serde_json::to_value(key.public_jwk(None)).unwrap();
        let member = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        let (verifier, public): (&'static dyn VerificationAlgorithm, Vec<u8>) = match algorithm {
            Algorithm::Rs256 => {
                let components = aws_lc_rs::signature::RsaPublicKeyComponents { n: member("n"), e: member("e") };
                components.verify(&RSA_PKCS1_2048_8192_SHA256, b"message", &signature).unwrap();
                assert!(components.verify(&RSA_PKCS1_2048_8192_SHA256, b"massage", &signature).is_err());
                continue;
            }
            Algorithm::EdDsa => (&ED25519, member("x")),
            Algorithm::Es256 => (&ECDSA_P256_SHA256_FIXED, [vec![4], member("x"), member("y")].concat()),
        };
        let public = UnparsedPublicKey::new(verifier, public);
        public.verify(b"message", &signature).unwrap();
        assert!(public.verify(b"massage", &signature).is_err());
    }
}

#[test]
fn a_written_key_reads_as_the_same_key() {
    for algorithm in ALGORITHMS {
        let key = SigningKey::generate(algorithm).unwrap();
        let again = SigningKey::from_pem(&key.to_pkcs8_pem(), Some(algorithm)).unwrap();
        assert_eq!(again.public_jwk(None), key.public_jwk(None));
        assert_eq!(again.to_pkcs8_pem().expose(), key.to_pkcs8_pem().expose());
        let lines: Vec<usize> = key.to_pkcs8_pem().expose().lines().map(str::len).collect();
        assert!(lines[1..lines.len() - 2].iter().all(|length| *length == 64), "{lines:?}");
    }
}

#[test]
fn a_key_reads_as_environments_and_files_carry_it() {
    let body = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
    let escaped = RFC_8037.replace('\n', "\\n");
    for pem in [
        RFC_8037.to_owned(),
        RFC_8037.replace('\n', "\r\n"),
        RFC_8037.replace('\n', " "),
        RFC_8037.replace('\n', ""),
        escaped.clone(),
        format!("\"{escaped}\""),
        format!("  '{escaped}' \n"),
        RFC_8037.replace('\n', "\\r\\n"),
        format!("Bag Attributes\n    localKeyID: 01\n{RFC_8037}"),
        format!("-----BEGIN PRIVATE KEY-----{}\n{}-----END PRIVATE KEY-----", &body[..10], &body[10..]),
    ] {
        assert_eq!(read(&pem).unwrap().thumbprint(), rfc_8037().thumbprint(), "{pem:?}");
    }
    assert_eq!(rfc_8037().to_pkcs8_pem().expose(), RFC_8037);
}

#[test]
fn a_key_of_another_kind_is_refused_with_a_reason_of_its_own() {
    let with_label = |label: &str| RFC_8037.replace("PRIVATE KEY", label);
    for (pem, problem) in [
        (String::new(), KeyProblem::NotPem),
        ("MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v".to_owned(), KeyProblem::NotPem),
        (RFC_8037.replace("-----END", "-----"), KeyProblem::NotPem),
        (with_label("NONSENSE"), KeyProblem::NotPem),
        (format!("{RFC_8037}{RFC_8037}"), KeyProblem::SeveralPems),
        (RFC_8037.replace("MC4C", ""), KeyProblem::Damaged),
        (RFC_8037.replace("MC4C", "MC*C"), KeyProblem::Damaged),
        (with_label("RSA PRIVATE KEY"), KeyProblem::Pkcs1),
        (with_label("EC PRIVATE KEY"), KeyProblem::Sec1),
        (with_label("OPENSSH PRIVATE KEY"), KeyProblem::OpenSsh),
        (with_label("ENCRYPTED PRIVATE KEY"), KeyProblem::Encrypted),
        (with_label("PUBLIC KEY"), KeyProblem::Public),
        (with_label("CERTIFICATE"), KeyProblem::Public),
        (P384.to_owned(), KeyProblem::KindNotServed),
        (RSA_1024.to_owned(), KeyProblem::RsaSize),
    ] {
        assert_eq!(read(&pem).err(), Some(problem), "{pem}");
        assert_eq!(problem.concerns(), Concerns::PrivateKey);
    }
}

#[test]
fn an_algorithm_that_is_given_must_be_the_keys() {
    let read = |algorithm| SigningKey::from_pem(&Secret::new(RFC_8037), Some(algorithm)).map(|key| key.algorithm());
    assert_eq!(read(Algorithm::EdDsa), Ok(Algorithm::EdDsa));
    let problem = read(Algorithm::Rs256).unwrap_err();
    assert_eq!(problem.concerns(), Concerns::Algorithm);
    insta::assert_snapshot!(problem, @"must be `EdDSA`, which the private key is for, or left out");
    assert_eq!("HS256".parse::<Algorithm>(), Err(KeyProblem::AlgorithmUnknown));
    for algorithm in ALGORITHMS {
        assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        assert_eq!(format!("{:?}", jsonwebtoken::Algorithm::from(algorithm)), algorithm.name());
    }
}

#[test]
fn the_thumbprint_is_that_of_rfc_8037() {
    assert_eq!(rfc_8037().thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn the_thumbprint_is_what_another_implementation_makes_of_the_published_key() {
    for algorithm in ALGORITHMS {
        let key = SigningKey::generate(algorithm).unwrap();
        let jwk: Jwk = serde_json::from_value(serde_json::to_value(key.public_jwk(Some("name"))).unwrap()).unwrap();
        assert_eq!(jwk.thumbprint(ThumbprintHash::SHA256).unwrap(), key.thumbprint(), "{algorithm}");
        assert_eq!(jwk.common.key_id.as_deref(), Some("name"));
    }
}

#[test]
fn a_set_is_made_from_the_key_alone() {
    let published = publish(&rfc_8037(), None, None).unwrap();
    insta::assert_snapshot!(published.jwks, @r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","use":"sig"}]}"#);
    assert_eq!(published.kid, Some(rfc_8037().thumbprint()));
    assert_eq!(publish(&rfc_8037(), None, Some("2026-11")).unwrap().kid.as_deref(), Some("2026-11"));

    for (algorithm, members) in
        [(Algorithm::Rs256, "kty n e kid use alg"), (Algorithm::Es256, "kty crv x y kid use alg")]
    {
        let key = SigningKey::generate(algorithm).unwrap();
        let set: Value = serde_json::from_str(&publish(&key, None, None).unwrap().jwks).unwrap();
        let names: Vec<&String> = set["keys"][0].as_object().unwrap().keys().collect();
        assert_eq!(names, members.split(' ').collect::<Vec<_>>());
        assert_eq!(set["keys"][0]["alg"], algorithm.name());
    }
}

fn ours() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

fn with(mut key: Value, members: Value) -> Value {
    let Value::Object(members) = members else { panic!("members are an object") };
    key.as_object_mut().unwrap().extend(members);
    key
}

fn set(keys: &[Value]) -> String {
    serde_json::to_string_pretty(&json!({"keys": keys, "note": "kept"})).unwrap()
}

#[test]
fn a_given_set_is_served_as_given_and_says_the_kid() {
    let rsa = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "old", "x5t": "kept"});
    let ours = with(ours(), json!({"kid": "new", "alg": "EdDSA", "use": "sig", "ext": {"any": [1, null]}}));
    let published = publish(&rfc_8037(), Some(&format!(" '{}' ", set(&[rsa, ours]))), None).unwrap();
    insta::assert_snapshot!(published.jwks, @r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"old","x5t":"kept"},{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"new","alg":"EdDSA","use":"sig","ext":{"any":[1,null]}}],"note":"kept"}"#);
    assert_eq!(published.kid.as_deref(), Some("new"));
}

#[test]
fn a_given_set_without_a_kid_leaves_tokens_without_one() {
    assert_eq!(publish(&rfc_8037(), Some(&set(&[ours()])), None).unwrap().kid, None);
    let null = with(ours(), json!({"kid": null}));
    assert_eq!(publish(&rfc_8037(), Some(&set(&[null])), None).unwrap().kid, None);
}

#[test]
fn a_key_is_found_by_its_numbers_whatever_their_leading_zeros() {
    let key = SigningKey::generate(Algorithm::Rs256).unwrap();
    let mut jwk = serde_json::to_value(key.public_jwk(Some("one"))).unwrap();
    let n = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    jwk["n"] = URL_SAFE_NO_PAD.encode([vec![0], n].concat()).into();
    assert_eq!(publish(&key, Some(&set(&[jwk.clone()])), None).unwrap().kid.as_deref(), Some("one"));
    jwk["e"] = "AQAC".into();
    assert_eq!(publish(&key, Some(&set(&[jwk])), None), Err(KeyProblem::JwksWithoutKey));
}

#[test]
fn a_key_that_stands_twice_is_taken_under_the_kid_that_is_asked_for() {
    let twice = set(&[ours(), with(ours(), json!({"kid": "a"})), with(ours(), json!({"kid": "b"}))]);
    for (asked, found) in [(None, "a"), (Some("a"), "a"), (Some("b"), "b")] {
        assert_eq!(publish(&rfc_8037(), Some(&twice), asked).unwrap().kid.as_deref(), Some(found));
    }
}

#[test]
fn a_set_by_which_convex_would_refuse_each_token_is_refused() {
    let other = json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"});
    let private = json!({"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "d": "AAAA"});
    let symmetric = json!({"kty": "oct", "k": "AAAA"});
    for (jwks, problem) in [
        ("{".to_owned(), KeyProblem::JwksUnreadable),
        ("[]".to_owned(), KeyProblem::JwksUnreadable),
        (r#"{"keys":{}}"#.to_owned(), KeyProblem::JwksUnreadable),
        (set(&[ours(), json!(1)]), KeyProblem::JwksUnreadable),
        (set(&[with(ours(), json!({"kid": 1}))]), KeyProblem::JwksUnreadable),
        (set(&[with(ours(), json!({"kid": ""}))]), KeyProblem::JwksKidUnusable),
        (set(&[ours(), with(other.clone(), json!({"kid": "a\nb"}))]), KeyProblem::JwksKidUnusable),
        (set(&[]), KeyProblem::JwksWithoutKey),
        (set(std::slice::from_ref(&other)), KeyProblem::JwksWithoutKey),
        (set(&[ours(), private]), KeyProblem::JwksPrivate),
        (set(&[ours(), symmetric]), KeyProblem::JwksPrivate),
        (set(&[with(ours(), json!({"more": [{"qi": 1}]}))]), KeyProblem::JwksPrivate),
        (set(&[with(ours(), json!({"alg": "ES256"}))]), KeyProblem::JwksOtherAlgorithm),
        (set(&[with(ours(), json!({"use": "enc"}))]), KeyProblem::JwksOtherUse),
        (set(&[ours(), other.clone()]), KeyProblem::JwksAmbiguous),
        (set(&[with(other, json!({"kid": "a"})), with(ours(), json!({"kid": "a"}))]), KeyProblem::JwksAmbiguous),
    ] {
        assert_eq!(publish(&rfc_8037(), Some(&jwks), None), Err(problem), "{jwks}");
        assert_eq!(problem.concerns(), Concerns::Jwks);
    }
}

#[test]
fn a_kid_that_the_set_does_not_have_is_refused() {
    let named = set(&[with(ours(), json!({"kid": "a"}))]);
    for (jwks, kid, problem) in [
        (Some(named.as_str()), "b", KeyProblem::KidDiffers),
        (Some(set(&[ours()]).as_str()), "a", KeyProblem::KidNotInJwks),
        (None, "", KeyProblem::KidUnusable),
        (None, "a\nb", KeyProblem::KidUnusable),
        (None, "x".repeat(257).as_str(), KeyProblem::KidUnusable),
    ] {
        assert_eq!(publish(&rfc_8037(), jwks, Some(kid)), Err(problem));
        assert_eq!(problem.concerns(), Concerns::Kid);
    }
}

#[test]
fn problems_say_what_to_do() {
    let problems = [
        KeyProblem::NotPem,
        KeyProblem::Pkcs1,
        KeyProblem::Encrypted,
        KeyProblem::RsaSize,
        KeyProblem::JwksUnreadable,
        KeyProblem::JwksWithoutKey,
        KeyProblem::KidNotInJwks,
    ];
    insta::assert_snapshot!(problems.map(|problem| problem.to_string()).join("\n"), @r#"
    is not a PKCS#8 PEM (`-----BEGIN PRIVATE KEY-----` … `-----END PRIVATE KEY-----`)
    is a PKCS#1 key; convert it with `openssl pkcs8 -topk8 -nocrypt -in KEY.pem`
    is encrypted; decrypt it with `openssl pkcs8 -topk8 -nocrypt -in KEY.pem`
    is an RSA key of a size that Convex refuses; it must have 2048 to 8192 bits
    is not a JSON Web Key Set: `{"keys":[{…}]}`, with texts as `kty`, `kid`, `alg` and `use`
    does not contain the public half of the private key; `convex-auth-proxy keygen` prints both together
    names a `kid` where the key set has none for this key, and Convex would refuse each token; leave it out
    "#);
}

#[test]
fn debug_output_shows_the_algorithm_only() {
    assert_eq!(format!("{:?}", rfc_8037()), "SigningKey(EdDSA)");
}
