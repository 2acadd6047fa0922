//! The MCP Rust SDK as a client for the end-to-end tests: a small program of its own (`tests/sdk-rust`),
//! with a lock file of its own.

use countersign_e2e::{Outcome, Places};

use crate::command::{cargo, run};

/// Builds it. Cargo knows by itself when there is nothing to do.
pub(super) fn build(places: &Places) -> Outcome<()> {
    let mut command = cargo(places);
    // Its own lock file counts, in CI or not: the SDK's version is pinned by it.
    command.args(["build", "--quiet"]);
    if std::env::var_os("CI").is_none() {
        command.arg("--locked");
    }
    run(command
        .args(["--manifest-path", "tests/sdk-rust/Cargo.toml", "--target-dir"])
        .arg(places.tools().join("sdk-rust")))
}
