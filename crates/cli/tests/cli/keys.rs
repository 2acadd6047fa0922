//! `countersign key`.

use std::fs;

use serde_json::Value;

use crate::tool::Folder;

fn states(folder: &Folder) -> Vec<String> {
    let keys = folder.json(&["key", "list", "--json"]);
    let keys = keys.as_array().unwrap();
    keys.iter().map(|key| key["state"].as_str().unwrap().to_owned()).collect()
}

fn served_once() -> Folder {
    let folder = Folder::new();
    let (code, log) = folder.serve(&["--listen", "127.0.0.1:0"]).signal("-TERM");
    assert_eq!(code, 0, "{log}");
    folder
}

#[test]
fn rotate_and_revoke() {
    let folder = served_once();
    assert_eq!(states(&folder), ["active"]);
    assert_eq!(folder.run(&["key", "rotate"], "").code, 0);
    assert_eq!(states(&folder), ["active", "pending"]);
    assert_eq!(folder.run(&["key", "rotate", "--now"], "").code, 0);
    let mut now = states(&folder);
    now.sort();
    assert_eq!(now, ["active", "retiring"]);
    let keys = folder.json(&["key", "list", "--json"]);
    let active = keys.as_array().unwrap().iter().find(|key| key["state"] == "active").unwrap();
    let kid = active["kid"].as_str().unwrap();
    let without_reason = folder.run(&["key", "revoke", kid], "");
    assert_eq!(without_reason.code, 2);
    assert_eq!(folder.run(&["key", "revoke", kid, "--reason", "stolen"], "").code, 0);
    let again = folder.run(&["--json", "key", "revoke", kid, "--reason", "stolen"], "");
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("value_invalid"), "{again:?}");
    let unknown = folder.run(&["--json", "key", "revoke", "-x", "--reason", "stolen"], "");
    assert_eq!(unknown.code, 1, "base64url may begin with a hyphen");
    let mut now = states(&folder);
    now.sort();
    assert_eq!(now, ["active", "retiring", "revoked"]);
    let shown = folder.run(&["key", "list"], "").stdout;
    assert!(shown.lines().any(|line| line.starts_with(kid) && line.contains("revoked")), "{shown}");
    assert_eq!(folder.run(&["key", "rotate", "--alg", "RS256"], "").code, 0);
    assert_eq!(folder.run(&["key", "rotate", "--alg", "HS256"], "").code, 2);
}

/// The steps of the operator's guide.
#[test]
fn the_sealing_key_is_replaced() {
    let folder = served_once();
    let file = folder.path().join("countersign.key");
    let old = fs::read_to_string(&file).unwrap();
    let made = folder.run(&["key", "new-sealing-key"], "");
    let new = made.stdout;
    assert_eq!(new.trim().len(), 43);
    fs::write(&file, format!("{new}{old}")).unwrap();
    let resealed: Value = folder.json(&["key", "reseal", "--json"]);
    assert_eq!(resealed["resealed"], 1);
    fs::write(&file, &new).unwrap();
    let (code, log) = folder.serve(&["--listen", "127.0.0.1:0"]).signal("-TERM");
    assert_eq!(code, 0, "{log}");
    fs::write(&file, &old).unwrap();
    let stale = folder.run(&["serve", "--listen", "127.0.0.1:0"], "");
    assert_eq!(stale.code, 1);
    assert!(stale.stderr.contains("does not open with this key"), "{}", stale.stderr);
}

/// A key that is made here signs as long as the server's own.
#[test]
fn rotation_is_the_servers() {
    let folder = served_once();
    for (seconds, signs) in [("604800", Some(604_800)), ("0", None)] {
        let mut command = folder.command(&["key", "rotate", "--now"]);
        let output = command.env("COUNTERSIGN_KEY_ROTATION", seconds).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let keys = folder.json(&["key", "list", "--json"]);
        let active = keys.as_array().unwrap().iter().find(|key| key["state"] == "active").unwrap();
        let until = active["sign_until"].as_i64().unwrap();
        let from = active["sign_from"].as_i64().unwrap();
        assert_eq!((until != i64::MAX).then_some(until - from), signs);
    }
    let refused = folder.run(&["--json", "key", "rotate", "--key-rotation", "5"], "");
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("config_invalid"), "{refused:?}");
}

#[test]
fn nothing_is_made_by_mistake() {
    let folder = Folder::new();
    for command in [&["key", "list"][..], &["key", "rotate"], &["key", "reseal"]] {
        let refused = folder.run(command, "");
        assert_eq!(refused.code, 1, "{command:?}");
        assert!(refused.stderr.contains("there is no database"), "{}", refused.stderr);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
