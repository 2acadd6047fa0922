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

/// So many of one client are asked about at once where fewer failures in a minute are allowed: good clients that
/// share an address come together too.
const MIN_OF_ONE_CLIENT: usize = 128;

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
    /// Nothing is known, and nobody asks.
    Unknown,
}

/// Why a token is not asked about, and after how many seconds it may be.
#[derive(Debug)]
pub(super) enum NotAsked {
    /// So many of this client are asked about already.
    Excessive { retry_after: u64 },
    /// The issuer is left alone, or too many are asked about.
    Unavailable { retry_after: u64 },
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
    /// Most questions on behalf of one client at a time. How they end is not known before they are answered, and
    /// only then are failures charged.
    max_of_one_client: usize,
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
    /// answer find it there. One client may fail so often in a minute; 0: as often as it likes.
    pub(super) fn new(cached_tokens: usize, failures_per_minute: u64) -> Self {
        let allowed = usize::try_from(failures_per_minute).unwrap_or(usize::MAX);
        Self {
            waiting: SortedMap::new(),
            refused: Recent::new(cached_tokens.max(2 * MAX_WAITING)),
            pauses: SortedMap::new(),
            max_of_one_client: match allowed {
                0 => usize::MAX,
                allowed => allowed.max(MIN_OF_ONE_CLIENT),
            },
        }
    }

    /// What is known of the token. An answer that it is active is given once: whoever gets it remembers
    /// what it is worth.
    pub(super) fn lookup(&mut self, key: &CacheKey, now: UnixSeconds) -> IntrospectionLookup {
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
        IntrospectionLookup::Unknown
    }

    /// Has the issuer asked about a token.
    pub(super) fn ask(
        &mut self,
        key: CacheKey,
        (issuer, token): (usize, &str),
        attempter: Option<Attempter>,
        now: UnixSeconds,
    ) -> Result<(), NotAsked> {
        if attempter.is_some_and(|who| self.is_exceeding(who, now)) {
            return Err(NotAsked::Excessive { retry_after: PAUSE });
        }
        let pauses = |end: &u64| (now.saturating_add(1)..=now.saturating_add(PAUSE)).contains(end);
        if self.pauses.get(&issuer).is_some_and(pauses) || !self.make_room(now) {
            return Err(NotAsked::Unavailable { retry_after: PAUSE });
        }
        let state = State::Wanted(introspection::request_body(token));
        self.waiting.insert(key, Question { issuer, attempter, state, since: now });
        Ok(())
    }

    /// Whether as much as may be is asked on behalf of this client. Questions are counted and not requests, which
    /// may share one; and one that nobody answers ends by itself, whoever still waits for it or does not.
    fn is_exceeding(&self, who: Attempter, now: UnixSeconds) -> bool {
        let asked = |question: &&Question| {
            question.attempter == Some(who) && question.is_open() && !question.is_late(now)
        };
        self.waiting.values().filter(asked).count() >= self.max_of_one_client
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
        self.waiting.get(key).is_some_and(|question| question.is_open() && !question.is_late(now))
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
    /// Whether the answer is still to come.
    const fn is_open(&self) -> bool {
        matches!(self.state, State::Wanted(_) | State::Flight(_))
    }

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
