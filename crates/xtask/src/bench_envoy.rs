//! `cargo xtask bench envoy`: the filter under load in a real Envoy, beside Envoy's own filters.

use std::process::Command;

use countersign_e2e::{Outcome, Places};

use crate::bench::{output, write_section};
use crate::build;
use crate::command::{cargo, make_dir, run_quietly};
use crate::tools;

/// Builds the filter and one that does nothing, measures, and writes the tables down.
pub(crate) fn measure(places: &Places, rounds: &str) -> Outcome<()> {
    tools::fetch_all(places)?;
    build::parts(places, &["envoy".to_owned()])?;
    make_dir(&places.made("bench"))?;
    let noop = places.made("bench/noop.wasm");
    run_quietly(
        Command::new(tools::wasm_as(places)?)
            .arg(places.path("tests/e2e/noop.wat"))
            .arg("-o")
            .arg(&noop),
    )?;
    let mut command = cargo(places);
    command.args(["run", "--quiet", "--release", "--package", "countersign-e2e"]);
    command.args(["--example", "bench-envoy", "--"]).arg(noop).arg(rounds);
    write_section(places, "envoy", &output(&mut command)?)
}
