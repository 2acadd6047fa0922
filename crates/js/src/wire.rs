//! What the engine says, as JSON for the host.
//!
//! JSON, because claims are JSON already, and because `JSON.parse` gives a claim called `__proto__`
//! no meaning. The members are described in `js/src/wire.ts`.

use countersign_core::{
    guard::{Decision, Fetch, FilteredBody, Forward, Header, HeaderName, Identity, Response},
    jose::{base64url, json::Value},
};

use crate::{json::Json, latin1};

/// The request goes on, changed thus.
pub(crate) fn forward(forward: &Forward, identity: Option<&Identity>) -> String {
    Json::object(|json| {
        json.name("kind").text("forward");
        json.name("remove").array(&forward.remove, name);
        json.name("set").array(&forward.set, header);
        json.name("responseHeaders").array(&forward.response_headers, header);
        json.name("responseAppend").array(&forward.response_append, header);
        // The key that [`crate::engine::seal_session`] takes.
        let seal = forward.session_seal.as_ref().map(|seal| base64url::encode(seal.key()));
        json.name("session").optional(seal.as_deref());
        match identity {
            None => json.name("identity").optional(None),
            Some(identity) => {
                json.name("identity").members(|json| members_of_identity(json, identity));
            }
        }
        json.name("decision").members(|json| members_of_decision(json, &forward.decision));
    })
}

/// The claims alone.
pub(crate) fn claims(identity: &Identity) -> String {
    Json::object(|json| {
        for (name, value) in &identity.claims {
            json.name(name).value(value);
        }
    })
}

/// The request is answered thus.
pub(crate) fn respond(response: &Response) -> String {
    Json::object(|json| {
        json.name("kind").text("respond");
        json.name("status").unsigned(response.status.into());
        json.name("headers").array(&response.headers, header);
        json.name("body").text(&String::from_utf8_lossy(&response.body));
        json.name("decision").members(|json| members_of_decision(json, &response.decision));
    })
}

/// The response goes on as it is.
pub(crate) fn pass() -> String {
    Json::object(|json| json.name("kind").text("pass"))
}

/// The response goes on without these headers, and its body filtered.
pub(crate) fn filter(body: &FilteredBody) -> String {
    Json::object(|json| {
        json.name("kind").text("filter");
        json.name("remove").array(&body.remove(), name);
    })
}

/// The record of what was refused of a response.
pub(crate) fn refused(refused: &Decision) -> String {
    Json::object(|json| members_of_decision(json, refused))
}

/// What is to be fetched.
pub(crate) fn fetches(fetches: &[Fetch]) -> String {
    Json::array_of(fetches, |json, fetch| {
        json.members(|json| {
            json.name("id").unsigned(fetch.id.as_u64());
            json.name("url").text(&fetch.url);
            json.name("fresh").value(&Value::Bool(fetch.fresh));
            json.name("outdated").value(&Value::Bool(fetch.outdated));
            if let Some(form) = &fetch.form {
                json.name("form").members(|json| {
                    json.name("authorization").text(&form.authorization);
                    json.name("body").text(&form.body);
                });
            }
        });
    })
}

fn name(json: &mut Json, name: &HeaderName) {
    json.text(name.as_str());
}

/// A name, and a value as byte string.
fn header(json: &mut Json, header: &Header) {
    let value = header.value();
    let value = if value.is_ascii() { value.into() } else { latin1::text(value) };
    json.array([header.name(), &value], Json::text);
}

fn members_of_identity(json: &mut Json, identity: &Identity) {
    json.name("issuer").text(&identity.issuer);
    json.name("subject").optional(identity.subject.as_deref());
    json.name("clientId").optional(identity.client_id.as_deref());
    json.name("scope").array(identity.scope.iter(), |json, scope| json.text(scope.as_str()));
    json.name("tokenId").optional(identity.token_id.as_deref());
    json.name("expiresAt").unsigned(identity.expires_at);
    json.name("claims").claims(&identity.claims);
}

fn members_of_decision(json: &mut Json, decision: &Decision) {
    json.name("verdict").text(decision.verdict.code());
    json.name("reason").optional(decision.reason.map(|reason| reason.code()));
    json.name("resource").optional(decision.resource.as_deref());
    json.name("issuer").optional(decision.issuer.as_deref());
    json.name("clientId").optional(decision.client_id.as_deref());
    json.name("subject").optional(decision.subject.as_deref());
    json.name("operation").optional(decision.operation.as_deref());
    json.name("rule").optional(decision.rule.as_deref());
    json.name("detail").optional(decision.detail.as_deref());
    json.name("line").text(&decision.to_string());
    let trace = decision.trace.entries();
    if !trace.is_empty() {
        json.name("trace").array(trace, |json, entry| {
            json.members(|json| {
                json.name("check").text(entry.check);
                json.name("outcome").text(entry.outcome.code());
                json.name("text").text(&entry.text);
            });
        });
    }
}
