//! The tables of `cargo xtask bench verify` in docs/performance.md.

use std::fmt::Write as _;

use countersign_bench::verify_suite::{NAMES, SETUPS};
use serde_json::Value;

use super::{FORMER, Times, Who};

/// What a Node said of itself.
pub(crate) struct About {
    version: String,
    /// Of the generator's table and of a key's, in wasm.
    table_bytes: [u64; 2],
}

impl About {
    pub(crate) fn read(about: &Value) -> Self {
        let bytes = |at: usize| about["tableBytes"][at].as_u64().unwrap_or_default();
        let version = about["version"].as_str().unwrap_or("?").trim_start_matches('v').to_owned();
        Self { version, table_bytes: [bytes(0), bytes(1)] }
    }
}

fn title(name: &str) -> &'static str {
    match name {
        "es256" => "ES256",
        "es384" => "ES384",
        "rs256-2048" => "RS256, 2048 bits",
        "rs256-4096" => "RS256, 4096 bits",
        "ps256-2048" => "PS256, 2048 bits",
        "ed25519" => "Ed25519",
        "self-test" => "the start: the generator's table, all known answers",
        "first-use" => "a P-256 key's table, and a verification by it",
        "p256-key" => "a P-256 key made and checked",
        "rsa-2048" => "an RSA key of 2048 bits made and checked",
        "rsa-4096" => "the same, 4096 bits",
        "rsa-8192" => "the same, 8192 bits",
        _ => "?",
    }
}

pub(crate) fn markdown(
    times: &Times,
    rounds: u32,
    table_bytes: [usize; 2],
    nodes: &[About],
) -> String {
    let mut text = format!("{rounds} rounds, a message of 700 bytes; each figure is the median.\n");
    let peers =
        [("reference", Who::NativeReference), ("aws-lc-rs", Who::AwsLc), ("ring", Who::Ring)];
    verifications(&mut text, times, "Native", Who::Native, &peers);
    for (number, node) in nodes.iter().enumerate() {
        let peers = [
            ("reference in wasm", Who::WasmReference(number)),
            ("`crypto.subtle`", Who::Subtle(number)),
            ("`node:crypto`", Who::NodeCrypto(number)),
        ];
        let title = format!("WebAssembly in Node {}", node.version);
        verifications(&mut text, times, &title, Who::Wasm(number), &peers);
    }
    setups(&mut text, times, nodes);
    let [generator, key] = table_bytes;
    let _ = writeln!(
        text,
        "\nThe generator's table takes {generator} bytes natively, a key's {key}; in wasm {} and {}.",
        nodes.first().map_or(0, |node| node.table_bytes[0]),
        nodes.first().map_or(0, |node| node.table_bytes[1]),
    );
    let former = (0..nodes.len()).map(|number| times.cell(FORMER, Who::WasmFormer(number)));
    let former: Vec<String> = former.collect();
    let _ = writeln!(
        text,
        "\nThe reference for RSA is `rsa` 0.10. The release before it, 0.9, takes {} for RS256 with 2048 bits.",
        former.join(" and "),
    );
    targets(&mut text, times, nodes);
    text
}

/// A heading, and a row for each algorithm: ours, the peers, and ours divided by each peer's.
fn verifications(
    text: &mut String,
    times: &Times,
    title_of: &str,
    ours: Who,
    peers: &[(&str, Who)],
) {
    let names: Vec<&str> = peers.iter().map(|(name, _)| *name).collect();
    let _ = write!(text, "\n### {title_of}\n\n| | ours | {} ", names.join(" | "));
    let _ = writeln!(text, "| to {} |", names.join(" | to "));
    let _ = writeln!(text, "|---|---:|{}", "---:|".repeat(2 * peers.len()));
    for name in NAMES {
        let cells = peers.iter().map(|(_, who)| times.cell(name, *who));
        let ratios = peers.iter().map(|(_, who)| times.ratio_cell(name, ours, *who));
        let cells: Vec<String> = cells.chain(ratios).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            title(name),
            times.cell(name, ours),
            cells.join(" | ")
        );
    }
}

fn setups(text: &mut String, times: &Times, nodes: &[About]) {
    let versions: Vec<String> = nodes.iter().map(|node| format!("Node {}", node.version)).collect();
    let _ = writeln!(text, "\n### What is made before\n\n| | native | {} |", versions.join(" | "));
    let _ = writeln!(text, "|---|---:|{}", "---:|".repeat(nodes.len()));
    for name in SETUPS {
        let cells: Vec<String> =
            (0..nodes.len()).map(|number| times.cell(name, Who::Wasm(number))).collect();
        let native = times.cell(name, Who::Native);
        let _ = writeln!(text, "| {} | {native} | {} |", title(name), cells.join(" | "));
    }
}

/// Each goal with what was found, in every Node.
fn targets(text: &mut String, times: &Times, nodes: &[About]) {
    let _ = writeln!(
        text,
        "\n### The verifier against its targets\n\n| target | found | |\n|---|---|---|"
    );
    let mut row = |target: &str, unit: &str, digits: usize, found: Vec<Option<f64>>, limit: f64| {
        let found: Vec<f64> = found.into_iter().flatten().collect();
        let verdict = match found.iter().all(|found| *found <= limit) {
            _ if found.is_empty() => "not measured",
            true => "met",
            false => "missed",
        };
        let texts: Vec<String> =
            found.iter().map(|found| format!("{found:.digits$}{unit}")).collect();
        let _ = writeln!(text, "| {target} | {} | {verdict} |", texts.join(", "));
    };
    let in_nodes = |name, theirs: fn(usize) -> Who| {
        let ratio = |number| times.ratio(name, Who::Wasm(number), theirs(number));
        (0..nodes.len()).map(ratio).collect::<Vec<_>>()
    };
    let ms_in_nodes = |name| {
        let time = |number| times.median(name, Who::Wasm(number)).map(|ns| ns / 1e6);
        (0..nodes.len()).map(time).collect::<Vec<_>>()
    };
    let es256 = |theirs| in_nodes("es256", theirs);
    row("ES256 in wasm ≤ 0.6 × `node:crypto`", "", 2, es256(Who::NodeCrypto), 0.6);
    row("ES256 in wasm ≤ 0.35 × `crypto.subtle`", "", 2, es256(Who::Subtle), 0.35);
    row("ES256 in wasm ≤ 0.08 × `p256` 0.14", "", 3, es256(Who::WasmReference), 0.08);
    let native = vec![times.ratio("es256", Who::Native, Who::AwsLc)];
    row("ES256 natively ≤ 0.4 × aws-lc-rs", "", 2, native, 0.4);
    let rs256 = in_nodes(FORMER, Who::WasmFormer);
    row("RS256 in wasm ≤ 0.15 × `rsa` 0.9", "", 2, rs256, 0.15);
    let mut ed25519 = in_nodes("ed25519", Who::WasmReference);
    ed25519.insert(0, times.ratio("ed25519", Who::Native, Who::NativeReference));
    row("Ed25519 ≤ 1.0 × `ed25519-dalek` 3.0 (natively, in wasm)", "", 2, ed25519, 1.0);
    row("the table of a key ≤ 3 ms in wasm", " ms", 2, ms_in_nodes("first-use"), 3.0);
    let bytes = nodes.iter().map(|node| Some(node.table_bytes[1] as f64 / 1000.0)).collect();
    row("and ≤ 100 KB", " KB", 1, bytes, 100.0);
    row("known answers at start ≤ 5 ms in wasm", " ms", 2, ms_in_nodes("self-test"), 5.0);
}
