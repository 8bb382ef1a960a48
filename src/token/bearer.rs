//! Whose a caller's Bearer token is.
//!
//! Not a verification: Convex verifies every token that is passed on. Only what was made here, for a session, must be told
//! from the rest, because Convex cannot know that the session has ended. A token made here cannot be dressed as a foreign
//! one: its claims are signed as they stand, so whoever changes them has a token that Convex refuses.

use std::{borrow::Cow, fmt};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    claims::MAX_TOKEN_BYTES,
    seal::{self, Seal, SealBroken, SpeaksFor},
};
use crate::session::SessionToken;

/// Whose a token is. `Debug` never shows the session.
#[derive(Debug, Clone)]
pub enum Bearer {
    /// Not made here: another issuer, or this one without a `jti` of ours (an app may sign with the same key), or no
    /// token at all. Convex decides.
    Foreign,
    /// Made here for this session: worth as much as the session is.
    Session(SessionToken),
    /// Made here for a user without a session.
    User,
    /// Says that it was made here, and its seal does not open: the secret has changed, or somebody made it up.
    Unopenable,
}

pub(super) fn read(token: &str, seal: &Seal) -> Bearer {
    // Nothing that is made here is longer or unreadable. Convex trims what follows `Bearer `, so it is trimmed here too.
    let token = token.trim();
    if token.len() > MAX_TOKEN_BYTES {
        return Bearer::Foreign;
    }
    let Some(payload) = token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok()) else {
        return Bearer::Foreign;
    };
    match serde_json::from_slice::<Claims>(&payload) {
        Ok(claims) => judge(&claims, seal),
        Err(_) => Bearer::Foreign,
    }
}

fn judge(claims: &Claims, seal: &Seal) -> Bearer {
    let is_our_issuer = claims.issuers.iter().flatten().any(|issuer| seal.is_issuer(issuer));
    let is_our_jti = claims.jtis.iter().flatten().any(|jti| seal::is_ours(jti));
    if !(is_our_issuer && is_our_jti) {
        return Bearer::Foreign;
    }
    // A name that stands twice means one thing to one reader and another to the next. Nothing made here has one.
    let ([_], [Some(jti)]) = (claims.issuers.as_slice(), claims.jtis.as_slice()) else {
        return Bearer::Unopenable;
    };
    match seal.open(jti) {
        Ok(SpeaksFor::Session(session)) => Bearer::Session(session),
        Ok(SpeaksFor::User) => Bearer::User,
        Err(SealBroken) => Bearer::Unopenable,
    }
}

/// Every value that a payload gives for the two claims that decide, in order; `None` stands for one that is no text.
#[derive(Default)]
struct Claims {
    issuers: Vec<Option<String>>,
    jtis: Vec<Option<String>>,
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EverySpelling)
    }
}

/// Reads an object without letting one of two equal names win.
struct EverySpelling;

