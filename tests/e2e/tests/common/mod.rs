//! What tests with faults around a real Envoy share: one whose issuer answers what the test says.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses some of it"
)]

use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use countersign_e2e::http::{Message, Request, get, read_message};
use countersign_e2e::{Answer, Envoy, EnvoyConfig, Outcome, Places, Scratch, Stub, free_ports};
use countersign_testkit::{keys::TestKey, token::Token};
use serde_json::{Value, json};

pub const ISSUER: &str = "https://auth.example.com";
pub const RESOURCE: &str = "https://mcp.example.com/mcp";
pub const HOST: &str = "mcp.example.com";

/// What an Envoy is started with, before it is.
pub struct Setup {
    upstream: Stub,
    issuer: Stub,
    scratch: Scratch,
    config: EnvoyConfig,
}

impl Setup {
    /// An Envoy that holds headers back, an upstream that answers `{}`, and an issuer whose key set is
    /// what `keys` says.
    pub fn new(keys: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        Self::with(Stub::upstream().unwrap(), policy(true), true, move |_| keys())
    }

    /// The same before this upstream, with this policy, and an issuer that answers each request.
    pub fn with(
        upstream: Stub,
        policy: Value,
        hold: bool,
        issuer: impl Fn(&Message) -> Answer + Send + Sync + 'static,
    ) -> Self {
        // A port of this program's own: an issuer that ends finds it free when it comes again.
        let [port, own] = free_ports().unwrap();
        let issuer = Stub::start_at(own, issuer).unwrap();
        let places = Places::of_checkout();
        let (policy, clusters) = (policy.to_string(), [("auth", issuer.port())]);
        let config = EnvoyConfig::new(&places, port, &policy, hold, upstream.port(), &clusters);
        Self { upstream, issuer, scratch: Scratch::new().unwrap(), config }
    }

    pub fn config(self, change: impl FnOnce(EnvoyConfig) -> EnvoyConfig) -> Self {
        Self { config: change(self.config), ..self }
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// Asks Envoy whether it would take the configuration.
    pub fn validate(&self) -> Outcome<()> {
        self.config.validate(&Places::of_checkout(), self.scratch.path())
    }

    pub fn start(self) -> Front {
        self.try_start().unwrap()
    }

    pub fn try_start(self) -> Outcome<Front> {
        let Self { upstream, issuer, scratch, config } = self;
        let envoy = Envoy::start(&Places::of_checkout(), &config, scratch.path())?;
        Ok(Front { envoy, upstream, issuer, scratch })
    }
}

/// An Envoy whose issuer answers what the test says.
pub struct Front {
    pub envoy: Envoy,
    pub upstream: Stub,
    pub issuer: Stub,
    pub scratch: Scratch,
}

/// A policy with a rule for two tools.
pub fn policy(hold: bool) -> Value {
    json!({
        "issuers": [{ "issuer": ISSUER, "jwks_uri": "https://auth.example.com/keys",
                      "cluster": "auth", "max_lifetime": 3_155_760_000_u64,
                      "jwks_cache": { "cooldown": 2 } }],
        "resources": [{ "resource": RESOURCE, "dpop": "accept", "scopes": {
            "baseline": ["mcp:use"], "tools": { "read_file": ["files:read"], "write_file": ["files:write"] },
        } }],
        "hold_headers": hold,
    })
}

impl Front {
    pub fn start(hold: bool, keys: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        Self::before(Stub::upstream().unwrap(), hold, keys)
    }

    pub fn before(
        upstream: Stub,
        hold: bool,
        keys: impl Fn() -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::with_holds(upstream, hold, hold, keys)
    }

    /// What the policy says of holding headers back, and what Envoy does, may differ.
    pub fn with_holds(
        upstream: Stub,
        hold: bool,
        envoy_holds: bool,
        keys: impl Fn() -> Answer + Send + Sync + 'static,
    ) -> Self {
        Setup::with(upstream, policy(hold), envoy_holds, move |_| keys()).start()
    }

