//! One worker under one configuration: reads the policy, fetches keys.

use core::{cell::RefCell, time::Duration};
use std::rc::Rc;

use countersign_core::guard::{Fetch, Form};
use proxy_wasm::{
    traits::{Context, HttpContext, RootContext},
    types::ContextType,
};

use crate::{
    exchange::{Claim, Waiting},
    filter::Filter,
    host::{self, Buffer, Level, Map},
    metrics::Counter,
    settings::{FilterSettings, Settings},
    shared::{Shared, warn},
};

/// Between two looks at what is due.
const TICK_MILLISECONDS: u32 = 1000;

/// Policies are small; a larger document is a mistake.
const MAX_POLICY_BYTES: usize = 4 * 1024 * 1024;

pub(crate) struct Root {
    id: u32,
    shared: Option<Rc<RefCell<Shared>>>,
    /// The counter of requests that a filter refuses without the state above.
    not_ready: Option<u32>,
    /// When the gauges were set.
    shown_at: u64,
}

impl Root {
    pub(crate) const fn new(id: u32) -> Self {
        Self { id, shared: None, not_ready: None, shown_at: 0 }
    }

    /// Fetches, and goes on with the requests that wait; they may want more.
    fn work(&self, shared: &mut Shared, now: u64) {
        self.fetch(shared, now);
        shared.retry_parked(now);
        match host::set_current(self.id) {
            Ok(()) => self.fetch(shared, now),
            // A fetch would belong to a request: at the next tick it will not.
            Err(error) => warn("returning to the root", error),
        }
        let period = shared.exchange.next_look().unwrap_or(TICK_MILLISECONDS);
        if let Err(error) = host::set_tick(period) {
            warn("asking for ticks", error);
        }
    }

    /// Starts what is due, or learns it from other workers.
    fn fetch(&self, shared: &mut Shared, now: u64) {
        for waiting in shared.exchange.take_waiting(now) {
            self.start(shared, waiting, now);
        }
        // Each answer, and each failure to start, may make the next of several URLs due.
        for _ in 0..8 {
            let due = shared.engine.due(now);
            if due.is_empty() {
                break;
            }
            for fetch in due {
                self.start(shared, Waiting::new(fetch, now), now);
            }
        }
    }

    fn start(&self, shared: &mut Shared, wanted: Waiting, now: u64) {
        let fetch = &wanted.fetch;
        match shared.exchange.claim(fetch, now) {
            Claim::Answered(body, at) => shared.learned(fetch, body.as_deref(), at),
            Claim::Wait => shared.exchange.wait(wanted),
            Claim::Fetch => match self.dispatch(fetch) {
                Some(call) => shared.started(call, wanted.fetch),
                None => shared.fetched(fetch, None, now),
            },
        }
    }

    fn dispatch(&self, fetch: &Fetch) -> Option<u32> {
        let (scheme, authority, path) = fetch.parts();
        let method = if fetch.form.is_some() { "POST" } else { "GET" };
        let mut headers = vec![
            (":method", method),
            (":scheme", scheme),
            (":authority", authority),
            (":path", path),
            ("accept", Fetch::ACCEPT),
        ];
        if fetch.fresh {
            headers.push(("cache-control", Fetch::NO_CACHE));
        }
        if let Some(form) = &fetch.form {
            headers.push(("content-type", Form::CONTENT_TYPE));
            headers.push(("authorization", &form.authorization));
        }
        let body = fetch.form.as_ref().map(|form| form.body.as_bytes());
        let Some(cluster) = fetch.cluster.as_deref() else {
            let message = "countersign: the policy names no \"cluster\" for the issuer";
            host::log(Level::Warn, message);
            return None;
        };
        let timeout = Duration::from_secs(Fetch::TIMEOUT);
        let call = self.dispatch_http_call(cluster, headers, body, Vec::new(), timeout);
        if call.is_err() {
            let message = format!("countersign: Envoy has no cluster {cluster:?}");
            host::log(Level::Warn, &message);
        }
        call.ok()
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, call: u32, headers: usize, body_size: usize, _: usize) {
        let (Some(shared), Ok(now)) = (&self.shared, host::now()) else {
            return;
        };
        let Ok(mut shared) = shared.try_borrow_mut() else {
            return;
        };
        let Some(fetch) = shared.ended(call) else {
            return;
        };
        let answer = if headers == 0 { None } else { read_answer(body_size) };
        let answer = answer.as_ref().map(|(status, body)| (*status, &body[..]));
        shared.fetched(&fetch, answer, now);
        self.work(&mut shared, now);
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let document = host::buffer(Buffer::PluginConfiguration, 0, MAX_POLICY_BYTES);
        let Ok(document) = document else {
            host::log(Level::Critical, "countersign: the policy cannot be read");
            return false;
        };
        let settings = match Settings::parse(&document) {
            Ok(settings) => settings,
            Err(error) => {
                host::log(Level::Critical, &format!("countersign: policy error at {error}"));
                return false;
            }
        };
        for doubt in FilterSettings::doubts(&settings.policy) {
            host::log(Level::Warn, &doubt);
        }
        let shared = Shared::new(settings);
        self.not_ready = shared.audit.metrics.id(Counter::NotReady);
        if shared.exchange.is_first_to_say() {
            host::log(
                Level::Warn,
                "countersign: the plugin has no vm_id, so other plugins could write what its workers would \
                 share: each of them fetches keys and status lists for itself",
            );
        }
        self.shared = Some(Rc::new(RefCell::new(shared)));
        // The first keys are fetched at the first tick: here clusters may not exist yet.
        if let Err(error) = host::set_tick(1) {
            warn("asking for ticks", error);
            return false;
        }
        true
    }

    fn on_tick(&mut self) {
        let (Some(shared), Ok(now)) = (&self.shared, host::now()) else {
            return;
        };
        let Ok(mut shared) = shared.try_borrow_mut() else {
            return;
        };
        // A request may have asked for one early tick: this asks for the usual ones again.
        self.work(&mut shared, now);
        shared.check_bodies(now);
        if self.shown_at != now {
            self.shown_at = now;
            shared.show(now);
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Filter::new(id, self.shared.clone(), self.not_ready)))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

fn read_answer(body_size: usize) -> Option<(u16, Vec<u8>)> {
    let headers = host::headers(Map::CallResponse).ok()?;
    let status = core::str::from_utf8(headers.get(":status")?).ok()?.parse().ok()?;
    // One byte more than allowed is enough for the engine to see that it is too long.
    let body =
        host::buffer(Buffer::CallResponseBody, 0, body_size.min(Fetch::MAX_BYTES + 1)).ok()?;
    Some((status, body))
}
