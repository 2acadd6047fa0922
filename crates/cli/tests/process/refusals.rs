//! What the administration refuses, and what it keeps to itself.

use crate::program::Folder;

const PASSWORD: &str = "correct horse battery staple";

/// Names are compared without case; a line ends with LF or CR LF.
#[test]
fn users() {
    let folder = Folder::new();
    let add = |name: &str, input: &str| {
        folder.run_with(&["--json", "user", "add", name, "--password-stdin"], input)
    };
    let ada = add("ada", &format!("{PASSWORD}\r\nignored")).json();
    assert!(ada["id"].as_str().unwrap().starts_with("u_"));
    assert_eq!(add("ADA", PASSWORD).refused(), "already_exists");
    for (name, input) in
        [("eve", ""), ("eve", "\n"), ("eve", "short\n"), ("", PASSWORD), ("a\nb", PASSWORD)]
    {
        assert_eq!(add(name, input).refused(), "value_invalid", "{name:?} {input:?}");
    }
    let listed = folder.run(&["--json", "user", "list"]);
    assert_eq!(listed.json().as_array().unwrap().len(), 1);
    assert!(!listed.stdout.contains("argon2"), "{}", listed.stdout);
}

#[test]
fn resources() {
    let folder = Folder::new();
    let add = |uri: &str, scopes: &[&str]| {
        let add = [&["--json", "resource", "add", uri, "--name", "x"], scopes].concat();
        folder.run(&add)
    };
    let scope = ["--scope", "a=b"];
    assert_eq!(add("https://mcp.example.com", &scope).json()["default"], false);
    assert_eq!(add("https://mcp.example.com/", &scope).refused(), "already_exists");
    for (uri, scopes) in [
        ("https://x.example#f", &scope[..]),
        ("https://x.example", &["--scope", "a b=text"]),
        ("https://x.example", &["--scope", "a=b", "--implies", "c=a"]),
        ("https://x.example", &["--scope", "a=b", "--implies", "a"]),
    ] {
        assert_eq!(add(uri, scopes).refused(), "value_invalid", "{uri} {scopes:?}");
    }
}

/// Anybody can register a name; it must not play with the administrator's terminal.
#[test]
fn names_of_clients_are_escaped() {
    let folder = Folder::new();
    let name = "App\u{1b}[2J\u{202e}";
    let add = ["client", "add", "--name", name, "--redirect-uri", "https://app.example.com/cb"];
    folder.run(&add).done();
    for list in [&["client", "list"][..], &["--json", "client", "list"]] {
        let ended = folder.run(list);
        assert!(!ended.done().contains('\u{1b}'), "{ended:?}");
    }
    assert!(!folder.run(&["client", "list"]).done().contains('\u{202e}'));
}

#[test]
fn a_file_that_is_no_database() {
    let folder = Folder::new();
    folder.write("text.db", &"this is a text and not a database\n".repeat(40));
    let ended = folder.run(&["--json", "--database", "text.db", "user", "list"]);
    let reason = ended.refused();
    assert!(["database_failed", "migration_failed"].contains(&reason.as_str()), "{reason}");
}
