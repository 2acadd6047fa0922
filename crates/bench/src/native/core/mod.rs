//! `cargo xtask bench core`: the engine, with `jsonwebtoken` and `jose` beside it.

mod inputs;
mod peers;
mod table;

use countersign_bench::suite::{Inputs, NAMES, NOW, Suite};
use serde_json::{Value, json};

use super::{Failure, measure, node::Node};
use inputs::{ISSUER, RESOURCE};
use table::{Times, Who};

pub(crate) fn run(script: &str, module: &str, jose: &str, rounds: u32) -> Result<(), Failure> {
    let inputs = inputs::make();
    let mut suite = Suite::new(inputs.clone());
    let peers = peers::Peers::new(&inputs);
    let mut node = Node::start("node", &[script, module, jose], &for_node(&inputs, &suite))?;
    let mut times = Times::new();
    for round in 1..=rounds {
        eprint!("\rround {round} of {rounds}");
        for name in NAMES {
            times.add(name, Who::Native, measure(|count| suite.run(name, count)));
            if peers.has(name) {
                let run = |count| peers.run(name, count, &suite);
                times.add(name, Who::NativePeer, measure(run));
            }
            times.add(name, Who::Wasm, node.measure("wasm", name)?);
            if has_peer_in_node(name) {
                times.add(name, Who::NodePeer, node.measure("peer", name)?);
            }
        }
    }
    eprintln!();
    print!("{}", table::markdown(&times, &suite));
    Ok(())
}

/// Whether Node has something of its own, or `jose`, for this.
fn has_peer_in_node(name: &str) -> bool {
    matches!(name, "cold-es256" | "cold-rs256" | "cold-eddsa" | "jwks") || name.starts_with("scan-")
}

fn for_node(inputs: &Inputs, suite: &Suite) -> Value {
    let body = |name| String::from_utf8_lossy(suite.body(name)).into_owned();
    json!({
        "policy": inputs.policy, "rules": inputs.rules, "jwks": inputs.jwks,
        "tokens": inputs.tokens, "issuer": ISSUER, "resource": RESOURCE, "now": NOW,
        "bodies": {
            "scan-text": body("scan-text"), "scan-members": body("scan-members"),
            "scan-2k": body("scan-2k"),
        },
    })
}
