//! The tokens that an issuer is being asked about (RFC 7662), and those that it said are not active.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use super::{
    fetch::{Fetch, FetchError, FetchId, Form},
    policy::IssuerPolicy,
    recent::{CacheKey, Recent},
};
use crate::{
    UnixSeconds,
    oauth::introspection::{self, Introspection},
};

/// Most tokens that are asked about at once: anybody can make one up.
const MAX_WAITING: usize = 256;

/// How long an issuer that did not answer at all is not asked again, in seconds.
const PAUSE: u64 = 1;

/// What is known of a token.
#[derive(Debug)]
pub(super) enum IntrospectionLookup {
    Answered(Introspection),
    /// The issuer cannot be asked, and not before so many seconds.
    Unavailable {
        retry_after: u64,
    },
    /// A fetch is wanted or under way.
    Wait,
}

/// Questions by token and resource.
#[derive(Debug)]
pub(super) struct IntrospectionStore {
    waiting: BTreeMap<CacheKey, Question>,
    /// Tokens that are not active, and until when that need not be asked again.
    inactive: Recent<UnixSeconds>,
    /// Issuers that did not answer, and until when they are left alone.
    pauses: BTreeMap<usize, UnixSeconds>,
}

#[derive(Debug)]
struct Question {
    issuer: usize,
    state: State,
    /// When the state was reached.
    since: UnixSeconds,
}

enum State {
    /// The form is still to be sent.
    Wanted(String),
    Flight(FetchId),
    Answered(Introspection),
    Failed,
}

/// Without the form: the token stands in it.
impl core::fmt::Debug for State {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Wanted(_) => "Wanted",
            Self::Flight(_) => "Flight",
            Self::Answered(_) => "Answered",
            Self::Failed => "Failed",
        })
    }
}

impl IntrospectionStore {
    /// Remembers at most so many inactive tokens.
    pub(super) const fn new(cached_tokens: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            inactive: Recent::new(cached_tokens),
            pauses: BTreeMap::new(),
        }
    }

    /// What is known of the token. An answer that it is active is given once: whoever gets it remembers
    /// what it is worth.
    pub(super) fn lookup(
        &mut self,
        key: &CacheKey,
        issuer: usize,
        token: &str,
        now: UnixSeconds,
    ) -> IntrospectionLookup {
        if self.inactive.get(key).is_some_and(|until| now < until) {
            return IntrospectionLookup::Answered(Introspection::Inactive);
        }
        if let Some(question) = self.waiting.get_mut(key) {
            question.expire(now);
            let is_new = now <= question.since.saturating_add(PAUSE);
            match question.state {
                State::Wanted(_) | State::Flight(_) => return IntrospectionLookup::Wait,
                State::Failed if is_new => {
                    return IntrospectionLookup::Unavailable { retry_after: PAUSE };
                }
                State::Answered(_) | State::Failed => {}
            }
            let question = self.waiting.remove(key);
            if let Some(Question { state: State::Answered(answer), .. }) = question
                && is_new
            {
                return IntrospectionLookup::Answered(answer);
            }
            // Whoever waited for it went away.
        }
        if self.pauses.get(&issuer).is_some_and(|end| now < *end) || !self.make_room(now) {
            return IntrospectionLookup::Unavailable { retry_after: PAUSE };
        }
        let state = State::Wanted(introspection::request_body(token));
        self.waiting.insert(*key, Question { issuer, state, since: now });
        IntrospectionLookup::Wait
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
                due.push(Fetch { id, url, cluster, form: Some(form) });
            }
        }
        due
    }

    /// Takes the answer to a question, if it was one of these. `None`: it was not.
    pub(super) fn fetched(
        &mut self,
        id: FetchId,
        answer: &Result<&[u8], FetchError>,
        issuers: &[IssuerPolicy],
        now: UnixSeconds,
    ) -> Option<Result<(), FetchError>> {
        let asked = |question: &Question| matches!(question.state, State::Flight(own) if own == id);
        let (key, question) = self.waiting.iter_mut().find(|(_, question)| asked(question))?;
        question.since = now;
        let found = answer
            .clone()
            .and_then(|body| Introspection::parse(body).map_err(FetchError::Introspection));
        Some(match found {
            Ok(answer) => {
                if matches!(answer, Introspection::Inactive) {
                    let policy = issuers.get(question.issuer);
                    let cache = policy.and_then(|policy| policy.introspection.as_ref());
                    let until = now.saturating_add(cache.map_or(0, |server| server.cache));
                    self.inactive.insert(*key, until);
                }
                question.state = State::Answered(answer);
                Ok(())
            }
            Err(error) => {
                // A status may be due to this one token; silence is not.
                if error == FetchError::NoAnswer {
                    self.pauses.insert(question.issuer, now.saturating_add(PAUSE));
                }
                question.state = State::Failed;
                Err(error)
            }
        })
    }

    /// Forgets questions whose asker went away; `false` when all are waited for.
    fn make_room(&mut self, now: UnixSeconds) -> bool {
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.retain(|_, question| {
                now < question.since.saturating_add(2 * Fetch::TIMEOUT)
                    && !matches!(question.state, State::Failed)
            });
        }
        self.waiting.len() < MAX_WAITING
    }
}

impl Question {
    /// A host that never answers is no reason to wait for ever.
    fn expire(&mut self, now: UnixSeconds) {
        let is_late = now >= self.since.saturating_add(2 * Fetch::TIMEOUT);
        if is_late && matches!(self.state, State::Flight(_)) {
            (self.state, self.since) = (State::Failed, now);
        }
    }
}
