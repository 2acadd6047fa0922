//! Medians, ratios, and the table that docs/performance.md shows.

use std::fmt::Write as _;

use countersign_bench::suite::{NAMES, Suite};

use crate::native::times::{self, time};

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Native,
    NativePeer,
    Wasm,
    NodePeer,
}

pub(crate) type Times = times::Times<Who>;

/// What a name stands for, and who the peers are.
fn title(name: &str) -> &'static str {
    match name {
        "cold-unverified" => "request with a new token, all but the signature",
        "cold-es256" => "the same with its signature, ES256",
        "cold-rs256" => "the same, RS256 with 2048 bits",
        "cold-eddsa" => "the same, Ed25519",
        "cached" => "request with a token that is remembered",
        "cached-2k" => "the same with a call of 2 KB, decided by its tool",
        "decision-2k" => "that decision alone: scan, rule, scopes",
        "scan-text" => "JSON-RPC scan of 1 MB, long texts",
        "scan-members" => "JSON-RPC scan of 1 MB, short members",
        "scan-2k" => "JSON-RPC scan of 2 KB, short members",
        "jwks" => "key set of four keys, read and checked",
        _ => "?",
    }
}

/// The table; for scans with the throughput.
pub(crate) fn markdown(times: &Times, suite: &Suite) -> String {
    let mut text = String::from(
        "| | native | peer | ratio | wasm in Node | peer in Node | ratio |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for name in NAMES {
        let bytes = suite.bytes(name);
        let cell =
            |who| times.median(name, who).map_or_else(String::new, |ns| with_speed(ns, bytes));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            title(name),
            cell(Who::Native),
            cell(Who::NativePeer),
            times.ratio_cell(name, Who::Native, Who::NativePeer),
            cell(Who::Wasm),
            cell(Who::NodePeer),
            times.ratio_cell(name, Who::Wasm, Who::NodePeer),
        );
    }
    text
}

fn with_speed(nanoseconds: f64, bytes: Option<usize>) -> String {
    let time = time(nanoseconds);
    match bytes {
        None => time,
        // Bytes in a nanosecond are gigabytes in a second.
        Some(bytes) => format!("{time}, {:.0} MB/s", bytes as f64 / nanoseconds * 1000.0),
    }
}
