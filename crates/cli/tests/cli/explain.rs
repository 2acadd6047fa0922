//! `countersign explain`, as somebody runs it who wants to know why.

use std::fs;

use countersign_testkit::{keys::TestKey, token::Token};
use serde_json::{Value, json};

use crate::tool::Folder;

const ISSUER: &str = "https://auth.example.com";
const RESOURCE: &str = "https://mcp.example.com/mcp";

fn folder(inline: bool) -> Folder {
    let folder = Folder::new();
    let jwks = json!({ "keys": [TestKey::Es256(1).jwk("es1")] });
    let mut issuer = json!({ "issuer": ISSUER, "max_lifetime": 3_155_760_000_u64 });
    if inline {
        issuer["jwks"] = jwks.clone();
    } else {
        issuer["jwks_uri"] = json!("https://auth.example.com/jwks?v=1");
    }
    let policy = json!({
        "issuers": [issuer],
        "resources": [{ "resource": RESOURCE, "dpop": "accept", "scopes": {
            "baseline": ["mcp:use"], "tools": { "write_*": ["files:write"] },
        } }],
    });
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write("policy.json", policy.to_string());
    write("jwks.json", jwks.to_string());
    write("token", Token::new(ISSUER, RESOURCE).sign() + "\n");
    folder
}

#[test]
fn what_passes_and_what_does_not() {
    let folder = folder(true);
    let explain = |rest: &[&str]| {
        let args = ["explain", "--policy", "policy.json", RESOURCE, "--token-file", "token"];
        folder.run(&[&args, rest].concat(), "")
    };
    let good = explain(&[]);
    assert_eq!(good.code, 0, "{good:?}");
    assert!(good.stdout.contains("ok  signature"), "{}", good.stdout);
    assert!(good.stdout.contains("The request goes to the server"), "{}", good.stdout);
    assert!(good.stdout.contains("x-mcp-subject: user-1"), "{}", good.stdout);

    let refused = explain(&["--tool", "write_file"]);
    assert_eq!((refused.code, refused.stderr.as_str()), (1, ""), "{refused:?}");
    assert!(refused.stdout.contains("missing: files:write"), "{}", refused.stdout);
    assert!(refused.stdout.contains("The client gets 403"), "{}", refused.stdout);
    assert!(refused.stdout.contains("docs/reasons.md#scope_insufficient"), "{}", refused.stdout);

    let other = explain(&["--now", "5", "--json"]);
    assert_eq!(other.code, 1);
    let data: Value = serde_json::from_str(&other.stdout).unwrap();
    assert_eq!(data["reason"], "token_not_yet_valid");
    assert_eq!(data["answer"]["status"], 401);
    let trace = data["trace"].as_array().unwrap();
    assert!(trace.iter().any(|e| e["check"] == "times" && e["outcome"] == "failed"), "{data}");

    let token = fs::read_to_string(folder.path().join("token")).unwrap();
    for part in token.trim().split('.') {
        assert!(!good.stdout.contains(part) && !other.stdout.contains(part));
    }
}

#[test]
fn tokens_and_bodies_from_standard_input() {
    let folder = folder(true);
    let args = ["explain", "--policy", "policy.json", RESOURCE];
    let token = Token::new(ISSUER, RESOURCE).sign();
    let from_input = folder.run(&[&args[..], &["--token-file", "-"]].concat(), &token);
    assert_eq!(from_input.code, 0, "{from_input:?}");
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#;
    let rest = ["--token-file", "token", "--body-file", "-"];
    let smuggled = folder.run(&[&args[..], &rest].concat(), body);
    assert_eq!(smuggled.code, 1);
    assert!(smuggled.stdout.contains("message_malformed"), "{}", smuggled.stdout);
    let header =
        folder.run(&[&args[..], &["-X", "GET", "-H", "Authorization: Basic x"]].concat(), "");
    assert!(header.stdout.contains("scheme_unsupported"), "{}", header.stdout);
}

