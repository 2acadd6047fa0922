//! A whole request through the engine: how the input is read, how a host carries it out, and what an
//! allowed request must be able to show.
//!
//! The input is text like HTTP/1.1, so that a corpus can be read and edited: a line with the policy's
//! name and the time, a line with method, authority and path, the headers, and, after an empty line,
//! the body. The policies and the answers to fetches are those of the shared vectors.

use std::collections::{BTreeMap, BTreeSet};

use countersign_core::guard::{
    Answer, Engine, Forward, Pending, Policy, RequestHead, Response, Step, Verdict,
};
use serde_json::Value;

use crate::model;

pub(crate) const VECTORS: &[u8] = include_bytes!("../../tests/vectors/guard.json");

/// The policies and fetches of the shared vectors.
pub struct World {
    policies: BTreeMap<String, (Value, Policy)>,
    fetches: BTreeMap<String, (u16, Vec<u8>)>,
}

/// A request, as the input says.
pub struct Request<'a> {
    policy: &'a str,
    now: u64,
    method: &'a [u8],
    authority: &'a [u8],
    path: &'a [u8],
    headers: Vec<(&'a [u8], &'a [u8])>,
    body: Option<&'a [u8]>,
}

/// How it came out.
pub enum Outcome {
    Forward(Forward),
    Respond(Response),
}

impl Outcome {
    pub fn decision(&self) -> &countersign_core::guard::Decision {
        match self {
            Self::Forward(forward) => &forward.decision,
            Self::Respond(response) => &response.decision,
        }
    }
}

impl<'a> Request<'a> {
    /// Reads the input; `None` when it has no first two lines.
    pub fn read(data: &'a [u8]) -> Option<Self> {
        let mut lines = Lines(data);
        let mut first = core::str::from_utf8(lines.next()?).ok()?.split(' ');
        let (policy, now) = (first.next()?, first.next()?.parse().ok()?);
        let mut target = lines.next()?.splitn(3, |byte| *byte == b' ');
        let (method, authority, path) = (target.next()?, target.next()?, target.next()?);
        let mut headers = Vec::new();
        let mut body = None;
        while let Some(line) = lines.next() {
            if line.is_empty() {
                body = Some(lines.0);
                break;
            }
            let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let (name, value) = line.split_at(colon);
            headers.push((name, value.get(1..).unwrap_or_default().trim_ascii_start()));
        }
        Some(Self { policy, now, method, authority, path, headers, body })
    }

    /// Whether it carries a proof, which is good once only.
    pub fn has_proof(&self) -> bool {
        self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"dpop"))
    }

    /// The values of a header.
    pub fn values(&self, wanted: &str) -> Vec<&'a [u8]> {
        let is_it = |(name, _): &&(&[u8], &[u8])| name.eq_ignore_ascii_case(wanted.as_bytes());
        self.headers.iter().filter(is_it).map(|(_, value)| *value).collect()
    }

    /// Whether a text stands somewhere but in `Authorization`.
    pub fn has_elsewhere(&self, text: &str) -> bool {
        let others = self.headers.iter().filter(|(name, _)| *name != b"authorization");
        let parts = others.flat_map(|(name, value)| [*name, *value]);
        let parts = parts.chain([self.method, self.authority, self.path]).chain(self.body);
        parts.map(String::from_utf8_lossy).any(|part| part.contains(text))
    }

    fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: self.method,
            authority: self.authority,
            path: self.path,
            headers: &self.headers,
            has_body: self.body.is_some(),
            client: Some([192, 0, 2, 1].into()),
            certificate: None,
        }
    }
}

struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.iter().position(|byte| *byte == b'\n').unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        Some(line)
    }
}

impl World {
    pub fn load() -> Self {
        let vectors: Value = serde_json::from_slice(VECTORS).expect("vectors");
        let read = |(name, document): (&String, &Value)| {
            let policy = Policy::parse(document.to_string().as_bytes()).expect("a valid policy");
            (name.clone(), (document.clone(), policy))
        };
        let answer = |(url, answer): (&String, &Value)| {
            let status = answer["status"].as_u64().expect("a status") as u16;
            (url.clone(), (status, answer["body"].as_str().expect("a body").as_bytes().to_vec()))
        };
        Self {
            policies: vectors["policies"].as_object().expect("policies").iter().map(read).collect(),
            fetches: vectors["fetches"].as_object().expect("fetches").iter().map(answer).collect(),
        }
    }

