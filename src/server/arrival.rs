//! A request's beginning: which socket it came by, when, and the name it has in the logs.

use std::{
    cell::Cell,
    net::{IpAddr, SocketAddr},
    sync::{
        LazyLock, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use http::HeaderValue;

use crate::{
    chance,
    classify::{Listener, Route},
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
    pub at: Instant,
    /// Its name in the logs, sent upstream and back: 16 hexadecimal digits, unlike any other of this process.
    pub id: HeaderValue,
    /// Where it goes, once that is known.
    pub route: OnceLock<Route>,
    /// The function that it calls, as parsed; `(batch of 3)` for several.
    pub function: OnceLock<String>,
}

impl Arrival {
    /// Stamps a request.
    pub fn new(ends: Ends) -> Self {
        Self { ends, at: Instant::now(), id: next_id(), route: OnceLock::new(), function: OnceLock::new() }
    }
}

fn next_id() -> HeaderValue {
    static START: LazyLock<u64> = LazyLock::new(chance::bits);
    // An odd multiplier visits every number once, so ids differ and do not look alike.
    let number = next_number().wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ *START;
    let digits: [u8; 16] = std::array::from_fn(|digit| {
        let nibble = (number >> (60 - 4 * digit)) & 0xF;
        b"0123456789abcdef".get(nibble as usize).copied().unwrap_or(b'0')
    });
    HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static("0"))
}

/// Another number at each call. Each thread takes many at once, so that threads do not wait for each other's count.
fn next_number() -> u64 {
    const AT_ONCE: u64 = 1 << 16;
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static NEXT: Cell<u64> = const { Cell::new(0) };
    }
    NEXT.with(|next| {
        let number = if next.get() % AT_ONCE == 0 { TAKEN.fetch_add(AT_ONCE, Relaxed) } else { next.get() };
        next.set(number + 1);
        number
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::next_number;

    #[test]
    fn no_number_comes_twice_on_any_thread() {
        let count = (1 << 16) + 10;
        let threads = [(); 3].map(|()| thread::spawn(move || (0..count).map(|_| next_number()).collect::<Vec<_>>()));
        let numbers: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().expect("numbers")).collect();
        assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), 3 * count);
    }
}
