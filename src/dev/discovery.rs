//! The keys of an issuer by OpenID Connect discovery, kept as long as the issuer allows.
//!
//! There is no second look for an unknown `kid`: a new key is invisible until the kept set is too old, as in Convex.
//! Invariant: a kept set is of the very issuer that was asked for, spelled as it was asked for.

use std::time::Duration;

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::refusal::Refusal;
use crate::clock::Now;

/// How long documents are kept whose issuer does not say (our choice: what the guide's routes say).
const KEPT_BY_DEFAULT: Duration = Duration::from_secs(15);
/// A document larger than this is refused (our choice; a key set has a few KiB).
const DOCUMENT_BYTES: usize = 1024 * 1024;
/// How long the issuer may take for one document (our choice).
const TIMEOUT: Duration = Duration::from_secs(10);

/// Fetches and keeps the key set of one issuer.
#[derive(Debug)]
pub struct KeySource {
    client: reqwest::Client,
    kept: Mutex<Option<KeySet>>,
}

#[derive(Debug)]
struct KeySet {
    issuer: String,
    keys: Vec<Jwk>,
    fresh_until: Instant,
}

/// The members of the provider's metadata that Convex demands.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
    authorization_endpoint: String,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

impl KeySource {
    /// A source with a client of its own, which uses no proxy.
    ///
    /// # Errors
    ///
    /// - [`reqwest::Error`]: the system's TLS roots cannot be used
    pub fn new() -> Result<Self, reqwest::Error> {
        // The client demands a provider even for plain HTTP. One that is installed already stays.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        Ok(Self { client, kept: Mutex::new(None) })
    }

    /// The keys of an issuer; its URL is the `iss` of the token, as spelled there. Concurrent callers share one fetch.
    ///
    /// # Errors
    ///
    /// - [`Refusal::Discovery`]: a document cannot be had, is too large, or is not what discovery demands
    pub async fn keys_of(&self, issuer: &str, now: Now) -> Result<Vec<Jwk>, Refusal> {
        let mut kept = self.kept.lock().await;
        if let Some(set) = kept.as_ref().filter(|set| set.issuer == issuer && now.steady < set.fresh_until) {
            return Ok(set.keys.clone());
        }
        let failed = |status| Refusal::Discovery { status, issuer: issuer.to_owned() };
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let (metadata, metadata_age) = self.fetch::<Metadata>(&address).await.map_err(failed)?;
        if metadata.issuer != issuer || url::Url::parse(&metadata.authorization_endpoint).is_err() {
            return Err(failed(StatusCode::BAD_REQUEST));
        }
        let (jwks, jwks_age) = self.fetch::<Jwks>(&metadata.jwks_uri).await.map_err(failed)?;
        // A key of an unknown kind is passed over; the others count.
        let keys: Vec<Jwk> = jwks.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
        let fresh_until = now.steady + metadata_age.min(jwks_age);
        *kept = Some(KeySet { issuer: issuer.to_owned(), keys: keys.clone(), fresh_until });
        Ok(keys)
    }

    /// A JSON document and how long it may be kept; otherwise the status that the caller of the deployment gets.
    async fn fetch<T: for<'de> Deserialize<'de>>(&self, address: &str) -> Result<(T, Duration), StatusCode> {
        let unreachable = |_| StatusCode::SERVICE_UNAVAILABLE;
        let request = self.client.get(address).header(http::header::ACCEPT, "application/json");
        let mut response = request.send().await.map_err(unreachable)?;
        if response.status() != StatusCode::OK {
            return Err(status_for_caller(response.status()));
        }
        let text = |name| response.headers().get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        let age = text(CACHE_CONTROL).map_or(KEPT_BY_DEFAULT, max_age);
        let is_json = text(CONTENT_TYPE).is_none_or(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            kind == "application/json" || kind == "application/jwk-set+json"
        });
        if !is_json {
            return Err(StatusCode::BAD_REQUEST);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > DOCUMENT_BYTES {
                return Err(StatusCode::BAD_REQUEST);
            }
            body.extend_from_slice(&chunk);
        }
        let document = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
        Ok((document, age))
    }
}

/// An issuer's failure is an outage here; an issuer's refusal is a refusal here.
fn status_for_caller(of_issuer: StatusCode) -> StatusCode {
    match of_issuer.as_u16() {
        500.. => StatusCode::SERVICE_UNAVAILABLE,
        401 | 403 | 404 | 408 | 409 | 421 | 425 | 429 => of_issuer,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The `max-age` of a `Cache-Control` value; zero with `no-store` or `no-cache`, the default without either.
fn max_age(cache_control: &str) -> Duration {
    let mut directives = cache_control.split(',').map(|directive| directive.trim().to_ascii_lowercase());
    let mut age = KEPT_BY_DEFAULT;
    for directive in directives.by_ref() {
        if directive == "no-store" || directive == "no-cache" {
            return Duration::ZERO;
        }
        if let Some(seconds) = directive.strip_prefix("max-age=").and_then(|seconds| seconds.parse::<u32>().ok()) {
            age = Duration::from_secs(seconds.into());
        }
    }
    age
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_kept_for_max_age() {
        let seconds = |value| max_age(value).as_secs();
        assert_eq!(seconds("public, max-age=60, stale-while-revalidate=15"), 60);
        assert_eq!(seconds("Max-Age=0"), 0);
        assert_eq!(seconds("public"), 15);
        assert_eq!(seconds("max-age=60, no-store"), 0);
        assert_eq!(seconds("max-age=a"), 15);
    }

    #[test]
    fn an_issuer_that_fails_is_an_outage_and_one_that_refuses_a_refusal() {
        for (of_issuer, of_deployment) in [(500, 503), (502, 503), (404, 404), (410, 400), (301, 400)] {
            let status = StatusCode::from_u16(of_issuer).unwrap();
            assert_eq!(status_for_caller(status).as_u16(), of_deployment);
        }
    }
}
