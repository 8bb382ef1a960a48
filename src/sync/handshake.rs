//! The opening handshake of RFC 6455, section 4, on both sides. No extension and no subprotocol is ever agreed on: what is inspected
//! must not be compressed (L12).

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::{body::Body, error::Rejection};

/// A client's question, read.
#[derive(Debug, Clone)]
pub struct Opening {
    accept: HeaderValue,
}

/// The proxy's own question to the deployment.
#[derive(Debug)]
pub struct Question {
    key: HeaderValue,
    accept: HeaderValue,
}

/// What every accepted key is hashed with (section 1.3).
const PROTOCOL: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const UPGRADE: HeaderValue = HeaderValue::from_static("Upgrade");
const VERSION: HeaderValue = HeaderValue::from_static("13");

impl Opening {
    /// Reads the head of a request that shall become a socket. The head is untrusted.
    ///
    /// # Errors
    ///
    /// - [`Rejection::UpgradeRequired`]: it does not ask for a WebSocket, or for another version than 13.
    /// - [`Rejection::BadUpgrade`]: it does, without exactly one key of 16 bytes.
    pub fn read(headers: &HeaderMap) -> Result<Self, Rejection> {
        let asks = names(headers, &header::CONNECTION, "upgrade") && names(headers, &header::UPGRADE, "websocket");
        if !asks || only(headers, &header::SEC_WEBSOCKET_VERSION) != Some(VERSION.as_bytes()) {
            return Err(Rejection::UpgradeRequired);
        }
        let key = only(headers, &header::SEC_WEBSOCKET_KEY).ok_or(Rejection::BadUpgrade)?;
        if !STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16) {
            return Err(Rejection::BadUpgrade);
        }
        Ok(Self { accept: accept(key) })
    }

    /// The answer that makes it a socket.
    pub fn answer(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, UPGRADE);
        headers.insert(header::UPGRADE, WEBSOCKET);
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        response
    }
}

impl Question {
    /// A question with a key that was never used.
    ///
    /// # Errors
    ///
    /// [`Rejection::SigningFailed`]: the system gives no randomness.
    pub fn new() -> Result<Self, Rejection> {
        let mut nonce = [0_u8; 16];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Rejection::SigningFailed)?;
        let key = STANDARD.encode(nonce);
        let accept = accept(key.as_bytes());
        Ok(Self { key: HeaderValue::try_from(key).map_err(|_| Rejection::SigningFailed)?, accept })
    }

    /// Sets the headers that ask.
    pub fn ask(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONNECTION, UPGRADE);
        headers.insert(header::UPGRADE, WEBSOCKET);
        headers.insert(header::SEC_WEBSOCKET_VERSION, VERSION);
        headers.insert(header::SEC_WEBSOCKET_KEY, self.key.clone());
    }

    /// Whether an answer with status 101 is the one to this question, and agrees on nothing that was not asked for (section 4.1).
    pub fn is_answered_by(&self, headers: &HeaderMap) -> bool {
        names(headers, &header::UPGRADE, "websocket")
            && names(headers, &header::CONNECTION, "upgrade")
            && only(headers, &header::SEC_WEBSOCKET_ACCEPT) == Some(self.accept.as_bytes())
            && !headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS)
            && !headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL)
    }
}

fn accept(key: &[u8]) -> HeaderValue {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(PROTOCOL.as_bytes());
    HeaderValue::try_from(STANDARD.encode(hash.finish())).unwrap_or(HeaderValue::from_static(""))
}

/// Whether a list header names something, in any case, in any of its lines.
fn names(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(wanted))
}

/// The one value of a header that must be there once.
fn only<'head>(headers: &'head HeaderMap, name: &HeaderName) -> Option<&'head [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes().trim_ascii()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{Opening, Question, Rejection};

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            headers
        })
    }

    const GOOD: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn rfc_6455_1_3_the_key_is_answered() {
        let answer = Opening::read(&headers(&GOOD)).expect("an opening").answer();
        assert_eq!(answer.status(), 101);
        assert_eq!(answer.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn rfc_6455_4_2_1_what_is_no_opening_is_refused() {
        let without = |left_out: &str| {
            let lines: Vec<_> = GOOD.into_iter().filter(|(name, _)| *name != left_out).collect();
            Opening::read(&headers(&lines)).err()
        };
        for name in ["connection", "upgrade", "sec-websocket-version"] {
            assert_eq!(without(name), Some(Rejection::UpgradeRequired), "{name}");
        }
        assert_eq!(without("sec-websocket-key"), Some(Rejection::BadUpgrade));
        for key in ["", "c2hvcnQ=", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSBsb25n"] {
            let mut lines = headers(&GOOD);
            lines.insert("sec-websocket-key", HeaderValue::from_static(key));
            assert_eq!(Opening::read(&lines).err(), Some(Rejection::BadUpgrade), "{key}");
        }
        let mut twice = headers(&GOOD);
        twice.append("sec-websocket-key", HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        assert_eq!(Opening::read(&twice).err(), Some(Rejection::BadUpgrade));
    }

    #[test]
    fn rfc_6455_4_1_only_the_answer_to_the_question_is_one() {
        let question = Question::new().expect("randomness");
        let mut asked = HeaderMap::new();
        question.ask(&mut asked);
        let answer = Opening::read(&asked).expect("an opening").answer().into_parts().0.headers;
        assert!(question.is_answered_by(&answer));
        assert!(!Question::new().expect("randomness").is_answered_by(&answer));
        for (name, value) in [("sec-websocket-extensions", "permessage-deflate"), ("sec-websocket-protocol", "x")] {
            let mut more = answer.clone();
            more.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            assert!(!question.is_answered_by(&more), "{name}");
        }
    }
}
