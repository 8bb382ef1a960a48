//! A request's beginning: which socket it came by, when, and the name it has in the logs.

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, SocketAddr},
    sync::{
        LazyLock, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use http::HeaderValue;

use crate::{
    classify::{Listener, Route},
    clock::Now,
};

/// Both ends of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// The listener that accepted it.
    pub listener: Listener,
    /// The sender's address; none on a unix socket. Headers play no part in it.
    pub peer: Option<IpAddr>,
    /// This end; none on a unix socket.
    pub local: Option<SocketAddr>,
}

/// One request, stamped as it arrived. What is learnt of it on its way is noted here for its log line.
#[derive(Debug)]
pub struct Arrival {
    /// Both ends of its connection.
    pub ends: Ends,
    /// When it came.
    pub now: Now,
    /// Its name in the logs, sent upstream and back: 16 hexadecimal digits, unlike any other of this process.
    pub id: HeaderValue,
    /// Where it goes, once that is known.
    pub route: OnceLock<Route>,
    /// The function that it calls, as parsed; `(batch)` for several.
    pub function: OnceLock<String>,
}

impl Arrival {
    /// Stamps a request.
    pub fn new(ends: Ends, now: Now) -> Self {
        Self { ends, now, id: next_id(), route: OnceLock::new(), function: OnceLock::new() }
    }
}

fn next_id() -> HeaderValue {
    static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0_u8));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // An odd multiplier visits every number once, so ids differ and do not look alike.
    let number = COUNT.fetch_add(1, Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ *START;
    HeaderValue::try_from(format!("{number:016x}")).unwrap_or(HeaderValue::from_static("0"))
}
