//! The issuers' key sets: fetched when needed, refreshed before they are old, never trusted beyond
//! their time.
//!
//! | state of the set | known key | unknown key |
//! |---|---|---|
//! | younger than `fresh` | used | one refetch per `cooldown`, then refused |
//! | younger than `stale` | used, refreshed in the background | the same |
//! | older, or never had | fetched; 503 while that fails | |
//!
//! Where the issuer's metadata say where the set is, they are read anew each hour, and before a refetch for an
//! unknown key or by a sign that the set is out of date: the issuer may have moved it and still answer at the
//! old place. Metadata that cannot be read change nothing while a set can be fetched.
//!
//! A status list may show that a set is out of date: it names a later generation of the set, or a key that
//! the set does not have. Then the set is fetched again, at most once in `cooldown`: so a key that was
//! revoked in an emergency is dropped long before the set is old. Whoever holds a stolen key can make us
//! fetch so often, and no more: what counts is the set that the issuer publishes.

mod discovery;

use alloc::{
    string::{String, ToString as _},
    sync::Arc,
    vec::Vec,
};

use self::discovery::Discovery;
use super::{
    fetch::{Fetch, FetchError, FetchId},
    policy::{IssuerPolicy, JwksCache, KeySource},
};
use crate::{
    Reason, UnixSeconds,
    jose::{
        alg::Algorithm,
        jwk::Jwk,
        jwks::{JwkSet, Selection},
    },
};

/// What the store has for a token.
#[derive(Clone, Debug)]
pub(super) enum Lookup {
    Found {
        key: Arc<Jwk>,
        revision: u64,
    },
    /// The token is refused for this reason.
    Refuse(Reason),
    /// No usable set, and none to be expected before so many seconds.
    Unavailable {
        retry_after: u64,
    },
    /// A fetch is wanted or under way.
    Wait,
}

#[derive(Debug)]
pub(super) struct KeyStore {
    pub(super) issuers: Vec<IssuerKeys>,
}

#[derive(Debug)]
pub(super) struct IssuerKeys {
    pub(super) issuer: String,
    source: Source,
    cluster: Option<String>,
    /// What the policy lets this issuer sign with.
    algorithms: Vec<Algorithm>,
    limits: JwksCache,
    pub(super) set: JwkSet,
    /// When the set was fetched; `None` before the first one.
    pub(super) loaded_at: Option<UnixSeconds>,
    /// Counts the changes that took a key away.
    revision: u64,
    /// Something that the issuer signed shows that it has another set by now.
    is_outdated: bool,
    flight: Option<(FetchId, UnixSeconds)>,
    wanted: bool,
    last_end: Option<UnixSeconds>,
    pub(super) failures: u32,
    /// Why the last fetch failed, for people.
    pub(super) last_error: Option<String>,
}

#[derive(Debug)]
enum Source {
    Inline,
    Uri(String),
    Discovery(Discovery),
}

impl KeyStore {
    pub(super) fn new(issuers: &[IssuerPolicy]) -> Self {
        Self { issuers: issuers.iter().map(IssuerKeys::new).collect() }
    }

    /// The key of a token, at the second `now`.
    pub(super) fn lookup(
        &mut self,
        issuer: usize,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: UnixSeconds,
    ) -> Lookup {
        self.issuers
            .get_mut(issuer)
            .map_or(Lookup::Refuse(Reason::IssuerUnknown), |keys| keys.lookup(kid, algorithm, now))
    }

    /// Whether a key is still being fetched, or will be: there is nothing new for a token that waits for it.
    pub(super) fn is_awaited(
        &self,
        issuer: usize,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: UnixSeconds,
    ) -> bool {
        self.issuers.get(issuer).is_some_and(|keys| {
            let missing = !keys.is_usable(now)
                || matches!(keys.set.select(kid, algorithm), Selection::Missing);
            missing && (keys.wanted || keys.flight.is_some())
        })
    }

    /// The revision of an issuer's set, if the set may be used now.
    pub(super) fn usable_revision(&self, issuer: usize, now: UnixSeconds) -> Option<u64> {
        self.issuers.get(issuer).filter(|keys| keys.is_usable(now)).map(|keys| keys.revision)
    }

    /// A key for something else than a token, by an algorithm that the policy allows; never causes a
    /// fetch.
    pub(super) fn find(
        &self,
        issuer: usize,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: UnixSeconds,
    ) -> Option<Arc<Jwk>> {
        let keys = self.issuers.get(issuer).filter(|keys| keys.is_usable(now))?;
        if !keys.algorithms.contains(&algorithm) {
            return None;
        }
        match keys.set.select(kid, algorithm) {
            Selection::Found(key) => Some(key.clone()),
            Selection::Ambiguous | Selection::Missing => None,
        }
    }

