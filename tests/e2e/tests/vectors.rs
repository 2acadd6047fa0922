//! The shared vectors (`tests/vectors/guard.json`) through a real Envoy, with and without holding
//! the headers back. The file also runs natively (`crates/core/tests/vectors.rs`) and in the npm
//! package (`js/test/vectors.test.mjs`); the three must agree.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use countersign_e2e::http::{Message, Request};
use countersign_e2e::{Answer, Envoy, EnvoyConfig, Places, Scratch, Stub, free_ports};
use serde_json::Value;

#[test]
fn holding_headers() {
    run(true, RsaBy::Envoy);
}

#[test]
fn without_holding_headers() {
    run(false, RsaBy::Envoy);
}

/// The same verdicts where the filter may not call Envoy's own verifier.
#[test]
fn with_all_signatures_in_the_filter() {
    run(true, RsaBy::Filter);
}

/// Who verifies RS256, RS384 and RS512.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RsaBy {
    Envoy,
    Filter,
}

/// All policies in one Envoy, each at a port of its own.
fn run(hold: bool, rsa: RsaBy) {
    let places = Places::of_checkout();
    let path = places.path("tests/vectors/guard.json");
    let vectors: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let server = Server::new();
    let issuer = issuer(vectors["fetches"].clone());
    let mut ports = BTreeMap::new();
    let mut configs = Vec::new();
    for (name, policy) in vectors["policies"].as_object().unwrap() {
        let [port] = free_ports().unwrap();
        let mut policy = policy.clone();
        policy["hold_headers"] = Value::Bool(hold);
        let (policy, clusters) = (policy.to_string(), [("auth", issuer.port())]);
        let upstream = server.upstream.port();
        let config = EnvoyConfig::new(&places, port, &policy, hold, upstream, &clusters);
        let narrow = rsa == RsaBy::Filter;
        configs.push(if narrow { config.without_foreign_functions() } else { config });
        ports.insert(name.as_str(), port);
    }
    let scratch = Scratch::new().unwrap();
    let first = configs.pop().unwrap();
    let envoy = Envoy::start(&places, &first.beside(configs), scratch.path()).unwrap();

    let all = vectors["cases"].as_array().unwrap();
    let cases: Vec<&Value> = all.iter().filter(|case| case["once"] != true).collect();
    let (mut failures, mut reasons) = (Vec::new(), Vec::new());
    for case in &cases {
        let port = ports[case["policy"].as_str().unwrap()];
        let name = case["name"].as_str().unwrap();
        let found = server.run(case, port, hold, &mut reasons);
        failures.extend(found.into_iter().map(|failure| format!("{name}: {failure}")));
    }
    println!("{} of {} cases in Envoy, hold_headers {hold}", cases.len(), all.len());
    let verified = |by: &str| envoy.stat(&format!("wasmcustom.countersign.signatures.{by}"));
    let (by_envoy, in_filter) = (verified("envoy"), verified("filter"));
    println!("signatures: {by_envoy} by Envoy, {in_filter} in the filter");
    assert_eq!(by_envoy > 0, rsa == RsaBy::Envoy);
    assert!(in_filter > 0);
    failures.extend(wrong_log(&envoy, &reasons));
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// The log has one line for each refusal, in order.
fn wrong_log(envoy: &Envoy, reasons: &[String]) -> Option<String> {
    let start = Instant::now();
    while envoy.reasons().len() < reasons.len() && start.elapsed() < Duration::from_secs(30) {
        thread::sleep(Duration::from_millis(50));
    }
    let logged = envoy.reasons();
    if logged == reasons {
        return None;
    }
    let at = logged.iter().zip(reasons).position(|(logged, expected)| logged != expected);
    Some(format!("reasons in the log differ at {at:?}: {logged:?}\nexpected {reasons:?}"))
}

/// An issuer with these answers.
fn issuer(fetches: Value) -> Stub {
    Stub::start(move |request| {
        let host = request.headers.get("host").unwrap_or_default();
        let form = String::from_utf8_lossy(&request.body);
        let separator = if form.is_empty() { "" } else { "?" };
        match &fetches[format!("https://{host}{}{separator}{form}", request.target())] {
            Value::Null => Answer::status(404),
            answer => Answer {
                status: u16::try_from(answer["status"].as_u64().unwrap()).unwrap(),
                headers: Vec::new(),
                body: answer["body"].as_str().unwrap().as_bytes().to_vec(),
                raw: None,
            },
        }
    })
    .unwrap()
}

/// A server that answers what the case says.
struct Server {
    upstream: Stub,
    served: Arc<Mutex<Answer>>,
}

impl Server {
    fn new() -> Self {
        let served = Arc::new(Mutex::new(Answer::json("{}")));
        let answers = Arc::clone(&served);
        let upstream = Stub::start(move |_| answers.lock().unwrap().clone()).unwrap();
        Self { upstream, served }
    }

    /// Sends the request of a case: what is wrong. The reasons that the log must have are added.
    fn run(&self, case: &Value, port: u16, hold: bool, reasons: &mut Vec<String>) -> Vec<String> {
        *self.served.lock().unwrap() = response(case);
        let answer = match request(case).send(port) {
            Ok(answer) => answer,
            Err(failure) => return vec![failure.to_string()],
        };
        let mut failures = Vec::new();
        // Without holding, the head of a request is on its way before its body is decided upon: what
        // must never arrive is a whole request, or a token.
        let (seen, beheaded): (Vec<_>, Vec<_>) =
            self.upstream.take().into_iter().partition(is_whole);
        if hold && !beheaded.is_empty() {
            failures.push("the server saw a part of the request".to_owned());
        }
        if beheaded.iter().any(|request| request.headers.get("authorization").is_some()) {
            failures.push("the server saw the token".to_owned());
        }
        if case["envoy_may_refuse"] == true && answer.headers.get("cache-control").is_none() {
            if !settled_by_envoy(&answer, &seen) {
                failures.push(format!("neither refused nor made plain: {seen:?}"));
            }
            return failures;
        }
        for expect in [&case["expect"], &case["response"]["expect"]] {
            reasons.extend(expect["reason"].as_str().map(str::to_owned));
        }
        failures.extend(differences(case, &answer, &seen));
        failures
    }
}

/// Whether the body is as long as the head says.
fn is_whole(request: &Message) -> bool {
    let length = request.headers.get("content-length").and_then(|text| text.parse().ok());
    length.is_none_or(|length: usize| length == request.body.len())
}

/// Envoy refused the request itself, or made its path plain before the filter and the server saw it.
fn settled_by_envoy(answer: &Message, seen: &[Message]) -> bool {
    match seen {
        [] => answer.status() >= 400,
        [request] => {
            request.target() == "/files/mcp" && request.headers.get("x-mcp-subject").is_some()
        }
        _ => false,
    }
}

/// A byte string: each character is one byte.
fn bytes(value: &Value) -> Vec<u8> {
    value.as_str().unwrap().chars().map(|c| u8::try_from(c).unwrap()).collect()
}

fn request(case: &Value) -> Request {
    let request = &case["request"];
    let text = |name: &str| request[name].as_str().unwrap();
    let mut made = Request::new(text("method"), text("path"), text("authority"));
    for header in request["headers"].as_array().unwrap() {
        made = made.header(header[0].as_str().unwrap(), bytes(&header[1]));
    }
    if request["body"].is_null() { made } else { made.body(bytes(&request["body"])) }
}

/// What the server answers.
fn response(case: &Value) -> Answer {
    let response = &case["response"];
    if response.is_null() {
        return Answer::json("{}");
    }
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let headers = response["headers"].as_array().unwrap();
    Answer {
        status: u16::try_from(response["status"].as_u64().unwrap()).unwrap(),
        headers: headers.iter().map(|header| (text(&header[0]), text(&header[1]))).collect(),
        body: text(&response["body"]).into_bytes(),
        raw: None,
    }
}

fn differences(case: &Value, answer: &Message, seen: &[Message]) -> Vec<String> {
    let expect = &case["expect"];
    let mut found = Vec::new();
    let mut compare = |what: &str, actual: Value, expected: &Value| {
        if actual != *expected {
            found.push(format!("{what} is {actual}, expected {expected}"));
        }
    };
    for (name, value) in expect["headers"].as_object().into_iter().flatten() {
        compare(name, answer.headers.get(name).into(), value);
    }
    if expect["status"].is_null() {
        match &case["response"]["expect"] {
            Value::Null => compare("status", answer.status().into(), &200.into()),
            expect => compare_answer(expect, answer, &mut compare),
        }
        compare("requests that reached the server", seen.len().into(), &1.into());
        if let [request] = seen {
            compare_forwarded(case, request, &mut compare);
        }
        return found;
    }
    compare("status", answer.status().into(), &expect["status"]);
    compare("requests that reached the server", seen.len().into(), &0.into());
    compare("challenge", answer.headers.get("www-authenticate").into(), &expect["challenge"]);
    if expect["json"].is_object() {
        compare("body", without_message(&answer.body), &expect["json"]);
    }
    if answer.status() == 503 {
        let seconds = answer.headers.get("retry-after").and_then(|text| text.parse::<u32>().ok());
        compare("retry-after", seconds.is_some_and(|seconds| seconds > 0).into(), &true.into());
    }
    found
}

/// What the client gets of the server's response.
fn compare_answer(expect: &Value, answer: &Message, compare: &mut impl FnMut(&str, Value, &Value)) {
    compare("status", answer.status().into(), &expect["status"]);
    if expect["body"].is_string() {
        compare("body", answer.text().into(), &expect["body"]);
    } else {
        compare("body", without_message(&answer.body), &expect["json"]);
    }
    for name in expect["removed"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        compare(name, answer.headers.get(name).into(), &Value::Null);
    }
}

/// The texts of JSON-RPC errors are for people and not part of the vectors.
fn without_message(body: &[u8]) -> Value {
    let mut body: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(error) = body.get_mut("error").and_then(Value::as_object_mut) {
        error.remove("message");
    }
    body
}

fn compare_forwarded(
    case: &Value,
    request: &Message,
    compare: &mut impl FnMut(&str, Value, &Value),
) {
    let empty = serde_json::Map::new();
    let set = case["expect"]["set"].as_object().unwrap_or(&empty);
    let mut fields: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in request.headers.iter() {
        fields.entry(name).or_default().push(value.iter().copied().map(char::from).collect());
    }
    for (name, value) in set {
        let actual = fields.get(name.as_str()).cloned().unwrap_or_default();
        compare(name, actual.into(), &Value::Array(vec![value.clone()]));
    }
    for name in case["expect"]["removed"].as_array().into_iter().flatten() {
        let name = name.as_str().unwrap();
        if !set.contains_key(name) {
            compare(name, fields.contains_key(name).into(), &false.into());
        }
    }
    let sent = &case["request"]["body"];
    let body = if sent.is_null() { Vec::new() } else { bytes(sent) };
    compare("body is what was sent", (request.body == body).into(), &true.into());
}
