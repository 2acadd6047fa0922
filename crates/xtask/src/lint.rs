//! `cargo xtask lint`: formatting, links between the texts, clippy, licences and sources.

use std::process::Command;

use countersign_e2e::{Outcome, Places};

use crate::command::{cargo, find_program, run, run_quietly, say};
use crate::links;
use crate::wasm::{TARGET, Toolchain};

/// The crates that are compiled for wasm in earnest.
const WASM_CRATES: [&str; 2] = ["countersign-envoy", "countersign-js"];

/// Everything that has an opinion about the sources without running them.
pub(crate) fn check(places: &Places) -> Outcome<()> {
    run(cargo(places).args(["fmt", "--all", "--check"]))?;
    links::check(places)?;
    clippy(cargo(places).args(["clippy", "--workspace", "--all-targets"]))?;
    wasm_clippy(places)?;
    deny(places)
}

fn clippy(command: &mut Command) -> Outcome<()> {
    run(command.args(["--", "--deny", "warnings"]))
}

/// Clippy for the target itself, where the toolchain has both; Debian's compiler has no clippy.
fn wasm_clippy(places: &Places) -> Outcome<()> {
    let toolchain = Toolchain::find(places)?;
    if !matches!(toolchain, Toolchain::Active { .. }) {
        say(format_args!("clippy ran natively only: the active toolchain has no {TARGET}"));
        return Ok(());
    }
    let mut command = toolchain.cargo(places, "clippy");
    for package in WASM_CRATES {
        command.args(["--package", package]);
    }
    clippy(&mut command)
}

/// Licences, advisories, sources, duplicates: deny.toml.
fn deny(places: &Places) -> Outcome<()> {
    if find_program("cargo-deny").is_none() {
        say("cargo-deny is not installed: licences and advisories go unchecked \
             (cargo install --locked cargo-deny)");
        return Ok(());
    }
    // Advisories need their database from the network: where it cannot be had, say so and go on.
    run(cargo(places).args(["deny", "check", "bans", "licenses", "sources"]))?;
    if let Err(failure) = run_quietly(cargo(places).args(["deny", "check", "advisories"])) {
        say(format_args!("advisories: {failure}"));
    }
    Ok(())
}
