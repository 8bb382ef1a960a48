//! The closed table of routes: exact raw paths, exact methods, one listener at a time.

use http::{Method, Uri};

use crate::error::Rejection;

/// Which of the three sockets a request came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// Browsers and the internet.
    Public,
    /// The app's server.
    Adapter,
    /// Operators.
    Admin,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// A call of one function, or of several.
    Call(Lane),
    /// `POST /api/query_ts`: the deployment's present timestamp.
    QueryTimestamp,
    /// `GET /api/sync` or `/api/{version}/sync`.
    Sync,
    /// `GET /.well-known/openid-configuration`.
    Discovery,
    /// `GET /.well-known/jwks.json`.
    KeySet,
    /// `POST /auth/token`.
    Token,
    /// `POST /adapter/{function}`.
    AuthJs(crate::adapter::Function),
    /// `OPTIONS` on a route of the public listener.
    Preflight,
    /// `GET /livez`.
    Alive,
    /// `GET /readyz`.
    Ready,
    /// `GET /metrics`.
    Metrics,
    /// `GET /` on the admin listener.
    Page,
}

/// Which of Convex's endpoints a call goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// `/api/query`.
    Query,
    /// `/api/mutation`.
    Mutation,
    /// `/api/action`.
    Action,
    /// `/api/query_at_ts`.
    QueryAtTimestamp,
    /// `/api/query_batch`.
    QueryBatch,
}

impl Listener {
    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Adapter => "adapter",
            Self::Admin => "admin",
        }
    }
}

impl Lane {
    /// The path at the deployment.
    pub fn path(self) -> &'static str {
        match self {
            Self::Query => "/api/query",
            Self::Mutation => "/api/mutation",
            Self::Action => "/api/action",
            Self::QueryAtTimestamp => "/api/query_at_ts",
            Self::QueryBatch => "/api/query_batch",
        }
    }

    /// Whether calls on this lane may change something, so that one that left is neither sent again nor cut short.
    pub fn may_write(self) -> bool {
        match self {
            Self::Mutation | Self::Action => true,
            Self::Query | Self::QueryAtTimestamp | Self::QueryBatch => false,
        }
    }
}

impl Route {
    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Call(Lane::Query) => "query",
            Self::Call(Lane::Mutation) => "mutation",
            Self::Call(Lane::Action) => "action",
            Self::Call(Lane::QueryAtTimestamp) => "query_at_ts",
            Self::Call(Lane::QueryBatch) => "query_batch",
            Self::QueryTimestamp => "query_ts",
            Self::Sync => "sync",
            Self::Discovery => "discovery",
            Self::KeySet => "jwks",
            Self::Token => "token",
            Self::AuthJs(_) => "adapter",
            Self::Preflight => "preflight",
            Self::Alive => "livez",
            Self::Ready => "readyz",
            Self::Metrics => "metrics",
            Self::Page => "page",
        }
    }
}

/// Finds the route of a request head. The head is untrusted.
///
/// The raw path is compared as it stands: no decoding, no dot segments, no folding of case or of slashes, so that what is decided
/// on here is what would be routed there. A query string plays no part. On the public listener `base_path` (empty, or `/x`)
/// is taken off first.
///
/// # Errors
///
/// [`Rejection::NotFound`]: every other method and path, absolute-form targets included.
pub fn classify(listener: Listener, method: &Method, uri: &Uri, base_path: &str) -> Result<Route, Rejection> {
    if uri.scheme().is_some() || uri.authority().is_some() {
        return Err(Rejection::NotFound);
    }
    let path = mounted(listener, uri, base_path)?;
    let route = match listener {
        Listener::Public | Listener::Adapter => app_route(listener, path),
        Listener::Admin => admin_route(path),
    };
    let (route, expected) = route.ok_or(Rejection::NotFound)?;
    if *method == expected || (expected == Method::GET && method == Method::HEAD && route != Route::Sync) {
        return Ok(route);
    }
    if listener == Listener::Public && method == Method::OPTIONS {
        return Ok(Route::Preflight);
    }
    Err(Rejection::NotFound)
}

/// The path of a route, without what the public listener's routes are mounted under.
///
/// # Errors
///
/// [`Rejection::NotFound`]: it is not mounted there.
pub fn mounted<'uri>(listener: Listener, uri: &'uri Uri, base_path: &str) -> Result<&'uri str, Rejection> {
    match listener {
        Listener::Public => uri.path().strip_prefix(base_path).ok_or(Rejection::NotFound),
        Listener::Adapter | Listener::Admin => Ok(uri.path()),
    }
}

