//! Failed attempts per client address: a flood of bad tokens must not buy signature checks.

use alloc::{collections::BTreeMap, sync::Arc};
use core::{mem, net::IpAddr};

use crate::UnixSeconds;

/// Most clients that are remembered in one of the two generations.
const CAPACITY: usize = 4096;

/// So many attempts of one client may be undecided at a time where fewer failures in a minute are allowed: good
/// clients that share an address come together too.
const MIN_UNDECIDED: usize = 128;

/// With so many clients among the undecided, those who have none left are forgotten.
const SWEEP_AT: usize = 256;

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

/// An attempt that costs something and is not decided yet; over when it is dropped.
#[derive(Debug)]
pub(super) struct Attempt {
    /// Nothing where nothing is counted.
    _undecided: Option<Arc<()>>,
}

/// Counts failures, not requests, so that good clients cost nothing and are never counted.
///
/// A generic cell rate algorithm (as in ATM, ITU-T I.371): per client one moment up to which its
/// failures are paid for. A client has a minute's worth of failures at once, then one more each time
/// `60 / per_minute` seconds have passed; when a flood ends, the next attempt is free after that
/// time. Refused attempts are not charged.
///
/// Failures are known when an answer is there, and others may have begun before: so what is undecided at a
/// time is bounded too.
///
/// Two generations bound the memory, as in the token cache. With more clients than that some are
/// forgotten, which costs signature checks but never a good client.
#[derive(Debug)]
pub(super) struct FailureLimit {
    /// What one failure costs, in microseconds; 0 counts nothing.
    interval: u64,
    young: BTreeMap<Attempter, u64>,
    old: BTreeMap<Attempter, u64>,
    /// Most attempts of one client that are undecided.
    max_undecided: usize,
    undecided: BTreeMap<Attempter, Arc<()>>,
}

impl FailureLimit {
    pub(super) fn new(per_minute: u64) -> Self {
        let interval = MINUTE.checked_div(per_minute).unwrap_or(0);
        let max_undecided = usize::try_from(per_minute).unwrap_or(0).max(MIN_UNDECIDED);
        Self {
            interval,
            young: BTreeMap::new(),
            old: BTreeMap::new(),
            max_undecided,
            undecided: BTreeMap::new(),
        }
    }

    /// Begins an attempt, or says after how many seconds this client may try again.
    pub(super) fn attempt(
        &mut self,
        who: Option<Attempter>,
        now: UnixSeconds,
    ) -> Result<Attempt, u64> {
        let Some(who) = who.filter(|_| self.interval > 0) else {
            return Ok(Attempt { _undecided: None });
        };
        if let Some(wait) = self.blocked(who, now) {
            return Err(wait);
        }
        // Of each one is held here.
        let is_over = |held: &Arc<()>| Arc::strong_count(held) <= 1;
        if self.undecided.len() >= SWEEP_AT {
            self.undecided.retain(|_, held| !is_over(held));
        }
        let held = self.undecided.entry(who).or_default();
        if Arc::strong_count(held) > self.max_undecided {
            return Err(1);
        }
        Ok(Attempt { _undecided: Some(Arc::clone(held)) })
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
    use alloc::vec::Vec;

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
    fn undecided_attempts_are_bounded_and_end_when_they_are_dropped() {
        let who = Some(client("192.0.2.1"));
        for (per_minute, most) in [(60, 128), (1000, 1000)] {
            let mut limit = FailureLimit::new(per_minute);
            let mut held: Vec<_> =
                (0..most).map(|_| limit.attempt(who, NOW).expect("room")).collect();
            assert_eq!(limit.attempt(who, NOW).err(), Some(1));
            assert!(limit.attempt(Some(client("192.0.2.2")), NOW).is_ok());
            assert!(limit.attempt(None, NOW).is_ok());
            held.pop();
            held.push(limit.attempt(who, NOW).expect("room again"));
            // Others come and go: those who have none left are forgotten, and nobody else.
            for number in 0..10_000 {
                assert!(limit.attempt(Some(Attempter(number)), NOW).is_ok());
                assert!(limit.undecided.len() <= SWEEP_AT);
            }
            assert_eq!(limit.attempt(who, NOW).err(), Some(1));
        }
        let mut unlimited = FailureLimit::new(0);
        let held: Vec<_> = (0..1000).map(|_| unlimited.attempt(who, NOW)).collect();
        assert!(held.iter().all(Result::is_ok) && unlimited.undecided.is_empty());
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
