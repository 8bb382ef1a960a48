//! Addresses of all kinds: sockets, hosts, paths, URLs, origins. Pure functions from a text without control characters.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use url::{Host, Url};

use super::{ListenAddress, reason::Reason};

/// The longest path of a unix socket. Our choice: what the smallest of the supported systems (macOS) can bind.
const SOCKET_PATH_BYTES_MAX: usize = 103;

/// An IP address and a port.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Reason> {
    text.parse().map_err(|_| match text.rsplit_once(':') {
        Some((host, port)) if is_host_name(host) && port.parse::<u16>().is_ok() => {
            let is_loopback = host.eq_ignore_ascii_case("localhost");
            Reason::HostName { address: is_loopback.then(|| format!("{}:{port}", Ipv4Addr::LOCALHOST)) }
        }
        _ => Reason::NotAnAddress,
    })
}

/// An IP address and a port, or nothing.
pub(super) fn socket_address_or_off(text: &str) -> Result<Option<SocketAddr>, Reason> {
    if text.is_empty() { Ok(None) } else { socket_address(text).map(Some) }
}

/// An IP address and a port, the path of a unix socket, or nothing.
pub(super) fn listen_address_or_off(text: &str) -> Result<Option<ListenAddress>, Reason> {
    match text.strip_prefix("unix:") {
        Some(path) if !path.starts_with('/') => Err(Reason::SocketRelative),
        Some(path) if path.ends_with('/') => Err(Reason::SocketUnnamed),
        Some(path) if path.len() > SOCKET_PATH_BYTES_MAX => Err(Reason::SocketLong),
        Some(path) => Ok(Some(ListenAddress::Unix(PathBuf::from(path)))),
        None => Ok(socket_address_or_off(text)?.map(ListenAddress::Tcp)),
    }
}

/// Whether only this machine reaches the address.
pub(super) fn is_local(address: &ListenAddress) -> bool {
    match address {
        ListenAddress::Tcp(address) => address.ip().to_canonical().is_loopback(),
        ListenAddress::Unix(_) => true,
    }
}

/// Whether the second of two listeners could not be bound: the same port of the same address, or of all addresses.
pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let meet = one.ip() == other.ip()
        || (one.is_ipv4() == other.is_ipv4() && (one.ip().is_unspecified() || other.ip().is_unspecified()));
    one.port() != 0 && one.port() == other.port() && meet
}

/// Nothing, or `/x[/y]` of unreserved characters (RFC 3986 section 2.3), so that no client writes it in another way.
pub(super) fn base_path(text: &str) -> Result<String, Reason> {
    let Some(segments) = text.strip_prefix('/') else {
        return if text.is_empty() {
            Ok(String::new())
        } else {
            Err(Reason::PathUnrooted { rooted: format!("/{text}") })
        };
    };
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    if let Some(bare) = text.strip_suffix('/') {
        return Err(Reason::PathTrailing { bare: bare.to_owned() });
    }
    if segments.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(Reason::PathSegment);
    }
    if text.bytes().all(is_unreserved) { Ok(text.to_owned()) } else { Err(Reason::PathCharacter) }
}

/// A host alone, in lower case: a name, an IPv4 address, or an IPv6 address in brackets.
pub(super) fn host(text: &str) -> Result<String, Reason> {
    let parse = |text: &str| {
        let is_plain = is_host_name(text) || (text.starts_with('[') && text.ends_with(']'));
        Host::parse(text).ok().filter(|_| is_plain).map(|host| host.to_string())
    };
    parse(text).ok_or_else(|| {
        let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
        let before_path = after_scheme.split('/').next().unwrap_or_default();
        let before_port = match before_path.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            Some(_) | None => before_path,
        };
        Reason::NotAHost { host: parse(before_port) }
    })
}

fn is_host_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// Where a deployment is: scheme, host and port, nothing after them.
pub(super) fn deployment_url(text: &str) -> Result<Url, Reason> {
    let url = web_url(text)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Reason::UrlQuery);
    }
    if url.path() != "/" {
        return Err(Reason::UrlPath { bare: url.origin().ascii_serialization() });
    }
    Ok(url)
}

