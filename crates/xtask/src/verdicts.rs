//! The verifier's verdicts, which must be the same natively and in wasm.
//!
//! wasm32 has other numbers than 64-bit machines (docs/verify.md). So the tests of `crates/verify` write down what
//! they asked and what came out, with the reference and aws-lc agreeing, and the module is asked again.

use std::path::PathBuf;
use std::process::Command;

use countersign_e2e::{Failure, Outcome, Places};

use crate::bench;
use crate::command::{cargo, make_dir, remove_dir, run, run_quietly, say};

/// How many cases of ES256 are made; of RSA a tenth, and each byte of the paddings.
const CASES: &str = "20000";

/// Fewer than this, and something was not written down: Wycheproof's alone are some 4000.
const LEAST: u32 = 30_000;

/// Project Wycheproof's signatures with their verdicts, for other verifiers than ours: the file.
pub(crate) fn wycheproof(places: &Places) -> Outcome<PathBuf> {
    let dir = places.made("corpus");
    make_dir(&dir)?;
    let corpus = dir.join("wycheproof.txt");
    // The tests append to it.
    std::fs::write(&corpus, "").map_err(Failure::during("emptying the corpus"))?;
    let mut tests = cargo(places);
    tests.args(["test", "--quiet", "--package", "countersign-verify", "--test", "wycheproof"]);
    run(tests.env("COUNTERSIGN_CORPUS", &corpus))?;
    Ok(corpus)
}

/// Asks in each Node; in how many.
pub(crate) fn compare(places: &Places) -> Outcome<u32> {
    let module = bench::module(places)?;
    let dir = places.made("corpus");
    remove_dir(&dir)?;
    make_dir(&dir)?;
    let corpus = dir.join("verify.txt");
    let mut tests = cargo(places);
    tests.args(["test", "--quiet", "--package", "countersign-verify"]);
    tests.args(["--test", "differential", "--test", "wycheproof"]);
    run(tests.env("COUNTERSIGN_CORPUS", &corpus).env("COUNTERSIGN_CASES", CASES))?;
    let mut passed = 0;
    for node in [PathBuf::from("node"), places.node22()] {
        let mut command = Command::new(&node);
        command.arg(places.path("crates/bench/corpus.mjs")).arg(&module).arg(&corpus);
        let printed = run_quietly(&mut command)?;
        let count: u32 = printed.trim().parse().map_err(|_| Failure::new(printed.clone()))?;
        if count < LEAST {
            return Err(Failure::new(format!("the corpus has only {count} cases")));
        }
        say(format_args!("{}: {count} verdicts as they are natively", node.display()));
        passed += 1;
    }
    Ok(passed)
}
