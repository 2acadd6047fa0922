//! The shared vectors: `tests/vectors/guard.json`, which runs natively, in Envoy and in the npm
//! package. The three must agree.
//!
//! Envoy runs on the machine's clock, so every token gives the same verdict from 2026 to 2099.

mod algorithms;
mod credentials;
mod dpop;
mod introspection;
mod keys;
mod lists;
mod message_forms;
mod operations;
mod policies;
mod presets;
mod resources;
mod routing;
mod sessions;
mod status;
mod token_forms;
mod tokens;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::token::Token;

/// The time for runners whose clock can be set: 2026-02-01.
pub const NOW: u64 = 1_769_904_000;

/// The whole file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Vectors {
    /// What this is.
    pub comment: String,
    /// The time for runners whose clock can be set.
    pub now: u64,
    /// Policy documents by name.
    pub policies: BTreeMap<String, Value>,
    /// What fetches are answered with, by URL; a form by its URL, `?` and its body.
    pub fetches: BTreeMap<String, Answer>,
    /// The cases.
    pub cases: Vec<Case>,
}

/// An answer to a fetch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// One request, and what must become of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// A unique name.
    pub name: String,
    /// Where it is written.
    pub clause: String,
    /// The policy's name.
    pub policy: String,
    /// The request.
    pub request: Request,
    /// What must become of it.
    pub expect: Expect,
    /// What the server answers when the request is forwarded; null for any answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<ServerResponse>,
    /// Whether Envoy itself may refuse the request before any filter sees it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub envoy_may_refuse: bool,
    /// Whether the request is good once only, at `now`: for runners whose clock can be set.
    #[serde(default, skip_serializing_if = "is_false")]
    pub once: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A request. Header values are byte strings: each character is one byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// The host.
    pub authority: String,
    /// The request target.
    pub path: String,
    /// Names and values in order.
    pub headers: Vec<(String, String)>,
    /// The body as byte string, if there is one.
    pub body: Option<String>,
}

/// A server's response.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerResponse {
    /// The HTTP status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// What the client must get of it.
    pub expect: Answered,
}

/// What a client must get of a server's response.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// The body, byte for byte; null where `json` says what counts of it.
    pub body: Option<String>,
    /// The JSON-RPC error without its text, where the response is refused as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// The reason code in the log, where something is refused.
    pub reason: Option<String>,
    /// Headers that must be gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
}

/// What must become of a request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Expect {
    /// `allow`, `deny`, `metadata`, `preflight`, `public` or `shadow`.
    pub verdict: String,
    /// The HTTP status; null when the request is forwarded.
    pub status: Option<u16>,
    /// The reason code, where something is, or would be, refused.
    pub reason: Option<String>,
    /// The exact `WWW-Authenticate`; null when there is none.
    pub challenge: Option<String>,
    /// The response body, as far as it is given here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Value>,
    /// Response headers that must be there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The headers that the guard sets on a forwarded request: byte strings, these and no others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// Headers that must not reach the server as the client sent them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
}

/// Everything, made anew.
#[must_use]
pub fn make() -> Vectors {
    let mut cases = Vec::new();
    cases.extend(credentials::cases());
    cases.extend(tokens::cases());
    cases.extend(token_forms::cases());
    cases.extend(operations::cases());
    cases.extend(message_forms::cases());
    cases.extend(resources::cases());
    cases.extend(routing::cases());
    cases.extend(keys::cases());
    cases.extend(algorithms::cases());
    cases.extend(status::cases());
    cases.extend(presets::cases());
    cases.extend(dpop::cases());
    cases.extend(lists::cases());
    cases.extend(introspection::cases());
    cases.extend(sessions::cases());
    Vectors {
        comment: "Made by `cargo run -p countersign-testkit --bin make-vectors`; see \
                  crates/testkit/src/vectors"
            .to_owned(),
        now: NOW,
        policies: policies::policies(),
        fetches: keys::fetches()
            .into_iter()
            .chain(status::fetches())
            .chain(introspection::fetches())
            .collect(),
        cases,
    }
}

/// The file as text.
///
/// # Panics
/// Never: all of it can be written as JSON.
#[must_use]
pub fn text() -> String {
    serde_json::to_string_pretty(&make()).expect("plain data") + "\n"
}

const ISSUER: &str = "https://auth.example.com";
const FILES: &str = "https://mcp.example.com/files/mcp";
const FILES_METADATA: &str =
    "https://mcp.example.com/.well-known/oauth-protected-resource/files/mcp";

/// A good token for the first resource.
fn token() -> Token {
    Token::new(ISSUER, FILES)
}

/// A JSON-RPC request.
fn message(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{params}}}"#)
}

