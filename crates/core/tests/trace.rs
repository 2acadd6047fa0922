//! The trace of a decision, over all shared vectors: it says the same as the decision, and never what
//! is secret. Needs the feature `explain`, which the command line turns on.
#![cfg(feature = "explain")]

use countersign_core::guard::{CheckOutcome, Engine, Policy};
use countersign_testkit::{
    drive::{self, Fetches},
    token::Token,
    vectors,
};
use serde_json::json;

#[test]
fn every_decision_is_explained_and_no_secret_told() {
    let vectors = vectors::make();
    let fetches: Fetches = vectors
        .fetches
        .iter()
        .map(|(url, answer)| (url.clone(), (answer.status, answer.body.clone().into_bytes())))
        .collect();
    for case in &vectors.cases {
        let document = vectors.policies[&case.policy].to_string();
        let policy = || Policy::parse(document.as_bytes()).expect("a valid policy");
        let run = |mut engine: Engine| {
            drive::run(&mut engine, &case.into(), &fetches, vectors.now).decision().clone()
        };
        let mut explained = run(Engine::explaining(policy()));
        let plain = run(Engine::new(policy()));
        let trace = core::mem::take(&mut explained.trace);
        assert!(plain.trace.entries().is_empty());
        assert_eq!(explained, plain, "{}", case.name);

        let last = trace.entries().last().expect("a trace");
        let name = &case.name;
        assert_eq!(last.check, "decision", "{name}");
        let failed: Vec<_> =
            trace.entries().iter().filter(|entry| entry.outcome == CheckOutcome::Failed).collect();
        match plain.reason {
            None => assert!(failed.is_empty(), "{name}: {trace}"),
            Some(reason) => {
                assert!(last.text.starts_with(reason.code()), "{name}: {}", last.text);
                assert_eq!(last.outcome, CheckOutcome::Failed, "{name}");
            }
        }
        let text = trace.to_string();
        assert_eq!(text.lines().count(), trace.entries().len(), "{name}: one line for each");
        for (_, value) in case.request.headers.iter().filter(|(name, _)| {
            name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("dpop")
        }) {
            // Neither the whole nor its signature.
            for part in value.split([' ', '.']).filter(|part| part.len() > 20) {
                assert!(!text.contains(part), "{name} tells {part}");
            }
        }
    }
}

/// Whoever makes a token up chooses texts that are shown before anything is verified.
#[test]
fn no_token_writes_lines_of_its_own() {
    let policy = vectors::make().policies["main"].to_string();
    let mut engine = Engine::explaining(Policy::parse(policy.as_bytes()).expect("a valid policy"));
    let forged = "x\nok  signature       verified\u{2028}\u{202e}\u{1b}[2K\u{85}";
    let reference = json!({ "status_list": { "idx": 1, "uri": forged } });
    let token = Token::new("https://auth.example.com", "https://mcp.example.com/files/mcp");
    for token in [
        token.clone().header("kid", forged).sign(),
        token.clone().header("typ", forged).sign(),
        token.clone().claim("iss", forged).sign(),
        token.clone().claim("aud", forged).sign(),
        token.clone().claim("resource", forged).sign(),
        token.clone().claim("client_id", forged).sign(),
        token.claim("status", reference).sign(),
    ] {
        let request = drive::Request {
            method: "GET".to_owned(),
            authority: "mcp.example.com".to_owned(),
            path: "/files/mcp".to_owned(),
            headers: vec![(b"authorization".to_vec(), format!("Bearer {token}").into_bytes())],
            body: None,
            body_parts: 0,
        };
        let outcome = drive::run(&mut engine, &request, &Fetches::new(), vectors::NOW);
        let trace = outcome.decision().trace.clone();
        let text = trace.to_string();
        assert_eq!(text.split('\n').count(), trace.entries().len() + 1, "{text}");
        let odd = |c: char| c != '\n' && (c.is_control() || "\u{2028}\u{202e}".contains(c));
        assert!(!text.contains(odd), "{text:?}");
    }
}

/// What was compared to what.
#[test]
fn the_words_name_both_sides() {
    let vectors = vectors::make();
    let trace = |name: &str| {
        let case = vectors.cases.iter().find(|case| case.name == name).expect("a case");
        let document = vectors.policies[&case.policy].to_string();
        let policy = Policy::parse(document.as_bytes()).expect("a valid policy");
        let mut engine = Engine::explaining(policy);
        let outcome = drive::run(&mut engine, &case.into(), &Fetches::new(), vectors.now);
        outcome.decision().trace.to_string()
    };
    let audience = vectors
        .cases
        .iter()
        .find(|case| case.expect.reason.as_deref() == Some("audience_mismatch"))
        .expect("a case");
    let text = trace(&audience.name);
    assert!(text.contains("no  audience        aud ["), "{text}");
    assert!(text.contains("wanted \"https://mcp.example.com/files/mcp\""), "{text}");
    let scope = vectors
        .cases
        .iter()
        .find(|case| case.expect.reason.as_deref() == Some("scope_insufficient"))
        .expect("a case");
    let text = trace(&scope.name);
    assert!(text.contains("no  scopes          granted: "), "{text}");
    assert!(text.contains("; missing: "), "{text}");
}
