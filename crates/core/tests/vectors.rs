//! The shared vectors, natively.

use std::collections::{BTreeMap, BTreeSet};

use countersign_core::{
    Reason,
    guard::{Engine, Policy},
};
use countersign_testkit::{
    drive::{self, Fetches, Outcome},
    vectors::{self, Case, Vectors},
};

const FILE: &str = include_str!("../../../tests/vectors/guard.json");

fn vectors() -> Vectors {
    serde_json::from_str(FILE).expect("the file is valid")
}

fn byte_string(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

#[test]
fn the_file_is_what_the_generator_makes() {
    assert_eq!(FILE, vectors::text(), "run: cargo run -p countersign-testkit --bin make-vectors");
}

#[test]
fn names_are_unique() {
    let cases = vectors().cases;
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len());
}

/// Every reason has a case, but those that need more than one request.
#[test]
fn every_reason_has_a_case() {
    let cases = vectors().cases;
    let answered = cases.iter().filter_map(|case| case.response.as_ref()?.expect.reason.as_deref());
    let reasons: BTreeSet<_> =
        cases.iter().filter_map(|case| case.expect.reason.as_deref()).chain(answered).collect();
    let of_several = [Reason::FailuresExcessive, Reason::ProofReplayed, Reason::ProofsExcessive];
    for reason in Reason::ALL.iter().filter(|reason| !of_several.contains(reason)) {
        assert!(reasons.contains(reason.code()), "no case for {reason}");
    }
}

#[test]
fn all_cases() {
    let vectors = vectors();
    let fetches: Fetches = vectors
        .fetches
        .iter()
        .map(|(url, answer)| (url.clone(), (answer.status, answer.body.clone().into_bytes())))
        .collect();
    let mut failures = Vec::new();
    for case in &vectors.cases {
        let policy = Policy::parse(vectors.policies[&case.policy].to_string().as_bytes())
            .expect("a valid policy");
        let mut engine = Engine::new(policy);
        // Several times: from the second on some answers come from the cache, and the body comes in
        // parts.
        for round in 0..(if case.once { 1 } else { 4 }) {
            let request = drive::Request { body_parts: [0, 1, 2, 17][round], ..case.into() };
            let outcome = drive::run(&mut engine, &request, &fetches, vectors.now);
            for difference in differences(case, &outcome).into_iter().chain(answered(
                case,
                &outcome,
                request.body_parts,
            )) {
                failures.push(format!("{} (round {round}): {difference}", case.name));
            }
        }
    }
    println!("{} cases", vectors.cases.len());
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn differences(case: &Case, outcome: &Outcome) -> Vec<String> {
    let expect = &case.expect;
    let decision = outcome.decision();
    let mut found = Vec::new();
    let mut compare = |what: &str, actual: String, expected: String| {
        if actual != expected {
            found.push(format!("{what} is {actual}, expected {expected}"));
        }
    };
    compare("verdict", decision.verdict.code().to_owned(), expect.verdict.clone());
    let reason = decision.reason.map(|reason| reason.code().to_owned());
    compare("reason", format!("{reason:?}"), format!("{:?}", expect.reason));
    match outcome {
        Outcome::Respond(response) => {
            let headers: BTreeMap<&str, &str> =
                response.headers.iter().map(|header| (header.name(), header.value())).collect();
            compare(
                "status",
                format!("{:?}", Some(response.status)),
                format!("{:?}", expect.status),
            );
            let challenge = headers.get("www-authenticate").map(|text| (*text).to_owned());
            compare("challenge", format!("{challenge:?}"), format!("{:?}", expect.challenge));
            for (name, value) in &expect.headers {
                let actual = headers.get(name.as_str()).copied();
                compare(name, format!("{actual:?}"), format!("{:?}", Some(value)));
            }
            if let Some(expected) = &expect.json {
                let actual: serde_json::Value =
                    serde_json::from_slice(&response.body).unwrap_or_default();
                compare("body", without_message(actual).to_string(), expected.to_string());
            }
            if response.status == 503 {
                let retry = headers.get("retry-after").and_then(|text| text.parse::<u32>().ok());
                compare(
                    "retry-after",
                    retry.is_some_and(|seconds| seconds > 0).to_string(),
                    "true".into(),
                );
            }
        }
        Outcome::Forward(forward) => {
            compare("status", "None".to_owned(), format!("{:?}", expect.status));
            let set: BTreeMap<String, String> = forward
                .set
                .iter()
                .map(|header| (header.name().to_owned(), byte_string(header.value())))
                .collect();
            compare("set", format!("{set:?}"), format!("{:?}", expect.set));
            let removed: Vec<&str> = forward.remove.iter().map(|name| name.as_str()).collect();
            for name in &expect.removed {
                compare(name, removed.contains(&name.as_str()).to_string(), "true".to_owned());
            }
            let response: BTreeMap<&str, &str> = forward
                .response_headers
                .iter()
                .map(|header| (header.name(), header.value()))
                .collect();
            for (name, value) in &expect.headers {
                let actual = response.get(name.as_str()).copied();
                compare(name, format!("{actual:?}"), format!("{:?}", Some(value)));
            }
        }
    }
    found
}

/// What the client gets of the server's response.
fn answered(case: &Case, outcome: &Outcome, parts_of: usize) -> Vec<String> {
    let (Some(response), Outcome::Forward(forward)) = (&case.response, outcome) else {
        return Vec::new();
    };
    let sent = drive::Answered {
        status: response.status,
        headers: response.headers.clone(),
        body: response.body.clone().into_bytes(),
        refused: None,
    };
    let answer = drive::respond(forward, sent, parts_of);
    let expect = &response.expect;
    let mut found = Vec::new();
    let mut compare = |what: &str, actual: String, expected: String| {
        if actual != expected {
            found.push(format!("{what} is {actual}, expected {expected}"));
        }
    };
    compare("answer's status", answer.status.to_string(), expect.status.to_string());
    let reason = answer.refused.and_then(|decision| decision.reason).map(Reason::code);
    compare("answer's reason", format!("{reason:?}"), format!("{:?}", expect.reason.as_deref()));
    if let Some(body) = &expect.body {
        compare("answer", String::from_utf8_lossy(&answer.body).into_owned(), body.clone());
    }
    if let Some(json) = &expect.json {
        let body = serde_json::from_slice(&answer.body).unwrap_or_default();
        compare("answer", without_message(body).to_string(), json.to_string());
    }
    for name in &expect.removed {
        let is_there = answer.headers.iter().any(|(found, _)| found == name);
        compare(name, is_there.to_string(), "false".to_owned());
    }
    found
}

/// The texts of JSON-RPC errors are for people and not part of the vectors.
fn without_message(mut body: serde_json::Value) -> serde_json::Value {
    if let Some(error) = body.get_mut("error").and_then(serde_json::Value::as_object_mut) {
        error.remove("message");
    }
    body
}
