//! What the deployment answered to `getSessionAndUser`, read once.

use std::{borrow::Cow, fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{LiveSession, Profile, SessionKey, SessionToken};
use crate::{
    clock::UnixMillis,
    error::JSON,
    json::{present, read_text},
};

/// An answer as it came, and what it says. `Debug` does not show the bytes: a token and a person are in them.
///
/// There may be a million of these in memory, so that nothing is kept twice.
pub struct SessionAnswer {
    status: StatusCode,
    /// None for JSON, which nearly all are.
    content_type: Option<Box<HeaderValue>>,
    body: Box<[u8]>,
    reading: Reading,
    row: Option<Row>,
    profile: Option<Box<Profile>>,
}

/// What an answer says of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The row and its user. It may have expired: Auth.js wants to see that row and deletes it.
    Row,
    /// There is no such session.
    Absent,
    /// The function or the deployment refused, in Convex's own form.
    Refused,
    /// Nothing that Convex would say.
    Unreadable,
}

/// A session's row.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// `expires` of the session.
    expires: UnixMillis,
    /// `userId` of the session, a JSON string: where it stands in the bytes of its answer.
    user_id: Span,
}

/// A piece of an answer: where it begins, and how many bytes it has.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    length: u32,
}

/// An answer, as the owner of its bytes.
struct Whole(Arc<SessionAnswer>);

impl SessionAnswer {
    /// Reads an answer. The bytes are copied: what came are parts of the connection's buffer, which would be kept for as long as this is.
    /// The profile is read out if tokens have claims of it.
    pub fn read(status: StatusCode, content_type: &HeaderValue, body: &[u8], keeps_profile: bool) -> Self {
        let is_json = content_type == JSON;
        let copy = || HeaderValue::from_bytes(content_type.as_bytes()).map(Box::new).ok();
        let (reading, found) = read(status, body);
        Self {
            status,
            content_type: if is_json { None } else { copy() },
            body: body.into(),
            reading,
            row: found.as_ref().map(|(row, _)| *row),
            profile: found.filter(|_| keeps_profile).map(|(_, user)| Box::new(user.into_profile())),
        }
    }

    /// The deployment's status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The deployment's Content-Type.
    pub fn content_type(&self) -> HeaderValue {
        self.content_type.as_deref().cloned().unwrap_or(JSON)
    }

    /// The bytes as they came, not copied.
    pub fn body(self: Arc<Self>) -> Bytes {
        Bytes::from_owner(Whole(self))
    }

    /// How many bytes came.
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// What they say.
    pub fn reading(&self) -> Reading {
        self.reading
    }

    /// Whether it tells of a session that lives at that moment.
    pub fn is_live(&self, at: UnixMillis) -> bool {
        self.row.is_some_and(|row| at < row.expires)
    }

    /// The session, if it lives at that moment. `token` is the one that was asked with, and `key` stands for it.
    pub fn live(&self, key: SessionKey, token: SessionToken, at: UnixMillis) -> Option<LiveSession> {
        let row = self.row.filter(|row| at < row.expires)?;
        let user_id = self.user_id()?.into_owned();
        let profile = self.profile.as_deref().cloned().unwrap_or_default();
        Some(LiveSession { key, token, user_id, expires: row.expires, profile })
    }

    /// `userId` of the session's row, if there is one.
    pub fn user_id(&self) -> Option<Cow<'_, str>> {
        read_text(self.text(self.row?.user_id)?)
    }

    fn text(&self, Span { start, length }: Span) -> Option<&str> {
        let bytes = self.body.get(usize::try_from(start).ok()?..)?.get(..usize::try_from(length).ok()?)?;
        str::from_utf8(bytes).ok()
    }
}

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        &self.0.body
    }
}

impl fmt::Debug for SessionAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, content_type: _, body: _, reading, row: _, profile: _ } = self;
        formatter
            .debug_struct("SessionAnswer")
            .field("status", status)
            .field("reading", reading)
            .finish_non_exhaustive()
    }
}

