//! The session cookie of a request, found and joined exactly as Auth.js does it, so that app and proxy never disagree about who is
//! signed in.

use std::borrow::Cow;

use http::{HeaderMap, header};

use super::SessionToken;

/// What the cookies of a request say.
#[derive(Debug)]
pub enum CookieSession {
    /// No session cookie.
    None,
    /// An encrypted session (Auth.js's JWT strategy), which only the app can read.
    Sealed,
    /// The token of a session in the database.
    Token(SessionToken),
}

impl CookieSession {
    /// Reads the `Cookie` headers. `names` are the configured names; of several that are present, the first listed counts.
    ///
    /// Of two cookies with one name the first counts. Every cookie whose name *starts with* the configured one belongs to it; they are
    /// joined in the order of the number after the last dot, as `name.0`, `name.1`, … are for a value in chunks.
    /// Source: `SessionStore` and the cookie parser of `@auth/core` 0.41.
    pub fn read(headers: &HeaderMap, names: &[String]) -> Self {
        let Some(line) = cookie_line(headers) else { return Self::None };
        let pairs = pairs(&line);
        let joined = names.iter().map(|name| join(&pairs, name)).find(|value| !value.is_empty());
        match joined {
            None => Self::None,
            Some(value) if is_sealed(&value) => Self::Sealed,
            Some(value) => Self::Token(SessionToken::new(value)),
        }
    }
}

/// All lines as one, as Node joins them.
fn cookie_line(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let mut lines = headers.get_all(header::COOKIE).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let first = lines.next()?;
    Some(lines.fold(first, |line, next| Cow::Owned(format!("{line}; {next}"))))
}

/// Names and decoded values in their order, each name once.
fn pairs(line: &str) -> Vec<(&str, String)> {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for piece in line.split(';') {
        let Some((name, value)) = piece.split_once('=') else { continue };
        let name = name.trim_matches([' ', '\t']);
        if !pairs.iter().any(|(known, _)| *known == name) {
            pairs.push((name, decode(value.trim_matches([' ', '\t']))));
        }
    }
    pairs
}

/// `decodeURIComponent`, and the text as it stands where that would throw.
fn decode(value: &str) -> String {
    if !value.contains('%') {
        return value.to_owned();
    }
    percent_decode(value).and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| value.to_owned())
}

fn percent_decode(value: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            decoded.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

fn join(pairs: &[(&str, String)], prefix: &str) -> String {
    let mut chunks: Vec<(&str, &String)> = Vec::new();
    let belonging = pairs.iter().filter(|(name, value)| name.starts_with(prefix) && !value.is_empty());
    for (name, value) in belonging {
        // An insertion by comparison, since a name without a number compares as equal to every other.
        let number = chunk_number(name);
        let place = chunks
            .iter()
            .rposition(
                |(before, _)| !matches!((chunk_number(before), number), (Some(before), Some(this)) if before > this),
            )
            .map_or(0, |position| position + 1);
        chunks.insert(place, (name, value));
    }
    chunks.into_iter().map(|(_, value)| value.as_str()).collect()
}

/// `parseInt` of what follows the last dot.
fn chunk_number(name: &str) -> Option<u64> {
    let suffix = name.rsplit('.').next()?;
    let digits = suffix.len() - suffix.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    suffix.get(..digits)?.parse().ok()
}

/// A JWE in compact form: five parts, the first of them a JSON object in base64url.
fn is_sealed(value: &str) -> bool {
    value.starts_with("eyJ") && value.bytes().filter(|byte| *byte == b'.').count() == 4
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    use super::CookieSession;

    fn read(lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_str(line).expect("a value"));
        }
        let names = ["__Secure-authjs.session-token", "authjs.session-token"].map(str::to_owned);
        match CookieSession::read(&headers, &names) {
            CookieSession::None => "none".to_owned(),
            CookieSession::Sealed => "sealed".to_owned(),
            CookieSession::Token(token) => token.expose().to_owned(),
        }
    }

    #[test]
    fn the_cookie_is_found_among_others_and_on_several_lines() {
        assert_eq!(read(&["a=b; authjs.session-token=abc;c"]), "abc");
        assert_eq!(read(&["a=b", "authjs.session-token = a%2Bb "]), "a+b");
        assert_eq!(read(&["authjs.session-token=a%ZZ"]), "a%ZZ");
        assert_eq!(read(&["authjs.session-toke=abc"]), "none");
        assert_eq!(read(&["authjs.session-token="]), "none");
        assert_eq!(read(&[]), "none");
    }

    #[test]
    fn of_two_cookies_with_one_name_the_first_counts() {
        assert_eq!(read(&["authjs.session-token=first; authjs.session-token=second"]), "first");
        assert_eq!(read(&["authjs.session-token=; authjs.session-token=second"]), "none");
    }

    #[test]
    fn of_several_names_the_first_listed_counts() {
        assert_eq!(read(&["authjs.session-token=plain; __Secure-authjs.session-token=secure"]), "secure");
    }

    #[test]
    fn chunks_are_joined_by_number() {
        let line =
            "authjs.session-token.10=k; authjs.session-token.2=c; authjs.session-token.0=a; authjs.session-token.1=b";
        assert_eq!(read(&[line]), "abck");
    }

    #[test]
    fn a_stray_cookie_with_the_prefix_is_joined_too_as_auth_js_does() {
        assert_eq!(read(&["authjs.session-token=abc; authjs.session-token-old=x"]), "abcx");
    }

    #[test]
    fn an_encrypted_session_is_left_alone() {
        assert_eq!(read(&["authjs.session-token=eyJhbGciOiJkaXIifQ..a.b.c"]), "sealed");
    }
}
