//! How often strangers may make the server store something, by address, in bounded memory.
//!
//! Who authenticates, or has a token, is not counted: many of them share an address, as the users of one
//! hosted client do.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use axum::http::HeaderMap;

use crate::redis::Redis;

/// Most addresses that are remembered by one limit.
const CAPACITY: usize = 20_000;

/// A rate with a burst, by the generic cell rate algorithm: one number for each address. All nodes count
/// together in Redis, where it is configured and answers; otherwise each for itself.
#[derive(Debug)]
pub(super) struct Limit {
    /// What is limited.
    name: &'static str,
    redis: Option<Redis>,
    /// Milliseconds for one request.
    interval: i64,
    /// How many milliseconds of requests may come at once.
    burst: i64,
    /// What happens to addresses that are not known once so many are.
    when_full: WhenFull,
    /// When the address has used up what it asked for.
    until: Mutex<HashMap<IpAddr, i64>>,
}

/// What happens when no further address can be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhenFull {
    /// Others are let pass: so many addresses at once are nobody's single one.
    LetPass,
    /// Others are counted together, as if they were one.
    CountTogether,
}

/// Who stands for all others.
const OTHERS: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

impl Limit {
    /// So many a minute, and so many at once.
    pub(super) fn new(
        name: &'static str,
        per_minute: i64,
        burst: i64,
        redis: Option<Redis>,
    ) -> Self {
        let interval = 60_000 / per_minute;
        let when_full = WhenFull::LetPass;
        Self { name, redis, interval, burst: interval * burst, when_full, until: Mutex::default() }
    }

    /// The same for what must not be tried often by anybody, however many addresses they have: those that
    /// are not known when there are too many share one count.
    pub(super) fn strict(self) -> Self {
        Self { when_full: WhenFull::CountTogether, ..self }
    }

    /// Counts a request at this moment, in milliseconds.
    ///
    /// # Errors
    /// The seconds to wait before the next one.
    pub(super) async fn take(&self, address: Option<IpAddr>, now: i64) -> Result<(), i64> {
        let Some(address) = address.map(network) else {
            return Ok(());
        };
        if let Some(redis) = &self.redis
            && let Ok(wait) =
                redis.take(self.name, &address.to_string(), self.interval, self.burst).await
        {
            return if wait == 0 { Ok(()) } else { Err((wait + 999) / 1000) };
        }
        self.take_here(address, now)
    }

    /// What was counted at this moment was none of those that are limited.
    pub(super) async fn give_back(&self, address: Option<IpAddr>, now: i64) {
        let Some(address) = address.map(network) else {
            return;
        };
        if let Some(redis) = &self.redis
            && redis.take(self.name, &address.to_string(), -self.interval, self.burst).await.is_ok()
        {
            return;
        }
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = if until.contains_key(&address) { address } else { OTHERS };
        if let Some(used) = until.get_mut(&counted) {
            *used = (*used - self.interval).max(now);
        }
    }

    /// By what this node has seen itself.
    fn take_here(&self, mut address: IpAddr, now: i64) -> Result<(), i64> {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= CAPACITY {
            until.retain(|_, until| (now + 1..=now + self.burst).contains(until));
            if until.len() >= CAPACITY && !until.contains_key(&address) {
                match self.when_full {
                    WhenFull::LetPass => return Ok(()),
                    WhenFull::CountTogether => address = OTHERS,
                }
            }
        }
        let used = until.entry(address).or_insert(now);
        // A clock that was put back must not lock anybody out for longer than a full burst would.
        *used = (*used).clamp(now, now + self.burst);
        let next = *used + self.interval;
        let over = next - now - self.burst;
        if over > 0 {
            return Err((over + 999) / 1000);
        }
        *used = next;
        Ok(())
    }
}

/// Where a request comes from, by the number of proxies in front that can be believed.
///
/// Each proxy appends the address that it saw to `X-Forwarded-For`, so that the last ones are theirs and
/// everything before is whatever the client likes. Where they say nothing, it is whoever connected.
/// `None`: a proxy on this machine that was not declared; its address says nothing of the client.
pub(super) fn client_address(
    headers: &HeaderMap,
    peer: SocketAddr,
    proxies: usize,
) -> Option<IpAddr> {
    if proxies == 0 {
        return (!peer.ip().is_loopback()).then(|| peer.ip());
    }
    let values = headers.get_all("x-forwarded-for").iter();
    let hops: Vec<&str> =
        values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).collect();
    let hop =
        hops.len().checked_sub(proxies).and_then(|index| hops.get(index)).map_or("", |h| h.trim());
    // Some write a port, and brackets around IPv6.
    let address = hop.parse::<SocketAddr>().map(|address| address.ip());
    Some(address.or_else(|_| hop.trim_matches(['[', ']']).parse()).unwrap_or_else(|_| peer.ip()))
}

/// Who sent a request, as far as it can be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visitor {
    /// Where it comes from ([`client_address`]).
    pub(super) address: Option<IpAddr>,
    peer: IpAddr,
}

impl Visitor {
    pub(super) fn of(headers: &HeaderMap, peer: SocketAddr, proxies: usize) -> Self {
        Self { address: client_address(headers, peer, proxies), peer: peer.ip() }
    }

    /// For what must be limited in any case: whoever connected, where nothing else is known.
    pub(super) fn nearest(self) -> IpAddr {
        self.address.unwrap_or(self.peer)
    }
}

