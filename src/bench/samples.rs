//! Bodies and values of usual size, to measure codecs with.

use serde_json::{Value, json};

/// What Auth.js sends and what Convex answers, as JSON text.
#[derive(Debug, Clone)]
pub struct Samples {
    /// The body of `POST /adapter/createSession`.
    pub create_session: Vec<u8>,
    /// What the deployment's `getSessionAndUser` returns.
    pub session_and_user: Vec<u8>,
}

const USER_ID: &str = "jx7d2m4k8v1n5q9s3w6y0b2c4f6h8j1k";

impl Samples {
    /// The session token in both.
    pub const SESSION_TOKEN: &'static str = "c0a3a6f5-1d3c-4f0e-9c55-0f6a4a9d8e11";

    /// The usual ones.
    pub fn new() -> Self {
        let body = json!({ "session": Self::session(&"2026-12-23T10:20:30.456Z".into()) });
        let mut rows = [Self::session(&1_798_021_230_456.0.into()), Self::user(&1_700_000_000_000.0.into())];
        for row in rows.iter_mut().filter_map(Value::as_object_mut) {
            row.insert("_id".to_owned(), USER_ID.into());
            row.insert("_creationTime".to_owned(), 1_700_000_000_000.123.into());
        }
        let [session, user] = rows;
        Self {
            create_session: body.to_string().into_bytes(),
            session_and_user: json!({ "session": session, "user": user }).to_string().into_bytes(),
        }
    }

    /// A session as Auth.js sends it, but for how its date is written.
    pub fn session(expires: &Value) -> Value {
        json!({ "sessionToken": Self::SESSION_TOKEN, "userId": USER_ID, "expires": expires })
    }

    /// A user as Auth.js sends it, but for how its date is written.
    pub fn user(email_verified: &Value) -> Value {
        let image = "https://avatars.githubusercontent.com/u/1234567?v=4";
        json!({ "name": "Ada Lovelace", "email": "ada@example.org", "image": image, "emailVerified": email_verified })
    }
}

impl Default for Samples {
    fn default() -> Self {
        Self::new()
    }
}
