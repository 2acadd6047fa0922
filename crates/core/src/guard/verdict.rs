//! The last word on a request: forwarded thus, refused thus, or let pass in shadow mode.

use alloc::{
    format,
    string::{String, ToString as _},
    sync::Arc,
    vec::Vec,
};

use super::{
    answer::{self, Refusal},
    decision::{Decision, Header, HeaderName, Verdict},
    explain,
    identity::Identity,
    list_filter::ListFilter,
    policy::{Dpop, Mode, Policy, ResourcePolicy},
    request::RequestHead,
    session,
    step::{Context, Forward, Step},
    trace::Trace,
};
use crate::{Reason, jose::json::Value, mcp::operation::Operation, oauth::scope::ScopeSet};

/// Why a request is refused, with what its answer needs.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reason: Reason,
    pub(super) detail: Option<String>,
    pub(super) retry_after: Option<u64>,
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self { reason, detail: None, retry_after: None }
    }
}

/// What is known of the operation, for the record and the answer.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) operation: Option<String>,
    pub(super) rule: Option<String>,
    pub(super) needed: Option<ScopeSet>,
    pub(super) id: Option<Value>,
}

impl Asked {
    pub(super) fn of(operation: &Operation, id: Option<Value>) -> Self {
        Self { operation: Some(operation.to_string()), id, ..Self::default() }
    }
}

/// Finds the rule for an operation and requires its scopes.
pub(super) fn decide(
    policy: &Arc<Policy>,
    context: &Context,
    mut forward: Forward,
    operation: &Operation,
    mut asked: Asked,
) -> Step {
    let Some(resource) = policy.resources.get(context.resource) else {
        return refuse(policy, context, Reason::ResourceUnknown.into(), forward.identity, &asked);
    };
    match resource.scopes.needed(operation) {
        Ok(rule) => {
            asked.rule = rule.rule;
            asked.needed = Some(rule.needed.clone());
            let id = asked.id.as_ref();
            ListFilter::settle(policy, context.resource, operation, id, &mut forward);
            require(policy, context, forward, &rule.needed, &asked)
        }
        Err(reason) => refuse(policy, context, reason.into(), forward.identity, &asked),
    }
}

/// Forwards if the caller has the scopes.
pub(super) fn require(
    policy: &Policy,
    context: &Context,
    mut forward: Forward,
    needed: &ScopeSet,
    asked: &Asked,
) -> Step {
    let (Some(resource), Some(identity)) =
        (policy.resources.get(context.resource), forward.identity.clone())
    else {
        return refuse(policy, context, Reason::ResourceUnknown.into(), None, asked);
    };
    let missing = resource.scopes.missing(&identity.scope, needed);
    let mut trace = context.trace.clone();
    if let Some(operation) = &asked.operation {
        trace.noted("operation", || operation.clone());
    }
    trace.checked("scopes", missing.is_empty(), || {
        explain::scopes(resource, &identity, needed, asked.rule.as_deref())
    });
    if missing.is_empty() {
        trace.passed("decision", || "forwarded".to_string());
        forward.decision.trace = trace;
        forward.decision.operation.clone_from(&asked.operation);
        forward.decision.rule.clone_from(&asked.rule);
        return Step::Forward(forward);
    }
    let detail = Some(format!("missing {missing}"));
    let refused = Refused { detail, ..Reason::ScopeInsufficient.into() };
    refuse_traced(policy, context, refused, Some(identity), asked, trace)
}

/// Refuses a request; in shadow mode, lets it pass and says so in the record.
pub(super) fn refuse(
    policy: &Policy,
    context: &Context,
    refused: Refused,
    identity: Option<Arc<Identity>>,
    asked: &Asked,
) -> Step {
    let mut trace = context.trace.clone();
    if let Some(operation) = &asked.operation {
        trace.noted("operation", || operation.clone());
    }
    refuse_traced(policy, context, refused, identity, asked, trace)
}

fn refuse_traced(
    policy: &Policy,
    context: &Context,
    refused: Refused,
    identity: Option<Arc<Identity>>,
    asked: &Asked,
    mut trace: Trace,
) -> Step {
    trace.failed("decision", || explain::refused(&refused));
    let resource = policy.resources.get(context.resource);
    let shadow = resource.filter(|resource| resource.mode == Mode::Shadow);
    let verdict = if shadow.is_some() { Verdict::Shadow } else { Verdict::Deny };
    let mut decision = record(verdict, Some(refused.reason), resource, identity.as_deref());
    decision.operation.clone_from(&asked.operation);
    decision.rule.clone_from(&asked.rule);
    decision.detail = refused.detail;
    decision.trace = trace;
    if let Some(resource) = shadow {
        let (response_headers, response_append) = context.response_headers();
        return Step::Forward(Forward {
            remove: removals(policy, resource, &context.lookalikes),
            set: Vec::new(),
            response_headers,
            response_append,
            session_seal: None,
            response_filter: None,
            identity: None,
            decision,
        });
    }
    let refusal = Refusal {
        resource,
        needed: asked.needed.as_ref(),
        scheme: context.scheme,
        id: asked.id.as_ref(),
        retry_after: refused.retry_after,
        is_head: context.is_head,
        allow: None,
    };
    Step::Respond(refusal.response(decision, refused.reason, &context.extra))
}

