//! `countersign verify`, by hand and by machines.

use std::fs;

use countersign_testkit::{attacks, keys::TestKey, token::Token};
use serde_json::{Value, json};

use crate::tool::Folder;

const ISSUER: &str = "https://auth.example.com";
const RESOURCE: &str = "https://mcp.example.com/mcp";
const OTHER: &str = "https://mcp.example.com/other";

fn folder(resources: &[&str]) -> Folder {
    let folder = Folder::new();
    let jwks = json!({ "keys": [TestKey::Es256(1).jwk("es1")] });
    let resource = |resource: &&str| {
        json!({
            "resource": resource, "scopes": { "baseline": ["mcp:use"] },
        })
    };
    let issuer = json!({
        "issuer": ISSUER, "jwks_uri": "https://auth.example.com/jwks",
        "max_lifetime": 3_155_760_000_u64,
    });
    let policy = json!({
        "issuers": [issuer], "resources": resources.iter().map(resource).collect::<Vec<_>>(),
    });
    fs::write(folder.path().join("policy.json"), policy.to_string()).unwrap();
    fs::write(folder.path().join("jwks.json"), jwks.to_string()).unwrap();
    folder
}

const ANSWER: [&str; 2] = ["--answer", "https://auth.example.com/jwks=jwks.json"];

#[test]
fn tokens_one_a_line() {
    let folder = folder(&[RESOURCE]);
    let good = Token::new(ISSUER, RESOURCE);
    let tokens = [
        good.sign(),
        "x".to_owned(),
        good.clone().claim("scope", "files:read").sign(),
        good.clone().claim("aud", "https://evil.example/\u{1b}[2J").sign(),
    ];
    let run = |rest: &[&str], input: &str| {
        folder.run(&[&["verify", "--policy", "policy.json"], &ANSWER[..], rest].concat(), input)
    };
    let text = run(&[], &(tokens.join("\r\n") + "\n\n"));
    assert_eq!((text.code, &text.stderr[..]), (1, ""), "{text:?}");
    let lines: Vec<&str> = text.stdout.lines().collect();
    assert!(lines[0].starts_with("1: accept {\"aud\":\"https://mcp.example.com/mcp\""), "{text:?}");
    assert!(lines[1].starts_with("2: reject token_malformed"), "{text:?}");
    assert_eq!(lines[2], "3: reject scope_insufficient (missing mcp:use)");
    assert!(lines[3].starts_with("4: reject audience_mismatch"), "{text:?}");
    assert!(!text.stdout.contains('\u{1b}'), "{text:?}");
    assert_eq!(lines.len(), 4);

    let data = run(&["--json"], &tokens[..2].join("\n"));
    let data: Vec<Value> = data.stdout.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(data[0]["result"], "accept");
    assert_eq!(data[0]["claims"]["sub"], "user-1");
    assert_eq!(
        data[1],
        json!({
            "line": 2, "result": "reject", "reason": "token_malformed", "claims": null,
        })
    );

    assert_eq!(run(&[], &tokens[0]).code, 0);
    let early = run(&["--now", "5"], &tokens[0]);
    assert!(early.stdout.starts_with("1: reject token_not_yet_valid"), "{early:?}");
}

#[test]
fn what_is_missing_is_told() {
    let folder = folder(&[RESOURCE, OTHER]);
    let token = Token::new(ISSUER, OTHER).sign();
    let run = |rest: &[&str]| {
        folder.run(&[&["verify", "--policy", "policy.json"], rest].concat(), &token)
    };
    let several = run(&ANSWER);
    assert_eq!(several.code, 1);
    let hint = "name one of the policy's resources: --resource https://mcp.example.com/mcp or \
                https://mcp.example.com/other";
    assert!(several.stderr.contains(hint), "{several:?}");
    assert_eq!(run(&[&ANSWER[..], &["--resource", OTHER]].concat()).code, 0);
    let wrong = run(&[&ANSWER[..], &["--resource", RESOURCE]].concat());
    assert!(wrong.stdout.starts_with("1: reject audience_mismatch"), "{wrong:?}");

    let no_keys = run(&["--resource", OTHER]);
    assert_eq!(no_keys.code, 1);
    assert_eq!(no_keys.stdout, "1: not decided: answers are missing\n");
    assert!(no_keys.stderr.contains("Not decided: answers are missing"), "{no_keys:?}");
    assert!(no_keys.stderr.contains("--answer https://auth.example.com/jwks=FILE"), "{no_keys:?}");
    let data = run(&["--resource", OTHER, "--json"]);
    let data: Value = serde_json::from_str(&data.stdout).unwrap();
    assert_eq!(data["result"], "undecided");
    assert_eq!((&data["reason"], &data["claims"]), (&"keys_unavailable".into(), &Value::Null));

    for usage in [&["verify"][..], &["verify", "--jsonl", "--policy", "policy.json"]] {
        assert_eq!(folder.run(usage, "").code, 2, "{usage:?}");
    }
}

