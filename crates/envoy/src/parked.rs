//! Requests that wait for something to be fetched: keys, a status list, an answer about their token.

use countersign_core::guard::{Answer, Fetch, Pending, Step};

use crate::{
    host,
    shared::{Flow, Shared, warn},
};

/// Most requests that wait for keys at once; others are answered with 503.
const MAX_PARKED: usize = 1024;

/// Longest wait for keys, in seconds.
const MAX_WAIT: u64 = 2 * Fetch::TIMEOUT;

/// A request that waits for keys, a status list or an answer about its token.
#[derive(Debug)]
pub(crate) struct Parked {
    pending: Pending,
    /// Since that second.
    since: u64,
    body: Body,
}

/// How much of its body Envoy has shown while a request was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Body {
    Unseen,
    /// Some of it. Envoy shows none before the head goes on, unless it was told to hold heads back
    /// (`allow_on_headers_stop_iteration`): so this one is held, and what came of the body with it.
    Begun,
    /// All of it.
    Ended,
}

impl Body {
    pub(crate) const fn of(ended: bool) -> Self {
        if ended { Self::Ended } else { Self::Begun }
    }
}

impl Parked {
    pub(crate) const fn pending(&self) -> &Pending {
        &self.pending
    }

    /// A part of its body is there, or all of it: `ended`.
    pub(crate) fn shows_body(&mut self, ended: bool) {
        self.body = self.body.max(Body::of(ended));
    }

    /// Also by a clock that was set back since.
    const fn is_late(&self, now: u64) -> bool {
        now.abs_diff(self.since) >= MAX_WAIT
    }
}

impl Shared {
    /// Whether a request waits for something to be fetched.
    pub(crate) fn is_parked(&self, id: u32) -> bool {
        self.parked.contains_key(&id)
    }

    pub(crate) fn too_many_wait(&self) -> bool {
        self.parked.len() >= MAX_PARKED
    }

    pub(crate) fn park(&mut self, id: u32, pending: Pending, now: u64, body: Body) -> Flow {
        self.parked.insert(id, Parked { pending, since: now, body });
        self.newly_parked = true;
        Flow::Pause
    }

    /// Something was fetched: goes on with the requests that waited for that, and with those that waited
    /// too long. Changes the current context.
    pub(crate) fn retry_parked(&mut self, now: u64) {
        let (engine, parked) = (&self.engine, &self.parked);
        let ready = |(id, parked): (&u32, &Parked)| {
            (parked.is_late(now) || !engine.is_waiting(&parked.pending, now)).then_some(*id)
        };
        let ready: Vec<u32> = parked.iter().filter_map(ready).collect();
        for id in ready {
            let Some(parked) = self.parked.remove(&id) else { continue };
            if let Err(error) = host::set_current(id) {
                // It cannot be answered from here. It is not let through: what comes of its body is refused.
                warn("going on with a request that waited", error);
                continue;
            }
            let is_late = parked.is_late(now);
            let Parked { pending, since, body } = parked;
            let answer = if is_late { Answer::GiveUp } else { Answer::Fetched };
            let step = self.engine.resume(pending, answer, now);
            self.go_on(id, step, (since, body), now);
        }
        // Who waits on waits for a fetch that is under way.
        self.newly_parked = false;
    }

    fn go_on(&mut self, id: u32, step: Step, (since, body): (u64, Body), now: u64) {
        let flow = self.proceed(id, step, now, body);
        if let Some(parked) = self.parked.get_mut(&id) {
            // Still waiting: it goes on waiting since when it began.
            parked.since = since;
        } else if flow == Flow::Continue
            && let Err(error) = host::continue_request()
        {
            warn("letting a request go on", error);
        }
    }

    /// Whether a request began to wait for keys since this was last asked.
    pub(crate) const fn take_newly_parked(&mut self) -> bool {
        core::mem::replace(&mut self.newly_parked, false)
    }
}
