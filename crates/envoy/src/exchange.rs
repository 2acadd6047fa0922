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
//!
//! Whoever can write there can hand out keys. Envoy keeps the data of one `vm_id` from those of another: a
//! plugin that has none shares them with all others that have none, whoever wrote those. Then nothing is
//! shared.

use std::collections::BTreeMap;

use countersign_core::guard::Fetch;

use crate::{
    host::{self, HostError, Version},
    record::{Body, State},
};

/// Places in shared data: with [`Fetch::MAX_BYTES`] each, at most 64 MiB for all workers together.
const PLACES: u64 = 128;

/// Among so many places each URL can have one.
const CHOICES: u64 = 4;

/// After so many seconds without an answer another worker tries.
const LEASE: u64 = Fetch::TIMEOUT + 2;

/// A fetch that waited longer was given up by the engine.
const PATIENCE: u64 = 2 * Fetch::TIMEOUT;

/// Milliseconds between two looks at what another worker is fetching: at first; each time twice as long; and
/// at most.
const FIRST_PAUSE: u32 = 20;
const DOUBLINGS: u32 = 4;

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

/// Something that another worker is fetching.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) fetch: Fetch,
    /// It is waited for since that second.
    pub(crate) since: u64,
    /// So often it was looked at.
    looks: u32,
}

impl Waiting {
    /// That this worker wants to have since now.
    pub(crate) const fn new(fetch: Fetch, now: u64) -> Self {
        Self { fetch, since: now, looks: 0 }
    }
}

/// One worker's part in the exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// Whether nobody but our own workers can write what is read here.
    is_apart: bool,
    /// The last generation of each URL that the engine has got.
    seen: BTreeMap<Vec<u8>, u64>,
    waiting: Vec<Waiting>,
}

impl Exchange {
    pub(crate) const fn new(is_apart: bool) -> Self {
        Self { is_apart, seen: BTreeMap::new(), waiting: Vec::new() }
    }

    /// Whether this is the first of all workers to say that nothing is shared.
    pub(crate) fn is_first_to_say(&self) -> bool {
        !self.is_apart
            && host::set_shared("countersign/unshared", b"1", Version::ABSENT) == Ok(true)
    }

    /// Takes the lease for a URL, or what is known of it.
    pub(crate) fn claim(&mut self, fetch: &Fetch, now: u64) -> Claim {
        if !self.shares(fetch) {
            return Claim::Fetch;
        }
        let name = name_of(fetch);
        // Whoever cannot share fetches for itself.
        self.try_claim(&name, now).unwrap_or(Claim::Fetch)
    }

    /// What a form is answered with is no property of its URL, and must never be taken for the answer to
    /// another.
    const fn shares(&self, fetch: &Fetch) -> bool {
        self.is_apart && fetch.form.is_none()
    }

    fn try_claim(&mut self, name: &[u8], now: u64) -> Result<Claim, HostError> {
        for _ in 0..ATTEMPTS {
            let place = Place::find(name)?;
            if let Some(news) = self.news(&place, now)? {
                return Ok(news);
            }
            // A lease from the future is one of a clock that was set back.
            if (now..=now.saturating_add(LEASE)).contains(&place.state.lease_end) {
                return Ok(Claim::Wait);
            }
            let lease_end = now.saturating_add(LEASE);
            if place.write(&State { lease_end, ..place.state.clone() })? {
                return Ok(Claim::Fetch);
            }
        }
        Ok(Claim::Wait)
    }

    /// What this worker has not got yet.
    fn news(&mut self, place: &Place, now: u64) -> Result<Option<Claim>, HostError> {
        let state = &place.state;
        let seen = self.seen.get(&state.name).copied();
        if state.generation == 0 || seen == Some(state.generation) || state.ended_at > now {
            return Ok(None);
        }
        let body = if state.succeeded || seen.is_none() { place.body()? } else { None };
        self.see(state);
        // A body from the future is one of a clock that was set back.
        if let Some(body) = body.filter(|body| (1..=now).contains(&body.fetched_at)) {
            return Ok(Some(Claim::Answered(Some(body.bytes), body.fetched_at)));
        }
        // An engine that just began does not inherit failures.
        Ok(seen.map(|_| Claim::Answered(None, state.ended_at)))
    }

