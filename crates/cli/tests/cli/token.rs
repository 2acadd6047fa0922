//! `countersign token`: where tokens come from, and what is said of those that are none. Real ones:
//! tests/process/tokens.rs.

use serde_json::Value;

use crate::tool::Folder;

const FOREIGN: &str =
    "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2EuZXhhbXBsZS9cdTAwMWIifQ.AAAA";

fn with_database() -> Folder {
    let folder = Folder::new();
    assert_eq!(folder.run(&["user", "add", "ada", "--password-stdin"], "correct horse\n").code, 0);
    folder
}

/// `--json` data of a token that is worth nothing.
fn refused(folder: &Folder, arguments: &[&str], input: &str) -> Value {
    let output = folder.run(&[&["--json", "token", "inspect"], arguments].concat(), input);
    assert_eq!((output.code, output.stderr.as_str()), (1, ""), "{output:?}");
    serde_json::from_str(&output.stdout).unwrap()
}

#[test]
fn from_a_file_or_standard_input() {
    let folder = with_database();
    std::fs::write(folder.path().join("token"), format!("{FOREIGN}\n")).unwrap();
    for data in [
        refused(&folder, &["token"], ""),
        refused(&folder, &["-"], FOREIGN),
        refused(&folder, &[], &format!(" {FOREIGN} \r\n")),
    ] {
        let expected = serde_json::json!({ "active": false, "reason": "issuer_unknown" });
        assert_eq!(data, expected, "nothing that nobody vouches for");
    }
    assert_eq!(refused(&folder, &[], "two\nlines")["reason"], "token_malformed");
    assert_eq!(
        refused(&folder, &[], &format!("rt_{}", "A".repeat(43)))["reason"],
        "token_inactive"
    );
    let said = folder.run(&["token", "inspect"], FOREIGN);
    // What a stranger wrote does not play with the terminal.
    assert!(said.stdout.contains(r#"it says "https://a.example/\u{1b}""#), "{said:?}");
    assert!(said.stdout.contains("this issuer is http://127.0.0.1:8090"), "{said:?}");

    for (input, reason) in
        [("", "token_missing"), ("\n", "token_missing"), (FOREIGN, "issuer_unknown")]
    {
        let output = folder.run(&["--json", "token", "revoke"], input);
        assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{output:?}");
        let error: Value = serde_json::from_str(&output.stderr).unwrap();
        assert_eq!(error["error"], reason);
    }
    assert_eq!(folder.run(&["token", "inspect", "missing"], "").code, 1);
}

/// A token on the command line is known to others: it is refused, and not repeated.
#[test]
fn never_from_an_argument() {
    let folder = with_database();
    let refresh = format!("rt_{}", "A".repeat(43));
    for token in [FOREIGN, &refresh, &format!("Bearer {FOREIGN}")] {
        for command in ["inspect", "revoke"] {
            for json in [&[][..], &["--json"]] {
                let output = folder.run(&[json, &["token", command, token]].concat(), "");
                assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{output:?}");
                assert!(!output.stderr.contains(token), "{output:?}");
            }
        }
    }
    let output = folder.run(&["token", "revoke"], FOREIGN);
    assert!(!output.stderr.contains(FOREIGN), "{output:?}");
}

#[test]
fn nothing_is_made_by_looking() {
    let folder = Folder::new();
    let output = folder.run(&["--json", "token", "inspect"], FOREIGN);
    assert_eq!(output.code, 1);
    assert!(output.stderr.contains("database_missing"), "{output:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let folder = with_database();
    refused(&folder, &[], FOREIGN);
    assert!(!folder.path().join("countersign.key").exists());
    assert_eq!(folder.json(&["key", "list", "--json"]), serde_json::json!([]));
    let unsafe_issuer = ["token", "inspect", "--issuer", "http://auth.example.com"];
    assert_eq!(folder.run(&unsafe_issuer, FOREIGN).code, 1);
}
