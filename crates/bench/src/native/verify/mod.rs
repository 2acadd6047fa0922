//! `cargo xtask bench verify`: signatures by the verifier, by the reference crates, by aws-lc-rs and ring
//! natively, by WebCrypto and `node:crypto` in Node.

mod inputs;
mod peers;
mod tables;

use countersign_bench::verify_suite::{NAMES, SETUPS, VerifySuite};
use serde_json::json;

use super::{Failure, measure, node::Node, times};
use peers::{AwsLc, Ring};

/// Who did it; in Node, in which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Native,
    NativeReference,
    AwsLc,
    Ring,
    Wasm(usize),
    WasmReference(usize),
    /// `rsa` 0.9, only for [`FORMER`].
    WasmFormer(usize),
    Subtle(usize),
    NodeCrypto(usize),
}

/// What is measured with `rsa` 0.9 too.
const FORMER: &str = "rs256-2048";

pub(crate) type Times = times::Times<Who>;

pub(crate) fn run(
    script: &str,
    module: &str,
    programs: &[String],
    rounds: u32,
) -> Result<(), Failure> {
    let inputs = inputs::make()?;
    let lines = inputs::lines(&inputs);
    let mut suite = VerifySuite::new(&lines);
    let aws_lc = AwsLc::new(&inputs)?;
    let ring = Ring::new(&inputs);
    let for_node = json!({ "lines": lines, "peers": inputs::for_node(&inputs) });
    let start = |program: &String| Node::start(program, &[script, module], &for_node);
    let mut nodes = programs.iter().map(start).collect::<Result<Vec<_>, _>>()?;
    let mut times = Times::new();
    for round in 1..=rounds {
        eprint!("\rround {round} of {rounds}");
        for name in NAMES {
            let ours = measure(|count| suite.run("ours", name, count));
            times.add(name, Who::Native, ours);
            let reference = measure(|count| suite.run("reference", name, count));
            times.add(name, Who::NativeReference, reference);
            times.add(name, Who::AwsLc, measure(|count| aws_lc.run(name, count)));
            times.add(name, Who::Ring, measure(|count| ring.run(name, count)));
            for (number, node) in nodes.iter_mut().enumerate() {
                times.add(name, Who::Wasm(number), node.measure("ours", name)?);
                times.add(name, Who::WasmReference(number), node.measure("reference", name)?);
                if name == FORMER {
                    times.add(name, Who::WasmFormer(number), node.measure("former", name)?);
                }
                times.add(name, Who::Subtle(number), node.measure("subtle", name)?);
                times.add(name, Who::NodeCrypto(number), node.measure("node", name)?);
            }
        }
        for name in SETUPS {
            times.add(name, Who::Native, measure(|count| suite.run("ours", name, count)));
            for (number, node) in nodes.iter_mut().enumerate() {
                times.add(name, Who::Wasm(number), node.measure("ours", name)?);
            }
        }
    }
    eprintln!();
    let about: Vec<_> = nodes.iter().map(|node| tables::About::read(node.about())).collect();
    print!("{}", tables::markdown(&times, rounds, suite.table_bytes(), &about));
    Ok(())
}