fn read(status: StatusCode, body: &[u8]) -> (Reading, Option<(Row, WireUser<'_>)>) {
    if status != StatusCode::OK {
        let is_convexs = serde_json::from_slice::<WireError<'_>>(body).is_ok();
        return (if is_convexs { Reading::Refused } else { Reading::Unreadable }, None);
    }
    let Ok(answer) = serde_json::from_slice::<WireAnswer<'_>>(body) else { return (Reading::Unreadable, None) };
    match (&*answer.status, answer.value) {
        ("error", _) => (Reading::Refused, None),
        ("success", Some(value)) if value.get() == "null" => (Reading::Absent, None),
        ("success", Some(value)) => {
            let found = serde_json::from_str::<WirePair<'_>>(value.get()).ok().and_then(|pair| pair.row_in(body));
            (if found.is_some() { Reading::Row } else { Reading::Unreadable }, found)
        }
        _ => (Reading::Unreadable, None),
    }
}

impl Span {
    /// Where `part` stands in `whole`, of which it is a piece.
    fn of(part: &str, whole: &[u8]) -> Option<Self> {
        let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
        Some(Self { start: start.try_into().ok()?, length: part.len().try_into().ok()? })
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
    user_id: &'body RawValue,
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

impl<'body> WirePair<'body> {
    fn row_in(self, body: &[u8]) -> Option<(Row, WireUser<'body>)> {
        let user_id = self.session.user_id.get();
        read_text(user_id)?;
        // Saturates; no date of JavaScript's is past 2^53.
        let expires = UnixMillis(self.session.expires as i64);
        Some((Row { expires, user_id: Span::of(user_id, body)? }, self.user))
    }
}

impl WireUser<'_> {
    fn into_profile(self) -> Profile {
        let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        Profile { email: owned(self.email), name: owned(self.name), image: owned(self.image) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{HeaderValue, StatusCode};

    use super::{Profile, Reading, SessionAnswer, SessionToken};
    use crate::{clock::UnixMillis, secret::Secret, session::SessionKeys};

    fn answer(status: u16, body: &str) -> SessionAnswer {
        let status = StatusCode::from_u16(status).expect("a status");
        SessionAnswer::read(status, &HeaderValue::from_static("application/json"), body.as_bytes(), true)
    }

    fn read(status: u16, body: &str) -> String {
        let answer = answer(status, body);
        match answer.reading() {
            Reading::Row => format!("{} until {}", answer.user_id().unwrap(), answer.row.unwrap().expires.0),
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
            (200, r#"{"status":"success","value":{"session":{"userId":7,"expires":1},"user":{}}}"#),
            (200, r#"{"status":"success","value":{"session":{"userId":"\ud800","expires":1},"user":{}}}"#),
            (200, r#"{"status":"success","value":{"session":{"userId":"u","expires":1},"user":{"email":7}}}"#),
            (200, r#"{"code":"x"}"#),
            (502, "<html>"),
        ] {
            assert_eq!(read(status, body), "Unreadable", "{status} {body}");
        }
    }
    #[test]
    fn what_an_answer_says_is_found_in_its_bytes() {
        let body = r#" { "status":"success", "value" : {"user": {"name":"A\u0064a","image":null,"email":"e","age":1}, "session":{"expires":1e3,"userId": "u\u0031" } } }"#;
        let answer = Arc::new(answer(200, body));
        assert_eq!(answer.user_id().as_deref(), Some("u1"));
        let token = SessionToken::new("t");
        let key = SessionKeys::new(&Secret::new("s"), "http://d").key_of(&token);
        let live = |answer: &SessionAnswer, at| answer.live(key, token.clone(), UnixMillis(at));
        assert!(live(&answer, 1_000).is_none(), "it has expired");
        let profile = live(&answer, 999).unwrap().profile;
        assert_eq!((profile.name.as_deref(), profile.email.as_deref(), profile.image), (Some("Ada"), Some("e"), None));
        let bare =
            SessionAnswer::read(StatusCode::OK, &HeaderValue::from_static("application/json"), body.as_bytes(), false);
        assert_eq!(live(&bare, 999).unwrap().profile, Profile::default());
        assert_eq!(Arc::clone(&answer).body(), body);
        assert_eq!(answer.body_bytes(), body.len());
    }
}
