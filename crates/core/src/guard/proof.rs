//! DPoP at the guard (RFC 9449 §7, §9): nonces without memory, and the proofs that were used.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{policy::ResourcePolicy, request::RequestHead};
use crate::{UnixSeconds, jose::base64url, oauth::dpop};

/// How long a nonce is given out, in seconds. It is good for the next such time too.
const NONCE_PERIOD: u64 = 300;

/// Generations of used proofs. What can still be good stands in two of them by a clock that is right; one that
/// is wrong for a moment begins two others, there and back.
const GENERATIONS: usize = 4;

/// Most proofs remembered in one generation: 16 bytes each, and what the set needs.
const MAX_PROOFS: usize = 262_144;

/// A clock that is set back further was wrong before, in seconds.
const MAX_SET_BACK: u64 = 3600;

/// Most of them that one key may have made, so that one client cannot use up the memory of all; where proofs
/// are good for long, as many as [`RATE_OF_KEY`] comes to.
const MIN_PROOFS_OF_KEY: u64 = 16_384;

/// Requests a second that one key may make in any case.
const RATE_OF_KEY: u64 = 100;

/// The secret from which nonces are made, so that every worker and every node knows them without
/// having given them out.
#[derive(Clone)]
pub struct NonceSecret(Vec<u8>);

/// Never shown.
impl core::fmt::Debug for NonceSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("NonceSecret")
    }
}

impl NonceSecret {
    /// Takes the bytes if there are at least 32 of them.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() >= 32).then_some(Self(bytes))
    }

    /// The nonce that is given out now, and those beside it that are still, or on a node whose clock
    /// is ahead already, good.
    #[must_use]
    pub fn nonces(&self, resource: &str, now: UnixSeconds) -> [String; 3] {
        let period = now / NONCE_PERIOD;
        [period, period.saturating_sub(1), period.saturating_add(1)]
            .map(|period| self.nonce(resource, period))
    }

    /// The nonce that is given out at this time for a resource.
    #[must_use]
    pub fn nonce_at(&self, resource: &str, now: UnixSeconds) -> String {
        self.nonce(resource, now / NONCE_PERIOD)
    }

    fn nonce(&self, resource: &str, period: u64) -> String {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return String::new();
        };
        mac.update(b"countersign DPoP nonce 1\0");
        mac.update(&period.to_be_bytes());
        mac.update(resource.as_bytes());
        let tag = mac.finalize().into_bytes();
        base64url::encode(tag.split_at(16).0)
    }
}

/// The URLs by which a client may have made this request: its own authority, which the resource
/// covers, or the one that the resource is published under. The scheme is that of the identifier:
/// behind a proxy that ends TLS nobody else knows it.
pub(super) fn request_urls(resource: &ResourcePolicy, head: &RequestHead<'_>) -> Vec<String> {
    let (scheme, published, _) = resource.audience.resource.parts();
    let path = head.target().map_or("", |(path, _)| path);
    let authority = core::str::from_utf8(head.authority).unwrap_or_default();
    let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    if is_web {
        [authority, published].map(|authority| format!("{scheme}://{authority}{path}")).into()
    } else {
        ["https", "http"].map(|scheme| format!("{scheme}://{authority}{path}")).into()
    }
}

/// Why a proof was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unused {
    /// It was used before.
    Replayed,
    /// There is no room to remember it; again after so many seconds.
    Full(u64),
}

/// The proofs that were used: each is good once (RFC 9449 §11.1).
///
/// They are kept in generations, each for as long as a proof can be good: what was used in one cannot come
/// again when the next but one begins. Some more are kept, so that a clock that is wrong for a moment, in
/// whichever direction, forgets nothing that is good when it is right. Only proofs whose signature verified,
/// by a key to which an issuer bound a token, get here; when there is no room they are refused, never
/// forgotten early.
#[derive(Debug)]
pub(super) struct UsedProofs {
    /// The young one first.
    generations: [BTreeSet<[u8; 16]>; GENERATIONS],
    /// How many proofs of the young one each key made.
    by_key: BTreeMap<[u8; 32], u64>,
    /// First second of the young generation.
    since: UnixSeconds,
    /// Seconds that a proof can be good for.
    span: u64,
    capacity: usize,
    capacity_of_key: u64,
}

impl UsedProofs {
    pub(super) fn new(leeway: u64) -> Self {
        // From the leeway before its time to the leeway after.
        let span = dpop::MAX_AGE.saturating_add(leeway.saturating_mul(2)).saturating_add(1);
        Self {
            generations: Default::default(),
            by_key: BTreeMap::new(),
            since: 0,
            span,
            capacity: MAX_PROOFS,
            capacity_of_key: span.saturating_mul(RATE_OF_KEY).max(MIN_PROOFS_OF_KEY),
        }
    }

    /// Takes a proof, once.
    pub(super) fn take(&mut self, proof: &dpop::Proof, now: UnixSeconds) -> Result<(), Unused> {
        self.take_digest(proof.replay_digest(), *proof.key().thumbprint(), now)
    }

