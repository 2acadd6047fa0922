//! Medians, ratios, and the table that docs/performance.md shows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use countersign_bench::suite::{NAMES, Suite};

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Native,
    NativePeer,
    Wasm,
    NodePeer,
}

/// Nanoseconds, round by round.
#[derive(Debug, Default)]
pub(crate) struct Times(BTreeMap<(&'static str, Who), Vec<f64>>);

impl Times {
    pub(crate) fn add(&mut self, name: &'static str, who: Who, nanoseconds: f64) {
        self.0.entry((name, who)).or_default().push(nanoseconds);
    }

    fn median(&self, name: &'static str, who: Who) -> Option<f64> {
        let mut all = self.0.get(&(name, who))?.clone();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }
}

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
        let cell = |who| times.median(name, who).map_or_else(String::new, |ns| time(ns, bytes));
        let ratio = |ours, theirs| match (times.median(name, ours), times.median(name, theirs)) {
            (Some(ours), Some(theirs)) => format!("{:.2}", ours / theirs),
            _ => String::new(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            title(name),
            cell(Who::Native),
            cell(Who::NativePeer),
            ratio(Who::Native, Who::NativePeer),
            cell(Who::Wasm),
            cell(Who::NodePeer),
            ratio(Who::Wasm, Who::NodePeer),
        );
    }
    text
}

fn time(nanoseconds: f64, bytes: Option<usize>) -> String {
    let microseconds = nanoseconds / 1000.0;
    let digits = if microseconds < 10.0 { 1 } else { 0 };
    let time = format!("{microseconds:.digits$} µs");
    match bytes {
        None => time,
        // Bytes in a nanosecond are gigabytes in a second.
        Some(bytes) => format!("{time}, {:.0} MB/s", bytes as f64 / nanoseconds * 1000.0),
    }
}
