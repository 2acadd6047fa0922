//! Scope rules: which of them an operation falls under, and the least scopes for several operations.

use std::collections::BTreeMap;

use countersign_core::{
    Reason,
    guard::{Policy, minimal_scopes},
    mcp::operation::Operation,
    oauth::scope::ScopeSet,
};
use proptest::prelude::*;
use serde_json::json;

type Rules = BTreeMap<String, Vec<String>>;

#[derive(Clone, Debug)]
struct Model {
    baseline: Vec<String>,
    tools: Rules,
    prompts: Rules,
    resources: Rules,
    methods: Rules,
    deny: bool,
}

fn scopes() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-e]", 0..3)
}

fn rules(pattern: &'static str) -> impl Strategy<Value = Rules> {
    prop::collection::btree_map(pattern, scopes(), 0..6)
}

fn models() -> impl Strategy<Value = Model> {
    let methods = prop::sample::select(vec![
        "tools/call",
        "tools/*",
        "tools/list",
        "*",
        "prompts/get",
        "resources/*",
        "resources/read",
        "initialize",
        "notifications/*",
        "t*",
    ])
    .prop_map(str::to_owned);
    (
        scopes(),
        rules("[xy]{1,3}|[xy]{0,3}\\*"),
        rules("[xy]{1,2}\\*?"),
        rules("file:///[xy](/[xy])?\\*?|\\*"),
        prop::collection::btree_map(methods, scopes(), 0..4),
        any::<bool>(),
    )
        .prop_map(|(baseline, tools, prompts, resources, methods, deny)| Model {
            baseline,
            tools,
            prompts,
            resources,
            methods,
            deny,
        })
}

fn operations() -> impl Strategy<Value = Operation> {
    let methods = vec![
        "tools/list",
        "ping",
        "initialize",
        "notifications/cancelled",
        "resources/list",
        "other",
    ];
    let resource = vec!["resources/read", "resources/subscribe", "resources/unsubscribe"];
    prop_oneof![
        1 => Just(Operation::Transport),
        4 => "[xy]{1,4}".prop_map(Operation::Tool),
        2 => "[xy]{1,3}".prop_map(Operation::Prompt),
        3 => (prop::sample::select(resource), "file:///[xy](/[xy]){0,2}")
            .prop_map(|(method, uri)| Operation::Resource { method: method.to_owned(), uri }),
        2 => prop::sample::select(methods).prop_map(|method| Operation::Method(method.to_owned())),
    ]
}

impl Model {
    fn policy(&self) -> Policy {
        let document = json!({
            "issuers": [{ "issuer": "https://auth.example.com" }],
            "resources": [{
                "resource": "https://mcp.example.com/mcp",
                "scopes": {
                    "baseline": self.baseline,
                    // Every scope gives those behind it in the alphabet.
                    "implies": { "a": ["b"], "b": ["c", "d"], "d": ["e"] },
                    "tools": self.tools,
                    "prompts": self.prompts,
                    "resources": self.resources,
                    "methods": self.methods,
                    "unlisted": if self.deny { "deny" } else { "baseline" },
                },
            }],
        });
        Policy::parse(document.to_string().as_bytes()).expect("it is in order")
    }

    /// Of all patterns that match, the exact one, or that with the most letters.
    fn find<'a>(rules: &'a Rules, name: &str) -> Option<(&'a String, &'a Vec<String>)> {
        let matching = |pattern: &str| match pattern.split_once('*') {
            None => (name == pattern).then_some(usize::MAX),
            Some((start, _)) => {
                let begins = name.chars().zip(start.chars()).filter(|(a, b)| a == b).count();
                (begins == start.chars().count()).then_some(start.len())
            }
        };
        rules
            .iter()
            .filter_map(|(pattern, scopes)| Some((matching(pattern)?, (pattern, scopes))))
            .max_by_key(|(weight, _)| *weight)
            .map(|(_, found)| found)
    }

    /// The scopes that are needed, and the rule that adds to the baseline.
    fn needed(&self, operation: &Operation) -> Option<(Vec<String>, Option<String>)> {
        let (kind, rules) = match operation {
            Operation::Tool(_) => ("tools", Some(&self.tools)),
            Operation::Prompt(_) => ("prompts", Some(&self.prompts)),
            Operation::Resource { .. } => ("resources", Some(&self.resources)),
            _ => ("", None),
        };
        let named = rules.zip(operation.name()).and_then(|(rules, name)| Self::find(rules, name));
        let found = named
            .map(|found| (kind, found))
            .or_else(|| Some(("methods", Self::find(&self.methods, operation.method()?)?)));
        let own = ["initialize", "ping", "notifications/cancelled"];
        let lifecycle = match operation {
            Operation::Transport => true,
            Operation::Method(method) => own.contains(&method.as_str()),
            _ => false,
        };
        let mut needed = self.baseline.clone();
        match found {
            Some((kind, (pattern, scopes))) => {
                needed.extend(scopes.clone());
                Some((needed, Some(format!("{kind}[{pattern:?}]"))))
            }
            None if self.deny && !lifecycle => None,
            None => Some((needed, None)),
        }
    }
}

