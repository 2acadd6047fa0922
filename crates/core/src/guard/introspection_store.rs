//! The tokens that an issuer is being asked about (RFC 7662), and those that are of no use.

use alloc::{boxed::Box, string::String, vec::Vec};

use super::{
    failure_limit::Attempter,
    fetch::{Fetch, FetchError, FetchId, Form},
    policy::IssuerPolicy,
    recent::{CacheKey, Recent},
};
use crate::{
    Reason, UnixSeconds,
    jwt::claims::Claims,
    oauth::introspection::{self, Introspection},
    sorted::SortedMap,
};

/// Most tokens that are asked about at once: anybody can make one up.
const MAX_WAITING: usize = 256;

/// How long an issuer that did not answer at all is not asked again, in seconds.
const PAUSE: u64 = 1;

/// What is known of a token.
#[derive(Debug)]
pub(super) enum IntrospectionLookup {
    /// It is active: what the issuer says of it.
    Active(Box<Claims>),
    /// It is of no use, for this reason.
    Refused(Reason),
    /// The issuer cannot be asked, and not before so many seconds.
    Unavailable { retry_after: u64 },
    /// A fetch is wanted or under way.
    Wait,
}

/// Questions by token and resource.
#[derive(Debug)]
pub(super) struct IntrospectionStore {
    waiting: SortedMap<CacheKey, Question>,
    /// Tokens that are of no use, and from when until when that need not be asked again: outside of it the
    /// clock was set back.
    refused: Recent<(Reason, UnixSeconds, UnixSeconds)>,
    /// Issuers that did not answer, and until when they are left alone.
    pauses: SortedMap<usize, UnixSeconds>,
}

#[derive(Debug)]
struct Question {
    issuer: usize,
    /// Who asked first.
    attempter: Option<Attempter>,
    state: State,
    /// When the state was reached.
    since: UnixSeconds,
}

enum State {
    /// The form is still to be sent.
    Wanted(String),
    Flight(FetchId),
    Active(Box<Claims>),
    Failed,
}

/// Without the form: the token stands in it.
impl core::fmt::Debug for State {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Wanted(_) => "Wanted",
            Self::Flight(_) => "Flight",
            Self::Active(_) => "Active",
            Self::Failed => "Failed",
        })
    }
}

impl IntrospectionStore {
    /// Remembers at most so many tokens that are of no use, and always some: those who wait for an
    /// answer find it there.
    pub(super) fn new(cached_tokens: usize) -> Self {
        Self {
            waiting: SortedMap::new(),
            refused: Recent::new(cached_tokens.max(2 * MAX_WAITING)),
            pauses: SortedMap::new(),
        }
    }

    /// What is known of the token. An answer that it is active is given once: whoever gets it remembers
    /// what it is worth.
    pub(super) fn lookup(
        &mut self,
        key: &CacheKey,
        (issuer, token): (usize, &str),
        attempter: Option<Attempter>,
        now: UnixSeconds,
    ) -> IntrospectionLookup {
        let known =
            self.refused.get(key).filter(|(_, since, until)| (*since..*until).contains(&now));
        if let Some((reason, ..)) = known {
            return IntrospectionLookup::Refused(reason);
        }
        if let Some(question) = self.waiting.get_mut(key) {
            question.expire(now);
            match question.state {
                State::Wanted(_) | State::Flight(_) => return IntrospectionLookup::Wait,
                State::Failed if question.is_new(now) => {
                    return IntrospectionLookup::Unavailable { retry_after: PAUSE };
                }
                State::Active(_) | State::Failed => {}
            }
            let question = self.waiting.remove(key).filter(|question| question.is_new(now));
            if let Some(Question { state: State::Active(claims), .. }) = question {
                return IntrospectionLookup::Active(claims);
            }
            // Whoever waited for it went away.
        }
        let pauses = |end: &u64| (now.saturating_add(1)..=now.saturating_add(PAUSE)).contains(end);
        if self.pauses.get(&issuer).is_some_and(pauses) || !self.make_room(now) {
            return IntrospectionLookup::Unavailable { retry_after: PAUSE };
        }
        let state = State::Wanted(introspection::request_body(token));
        self.waiting.insert(*key, Question { issuer, attempter, state, since: now });
        IntrospectionLookup::Wait
    }

