//! Scopes: their grammar (RFC 6749 §3.3), where they stand in tokens, and what implies what.

use std::collections::BTreeMap;

use countersign_core::{
    Reason,
    jwt::claims::Claims,
    oauth::scope::{Implications, Scope, ScopeSet},
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// More would make the search over all subsets slow.
const SCOPES: usize = 6;

fn scope(index: usize) -> Scope {
    Scope::parse(&format!("s{index}")).unwrap()
}

fn set(bits: u8) -> ScopeSet {
    (0..SCOPES).filter(|index| bits >> index & 1 == 1).map(scope).collect()
}

fn bits(set: &ScopeSet) -> u8 {
    (0..SCOPES).filter(|index| set.contains(&scope(*index))).map(|index| 1 << index).sum()
}

/// For each scope, those that it implies in one step.
type Direct = [u8; SCOPES];

fn implications(direct: &Direct) -> Result<Implications, String> {
    let rules: BTreeMap<Scope, ScopeSet> =
        direct.iter().enumerate().map(|(index, implied)| (scope(index), set(*implied))).collect();
    Implications::new(&rules).map_err(|cycle| cycle.0.as_str().to_owned())
}

/// Warshall's algorithm: bit j of row i, whether i implies j in one step or more.
fn reach(direct: &Direct) -> Direct {
    let mut reach = *direct;
    for through in 0..SCOPES {
        for from in 0..SCOPES {
            if reach[from] >> through & 1 == 1 {
                reach[from] |= reach[through];
            }
        }
    }
    reach
}

/// Everything that these scopes give.
fn closure(reach: &Direct, bits: u8) -> u8 {
    (0..SCOPES).filter(|i| bits >> i & 1 == 1).fold(bits, |all, i| all | reach[i])
}

const ALL: u8 = (1 << SCOPES) - 1;

/// Anything, cycles included; seldom so dense that all is one cycle.
fn any_rules() -> impl Strategy<Value = Direct> {
    prop::array::uniform6((any::<u8>(), any::<u8>()).prop_map(|(a, b)| a & b & ALL))
}

/// Each scope implies later ones only: no cycles.
fn acyclic_rules() -> impl Strategy<Value = Direct> {
    any_rules().prop_map(|mut direct| {
        for (index, implied) in direct.iter_mut().enumerate() {
            *implied = *implied << (index + 1) & ALL;
        }
        direct
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn cycles_are_found_and_named(direct in any_rules()) {
        let reach = reach(&direct);
        let on_cycle: Vec<String> = (0..SCOPES)
            .filter(|index| reach[*index] >> index & 1 == 1)
            .map(|index| scope(index).as_str().to_owned())
            .collect();
        match implications(&direct) {
            Ok(_) => prop_assert!(on_cycle.is_empty()),
            Err(named) => prop_assert!(on_cycle.contains(&named), "{} not in {:?}", named, on_cycle),
        }
    }

    #[test]
    fn what_is_missing(direct in acyclic_rules(), granted in 0..=ALL, needed in 0..=ALL) {
        let implications = implications(&direct).unwrap();
        let given = closure(&reach(&direct), granted);
        let missing = implications.missing(&set(granted), &set(needed));
        prop_assert_eq!(bits(&missing), needed & !given);
        for index in 0..SCOPES {
            let grants = implications.grants(&set(granted), &scope(index));
            prop_assert_eq!(grants, given >> index & 1 == 1);
        }
    }

    /// A client that steps up asks for the scopes of the challenge with those it has (MCP, step-up
    /// authorization flow): then nothing is missing, and nothing was asked for in vain.
    #[test]
    fn a_step_up_suffices(direct in acyclic_rules(), granted in 0..=ALL, needed in 0..=ALL) {
        let implications = implications(&direct).unwrap();
        let missing = implications.missing(&set(granted), &set(needed));
        let after = set(granted).union(&missing);
        prop_assert!(implications.missing(&after, &set(needed)).is_empty());
        for scope in missing.iter() {
            prop_assert!(!implications.grants(&set(granted), scope));
        }
    }

    /// Of all sets that grant what is needed and nothing else, it is the one with the fewest.
    #[test]
    fn minimal_is_the_least_of_all_subsets(direct in acyclic_rules(), needed in 0..=ALL) {
        let reach = reach(&direct);
        let wanted = closure(&reach, needed);
        let least: Vec<u8> = {
            let fit: Vec<u8> =
                (0..=ALL).filter(|subset| closure(&reach, *subset) == wanted).collect();
            let fewest = fit.iter().map(|subset| subset.count_ones()).min().unwrap();
            fit.into_iter().filter(|subset| subset.count_ones() == fewest).collect()
        };
        let minimal = implications(&direct).unwrap().minimal(&set(needed));
        prop_assert_eq!(vec![bits(&minimal)], least);
    }

    /// RFC 6749 §3.3: scope = scope-token *( SP scope-token ).
    #[test]
    fn grammar(text in "[a! \"\\\\~\t\u{7f}é]{0,8}") {
        let is_token = |token: &str| {
            !token.is_empty() && token.chars().all(|c| "a!~".contains(c))
        };
        let valid = text.is_empty() || text.split(' ').all(is_token);
        let parsed = ScopeSet::parse(&text);
        prop_assert_eq!(parsed.is_ok(), valid, "{:?}", text);
        if let Ok(set) = parsed {
            // Each once, in the order of their first mention.
            let mut expected: Vec<&str> = Vec::new();
            for token in text.split(' ').filter(|token| !token.is_empty()) {
                if !expected.contains(&token) {
                    expected.push(token);
                }
            }
            prop_assert_eq!(set.to_string(), expected.join(" "));
            prop_assert_eq!(ScopeSet::parse(&set.to_string()), Ok(set));
        }
    }

    /// A text of tokens and an array of the same tokens are the same claim; an element of an array is
    /// one token.
    #[test]
    fn text_or_array(tokens in prop::collection::vec("[ab:/ ]{0,3}", 0..4)) {
        let scope = |value: Value| {
            let claims = json!({ "scope": value }).to_string();
            Claims::parse(claims.as_bytes()).map(|claims| claims.scope.to_string())
        };
        let good = tokens.iter().all(|token| !token.is_empty() && !token.contains(' '));
        let array = scope(json!(tokens));
        prop_assert_eq!(array.is_ok(), good);
        if good {
            prop_assert_eq!(array, scope(json!(tokens.join(" "))));
        } else {
            prop_assert_eq!(array, Err(Reason::ClaimMalformed));
        }
    }
}

#[test]
fn every_byte_of_the_grammar() {
    for byte in 0..=0x7f_u8 {
        let allowed =
            byte == 0x21 || (0x23..=0x5b).contains(&byte) || (0x5d..=0x7e).contains(&byte);
        let text = char::from(byte).to_string();
        assert_eq!(Scope::parse(&text).is_ok(), allowed, "{byte:#x}");
    }
    assert!(Scope::parse("").is_err());
}

#[test]
fn other_types_are_no_scopes() {
    for bad in [json!(1), json!(true), json!(null), json!({}), json!([1]), json!(["a", ["b"]])] {
        let claims = json!({ "scope": bad }).to_string();
        assert_eq!(Claims::parse(claims.as_bytes()).err(), Some(Reason::ClaimMalformed), "{bad}");
    }
}