/// An issuer: an absolute http or https URL, literally as it was written, because it is compared as a text
/// (OpenID Connect Discovery 1.0 section 4.3). No query and no fragment (the same, section 3).
pub(super) fn issuer(text: &str) -> Result<String, Reason> {
    let url = web_url(text)?;
    if url.query().is_some() || url.fragment().is_some() { Err(Reason::UrlQuery) } else { Ok(text.to_owned()) }
}

/// An http or https URL without credentials.
fn web_url(text: &str) -> Result<Url, Reason> {
    // The parser forgives blanks, backslashes and missing slashes; a text that is compared later must not need that.
    let (scheme, rest) = text.split_once("://").ok_or(Reason::NotAUrl)?;
    if text.contains(char::is_whitespace) || text.contains('\\') || rest.starts_with('/') {
        return Err(Reason::NotAUrl);
    }
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(Reason::UrlScheme);
    }
    let url = Url::parse(text).map_err(|_| Reason::NotAUrl)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') { Err(Reason::UrlCredentials) } else { Ok(url) }
}

/// The same deployment's site: `.convex.cloud` at the end of the host becomes `.convex.site`; `None` for other hosts.
pub(super) fn site_of(url: &Url) -> Option<Url> {
    let deployment = url.host_str()?.strip_suffix(".convex.cloud")?;
    let mut site = url.clone();
    site.set_host(Some(&format!("{deployment}.convex.site"))).ok()?;
    Some(site)
}