    fn see(&mut self, state: &State) {
        if self.seen.len() >= MAX_SEEN {
            self.seen.clear();
        }
        self.seen.insert(state.name.clone(), state.generation);
    }

    /// Tells the others how a fetch ended: with a body that the engine took, or without success.
    pub(crate) fn publish(&mut self, fetch: &Fetch, body: Option<&[u8]>, now: u64) {
        if self.shares(fetch) {
            // What cannot be told now costs the others a fetch of their own, when the lease has ended.
            let _ = self.try_publish(&name_of(fetch), body, now);
        }
    }

    fn try_publish(&mut self, name: &[u8], body: Option<&[u8]>, now: u64) -> Result<(), HostError> {
        for _ in 0..ATTEMPTS {
            let place = Place::find(name)?;
            // First: whoever sees the generation finds its body, or a newer one.
            if let Some(body) = body {
                place.write_body(body, now)?;
            }
            let state = State {
                name: name.to_vec(),
                lease_end: 0,
                generation: place.state.generation.wrapping_add(1).max(1),
                ended_at: now,
                succeeded: body.is_some(),
            };
            if place.write(&state)? {
                self.see(&state);
                break;
            }
        }
        Ok(())
    }

    /// Another worker fetches this: to be looked at again.
    pub(crate) fn wait(&mut self, waiting: Waiting) {
        let looks = waiting.looks.saturating_add(1);
        self.waiting.push(Waiting { looks, ..waiting });
    }

    /// What others were fetching when it was last looked at, without those that the engine gave up.
    pub(crate) fn take_waiting(&mut self, now: u64) -> Vec<Waiting> {
        let mut waiting = core::mem::take(&mut self.waiting);
        waiting.retain(|waiting| now < waiting.since.saturating_add(PATIENCE));
        waiting
    }

    /// In how many milliseconds to look at what another worker is fetching, if one is. All workers read under
    /// one lock: the longer it takes, the less is asked.
    pub(crate) fn next_look(&self) -> Option<u32> {
        let pause =
            |waiting: &Waiting| FIRST_PAUSE << waiting.looks.saturating_sub(1).min(DOUBLINGS);
        self.waiting.iter().map(pause).min()
    }
}

/// A place in shared data for one URL.
struct Place {
    number: u64,
    version: Version,
    state: State,
}

impl Place {
    /// That of the URL; or a free one; or the one that was touched least recently, to be taken over.
    fn find(name: &[u8]) -> Result<Self, HostError> {
        let mut oldest: Option<Self> = None;
        for choice in 0..CHOICES {
            let number = hash(name).wrapping_add(choice) % PLACES;
            let Some((bytes, version)) = host::shared(&key_of_state(number))? else {
                return Ok(Self::empty(number, Version::ABSENT, name));
            };
            let state = State::read(&bytes).unwrap_or_default();
            if state.name == name {
                return Ok(Self { number, version, state });
            }
            let touched = |state: &State| state.ended_at.max(state.lease_end);
            if oldest.as_ref().is_none_or(|oldest| touched(&state) < touched(&oldest.state)) {
                oldest = Some(Self { number, version, state });
            }
        }
        let oldest = oldest.ok_or(HostError(host::NOT_FOUND))?;
        Ok(Self::empty(oldest.number, oldest.version, name))
    }

    fn empty(number: u64, version: Version, name: &[u8]) -> Self {
        Self { number, version, state: State { name: name.to_vec(), ..State::default() } }
    }

    /// `false` when another worker was faster.
    fn write(&self, state: &State) -> Result<bool, HostError> {
        host::set_shared(&key_of_state(self.number), &state.write(), self.version)
    }

    /// What was fetched, if it is this URL's.
    fn body(&self) -> Result<Option<Body>, HostError> {
        let found = host::shared(&key_of_body(self.number))?;
        let body = found.and_then(|(bytes, _)| Body::read(&bytes));
        Ok(body.filter(|body| body.name == self.state.name))
    }

    fn write_body(&self, body: &[u8], now: u64) -> Result<(), HostError> {
        let bytes = Body::write(&self.state.name, now, body);
        host::set_shared(&key_of_body(self.number), &bytes, Version::ANY).map(drop)
    }
}

fn key_of_state(place: u64) -> String {
    format!("countersign/fetch/{place}")
}

fn key_of_body(place: u64) -> String {
    format!("countersign/body/{place}")
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
