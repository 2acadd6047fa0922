//! The debug page: what one worker holds, for the operators whom the settings name.

use countersign_core::{
    guard::{Health, IssuerHealth},
    jose::json::Value,
};

use crate::{host, shared::Shared};

/// Answers with the state of this worker, as JSON. No secrets, no tokens, nothing that a client sent.
pub(crate) fn answer(shared: &Shared, now: u64) -> Result<(), host::HostError> {
    let health = shared.engine.health(now);
    let body = document(shared, &health, now).to_string();
    let headers = [("content-type", "application/json"), ("cache-control", "no-store")].into_iter();
    host::respond(200, "countersign_debug", headers, body.as_bytes())
}

fn document(shared: &Shared, health: &Health, now: u64) -> Value {
    let resources = shared.engine.policy().resources.iter();
    let resources: Vec<_> = resources.map(|found| found.audience.resource.as_str()).collect();
    let by_envoy: Vec<_> = shared.signatures.by_envoy().collect();
    let (held, parked) = (shared.requests.len(), shared.parked.len());
    object([
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("now", now.into()),
        ("note", "the worker that answered".into()),
        ("issuers", Value::Array(health.issuers.iter().map(issuer).collect())),
        ("resources", resources.into()),
        (
            "status_lists",
            object([
                ("held", count(health.status_lists)),
                ("bytes", count(health.status_list_bytes)),
                ("oldest_age", health.oldest_status_list.map_or(Value::Null, Value::from)),
            ]),
        ),
        ("tokens_cached", count(health.cached_tokens)),
        (
            "requests",
            object([
                ("held", count(held.saturating_add(parked))),
                ("waiting_for_keys", count(parked)),
            ]),
        ),
        ("signatures_by_envoy", by_envoy.into()),
    ])
}

fn issuer(health: &IssuerHealth) -> Value {
    object([
        ("issuer", health.issuer.as_str().into()),
        ("inline", Value::Bool(health.inline)),
        ("usable", Value::Bool(health.usable)),
        ("keys", count(health.keys)),
        ("keys_left_out", count(health.skipped_keys)),
        ("age", health.age.map_or(Value::Null, Value::from)),
        ("failures", u64::from(health.failures).into()),
        ("last_error", health.last_error.as_deref().map_or(Value::Null, Value::from)),
    ])
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn count(number: usize) -> Value {
    u64::try_from(number).unwrap_or(u64::MAX).into()
}
