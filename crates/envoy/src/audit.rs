//! What operators see of a decision: a log line, a counter, and values that other filters and access logs
//! can use.

use countersign_core::guard::{Decision, Forward, Identity, Verdict};

use crate::{
    host::{self, Level, PropertyType},
    metrics::Metrics,
};

/// What is put into Envoy's filter state, as `wasm.` and this name: texts.
const STATE: [&str; 9] = [
    "countersign_decision",
    "countersign_reason",
    "countersign_resource",
    "countersign_issuer",
    "countersign_client",
    "countersign_subject",
    "countersign_scope",
    "countersign_operation",
    "countersign_rule",
];

/// How decisions are recorded.
#[derive(Debug)]
pub(crate) struct Audit {
    pub(crate) metrics: Metrics,
    filter_state: bool,
    /// What Envoy's log takes; looked up now and then.
    level: u32,
}

impl Audit {
    pub(crate) fn new(filter_state: bool) -> Self {
        if filter_state {
            for name in STATE {
                // Without it they are bytes instead of texts, for who may not call the function.
                let _ = host::declare_property(name, PropertyType::Text);
            }
        }
        let mut audit = Self { metrics: Metrics::define(), filter_state, level: 0 };
        audit.look_up_level();
        audit
    }

    /// Asks Envoy which lines it would log: the others are not even written.
    pub(crate) fn look_up_level(&mut self) {
        self.level = host::log_level().unwrap_or_default();
    }

    /// The request goes on.
    pub(crate) fn forwarded(&self, forward: &Forward) {
        self.set_state(&forward.decision, forward.identity.as_deref());
        self.record(&forward.decision);
    }

    /// The request, or its response, is answered by the filter.
    pub(crate) fn answered(&self, decision: &Decision) {
        self.set_state(decision, None);
        self.record(decision);
    }

    /// The headers go on before the body is decided upon: who is calling is known.
    pub(crate) fn sent_ahead(&self, forward: &Forward) {
        if self.filter_state {
            let decision = &forward.decision;
            let undecided = [("countersign_decision", "undecided")];
            undecided
                .into_iter()
                .chain(identity(decision, forward.identity.as_deref()))
                .for_each(set);
            set_scope(forward.identity.as_deref());
        }
    }

    /// Counts and logs a decision.
    pub(crate) fn record(&self, decision: &Decision) {
        self.metrics.count(decision);
        let (level, is_refusal) = match decision.verdict {
            Verdict::Deny => (Level::Info, true),
            Verdict::Shadow => (Level::Warn, true),
            _ => (Level::Debug, false),
        };
        if (level as u32) < self.level {
            return;
        }
        let mut line = format!("countersign: {decision}");
        if is_refusal && let Some(id) = request_id() {
            line.push_str(" request_id=");
            line.push_str(&id);
        }
        host::log(level, &line);
    }

    fn set_state(&self, decision: &Decision, caller: Option<&Identity>) {
        if !self.filter_state {
            return;
        }
        set(("countersign_decision", decision.verdict.code()));
        if let Some(reason) = decision.reason {
            set(("countersign_reason", reason.code()));
        }
        identity(decision, caller).for_each(set);
        set_scope(caller);
        let rest =
            [("countersign_operation", &decision.operation), ("countersign_rule", &decision.rule)];
        rest.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).for_each(set);
    }
}

/// Who is calling, and for what. Of the subject there is the digest that the log has.
fn identity<'a>(
    decision: &'a Decision,
    caller: Option<&'a Identity>,
) -> impl Iterator<Item = (&'static str, &'a str)> {
    let issuer = decision.issuer.as_deref().or_else(|| caller.map(|caller| &caller.issuer[..]));
    let client =
        decision.client_id.as_deref().or_else(|| caller.and_then(|who| who.client_id.as_deref()));
    let subject =
        decision.subject.as_deref().or_else(|| caller.map(|caller| &caller.subject_digest[..]));
    [
        ("countersign_resource", decision.resource.as_deref()),
        ("countersign_issuer", issuer),
        ("countersign_client", client),
        ("countersign_subject", subject),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

fn set_scope(caller: Option<&Identity>) {
    if let Some(caller) = caller {
        set(("countersign_scope", &caller.scope.to_string()));
    }
}

/// What cannot be told is missing in the access log; no request fails for it.
fn set((name, value): (&str, &str)) {
    let _ = host::set_property(name, value);
}

/// `x-request-id`, which Envoy makes, or takes from clients where its settings say so: then it can be
/// anything, so that only what is plain goes into the log.
fn request_id() -> Option<String> {
    const LONGEST: usize = 64;
    let id = host::property(b"request\0id").ok()?;
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+".contains(byte);
    let plain = !id.is_empty() && id.len() <= LONGEST && id.iter().all(is_plain);
    if plain { String::from_utf8(id).ok() } else { None }
}
