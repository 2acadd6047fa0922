//! Which entries of a list its caller may use.

use countersign_core::{
    mcp::operation::Operation,
    oauth::scope::{Scope, ScopeSet},
};
use proptest::{collection, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use countersign_core::guard::{FilterStep, ResponseHead, Step};

use super::support::{begin, code, engine, inline, token, verify};

fn read(uri: &str) -> Operation {
    Operation::Resource { method: "resources/read".to_owned(), uri: uri.to_owned() }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2048) })]

    /// Whatever a template gives that may be read, the template is shown; and if it is shown, there is
    /// something to read.
    #[test]
    fn a_template_is_shown_for_what_it_gives(
        rules in collection::vec((select(vec![
            "file:///*", "file:///a/*", "file:///a/b", "file:///a/b*", "file:///a/b/c", "file:///b", "*", "urn:x:*",
        ]), select(vec!["one", "two"])), 0..5),
        by_method in any::<bool>(),
        deny in any::<bool>(),
        granted in select(vec!["base", "base one", "base two", "base one two", "one"]),
        template in select(vec![
            "file:///{x}", "file:///a/{x}", "file:///a/b{x}", "file:///a/b/{x}", "file:///a/b", "{+x}", "urn:{x}",
            "file:///b/{x}", "urn:x:{y}",
        ]),
    ) {
        let resources: Map<String, Value> =
            rules.iter().map(|(pattern, scope)| ((*pattern).to_owned(), json!([scope]))).collect();
        let mut policy = inline();
        policy["resources"][0]["scopes"] = json!({
            "baseline": ["base"], "resources": resources,
            "methods": if by_method { json!({ "resources/read": ["two"] }) } else { json!({}) },
            "unlisted": if deny { "deny" } else { "baseline" },
        });
        let engine = engine(&policy);
        let rules = &engine.policy().resources[0].scopes;
        let granted: ScopeSet = granted.split(' ').map(|scope| Scope::parse(scope).unwrap()).collect();
        let (literal, _) = template.split_once('{').unwrap_or((template, ""));
        // Every beginning that a rule could tell apart, and what none names.
        let ends = ["", "a", "a/", "a/b", "a/bx", "a/b/c", "a/b/x", "a/x", "b", "b/", "b/c", "/c", "/x", "c", "x",
                    "file:///x", "file:///a/b", "file:///a/x", "file:///a/bx", "file:///a/b/c", "file:///b",
                    "urn:x:1", "urn:y", "x:1", "y:1"];
        let is_template = template.contains('{');
        let gives = ends.iter().filter(|end| is_template || end.is_empty()).map(|end| format!("{literal}{end}"));
        let any = gives.clone().any(|uri| rules.permits(&granted, &read(&uri)));
        prop_assert_eq!(rules.permits_template(&granted, template), any, "{:?}", gives.collect::<Vec<_>>());
    }
}

/// A body's limit holds for what is read, however it comes; a response without a body is none.
#[test]
fn limits() {
    let mut policy = inline();
    policy["resources"][0]["scopes"]["tools"] = json!({ "read_file": ["files:read"] });
    policy["resources"][0]["scopes"]["filter_lists"] = json!(true);
    policy["limits"] = json!({ "body_bytes": 1024 });
    let filter = || {
        let mut engine = engine(&policy);
        let step = begin(&mut engine, "/mcp", &token().sign(), 10);
        let Step::NeedBody(pending) = verify(&mut engine, step, 10) else { panic!() };
        let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        let step = engine.resume(pending, countersign_core::guard::Answer::Body(body), 10);
        let Step::Forward(forward) = step else { panic!("{}", code(&step)) };
        forward.response_filter.expect("a list was asked for")
    };
    let head = |has_body| ResponseHead {
        status: 200,
        headers: &[(b"Content-Type", b"Application/JSON; charset=utf-8")],
        has_body,
    };
    assert!(matches!(filter().begin(head(false)), FilterStep::Pass));
    let answer = |length: usize| {
        let empty = r#"{"result":{"tools":[],"x":""}}"#.len();
        format!(r#"{{"result":{{"tools":[],"x":"{}"}}}}"#, "x".repeat(length - empty))
    };
    for (length, is_read) in [(1024, true), (1025, false), (5000, false)] {
        for size in [1, 100, 10_000] {
            let FilterStep::Filter(mut body) = filter().begin(head(true)) else { panic!() };
            let mut out = Vec::new();
            for part in answer(length).as_bytes().chunks(size) {
                out.extend(body.push(part));
            }
            // Hosts may be unable to put anything in the place of a body's end.
            assert!(body.finish().is_empty());
            let found: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(found["result"]["cacheScope"] == "private", is_read, "{length}");
            assert_eq!(found["error"]["code"] == -32603, !is_read, "{length}");
            let refused = body.take_refused();
            assert_eq!(
                refused.map(|refused| refused.code()),
                (!is_read).then_some("list_unreadable")
            );
            assert_eq!(body.take_refused(), None);
        }
    }
}
