//! Sessions: from a cookie to a session that is alive, read once and kept for a moment.

mod live;

pub use self::live::{LiveSession, Profile, SessionKey, SessionToken};