    pub fn send(&self, request: &Request) -> Message {
        request.send(self.envoy.port()).unwrap()
    }

    /// Whole requests that reached the server.
    pub fn seen(&self) -> usize {
        let whole = |request: &Message| {
            let length = request.headers.get("content-length").and_then(|text| text.parse().ok());
            length.is_none_or(|length: usize| length == request.body.len())
        };
        self.upstream.take().iter().filter(|request| whole(request)).count()
    }

    /// Asks until the status comes, at most a minute.
    pub fn until(&self, status: u16, request: &Request) -> bool {
        comes(|| self.send(request).status() == status)
    }

    /// The statuses of eight requests, on connections that are all open until the last is answered: each
    /// worker has as many of them.
    pub fn at_once(&self, request: impl Fn(usize) -> Request) -> [u16; 8] {
        let mut streams = [(); 8].map(|()| {
            let stream = TcpStream::connect(("127.0.0.1", self.envoy.port())).unwrap();
            stream.set_read_timeout(Some(2 * PATIENCE)).unwrap();
            stream
        });
        for (number, stream) in streams.iter_mut().enumerate() {
            stream.write_all(&request(number).to_bytes()).unwrap();
        }
        let answer = |stream: &TcpStream| read_message(&mut BufReader::new(stream)).unwrap();
        streams.each_ref().map(|stream| answer(stream).unwrap().status())
    }

    /// Asks until this status comes from every worker, at most a minute.
    pub fn settles(&self, status: u16, request: impl Fn(usize) -> Request) -> bool {
        let mut count = 0;
        comes(|| {
            let statuses = self.at_once(|number| request(count + number));
            count += statuses.len();
            statuses == [status; 8]
        })
    }

    /// How many connections each of two workers has had.
    pub fn connections(&self) -> [u64; 2] {
        let listener = format!("listener.127.0.0.1_{}.worker", self.envoy.port());
        [0, 1].map(|worker| self.envoy.stat(&format!("{listener}_{worker}.downstream_cx_total")))
    }

    /// Held requests, and those of them that wait for keys, as the worker says that answers; for
    /// documents [`with_page`].
    pub fn held(&self) -> [u64; 2] {
        held_at(self.envoy.port())
    }
}

/// Nothing takes longer on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something holds, a minute at most.
pub fn comes(mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if start.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// A document with this policy, and a debug page for tests.
pub fn with_page(policy: Value) -> Value {
    json!({ "policy": policy, "filter": {
        "debug": { "path": "/countersign", "from": ["127.0.0.1"] } } })
}

/// [`Front::held`] of the Envoy at this port.
pub fn held_at(port: u16) -> [u64; 2] {
    let page = get(port, "/countersign").unwrap();
    let state: Value = serde_json::from_slice(&page.body).unwrap();
    ["held", "waiting_for_keys"].map(|name| state["requests"][name].as_u64().unwrap())
}

/// What an issuer waits for before it answers, so that a test can do something meanwhile. An Envoy gives a
/// fetch up after five of its seconds: give it a [`countersign_e2e::Clock`] that is slower.
#[derive(Clone, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    pub fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Until it is open, or nobody waits for this any more.
    pub fn pass(&self) {
        let start = Instant::now();
        while !self.0.load(Ordering::SeqCst) && start.elapsed() < 2 * PATIENCE {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

pub fn jwks(keys: &[(TestKey, &str)]) -> Answer {
    let keys: Vec<_> = keys.iter().map(|(key, kid)| key.jwk(kid)).collect();
    Answer::json(json!({ "keys": keys }).to_string())
}

pub fn good_keys() -> Answer {
    jwks(&[(TestKey::Es256(1), "es1")])
}

pub fn token() -> Token {
    Token::new(ISSUER, RESOURCE)
}

pub fn call(token: &str, tool: &str) -> Request {
    let body =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool } });
    post(token).body(body.to_string())
}

pub fn post(token: &str) -> Request {
    Request::new("POST", "/mcp", HOST)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
}