    /// Remembers that a token is of no use for this reason.
    pub(super) fn refuse(
        &mut self,
        key: CacheKey,
        reason: Reason,
        (since, until): (UnixSeconds, UnixSeconds),
    ) {
        self.refused.insert(key, (reason, since, until));
    }

    /// Whether a token is still being asked about: there is nothing new for who waits for the answer.
    pub(super) fn is_awaited(&self, key: &CacheKey, now: UnixSeconds) -> bool {
        self.waiting.get(key).is_some_and(|question| match question.state {
            State::Wanted(_) | State::Flight(_) => !question.is_late(now),
            State::Active(_) | State::Failed => false,
        })
    }

    /// What is to be asked now; each question is given once.
    pub(super) fn due(
        &mut self,
        issuers: &[IssuerPolicy],
        now: UnixSeconds,
        mut next_id: impl FnMut() -> FetchId,
    ) -> Vec<Fetch> {
        let mut due = Vec::new();
        for question in self.waiting.values_mut() {
            let policy = issuers.get(question.issuer);
            let Some((policy, server)) = policy.and_then(|p| Some((p, p.introspection.as_ref()?)))
            else {
                continue;
            };
            if let State::Wanted(body) = &mut question.state {
                let body = core::mem::take(body);
                let id = next_id();
                (question.state, question.since) = (State::Flight(id), now);
                let form = Form { authorization: server.authorization.clone(), body };
                let (url, cluster) = (server.endpoint.clone(), policy.cluster.clone());
                due.push(Fetch {
                    id,
                    url,
                    cluster,
                    form: Some(form),
                    fresh: false,
                    outdated: false,
                });
            }
        }
        due
    }

    /// Takes the answer to a question, if it was one of these: whom a token that is not active is to be
    /// charged to, or why the answer is of no use. `None`: it was none of these.
    pub(super) fn fetched(
        &mut self,
        id: FetchId,
        answer: &Result<&[u8], FetchError>,
        issuers: &[IssuerPolicy],
        now: UnixSeconds,
    ) -> Option<Result<Option<Attempter>, FetchError>> {
        let asked = |question: &Question| matches!(question.state, State::Flight(own) if own == id);
        let (key, question) = self.waiting.iter_mut().find(|(_, question)| asked(question))?;
        let found = answer
            .clone()
            .and_then(|body| Introspection::parse(body).map_err(FetchError::Introspection));
        question.since = now;
        match found {
            Ok(Introspection::Active(claims)) => {
                question.state = State::Active(claims);
                Some(Ok(None))
            }
            Ok(Introspection::Inactive) => {
                let (key, attempter) = (*key, question.attempter);
                let server = issuers.get(question.issuer).and_then(|i| i.introspection.as_ref());
                let until = now.saturating_add(server.map_or(1, |server| server.cache));
                self.waiting.remove(&key);
                self.refuse(key, Reason::TokenInactive, (now, until));
                Some(Ok(attempter))
            }
            Err(error) => {
                // A status may be due to this one token; silence is not.
                if error == FetchError::NoAnswer {
                    self.pauses.insert(question.issuer, now.saturating_add(PAUSE));
                }
                question.state = State::Failed;
                Some(Err(error))
            }
        }
    }

    /// Forgets questions whose asker went away; `false` when all are waited for.
    fn make_room(&mut self, now: UnixSeconds) -> bool {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.retain(|_, question| match question.state {
                State::Wanted(_) | State::Flight(_) => !question.is_late(now),
                State::Active(_) | State::Failed => question.is_new(now),
            });
        }
        self.waiting.len() < MAX_WAITING
    }
}

impl Question {
    /// A host that never answers is no reason to wait for ever.
    fn expire(&mut self, now: UnixSeconds) {
        if self.is_late(now) && matches!(self.state, State::Flight(_)) {
            (self.state, self.since) = (State::Failed, now);
        }
    }

    /// Also by a clock that was set back since.
    const fn is_late(&self, now: UnixSeconds) -> bool {
        now.abs_diff(self.since) >= 2 * Fetch::TIMEOUT
    }

    /// Whether those who wait for it may still come for it.
    const fn is_new(&self, now: UnixSeconds) -> bool {
        now.abs_diff(self.since) <= PAUSE
    }
}