/// Where the policy needs no token, nothing is said about tokens, and nothing is accepted.
#[test]
fn public_paths_accept_nothing() {
    let folder = folder(&["https://mcp.example.com"]);
    let file = folder.path().join("policy.json");
    let mut policy: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    policy["resources"][0]["public_paths"] = json!(["/"]);
    fs::write(&file, policy.to_string()).unwrap();
    let args = [&["verify", "--policy", "policy.json"], &ANSWER[..]].concat();
    for token in [Token::new(ISSUER, "https://mcp.example.com").sign(), "garbage".to_owned()] {
        let output = folder.run(&args, &token);
        assert_eq!((output.code, &output.stdout[..]), (1, ""), "{output:?}");
        assert!(output.stderr.contains("the policy needs no token at /"), "{output:?}");
    }
    policy["resources"][0] = json!({ "resource": RESOURCE, "public_paths": ["/mcp"] });
    fs::write(&file, policy.to_string()).unwrap();
    let output = folder.run(&args, "garbage");
    assert_eq!(output.code, 1);
    assert!(output.stderr.contains("$.resources[0].public_paths[0]"), "{output:?}");
}

/// The example in the documentation is what the program prints.
#[test]
fn the_documented_example() {
    let folder = folder(&[RESOURCE]);
    let times = |token: Token| token.claim("iat", 1_769_903_700).claim("exp", 1_769_907_300);
    let good = times(Token::new(ISSUER, RESOURCE));
    let tokens = [good.sign(), good.claim("scope", "files:read").sign()].join("\n");
    let args = ["verify", "--policy", "policy.json", ANSWER[0], ANSWER[1], "--now", "1769904000"];
    let block = format!("```\n{}```\n", folder.run(&args, &tokens).stdout);
    let text = include_str!("../../../../docs/tokens.md");
    assert!(text.contains(&block), "docs/tokens.md should have:\n{block}");
    assert!(text.contains(&format!("countersign {} < tokens\n", args[..5].join(" "))));
}

/// The corpus of attacks: each answered in order, as it says itself.
#[test]
fn the_corpus_of_attacks() {
    let folder = Folder::new();
    let output = folder.run(&["verify", "--jsonl"], &attacks::text());
    assert_eq!((output.code, &output.stderr[..]), (0, ""));
    let mut answers = output.stdout.lines();
    for line in attacks::lines().iter().filter(|line| line.get("expect").is_some()) {
        let answer: Value = serde_json::from_str(answers.next().unwrap()).unwrap();
        let expect = &line["expect"];
        assert_eq!(answer["id"], line["id"]);
        assert_eq!([&answer["result"], &answer["reason"]], [&expect["result"], &expect["reason"]]);
        assert!(answer["ms"].as_f64().unwrap() >= 0.0);
    }
    assert_eq!(answers.next(), None);
}

#[test]
fn a_corpus_with_mistakes() {
    let folder = Folder::new();
    let lines = "{\"config\":{\"issuer\":1}}\n\nnonsense\n{\"id\":7,\"set\":\"s\",\"token\":\"x\"}";
    let output = folder.run(&["verify", "--jsonl"], lines);
    assert_eq!(output.code, 0);
    assert!(output.stderr.contains("line 1: config.issuer: "), "{output:?}");
    let reasons: Vec<String> = output
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["reason"].to_string())
        .collect();
    assert_eq!(reasons, ["\"line_malformed\"", "\"config_invalid\""]);
}
