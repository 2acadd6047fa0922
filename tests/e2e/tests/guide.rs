//! What `docs/envoy.md` says of metrics, log lines and settings is what a real Envoy shows.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{Setup, call, good_keys, policy, token};
use countersign_e2e::http::get;
use countersign_e2e::{Places, Stub};

fn text(file: &str) -> String {
    fs::read_to_string(Places::of_checkout().path(file)).unwrap()
}

/// What stands in backquotes in the first column of a table.
fn names(table: &str) -> BTreeSet<String> {
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn the_metrics() {
    let guide = text("docs/envoy.md");
    let table = guide.split("**Metrics**").nth(1).unwrap().split("\n**").next().unwrap();
    let front = Setup::new(good_keys).start();
    let page = get(front.envoy.admin(), "/stats?filter=countersign").unwrap().text();
    let found: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("wasmcustom.countersign.")?.split(": ").next())
        .map(|name| match name.split_once("deny.") {
            Some((kind, _)) => format!("{kind}deny.<reason>"),
            None => name.to_owned(),
        })
        .collect();
    assert!(found.len() >= 18, "{page}");
    assert_eq!(names(table), found);
}

/// The example is this request's line, but for the id.
#[test]
fn the_log_line() {
    let mut policy = policy(true);
    policy["resources"][0]["scopes"]["tools"] =
        serde_json::json!({ "read_file": ["files:read"], "write_*": ["files:write"] });
    let front = Setup::with(Stub::upstream().unwrap(), policy, true, |_| good_keys()).start();
    assert!(front.until(200, &call(&token().sign(), "read_file")));
    assert_eq!(front.send(&call(&token().sign(), "write_file")).status(), 403);
    assert!(front.envoy.logs("scope_insufficient"));
    let log = front.envoy.output();
    let line = |text: &str| {
        let line = text.lines().find(|line| line.contains("reason=scope_insufficient")).unwrap();
        // Envoy puts the name of the plugin before it, which is the same.
        line.get(line.rfind("countersign: ").unwrap()..).unwrap().trim().to_owned()
    };
    let shape = |line: &str| line.split(" request_id=").next().unwrap().to_owned();
    let (real, example) = (line(&log), line(&text("docs/envoy.md")));
    assert_eq!(shape(&real), shape(&example));
    // The one of the README is of the demo: the same members in the same order.
    let members = |line: &str| {
        let words = line.split(' ').filter_map(|word| word.split_once('='));
        words.map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(members(&real), members(&line(&text("README.md"))));
    assert!(real.contains(" request_id="), "{real}");
}

/// What a restricted plugin must be allowed is what the module takes and gives: Envoy starts it with these, and
/// lets requests through.
#[test]
fn the_capabilities() {
    let front = Setup::new(good_keys).config(|config| config.without("nothing")).start();
    assert!(front.until(200, &call(&token().sign(), "read_file")));
    assert_eq!(front.send(&call(&token().sign(), "write_file")).status(), 403);
    assert!(!front.envoy.output().contains("failed"), "{}", front.envoy.output());
}
