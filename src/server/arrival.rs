//! A request's beginning: which socket it came by, when, and the name it has in the logs.

use std::{
    hash::{BuildHasher, RandomState},
    net::{IpAddr, SocketAddr},
    sync::{
        LazyLock, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use http::HeaderValue;

use crate::classify::{Listener, Route};

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
    pub at: Instant,
    /// Its name in the logs, sent upstream and back: 16 hexadecimal digits, unlike any other of this process.
    pub id: HeaderValue,
    /// Where it goes, once that is known.
    pub route: OnceLock<Route>,
    /// The function that it calls, as parsed; `(batch)` for several.
    pub function: OnceLock<String>,
}

impl Arrival {
    /// Stamps a request.
    pub fn new(ends: Ends) -> Self {
        Self { ends, at: Instant::now(), id: next_id(), route: OnceLock::new(), function: OnceLock::new() }
    }
}

fn next_id() -> HeaderValue {
    static START: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0_u8));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    // An odd multiplier visits every number once, so ids differ and do not look alike.
    let number = COUNT.fetch_add(1, Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ *START;
    let digits: [u8; 16] = std::array::from_fn(|digit| {
        let nibble = (number >> (60 - 4 * digit)) & 0xF;
        b"0123456789abcdef".get(nibble as usize).copied().unwrap_or(b'0')
    });
    HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static("0"))
}
