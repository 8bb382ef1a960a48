//! Guessing at the secret: how many wrong ones one address may show.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::Rejection;

/// Remembers the wrong secrets of the last minute by address. A right secret is never asked for here, so it always passes.
#[derive(Debug)]
pub struct WrongSecrets {
    attempts: moka::sync::Cache<IpAddr, Arc<Mutex<VecDeque<Instant>>>>,
}

impl Default for WrongSecrets {
    fn default() -> Self {
        Self { attempts: moka::sync::Cache::builder().max_capacity(ADDRESSES_AT_MOST).time_to_idle(A_MINUTE).build() }
    }
}

impl WrongSecrets {
    /// Notes one wrong secret and says how it is refused: as forbidden while there were fewer than twenty in the minute before it, else as
    /// too many. What is refused as too many does not count again, so that a minute later there are new tries.
    ///
    /// An IPv6 address counts by its /64, which one sender usually has whole; a unix socket has no address and is not counted.
    pub fn refuse(&self, address: Option<IpAddr>, now: Instant) -> Rejection {
        let Some(address) = address else { return Rejection::AdapterForbidden };
        let attempts = self.attempts.get_with(network(address), Arc::default);
        let mut attempts = attempts.lock();
        while attempts.front().is_some_and(|attempt| now.saturating_duration_since(*attempt) >= A_MINUTE) {
            attempts.pop_front();
        }
        if attempts.len() >= ATTEMPTS_AT_MOST {
            return Rejection::AdapterThrottled;
        }
        attempts.push_back(now);
        Rejection::AdapterForbidden
    }
}

const A_MINUTE: Duration = Duration::from_secs(60);
const ATTEMPTS_AT_MOST: usize = 20;
/// A bound on memory: 20 moments each.
const ADDRESSES_AT_MOST: u64 = 20_000;

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use tokio::time::Instant;

    use super::{Rejection, WrongSecrets};

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn the_twenty_first_wrong_secret_of_a_minute_is_too_many() {
        let (wrong, start) = (WrongSecrets::default(), Instant::now());
        for second in 0..20 {
            let now = start + Duration::from_secs(second);
            assert_eq!(wrong.refuse(address("2001:db8::1"), now), Rejection::AdapterForbidden);
        }
        let now = start + Duration::from_secs(59);
        assert_eq!(wrong.refuse(address("2001:db8::2"), now), Rejection::AdapterThrottled);
        assert_eq!(wrong.refuse(address("2001:db8:0:1::2"), now), Rejection::AdapterForbidden);
        assert_eq!(wrong.refuse(None, now), Rejection::AdapterForbidden);
    }

    #[test]
    fn a_minute_later_there_are_new_tries() {
        let (wrong, start) = (WrongSecrets::default(), Instant::now());
        for _ in 0..30 {
            wrong.refuse(address("192.0.2.1"), start);
        }
        let now = start + Duration::from_secs(60);
        for _ in 0..20 {
            assert_eq!(wrong.refuse(address("192.0.2.1"), now), Rejection::AdapterForbidden);
        }
        assert_eq!(wrong.refuse(address("192.0.2.1"), now), Rejection::AdapterThrottled);
    }
}
