//! Failed attempts per client address: a flood of bad tokens must not buy signature checks.

use alloc::collections::BTreeMap;
use core::{mem, net::IpAddr};

use crate::UnixSeconds;

/// Most clients that are remembered in one of the two generations.
const CAPACITY: usize = 4096;

/// Microseconds of a minute: the unit in which attempts are charged.
const MINUTE: u64 = 60_000_000;

/// Whoever attempts are charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Attempter(u128);

impl Attempter {
    /// By address. Of an IPv6 address only the network (/64) counts: within it a client chooses its
    /// address freely.
    pub(super) fn of(address: IpAddr) -> Self {
        let bits = match address.to_canonical() {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits() >> 64 << 64,
        };
        Self(bits)
    }

    /// By address and the key that a token is bound to: whoever stole such a token does not lock
    /// out others at the address, nor the token's owner elsewhere.
    pub(super) fn with_key(self, thumbprint: &[u8; 32]) -> Self {
        let mut low = [0; 16];
        low.copy_from_slice(thumbprint.split_at(16).0);
        Self(self.0 ^ u128::from_be_bytes(low))
    }
}

/// Counts failures, not requests: of good tokens any number may come, at once too.
///
/// A generic cell rate algorithm (as in ATM, ITU-T I.371): per client one moment up to which its
/// failures are paid for. A client has a minute's worth of failures at once, then one more each time
/// `60 / per_minute` seconds have passed; when a flood ends, the next attempt is free after that
/// time. Refused attempts are not charged.
///
/// Failures are known when an answer is there. What had begun before is decided all the same, and costs no more
/// than the minute. Signature checks that run beside one another end soon, whoever waits for them; what issuers are
/// asked at a time is bounded where it is asked ([`super::introspection_store`]).
///
/// Two generations bound the memory, as in the token cache. With more clients than that some are
/// forgotten, which costs signature checks but never a good client.
#[derive(Debug)]
pub(super) struct FailureLimit {
    /// What one failure costs, in microseconds; 0 counts nothing.
    interval: u64,
    young: BTreeMap<Attempter, u64>,
    old: BTreeMap<Attempter, u64>,
}

impl FailureLimit {
    pub(super) fn new(per_minute: u64) -> Self {
        let interval = MINUTE.checked_div(per_minute).unwrap_or(0);
        Self { interval, young: BTreeMap::new(), old: BTreeMap::new() }
    }

    /// After how many seconds this client may try again, when it must not now.
    pub(super) fn blocked(&self, who: Attempter, now: UnixSeconds) -> Option<u64> {
        let now = micros(now);
        let paid_until = self.paid_until(who, now);
        // One more failure must fit into the minute.
        let excess = paid_until.saturating_add(self.interval).saturating_sub(now);
        let wait = excess.checked_sub(MINUTE).filter(|wait| *wait > 0)?;
        Some(wait.div_ceil(1_000_000))
    }

    /// Charges one failure.
    pub(super) fn failed(&mut self, who: Attempter, now: UnixSeconds) {
        if self.interval == 0 {
            return;
        }
        let now = micros(now);
        let paid_until = self.paid_until(who, now).max(now).saturating_add(self.interval);
        // What was undecided when the minute was used up costs no more: else it would look like a clock.
        let paid_until = paid_until.min(now.saturating_add(MINUTE));
        if self.young.len() >= CAPACITY && !self.young.contains_key(&who) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(who, paid_until);
    }

    fn paid_until(&self, who: Attempter, now: u64) -> u64 {
        let found = self.young.get(&who).or_else(|| self.old.get(&who)).copied().unwrap_or(0);
        // Never more than a minute is charged: beyond two it was the clock that was set back.
        if found > now.saturating_add(2 * MINUTE) { 0 } else { found }
    }
}

const fn micros(seconds: UnixSeconds) -> u64 {
    seconds.saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = 1_769_904_000;

    fn client(address: &str) -> Attempter {
        Attempter::of(address.parse().unwrap())
    }

    #[test]
    fn a_minutes_worth_at_once_then_one_at_a_time() {
        let mut limit = FailureLimit::new(60);
        let who = client("192.0.2.1");
        for _ in 0..60 {
            assert_eq!(limit.blocked(who, NOW), None);
            limit.failed(who, NOW);
        }
        assert_eq!(limit.blocked(who, NOW), Some(1));
        assert_eq!(limit.blocked(client("192.0.2.2"), NOW), None);
        assert_eq!(limit.blocked(who, NOW + 1), None);
        limit.failed(who, NOW + 1);
        assert_eq!(limit.blocked(who, NOW + 1), Some(1));
        assert_eq!(limit.blocked(who, NOW + 61), None);
    }

    /// Attempts that had begun before the minute was used up, and end after.
    #[test]
    fn however_many_fail_at_once_a_minute_is_charged() {
        for per_minute in [1, 7, 60, 60_000] {
            let mut limit = FailureLimit::new(per_minute);
            let who = client("192.0.2.1");
            for number in 1..=4 * per_minute {
                limit.failed(who, NOW);
                assert_eq!(limit.blocked(who, NOW).is_some(), number >= per_minute, "{number}");
            }
            let interval = 60_u64.div_ceil(per_minute);
            assert_eq!(limit.blocked(who, NOW), Some(interval));
            assert_eq!(limit.blocked(who, NOW + interval), None);
        }
    }

    #[test]
    fn rare_failures_are_never_blocked() {
        let mut limit = FailureLimit::new(6);
        let who = client("2001:db8::1");
        for round in 0..1000 {
            assert_eq!(limit.blocked(who, NOW + 10 * round), None);
            limit.failed(who, NOW + 10 * round);
        }
        for _ in 0..5 {
            limit.failed(who, NOW + 9990);
        }
        assert_eq!(limit.blocked(who, NOW + 9990), Some(10));
    }

    #[test]
    fn one_network_is_one_client() {
        let mut limit = FailureLimit::new(1);
        limit.failed(client("2001:db8:1:2::1"), NOW);
        assert_eq!(limit.blocked(client("2001:db8:1:2:ffff::9"), NOW), Some(60));
        assert_eq!(limit.blocked(client("2001:db8:1:3::1"), NOW), None);
        limit.failed(client("192.0.2.1"), NOW);
        assert_eq!(limit.blocked(client("::ffff:192.0.2.1"), NOW), Some(60));
        assert_eq!(limit.blocked(client("192.0.2.1").with_key(&[7; 32]), NOW), None);
    }

    #[test]
    fn bounded_whatever_comes() {
        let mut limit = FailureLimit::new(60);
        for number in 0..100_000 {
            limit.failed(Attempter(number), NOW);
            assert!(limit.young.len() + limit.old.len() <= 2 * CAPACITY);
        }
    }

    #[test]
    fn zero_counts_nothing_and_a_clock_set_back_locks_nobody_out() {
        let mut limit = FailureLimit::new(0);
        let who = client("192.0.2.1");
        for _ in 0..1000 {
            limit.failed(who, NOW);
        }
        assert_eq!(limit.blocked(who, NOW), None);
        let mut limit = FailureLimit::new(1);
        limit.failed(who, NOW);
        assert_eq!(limit.blocked(who, NOW - 3600), None);
    }
}