/// The changes for an authorized request.
pub(super) fn forward(
    policy: &Policy,
    resource: &ResourcePolicy,
    context: &Context,
    identity: &Arc<Identity>,
) -> Result<Forward, Reason> {
    let (response_headers, response_append) = context.response_headers();
    let mut set = identity.headers(&resource.forward)?;
    let (session, session_seal) = context.session.bind(resource, identity)?;
    set.extend(session);
    Ok(Forward {
        remove: removals(policy, resource, &context.lookalikes),
        set,
        response_headers,
        response_append,
        session_seal,
        response_filter: None,
        identity: Some(Arc::clone(identity)),
        decision: record(Verdict::Allow, None, Some(resource), Some(identity)),
    })
}

/// What a client may never tell the server by itself, and the token.
fn removals(
    policy: &Policy,
    resource: &ResourcePolicy,
    lookalikes: &[HeaderName],
) -> Vec<HeaderName> {
    let mut names = policy.owned().to_vec();
    names.extend_from_slice(lookalikes);
    if resource.forward.strip_token {
        names.push(HeaderName::fixed("authorization"));
        if resource.dpop != Dpop::Off {
            names.push(HeaderName::fixed("dpop"));
        }
    }
    names
}

/// By these, some frameworks take a request for one of another method than the one that was decided on.
const METHOD_OVERRIDES: [&str; 3] =
    ["x-http-method", "x-http-method-override", "x-method-override"];

/// The client's headers that the server could take for something else than the guard does: those that
/// override the method, and those that differ from the guard's own in `_` for `-` only (to CGI and WSGI
/// servers both are the same variable).
pub(super) fn lookalikes(
    policy: &Policy,
    resource: &ResourcePolicy,
    head: &RequestHead<'_>,
) -> Vec<HeaderName> {
    let mut found = Vec::new();
    let session = session::header(resource);
    let owned = || policy.owned().iter().map(HeaderName::as_str).chain(session);
    let overrides = |name: &[u8]| METHOD_OVERRIDES.iter().any(|other| is_alike(name, other));
    let suspicious = |(name, _): &&(&[u8], &[u8])| name.contains(&b'_') || overrides(name);
    for (name, _) in head.headers.iter().filter(suspicious) {
        let Some(name) =
            core::str::from_utf8(name).ok().and_then(|name| HeaderName::parse(name).ok())
        else {
            continue;
        };
        let plain = name.as_str().replace('_', "-");
        let is_ours =
            overrides(plain.as_bytes()) || owned().any(|ours| ours.replace('_', "-") == plain);
        if is_ours && !owned().any(|ours| ours == name.as_str()) && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// Whether a server could take one for the other: whatever the case, and `_` for `-`.
fn is_alike(name: &[u8], other: &str) -> bool {
    let alike = |(one, other): (&u8, u8)| {
        one.eq_ignore_ascii_case(&other) || (*one == b'_' && other == b'-')
    };
    name.len() == other.len() && name.iter().zip(other.bytes()).all(alike)
}

fn record(
    verdict: Verdict,
    reason: Option<Reason>,
    resource: Option<&ResourcePolicy>,
    identity: Option<&Identity>,
) -> Decision {
    Decision {
        resource: resource.map(|resource| resource.audience.resource.to_string()),
        issuer: identity.map(|identity| identity.issuer.clone()),
        client_id: identity.and_then(|identity| identity.client_id.clone()),
        subject: identity.map(|identity| identity.subject_digest.clone()),
        ..Decision::new(verdict, reason)
    }
}

pub(super) fn metadata(policy: &Policy, index: usize, head: &RequestHead<'_>) -> Step {
    let Some(resource) = policy.resources.get(index) else {
        let decision = Decision::new(Verdict::Deny, Some(Reason::MetadataUnknown));
        return Step::Respond(Refusal::default().response(decision, Reason::MetadataUnknown, &[]));
    };
    let issuers: Vec<&str> = resource
        .issuers
        .iter()
        .filter_map(|issuer| policy.issuers.get(*issuer))
        .map(|issuer| issuer.profile.issuer.as_str())
        .collect();
    Step::Respond(answer::metadata(resource, &issuers, head))
}

pub(super) fn public(policy: &Policy, index: usize, head: &RequestHead<'_>) -> Step {
    let resource = policy.resources.get(index);
    let remove =
        resource.map(|resource| removals(policy, resource, &lookalikes(policy, resource, head)));
    Step::Forward(Forward {
        remove: remove.unwrap_or_default(),
        set: Vec::<Header>::new(),
        response_headers: Vec::new(),
        response_append: Vec::new(),
        session_seal: None,
        response_filter: None,
        identity: None,
        decision: record(Verdict::Public, None, resource, None),
    })
}
