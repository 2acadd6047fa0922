//! The answers that the guard gives by itself.

use alloc::{
    string::{String, ToString as _},
    vec,
    vec::Vec,
};

use super::{
    credentials::Scheme,
    decision::{Decision, Header, HeaderName, Response, Verdict},
    policy::{Dpop, ResourcePolicy},
    request::{RequestHead, Single},
};
use crate::{
    Reason,
    jose::{
        alg::Algorithm,
        json::{Number, Object, Value},
    },
    oauth::{
        challenge::Challenge,
        metadata::{ProtectedResource, protected_resource_url},
        resource::ResourceId,
        scope::ScopeSet,
    },
};

/// JSON-RPC: invalid JSON.
const PARSE_ERROR: i64 = -32700;
/// JSON-RPC: internal error.
const INTERNAL_ERROR: i64 = -32603;
/// JSON-RPC: not a valid request.
const INVALID_REQUEST: i64 = -32600;
/// MCP 2026-07-28: headers and message do not match.
const HEADER_MISMATCH: i64 = -32020;

/// What an answer to a refused request needs beside its reason.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Refusal<'a> {
    /// The resource, for its challenge.
    pub(super) resource: Option<&'a ResourcePolicy>,
    /// All scopes that the operation needs; the baseline when it is not known yet.
    pub(super) needed: Option<&'a ScopeSet>,
    /// How the token was sent.
    pub(super) scheme: Scheme,
    /// The message's `id`.
    pub(super) id: Option<&'a Value>,
    /// Seconds after which to try again.
    pub(super) retry_after: Option<u64>,
    /// RFC 9110 §9.3.2: the answer to HEAD has no body.
    pub(super) is_head: bool,
    /// The methods that are allowed instead, where they are not those of MCP.
    pub(super) allow: Option<&'static str>,
}

impl Refusal<'_> {
    pub(super) fn response(self, decision: Decision, reason: Reason, cors: &[Header]) -> Response {
        let mut headers = vec![
            Header::fixed("content-type", "application/json"),
            Header::fixed("cache-control", "no-store"),
        ];
        if let Some(resource) = self.resource
            && wants_challenge(reason)
        {
            let challenge = self.challenge(resource, reason);
            headers.push(Header::fixed("www-authenticate", challenge.as_str()));
        }
        if matches!(reason.status(), 429 | 503) {
            let seconds = self.retry_after.unwrap_or(1).max(1);
            headers.push(Header::fixed("retry-after", seconds.to_string()));
        }
        if reason == Reason::MethodNotAllowed {
            let allow = self.allow.unwrap_or("POST, GET, HEAD, DELETE");
            headers.push(Header::fixed("allow", allow));
        }
        headers.extend_from_slice(cors);
        let body =
            if self.is_head { Vec::new() } else { self.body(reason).to_string().into_bytes() };
        Response { status: reason.status(), headers, body, decision }
    }

    /// The challenges of the schemes that the resource takes; the error stands in that of the scheme
    /// that was tried (RFC 9449 §7.2). `Bearer` comes first, since there are clients that read no
    /// further.
    fn challenge(&self, resource: &ResourcePolicy, reason: Reason) -> Challenge {
        let bearer = || self.challenge_of(Scheme::Bearer, resource, reason);
        let dpop = || self.challenge_of(Scheme::Dpop, resource, reason);
        match resource.dpop {
            Dpop::Off => bearer(),
            Dpop::Require => dpop(),
            // Whoever is known needs no other scheme.
            Dpop::Accept if reason.status() != 401 && self.scheme == Scheme::Bearer => bearer(),
            Dpop::Accept if reason.status() != 401 => dpop(),
            Dpop::Accept => bearer().and(&dpop()),
        }
    }

    fn challenge_of(&self, scheme: Scheme, resource: &ResourcePolicy, reason: Reason) -> Challenge {
        let metadata = protected_resource_url(&resource.audience.resource);
        let mut challenge = match scheme {
            Scheme::Bearer => Challenge::bearer(&metadata),
            Scheme::Dpop => Challenge::dpop(&metadata),
        };
        if let Some(error) = reason.challenge_error()
            && (scheme == self.scheme || resource.dpop != Dpop::Accept)
        {
            challenge = challenge.with_error(error, reason.wire_text());
        }
        if reason != Reason::OperationDenied {
            let needed = self.needed.unwrap_or_else(|| resource.scopes.baseline());
            challenge = challenge.with_scope(needed);
        }
        match scheme {
            Scheme::Bearer => challenge,
            Scheme::Dpop => challenge.with_algorithms(&Algorithm::ASYMMETRIC),
        }
    }

    pub(super) fn body(&self, reason: Reason) -> Value {
        let mut body = Object::new();
        if let Some(code) = json_rpc_code(reason) {
            let mut error = Object::new();
            error.insert("code".into(), Value::Number(Number::Negative(code)));
            error.insert("message".into(), reason.wire_text().into());
            body.insert("jsonrpc".into(), "2.0".into());
            body.insert("id".into(), self.id.cloned().unwrap_or(Value::Null));
            body.insert("error".into(), Value::Object(error));
        } else {
            if let Some(error) = reason.challenge_error() {
                body.insert("error".into(), error.code().into());
            }
            body.insert("error_description".into(), reason.wire_text().into());
        }
        Value::Object(body)
    }
}

/// 401 always has one (RFC 9110 §15.5.2); so have all refusals that better credentials could mend.
fn wants_challenge(reason: Reason) -> bool {
    reason.status() == 401
        || reason.challenge_error().is_some()
        || reason == Reason::OperationDenied
}

