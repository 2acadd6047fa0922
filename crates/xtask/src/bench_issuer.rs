//! `cargo xtask bench issuer`: tokens in a second, on both databases, beside npm's oidc-provider.

use countersign_e2e::{Outcome, Places};

use crate::bench::{output, write_section};
use crate::command::{cargo, run};
use crate::tools;

/// Grants that lie in the database for the last table.
const GRANTS: &str = "1000000";

/// Builds the program as it is released, measures, and writes the tables down.
pub(crate) fn measure(places: &Places, rounds: &str) -> Outcome<()> {
    tools::npm(places)?;
    run(cargo(places).args(["build", "--release", "--package", "countersign"]))?;
    let mut command = cargo(places);
    command.args(["run", "--quiet", "--release", "--package", "countersign-e2e"]);
    command.args(["--example", "bench-issuer", "--"]);
    command.arg(places.cargo_target().join("release/countersign")).args([rounds, GRANTS]);
    write_section(places, "issuer", &output(&mut command)?)
}
