//! The demo's walk, in every combination that operators and clients meet: both protocol eras, and
//! Envoy with and without the setting that holds headers while the body is read.
#![allow(clippy::unwrap_used, missing_docs)]

use countersign_e2e::{Options, Places, Stack};

/// An official TypeScript SDK of this major version, speaking this revision.
fn walk(sdk: &str, revision: &str, hold_headers: bool) {
    let places = Places::of_checkout();
    let mut stack = Stack::start(&places, Options { hold_headers }).unwrap();
    let mut client = stack.demo_script(&places, "main.mjs");
    let output = client.env("DEMO_SDK", sdk).env("DEMO_REVISION", revision).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}{}", String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        stack.keep_files();
        panic!("the walk failed; the logs are in {}", stack.dir().display());
    }
    assert!(said.contains("15 steps passed, 0 failed"));
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
