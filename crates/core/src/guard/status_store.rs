//! The status lists in use: fetched when a token refers to one, kept until they expire.

use alloc::{borrow::ToOwned as _, string::String, sync::Arc, vec::Vec};

use super::{
    fetch::{Fetch, FetchError, FetchId},
    key_store::KeyStore,
    policy::{IssuerPolicy, StatusCheck},
    status_ahead::Aggregations,
};
use crate::{
    UnixSeconds,
    jose::{jwk::Jwk, jws::CompactJws},
    oauth::{
        resource::{ResourceId, split},
        status_list::{MAX_LIST_BYTES, StatusList, StatusListError, StatusReference, has_type},
    },
    sorted::SortedMap,
};

/// Most lists that are held at once. Only verified tokens can name one.
const MAX_LISTS: usize = 256;

/// Most memory for all of them, in bytes: 64 MiB.
const MAX_BYTES: usize = 64 << 20;

/// Between two fetches of a list that says nothing of its own, in seconds.
const DEFAULT_TTL: u64 = 60;

/// How long a list without `exp` is used after it was fetched, in seconds.
const WITHOUT_EXPIRY: u64 = 300;

/// What the store has for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusLookup {
    /// The token is listed with another status than valid.
    Revoked,
    /// No usable list, and none to be expected before so many seconds.
    Unavailable {
        retry_after: u64,
    },
    Valid,
    /// A fetch is wanted or under way.
    Wait,
}

/// Lists by issuer (its position in the policy) and URI.
#[derive(Debug, Default)]
pub(super) struct StatusStore {
    lists: SortedMap<(usize, String), Entry>,
    aggregations: Aggregations,
}

#[derive(Debug, Default)]
struct Entry {
    list: Option<StatusList>,
    /// The key that verified it.
    key: Option<Arc<Jwk>>,
    fetched_at: UnixSeconds,
    /// When the issuer last answered with a list that was right, the held one or an older.
    asked_at: UnixSeconds,
    flight: Option<(FetchId, UnixSeconds)>,
    wanted: bool,
    failures: u32,
    last_end: Option<UnixSeconds>,
    last_use: UnixSeconds,
    /// When the issuer named it last, whether anybody uses it or not.
    last_expected: UnixSeconds,
}

impl StatusStore {
    pub(super) fn lookup(
        &mut self,
        (position, issuer): (usize, &IssuerPolicy),
        reference: &StatusReference,
        now: UnixSeconds,
    ) -> StatusLookup {
        let key = (position, reference.uri.clone());
        let is_new = !self.lists.contains_key(&key);
        if is_new && !(is_of_issuer(&reference.uri, &issuer.profile.issuer) && self.make_room(now))
        {
            return StatusLookup::Unavailable { retry_after: DEFAULT_TTL };
        }
        self.lists.update(key, |entry| entry.lookup(reference.index, now))
    }

    /// Whether the list that a token waits for is still being fetched.
    pub(super) fn is_awaited(
        &self,
        issuer: usize,
        reference: &StatusReference,
        now: UnixSeconds,
    ) -> bool {
        let entry = self.lists.get(&(issuer, reference.uri.clone()));
        entry.is_some_and(|entry| entry.is_awaited(now))
    }

    /// What is to be fetched now; each fetch is given once.
    pub(super) fn due(
        &mut self,
        issuers: &[IssuerPolicy],
        keys: &KeyStore,
        now: UnixSeconds,
        mut next_id: impl FnMut() -> FetchId,
    ) -> Vec<Fetch> {
        let mut due = Vec::new();
        for (position, issuer) in issuers.iter().enumerate() {
            // Without keys no list can be verified.
            let has_keys = keys.usable_revision(position, now).is_some();
            let asks = has_keys && issuer.status != StatusCheck::Ignore;
            let own = issuer.status_aggregation.as_deref();
            if let Some(url) = own.or_else(|| keys.aggregation(position)).filter(|_| asks)
                && let Some(id) = self.aggregations.is_due(position, now, &mut next_id)
            {
                let (url, cluster) = (url.to_owned(), issuer.cluster.clone());
                due.push(Fetch { id, url, cluster, form: None, fresh: false, outdated: false });
            }
        }
        for ((issuer, uri), entry) in self.lists.iter_mut() {
            if entry.is_due(now) {
                let id = next_id();
                entry.flight = Some((id, now));
                entry.wanted = false;
                let cluster = issuers.get(*issuer).and_then(|issuer| issuer.cluster.clone());
                due.push(Fetch {
                    id,
                    url: uri.clone(),
                    cluster,
                    form: None,
                    fresh: false,
                    outdated: false,
                });
            }
        }
        due
    }

