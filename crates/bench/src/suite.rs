//! The parts of the hot path, each by itself, over inputs that are made once.

use core::hint::black_box;

use countersign_core::{
    guard::{Answer, Engine, Policy, RequestHead, Step},
    jose::jwks::JwkSet,
    mcp::message::Message,
};

/// The second at which everything happens.
pub const NOW: u64 = 1_800_000_000;

/// What is measured. The first four are requests, from the head to the decision.
pub const NAMES: [&str; 11] = [
    "cold-unverified",
    "cold-es256",
    "cold-rs256",
    "cold-eddsa",
    "cached",
    "cached-2k",
    "decision-2k",
    "scan-text",
    "scan-members",
    "scan-2k",
    "jwks",
];

/// What the suite works on, as text: it is made natively and carried into wasm.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// A policy whose decisions do not depend on the operation.
    pub policy: String,
    /// One with rules for tools.
    pub rules: String,
    /// A key set of four keys.
    pub jwks: String,
    /// Tokens by ES256, RS256 and EdDSA.
    pub tokens: Vec<String>,
}

/// The parts, ready to run.
#[derive(Debug)]
pub struct Suite {
    /// Remembers no token.
    cold: Engine,
    cached: Engine,
    rules: Engine,
    credentials: Vec<String>,
    jwks: String,
    small: Vec<u8>,
    text: Vec<u8>,
    members: Vec<u8>,
}

impl Suite {
    /// Reads the inputs.
    ///
    /// # Panics
    /// When they are not in order: then nothing can be measured.
    #[must_use]
    pub fn new(inputs: Inputs) -> Self {
        let read = |text: &str| Policy::parse(text.as_bytes()).expect("a valid policy");
        let mut cold = read(&inputs.policy);
        cold.limits.cached_tokens = 0;
        Self {
            cold: Engine::new(cold),
            cached: Engine::new(read(&inputs.policy)),
            rules: Engine::new(read(&inputs.rules)),
            credentials: inputs.tokens.iter().map(|token| format!("Bearer {token}")).collect(),
            jwks: inputs.jwks,
            small: message_of(2048, argument),
            text: message_of(1 << 20, paragraph),
            members: message_of(1 << 20, argument),
        }
    }

    /// How long the bodies are, in bytes.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<usize> {
        match name {
            "scan-text" => Some(self.text.len()),
            "scan-members" => Some(self.members.len()),
            "scan-2k" => Some(self.small.len()),
            _ => None,
        }
    }

    /// The bodies, for peers.
    #[must_use]
    pub fn body(&self, name: &str) -> &[u8] {
        match name {
            "scan-text" => &self.text,
            "scan-members" => &self.members,
            _ => &self.small,
        }
    }

    /// Does one thing so many times.
    ///
    /// # Panics
    /// When a request comes out differently than it must, or there is no such thing.
    pub fn run(&mut self, name: &str, times: u32) {
        for _ in 0..times {
            match name {
                "cold-unverified" => request(&mut self.cold, &self.credentials[0], None, false),
                "cold-es256" => request(&mut self.cold, &self.credentials[0], None, true),
                "cold-rs256" => request(&mut self.cold, &self.credentials[1], None, true),
                "cold-eddsa" => request(&mut self.cold, &self.credentials[2], None, true),
                "cached" => request(&mut self.cached, &self.credentials[0], None, true),
                "cached-2k" => {
                    request(&mut self.rules, &self.credentials[0], Some(&self.small), true);
                }
                "decision-2k" => decide(self.rules.policy(), &self.small),
                "scan-text" => drop(black_box(Message::parse(black_box(&self.text)))),
                "scan-members" => drop(black_box(Message::parse(black_box(&self.members)))),
                "scan-2k" => drop(black_box(Message::parse(black_box(&self.small)))),
                "jwks" => {
                    let set = JwkSet::parse(black_box(self.jwks.as_bytes()), 64);
                    assert_eq!(set.expect("a key set").keys().len(), 4);
                }
                other => panic!("nothing is called {other}"),
            }
        }
    }
}

/// A whole request by a client that is let through.
fn request(engine: &mut Engine, credentials: &str, body: Option<&[u8]>, verify: bool) {
    let headers: [(&[u8], &[u8]); 5] = [
        (b"content-type", b"application/json"),
        (b"accept", b"application/json, text/event-stream"),
        (b"user-agent", b"bench/1.0"),
        (b"mcp-protocol-version", b"2025-11-25"),
        (b"authorization", credentials.as_bytes()),
    ];
    let head = RequestHead {
        method: b"POST",
        authority: b"mcp.example.com",
        path: b"/mcp",
        headers: &headers,
        has_body: true,
        client: None,
        certificate: None,
    };
    let mut step = engine.begin(black_box(head), NOW);
    loop {
        step = match step {
            Step::NeedSignature(pending) => {
                let good = !verify || engine.verify(&pending);
                engine.resume(pending, Answer::Signature(good), NOW)
            }
            Step::NeedBody(pending) => {
                engine.resume(pending, Answer::Body(body.unwrap_or_default()), NOW)
            }
            Step::Forward(forward) => {
                black_box(forward);
                return;
            }
            other => panic!("not let through: {other:?}"),
        };
    }
}

/// From a body to the scopes that it needs: the scan, the rule, and what is missing.
fn decide(policy: &Policy, body: &[u8]) {
    let message = Message::parse(black_box(body)).expect("a message");
    let scopes = &policy.resources[0].scopes;
    let needed = scopes.needed(&message.operation).expect("a rule").needed;
    assert!(black_box(scopes.missing(&needed, &needed)).is_empty());
}

/// A call of a tool whose arguments fill it up to about this length.
fn message_of(length: usize, part: fn(usize) -> String) -> Vec<u8> {
    let mut text = String::from(
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"search_files","arguments":{"#,
    );
    let mut number = 0;
    while text.len() + 200 < length {
        text.push_str(&part(number));
        text.push(',');
        number += 1;
    }
    text.push_str(r#""last":null}}}"#);
    text.into_bytes()
}

/// Arguments as tools have them: short members of every kind.
fn argument(number: usize) -> String {
    format!(
        r#""item{number}":{{"path":"/home/ada/notes/{number}.md","line":{number},"exact":true,"tags":["a","b"]}}"#
    )
}

/// Text, as a tool that writes files gets it.
fn paragraph(number: usize) -> String {
    let words = "the quick brown fox jumps over the lazy dog, and so on; ".repeat(40);
    format!(r#""part{number}":"{words}\n\"quoted\" \u00e9 ü""#)
}
