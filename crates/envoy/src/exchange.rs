//! One fetch for all workers: who fetches, and what the others learn of it.
//!
//! Every worker has an engine of its own, and each would fetch the same key sets and status lists. So the
//! first that wants a URL takes a lease on it in shared data and fetches; the others wait for what it puts
//! there. Shared are only bytes that came over the wire, with the second at which they came: every engine
//! reads them as strictly as if it had fetched them itself, and judges their age by that second.
//!
//! Shared data outlive a change of the configuration, so a new policy begins with the keys that are
//! there. Nothing of them can be deleted: there is a fixed number of places, and a URL that needs one takes
//! it from another that was not touched for longest.

use std::collections::BTreeMap;

use countersign_core::guard::Fetch;

use crate::{
    host::{self, HostError, Version},
    record::Record,
};

/// Places in shared data: with [`Fetch::MAX_BYTES`] each, at most 64 MiB for all workers together.
const PLACES: u64 = 128;

/// Among so many places each URL can have one.
const CHOICES: u64 = 4;

/// After so many seconds without an answer another worker tries.
const LEASE: u64 = Fetch::TIMEOUT + 2;

/// A fetch that waited longer was given up by the engine.
const PATIENCE: u64 = 2 * Fetch::TIMEOUT;

/// How often a write is tried again when another worker was faster.
const ATTEMPTS: usize = 4;

/// Most URLs whose generation a worker remembers; it forgets all when there are more.
const MAX_SEEN: usize = 1024;

/// What a worker is to do about a URL that its engine wants.
#[derive(Debug)]
pub(crate) enum Claim {
    /// Another worker fetched it, at this second; `None`: without success.
    Answered(Option<Vec<u8>>, u64),
    /// Fetch it, and [`Exchange::publish`] what comes.
    Fetch,
    /// Another worker is at it.
    Wait,
}

/// One worker's part in the exchange.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// The last generation of each URL that the engine has got.
    seen: BTreeMap<Vec<u8>, u64>,
    /// What others are fetching, and since when it is waited for.
    waiting: Vec<(Fetch, u64)>,
}

impl Exchange {
    /// Takes the lease for a URL, or what is known of it.
    pub(crate) fn claim(&mut self, fetch: &Fetch, now: u64) -> Claim {
        if is_about_one_token(fetch) {
            return Claim::Fetch;
        }
        let name = name_of(fetch);
        // Whoever cannot share fetches for itself.
        self.try_claim(&name, now).unwrap_or(Claim::Fetch)
    }

    fn try_claim(&mut self, name: &[u8], now: u64) -> Result<Claim, HostError> {
        for _ in 0..ATTEMPTS {
            let place = Place::find(name)?;
            if let Some(news) = self.news(&place.record, now) {
                return Ok(news);
            }
            // A lease from the future is one of a clock that was set back.
            if (now..=now.saturating_add(LEASE)).contains(&place.record.lease_end) {
                return Ok(Claim::Wait);
            }
            let lease_end = now.saturating_add(LEASE);
            if place.write(&Record { lease_end, ..place.record.clone() })? {
                return Ok(Claim::Fetch);
            }
        }
        Ok(Claim::Wait)
    }

    /// What this worker has not got yet.
    fn news(&mut self, record: &Record, now: u64) -> Option<Claim> {
        let seen = self.seen.get(&record.name).copied();
        if record.generation == 0 || seen == Some(record.generation) || record.ended_at > now {
            return None;
        }
        self.see(record);
        // A body from the future is one of a clock that was set back.
        let is_there = (1..=now).contains(&record.fetched_at);
        if is_there && (record.succeeded || seen.is_none()) {
            return Some(Claim::Answered(Some(record.body.clone()), record.fetched_at));
        }
        // An engine that just began does not inherit failures.
        seen.map(|_| Claim::Answered(None, record.ended_at))
    }

    fn see(&mut self, record: &Record) {
        if self.seen.len() >= MAX_SEEN {
            self.seen.clear();
        }
        self.seen.insert(record.name.clone(), record.generation);
    }

    /// Tells the others how a fetch ended: with a body that the engine took, or without success.
    pub(crate) fn publish(&mut self, fetch: &Fetch, body: Option<&[u8]>, now: u64) {
        if is_about_one_token(fetch) {
            return;
        }
        let name = name_of(fetch);
        // What cannot be told now costs the others a fetch of their own, when the lease has ended.
        for _ in 0..ATTEMPTS {
            let Ok(place) = Place::find(&name) else { return };
            let mut record = place.record.clone();
            record.lease_end = 0;
            record.generation = record.generation.wrapping_add(1).max(1);
            record.ended_at = now;
            record.succeeded = body.is_some();
            if let Some(body) = body {
                record.fetched_at = now;
                record.body = body.to_vec();
            }
            match place.write(&record) {
                Ok(true) => return self.see(&record),
                Ok(false) => {}
                Err(_) => return,
            }
        }
    }

    /// Another worker fetches this, which is waited for since that second: to be looked at again.
    pub(crate) fn wait(&mut self, fetch: Fetch, since: u64) {
        self.waiting.push((fetch, since));
    }

    /// What others were fetching when it was last looked at, without those that the engine gave up.
    pub(crate) fn take_waiting(&mut self, now: u64) -> Vec<(Fetch, u64)> {
        let mut waiting = core::mem::take(&mut self.waiting);
        waiting.retain(|(_, since)| now < since.saturating_add(PATIENCE));
        waiting
    }

    /// Whether another worker's answer is waited for.
    pub(crate) const fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// A place in shared data for one URL.
struct Place {
    key: String,
    version: Version,
    record: Record,
}

impl Place {
    /// That of the URL; or a free one; or the one that was touched least recently, to be taken over.
    fn find(name: &[u8]) -> Result<Self, HostError> {
        let mut oldest: Option<Self> = None;
        for choice in 0..CHOICES {
            let number = hash(name).wrapping_add(choice) % PLACES;
            let key = format!("countersign/fetch/{number}");
            let Some((bytes, version)) = host::shared(&key)? else {
                return Ok(Self::empty(key, Version::ABSENT, name));
            };
            let record = Record::read(&bytes).unwrap_or_default();
            if record.name == name {
                return Ok(Self { key, version, record });
            }
            let touched = |record: &Record| record.ended_at.max(record.lease_end);
            if oldest.as_ref().is_none_or(|oldest| touched(&record) < touched(&oldest.record)) {
                oldest = Some(Self { key, version, record });
            }
        }
        let oldest = oldest.ok_or(HostError(host::NOT_FOUND))?;
        Ok(Self::empty(oldest.key, oldest.version, name))
    }

    fn empty(key: String, version: Version, name: &[u8]) -> Self {
        Self { key, version, record: Record { name: name.to_vec(), ..Record::default() } }
    }

    fn write(&self, record: &Record) -> Result<bool, HostError> {
        host::set_shared(&self.key, &record.write(), self.version)
    }
}

/// What a form is answered with is no property of its URL, and must never be taken for the answer to
/// another.
const fn is_about_one_token(fetch: &Fetch) -> bool {
    fetch.form.is_some()
}

/// What came through one cluster says nothing about another: both are the name.
fn name_of(fetch: &Fetch) -> Vec<u8> {
    format!("{}\n{}", fetch.cluster.as_deref().unwrap_or_default(), fetch.url).into_bytes()
}

/// FNV-1a: spreads the places. Whoever finds a collision gains nothing but fetches.
fn hash(name: &[u8]) -> u64 {
    name.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
