//! Metrics: `countersign.allow`, `countersign.deny.<reason>`, `countersign.shadow_deny.<reason>`, what is
//! held, and how long decisions take.

use std::collections::BTreeMap;

use countersign_core::{
    Reason,
    guard::{Decision, Health, Verdict},
};

use crate::host::{self, MetricKind};

/// What is counted beside decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counter {
    /// Responses that came before their request was decided, and were replaced.
    AnsweredEarly,
    /// Fetches that brought nothing of use.
    FetchesFailed,
    /// Fetches of other workers that this one learned of.
    FetchesShared,
    /// Fetches that brought something.
    FetchesSucceeded,
    /// Requests refused because the host did not do what it was asked.
    HostErrors,
    /// Requests refused because policy, clock or headers could not be had.
    NotReady,
    /// Workers whose own arithmetic gave a wrong known answer.
    SelfTestsFailed,
    /// Signatures that Envoy's BoringSSL verified.
    SignaturesByEnvoy,
    /// Signatures that the filter verified itself.
    SignaturesInFilter,
}

impl Counter {
    const ALL: [(Self, &'static str); 9] = [
        (Self::AnsweredEarly, "failed.answered_early"),
        (Self::FetchesFailed, "fetches.failed"),
        (Self::FetchesShared, "fetches.shared"),
        (Self::FetchesSucceeded, "fetches.succeeded"),
        (Self::HostErrors, "failed.host_error"),
        (Self::NotReady, "failed.not_ready"),
        (Self::SelfTestsFailed, "self_tests.failed"),
        (Self::SignaturesByEnvoy, "signatures.envoy"),
        (Self::SignaturesInFilter, "signatures.filter"),
    ];
}

/// What all workers have in common: the last one that tells it counts.
const COMMON: [&str; 2] = ["keys.oldest_age_seconds", "keys.issuers_without"];

/// What each worker has of its own: Envoy adds it up.
const SUMS: [&str; 4] =
    ["status_lists.held", "status_lists.bytes", "tokens.cached", "requests.waiting"];

/// Metrics by name. All are defined when the filter is configured, so that a dashboard sees zeros and
/// no request pays for it.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    decisions: BTreeMap<(&'static str, &'static str), u32>,
    counters: BTreeMap<Counter, u32>,
    common: Vec<Option<u32>>,
    /// Each with what this worker has added to it.
    sums: Vec<(Option<u32>, i64)>,
    /// Microseconds.
    decision_time: Option<u32>,
}

impl Metrics {
    pub(crate) fn define() -> Self {
        let mut metrics = Self::default();
        for verdict in [Verdict::Allow, Verdict::Metadata, Verdict::Preflight, Verdict::Public] {
            metrics.define_decision((verdict.code(), ""));
        }
        for reason in Reason::ALL {
            metrics.define_decision(("deny", reason.code()));
            metrics.define_decision(("shadow_deny", reason.code()));
        }
        for (counter, name) in Counter::ALL {
            if let Some(id) = define(MetricKind::Counter, name) {
                metrics.counters.insert(counter, id);
            }
        }
        metrics.common = COMMON.map(|name| define(MetricKind::Gauge, name)).into();
        metrics.sums = SUMS.map(|name| (define(MetricKind::Gauge, name), 0)).into();
        metrics.decision_time = define(MetricKind::Histogram, "decision_us");
        metrics
    }

    fn define_decision(&mut self, (kind, reason): (&'static str, &'static str)) {
        let separator = if reason.is_empty() { "" } else { "." };
        if let Some(id) = define(MetricKind::Counter, &format!("{kind}{separator}{reason}")) {
            self.decisions.insert((kind, reason), id);
        }
    }

    pub(crate) fn count(&self, decision: &Decision) {
        let key = match (decision.verdict, decision.reason) {
            (Verdict::Shadow, Some(reason)) => ("shadow_deny", reason.code()),
            (_, Some(reason)) => ("deny", reason.code()),
            (verdict, None) => (verdict.code(), ""),
        };
        add_one(self.decisions.get(&key).copied());
    }

    pub(crate) fn add_one(&self, counter: Counter) {
        add_one(self.id(counter));
    }

    /// A counter's number, for who cannot have all of this when it counts.
    pub(crate) fn id(&self, counter: Counter) -> Option<u32> {
        self.counters.get(&counter).copied()
    }

    /// How long the filter worked for a request until it was decided.
    pub(crate) fn decided_in(&self, microseconds: u64) {
        record(self.decision_time, microseconds);
    }

    /// Tells what is held.
    pub(crate) fn show(&mut self, health: &Health, waiting: usize) {
        let fetched = health.issuers.iter().filter(|issuer| !issuer.inline);
        let unusable = health.issuers.iter().filter(|issuer| !issuer.usable).count();
        let common = [
            fetched.filter_map(|issuer| issuer.age).max().unwrap_or(0),
            u64::try_from(unusable).unwrap_or(u64::MAX),
        ];
        for (gauge, value) in self.common.iter().zip(common) {
            record(*gauge, value);
        }
        self.tell([health.status_lists, health.status_list_bytes, health.cached_tokens, waiting]);
    }

    fn tell(&mut self, values: [usize; 4]) {
        for ((gauge, told), value) in self.sums.iter_mut().zip(values) {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            let difference = value.saturating_sub(*told);
            if difference != 0 && gauge.is_some_and(|id| host::add(id, difference).is_ok()) {
                *told = value;
            }
        }
    }
}

/// With a configuration its workers' share goes.
impl Drop for Metrics {
    fn drop(&mut self) {
        self.tell([0; 4]);
    }
}

fn define(kind: MetricKind, name: &str) -> Option<u32> {
    host::define_metric(kind, &format!("countersign.{name}")).ok()
}

pub(crate) fn add_one(id: Option<u32>) {
    if let Some(id) = id {
        // A lost count is no reason to fail a request.
        let _ = host::add(id, 1);
    }
}

fn record(id: Option<u32>, value: u64) {
    if let Some(id) = id {
        let _ = host::record(id, value);
    }
}
