//! What the engine says, as JSON for the host.
//!
//! JSON, because claims are JSON already, and because `JSON.parse` gives a claim called `__proto__`
//! no meaning. The members are described in `js/src/wire.ts`.

use countersign_core::{
    guard::{Decision, Fetch, FilteredBody, Forward, Header, Identity, Response, SessionSeal},
    jose::{
        base64url,
        json::{Object, Value},
    },
};

use crate::latin1;

/// The request goes on, changed thus.
pub(crate) fn forward(forward: &Forward) -> String {
    let identity = forward.identity.as_deref().map_or(Value::Null, identity);
    let remove: Vec<&str> = forward.remove.iter().map(|name| name.as_str()).collect();
    object([
        ("kind", "forward".into()),
        ("remove", remove.into()),
        ("set", headers(&forward.set)),
        ("responseHeaders", headers(&forward.response_headers)),
        ("responseAppend", headers(&forward.response_append)),
        ("session", forward.session_seal.as_ref().map_or(Value::Null, seal)),
        ("identity", identity),
        ("decision", decision(&forward.decision)),
    ])
    .to_string()
}

/// The key that [`crate::engine::seal_session`] takes.
fn seal(seal: &SessionSeal) -> Value {
    base64url::encode(seal.key()).as_str().into()
}

/// The request is answered thus.
pub(crate) fn respond(response: &Response) -> String {
    object([
        ("kind", "respond".into()),
        ("status", u64::from(response.status).into()),
        ("headers", headers(&response.headers)),
        ("body", String::from_utf8_lossy(&response.body).as_ref().into()),
        ("decision", decision(&response.decision)),
    ])
    .to_string()
}

/// The response goes on as it is.
pub(crate) fn pass() -> String {
    object([("kind", "pass".into())]).to_string()
}

/// The response goes on without these headers, and its body filtered.
pub(crate) fn filter(body: &FilteredBody) -> String {
    let names = body.remove();
    let remove: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    object([("kind", "filter".into()), ("remove", remove.into())]).to_string()
}

/// The record of what was refused of a response.
pub(crate) fn refused(refused: &Decision) -> String {
    decision(refused).to_string()
}

/// What is to be fetched.
pub(crate) fn fetches(fetches: &[Fetch]) -> String {
    let fetch = |fetch: &Fetch| {
        let mut members =
            vec![("id", fetch.id.as_u64().into()), ("url", fetch.url.as_str().into())];
        members.extend(fetch.form.as_ref().map(|form| {
            let authorization = ("authorization", form.authorization.as_str().into());
            ("form", object([authorization, ("body", form.body.as_str().into())]))
        }));
        object(members)
    };
    Value::Array(fetches.iter().map(fetch).collect()).to_string()
}

/// Pairs of a name and a value as byte string.
fn headers(headers: &[Header]) -> Value {
    let pair = |header: &Header| {
        Value::Array(vec![header.name().into(), latin1::text(header.value()).as_str().into()])
    };
    Value::Array(headers.iter().map(pair).collect())
}

fn identity(identity: &Identity) -> Value {
    let scope: Vec<&str> = identity.scope.iter().map(|scope| scope.as_str()).collect();
    object([
        ("issuer", identity.issuer.as_str().into()),
        ("subject", text(identity.subject.as_deref())),
        ("clientId", text(identity.client_id.as_deref())),
        ("scope", scope.into()),
        ("tokenId", text(identity.token_id.as_deref())),
        ("expiresAt", identity.expires_at.into()),
        ("claims", Value::Object(identity.claims.clone())),
    ])
}

fn decision(decision: &Decision) -> Value {
    object([
        ("verdict", decision.verdict.code().into()),
        ("reason", text(decision.reason.map(|reason| reason.code()))),
        ("resource", text(decision.resource.as_deref())),
        ("issuer", text(decision.issuer.as_deref())),
        ("clientId", text(decision.client_id.as_deref())),
        ("subject", text(decision.subject.as_deref())),
        ("operation", text(decision.operation.as_deref())),
        ("rule", text(decision.rule.as_deref())),
        ("detail", text(decision.detail.as_deref())),
        ("line", decision.to_string().as_str().into()),
    ])
}

fn text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Into::into)
}

fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
    Value::Object(members.collect::<Object>())
}
