//! One request on its way through Envoy.

use core::cell::RefCell;
use std::rc::Rc;

use countersign_core::guard::RequestHead;
use proxy_wasm::{
    traits::{Context, HttpContext},
    types::Action,
};

use crate::{
    debug,
    host::{self, Level, Map},
    metrics::add_one,
    parked::Body,
    shared::{Flow, Shared, warn},
};

/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// Why nothing can be decided.
const IN_USE: &str = "the filter's state is in use";
const NO_ANSWER: &str = "the debug page cannot be sent";
const NO_CLOCK: &str = "the clock cannot be read";
const NO_HEADERS: &str = "the headers cannot be read";
const NO_POLICY: &str = "there is no policy";

pub(crate) struct Filter {
    id: u32,
    shared: Option<Rc<RefCell<Shared>>>,
    /// The counter of requests that are refused here.
    not_ready: Option<u32>,
    /// The request was answered, or its response replaced, by what is not looked at.
    has_answered: bool,
    /// How long the filter has worked for it, in nanoseconds; `None` once that was told, or will not be.
    spent: Option<u64>,
}

impl Filter {
    pub(crate) const fn new(
        id: u32,
        shared: Option<Rc<RefCell<Shared>>>,
        not_ready: Option<u32>,
    ) -> Self {
        Self { id, shared, not_ready, has_answered: false, spent: Some(0) }
    }

    fn on_body(&mut self, ended: bool) -> Action {
        if self.has_answered {
            return Action::Pause;
        }
        let Some(shared) = self.shared.clone() else { return self.refuse(NO_POLICY) };
        let Ok(begun) = host::nanoseconds() else { return self.refuse(NO_CLOCK) };
        let Ok(mut shared) = shared.try_borrow_mut() else { return self.refuse(IN_USE) };
        let flow = shared.on_body(self.id, ended, begun / SECOND);
        self.spent = tell(&shared, self.id, self.spent, begun);
        action(flow)
    }

    fn on_response(&mut self, callback: impl FnOnce(&mut Shared, u32) -> Flow) -> Action {
        let Some(shared) = self.shared.clone().filter(|_| !self.has_answered) else {
            // The answer of this filter to a request that it could not decide.
            return Action::Continue;
        };
        // Envoy sends local replies, and lets requests go on, when the call into the filter that
        // asked for it has returned. A host that does so within that call finds the state in use:
        // what cannot be filtered now does not go on.
        let Ok(mut shared) = shared.try_borrow_mut() else { return self.refuse(IN_USE) };
        action(callback(&mut shared, self.id))
    }

    /// Without policy, clock or headers nothing can be decided, and nothing passes.
    fn refuse(&mut self, why: &str) -> Action {
        self.has_answered = true;
        host::log(Level::Warn, &format!("countersign: a request is refused with 503: {why}"));
        add_one(self.not_ready);
        let headers = [("retry-after", "1")].into_iter();
        if let Err(error) = host::respond(503, "countersign_not_ready", headers, b"") {
            warn("answering a request", error);
        }
        Action::Pause
    }
}

impl Context for Filter {}

impl HttpContext for Filter {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        let Some(shared) = self.shared.clone() else { return self.refuse(NO_POLICY) };
        let Ok(begun) = host::nanoseconds() else { return self.refuse(NO_CLOCK) };
        let now = begun / SECOND;
        let Ok(mut shared) = shared.try_borrow_mut() else { return self.refuse(IN_USE) };
        let Ok(map) = host::headers(Map::Request) else { return self.refuse(NO_HEADERS) };
        let pseudo = |wanted| map.get(wanted).unwrap_or_default();
        let mut headers: Vec<(&[u8], &[u8])> =
            map.iter().filter(|(name, _)| !name.starts_with(b":")).collect();
        if !end_of_stream && pseudo(":method") == b"DELETE" {
            // Envoy takes the header away, and HTTP/2 has none; but a body comes.
            headers.push((b"transfer-encoding", b"chunked"));
        }
        let head = RequestHead {
            method: pseudo(":method"),
            authority: pseudo(":authority"),
            path: pseudo(":path"),
            headers: &headers,
            has_body: !end_of_stream,
            client: if shared.needs_address() { host::client_address() } else { None },
            certificate: if shared.settings.client_certificates {
                host::client_certificate()
            } else {
                None
            },
        };
        if let Some(page) = &shared.settings.debug
            && head.method == b"GET"
            && head.path == page.path.as_bytes()
            && page.is_for(head.client)
        {
            return match debug::answer(&shared, now) {
                Ok(()) => {
                    self.has_answered = true;
                    Action::Pause
                }
                Err(_) => self.refuse(NO_ANSWER),
            };
        }
        let named = shared.settings.route_metadata.as_deref().and_then(host::route_resource);
        let step = match named {
            Some(resource) => shared.engine.begin_for(&resource, head, now),
            None => shared.engine.begin(head, now),
        };
        // Only what is there need be removed: most of it never is.
        shared.present = Some(map);
        let flow = shared.proceed(self.id, step, now, Body::Unseen);
        shared.present = None;
        // The root fetches, at once: a call of its own is not lost when this client goes away.
        if shared.take_newly_parked()
            && let Err(error) = host::set_tick(1)
        {
            warn("asking for a tick", error);
        }
        self.spent = tell(&shared, self.id, self.spent, begun);
        action(flow)
    }

    fn on_http_request_body(&mut self, _: usize, end_of_stream: bool) -> Action {
        self.on_body(end_of_stream)
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        // Trailers end a body too.
        self.on_body(true)
    }

    fn on_http_response_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        self.on_response(|shared, id| shared.on_response(id, !end_of_stream))
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.on_response(|shared, id| shared.on_response_body(id, size, end_of_stream))
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        // Trailers end a body too.
        self.on_http_response_body(0, true)
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared
            && let Ok(mut shared) = shared.try_borrow_mut()
        {
            shared.forget(self.id);
        }
    }
}

/// Tells Envoy how long the filter worked for a request, when it is decided. Requests that wait for keys
/// are left out, whatever becomes of them: a part of the work is done elsewhere.
fn tell(shared: &Shared, id: u32, spent: Option<u64>, begun: u64) -> Option<u64> {
    if shared.is_parked(id) {
        return None;
    }
    let ended = host::nanoseconds().ok()?;
    let spent = spent?.saturating_add(ended.saturating_sub(begun));
    if !shared.is_decided(id) {
        return Some(spent);
    }
    shared.audit.metrics.decided_in(spent / 1000);
    None
}

const fn action(flow: Flow) -> Action {
    match flow {
        Flow::Continue => Action::Continue,
        Flow::Pause => Action::Pause,
    }
}
