//! The two documents by which Convex verifies a token: OIDC discovery and the key set.
//!
//! Made once, served for ever: bytes and headers, ready to be sent. Answering `GET` or `HEAD`, and with which status, is the
//! server's.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::HeaderValue;
use serde::Serialize;

use crate::{config, keys::Algorithm};

/// Our choice. Convex keeps what it fetched for `max-age` and does not fetch again for an unknown `kid`, so a new key is
/// invisible for that long; and an outage of the proxy must not make tokens that are out there unverifiable.
const CACHE_CONTROL: HeaderValue =
    HeaderValue::from_static("public, max-age=15, stale-while-revalidate=15, stale-if-error=86400");
/// Convex accepts `application/json` for both documents.
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/json");

/// Both documents of one issuer.
#[derive(Debug, Clone)]
pub struct Documents {
    /// `/.well-known/openid-configuration`.
    pub discovery: Document,
    /// `/.well-known/jwks.json`.
    pub jwks: Document,
}

/// A body and the headers that go with it.
#[derive(Debug, Clone)]
pub struct Document {
    body: Bytes,
    etag: HeaderValue,
}

/// OpenID Connect Discovery 1.0 section 3: all members that it requires, and no other.
#[derive(Serialize)]
struct Discovery<'a> {
    issuer: &'a str,
    authorization_endpoint: String,
    jwks_uri: String,
    response_types_supported: [&'a str; 1],
    subject_types_supported: [&'a str; 1],
    id_token_signing_alg_values_supported: [&'a str; 1],
}

impl Documents {
    /// The documents of `issuer`, which is in them exactly as given: Convex compares it with the token's byte for byte.
    /// `jwks` is the published set, JSON text.
    ///
    /// `authorization_endpoint` must be there and names a route that nobody serves: there is no OAuth here.
    pub fn new(issuer: &str, algorithm: Algorithm, jwks: &str) -> Self {
        let base = issuer.trim_end_matches('/');
        let discovery = Discovery {
            issuer,
            authorization_endpoint: format!("{base}/oauth/authorize"),
            jwks_uri: format!("{base}/.well-known/jwks.json"),
            response_types_supported: ["id_token"],
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: [algorithm.name()],
        };
        #[expect(clippy::expect_used, reason = "a struct of texts and lists of texts always has a JSON form")]
        let discovery = serde_json::to_vec(&discovery).expect("texts have a JSON form");
        Self { discovery: Document::new(discovery), jwks: Document::new(jwks.as_bytes().to_vec()) }
    }
}

impl From<&config::Token> for Documents {
    fn from(token: &config::Token) -> Self {
        Self::new(&token.issuer, token.key.algorithm(), &token.jwks)
    }
}

impl Document {
    fn new(body: Vec<u8>) -> Self {
        let mut hash = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &body));
        // Half of it tells any two documents apart.
        hash.truncate(22);
        let etag = format!("\"{hash}\"");
        #[expect(clippy::expect_used, reason = "base64url in quotes is visible ASCII")]
        let etag = HeaderValue::from_str(&etag).expect("visible ASCII");
        Self { body: body.into(), etag }
    }

    /// The JSON text. A clone of it is a pointer.
    pub fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// A strong validator: half of the body's SHA-256, in quotes.
    pub fn etag(&self) -> &HeaderValue {
        &self.etag
    }

    /// `application/json`.
    pub fn content_type(&self) -> HeaderValue {
        CONTENT_TYPE
    }

    /// How long caches may keep it, for 200 and 304 alike.
    pub fn cache_control(&self) -> HeaderValue {
        CACHE_CONTROL
    }
}

/// Whether a client has the document already, so that 304 is the answer.
///
/// `if_none_match` is every header line of that name, untrusted. `*` and any list with our tag, weak or strong, say yes (RFC
/// 9110 sections 13.1.2 and 8.8.3.2: the comparison is the weak one). A line that is no list of tags says nothing from
/// where it stops being one.
pub fn is_current<'a>(if_none_match: impl IntoIterator<Item = &'a HeaderValue>, etag: &HeaderValue) -> bool {
    if_none_match.into_iter().any(|line| has_tag(line.as_bytes(), etag.as_bytes()))
}

fn has_tag(line: &[u8], etag: &[u8]) -> bool {
    if line.trim_ascii() == b"*" {
        return true;
    }
    let mut rest = line;
    while let Some((tag, after)) = next_tag(rest) {
        if tag == etag {
            return true;
        }
        rest = after;
    }
    false
}

