//! Who is speaking, by the listener that was reached and by the head alone.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, Method, header, request};

use super::Credential;
use crate::{classify::Listener, config::Config, error::Rejection, secret::Secret};

/// A caller that may speak on a listener. Made by [`CallerPolicy::admit`] alone.
#[derive(Debug)]
pub struct Caller<'head> {
    listener: Listener,
    cookies: CookieStanding,
    credential: Credential<'head>,
    is_json: bool,
}

/// Whether the cookies of a request are authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieStanding {
    /// The `Origin` is listed, or a server forwards its user's cookie (neither `Origin` nor `Sec-Fetch-Site`).
    Authority,
    /// A page that is not listed sent them, or the listener takes none.
    Ignored,
}

impl<'head> Caller<'head> {
    /// The listener that was reached.
    pub fn listener(&self) -> Listener {
        self.listener
    }

    /// Whether the request's cookies say who is signed in.
    pub fn cookies(&self) -> CookieStanding {
        self.cookies
    }

    /// Whether the body is said to be JSON, by the one Content-Type there is.
    pub fn sends_json(&self) -> bool {
        self.is_json
    }

    /// The caller's own token for Convex, if any.
    pub fn credential(&self) -> Credential<'head> {
        self.credential
    }
}

/// What is asked of callers, from the configuration.
#[derive(Debug, Clone)]
pub struct CallerPolicy {
    origins: Vec<String>,
    hosts: Vec<String>,
    bound: Vec<IpAddr>,
    tokens: Vec<Secret>,
}

impl CallerPolicy {
    /// Takes `session.origins`, `listen.hosts`, the listeners' own addresses and `adapter.tokens`.
    pub fn new(config: &Config) -> Self {
        let mut bound = Vec::new();
        if let Some(crate::config::ListenAddress::Tcp(address)) = &config.listen.adapter {
            bound.push(address.ip());
        }
        bound.extend(config.listen.admin.map(|address| address.ip()));
        Self {
            origins: config.session.origins.clone(),
            hosts: config.listen.hosts.clone(),
            bound,
            tokens: config.adapter.tokens.clone(),
        }
    }

    /// Decides whether the sender of a head may speak on that listener. `local` is the connection's own end, where it has one.
    ///
    /// A browser is never a caller of the adapter or admin listener: it says so by `Origin` or `Sec-Fetch-Site`, or is led there by a
    /// name that somebody else controls (DNS rebinding), or sends a form. (`Sec-Fetch-Mode` alone passes: Node sends it.)
    ///
    /// # Errors
    ///
    /// - [`Rejection::BrowserRefused`], [`Rejection::HostRefused`], [`Rejection::NotJson`]: on the adapter and admin listeners, as above.
    /// - [`Rejection::CallerUnknown`]: `adapter.tokens` is set and the Bearer token is none of them.
    /// - What [`Credential::read`] refuses.
    pub fn admit<'head>(
        &self,
        listener: Listener,
        head: &'head request::Parts,
        local: Option<SocketAddr>,
    ) -> Result<Caller<'head>, Rejection> {
        let is_json = is_json(&head.headers);
        if listener == Listener::Public {
            let credential = Credential::read(&head.headers, &head.uri)?;
            return Ok(Caller { listener, cookies: self.cookie_standing(&head.headers), credential, is_json });
        }
        if head.headers.contains_key(header::ORIGIN) || head.headers.contains_key(SEC_FETCH_SITE) {
            return Err(Rejection::BrowserRefused);
        }
        if !self.is_known_host(&head.headers, local) {
            return Err(Rejection::HostRefused);
        }
        if head.method == Method::POST && !is_json {
            return Err(Rejection::NotJson);
        }
        let mut credential = Credential::read(&head.headers, &head.uri)?;
        if listener == Listener::Adapter && !self.tokens.is_empty() {
            // The header is spent on saying who calls, and goes no further.
            match credential {
                Credential::Bearer(token) if self.is_listed(token) => credential = Credential::None,
                Credential::Bearer(_) | Credential::None => return Err(Rejection::CallerUnknown),
            }
        }
        Ok(Caller { listener, cookies: CookieStanding::Ignored, credential, is_json })
    }

    /// Whether an `Origin` is listed, letter by letter.
    pub fn is_listed_origin(&self, origin: &[u8]) -> bool {
        self.origins.iter().any(|listed| listed.as_bytes() == origin)
    }

    fn cookie_standing(&self, headers: &HeaderMap) -> CookieStanding {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) if !headers.contains_key(SEC_FETCH_SITE) => CookieStanding::Authority,
            (Some(origin), None) if self.is_listed_origin(origin.as_bytes()) => CookieStanding::Authority,
            _ => CookieStanding::Ignored,
        }
    }

    fn is_known_host(&self, headers: &HeaderMap, local: Option<SocketAddr>) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        if is_plainly_local(host.as_bytes()) {
            return true;
        }
        let Some(name) = host.to_str().ok().and_then(host_name) else { return false };
        match name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(address) => {
                address.is_loopback()
                    || self.bound.contains(&address)
                    || local.is_some_and(|end| end.ip() == address)
                    || self.hosts.contains(&name)
            }
            Err(_) => name == "localhost" || self.hosts.contains(&name),
        }
    }

    /// Every listed token is compared, so that the time tells nothing about which one was near.
    fn is_listed(&self, token: &str) -> bool {
        self.tokens.iter().fold(false, |found, listed| found | listed.matches(token.as_bytes()))
    }
}