/// A URL of a deployment without its slash at the end.
pub(super) fn without_slash(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// Whether an issuer is the deployment itself, slashes at the end apart.
pub(super) fn is_issuer(site: &Url, issuer: &str) -> bool {
    Url::parse(issuer).is_ok_and(|issuer| without_slash(&issuer) == without_slash(site))
}

/// An origin as a browser sends it (RFC 6454 section 6.2): `scheme://host[:port]`, lower case, no default port.
pub(super) fn origin(text: &str) -> Result<String, Reason> {
    match text {
        "*" => return Err(Reason::OriginAny),
        "null" => return Err(Reason::OriginNull),
        _ => {}
    }
    let (scheme, rest) = text.split_once("://").ok_or(Reason::NotAnOrigin)?;
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(authority_end).ok_or(Reason::NotAnOrigin)?;
    let origin = bare_origin(scheme, authority)?;
    if path.is_empty() { Ok(origin) } else { Err(Reason::OriginPath { origin }) }
}

fn bare_origin(scheme: &str, authority: &str) -> Result<String, Reason> {
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !is_scheme || authority.contains('*') {
        return Err(if authority.contains('*') { Reason::OriginAny } else { Reason::NotAnOrigin });
    }
    if authority.contains(|character: char| character == '@' || character == '\\' || character.is_whitespace()) {
        return Err(Reason::NotAnOrigin);
    }
    let url = Url::parse(&format!("{scheme}://{authority}")).map_err(|_| Reason::NotAnOrigin)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(Reason::NotAnOrigin)?;
    // `Url` drops default ports. It keeps the case of hosts of schemes it does not know (`capacitor://localhost`).
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{}://{}{port}", url.scheme(), host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_listener_is_an_address_a_socket_or_off() {
        assert_eq!(listen_address_or_off("").expect("off"), None);
        let tcp = listen_address_or_off("[::1]:0").expect("an address").expect("on");
        assert_eq!(tcp, ListenAddress::Tcp("[::1]:0".parse().expect("an address")));
        let unix = listen_address_or_off("unix:/run/proxy/adapter.sock").expect("a socket").expect("on");
        assert_eq!(unix, ListenAddress::Unix(PathBuf::from("/run/proxy/adapter.sock")));
        assert!(matches!(listen_address_or_off("unix:adapter.sock"), Err(Reason::SocketRelative)));
        assert!(matches!(listen_address_or_off("unix:/run/"), Err(Reason::SocketUnnamed)));
        assert!(matches!(listen_address_or_off(&format!("unix:/{}", "x".repeat(103))), Err(Reason::SocketLong)));
        assert!(matches!(listen_address_or_off("127.0.0.1"), Err(Reason::NotAnAddress)));
        assert!(matches!(listen_address_or_off("127.0.0.1:70000"), Err(Reason::NotAnAddress)));
        let named = listen_address_or_off("localhost:8081");
        assert!(matches!(named, Err(Reason::HostName { address: Some(address) }) if address == "127.0.0.1:8081"));
        assert!(matches!(listen_address_or_off("proxy:8081"), Err(Reason::HostName { address: None })));
    }

    #[test]
    fn loopback_is_local_in_every_spelling_and_nothing_else_is() {
        for (written, expected) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("10.0.0.1:1", false),
            ("unix:/a", true),
        ] {
            let address = listen_address_or_off(written).expect("an address").expect("on");
            assert_eq!(is_local(&address), expected, "{written}");
        }
    }

    #[test]
    fn two_listeners_collide_on_one_port_of_one_address() {
        let meet =
            |one: &str, other: &str| collide(one.parse().expect("an address"), other.parse().expect("an address"));
        assert!(meet("127.0.0.1:80", "127.0.0.1:80"));
        assert!(meet("0.0.0.0:80", "127.0.0.1:80"));
        assert!(!meet("127.0.0.1:80", "127.0.0.2:80"));
        assert!(!meet("127.0.0.1:80", "127.0.0.1:81"));
        assert!(!meet("127.0.0.1:0", "127.0.0.1:0"));
        assert!(!meet("[::]:80", "0.0.0.0:80"));
    }

    #[test]
    fn a_base_path_is_empty_or_rooted_and_bare() {
        assert_eq!(base_path("").expect("a path"), "");
        assert_eq!(base_path("/a-b/c.d_~9").expect("a path"), "/a-b/c.d_~9");
        assert!(matches!(base_path("convex"), Err(Reason::PathUnrooted { rooted }) if rooted == "/convex"));
        assert!(matches!(base_path("/convex/"), Err(Reason::PathTrailing { bare }) if bare == "/convex"));
        assert!(matches!(base_path("/"), Err(Reason::PathTrailing { bare }) if bare.is_empty()));
        for written in ["//a", "/a//b", "/a/../b", "/./a", "/.."] {
            assert!(matches!(base_path(written), Err(Reason::PathSegment)), "{written}");
        }
        for written in ["/a b", "/a%20b", "/a?b", "/ä", "/a\\b"] {
            assert!(matches!(base_path(written), Err(Reason::PathCharacter)), "{written}");
        }
    }

    #[test]
    fn a_host_stands_alone() {
        assert_eq!(host("Proxy.Internal").expect("a host"), "proxy.internal");
        assert_eq!(host("10.0.0.1").expect("a host"), "10.0.0.1");
        assert_eq!(host("[::1]").expect("a host"), "[::1]");
        for (written, repaired) in [("proxy:8081", "proxy"), ("http://proxy/", "proxy"), ("[::1]:80", "[::1]")] {
            assert!(
                matches!(host(written), Err(Reason::NotAHost { host: Some(host) }) if host == repaired),
                "{written}"
            );
        }
        for written in ["*", "a b", "me@proxy"] {
            assert!(matches!(host(written), Err(Reason::NotAHost { host: None })), "{written}");
        }
    }

    #[test]
    fn a_deployment_is_scheme_host_and_port() {
        assert_eq!(deployment_url("http://127.0.0.1:3210/").expect("a URL").as_str(), "http://127.0.0.1:3210/");
        assert!(matches!(deployment_url("ftp://a.b"), Err(Reason::UrlScheme)));
        assert!(matches!(deployment_url("https://a.b/x"), Err(Reason::UrlPath { bare }) if bare == "https://a.b"));
        assert!(matches!(deployment_url("https://a.b?x"), Err(Reason::UrlQuery)));
        assert!(matches!(deployment_url("https://a.b/#"), Err(Reason::UrlQuery)));
        assert!(matches!(deployment_url("https://me:pw@a.b"), Err(Reason::UrlCredentials)));
        assert!(matches!(deployment_url("https://@a.b"), Err(Reason::UrlCredentials)));
        for written in
            ["", "a.b", "https:a.b", "https:///a.b", " https://a.b", "https://", "https:\\\\a.b", "https://a.b:x"]
        {
            assert!(matches!(deployment_url(written), Err(Reason::NotAUrl)), "{written}");
        }
    }

    #[test]
    fn an_issuer_is_kept_as_it_was_written() {
        for written in ["https://a.b", "https://a.b/", "https://A.b/x/", "http://localhost:8080/convex"] {
            assert_eq!(issuer(written).expect("an issuer"), written);
        }
        assert!(matches!(issuer("a.b"), Err(Reason::NotAUrl)));
        assert!(matches!(issuer("https://a.b/?x"), Err(Reason::UrlQuery)));
    }

    #[test]
    fn a_site_follows_from_the_end_of_the_host_only() {
        let site = |text: &str| site_of(&Url::parse(text).expect("a URL")).map(|site| without_slash(&site));
        assert_eq!(site("https://a.convex.cloud").as_deref(), Some("https://a.convex.site"));
        assert_eq!(
            site("https://a.eu-west-1.convex.cloud:8443").as_deref(),
            Some("https://a.eu-west-1.convex.site:8443")
        );
        assert_eq!(site("https://a.convex.cloud.b"), None);
        assert_eq!(site("https://convex.cloud"), None);
        assert_eq!(site("http://127.0.0.1:3210"), None);
    }

    #[test]
    fn an_issuer_is_the_site_with_or_without_a_slash() {
        let site = Url::parse("https://a.convex.site").expect("a URL");
        for issuer in ["https://a.convex.site", "https://a.convex.site/", "https://A.convex.site:443"] {
            assert!(is_issuer(&site, issuer), "{issuer}");
        }
        for issuer in ["http://a.convex.site", "https://a.convex.site/x", "https://b.convex.site"] {
            assert!(!is_issuer(&site, issuer), "{issuer}");
        }
    }

    #[test]
    fn an_origin_is_as_a_browser_sends_it() {
        for (written, expected) in [
            ("https://App.Example.com", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://localhost:80", "http://localhost"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("HTTPS://[::1]:8443", "https://[::1]:8443"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("capacitor://Localhost", "capacitor://localhost"),
        ] {
            assert_eq!(origin(written).expect("an origin"), expected);
        }
        assert!(matches!(origin("*"), Err(Reason::OriginAny)));
        assert!(matches!(origin("https://*.example.com"), Err(Reason::OriginAny)));
        assert!(matches!(origin("null"), Err(Reason::OriginNull)));
        let with_path = origin("http://localhost:3000/");
        assert!(matches!(with_path, Err(Reason::OriginPath { origin }) if origin == "http://localhost:3000"));
        for written in
            ["localhost:3000", "https://", "file:///x", "https://a b", "https://me@a.b", "1x://a", "https://a:b"]
        {
            assert!(matches!(origin(written), Err(Reason::NotAnOrigin)), "{written}");
        }
    }

    proptest! {
        /// Law: what was accepted is accepted again, unchanged.
        #[test]
        fn an_origin_is_its_own_normal_form(written in "(https?|HTTP|tauri)://[a-zA-Z0-9.-]{1,12}(:[0-9]{1,5})?") {
            if let Ok(normal) = origin(&written) {
                prop_assert_eq!(origin(&normal).expect("normal form"), normal);
            }
        }

        /// Law: no text makes a reader of addresses panic.
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = (origin(&text), host(&text), issuer(&text), deployment_url(&text));
            let _ = (base_path(&text), listen_address_or_off(&text));
        }
    }
}
