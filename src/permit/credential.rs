//! The credential of a request head: exactly one, or none.

use http::{HeaderMap, Uri, header};

use crate::error::Rejection;

/// What a caller shows in `Authorization`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential<'head> {
    /// Nothing.
    None,
    /// `Bearer` and a token, which is not looked into here.
    Bearer(&'head str),
}

impl std::fmt::Debug for Credential<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer([secret])",
        })
    }
}

impl<'head> Credential<'head> {
    /// Finds the credential of an untrusted head. The scheme is compared without case; the token is returned as sent.
    ///
    /// # Errors
    ///
    /// - [`Rejection::AdminCredential`]: scheme `Convex`, or `adminKey` in the query string in any spelling that decodes to it.
    /// - [`Rejection::ManyAuthorizations`]: more than one header. Convex reads the first alone; our choice: a caller must not choose
    ///   which of two is checked.
    /// - [`Rejection::BadAuthorization`]: anything else that is not `Bearer` and a token of visible characters.
    pub fn read(headers: &'head HeaderMap, uri: &Uri) -> Result<Self, Rejection> {
        let names_admin_key =
            |query: &str| url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "adminKey");
        if uri.query().is_some_and(names_admin_key) {
            return Err(Rejection::AdminCredential);
        }
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else { return Ok(Self::None) };
        if values.next().is_some() {
            return Err(Rejection::ManyAuthorizations);
        }
        let text = value.to_str().map_err(|_| Rejection::BadAuthorization)?.trim();
        let (scheme, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        if scheme.eq_ignore_ascii_case("convex") {
            return Err(Rejection::AdminCredential);
        }
        let token = rest.trim();
        let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        if scheme.eq_ignore_ascii_case("bearer") && is_token {
            Ok(Self::Bearer(token))
        } else {
            Err(Rejection::BadAuthorization)
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Uri, header};

    use super::{Credential, Rejection};

    fn read(values: &[&str], target: &str) -> Result<Option<String>, Rejection> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).expect("a value"));
        }
        let uri: Uri = target.parse().expect("a target");
        Credential::read(&headers, &uri).map(|credential| match credential {
            Credential::None => None,
            Credential::Bearer(token) => Some(token.to_owned()),
        })
    }

    #[test]
    fn a_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        assert_eq!(read(&["bEaReR  a.b.c "], "/"), Ok(Some("a.b.c".to_owned())));
        assert_eq!(read(&[], "/?x=1"), Ok(None));
    }

    #[test]
    fn rule_11_admin_credentials_are_refused_in_every_spelling() {
        for (values, target) in [
            (vec!["Convex key"], "/"),
            (vec!["convex"], "/"),
            (vec!["CONVEX prod:x|y"], "/"),
            (vec![], "/api/query?adminKey=x"),
            (vec![], "/api/query?a=1&admin%4bey=x"),
            (vec![], "/api/query?%61%64minKey"),
        ] {
            assert_eq!(read(&values, target), Err(Rejection::AdminCredential), "{values:?} {target}");
        }
    }

    #[test]
    fn rule_11_two_headers_are_refused() {
        assert_eq!(read(&["Bearer a", "Bearer a"], "/"), Err(Rejection::ManyAuthorizations));
    }

    #[test]
    fn other_schemes_and_empty_tokens_are_refused() {
        for value in ["Bearer", "Bearer ", "Basic eDp5", "Bearer a b", "", "Bear er"] {
            assert_eq!(read(&[value], "/"), Err(Rejection::BadAuthorization), "{value:?}");
        }
    }
}