/// What `scopes` give, by the implications of the model's policy.
fn closure(scopes: &[String]) -> Vec<&'static str> {
    let gives = |scope: &String| match scope.as_str() {
        "a" => vec!["a", "b", "c", "d", "e"],
        "b" => vec!["b", "c", "d", "e"],
        "c" => vec!["c"],
        "d" => vec!["d", "e"],
        "e" => vec!["e"],
        other => panic!("{other} is no scope of the model"),
    };
    let mut all: Vec<&str> = scopes.iter().flat_map(gives).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// All sets of the model's scopes.
fn subsets() -> impl Iterator<Item = Vec<String>> {
    (0..32_u8).map(|bits| {
        let letters = ["a", "b", "c", "d", "e"].iter().enumerate();
        letters
            .filter(|(at, _)| bits >> at & 1 == 1)
            .map(|(_, letter)| letter.to_string())
            .collect()
    })
}

fn sorted(set: &ScopeSet) -> Vec<String> {
    let mut texts: Vec<String> = set.iter().map(|scope| scope.as_str().to_owned()).collect();
    texts.sort();
    texts
}

fn unique(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts.dedup();
    texts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn exact_before_longest_beginning_before_method(model in models(), operation in operations()) {
        let policy = model.policy();
        let found = policy.resources[0].scopes.needed(&operation);
        match model.needed(&operation) {
            None => prop_assert_eq!(found, Err(Reason::OperationDenied)),
            Some((needed, rule)) => {
                let found = found.unwrap();
                prop_assert_eq!(sorted(&found.needed), unique(needed));
                prop_assert_eq!(found.rule, rule);
            }
        }
    }

    /// The fewest scopes of all sets that allow every one of the operations and give nothing beyond.
    #[test]
    fn minimal_scopes_are_the_least_of_all_sets(
        model in models(), operations in prop::collection::vec(operations(), 0..5),
    ) {
        let policy = model.policy();
        let resource = &policy.resources[0];
        let found = minimal_scopes(resource, &operations);
        let needed: Option<Vec<_>> = operations.iter().map(|one| model.needed(one)).collect();
        let Some(needed) = needed else {
            let error = found.unwrap_err();
            prop_assert_eq!(error.reason, Reason::OperationDenied);
            let first = operations.iter().find(|one| model.needed(one).is_none());
            prop_assert_eq!(Some(&error.operation), first);
            return Ok(());
        };
        let all = needed.into_iter().flat_map(|(needed, _)| needed);
        let wanted = closure(&model.baseline.iter().cloned().chain(all).collect::<Vec<_>>());
        let least = subsets()
            .filter(|subset| closure(subset) == wanted)
            .min_by_key(Vec::len)
            .expect("all that is wanted is itself a subset");
        let found = found.unwrap();
        prop_assert_eq!(sorted(&found), least);
        // It is enough for each, and without any one of them it is not enough for all.
        let lacks = |set: &ScopeSet| operations.iter().any(|one| {
            !resource.scopes.missing(set, &resource.scopes.needed(one).unwrap().needed).is_empty()
        });
        prop_assert!(!lacks(&found));
        if !operations.is_empty() {
            for scope in found.iter() {
                let without = found.iter().filter(|other| *other != scope).cloned().collect();
                prop_assert!(lacks(&without), "{} is not needed", scope);
            }
        }
    }
}

/// A URI that servers could resolve elsewhere is no way around a rule.
#[test]
fn ambiguous_uris_have_no_scopes() {
    let model = Model {
        baseline: vec!["a".to_owned()],
        tools: Rules::new(),
        prompts: Rules::new(),
        resources: Rules::from([("file:///x/*".to_owned(), vec![])]),
        methods: Rules::new(),
        deny: false,
    };
    let read = |uri: &str| Operation::Resource { method: "resources/read".into(), uri: uri.into() };
    let policy = model.policy();
    let error = minimal_scopes(&policy.resources[0], &[read("file:///x/../y")]).unwrap_err();
    assert_eq!((error.reason, &error.operation), (Reason::UriAmbiguous, &read("file:///x/../y")));
    assert!(error.to_string().contains("resources/read"), "{error}");
    assert!(minimal_scopes(&policy.resources[0], &[read("file:///x/y")]).is_ok());
}
