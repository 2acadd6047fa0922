//! What the requests of one worker share: the engine, and the requests that wait for something.

use std::collections::BTreeMap;

use countersign_core::guard::{
    Answer, Engine, Fetch, FilteredBody, Forward, ListFilter, Pending, Response, Step,
};

use crate::{
    audit::Audit,
    decoration::Decoration,
    exchange::Exchange,
    host::{self, Buffer, HeaderMap, HostError, Level, Map},
    metrics::Counter,
    parked::{Body, Parked},
    settings::{FilterSettings, Settings},
    signatures::Signatures,
};

/// After so many seconds without a body, the likely cause is said, once.
const BODY_PATIENCE: u64 = 5;

/// The state of one worker under one configuration.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) settings: FilterSettings,
    pub(crate) audit: Audit,
    pub(crate) signatures: Signatures,
    pub(crate) requests: BTreeMap<u32, Request>,
    /// Requests that wait for something to be fetched.
    pub(crate) parked: BTreeMap<u32, Parked>,
    /// The current request's headers, while they are being decided upon.
    pub(crate) present: Option<HeaderMap>,
    /// Fetches under way, by Envoy's number for the call.
    calls: BTreeMap<u32, Fetch>,
    /// Fetches of other workers.
    pub(crate) exchange: Exchange,
    warned_of_body: bool,
    warned_of_hold: bool,
    /// A request began to wait for keys since this was last asked.
    pub(crate) newly_parked: bool,
}

/// Any other request that is not over for the filter.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one, and moved but once")]
pub(crate) enum Request {
    /// Waits for more of its body since that second. So many bytes of it were read; Envoy holds
    /// them back. `headers_sent` tells that the headers, already changed, were not held back.
    Body { pending: Pending, since: u64, read: usize, headers_sent: bool },
    /// Let through. Its response gets these headers, and its lists may have to be filtered.
    Forwarded(Decoration, Option<Box<ListFilter>>),
    /// The lists in its response are being filtered.
    Filtered(Box<FilteredBody>),
    /// Answered by the filter.
    Answered,
}

/// What the caller of a callback is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// On to the next filter.
    Continue,
    /// Held back, or answered.
    Pause,
}

impl Shared {
    pub(crate) fn new(settings: Settings) -> Self {
        let mut engine = Engine::new(settings.policy);
        let audit = Audit::new(settings.filter.filter_state);
        Signatures::self_test(&mut engine, &audit.metrics);
        Self {
            engine,
            audit,
            settings: settings.filter,
            signatures: Signatures::choose(),
            requests: BTreeMap::new(),
            parked: BTreeMap::new(),
            present: None,
            calls: BTreeMap::new(),
            exchange: Exchange::new(host::has_vm_id()),
            warned_of_body: false,
            warned_of_hold: false,
            newly_parked: false,
        }
    }

    /// Takes a step as far as it goes, for the request that is current. Its headers are still
    /// there.
    pub(crate) fn proceed(&mut self, id: u32, mut step: Step, now: u64, body: Body) -> Flow {
        loop {
            step = match step {
                Step::Forward(forward) => return self.forward(id, &forward, false),
                Step::Respond(response) => return self.respond(id, &response),
                Step::NeedSignature(pending) => {
                    let verified =
                        self.signatures.verify(&mut self.engine, &pending, &self.audit.metrics);
                    self.engine.resume(pending, Answer::Signature(verified), now)
                }
                Step::NeedIntrospection(pending)
                | Step::NeedKeys(pending)
                | Step::NeedStatus(pending)
                    if self.too_many_wait() =>
                {
                    self.engine.resume(pending, Answer::GiveUp, now)
                }
                Step::NeedIntrospection(pending)
                | Step::NeedKeys(pending)
                | Step::NeedStatus(pending) => {
                    return self.park(id, pending, now, body);
                }
                Step::NeedBody(pending) => return self.await_body(id, pending, now, body),
            };
        }
    }