    fn take_digest(
        &mut self,
        digest: [u8; 32],
        key: [u8; 32],
        now: UnixSeconds,
    ) -> Result<(), Unused> {
        self.turn(now);
        let mut name = [0; 16];
        name.copy_from_slice(digest.split_at(16).0);
        if self.generations.iter().any(|used| used.contains(&name)) {
            return Err(Unused::Replayed);
        }
        let [young, ..] = &mut self.generations;
        let of_key = self.by_key.get(&key).copied().unwrap_or(0);
        if young.len() >= self.capacity || of_key >= self.capacity_of_key {
            let turns_at = self.since.saturating_add(self.span);
            return Err(Unused::Full(turns_at.saturating_sub(now).max(1)));
        }
        young.insert(name);
        self.by_key.insert(key, of_key.saturating_add(1));
        Ok(())
    }

    /// Begins a generation when the young one is over. It goes on while the clock is set back; but one that was
    /// wrong by more than an hour lets new proofs in all the same.
    fn turn(&mut self, now: UnixSeconds) {
        let is_over = now >= self.since.saturating_add(self.span);
        if is_over || self.since > now.saturating_add(MAX_SET_BACK) {
            self.generations.rotate_right(1);
            let [young, ..] = &mut self.generations;
            young.clear();
            self.by_key.clear();
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = 1_769_904_000;

    fn digest(number: u64) -> [u8; 32] {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        digest
    }

    fn remembered(used: &UsedProofs) -> usize {
        used.generations.iter().map(BTreeSet::len).sum()
    }

    /// Whenever a proof that was used could still be good, it is known.
    #[test]
    fn never_twice_in_its_time() {
        for leeway in [0, 30] {
            let span = dpop::MAX_AGE + 2 * leeway;
            for start in 0..span {
                let mut used = UsedProofs::new(leeway);
                assert_eq!(used.take_digest(digest(1), digest(9), NOW), Ok(()));
                assert_eq!(used.take_digest(digest(2), digest(9), NOW + start), Ok(()));
                for again in [start, start + 1, start + span] {
                    let found = used.take_digest(digest(2), digest(9), NOW + again);
                    assert_eq!(found, Err(Unused::Replayed), "{leeway} {start} {again}");
                }
            }
        }
    }

    #[test]
    fn forgotten_in_time() {
        let mut used = UsedProofs::new(0);
        assert_eq!(used.take_digest(digest(1), digest(9), NOW), Ok(()));
        for number in 2..20 {
            let now = NOW + 61 * number;
            assert_eq!(used.take_digest(digest(number), digest(9), now), Ok(()));
            assert!(remembered(&used) <= GENERATIONS);
        }
        assert_eq!(used.take_digest(digest(1), digest(9), NOW + 5000), Ok(()));
        // The clock is set back: what is known stays known.
        let back = used.take_digest(digest(1), digest(9), NOW);
        assert_eq!(back, Err(Unused::Replayed));
    }

    /// However far it was ahead, and for however short a time.
    #[test]
    fn a_clock_that_is_ahead_for_a_moment() {
        for leeway in [0, 30] {
            let mut used = UsedProofs::new(leeway);
            let span = used.span;
            let jumps = [1, span - 1, span, span + 1, 2 * span, 300, 3599, 3700, 1_000_000];
            for (ahead, first) in
                jumps.into_iter().flat_map(|jump| [0, 1, span / 2, span - 1].map(|at| (jump, at)))
            {
                used = UsedProofs::new(leeway);
                // Two generations, all of which may be good still.
                assert_eq!(used.take_digest(digest(1), digest(9), NOW), Ok(()));
                let now = NOW + span + first;
                assert_eq!(used.take_digest(digest(2), digest(9), now - 1), Ok(()));
                assert_eq!(used.take_digest(digest(3), digest(9), now), Ok(()));
                assert_eq!(used.take_digest(digest(4), digest(9), now + ahead), Ok(()));
                for back in [1, 2, span - 2] {
                    for number in [2, 3] {
                        let again = used.take_digest(digest(number), digest(9), now + back);
                        assert_eq!(
                            again,
                            Err(Unused::Replayed),
                            "{leeway} {ahead} {first}: {number} after {back}"
                        );
                    }
                }
                assert_eq!(
                    used.take_digest(digest(5), digest(9), now + span),
                    Ok(()),
                    "nor is it full"
                );
            }
        }
    }

    /// A clock that was wrong for a while leaves no table that is full for good.
    #[test]
    fn a_clock_that_is_right_again() {
        let mut used = UsedProofs::new(0);
        used.capacity = 2;
        let wrong = NOW + 1_000_000;
        assert_eq!(used.take_digest(digest(1), digest(9), wrong), Ok(()));
        assert_eq!(used.take_digest(digest(2), digest(9), wrong), Ok(()));
        assert_eq!(used.take_digest(digest(3), digest(9), NOW), Ok(()));
        assert_eq!(used.take_digest(digest(3), digest(9), NOW), Err(Unused::Replayed));
        assert_eq!(used.take_digest(digest(1), digest(9), NOW), Err(Unused::Replayed));
        assert_eq!(used.take_digest(digest(3), digest(9), NOW + 61), Err(Unused::Replayed));
        assert_eq!(used.take_digest(digest(4), digest(9), NOW + 61), Ok(()));
        // By less than an hour: nothing is forgotten.
        assert_eq!(used.take_digest(digest(5), digest(9), NOW + 62), Ok(()));
        assert_eq!(used.take_digest(digest(6), digest(9), NOW - 3000), Err(Unused::Full(3122)));
    }

    /// One that was wrong for a moment forgets nothing that is good when it is right.
    #[test]
    fn a_clock_that_is_wrong_for_a_moment() {
        let mut used = UsedProofs::new(0);
        assert_eq!(used.take_digest(digest(1), digest(9), NOW), Ok(()));
        assert_eq!(used.take_digest(digest(2), digest(9), NOW + 61), Ok(()));
        let wrong = NOW - 1_000_000;
        assert_eq!(used.take_digest(digest(3), digest(9), wrong), Ok(()));
        for number in [2, 3] {
            let again = used.take_digest(digest(number), digest(9), NOW + 62);
            assert_eq!(again, Err(Unused::Replayed), "{number}");
        }
        // And is not full for good.
        for (number, now) in (10..20).zip((NOW + 100..).step_by(61)) {
            assert_eq!(used.take_digest(digest(number), digest(9), now), Ok(()));
        }
        assert!(remembered(&used) <= GENERATIONS);
    }

    #[test]
    fn full_for_one_key_or_for_all_is_refused_until_it_turns() {
        let mut used = UsedProofs::new(0);
        for number in 0..MIN_PROOFS_OF_KEY {
            assert_eq!(used.take_digest(digest(number), digest(1), NOW), Ok(()));
        }
        assert_eq!(used.take_digest(digest(1 << 40), digest(1), NOW + 1), Err(Unused::Full(60)));
        assert_eq!(used.take_digest(digest(1 << 40), digest(2), NOW + 1), Ok(()));
        assert_eq!(used.take_digest(digest(1 << 41), digest(1), NOW + 61), Ok(()));
        used.capacity = 3;
        assert_eq!(used.take_digest(digest(1 << 42), digest(2), NOW + 61), Ok(()));
        assert_eq!(used.take_digest(digest(1 << 43), digest(3), NOW + 61), Ok(()));
        assert_eq!(used.take_digest(digest(1 << 44), digest(4), NOW + 62), Err(Unused::Full(60)));
        assert_eq!(used.take_digest(digest(1 << 43), digest(3), NOW + 62), Err(Unused::Replayed));
    }

    /// However long proofs are good for.
    #[test]
    fn a_hundred_requests_a_second_pass() {
        for leeway in [0, 30, 300] {
            let mut used = UsedProofs::new(leeway);
            for number in 0..used.span * 100 {
                let now = NOW + number / 100;
                assert_eq!(used.take_digest(digest(number), digest(1), now), Ok(()), "{leeway}");
            }
            for number in 1 << 40..(1 << 40) + MIN_PROOFS_OF_KEY {
                let _ = used.take_digest(digest(number), digest(1), NOW + used.span - 1);
            }
            let more = used.take_digest(digest(1 << 50), digest(1), NOW + used.span - 1);
            assert_eq!(more, Err(Unused::Full(1)), "{leeway}");
            let other = used.take_digest(digest(1 << 50), digest(2), NOW + used.span - 1);
            assert_eq!(other, Ok(()), "{leeway}");
        }
    }

    /// RFC 9449 §9: unpredictable to clients, the same on every node, good for a while.
    #[test]
    fn nonces() {
        assert!(NonceSecret::new(alloc::vec![1; 31]).is_none());
        let secret = NonceSecret::new(alloc::vec![1; 32]).unwrap();
        let [given, before, after] = secret.nonces("https://h/mcp", NOW);
        assert_eq!(given.len(), 22);
        assert_eq!(secret.nonces("https://h/mcp", NOW + 299)[0], given);
        assert_eq!(secret.nonces("https://h/mcp", NOW + 300)[1], given);
        assert_eq!(secret.nonces("https://h/mcp", NOW - 1)[2], given);
        assert!(!secret.nonces("https://h/mcp", NOW + 600).contains(&given));
        assert!(!secret.nonces("https://h/other", NOW).contains(&given));
        let other = NonceSecret::new(alloc::vec![2; 32]).unwrap();
        assert!(!other.nonces("https://h/mcp", NOW).contains(&given));
        assert_ne!(before, after);
        assert_eq!(format!("{secret:?}"), "NonceSecret");
    }
}
