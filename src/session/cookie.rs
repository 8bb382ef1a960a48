//! The session cookie of a request, found and joined exactly as Auth.js does it, so that app and proxy never disagree about who is
//! signed in.

use std::{borrow::Cow, collections::HashSet};

use http::{HeaderMap, HeaderValue, header};

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
        let pairs = pairs(&line, names);
        let joined = names.iter().map(|name| join(&pairs, name)).find(|value| !value.is_empty());
        match joined {
            None => Self::None,
            Some(value) if is_sealed(&value) => Self::Sealed,
            Some(value) => Self::Token(SessionToken::new(value)),
        }
    }
}

/// All lines as one, as Node joins them: bytes beyond ASCII are Latin-1 there.
fn cookie_line(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let mut lines = headers.get_all(header::COOKIE).iter().map(latin_1);
    let first = lines.next()?;
    Some(lines.fold(first, |mut line, next| {
        let whole = line.to_mut();
        whole.push_str("; ");
        whole.push_str(&next);
        line
    }))
}

fn latin_1(value: &HeaderValue) -> Cow<'_, str> {
    match value.to_str() {
        Ok(ascii) => Cow::Borrowed(ascii),
        Err(_) => value.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Names and decoded values of the cookies that belong to a configured name, in their order, each name once. The others are not
/// looked at: there may be thousands.
fn pairs<'line>(line: &'line str, names: &[String]) -> Vec<(&'line str, Cow<'line, str>)> {
    /// Up to here, looking through the list is cheaper than hashing.
    const FEW: usize = 8;
    let mut pairs: Vec<(&str, Cow<'_, str>)> = Vec::new();
    let mut known = HashSet::new();
    for piece in line.split(';') {
        let Some((name, value)) = piece.split_once('=') else { continue };
        let name = name.trim_matches([' ', '\t']);
        if !names.iter().any(|prefix| name.starts_with(prefix.as_str())) {
            continue;
        }
        if pairs.len() == FEW {
            known.extend(pairs.iter().map(|(name, _)| *name));
        }
        let is_new = if pairs.len() < FEW { pairs.iter().all(|(known, _)| *known != name) } else { known.insert(name) };
        if is_new {
            pairs.push((name, decode(value.trim_matches([' ', '\t']))));
        }
    }
    pairs
}

/// `decodeURIComponent`, and the text as it stands where that would throw.
fn decode(value: &str) -> Cow<'_, str> {
    if !value.contains('%') {
        return Cow::Borrowed(value);
    }
    percent_decode(value).and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Cow::Borrowed(value), Cow::Owned)
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

fn join<'pairs>(pairs: &'pairs [(&str, Cow<'_, str>)], prefix: &str) -> Cow<'pairs, str> {
    let belonging = pairs.iter().filter(|(name, value)| name.starts_with(prefix) && !value.is_empty());
    // As nearly every session has it: one cookie, which is not in chunks.
    let mut first_two = belonging.clone();
    if let (Some((_, only)), None) = (first_two.next(), first_two.next()) {
        return Cow::Borrowed(only);
    }
    let mut chunks: Vec<(f64, &str)> = belonging.map(|(name, value)| (chunk_number(name), &**value)).collect();
    sort(&mut chunks);
    chunks.into_iter().map(|(_, value)| value).collect()
}

/// `Array.prototype.sort` of V8 by the difference of the numbers. A name without a number compares as equal to every other, so the
/// result depends on the way in which one sorts: a run from the start, then binary insertion. (V8 does so up to 63 items; more
/// would not fit into a head, unless they are nearly empty.)
fn sort(chunks: &mut [(f64, &str)]) {
    // The difference is no number where one of the two is none, and is then neither below zero nor above.
    let is_before = |one: (f64, &str), other: (f64, &str)| one.0 - other.0 < 0.0;
    let Some(run) = leading_run(chunks, is_before) else { return };
    for start in run..chunks.len() {
        let (sorted, rest) = chunks.split_at_mut(start);
        let Some(&mut pivot) = rest.first_mut() else { return };
        let place = insertion_point(sorted, |chunk| is_before(pivot, chunk));
        if let Some(moved) = chunks.get_mut(place..=start) {
            moved.rotate_right(1);
        }
    }
}

/// Where binary insertion puts an item that goes before some. The halves must be V8's: with names that compare as equal to every other the
/// way decides the result.
fn insertion_point(sorted: &[(f64, &str)], goes_before: impl Fn((f64, &str)) -> bool) -> usize {
    let (mut left, mut right) = (0, sorted.len());
    while left < right {
        let middle = left + (right - left) / 2;
        if sorted.get(middle).is_some_and(|chunk| goes_before(*chunk)) {
            right = middle;
        } else {
            left = middle + 1;
        }
    }
    left
}

/// The length of the run that is sorted already; one that falls is turned round. `None` without two items.
fn leading_run(chunks: &mut [(f64, &str)], is_before: impl Fn((f64, &str), (f64, &str)) -> bool) -> Option<usize> {
    let [first, second, ..] = *chunks else { return None };
    let is_falling = is_before(second, first);
    let goes_on = |pair: &[(f64, &str)]| matches!(*pair, [one, next] if is_before(next, one) == is_falling);
    let run = 1 + chunks.windows(2).take_while(|pair| goes_on(pair)).count();
    if is_falling {
        chunks.get_mut(..run)?.reverse();
    }
    Some(run)
}

/// `parseInt` of what follows the last dot; nothing after it counts as `0`. Not a number where `parseInt` finds none.
fn chunk_number(name: &str) -> f64 {
    let suffix = name.rsplit('.').next().filter(|suffix| !suffix.is_empty()).unwrap_or("0").trim_start();
    let (sign, digits) = match suffix.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, suffix.strip_prefix('+').unwrap_or(suffix)),
    };
    let (radix, digits) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hexadecimal) => (16, hexadecimal),
        None => (10, digits),
    };
    let numbers = digits.chars().map_while(|digit| digit.to_digit(radix));
    let number = numbers
        .fold(None, |number: Option<f64>, digit| Some(number.unwrap_or(0.0) * f64::from(radix) + f64::from(digit)));
    number.map_or(f64::NAN, |number| sign * number)
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
    fn odd_names_are_sorted_as_v8_sorts_them() {
        // Each line's result was printed by the session store of @auth/core 0.41.3 on Node 20.
        assert_eq!(
            read(&[
                "authjs.session-token.2=2; authjs.session-token.0=0; authjs.session-token=B; authjs.session-token.1=1"
            ]),
            "012B"
        );
        assert_eq!(read(&["authjs.session-token.1=b; authjs.session-token.=a"]), "ab");
        assert_eq!(read(&["authjs.session-token.0x10=c; authjs.session-token.2=b; authjs.session-token.-1=a"]), "abc");
    }

    #[test]
    fn bytes_beyond_ascii_are_read_as_node_reads_them() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_bytes(b"authjs.session-token=\xe9").expect("a value"));
        let names = ["authjs.session-token".to_owned()];
        assert!(
            matches!(CookieSession::read(&headers, &names), CookieSession::Token(token) if token.expose() == "\u{e9}")
        );
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
