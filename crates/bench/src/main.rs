//! `cargo xtask bench core`: the engine natively and in Node's V8, with `jsonwebtoken` and `jose` beside
//! it, interleaved in one run. The machine's speed drifts; ratios of one run stay.
#![forbid(unsafe_code)]

#[cfg(not(target_family = "wasm"))]
mod inputs;
#[cfg(not(target_family = "wasm"))]
mod node;
#[cfg(not(target_family = "wasm"))]
mod peers;
#[cfg(not(target_family = "wasm"))]
mod table;

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("countersign-bench: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// The library is what wasm has.
#[cfg(target_family = "wasm")]
fn main() {}

/// Arguments: the script for Node, the folder with the module and its glue, jose's folder, the rounds.
#[cfg(not(target_family = "wasm"))]
fn run() -> Result<(), Box<dyn core::error::Error>> {
    use countersign_bench::suite::{NAMES, Suite};

    let args: Vec<String> = std::env::args().skip(1).collect();
    let [script, module, jose, rounds] = args.as_slice() else {
        return Err("usage: countersign-bench SCRIPT MODULE_DIR JOSE_DIR ROUNDS".into());
    };
    let inputs = inputs::make();
    let mut suite = Suite::new(inputs.clone());
    let peers = peers::Peers::new(&inputs);
    let mut node = node::Node::start(script, module, jose, &inputs, &suite)?;
    let mut times = table::Times::default();
    for round in 0..rounds.parse::<u32>()? {
        eprint!("\rround {} of {rounds}", round + 1);
        for name in NAMES {
            times.add(name, table::Who::Native, measure(|count| suite.run(name, count)));
            if peers.has(name) {
                let run = |count| peers.run(name, count, &suite);
                times.add(name, table::Who::NativePeer, measure(run));
            }
            times.add(name, table::Who::Wasm, node.measure("wasm", name)?);
            if node::has_peer(name) {
                times.add(name, table::Who::NodePeer, node.measure("peer", name)?);
            }
        }
    }
    eprintln!();
    print!("{}", table::markdown(&times, &suite));
    Ok(())
}

/// Nanoseconds for one time, over at least 40 ms.
#[cfg(not(target_family = "wasm"))]
fn measure(mut run: impl FnMut(u32)) -> f64 {
    use std::time::Instant;

    let mut count = 1;
    loop {
        let start = Instant::now();
        run(count);
        let nanoseconds = start.elapsed().as_secs_f64() * 1e9;
        if nanoseconds > 4e7 {
            return nanoseconds / f64::from(count);
        }
        // Towards 60 ms, and never more than ten times as much as before.
        let wanted = f64::from(count) * 6e7 / nanoseconds.max(1.0);
        count = (wanted as u32).clamp(count + 1, count.saturating_mul(10));
    }
}