/// Whether the one Content-Type is `application/json` or `application/*+json`; parameters play no part, as at the backend.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    // What nearly everybody sends.
    if value == "application/json" {
        return true;
    }
    let Ok(text) = value.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.strip_prefix("application/").is_some_and(|subtype| {
        subtype == "json"
            || subtype.strip_suffix("+json").is_some_and(|kind| !kind.is_empty() && !kind.contains([' ', '/']))
    })
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a `Host` is one of the two that a server on the same machine says, with or without a port: found without parsing.
fn is_plainly_local(host: &[u8]) -> bool {
    [&b"127.0.0.1"[..], b"localhost"].into_iter().any(|name| match host.strip_prefix(name) {
        Some([]) => true,
        Some([b':', port @ ..]) => (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit),
        Some(_) | None => false,
    })
}

/// The host without its port, lower case, without a trailing dot.
fn host_name(value: &str) -> Option<String> {
    let authority: http::uri::Authority = value.parse().ok()?;
    if value.contains('@') {
        return None;
    }
    let name = authority.host().to_ascii_lowercase();
    Some(name.strip_suffix('.').unwrap_or(&name).to_owned())
}

#[cfg(test)]
mod tests {
    use http::{Request, request};

    use super::{CallerPolicy, CookieStanding, Credential, Listener, Rejection};
    use crate::secret::Secret;

    fn policy(tokens: &[&str]) -> CallerPolicy {
        CallerPolicy {
            origins: vec!["https://app.example".to_owned()],
            hosts: vec!["proxy".to_owned()],
            bound: vec!["10.1.2.3".parse().expect("an address")],
            tokens: tokens.iter().map(|token| Secret::new(*token)).collect(),
        }
    }

    fn head(method: &str, headers: &[(&str, &str)]) -> request::Parts {
        let mut request = Request::builder().method(method).uri("/api/query");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn adapter(headers: &[(&str, &str)]) -> Result<(), Rejection> {
        policy(&[]).admit(Listener::Adapter, &head("POST", headers), None).map(|_| ())
    }

    #[test]
    fn a_browser_is_never_a_caller_of_the_adapter_listener() {
        const JSON: (&str, &str) = ("content-type", "application/json");
        assert_eq!(adapter(&[("host", "127.0.0.1:8081"), JSON]), Ok(()));
        assert_eq!(adapter(&[("host", "localhost"), JSON, ("sec-fetch-mode", "cors")]), Ok(()));
        assert_eq!(adapter(&[("host", "[::1]:8081"), JSON]), Ok(()));
        assert_eq!(adapter(&[("host", "proxy:8081"), JSON]), Ok(()));
        assert_eq!(adapter(&[("host", "10.1.2.3:8081"), JSON]), Ok(()));
        assert_eq!(
            adapter(&[("host", "localhost"), JSON, ("origin", "https://app.example")]),
            Err(Rejection::BrowserRefused)
        );
        assert_eq!(adapter(&[("host", "localhost"), JSON, ("origin", "null")]), Err(Rejection::BrowserRefused));
        assert_eq!(adapter(&[("host", "localhost"), JSON, ("sec-fetch-site", "none")]), Err(Rejection::BrowserRefused));
        assert_eq!(adapter(&[("host", "localhost"), ("content-type", "text/plain")]), Err(Rejection::NotJson));
        assert_eq!(adapter(&[("host", "localhost")]), Err(Rejection::NotJson));
        for host in
            ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.1.2.4", "user@localhost", ""]
        {
            assert_eq!(adapter(&[("host", host), JSON]), Err(Rejection::HostRefused), "{host:?}");
        }
        assert_eq!(adapter(&[JSON]), Err(Rejection::HostRefused));
        assert_eq!(adapter(&[("host", "localhost"), ("host", "evil"), JSON]), Err(Rejection::HostRefused));
    }

    #[test]
    fn a_callers_token_is_demanded_and_spent() {
        let policy = policy(&["0123456789abcdef", "fedcba9876543210"]);
        let with = |authorization: &str| {
            let head = head(
                "POST",
                &[("host", "localhost"), ("content-type", "application/json"), ("authorization", authorization)],
            );
            policy.admit(Listener::Adapter, &head, None).map(|caller| caller.credential() == Credential::None)
        };
        assert_eq!(with("Bearer fedcba9876543210"), Ok(true));
        assert_eq!(with("Bearer fedcba987654321"), Err(Rejection::CallerUnknown));
    }

    #[test]
    fn l8_cookies_are_authority_for_a_listed_origin_or_for_a_server() {
        let standing = |headers: &[(&str, &str)]| {
            let head = head("POST", headers);
            policy(&[]).admit(Listener::Public, &head, None).map(|caller| caller.cookies())
        };
        assert_eq!(standing(&[]), Ok(CookieStanding::Authority));
        assert_eq!(standing(&[("origin", "https://app.example")]), Ok(CookieStanding::Authority));
        for headers in [
            vec![("origin", "https://evil.example")],
            vec![("origin", "null")],
            vec![("origin", "https://app.example:443")],
            vec![("origin", "https://APP.example")],
            vec![("origin", "https://app.example.evil.example")],
            vec![("sec-fetch-site", "same-origin")],
            vec![("origin", "https://app.example"), ("origin", "https://evil.example")],
        ] {
            assert_eq!(standing(&headers), Ok(CookieStanding::Ignored), "{headers:?}");
        }
    }
}