    /// A part of the body is there, or all of it: `ended`.
    pub(crate) fn on_body(&mut self, id: u32, ended: bool, now: u64) -> Flow {
        if let Some(parked) = self.parked.get_mut(&id) {
            parked.shows_body(ended);
            return Flow::Pause;
        }
        match self.requests.remove(&id) {
            // Nobody let it through.
            None => self.fail(id, "finding a request's state", HostError(host::NOT_FOUND)),
            Some(forwarded @ (Request::Forwarded(..) | Request::Filtered(_))) => {
                self.requests.insert(id, forwarded);
                Flow::Continue
            }
            Some(Request::Answered) => {
                self.requests.insert(id, Request::Answered);
                Flow::Pause
            }
            Some(Request::Body { pending, since, read, headers_sent }) => {
                self.read_body(id, pending, (since, read, headers_sent), ended, now)
            }
        }
    }

    /// Hands the engine what came of the body since it was read last, and goes on.
    fn read_body(
        &mut self,
        id: u32,
        pending: Pending,
        (since, read, headers_sent): (u64, usize, bool),
        ended: bool,
        now: u64,
    ) -> Flow {
        // One byte more than allowed, if there are more: the engine counts them, and refuses.
        let room = self.engine.policy().limits.body_bytes.saturating_add(1).saturating_sub(read);
        let part = match host::buffer(Buffer::RequestBody, read, room) {
            Ok(part) => part,
            Err(error) => return self.fail(id, "reading the body", error),
        };
        let answer = if ended { Answer::Body(&part) } else { Answer::BodyPart(&part) };
        match self.engine.resume(pending, answer, now) {
            Step::NeedBody(pending) => {
                let read = read.saturating_add(part.len());
                self.requests.insert(id, Request::Body { pending, since, read, headers_sent });
                Flow::Pause
            }
            Step::Forward(forward) => self.forward(id, &forward, headers_sent),
            step => self.proceed(id, step, now, Body::of(ended)),
        }
    }

    /// Whether anything asks where requests come from: to ask Envoy takes a microsecond.
    pub(crate) fn needs_address(&self) -> bool {
        self.settings.debug.is_some() || self.engine.policy().limits.failures_per_minute > 0
    }

    /// Whether it is decided what becomes of a request.
    pub(crate) fn is_decided(&self, id: u32) -> bool {
        self.undecided(id).is_none()
    }

    /// A request in the middle of its decision.
    pub(crate) fn undecided(&self, id: u32) -> Option<&Pending> {
        match self.requests.get(&id) {
            Some(Request::Body { pending, .. }) => Some(pending),
            _ => self.parked.get(&id).map(Parked::pending),
        }
    }

    /// Tells Envoy's metrics what is held.
    pub(crate) fn show(&mut self, now: u64) {
        self.audit.look_up_level();
        self.audit.metrics.show(&self.engine.health(now), self.parked.len());
    }

    /// The request is over.
    pub(crate) fn forget(&mut self, id: u32) {
        self.requests.remove(&id);
        self.parked.remove(&id);
    }

    pub(crate) fn started(&mut self, call: u32, fetch: Fetch) {
        self.calls.insert(call, fetch);
    }

    pub(crate) fn ended(&mut self, call: u32) -> Option<Fetch> {
        self.calls.remove(&call)
    }

    /// Hands an answer to the engine, says why it could not be used, and tells the other workers.
    pub(crate) fn fetched(&mut self, fetch: &Fetch, answer: Option<(u16, &[u8])>, now: u64) {
        let error = self.engine.fetched(fetch.id, answer, now);
        if let Some(error) = &error {
            let message = format!("countersign: cannot use what {} answers: {error}", fetch.url);
            host::log(Level::Warn, &message);
        }
        let counter =
            if error.is_none() { Counter::FetchesSucceeded } else { Counter::FetchesFailed };
        self.audit.metrics.add_one(counter);
        let body = answer.filter(|_| error.is_none()).map(|(_, body)| body);
        self.exchange.publish(fetch, body, now);
    }

    /// Hands the engine what another worker fetched at the second `at`, and has told the log about.
    pub(crate) fn learned(&mut self, fetch: &Fetch, body: Option<&[u8]>, at: u64) {
        self.audit.metrics.add_one(Counter::FetchesShared);
        let answer = body.map(|body| (200, body));
        if self.engine.fetched(fetch.id, answer, at).is_some() && body.is_some() {
            let message = format!("countersign: cannot use another worker's {}", fetch.url);
            host::log(Level::Warn, &message);
        }
    }