fn app_route(listener: Listener, path: &str) -> Option<(Route, Method)> {
    Some(match path {
        "/api/query" => (Route::Call(Lane::Query), Method::POST),
        "/api/mutation" => (Route::Call(Lane::Mutation), Method::POST),
        "/api/action" => (Route::Call(Lane::Action), Method::POST),
        "/api/query_at_ts" => (Route::Call(Lane::QueryAtTimestamp), Method::POST),
        "/api/query_batch" => (Route::Call(Lane::QueryBatch), Method::POST),
        "/api/query_ts" => (Route::QueryTimestamp, Method::POST),
        "/api/sync" => (Route::Sync, Method::GET),
        "/.well-known/openid-configuration" => (Route::Discovery, Method::GET),
        "/.well-known/jwks.json" => (Route::KeySet, Method::GET),
        "/auth/token" => (Route::Token, Method::POST),
        _ => return versioned_sync(path).or_else(|| auth_js(listener, path)),
    })
}

/// `/api/{version}/sync`, where the version is one segment of a semantic version's characters.
fn versioned_sync(path: &str) -> Option<(Route, Method)> {
    let version = path.strip_prefix("/api/")?.strip_suffix("/sync")?;
    let is_version = version.starts_with(|first: char| first.is_ascii_digit())
        && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'));
    is_version.then_some((Route::Sync, Method::GET))
}

fn auth_js(listener: Listener, path: &str) -> Option<(Route, Method)> {
    if listener != Listener::Adapter {
        return None;
    }
    let function = crate::adapter::Function::from_name(path.strip_prefix("/adapter/")?)?;
    Some((Route::AuthJs(function), Method::POST))
}

fn admin_route(path: &str) -> Option<(Route, Method)> {
    Some(match path {
        "/livez" => (Route::Alive, Method::GET),
        "/readyz" => (Route::Ready, Method::GET),
        "/metrics" => (Route::Metrics, Method::GET),
        "/" => (Route::Page, Method::GET),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::{Lane, Listener, Rejection, Route, classify};

    fn public(method: &Method, target: &str) -> Result<Route, Rejection> {
        classify(Listener::Public, method, &target.parse::<Uri>().expect("a target"), "")
    }

    #[test]
    fn rule_1_only_listed_paths_and_methods_have_a_route() {
        assert_eq!(public(&Method::POST, "/api/query"), Ok(Route::Call(Lane::Query)));
        assert_eq!(public(&Method::POST, "/api/query?x=1"), Ok(Route::Call(Lane::Query)));
        assert_eq!(public(&Method::GET, "/api/1.48.0/sync"), Ok(Route::Sync));
        for (method, target) in [
            (Method::GET, "/api/query"),
            (Method::HEAD, "/api/query"),
            (Method::PUT, "/api/query"),
            (Method::POST, "/api/function"),
            (Method::POST, "/api/run/authAdapter/getUser"),
            (Method::POST, "/api/actions/query"),
            (Method::POST, "/api/run_test_function"),
            (Method::POST, "/api/storage/upload"),
            (Method::GET, "/http/x"),
            (Method::GET, "/version"),
            (Method::POST, "/adapter/createUser"),
            (Method::GET, "/metrics"),
            (Method::GET, "/livez"),
            (Method::GET, "/"),
            (Method::GET, "/api/x/../sync"),
            (Method::GET, "/api//sync"),
            (Method::GET, "/api/sync/"),
        ] {
            assert_eq!(public(&method, target), Err(Rejection::NotFound), "{method} {target}");
        }
    }

    #[test]
    fn l1_no_other_spelling_of_a_path_is_that_path() {
        for target in [
            "/api/%71uery",
            "//api/query",
            "/api//query",
            "/api/query/",
            "/API/query",
            "/api/x/../query",
            "/api/./query",
            "/api/query;x",
            "/api%2Fquery",
            "http://evil/api/query",
        ] {
            assert_eq!(public(&Method::POST, target), Err(Rejection::NotFound), "{target}");
        }
    }

    #[test]
    fn a_base_path_is_asked_for_exactly() {
        let under = |target: &str| {
            classify(Listener::Public, &Method::POST, &target.parse::<Uri>().expect("a target"), "/convex")
        };
        assert_eq!(under("/convex/api/query"), Ok(Route::Call(Lane::Query)));
        for target in ["/api/query", "/convexapi/query", "/Convex/api/query", "/convex//api/query", "/convex", "/"] {
            assert_eq!(under(target), Err(Rejection::NotFound), "{target}");
        }
    }

    #[test]
    fn the_adapter_and_admin_routes_are_on_their_listeners_only() {
        let on = |listener, method: &Method, target: &str| {
            classify(listener, method, &target.parse::<Uri>().expect("a target"), "/convex")
        };
        assert!(matches!(on(Listener::Adapter, &Method::POST, "/adapter/createUser"), Ok(Route::AuthJs(_))));
        assert_eq!(on(Listener::Adapter, &Method::POST, "/adapter/nothing"), Err(Rejection::NotFound));
        assert_eq!(on(Listener::Adapter, &Method::OPTIONS, "/api/query"), Err(Rejection::NotFound));
        assert_eq!(on(Listener::Admin, &Method::GET, "/metrics"), Ok(Route::Metrics));
        assert_eq!(on(Listener::Admin, &Method::POST, "/api/query"), Err(Rejection::NotFound));
    }
}