    /// An engine for the request's policy.
    pub fn engine(&self, request: &Request<'_>) -> Option<Engine> {
        self.policies.get(request.policy).map(|(_, policy)| Engine::new(policy.clone()))
    }

    /// The same, with a trace.
    pub fn explaining(&self, request: &Request<'_>) -> Option<Engine> {
        self.policies.get(request.policy).map(|(_, policy)| Engine::explaining(policy.clone()))
    }

    /// Takes a request to its end, its body in parts of this many bytes; 0 for all at once.
    pub fn run(&self, engine: &mut Engine, request: &Request<'_>, parts: usize) -> Outcome {
        let now = request.now;
        let mut step = engine.begin(request.head(), now);
        for _ in 0..20 {
            step = match step {
                Step::Forward(forward) => return Outcome::Forward(forward),
                Step::Respond(response) => return Outcome::Respond(response),
                Step::NeedSignature(pending) => {
                    let verified = engine.verify(&pending);
                    engine.resume(pending, Answer::Signature(verified), now)
                }
                Step::NeedBody(pending) => send(engine, pending, request, parts),
                Step::NeedIntrospection(pending)
                | Step::NeedKeys(pending)
                | Step::NeedStatus(pending) => {
                    self.fetch(engine, now);
                    engine.resume(pending, Answer::Fetched, now)
                }
            };
        }
        panic!("the engine does not come to an end");
    }

    fn fetch(&self, engine: &mut Engine, now: u64) {
        for _ in 0..10 {
            let due = engine.due(now);
            if due.is_empty() {
                return;
            }
            for fetch in due {
                let answer = self.fetches.get(&fetch.url);
                let answer = answer.map(|(status, body)| (*status, &body[..]));
                let _ = engine.fetched(fetch.id, answer, now);
            }
        }
    }

    /// What must hold of every outcome.
    pub fn check(&self, request: &Request<'_>, outcome: &Outcome) {
        let decision = outcome.decision();
        let line = decision.to_string();
        assert!(!line.contains(|c: char| c.is_control()), "one line of text: {line:?}");
        match outcome {
            Outcome::Respond(response) => {
                assert!(matches!(response.status, 200 | 204 | 400..=499 | 503), "{line}");
                let is_error = response.status >= 400;
                assert_eq!(decision.verdict == Verdict::Deny, is_error, "{line}");
                assert_eq!(decision.reason.is_some(), is_error, "{line}");
                check_headers(response.headers.iter());
                if request.method == b"HEAD" {
                    assert!(response.body.is_empty());
                }
            }
            Outcome::Forward(forward) => {
                check_headers(forward.set.iter());
                check_headers(forward.response_headers.iter());
                let (document, policy) = &self.policies[request.policy];
                let resource = decision.resource.as_deref().expect("a resource");
                let listed = document["resources"].as_array().expect("resources").iter();
                let resource = listed
                    .clone()
                    .find(|listed| listed["resource"] == *resource)
                    .expect("a resource of the policy");
                match decision.verdict {
                    Verdict::Allow => allowed(request, forward, document, resource, policy.leeway),
                    Verdict::Public => {
                        let path = core::str::from_utf8(request.path).expect("text");
                        let path = path.split('?').next().unwrap_or_default();
                        let public = model::texts(&resource["public_paths"]);
                        assert!(public.iter().any(|public| public == path.trim_end_matches('/')));
                        assert!(forward.identity.is_none() && forward.set.is_empty());
                    }
                    Verdict::Shadow => {
                        assert_eq!(resource["mode"], "shadow");
                        assert!(forward.identity.is_none() && forward.set.is_empty());
                    }
                    other => panic!("forwarded with {other:?}"),
                }
            }
        }
    }
}

fn send(engine: &mut Engine, mut pending: Pending, request: &Request<'_>, parts: usize) -> Step {
    let body = request.body.unwrap_or_default();
    let (body, rest) = if parts == 0 { (&[][..], body) } else { (body, &[][..]) };
    for part in body.chunks(parts.max(1)) {
        match engine.resume(pending, Answer::BodyPart(part), request.now) {
            Step::NeedBody(next) => pending = next,
            other => return other,
        }
    }
    engine.resume(pending, Answer::Body(rest), request.now)
}

fn check_headers<'a>(headers: impl Iterator<Item = &'a countersign_core::guard::Header>) {
    for header in headers {
        assert!(!header.value().contains(|c: char| c.is_control()), "{header:?}");
        assert!(header.name().bytes().all(|b| b.is_ascii_graphic() && b != b':'), "{header:?}");
    }
}

