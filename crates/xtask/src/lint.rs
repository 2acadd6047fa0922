//! `cargo xtask lint`: formatting, links between the texts, clippy, licences and sources.

use std::process::Command;

use countersign_e2e::{Outcome, Places};

use crate::command::{cargo, find_program, run, run_quietly, say};
use crate::links;
use crate::wasm::{TARGET, Toolchain};

/// The crates that are compiled for wasm in earnest.
const WASM_CRATES: [&str; 2] = ["countersign-envoy", "countersign-js"];

/// Everything that has an opinion about the sources without running them. Says what could not be checked.
pub(crate) fn check(places: &Places) -> Outcome<Option<&'static str>> {
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
fn deny(places: &Places) -> Outcome<Option<&'static str>> {
    if find_program("cargo-deny").is_none() {
        say("cargo-deny is not installed: licences and advisories go unchecked \
             (cargo install --locked cargo-deny)");
        return Ok(Some("licences and advisories, since cargo-deny is not installed"));
    }
    run(cargo(places).args(["deny", "check", "bans", "licenses", "sources"]))?;
    let database = run_quietly(cargo(places).args(["deny", "fetch", "db"]));
    advisories(database.map(drop), || {
        run(cargo(places).args(["deny", "check", "--disable-fetch", "advisories"]))
    })
}

/// Advisories need their database from the network: where it cannot be had, that is told and is no
/// failure. What the check itself finds is one.
fn advisories(
    database: Outcome<()>,
    check: impl FnOnce() -> Outcome<()>,
) -> Outcome<Option<&'static str>> {
    match database {
        Ok(()) => check().map(|()| None),
        Err(failure) => {
            say(format_args!("advisories: {failure}"));
            Ok(Some("advisories, since their database cannot be fetched"))
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_e2e::Failure;

    use super::advisories;

    /// A vulnerability that is known fails CI; a network that is away does not.
    #[test]
    fn what_is_found_counts_and_what_cannot_be_fetched_does_not() {
        let failed = || Err(Failure::new("RUSTSEC-0000-0000"));
        assert_eq!(advisories(Ok(()), failed).map(drop), failed());
        assert_eq!(advisories(Ok(()), || Ok(())), Ok(None));
        assert!(advisories(failed(), failed).unwrap().is_some());
    }
}
