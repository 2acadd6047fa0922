//! `cargo xtask bench js`: the npm package beside other verifiers of JavaScript, in each Node.

use std::process::Command;

use countersign_e2e::{Outcome, Places};

use crate::bench::{output, write_section};
use crate::build;
use crate::tools;

/// Builds the package, measures, and writes the tables down.
pub(crate) fn measure(places: &Places, rounds: &str) -> Outcome<()> {
    tools::npm_js(places)?;
    build::parts(places, &["js".to_owned()])?;
    let mut tables = String::new();
    for node in ["node".into(), places.node22(), tools::node24(places)?] {
        let mut command = Command::new(node);
        command.current_dir(places.path("js")).arg("bench/bench.mjs").arg(rounds);
        tables.push_str(&output(&mut command)?);
        tables.push('\n');
    }
    write_section(places, "js", tables.trim_end())
}
