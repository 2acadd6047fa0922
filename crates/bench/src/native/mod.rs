//! What measures, and writes the tables.

mod core;
mod node;
mod times;
mod verify;

use std::time::Instant;

pub(crate) type Failure = Box<dyn ::core::error::Error>;

/// Arguments: what to measure, the script for Node, the folder with the module and its glue, the rounds;
/// then jose's folder, or the Nodes.
pub(crate) fn run() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [what, script, module, rounds, rest @ ..] = args.as_slice() else {
        return Err("usage: countersign-bench core|verify SCRIPT MODULE_DIR ROUNDS …".into());
    };
    let rounds = rounds.parse()?;
    match (what.as_str(), rest) {
        ("core", [jose]) => core::run(script, module, jose, rounds),
        ("verify", nodes @ [_, ..]) => verify::run(script, module, nodes, rounds),
        _ => Err("usage: countersign-bench core … JOSE_DIR, or verify … NODE…".into()),
    }
}

/// Nanoseconds for one time, over at least 40 ms.
fn measure(mut run: impl FnMut(u32)) -> f64 {
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
