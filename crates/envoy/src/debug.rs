//! The debug page: what one worker holds, for the operators whom the settings name.

use countersign_core::{
    guard::{Health, IssuerHealth},
    jose::json::Value,
};

use crate::{host, shared::Shared};

/// Answers with the state of this worker, as JSON. No secrets, no tokens, nothing that a client sent.
pub(crate) fn answer(shared: &Shared, now: u64) -> Result<(), host::HostError> {
    let health = shared.engine.health(now);
    let body = document(shared, &health, now);
    let headers = [("content-type", "application/json"), ("cache-control", "no-store")].into_iter();
    host::respond(200, "countersign_debug", headers, body.as_bytes())
}

fn document(shared: &Shared, health: &Health, now: u64) -> String {
    let issuers: Vec<String> = health.issuers.iter().map(issuer).collect();
    let resources: Vec<String> = shared
        .engine
        .policy()
        .resources
        .iter()
        .map(|resource| text(resource.audience.resource.as_str()))
        .collect();
    let by_envoy: Vec<String> = shared.signatures.by_envoy().map(text).collect();
    format!(
        concat!(
            r#"{{"version":{},"now":{},"note":"the worker that answered","issuers":[{}],"resources":[{}],"#,
            r#""status_lists":{{"held":{},"bytes":{},"oldest_age":{}}},"tokens_cached":{},"#,
            r#""requests":{{"held":{},"waiting_for_keys":{}}},"signatures_by_envoy":[{}]}}"#
        ),
        text(env!("CARGO_PKG_VERSION")),
        now,
        issuers.join(","),
        resources.join(","),
        health.status_lists,
        health.status_list_bytes,
        number(health.oldest_status_list),
        health.cached_tokens,
        shared.requests.len(),
        shared.parked().len(),
        by_envoy.join(","),
    )
}

fn issuer(health: &IssuerHealth) -> String {
    format!(
        r#"{{"issuer":{},"inline":{},"usable":{},"keys":{},"keys_left_out":{},"age":{},"failures":{},"last_error":{}}}"#,
        text(&health.issuer),
        health.inline,
        health.usable,
        health.keys,
        health.skipped_keys,
        number(health.age),
        health.failures,
        health.last_error.as_deref().map_or_else(|| "null".to_owned(), text),
    )
}

fn text(value: &str) -> String {
    Value::String(value.to_owned()).to_string()
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}
