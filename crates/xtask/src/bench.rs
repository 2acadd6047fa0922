//! `cargo xtask bench core`: the engine natively and in wasm, beside `jsonwebtoken` and `jose`.

use countersign_e2e::{Failure, Outcome, Places};

use crate::build::{compile, glue};
use crate::command::{cargo, run, timed};
use crate::tools;

/// Builds both sides as they are shipped, and measures them in one run.
pub(crate) fn measure(places: &Places, args: &[String]) -> Outcome<()> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let rounds = match words.as_slice() {
        ["core"] => "9",
        ["core", "--rounds", rounds] if rounds.parse::<u32>().is_ok_and(|rounds| rounds > 0) => {
            rounds
        }
        _ => {
            return Err(Failure::new("wrong arguments").next("cargo xtask bench core [--rounds N]"));
        }
    };
    tools::npm(places)?;
    let module = places.made("bench");
    timed("wasm module", || {
        let compiled = compile(places, "countersign-bench")?;
        glue(places, &compiled, &places.made("bench/glue"), &module)
    })?;
    let mut command = cargo(places);
    command.args(["run", "--quiet", "--release", "--package", "countersign-bench", "--"]);
    command.arg(places.path("crates/bench/core.mjs")).arg(module);
    run(command.arg(places.node_modules().join("jose")).arg(rounds))
}
