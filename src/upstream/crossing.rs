//! What crosses: the one table of headers in each direction. What is not listed stays behind.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{error::Rejection, permit::Credential};

/// The headers of a request to the deployment. Made from a table, never copied whole.
#[derive(Debug, Clone, Default)]
pub struct Crossing {
    pub(super) headers: HeaderMap,
}

/// That what a caller says of its client was checked. Made by [`Crossing::check_client`] alone.
#[derive(Debug)]
pub struct ClientChecked(());

/// From the caller to the deployment. Not among them: `Host` (the deployment's own is set), cookies, `Origin`, `Forwarded` and all
/// `X-Forwarded-*` under any spelling, `Content-Encoding`, and every header that nobody has thought of.
const THERE: [HeaderName; 4] =
    [header::ACCEPT_ENCODING, header::USER_AGENT, HeaderName::from_static("traceparent"), CONVEX_CLIENT];

/// From the deployment to the caller. Not among them: `Set-Cookie`, CORS (answered here), `Location`, hop-by-hop headers.
const BACK: [HeaderName; 8] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CACHE_CONTROL,
    header::DATE,
    header::RETRY_AFTER,
    HeaderName::from_static("x-convex-deprecation-state"),
    HeaderName::from_static("x-convex-deprecation-message"),
];

/// The request's name in logs, here and at the deployment.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Which client speaks, and in which version: decides formats and deprecation at the deployment.
pub const CONVEX_CLIENT: HeaderName = HeaderName::from_static("convex-client");

impl Crossing {
    /// Takes what may cross from a caller's head.
    pub fn from_caller(headers: &HeaderMap, _: &ClientChecked) -> Self {
        let mut crossing = Self::default();
        for name in &THERE {
            if let Some(value) = headers.get(name) {
                crossing.headers.insert(name, value.clone());
            }
        }
        crossing
    }

    /// Checks what a caller says of its client, which decides about a request even where nothing crosses in the end.
    ///
    /// # Errors
    ///
    /// [`Rejection::BadClientVersion`]: `Convex-Client` twice or not `name-version`.
    pub fn check_client(headers: &HeaderMap) -> Result<ClientChecked, Rejection> {
        let mut clients = headers.get_all(CONVEX_CLIENT).iter();
        match (clients.next(), clients.next()) {
            (None, _) => Ok(ClientChecked(())),
            (Some(client), None) if is_client_version(client) => Ok(ClientChecked(())),
            _ => Err(Rejection::BadClientVersion),
        }
    }

    /// The same headers with bytes of their own: what came in is a part of the connection's buffer, which would be kept as long.
    pub fn detached(&self) -> Self {
        let copy = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
        let headers = self.headers.iter().filter_map(|(name, value)| Some((name.clone(), copy(value)?)));
        Self { headers: headers.collect() }
    }

    /// Sets the id that the request has in the logs here.
    pub fn identified(mut self, id: &HeaderValue) -> Self {
        self.headers.insert(REQUEST_ID, id.clone());
        self
    }

    /// Asks for an answer that is not compressed.
    pub fn uncompressed(mut self) -> Self {
        self.headers.remove(header::ACCEPT_ENCODING);
        self
    }

    /// Sets who the deployment shall take the caller for: the caller's own token.
    pub fn with_credential(mut self, credential: Credential<'_>) -> Self {
        if let Credential::Bearer(token) = credential {
            self.set_bearer(token);
        }
        self
    }

    /// Sets a token that was minted here.
    pub fn with_token(mut self, token: &str) -> Self {
        self.set_bearer(token);
        self
    }

    fn set_bearer(&mut self, token: &str) {
        if let Ok(mut value) = HeaderValue::try_from(format!("Bearer {token}")) {
            value.set_sensitive(true);
            self.headers.insert(header::AUTHORIZATION, value);
        }
    }
}

/// What may cross back.
pub(super) fn back(headers: &HeaderMap) -> HeaderMap {
    let mut crossing = HeaderMap::with_capacity(BACK.len());
    for name in &BACK {
        if let Some(value) = headers.get(name) {
            crossing.insert(name, value.clone());
        }
    }
    crossing
}

/// `name-version`: the backend splits at the first `-` and wants a semantic version after it.
fn is_client_version(value: &HeaderValue) -> bool {
    value
        .to_str()
        .ok()
        .and_then(|text| text.split_once('-'))
        .is_some_and(|(name, version)| !name.is_empty() && version.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::{Crossing, back};
    use crate::error::Rejection;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn l3_l4_l9_what_a_caller_claims_about_itself_stays_behind() {
        let head = headers(&[
            ("x-forwarded-for", "1.2.3.4"),
            ("x_forwarded_for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
            ("cookie", "authjs.session-token=x"),
            ("authorization", "Bearer x"),
            ("host", "evil"),
            ("origin", "https://evil"),
            ("content-encoding", "gzip"),
            ("convex-client", "npm-1.48.0"),
            ("user-agent", "node"),
        ]);
        let client = Crossing::check_client(&head).expect("it crosses");
        let crossing = Crossing::from_caller(&head, &client);
        let mut names: Vec<_> = crossing.headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["convex-client", "user-agent"]);
    }

    #[test]
    fn rule_29_the_client_version_must_be_one() {
        for bad in ["npm", "-1.0.0", "npm-", "npm-x"] {
            let refused = Crossing::check_client(&headers(&[("convex-client", bad)])).map(|_| ());
            assert_eq!(refused, Err(Rejection::BadClientVersion), "{bad}");
        }
    }

    #[test]
    fn cookies_and_cors_of_the_deployment_stay_behind() {
        let passed = back(&headers(&[
            ("content-type", "application/json"),
            ("set-cookie", "a=b"),
            ("access-control-allow-origin", "*"),
            ("location", "http://x"),
            ("connection", "close"),
        ]));
        assert_eq!(passed.len(), 1);
    }

    #[test]
    fn a_token_never_shows_in_debug_output() {
        let crossing = Crossing::default().with_token("canary");
        assert!(!format!("{crossing:?}").contains("canary"));
    }
}