const fn json_rpc_code(reason: Reason) -> Option<i64> {
    match reason {
        Reason::BatchUnsupported | Reason::MessageExcessive | Reason::UriAmbiguous => {
            Some(INVALID_REQUEST)
        }
        Reason::HeaderMismatch => Some(HEADER_MISMATCH),
        Reason::ListUnreadable => Some(INTERNAL_ERROR),
        Reason::MessageMalformed => Some(PARSE_ERROR),
        _ => None,
    }
}

/// The metadata document of a resource, open to everybody (RFC 9728 §3).
pub(super) fn metadata(
    resource: &ResourcePolicy,
    issuers: &[&str],
    head: &RequestHead<'_>,
) -> Response {
    let mut decision = Decision::new(Verdict::Metadata, None);
    decision.resource = Some(resource.audience.resource.to_string());
    let cors = [
        Header::fixed("access-control-allow-origin", "*"),
        Header::fixed("access-control-allow-methods", "GET, HEAD, OPTIONS"),
        Header::fixed("access-control-allow-headers", "MCP-Protocol-Version"),
    ];
    let (status, body) = match head.method {
        b"OPTIONS" => (204, Vec::new()),
        b"GET" | b"HEAD" => {
            let document = ProtectedResource {
                resource: &resource.audience.resource,
                authorization_servers: issuers,
                scopes_supported: resource.scopes.baseline(),
                name: resource.name.as_deref(),
                documentation: resource.documentation.as_deref(),
                dpop_algorithms: if resource.dpop == Dpop::Off {
                    &[]
                } else {
                    &Algorithm::ASYMMETRIC
                },
                dpop_required: resource.dpop == Dpop::Require,
            };
            (200, document.document().into_bytes())
        }
        _ => {
            decision.verdict = Verdict::Deny;
            decision.reason = Some(Reason::MethodNotAllowed);
            let refusal = Refusal { allow: Some("GET, HEAD, OPTIONS"), ..Refusal::default() };
            return refusal.response(decision, Reason::MethodNotAllowed, &cors);
        }
    };
    let mut headers = Vec::from(cors);
    if status == 200 {
        headers.push(Header::fixed("content-type", "application/json"));
        headers.push(Header::fixed("cache-control", "public, max-age=300"));
    }
    let body = if head.method == b"HEAD" { Vec::new() } else { body };
    Response { status, headers, body, decision }
}

/// What a browser page's origin means for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// No page, or one of an allowed origin: with these headers on every answer.
    Allowed(Vec<Header>),
    Forbidden,
}

/// MCP, Streamable HTTP, security warning: a present and unknown `Origin` is refused. A resource's
/// own origin is always known.
pub(super) fn origin(resource: &ResourcePolicy, head: &RequestHead<'_>) -> Origin {
    let text = match head.single("origin") {
        Single::Absent => return Origin::Allowed(Vec::new()),
        Single::Repeated => return Origin::Forbidden,
        Single::Value(value) => match core::str::from_utf8(value) {
            Ok(text) => text,
            Err(_) => return Origin::Forbidden,
        },
    };
    let (scheme, authority, _) = resource.audience.resource.parts();
    let own = alloc::format!("{scheme}://{authority}");
    let is_same = |known: &str| ResourceId::parse(known).is_ok_and(|known| known.matches(text));
    let is_known = |known: &String| known == "*" || is_same(known);
    if !is_same(&own) && !resource.origins.iter().any(is_known) {
        return Origin::Forbidden;
    }
    let exposed = match resource.dpop_nonce {
        None => "WWW-Authenticate, Mcp-Session-Id",
        Some(_) => "WWW-Authenticate, Mcp-Session-Id, DPoP-Nonce",
    };
    Origin::Allowed(vec![
        Header::fixed("access-control-allow-origin", text),
        Header::fixed("vary", "Origin"),
        Header::fixed("access-control-expose-headers", exposed),
    ])
}

/// The answer to a CORS preflight, which never carries credentials.
pub(super) fn preflight(
    resource: &ResourcePolicy,
    head: &RequestHead<'_>,
    cors: &[Header],
) -> Response {
    let mut decision = Decision::new(Verdict::Preflight, None);
    decision.resource = Some(resource.audience.resource.to_string());
    let mut headers = Vec::from(cors);
    headers.push(Header::fixed("access-control-allow-methods", "POST, GET, DELETE"));
    let mut allowed = String::from(
        "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, \
         Mcp-Session-Id, Last-Event-ID",
    );
    if resource.dpop != Dpop::Off {
        allowed.push_str(", DPoP");
    }
    // MCP 2026-07-28 mirrors parameters under names that the server chooses.
    for name in asked_headers(head).filter(|name| name.starts_with("mcp-param-")) {
        allowed.push_str(", ");
        allowed.push_str(name.as_str());
    }
    headers.push(Header::fixed("access-control-allow-headers", allowed));
    headers.push(Header::fixed("access-control-max-age", "600"));
    Response { status: 204, headers, body: Vec::new(), decision }
}

/// The header names that a preflight asks for, as far as they are names.
fn asked_headers<'a>(head: &'a RequestHead<'a>) -> impl Iterator<Item = String> + 'a {
    head.values("access-control-request-headers")
        .filter_map(|value| core::str::from_utf8(value).ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::parse(name.trim()).ok())
        .map(|name| name.as_str().to_string())
}