/// Whoever has one IPv6 address has 2^64 of them.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(per_minute: i64, burst: i64) -> Limit {
        Limit::new("test", per_minute, burst, None)
    }

    fn take(limit: &Limit, address: Option<IpAddr>, now: i64) -> Result<(), i64> {
        address.map_or(Ok(()), |address| limit.take_here(network(address), now))
    }

    #[test]
    fn a_rate_with_a_burst() {
        let limit = of(60, 3);
        let (here, there) =
            (Some(IpAddr::from([192, 0, 2, 1])), Some(IpAddr::from([192, 0, 2, 2])));
        for _ in 0..3 {
            assert_eq!(take(&limit, here, 1_000_000), Ok(()));
        }
        assert_eq!(take(&limit, here, 1_000_000), Err(1));
        assert_eq!(take(&limit, there, 1_000_000), Ok(()), "another address");
        assert_eq!(take(&limit, here, 1_001_000), Ok(()), "one a second");
        assert_eq!(take(&limit, here, 1_001_000), Err(1));
        assert_eq!(take(&limit, here, 1_100_000), Ok(()));
    }

    #[test]
    fn a_clock_that_is_put_back_locks_nobody_out() {
        let limit = of(60, 3);
        let here = Some(IpAddr::from([192, 0, 2, 1]));
        take(&limit, here, 1_000_000_000).unwrap();
        assert_eq!(take(&limit, here, 1_000_000), Err(1), "as after a full burst");
        assert_eq!(take(&limit, here, 1_001_000), Ok(()));
    }

    #[tokio::test]
    async fn what_is_given_back_was_not_counted() {
        let limit = of(60, 3);
        let here = Some(IpAddr::from([192, 0, 2, 1]));
        for _ in 0..20 {
            assert_eq!(take(&limit, here, 1_000_000), Ok(()));
            limit.give_back(here, 1_000_000).await;
        }
        for _ in 0..3 {
            assert_eq!(take(&limit, here, 1_000_000), Ok(()));
        }
        assert_eq!(take(&limit, here, 1_000_000), Err(1));
        limit.give_back(here, 1_100_000).await;
        assert!((0..4).map(|_| take(&limit, here, 1_100_000)).eq([Ok(()), Ok(()), Ok(()), Err(1)]));
    }

    #[test]
    fn one_network_is_one_address() {
        let limit = of(60, 1);
        let at = |text: &str| take(&limit, Some(text.parse().unwrap()), 0).is_ok();
        assert!(at("2001:db8::1") && !at("2001:db8::ffff:1") && at("2001:db8:0:1::1"));
        assert!(at("192.0.2.1") && !at("::ffff:192.0.2.1"));
    }

    #[test]
    fn memory_is_bounded() {
        let limit = of(60, 1);
        for index in 0..u32::try_from(CAPACITY).unwrap() + 100 {
            take(&limit, Some(IpAddr::from(index.to_be_bytes())), 0).unwrap();
        }
        assert_eq!(limit.until.lock().unwrap().len(), CAPACITY);
        assert!(take(&limit, Some(IpAddr::from([0, 0, 0, 1])), 0).is_err(), "those known stay so");
    }

    /// RFC 8628 §5.1: whoever has more addresses than can be remembered has no more guesses for that.
    #[test]
    fn strict_limits_hold_when_memory_is_full() {
        let limit = of(60, 1).strict();
        let at = |index: u32| take(&limit, Some(IpAddr::from(index.to_be_bytes())), 0);
        let capacity = u32::try_from(CAPACITY).unwrap();
        for index in 0..=capacity {
            at(index).unwrap();
        }
        for index in capacity + 1..capacity + 100 {
            at(index).unwrap_err();
        }
        assert_eq!(limit.until.lock().unwrap().len(), CAPACITY + 1);
        let later = Some(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(take(&limit, later, 60_000), Ok(()));
        assert_eq!(limit.until.lock().unwrap().len(), 1, "what is over is forgotten");
    }

    /// Attack 54: what the client writes itself is not looked at.
    #[test]
    fn attack_54_forwarded_addresses() {
        let peer: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let seen = |lines: &[&'static str], proxies| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            client_address(&headers, peer, proxies).map(|address| address.to_string())
        };
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(seen(&["192.0.2.1"], 0), None, "nobody is believed");
        assert_eq!(seen(&["192.0.2.1"], 1), is("192.0.2.1"));
        assert_eq!(seen(&["10.9.9.9, 192.0.2.1"], 1), is("192.0.2.1"));
        assert_eq!(seen(&["10.9.9.9", "192.0.2.1"], 1), is("192.0.2.1"));
        assert_eq!(seen(&["10.9.9.9, 192.0.2.1, 10.0.0.1"], 2), is("192.0.2.1"));
        assert_eq!(seen(&["[2001:db8::1]:443"], 1), is("2001:db8::1"));
        assert_eq!(seen(&["192.0.2.1:443"], 1), is("192.0.2.1"));
        for nothing in [seen(&["192.0.2.1"], 2), seen(&["nonsense"], 1), seen(&[], 1)] {
            assert_eq!(nothing, is("127.0.0.1"), "whoever connected");
        }
        let outside = client_address(&HeaderMap::new(), "192.0.2.7:1".parse().unwrap(), 0);
        assert_eq!(outside.map(|address| address.to_string()), is("192.0.2.7"));
    }
}