    /// Takes the answer to a fetch, if it was one of these.
    pub(super) fn fetched(
        &mut self,
        id: FetchId,
        answer: Result<&[u8], FetchError>,
        (issuers, keys): (&[IssuerPolicy], &mut KeyStore),
        now: UnixSeconds,
    ) -> Option<FetchError> {
        if let Some((issuer, lists)) = self.aggregations.fetched(id, answer.clone(), now) {
            return lists.map(|uris| self.keep_listed(issuer, issuers, uris, now)).err();
        }
        let asked = |(_, entry): &(&(usize, String), &mut Entry)| {
            entry.flight.is_some_and(|(flight, _)| flight == id)
        };
        let (key, _) = self.lists.iter_mut().find(asked)?;
        let key = key.clone();
        let room = self.room_for(&key, now);
        let entry = self.lists.get_mut(&key)?;
        let (issuer, uri) = &key;
        entry.flight = None;
        entry.last_end = Some(now);
        let read = answer.and_then(|body| {
            let read = read(body, uri, *issuer, keys, now);
            match &read {
                Ok((StatusList { key_generation: Some(generation), .. }, _)) => {
                    keys.announced(*issuer, *generation);
                }
                Err(StatusListError::Key) => keys.missed(*issuer),
                Ok(_) | Err(_) => {}
            }
            let newer =
                read.and_then(|(list, key)| Ok(entry.newer(list, now)?.map(|list| (list, key))));
            let fitting = newer.and_then(|found| match found {
                Some((list, _)) if list.size() > room => Err(StatusListError::Memory),
                found => Ok(found),
            });
            fitting.map_err(FetchError::StatusList)
        });
        match read {
            Ok(found) => {
                if let Some((list, key)) = found {
                    entry.list = Some(list);
                    entry.key = Some(key);
                    entry.fetched_at = now;
                }
                entry.asked_at = now;
                entry.failures = 0;
                None
            }
            Err(error) => {
                entry.failures = entry.failures.saturating_add(1);
                Some(error)
            }
        }
    }

    /// Lets go of lists that a key verified which the issuer has taken out of its set since: whoever has
    /// that key may have made them.
    pub(super) fn drop_unverified(&mut self, keys: &KeyStore) {
        for ((issuer, _), entry) in self.lists.iter_mut() {
            if entry.key.as_ref().is_some_and(|key| !keys.has(*issuer, key)) {
                entry.list = None;
                entry.key = None;
                entry.wanted = entry.flight.is_none();
                // That a list by the new key could not be read says nothing about the next try.
                entry.failures = 0;
            }
        }
    }

    /// How many lists there are, their memory in bytes, and when the oldest was fetched.
    pub(super) fn held(&self) -> (usize, usize, Option<UnixSeconds>) {
        let held = || self.lists.values().filter_map(|entry| Some((entry, entry.list.as_ref()?)));
        let bytes = held().map(|(_, list)| list.size()).sum();
        (held().count(), bytes, held().map(|(entry, _)| entry.fetched_at).min())
    }