    /// The issuer signed something that names this generation of its key set.
    pub(super) fn announced(&mut self, issuer: usize, generation: u64) {
        if let Some(keys) = self.issuers.get_mut(issuer) {
            // A set without a number of its own cannot be compared.
            keys.is_outdated |= keys.set.generation().is_some_and(|held| held < generation);
        }
    }

    /// Something names a key that the issuer's set does not have.
    pub(super) fn missed(&mut self, issuer: usize) {
        if let Some(keys) = self.issuers.get_mut(issuer) {
            keys.is_outdated |= !keys.is_inline();
        }
    }

    /// Whether an issuer's set has no key for something by an algorithm that the policy allows.
    pub(super) fn lacks(&self, issuer: usize, kid: Option<&str>, algorithm: Algorithm) -> bool {
        self.issuers.get(issuer).is_some_and(|keys| {
            keys.algorithms.contains(&algorithm)
                && matches!(keys.set.select(kid, algorithm), Selection::Missing)
        })
    }

    /// How often a set lost a key.
    pub(super) fn revisions(&self) -> u64 {
        self.issuers.iter().map(|keys| keys.revision).sum()
    }

    /// Whether the issuer's set has a key of this thumbprint.
    pub(super) fn has(&self, issuer: usize, key: &Jwk) -> bool {
        self.issuers.get(issuer).is_some_and(|keys| {
            keys.set.keys().iter().any(|held| held.thumbprint() == key.thumbprint())
        })
    }

    /// Where the issuer's metadata says which status lists there are.
    pub(super) fn aggregation(&self, issuer: usize) -> Option<&str> {
        match &self.issuers.get(issuer)?.source {
            Source::Discovery(discovery) => discovery.aggregation.as_deref(),
            Source::Inline | Source::Uri(_) => None,
        }
    }

    /// What is to be fetched now. Each fetch is given out once.
    pub(super) fn due(
        &mut self,
        now: UnixSeconds,
        mut next_id: impl FnMut() -> FetchId,
    ) -> Vec<Fetch> {
        let mut due = Vec::new();
        for keys in &mut self.issuers {
            if let Some(url) = keys.url_to_fetch(now) {
                let id = next_id();
                keys.flight = Some((id, now));
                keys.wanted = false;
                let cluster = keys.cluster.clone();
                let outdated = keys.is_outdated;
                due.push(Fetch { id, url, cluster, form: None, fresh: true, outdated });
            }
        }
        due
    }

    /// Takes the answer to a fetch: status and body, or `None` when there was none. Gives why it
    /// could not be used.
    pub(super) fn fetched(
        &mut self,
        id: FetchId,
        answer: Result<&[u8], FetchError>,
        now: UnixSeconds,
    ) -> Option<FetchError> {
        let asked = |keys: &&mut IssuerKeys| keys.flight.is_some_and(|(flight, _)| flight == id);
        let keys = self.issuers.iter_mut().find(asked)?;
        keys.flight = None;
        let error = answer.and_then(|body| keys.take(body, now)).err()?;
        keys.last_error = Some(error.to_string());
        keys.retry_later(&error, now);
        Some(error)
    }
}

impl IssuerKeys {
    fn new(policy: &IssuerPolicy) -> Self {
        let issuer = policy.profile.issuer.clone();
        let (source, set) = match &policy.keys {
            KeySource::Inline(set) => (Source::Inline, set.clone()),
            KeySource::Uri(uri) => (Source::Uri(uri.clone()), JwkSet::default()),
            KeySource::Discovery => (Source::Discovery(Discovery::new(&issuer)), JwkSet::default()),
        };
        Self {
            issuer,
            source,
            cluster: policy.cluster.clone(),
            algorithms: policy.profile.algorithms.clone(),
            limits: policy.jwks_cache,
            set,
            loaded_at: None,
            revision: 0,
            is_outdated: false,
            flight: None,
            wanted: false,
            last_end: None,
            failures: 0,
            last_error: None,
        }
    }

    pub(super) fn is_inline(&self) -> bool {
        matches!(self.source, Source::Inline)
    }

    pub(super) fn is_usable(&self, now: UnixSeconds) -> bool {
        self.is_inline()
            || self.loaded_at.is_some_and(|at| now < at.saturating_add(self.limits.stale))
    }