impl<'de> Visitor<'de> for EverySpelling {
    type Value = Claims;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Claims, A::Error> {
        let text = |value: &RawValue| serde_json::from_str(value.get()).ok();
        let mut claims = Claims::default();
        while let Some(name) = members.next_key::<Cow<'_, str>>()? {
            match &*name {
                "iss" => claims.issuers.push(text(members.next_value()?)),
                "jti" => claims.jtis.push(text(members.next_value()?)),
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::{Bearer, MAX_TOKEN_BYTES, Seal, SpeaksFor, read};
    use crate::{secret::Secret, session::SessionToken};

    const ISSUER: &str = "https://happy-otter-123.convex.site";

    fn seal() -> Seal {
        Seal::new(&Secret::new("adapter secret"), ISSUER)
    }

    fn token(payload: &str) -> String {
        format!("{}.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(payload))
    }

    fn judged(token: &str) -> String {
        match read(token, &seal()) {
            Bearer::Foreign => "foreign".to_owned(),
            Bearer::Session(session) => format!("session {}", session.expose()),
            Bearer::User => "user".to_owned(),
            Bearer::Unopenable => "unopenable".to_owned(),
        }
    }

    fn session_jti() -> String {
        seal().seal(&SpeaksFor::Session(SessionToken::new("a8f3"))).unwrap()
    }

    #[test]
    fn a_token_made_here_says_what_it_speaks_for() {
        let (session, user) = (session_jti(), seal().seal(&SpeaksFor::User).unwrap());
        assert_eq!(judged(&token(&format!(r#"{{"iss":"{ISSUER}","jti":"{session}"}}"#))), "session a8f3");
        assert_eq!(judged(&token(&format!(r#"{{"sub":[1],"jti":"{user}","iss":"{ISSUER}"}}"#))), "user");
        assert_eq!(
            judged(&format!(" {} ", token(&format!(r#"{{"iss":"{ISSUER}","jti":"{session}"}}"#)))),
            "session a8f3"
        );
        assert_eq!(judged(&token(&format!(r#"{{"iss":"{ISSUER}/","\u006ati":"{session}"}}"#))), "session a8f3");
    }

    #[test]
    fn another_issuer_or_no_jti_of_ours_is_foreign() {
        let jti = session_jti();
        for payload in [
            format!(r#"{{"iss":"https://accounts.example.com","jti":"{jti}"}}"#),
            format!(r#"{{"jti":"{jti}"}}"#),
            format!(r#"{{"iss":"{ISSUER}"}}"#),
            format!(r#"{{"iss":"{ISSUER}","jti":"4d0f6a7e"}}"#),
            format!(r#"{{"iss":"{ISSUER}","jti":7}}"#),
            format!(r#"{{"iss":["{ISSUER}"],"jti":"{jti}"}}"#),
            format!(r#"["{ISSUER}","{jti}"]"#),
            "no JSON".to_owned(),
        ] {
            assert_eq!(judged(&token(&payload)), "foreign", "{payload}");
        }
        for text in ["", ".", "..", "abc", "a.b.c", "a.=.c", "€.€.€"] {
            assert_eq!(judged(text), "foreign", "{text}");
        }
    }

    #[test]
    fn a_seal_that_does_not_open_is_not_let_through() {
        let other = Seal::new(&Secret::new("another secret"), ISSUER).seal(&SpeaksFor::User).unwrap();
        for jti in [other.as_str(), "cap1.", "cap1.AAAA"] {
            assert_eq!(judged(&token(&format!(r#"{{"iss":"{ISSUER}","jti":"{jti}"}}"#))), "unopenable", "{jti}");
        }
    }

    #[test]
    fn a_claim_that_stands_twice_is_not_let_through_when_either_is_ours() {
        let jti = session_jti();
        for payload in [
            format!(r#"{{"iss":"{ISSUER}","jti":"{jti}","jti":"other"}}"#),
            format!(r#"{{"iss":"{ISSUER}","jti":"other","jti":"{jti}"}}"#),
            format!(r#"{{"iss":"{ISSUER}","jti":"{jti}","\u006ati":null}}"#),
            format!(r#"{{"iss":"https://accounts.example.com","iss":"{ISSUER}","jti":"{jti}"}}"#),
            format!(r#"{{"iss":"{ISSUER}","iss":1,"jti":"{jti}"}}"#),
        ] {
            assert_eq!(judged(&token(&payload)), "unopenable", "{payload}");
        }
        assert_eq!(judged(&token(&format!(r#"{{"iss":"{ISSUER}","jti":"one","jti":"other"}}"#))), "foreign");
    }

    #[test]
    fn what_is_longer_than_anything_made_here_is_foreign() {
        let claims = format!(r#"{{"iss":"{ISSUER}","jti":"cap1.AAAA","padding":"{}"}}"#, "x".repeat(MAX_TOKEN_BYTES));
        assert_eq!(judged(&token(&claims)), "foreign");
        // Blanks around it do not count, as they do not for Convex: else they would hide a token of ours.
        let ours = token(&format!(r#"{{"iss":"{ISSUER}","jti":"{}"}}"#, session_jti()));
        let blanks = " ".repeat(MAX_TOKEN_BYTES);
        assert_eq!(judged(&format!("{blanks}{ours}{blanks}")), "session a8f3");
    }

    #[test]
    fn debug_output_shows_no_session() {
        let bearer = read(&token(&format!(r#"{{"iss":"{ISSUER}","jti":"{}"}}"#, session_jti())), &seal());
        assert_eq!(format!("{bearer:?}"), "Session(SessionToken([secret]))");
    }

    proptest! {
        /// No text makes it panic, and none that was not sealed here is taken for a session's or a user's.
        #[test]
        fn nothing_made_up_is_honoured(text in ".{0,200}", payload in ".{0,200}", jti in "(cap1\\.)?[A-Za-z0-9_-]{0,120}") {
            let made_up = [text, token(&payload), token(&format!(r#"{{"iss":"{ISSUER}","jti":"{jti}"}}"#))];
            for text in made_up {
                prop_assert!(matches!(read(&text, &seal()), Bearer::Foreign | Bearer::Unopenable));
            }
        }
    }
}
