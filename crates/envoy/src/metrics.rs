//! Counters: `countersign.allow`, `countersign.deny.<reason>`, `countersign.shadow_deny.<reason>` …

use std::collections::BTreeMap;

use countersign_core::{
    Reason,
    guard::{Decision, Verdict},
};

use crate::host::{self, MetricKind};

/// What is counted beside decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counter {
    /// Signatures that Envoy's BoringSSL verified.
    SignaturesByEnvoy,
    /// Signatures that the filter verified itself.
    SignaturesInFilter,
}

impl Counter {
    const ALL: [Self; 2] = [Self::SignaturesByEnvoy, Self::SignaturesInFilter];

    const fn name(self) -> &'static str {
        match self {
            Self::SignaturesByEnvoy => "signatures.envoy",
            Self::SignaturesInFilter => "signatures.filter",
        }
    }
}

/// Metrics by name. All are defined when the filter is configured, so that a dashboard sees zeros and
/// no request pays for it.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    decisions: BTreeMap<(&'static str, &'static str), u32>,
    counters: BTreeMap<Counter, u32>,
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
        for counter in Counter::ALL {
            if let Ok(id) = define(MetricKind::Counter, counter.name()) {
                metrics.counters.insert(counter, id);
            }
        }
        metrics
    }

    fn define_decision(&mut self, (kind, reason): (&'static str, &'static str)) {
        let separator = if reason.is_empty() { "" } else { "." };
        if let Ok(id) = define(MetricKind::Counter, &format!("{kind}{separator}{reason}")) {
            self.decisions.insert((kind, reason), id);
        }
    }

    pub(crate) fn count(&self, decision: &Decision) {
        let key = match (decision.verdict, decision.reason) {
            (Verdict::Shadow, Some(reason)) => ("shadow_deny", reason.code()),
            (_, Some(reason)) => ("deny", reason.code()),
            (verdict, None) => (verdict.code(), ""),
        };
        add_one(self.decisions.get(&key));
    }

    pub(crate) fn add_one(&self, counter: Counter) {
        add_one(self.counters.get(&counter));
    }
}

fn define(kind: MetricKind, name: &str) -> Result<u32, host::HostError> {
    host::define_metric(kind, &format!("countersign.{name}"))
}

fn add_one(id: Option<&u32>) {
    if let Some(id) = id {
        // A lost count is no reason to fail a request.
        let _ = host::count(*id);
    }
}
