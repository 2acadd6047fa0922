//! `countersign policy check`.

use crate::program::Folder;

const GOOD: &str = r#"{
    "issuers": [{ "issuer": "https://auth.example.com" }],
    "resources": [{
        "resource": "https://mcp.example.com/mcp",
        "issuers": ["https://auth.example.com"]
    }]
}"#;

#[test]
fn a_good_policy_is_0_and_says_what_it_protects() {
    let folder = Folder::new();
    folder.write("policy.json", GOOD);
    let text = folder.run(&["policy", "check", "policy.json"]);
    assert!(text.done().contains("https://mcp.example.com/mcp"));
    let data = folder.run(&["--json", "policy", "check", "policy.json"]).json();
    assert_eq!(data["resources"][0], "https://mcp.example.com/mcp");
    assert_eq!(data["issuers"][0], "https://auth.example.com");
}

#[test]
fn a_bad_policy_is_1_and_names_the_place() {
    let folder = Folder::new();
    for (from, to, place) in [
        ("https://mcp.example.com/mcp\"", "not a url\"", "$.resources[0].resource"),
        ("\"issuers\": [{", "\"version\": 1, \"issuers\": [{", "$.version"),
        ("\"issuers\": [\"https://auth", "\"isuers\": [\"https://auth", "isuers"),
        ("\"issuers\": [\"https://auth", "\"issuers\": [\"https://other", "$.resources[0].issuers"),
        ("}]\n}", "}]", "policy.json"),
    ] {
        let bad = GOOD.replace(from, to);
        assert_ne!(bad, GOOD);
        folder.write("policy.json", &bad);
        let ended = folder.run(&["policy", "check", "policy.json"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{ended:?}");
        assert!(ended.stderr.contains(place), "{place}: {ended:?}");
        let ended = folder.run(&["--json", "policy", "check", "policy.json"]);
        assert_eq!(ended.refused(), "policy_invalid");
    }
    assert_eq!(folder.run(&["--json", "policy", "check", "missing.json"]).refused(), "io_failed");
}

#[test]
fn usage_mistakes_are_2() {
    let folder = Folder::new();
    assert_eq!(folder.run(&["policy"]).code, 2);
    assert_eq!(folder.run(&["policy", "check"]).code, 2);
    assert_eq!(folder.run(&["policy", "check", "a.json", "b.json"]).code, 2);
}
