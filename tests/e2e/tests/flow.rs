//! The demo's walk, in every combination that operators and clients meet: both protocol eras, and
//! Envoy with and without the setting that holds headers while the body is read.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

use countersign_e2e::{Options, Places, Stack};

/// Runs a client against a stack of its own; returns what it printed.
fn run(hold_headers: bool, prepare: impl FnOnce(&Places, &Stack) -> Command) -> String {
    let places = Places::of_checkout();
    let mut stack = Stack::start(&places, Options { hold_headers }).unwrap();
    let output = prepare(&places, &stack).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{said}{}", String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        stack.keep_files();
        panic!("the walk failed; the logs are in {}", stack.dir().display());
    }
    said
}

/// An official TypeScript SDK of this major version, speaking this revision.
fn walk(sdk: &str, revision: &str, hold_headers: bool) {
    let said = run(hold_headers, |places, stack| {
        let mut client = stack.client(places, "node", "tests/demo/main.mjs");
        client.env("DEMO_SDK", sdk).env("DEMO_REVISION", revision);
        client
    });
    assert!(said.contains("15 steps passed, 0 failed"));
}

/// The official Python SDK in this mode.
fn walk_in_python(mode: &str) {
    run(true, |places, stack| {
        let mut client = stack.client(places, "python3", "tests/sdk-python/walk.py");
        client.arg(mode);
        client
    });
}

/// The official Rust SDK on this revision, registering itself or pre-registered.
fn walk_in_rust(revision: &str, is_preregistered: bool) {
    let said = run(true, |places, stack| {
        let mut client = Command::new(places.sdk_rust());
        stack.tell(&mut client);
        client.arg(revision);
        if is_preregistered {
            let add = ["client", "add", "--json", "--name", "Rust SDK", "--redirect-uri"];
            let added = stack.administer(&[&add[..], &["http://127.0.0.1/callback"]].concat());
            let added: serde_json::Value = serde_json::from_str(&added.unwrap()).unwrap();
            client.arg(added["client_id"].as_str().unwrap());
        }
        client
    });
    assert!(said.contains("6 steps passed"));
}

#[test]
fn rust_sdk_2026_07_28_preregistered() {
    walk_in_rust("2026-07-28", true);
}

#[test]
fn rust_sdk_legacy_registered() {
    walk_in_rust("legacy", false);
}

#[test]
fn python_sdk_2026_07_28() {
    walk_in_python("2026-07-28");
}

#[test]
fn python_sdk_legacy() {
    walk_in_python("legacy");
}

#[test]
fn revision_2026_07_28_headers_held() {
    walk("2", "2026-07-28", true);
}

#[test]
fn revision_2026_07_28_headers_continue() {
    walk("2", "2026-07-28", false);
}

#[test]
fn revision_2025_11_25_headers_held() {
    walk("2", "2025-11-25", true);
}

#[test]
fn revision_2025_11_25_headers_continue() {
    walk("2", "2025-11-25", false);
}

#[test]
fn sdk_1_headers_held() {
    walk("1", "2025-11-25", true);
}