    /// These are an issuer's lists: those that are not held are fetched, and kept as if tokens had named
    /// them.
    fn keep_listed(
        &mut self,
        position: usize,
        issuers: &[IssuerPolicy],
        uris: Vec<String>,
        now: UnixSeconds,
    ) {
        let issuer = issuers.get(position).map_or("", |issuer| &issuer.profile.issuer);
        if self.lists.len() >= MAX_LISTS / 2 {
            // Issuers begin new lists as time goes on: those that are over give way.
            self.lists.retain(|_, entry| entry.is_in_use(now) || entry.is_expected(now));
        }
        for uri in uris.into_iter().filter(|uri| is_of_issuer(uri, issuer)) {
            let key = (position, uri);
            if !self.lists.contains_key(&key) && self.lists.len() >= MAX_LISTS / 2 {
                // The rest is for those that tokens name.
                continue;
            }
            self.lists.update(key, |entry| {
                entry.last_expected = now;
                let rested = entry.rest_end().is_none_or(|end| now >= end);
                entry.wanted |= entry.list.is_none() && entry.flight.is_none() && rested;
            });
        }
    }

    /// How much memory a new list may take in the place of one that is held, in bytes.
    fn room_for(&mut self, key: &(usize, String), now: UnixSeconds) -> usize {
        let used = |lists: &SortedMap<(usize, String), Entry>| -> usize {
            let others = lists.iter().filter(|(other, _)| *other != key);
            others.filter_map(|(_, entry)| entry.list.as_ref()).map(StatusList::size).sum()
        };
        if used(&self.lists) > MAX_BYTES - MAX_LIST_BYTES {
            self.lists.retain(|other, entry| other == key || entry.is_in_use(now));
        }
        let room = MAX_BYTES.saturating_sub(used(&self.lists));
        // What is merely expected leaves room for what is needed.
        let is_needed = self.lists.get(key).is_some_and(|entry| entry.is_in_use(now));
        if is_needed { room } else { room.saturating_sub(MAX_BYTES / 2) }
    }

    /// Forgets what no token named in the last minutes; `false` when all are in use.
    fn make_room(&mut self, now: UnixSeconds) -> bool {
        if self.lists.len() >= MAX_LISTS {
            self.lists.retain(|_, entry| entry.is_in_use(now));
        }
        self.lists.len() < MAX_LISTS
    }
}

impl Entry {
    /// Whether somebody asked for it in the last minutes.
    const fn is_in_use(&self, now: UnixSeconds) -> bool {
        now < self.last_use.saturating_add(WITHOUT_EXPIRY)
    }

    /// Whether its issuer named it in the last minutes.
    const fn is_expected(&self, now: UnixSeconds) -> bool {
        now < self.last_expected.saturating_add(WITHOUT_EXPIRY)
    }

    fn lookup(&mut self, index: u64, now: UnixSeconds) -> StatusLookup {
        self.last_use = now;
        self.settle(now);
        if let Some(list) =
            self.list.as_ref().filter(|list| now < usable_until(list, self.fetched_at))
        {
            // A place that the list does not have says nothing good (§8.3 step 5).
            return match list.get(index) {
                Some(0) => StatusLookup::Valid,
                Some(_) | None => StatusLookup::Revoked,
            };
        }
        match self.rest_end() {
            Some(end) if now < end && self.flight.is_none() && !self.wanted => {
                StatusLookup::Unavailable { retry_after: end - now }
            }
            _ => {
                self.wanted = self.flight.is_none();
                StatusLookup::Wait
            }
        }
    }

    /// Between two fetches, in seconds.
    fn ttl(&self) -> u64 {
        self.list.as_ref().and_then(|list| list.ttl).unwrap_or(DEFAULT_TTL)
    }

    /// Whether it is still being fetched, or will be: there is nothing new for a token that waits for it.
    fn is_awaited(&self, now: UnixSeconds) -> bool {
        let held = self.list.as_ref();
        let usable = held.is_some_and(|list| now < usable_until(list, self.fetched_at));
        !usable && (self.wanted || self.flight.is_some())
    }

    /// The end of the pause after failures: 1, 2, 4 … at most 32 seconds.
    fn rest_end(&self) -> Option<UnixSeconds> {
        let pause = 1_u64 << self.failures.saturating_sub(1).min(5);
        self.last_end.filter(|_| self.failures > 0).map(|end| end.saturating_add(pause))
    }

