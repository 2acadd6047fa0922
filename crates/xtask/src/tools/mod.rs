//! Tools that the build and the tests need, pinned and fetched into `target/tools` when first used.

mod envoy;
mod npm;
mod redis;
mod sdk_rust;
mod wheels;

use std::fs::{self, File};
use std::path::Path;

use countersign_e2e::{Failure, Outcome, Places};

use crate::command::{make_dir, say};

pub(crate) use self::redis::redis;
pub(crate) use envoy::envoy;
pub(crate) use npm::{
    bun, deno, node24, npm, npm_clients, npm_js, tsc, wasm_as, wasm_metadce, wasm_opt, workerd,
};

/// A tool, or what belongs together: its name, and what makes sure that it is there.
type Tool = (&'static str, fn(&Places) -> Outcome<()>);

const TOOLS: [Tool; 10] = [
    ("npm", npm),
    ("npm-js", npm_js),
    ("npm-clients", npm_clients),
    ("envoy", envoy),
    ("sdk-python", |places| wheels::install(places, "sdk-python", "the MCP Python SDK")),
    ("authlab", |places| wheels::install(places, "authlab", "mcp-authlab")),
    ("clients", |places| wheels::install(places, "clients", "Authlib")),
    ("schemathesis", |places| wheels::install(places, "schemathesis", "Schemathesis")),
    ("sdk-rust", sdk_rust::build),
    ("redis", redis),
];

/// Fetches those that are named, or all of them, for working offline afterwards.
pub(crate) fn fetch(places: &Places, names: &[String]) -> Outcome<()> {
    fetch_of(&TOOLS, places, names)
}

/// Fetches everything.
pub(crate) fn fetch_all(places: &Places) -> Outcome<()> {
    fetch(places, &[])
}

/// One that cannot be had keeps nobody from the others.
fn fetch_of(tools: &[Tool], places: &Places, names: &[String]) -> Outcome<()> {
    let known: Vec<&str> = tools.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(Failure::new(format!("no tool is called `{unknown}`"))
            .next(format!("cargo xtask tools [{}]", known.join("|"))));
    }
    let mut failed = Vec::new();
    for (name, make) in tools {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        if let Err(failure) = make(places) {
            say(format_args!("{name}: {failure}"));
            failed.push(*name);
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(format!("not to be had: {}", failed.join(", ")))
            .next(format!("cargo xtask tools {}", failed.join(" ")))),
    }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    static FETCHED: AtomicU32 = AtomicU32::new(0);

    fn there(_: &Places) -> Outcome<()> {
        FETCHED.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Who wants one tool gets it, whatever the others need; who wants all gets those that there are.
    #[test]
    fn each_tool_fails_for_itself() {
        const SOME: [Tool; 3] =
            [("a", there), ("b", |_| Err(Failure::new("no network"))), ("c", there)];
        let fetch = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let outcome = fetch_of(&SOME, &Places::of_checkout(), &names);
            (outcome.map_err(|failure| failure.to_string()), FETCHED.swap(0, Ordering::Relaxed))
        };
        assert_eq!(fetch(&["a"]), (Ok(()), 1));
        let (outcome, fetched) = fetch(&[]);
        assert_eq!(fetched, 2);
        assert_eq!(outcome.unwrap_err(), "not to be had: b\n  next: cargo xtask tools b");
        let (outcome, fetched) = fetch(&["a", "envoi"]);
        assert_eq!(fetched, 0);
        assert!(outcome.unwrap_err().contains("cargo xtask tools [a|b|c]"));
    }
}
