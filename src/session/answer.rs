//! What the deployment answered to `getSessionAndUser`, read once.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{LiveSession, Profile, SessionKey, SessionToken};
use crate::{adapter::present, clock::UnixMillis};

/// An answer as it came, and what it says. `Debug` does not show the bytes: a token and a person are in them.
pub struct SessionAnswer {
    /// The deployment's status.
    pub status: StatusCode,
    /// The deployment's Content-Type.
    pub content_type: HeaderValue,
    /// The bytes as they came.
    pub body: Bytes,
    /// What they say.
    pub reading: Reading,
}

/// What an answer says of the session.
#[derive(Debug)]
pub enum Reading {
    /// The row and its user. It may have expired: Auth.js wants to see that row and deletes it.
    Row(LiveSession),
    /// There is no such session.
    Absent,
    /// The function or the deployment refused, in Convex's own form.
    Refused,
    /// Nothing that Convex would say.
    Unreadable,
}

impl SessionAnswer {
    /// The session, if it lives at that moment.
    pub fn live(&self, at: UnixMillis) -> Option<&LiveSession> {
        match &self.reading {
            Reading::Row(session) if at < session.expires => Some(session),
            Reading::Row(_) | Reading::Absent | Reading::Refused | Reading::Unreadable => None,
        }
    }
}

impl fmt::Debug for SessionAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, content_type: _, body: _, reading } = self;
        formatter
            .debug_struct("SessionAnswer")
            .field("status", status)
            .field("reading", reading)
            .finish_non_exhaustive()
    }
}

impl Reading {
    /// Reads the body of an answer. `token` and `key` are those that were asked for.
    pub fn read(status: StatusCode, body: &[u8], token: &SessionToken, key: SessionKey) -> Self {
        if status != StatusCode::OK {
            return if serde_json::from_slice::<WireError<'_>>(body).is_ok() {
                Self::Refused
            } else {
                Self::Unreadable
            };
        }
        let Ok(answer) = serde_json::from_slice::<WireAnswer<'_>>(body) else { return Self::Unreadable };
        match (&*answer.status, answer.value) {
            ("error", _) => Self::Refused,
            ("success", Some(value)) if value.get() == "null" => Self::Absent,
            ("success", Some(value)) => match serde_json::from_str::<WirePair<'_>>(value.get()) {
                Ok(pair) => Self::Row(pair.into_session(token, key)),
                Err(_) => Self::Unreadable,
            },
            _ => Self::Unreadable,
        }
    }
}

#[derive(Deserialize)]
struct WireError<'body> {
    #[serde(rename = "code", borrow)]
    _code: Cow<'body, str>,
}

#[derive(Deserialize)]
struct WireAnswer<'body> {
    #[serde(borrow)]
    status: Cow<'body, str>,
    // Not an `Option`'s null: a value that is null is an answer, one that is not there is none.
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'body RawValue>,
}

#[derive(Deserialize)]
struct WirePair<'body> {
    #[serde(borrow)]
    session: WireSession<'body>,
    #[serde(borrow)]
    user: WireUser<'body>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSession<'body> {
    #[serde(borrow)]
    user_id: Cow<'body, str>,
    expires: f64,
}

#[derive(Deserialize)]
struct WireUser<'body> {
    #[serde(borrow, default)]
    email: Option<Cow<'body, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'body, str>>,
    #[serde(borrow, default)]
    image: Option<Cow<'body, str>>,
}

impl WirePair<'_> {
    fn into_session(self, token: &SessionToken, key: SessionKey) -> LiveSession {
        let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        LiveSession {
            key,
            token: token.clone(),
            user_id: self.session.user_id.into_owned(),
            // Saturates; no date of JavaScript's is past 2^53.
            expires: UnixMillis(self.session.expires as i64),
            profile: Profile {
                email: owned(self.user.email),
                name: owned(self.user.name),
                image: owned(self.user.image),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::Reading;
    use crate::{
        secret::Secret,
        session::{SessionKeys, SessionToken},
    };

    fn read(status: u16, body: &str) -> String {
        let token = SessionToken::new("t");
        let key = SessionKeys::new(&Secret::new("s"), "http://d").key_of(&token);
        match Reading::read(StatusCode::from_u16(status).expect("a status"), body.as_bytes(), &token, key) {
            Reading::Row(session) => format!("{} until {}", session.user_id, session.expires.0),
            other @ (Reading::Absent | Reading::Refused | Reading::Unreadable) => format!("{other:?}"),
        }
    }

    #[test]
    fn an_answer_is_a_row_nothing_a_refusal_or_unreadable() {
        let row = r#"{"status":"success","value":{"session":{"userId":"u1","expires":1.7e12,"sessionToken":"t"},"user":{"_id":"u1","email":"e"}},"logLines":[]}"#;
        assert_eq!(read(200, row), "u1 until 1700000000000");
        assert_eq!(read(200, r#"{"status":"success","value":null}"#), "Absent");
        assert_eq!(read(200, r#"{"status":"error","errorMessage":"no"}"#), "Refused");
        assert_eq!(read(503, r#"{"code":"Overloaded","message":"m"}"#), "Refused");
        for (status, body) in [
            (200, ""),
            (200, "null"),
            (200, r#"{"status":"success"}"#),
            (200, r#"{"status":"success","value":{"session":null,"user":null}}"#),
            (200, r#"{"status":"success","value":{"session":{"userId":"u","expires":"x"},"user":{}}}"#),
            (200, r#"{"code":"x"}"#),
            (502, "<html>"),
        ] {
            assert_eq!(read(status, body), "Unreadable", "{status} {body}");
        }
    }
}