/// An allowed request has one token, which says by itself, to a reader that knows nothing of the
/// engine, that it may do this.
fn allowed(
    request: &Request<'_>,
    forward: &Forward,
    policy: &Value,
    resource: &Value,
    leeway: u64,
) {
    let credentials = request.values("authorization");
    assert_eq!(credentials.len(), 1, "one Authorization header");
    let credentials = core::str::from_utf8(credentials[0]).expect("text").trim();
    let (_, token) = credentials.split_once(' ').expect("a scheme and a token");
    let (header, payload) = model::jws(token.trim()).expect("a token");
    let claims: Value = serde_json::from_slice(&payload).expect("claims");
    assert_ne!(header["alg"], "none");
    let issuer = &claims["iss"];
    let mut issuers = policy["issuers"].as_array().expect("issuers").iter();
    assert!(issuers.any(|listed| listed["issuer"] == *issuer), "{issuer}");
    if let Some(accepted) = resource.get("issuers").and_then(Value::as_array) {
        assert!(accepted.contains(issuer), "{issuer}");
    }
    let mut names = model::texts(&resource["accept_audiences"]);
    names.extend(model::texts(&resource["resource"]));
    let is_ours = |audience: &String| {
        names.iter().any(|name| {
            name == audience
                || (model::canonical(name).is_some()
                    && model::canonical(name) == model::canonical(audience))
        })
    };
    assert!(model::texts(&claims["aud"]).iter().any(is_ours), "{}", claims["aud"]);
    let now = request.now as f64;
    let leeway = leeway as f64 + 1.0;
    assert!(claims["exp"].as_f64().expect("exp") + leeway > now);
    for name in ["nbf", "iat"] {
        assert!(claims[name].as_f64().is_none_or(|date| date <= now + leeway), "{name}");
    }
    let granted: BTreeSet<String> = match &claims["scope"] {
        Value::String(text) => text.split(' ').map(str::to_owned).collect(),
        other => model::texts(other).into_iter().collect(),
    };
    let scopes = &resource["scopes"];
    let granted = model::granted(&granted, &scopes["implies"]);
    let covers = |needed: &Value| model::texts(needed).iter().all(|scope| granted.contains(scope));
    assert!(covers(&scopes["baseline"]), "{granted:?}");
    if request.method == b"POST" {
        operation(request.body.unwrap_or_default(), scopes, &covers);
    }
    let identity = forward.identity.as_ref().expect("an identity");
    assert_eq!(*issuer, *identity.issuer);
    let removed = |name: &str| forward.remove.iter().any(|removed| removed.as_str() == name);
    assert_eq!(removed("authorization"), resource["forward"]["token"] != "keep");
    // Those of all resources, whichever this one is.
    let listed = policy["resources"].as_array().expect("resources").iter();
    let ours: Vec<String> = listed
        .flat_map(|listed| match &listed["forward"]["headers"] {
            Value::Object(headers) => headers.keys().cloned().collect(),
            _ => ["x-mcp-subject", "x-mcp-client", "x-mcp-scope"].map(str::to_owned).to_vec(),
        })
        .collect();
    for (name, _) in &request.headers {
        let Ok(name) = core::str::from_utf8(name) else { continue };
        let name = name.to_ascii_lowercase();
        if ours.iter().any(|ours| ours.replace('_', "-") == name.replace('_', "-")) {
            assert!(removed(&name), "{name} of the client");
        }
    }
}

/// The rule that a lax reader of the body would find, where there is one for tools.
fn operation(body: &[u8], scopes: &Value, covers: &impl Fn(&Value) -> bool) {
    let Some(rules) = scopes["tools"].as_object() else { return };
    let message: Value = serde_json::from_slice(body).expect("a body that was read is JSON");
    if message["method"] != "tools/call" {
        return;
    }
    let tool = message["params"]["name"].as_str().expect("a tool");
    let prefix = |(pattern, scopes): (&String, &Value)| {
        let prefix = pattern.strip_suffix('*')?;
        tool.starts_with(prefix).then(|| (prefix.len(), scopes.clone()))
    };
    let longest = || rules.iter().filter_map(prefix).max_by_key(|(length, _)| *length);
    match rules.get(tool).cloned().or_else(|| longest().map(|(_, scopes)| scopes)) {
        Some(needed) => assert!(covers(&needed), "{tool} needs {needed}"),
        None => assert!(scopes["unlisted"] != "deny" || scopes.get("methods").is_some()),
    }
}
