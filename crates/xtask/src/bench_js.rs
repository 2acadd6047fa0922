//! `cargo xtask bench js`: the npm package beside other verifiers of JavaScript, in each Node, in Deno, Bun and
//! workerd.

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
    let (deno, bun) = (tools::deno(places)?, tools::bun(places)?);
    for (program, args) in
        [(deno, &["run", "--allow-all"][..]), (bun, &["run"]), ("node".into(), &[])]
    {
        // Node serves the last: a Worker cannot measure its own time.
        let script = if args.is_empty() { "bench/workerd.mjs" } else { "bench/bench.mjs" };
        let mut command = Command::new(program);
        command.current_dir(places.path("js")).args(args).arg(script).arg(rounds);
        tables.push_str(&output(&mut command)?);
        tables.push('\n');
    }
    write_section(places, "js", tables.trim_end())
}