    /// A moment ahead is one of a clock that was set back: the list is fetched anew, and pauses begin anew.
    fn settle(&mut self, now: UnixSeconds) {
        if self.fetched_at > now {
            self.fetched_at = now.saturating_sub(self.ttl());
        }
        if self.asked_at > now {
            self.asked_at = self.fetched_at;
        }
        self.last_end = self.last_end.map(|end| end.min(now));
        self.last_use = self.last_use.min(now);
        self.last_expected = self.last_expected.min(now);
        self.flight = self.flight.map(|(id, start)| (id, start.min(now)));
        self.expire_flight(now);
    }

    fn expire_flight(&mut self, now: UnixSeconds) {
        if self.flight.is_some_and(|(_, start)| now >= start.saturating_add(2 * Fetch::TIMEOUT)) {
            self.flight = None;
            self.failures = self.failures.saturating_add(1);
            self.last_end = Some(now);
        }
    }

    fn is_due(&mut self, now: UnixSeconds) -> bool {
        self.settle(now);
        let ttl = self.ttl();
        let last_named = self.last_use.max(self.last_expected);
        let in_use = now < last_named.saturating_add(ttl.max(WITHOUT_EXPIRY));
        let old = self.list.is_some() && now >= self.asked_at.saturating_add(ttl) && in_use;
        let rested = self.rest_end().is_none_or(|end| now >= end);
        self.flight.is_none() && (self.wanted || old) && rested
    }

    /// A list takes the place of an older one only: no rollback. `None`: the held one is the newer. Of several
    /// nodes of an issuer each signs a list for itself, so an older one that has not expired is no fault.
    fn newer(
        &self,
        list: StatusList,
        now: UnixSeconds,
    ) -> Result<Option<StatusList>, StatusListError> {
        if now >= usable_until(&list, now) {
            return Err(StatusListError::Old);
        }
        // What a clock that was ahead has written is not newer than what is right.
        let made = |held: &StatusList| match held.issued_at {
            at if at > now => at.min(self.fetched_at),
            at => at,
        };
        let is_older = self.list.as_ref().is_some_and(|held| list.issued_at < made(held));
        Ok((!is_older).then_some(list))
    }
}

fn usable_until(list: &StatusList, fetched_at: UnixSeconds) -> UnixSeconds {
    match list.expires_at {
        // By a clock that is ahead, the end is too.
        Some(end) => end.saturating_sub(list.issued_at.saturating_sub(fetched_at)),
        None => fetched_at.saturating_add(list.ttl.unwrap_or(DEFAULT_TTL).max(WITHOUT_EXPIRY)),
    }
}

/// Only the issuer's own host is asked: no token can send the guard elsewhere.
fn is_of_issuer(uri: &str, issuer: &str) -> bool {
    ResourceId::parse(uri).is_ok()
        && match (split(uri), split(issuer)) {
            (Some((scheme, authority, _)), Some((issuer_scheme, issuer_authority, _))) => {
                scheme == issuer_scheme && authority == issuer_authority
            }
            _ => false,
        }
}

/// §8.3: type, signature by a key of the token's issuer, and the list itself.
fn read(
    body: &[u8],
    uri: &str,
    issuer: usize,
    keys: &KeyStore,
    now: UnixSeconds,
) -> Result<(StatusList, Arc<Jwk>), StatusListError> {
    let text = core::str::from_utf8(body).map_err(|_| StatusListError::Signature)?;
    let jws = CompactJws::parse(text.trim_end()).map_err(|_| StatusListError::Signature)?;
    let header = jws.header();
    let algorithm = header
        .algorithm
        .filter(|_| has_type(header.typ.as_deref()))
        .ok_or(StatusListError::Signature)?;
    let kid = header.kid.as_deref();
    let Some(key) = keys.find(issuer, kid, algorithm, now) else {
        let lacks = keys.lacks(issuer, kid, algorithm);
        return Err(if lacks { StatusListError::Key } else { StatusListError::Signature });
    };
    let verifier = key.verifier(algorithm).ok_or(StatusListError::Signature)?;
    if !verifier.verify(jws.signing_input().as_bytes(), jws.signature()) {
        return Err(StatusListError::Signature);
    }
    Ok((StatusList::parse(jws.payload(), uri)?, key))
}