    /// Says once what is probably wrong when bodies do not come.
    pub(crate) fn check_bodies(&mut self, now: u64) {
        let late = |request: &Request| {
            matches!(request, Request::Body { since, read: 0, .. }
                if now >= since.saturating_add(BODY_PATIENCE))
        };
        if self.engine.policy().hold_headers
            && !self.warned_of_body
            && self.requests.values().any(late)
        {
            self.warned_of_body = true;
            host::log(
                Level::Warn,
                "countersign: no request body came within 5 seconds. If every POST hangs, set \
                 allow_on_headers_stop_iteration: true in the filter's configuration (Envoy 1.35 \
                 or later), or \"hold_headers\": false in the policy",
            );
        }
    }

    /// Says once that policy and Envoy differ.
    fn warn_of_hold(&mut self) {
        if !core::mem::replace(&mut self.warned_of_hold, true) {
            host::log(
                Level::Warn,
                "countersign: Envoy holds headers back (allow_on_headers_stop_iteration: true), and the \
                 policy does not count on it: set \"hold_headers\": true in the policy",
            );
        }
    }

    fn await_body(&mut self, id: u32, pending: Pending, now: u64, body: Body) -> Flow {
        if body == Body::Ended {
            return self.read_body(id, pending, (now, 0, false), true, now);
        }
        // What came of a body would go on with a head that is let go: that can be all there is of it.
        let hold = self.engine.policy().hold_headers || body == Body::Begun;
        if hold && !self.engine.policy().hold_headers {
            self.warn_of_hold();
        }
        if !hold && let Some(forward) = pending.early_forward() {
            if let Err(error) = self.apply(forward) {
                return self.fail(id, "changing the headers", error);
            }
            self.audit.sent_ahead(forward);
        }
        let waiting = Request::Body { pending, since: now, read: 0, headers_sent: !hold };
        self.requests.insert(id, waiting);
        if hold { Flow::Pause } else { Flow::Continue }
    }

    fn forward(&mut self, id: u32, forward: &Forward, headers_sent: bool) -> Flow {
        // Headers that went on before the body were changed then.
        if !headers_sent && let Err(error) = self.apply(forward) {
            return self.fail(id, "changing the headers", error);
        }
        self.audit.forwarded(forward);
        let (decoration, filter) = (Decoration::of(forward), forward.response_filter.clone());
        self.requests.insert(id, Request::Forwarded(decoration, filter));
        Flow::Continue
    }

    pub(crate) fn respond(&mut self, id: u32, response: &Response) -> Flow {
        self.audit.answered(&response.decision);
        let headers = response.headers.iter().map(|header| (header.name(), header.value()));
        let details = format!("countersign_{}", response.decision.code());
        self.requests.insert(id, Request::Answered);
        if let Err(error) = host::respond(response.status, &details, headers, &response.body) {
            warn("answering a request", error);
        }
        Flow::Pause
    }

    /// Removes before it sets: a client can never tell the server who it is.
    fn apply(&self, forward: &Forward) -> Result<(), HostError> {
        let is_absent = |name: &str| {
            let present = self.present.as_ref();
            present.is_some_and(|map| {
                !map.iter().any(|(present, _)| present.eq_ignore_ascii_case(name.as_bytes()))
            })
        };
        for name in forward.remove.iter().filter(|name| !is_absent(name.as_str())) {
            host::remove_header(Map::Request, name.as_str())?;
        }
        for header in &forward.set {
            host::set_header(Map::Request, header.name(), header.value())?;
        }
        Ok(())
    }

    /// The host did not do what it was asked: the request must not go on.
    pub(crate) fn fail(&mut self, id: u32, doing: &str, error: HostError) -> Flow {
        warn(doing, error);
        self.audit.metrics.add_one(Counter::HostErrors);
        self.requests.insert(id, Request::Answered);
        let headers = [("retry-after", "1")].into_iter();
        if let Err(error) = host::respond(503, "countersign_host_error", headers, b"") {
            warn("answering a request", error);
        }
        Flow::Pause
    }
}

pub(crate) fn warn(doing: &str, HostError(status): HostError) {
    host::log(Level::Warn, &format!("countersign: {doing} failed with host status {status}"));
}
