//! Counters: `countersign.allow`, `countersign.deny.<reason>`, `countersign.shadow_deny.<reason>` …

use std::collections::BTreeMap;

use countersign_core::{
    Reason,
    guard::{Decision, Verdict},
};

use crate::host;

/// Counters by name. All are defined when the filter is configured, so that a dashboard sees zeros
/// and no request pays for it.
#[derive(Debug, Default)]
pub(crate) struct Metrics(BTreeMap<(&'static str, &'static str), u32>);

impl Metrics {
    pub(crate) fn define() -> Self {
        let mut metrics = Self::default();
        for verdict in [Verdict::Allow, Verdict::Metadata, Verdict::Preflight, Verdict::Public] {
            metrics.add((verdict.code(), ""));
        }
        for reason in Reason::ALL {
            metrics.add(("deny", reason.code()));
            metrics.add(("shadow_deny", reason.code()));
        }
        metrics
    }

    fn add(&mut self, (kind, reason): (&'static str, &'static str)) {
        let separator = if reason.is_empty() { "" } else { "." };
        if let Ok(id) = host::define_counter(&format!("countersign.{kind}{separator}{reason}")) {
            self.0.insert((kind, reason), id);
        }
    }

    pub(crate) fn count(&self, decision: &Decision) {
        let key = match (decision.verdict, decision.reason) {
            (Verdict::Shadow, Some(reason)) => ("shadow_deny", reason.code()),
            (_, Some(reason)) => ("deny", reason.code()),
            (verdict, None) => (verdict.code(), ""),
        };
        if let Some(id) = self.0.get(&key) {
            // A lost count is no reason to fail a request.
            let _ = host::count(*id);
        }
    }
}