/// The next tag of a list with its quotes, without its `W/`; tags may hold commas. And what stands after it.
fn next_tag(list: &[u8]) -> Option<(&[u8], &[u8])> {
    let blanks = list.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b',')).count();
    let list = list.get(blanks..)?;
    let list = list.strip_prefix(b"W/").unwrap_or(list);
    let inside = list.strip_prefix(b"\"")?;
    let length = inside.iter().position(|byte| *byte == b'"')? + 2;
    list.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::{Documents, is_current};
    use crate::keys::Algorithm;

    fn documents() -> Documents {
        Documents::new("https://happy-otter-123.convex.site", Algorithm::Rs256, r#"{"keys":[]}"#)
    }

    #[test]
    fn discovery_has_what_oidc_requires() {
        let body = documents().discovery.body();
        insta::assert_snapshot!(str::from_utf8(&body).unwrap().replace(",\"", ",\n\""), @r#"
        {"issuer":"https://happy-otter-123.convex.site",
        "authorization_endpoint":"https://happy-otter-123.convex.site/oauth/authorize",
        "jwks_uri":"https://happy-otter-123.convex.site/.well-known/jwks.json",
        "response_types_supported":["id_token"],
        "subject_types_supported":["public"],
        "id_token_signing_alg_values_supported":["RS256"]}
        "#);
    }

    #[test]
    fn an_issuer_keeps_its_slash_and_the_addresses_have_one() {
        let body = Documents::new("http://localhost:8080/", Algorithm::EdDsa, "{}").discovery.body();
        let discovery: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(discovery["issuer"], "http://localhost:8080/");
        assert_eq!(discovery["jwks_uri"], "http://localhost:8080/.well-known/jwks.json");
        assert_eq!(discovery["id_token_signing_alg_values_supported"], serde_json::json!(["EdDSA"]));
    }

    #[test]
    fn the_key_set_is_served_as_it_is() {
        let jwks = documents().jwks;
        assert_eq!(jwks.body(), r#"{"keys":[]}"#);
        assert_eq!(jwks.content_type(), "application/json");
        assert_eq!(jwks.cache_control(), "public, max-age=15, stale-while-revalidate=15, stale-if-error=86400");
    }

    #[test]
    fn a_tag_follows_from_the_body() {
        let other = Documents::new("https://happy-otter-123.convex.site", Algorithm::Rs256, r#"{"keys":[1]}"#);
        assert_eq!(documents().jwks.etag(), documents().jwks.etag());
        assert_ne!(documents().jwks.etag(), other.jwks.etag());
        assert_eq!(documents().jwks.etag().len(), 24);
    }

    fn says_current(lines: &[&str]) -> bool {
        let lines: Vec<HeaderValue> = lines.iter().map(|line| HeaderValue::from_str(line).unwrap()).collect();
        is_current(&lines, &HeaderValue::from_static("\"ours\""))
    }

    #[test]
    fn a_client_that_has_it_is_told_so() {
        for lines in [
            &["\"ours\""][..],
            &["W/\"ours\""],
            &["*"],
            &[" * "],
            &["\"other\", \"ours\""],
            &["\"a,b\",W/\"c\" , W/\"ours\""],
            &["\"other\"", "\"ours\""],
            &[", ,\"ours\","],
        ] {
            assert!(says_current(lines), "{lines:?}");
        }
    }

    #[test]
    fn a_client_that_has_another_gets_the_document() {
        for lines in [
            &[][..],
            &[""],
            &["\"other\""],
            &["ours"],
            &["\"ours"],
            &["\"Ours\""],
            &["w/\"ours\""],
            &["\"*\""],
            &["\"x\\\"ours\""],
            &["\",\"ours\",\""],
            &["*, \"other\""],
        ] {
            assert!(!says_current(lines), "{lines:?}");
        }
    }

    proptest! {
        /// The law: our tag in a list of any tags is found, and a list without it never says that a client has it.
        #[test]
        fn our_tag_is_found_wherever_it_stands(before in "(W/)?\"[a-z,]{0,8}\"", after in "(W/)?\"[a-z,]{0,8}\"") {
            prop_assume!(before != "\"ours\"" && after != "\"ours\"" && before != "W/\"ours\"" && after != "W/\"ours\"");
            let found = format!("{before}, \"ours\", {after}");
            prop_assert!(says_current(&[&found]));
            let absent = format!("{before},{after}");
            prop_assert!(!says_current(&[&absent]));
        }
    }
}