#[test]
fn keys_that_would_be_fetched_come_from_files() {
    let folder = folder(false);
    let args = ["explain", "--policy", "policy.json", RESOURCE, "--token-file", "token"];
    let without = folder.run(&args, "");
    assert_eq!(without.code, 1);
    let hint = "--answer https://auth.example.com/jwks?v=1=FILE";
    assert!(without.stdout.contains(hint), "{}", without.stdout);
    assert!(without.stdout.contains("Not decided: answers are missing."), "{}", without.stdout);
    assert!(without.stdout.trim_end().ends_with(hint), "{}", without.stdout);
    for wrong in ["503", "Our fault", "keys_unavailable"] {
        assert!(!without.stdout.contains(wrong), "{wrong} in {}", without.stdout);
    }
    let data = folder.run(&[&args[..], &["--json"]].concat(), "");
    let data: Value = serde_json::from_str(&data.stdout).unwrap();
    assert_eq!(data["verdict"], "undecided");
    assert_eq!(data["missing_answers"], json!(["https://auth.example.com/jwks?v=1"]));
    let answer = "https://auth.example.com/jwks?v=1=jwks.json";
    let with = folder.run(&[&args[..], &["--answer", answer]].concat(), "");
    assert_eq!(with.code, 0, "{with:?}");
    let useless = "https://auth.example.com/jwks?v=1=token";
    let broken = folder.run(&[&args[..], &["--answer", useless]].concat(), "");
    assert!(broken.stdout.contains("cannot use the answer"), "{}", broken.stdout);
}

#[test]
fn bound_tokens_with_their_proof() {
    let folder = folder(true);
    let key = TestKey::Ed25519(9);
    let token = Token::new(ISSUER, RESOURCE).bound_to(key).sign();
    let now = 1_800_000_000;
    fs::write(folder.path().join("token"), &token).unwrap();
    let proof = Token::proof(key, "POST", RESOURCE, &token, now).sign();
    fs::write(folder.path().join("proof"), proof).unwrap();
    let args = [
        "explain",
        "--policy",
        "policy.json",
        RESOURCE,
        "--token-file",
        "token",
        "--proof-file",
        "proof",
        "--now",
        "1800000000",
    ];
    let good = folder.run(&args, "");
    assert_eq!(good.code, 0, "{good:?}");
    assert!(good.stdout.contains("bound to a key (cnf.jkt), and came with a DPoP proof"));
    let elsewhere =
        args.map(|arg| if arg == RESOURCE { "https://mcp.example.com/mcp/x" } else { arg });
    let refused = folder.run(&elsewhere, "");
    assert_eq!(refused.code, 1);
    assert!(refused.stdout.contains("htu is not the request's URL"), "{}", refused.stdout);
}

#[test]
fn mistakes_in_usage_are_exit_code_2() {
    let folder = folder(true);
    for args in [
        &["explain", RESOURCE][..],
        &["explain", "--policy", "policy.json", "mcp.example.com"],
        &["explain", "--policy", "policy.json", RESOURCE, "-H", "nothing"],
        &["explain", "--policy", "policy.json", RESOURCE, "--answer", "x"],
        &["explain", "--policy", "policy.json", RESOURCE, "--tool", "a", "--body-file", "b"],
        &["explain", "--policy", "policy.json", RESOURCE, "--tool", "a", "-X", "GET"],
    ] {
        assert_eq!(folder.run(args, "").code, 2, "{args:?}");
    }
    let missing = folder.run(&["explain", "--policy", "none.json", RESOURCE], "");
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("none.json"), "{missing:?}");
}

/// The example in the documentation is what the program prints.
#[test]
fn the_documented_example() {
    let folder = folder(true);
    let policy = folder.path().join("policy.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&policy).unwrap()).unwrap();
    document["issuers"][0].as_object_mut().unwrap().remove("max_lifetime");
    fs::write(policy, document.to_string()).unwrap();
    let times = |token: Token| token.claim("iat", 1_769_903_700).claim("exp", 1_769_907_300);
    fs::write(folder.path().join("token"), times(Token::new(ISSUER, RESOURCE)).sign()).unwrap();
    let command = "explain --policy policy.json https://mcp.example.com/mcp --token-file token \
                   --tool write_file";
    let text = include_str!("../../../../docs/reasons.md");
    assert!(text.contains(&format!("\ncountersign {command}\n")), "the command");
    let now = ["--now", "1769904000"];
    let args: Vec<&str> = command.split_whitespace().chain(now).collect();
    let shown = folder.run(&args, "");
    let block = format!("```\n{}\n```\n", shown.stdout.trim_end());
    assert!(text.contains(&block), "docs/reasons.md should have:\n{block}");
}
