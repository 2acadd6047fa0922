//! Makes a module smaller with wasm-opt: start-up time in Envoy is proportional to size.

use std::fs;
use std::path::Path;
use std::process::Command;

use countersign_e2e::{Failure, Outcome, Places};
use serde_json::json;

use crate::command::{make_dir, run_quietly, say, write};
use crate::tools;

/// What rustc's own output uses, and no more: Envoy's V8 refuses a module with every feature on.
const FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-simd",
];

/// What a host calls in our filter, or reads of it. The SDK exports all callbacks that there are: those for
/// TCP, gRPC, queues and foreign functions are 20 KB of code that nothing of ours is behind, and a host calls
/// only what it finds.
const FILTER_EXPORTS: [&str; 18] = [
    "_initialize",
    "malloc",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_done",
    "proxy_on_http_call_response",
    "proxy_on_log",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_response_body",
    "proxy_on_response_headers",
    "proxy_on_response_trailers",
    "proxy_on_tick",
    "proxy_on_vm_start",
];

/// As [`optimise`], for the filter: without the callbacks that it has no use for.
pub(crate) fn optimise_filter(places: &Places, from: &Path, to: &Path) -> Outcome<()> {
    if is_newer(to, from) {
        return Ok(());
    }
    let exports = FILTER_EXPORTS.map(|name| json!({ "name": name, "export": name }));
    let host = json!({ "name": "host", "root": true, "reaches": FILTER_EXPORTS });
    let graph = from.with_extension("exports.json");
    write(&graph, json!([&[host][..], &exports[..]].concat()).to_string())?;
    let needed = from.with_extension("needed.wasm");
    run_quietly(
        Command::new(tools::wasm_metadce(places)?)
            .args(FEATURES)
            .arg("--graph-file")
            .arg(&graph)
            .arg(from)
            .arg("-o")
            .arg(&needed),
    )?;
    optimise(places, &needed, to)
}

/// Optimises `from` into `to`, unless that was done since `from` was made, and says both sizes.
pub(crate) fn optimise(places: &Places, from: &Path, to: &Path) -> Outcome<()> {
    if is_newer(to, from) {
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        make_dir(parent)?;
    }
    // Written beside the target and renamed: a running Envoy never sees half a module.
    let partial = to.with_extension("partial");
    run_quietly(
        Command::new(tools::wasm_opt(places)?)
            .args(["-O3", "--strip-debug", "--strip-producers", "--strip-target-features"])
            .args(FEATURES)
            .arg(from)
            .arg("-o")
            .arg(&partial),
    )?;
    let before = size(from)?;
    fs::rename(&partial, to).map_err(Failure::during(format_args!("writing {}", to.display())))?;
    let after = size(to)?;
    say(format_args!(
        "{}: {} KB (before wasm-opt {} KB)",
        to.strip_prefix(places.root()).unwrap_or(to).display(),
        after / 1000,
        before / 1000
    ));
    Ok(())
}

fn size(path: &Path) -> Outcome<u64> {
    path.metadata()
        .map(|metadata| metadata.len())
        .map_err(Failure::during(format_args!("reading {}", path.display())))
}

/// Was `this` made after `that`?
pub(crate) fn is_newer(this: &Path, that: &Path) -> bool {
    let made = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    matches!((made(this), made(that)), (Some(this), Some(that)) if this > that)
}