impl Case {
    /// `POST /files/mcp` with `tools/list`: accepted with a good token.
    fn new(name: &str, clause: &str) -> Self {
        Self {
            name: name.to_owned(),
            clause: clause.to_owned(),
            policy: "main".to_owned(),
            request: Request {
                method: "POST".to_owned(),
                authority: "mcp.example.com".to_owned(),
                path: "/files/mcp".to_owned(),
                headers: vec![("content-type".to_owned(), "application/json".to_owned())],
                body: Some(message("tools/list", "{}")),
            },
            expect: Expect::default(),
            response: None,
            envoy_may_refuse: false,
            once: false,
        }
    }

    fn policy(mut self, name: &str) -> Self {
        name.clone_into(&mut self.policy);
        self
    }

    fn at(mut self, authority: &str, path: &str) -> Self {
        authority.clone_into(&mut self.request.authority);
        path.clone_into(&mut self.request.path);
        self
    }

    fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.request.method);
        if method != "POST" && method != "PUT" {
            self.request.body = None;
        }
        self
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.request.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces a header.
    fn instead(mut self, name: &str, value: &str) -> Self {
        self.request.headers.retain(|(found, _)| found != name);
        self.with(name, value)
    }

    fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    fn body(mut self, body: &str) -> Self {
        self.request.body = Some(body.to_owned());
        self
    }

    fn no_body(mut self) -> Self {
        self.request.body = None;
        self
    }

    const fn envoy_may_refuse(mut self) -> Self {
        self.envoy_may_refuse = true;
        self
    }

    const fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// Refused with this challenge.
    fn challenged(mut self, status: u16, reason: &str, challenge: &str) -> Self {
        self.expect.verdict = "deny".to_owned();
        self.expect.status = Some(status);
        self.expect.reason = Some(reason.to_owned());
        self.expect.challenge = Some(challenge.to_owned());
        self
    }

    /// Refused without a challenge.
    fn refused(mut self, status: u16, reason: &str) -> Self {
        self.expect.verdict = "deny".to_owned();
        self.expect.status = Some(status);
        self.expect.reason = Some(reason.to_owned());
        self
    }

    /// 401 with `invalid_token`: what all bad tokens have in common on the wire.
    fn invalid_token(self, reason: &str) -> Self {
        let challenge =
            challenge(FILES_METADATA, "invalid_token", "The access token is invalid", "mcp:use");
        self.challenged(401, reason, &challenge)
    }

    /// 403 with all scopes that the operation needs.
    fn needs(self, scope: &str) -> Self {
        let challenge = challenge(
            FILES_METADATA,
            "insufficient_scope",
            "The operation needs more scopes",
            scope,
        );
        self.challenged(403, "scope_insufficient", &challenge)
    }

    /// Refused with a JSON-RPC error.
    fn json_rpc(mut self, reason: &str, code: i64, id: Value) -> Self {
        self = self.refused(400, reason);
        self.expect.json =
            Some(serde_json::json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code } }));
        self
    }

    /// Forwarded with these headers.
    fn forwarded(mut self, verdict: &str, set: &[(&str, &str)]) -> Self {
        verdict.clone_into(&mut self.expect.verdict);
        self.expect.set =
            set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.expect.removed = vec!["authorization".to_owned()];
        self
    }

    /// Forwarded as the good token's caller.
    fn allowed(self) -> Self {
        self.allowed_with("mcp:use files:read")
    }

    /// The same with another scope.
    fn allowed_with(self, scope: &str) -> Self {
        self.forwarded(
            "allow",
            &[("x-mcp-subject", "user-1"), ("x-mcp-client", "client-1"), ("x-mcp-scope", scope)],
        )
    }

    /// One header more that is set on the forwarded request.
    fn sets(mut self, name: &str, value: &str) -> Self {
        self.expect.set.insert(name.to_owned(), value.to_owned());
        self
    }

    /// One header more that must not reach the server.
    fn removes(mut self, name: &str) -> Self {
        self.expect.removed.push(name.to_owned());
        self
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.expect.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    fn because(mut self, reason: &str) -> Self {
        self.expect.reason = Some(reason.to_owned());
        self
    }
}

/// A challenge with an error, as RFC 6750 §3 writes it.
fn challenge(metadata: &str, error: &str, description: &str, scope: &str) -> String {
    format!(
        r#"Bearer resource_metadata="{metadata}", error="{error}", error_description="{description}", scope="{scope}""#
    )
}

/// A challenge for a request without credentials.
fn bare_challenge(metadata: &str, scope: &str) -> String {
    format!(r#"Bearer resource_metadata="{metadata}", scope="{scope}""#)
}
