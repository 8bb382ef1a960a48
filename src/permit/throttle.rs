//! Guessing at the secret: how many wrong ones one address may show.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::error::Rejection;

/// Counts wrong secrets by address. A right secret is never asked for here, so it always passes.
#[derive(Debug)]
pub struct WrongSecrets {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
}

impl Default for WrongSecrets {
    fn default() -> Self {
        Self { limiter: RateLimiter::keyed(quota()) }
    }
}

impl WrongSecrets {
    /// Counts one wrong secret and says how it is refused: the first twenty as forbidden, further ones of that minute as too many. One
    /// more is forgiven each minute. An IPv6 address counts by its /64, which one sender usually has whole; a unix socket has no address
    /// and is not counted.
    pub fn count(&self, address: Option<IpAddr>) -> Rejection {
        let Some(address) = address else { return Rejection::AdapterForbidden };
        if self.limiter.len() > ADDRESSES_AT_MOST {
            self.limiter.retain_recent();
        }
        match self.limiter.check_key(&network(address)) {
            Ok(()) => Rejection::AdapterForbidden,
            Err(_) => Rejection::AdapterThrottled,
        }
    }
}

const ADDRESSES_AT_MOST: usize = 10_000;

fn quota() -> Quota {
    let a_minute = Quota::with_period(Duration::from_secs(60)).unwrap_or(Quota::per_minute(NonZeroU32::MIN));
    a_minute.allow_burst(NonZeroU32::new(20).unwrap_or(NonZeroU32::MIN))
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Rejection, WrongSecrets};

    #[test]
    fn the_twenty_first_wrong_secret_of_a_minute_is_too_many() {
        let wrong = WrongSecrets::default();
        let address = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
        for _ in 0..20 {
            assert_eq!(wrong.count(address("2001:db8::1")), Rejection::AdapterForbidden);
        }
        assert_eq!(wrong.count(address("2001:db8::2")), Rejection::AdapterThrottled);
        assert_eq!(wrong.count(address("2001:db8:0:1::2")), Rejection::AdapterForbidden);
        assert_eq!(wrong.count(None), Rejection::AdapterForbidden);
    }
}