    fn lookup(&mut self, kid: Option<&str>, algorithm: Algorithm, now: UnixSeconds) -> Lookup {
        self.settle(now);
        if self.is_usable(now) {
            match self.set.select(kid, algorithm) {
                Selection::Found(key) => {
                    return Lookup::Found { key: key.clone(), revision: self.revision };
                }
                Selection::Ambiguous => return Lookup::Refuse(Reason::KeyAmbiguous),
                Selection::Missing if self.is_inline() => {
                    return Lookup::Refuse(Reason::KeyUnknown);
                }
                Selection::Missing => {}
            }
        }
        if self.wanted || self.flight.is_some() {
            return Lookup::Wait;
        }
        // After a failure nobody can tell whether the key exists: that is our fault, not the
        // client's.
        let pause = if self.failures > 0 { self.backoff() } else { self.limits.cooldown };
        let pause_end = self.last_end.map(|end| end.saturating_add(pause));
        match pause_end {
            Some(end) if now < end && self.failures > 0 => {
                Lookup::Unavailable { retry_after: end - now }
            }
            Some(end) if now < end && self.is_usable(now) => Lookup::Refuse(Reason::KeyUnknown),
            _ => {
                self.wanted = true;
                Lookup::Wait
            }
        }
    }

    /// 1, 2, 4 … seconds, at most the cool-down.
    fn backoff(&self) -> u64 {
        let exponent = self.failures.saturating_sub(1).min(16);
        (1 << exponent).min(self.limits.cooldown)
    }

    /// A moment ahead is one of a clock that was set back: nobody knows how long ago it was. The set becomes
    /// old, and pauses begin anew. And a host that lost an answer must not stop us for ever.
    fn settle(&mut self, now: UnixSeconds) {
        if self.loaded_at.is_some_and(|at| at > now) {
            self.loaded_at = Some(now.saturating_sub(self.limits.fresh));
        }
        self.last_end = self.last_end.map(|end| end.min(now));
        self.flight = self.flight.map(|(id, start)| (id, start.min(now)));
        if self.flight.is_some_and(|(_, start)| now >= start.saturating_add(2 * Fetch::TIMEOUT)) {
            self.flight = None;
            self.retry_later(&FetchError::NoAnswer, now);
        }
    }

    fn url_to_fetch(&mut self, now: UnixSeconds) -> Option<String> {
        self.settle(now);
        if self.is_inline() || self.flight.is_some() {
            return None;
        }
        let old = self.loaded_at.is_none_or(|at| now >= at.saturating_add(self.limits.fresh));
        let rested = self
            .last_end
            .is_none_or(|end| self.failures == 0 || now >= end.saturating_add(self.backoff()));
        let pause = if self.failures > 0 { self.backoff() } else { self.limits.cooldown };
        let cooled = self.last_end.is_none_or(|end| now >= end.saturating_add(pause));
        let moved = matches!(&self.source, Source::Discovery(found) if found.is_old(now));
        let is_lacking = self.wanted || (self.is_outdated && cooled);
        if !is_lacking && !(rested && (old || moved)) {
            return None;
        }
        match &mut self.source {
            Source::Inline => None,
            Source::Uri(uri) => Some(uri.clone()),
            Source::Discovery(discovery) => discovery.url(is_lacking, now),
        }
    }

    fn take(&mut self, body: &[u8], now: UnixSeconds) -> Result<(), FetchError> {
        if let Source::Discovery(discovery) = &mut self.source
            && let Some(read) = discovery.take(body, &self.issuer, now)
        {
            self.wanted |= read.is_ok();
            return read;
        }
        let set = JwkSet::parse(body, self.limits.max_keys).map_err(FetchError::KeySet)?;
        self.load(set, now);
        Ok(())
    }

    /// Discovery goes on at once; everything else rests first.
    fn retry_later(&mut self, error: &FetchError, now: UnixSeconds) {
        let goes_on = match &mut self.source {
            Source::Discovery(discovery) => discovery.goes_on(error, now),
            Source::Inline | Source::Uri(_) => false,
        };
        if goes_on { self.wanted = true } else { self.fail(now) }
    }

    fn load(&mut self, set: JwkSet, now: UnixSeconds) {
        let serves = |old: &Arc<Jwk>, algorithm| {
            set.keys().iter().any(|new| {
                new.thumbprint() == old.thumbprint() && new.verifier(algorithm).is_some()
            })
        };
        let kept = |old: &Arc<Jwk>| old.algorithms().all(|algorithm| serves(old, algorithm));
        if !self.set.keys().iter().all(kept) {
            self.revision += 1;
        }
        self.set = set;
        // If it is not the announced one yet, the next list says so again.
        self.is_outdated = false;
        self.loaded_at = Some(now);
        self.last_end = Some(now);
        self.failures = 0;
        self.last_error = None;
        self.wanted = false;
        if let Source::Discovery(discovery) = &mut self.source {
            discovery.arrived();
        }
    }

    fn fail(&mut self, now: UnixSeconds) {
        self.failures = self.failures.saturating_add(1);
        self.last_end = Some(now);
        self.wanted = false;
        if let Source::Discovery(discovery) = &mut self.source {
            discovery.start_over();
        }
    }
}

#[cfg(test)]
mod tests;
