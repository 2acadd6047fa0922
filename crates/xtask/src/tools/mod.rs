//! Tools that the build and the tests need, pinned and fetched into `target/tools` when first used.

mod envoy;
mod npm;
mod redis;
mod sdk_rust;
mod wheels;

use std::fs::{self, File};
use std::path::Path;

use countersign_e2e::{Failure, Outcome, Places};

use crate::command::make_dir;

pub(crate) use self::redis::redis;
pub(crate) use envoy::envoy;
pub(crate) use npm::{
    bun, deno, node24, npm, npm_clients, npm_js, tsc, wasm_as, wasm_metadce, wasm_opt, workerd,
};

/// Fetches everything, for working offline afterwards.
pub(crate) fn fetch_all(places: &Places) -> Outcome<()> {
    npm(places)?;
    npm_js(places)?;
    npm_clients(places)?;
    envoy(places)?;
    wheels::install(places, "sdk-python", "the MCP Python SDK")?;
    wheels::install(places, "authlab", "mcp-authlab")?;
    wheels::install(places, "clients", "Authlib")?;
    wheels::install(places, "schemathesis", "Schemathesis")?;
    sdk_rust::build(places)?;
    redis(places)
}

/// Runs `fetch` unless the folder already holds what `pin` (a lock file's text) asks for.
///
/// A lock on the tools folder keeps two builds from fetching at once; the stamp is written last, so
/// an interrupted fetch starts anew.
fn once(
    places: &Places,
    name: &str,
    pin: &str,
    fetch: impl FnOnce(&Path) -> Outcome<()>,
) -> Outcome<()> {
    let dir = places.tools().join(name);
    let stamp = places.tools().join(format!("{name}.pin"));
    let fetched = || fs::read_to_string(&stamp).is_ok_and(|text| text == pin);
    if fetched() {
        return Ok(());
    }
    let _lock = lock(&places.tools())?;
    if fetched() {
        return Ok(());
    }
    crate::command::remove_dir(&dir)?;
    make_dir(&dir)?;
    fetch(&dir)?;
    crate::command::write(&stamp, pin)
}

/// Holds the lock of a folder until the file is dropped.
pub(crate) fn lock(dir: &Path) -> Outcome<File> {
    make_dir(dir)?;
    let path = dir.join(".lock");
    let doing = format!("locking {}", path.display());
    let file = File::create(&path).map_err(Failure::during(&doing))?;
    file.lock().map_err(Failure::during(&doing))?;
    Ok(file)
}

/// A committed file's text.
fn committed(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(Failure::during(format_args!("reading {}", path.display())))
}
