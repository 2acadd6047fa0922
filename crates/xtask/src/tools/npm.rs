//! npm packages by lock file: SDKs, the conformance suite, Node 22, wasm-opt, tsc, runtimes and bundlers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use countersign_e2e::{Failure, Outcome, Places, existing};

use super::{committed, once};
use crate::command::{copy, run_quietly, say};

/// Makes sure that the packages of `tests/package-lock.json` are installed.
pub(crate) fn npm(places: &Places) -> Outcome<()> {
    install(places, "tests", "npm", "ci", "80 MB packed")?;
    link(&places.path("tests/node_modules"), "npm")
}

/// The same for the frameworks, runtimes and bundlers that only the npm package's tests need
/// (`tests/js/package-lock.json`).
///
/// By `npm install`, which takes from the lock file what is in it, and does not insist on packages for
/// other systems, which not every registry has.
pub(crate) fn npm_js(places: &Places) -> Outcome<()> {
    install(places, "tests/js", "npm-js", "install", "300 MB packed")?;
    link(&places.path("js/node_modules"), "npm-js")
}

/// The strict OAuth clients of the issuer's tests (`tests/clients/package-lock.json`).
pub(crate) fn npm_clients(places: &Places) -> Outcome<()> {
    install(places, "tests/clients", "npm-clients", "ci", "1 MB packed")?;
    link_from(&places.path("tests/clients/node_modules"), "../..", "npm-clients")
}

/// Node 24, of the packages of [`npm_js`].
pub(crate) fn node24(places: &Places) -> Outcome<PathBuf> {
    npm_js(places)?;
    let cpu = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let path = format!("npm-js/node_modules/node24-linux-{cpu}/bin/node");
    existing(places.tools().join(path), "Node 24")
}

/// Deno, of the packages of [`npm_js`].
pub(crate) fn deno(places: &Places) -> Outcome<PathBuf> {
    npm_js(places)?;
    let cpu = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let path = format!("npm-js/node_modules/@deno/linux-{cpu}-glibc/deno");
    existing(places.tools().join(path), "Deno")
}

/// Bun, of the packages of [`npm_js`].
pub(crate) fn bun(places: &Places) -> Outcome<PathBuf> {
    npm_js(places)?;
    let cpu = if cfg!(target_arch = "aarch64") { "aarch64" } else { "x64" };
    let path = format!("npm-js/node_modules/@oven/bun-linux-{cpu}/bin/bun");
    existing(places.tools().join(path), "Bun")
}

/// Cloudflare's Workers runtime, of the packages of [`npm_js`].
pub(crate) fn workerd(places: &Places) -> Outcome<PathBuf> {
    npm_js(places)?;
    let cpu = if cfg!(target_arch = "aarch64") { "arm64" } else { "64" };
    let path = format!("npm-js/node_modules/@cloudflare/workerd-linux-{cpu}/bin/workerd");
    existing(places.tools().join(path), "workerd")
}

fn install(places: &Places, from: &str, to: &str, how: &str, size: &str) -> Outcome<()> {
    check_node()?;
    let lock = places.path(&format!("{from}/package-lock.json"));
    let pin = committed(&lock)?;
    once(places, to, &pin, |dir| {
        say(format_args!("fetching the npm packages of {from}/package-lock.json ({size})"));
        copy(&places.path(&format!("{from}/package.json")), &dir.join("package.json"))?;
        copy(&lock, &dir.join("package-lock.json"))?;
        run_quietly(
            Command::new("npm")
                .current_dir(dir)
                .args([how, "--ignore-scripts", "--no-audit", "--no-fund"])
                .arg("--loglevel=error"),
        )
        .map(drop)
        .map_err(|failure| failure.next("this needs npm, and the npm registry in reach"))
    })
}

/// The machine's own Node must be one that the SDKs support.
fn check_node() -> Outcome<()> {
    let wanted = "install Node.js 20.19 or newer, with npm";
    let version = run_quietly(Command::new("node").arg("--version"))
        .map_err(|failure| failure.next(wanted))?;
    match is_new_enough(&version) {
        true => Ok(()),
        false => Err(Failure::new(format!("this is Node.js {}", version.trim())).next(wanted)),
    }
}

/// What `engines` of the npm package asks for.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim().trim_start_matches('v').split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (20, 19),
        _ => false,
    }
}

/// wasm-opt, of the package binaryen.
pub(crate) fn wasm_opt(places: &Places) -> Outcome<PathBuf> {
    npm(places)?;
    existing(places.node_modules().join("binaryen/bin/wasm-opt"), "wasm-opt")
}

/// wasm-metadce, of the same.
pub(crate) fn wasm_metadce(places: &Places) -> Outcome<PathBuf> {
    npm(places)?;
    existing(places.node_modules().join("binaryen/bin/wasm-metadce"), "wasm-metadce")
}

/// The assembler for wasm's text form.
pub(crate) fn wasm_as(places: &Places) -> Outcome<PathBuf> {
    npm(places)?;
    existing(places.node_modules().join("binaryen/bin/wasm-as"), "wasm-as")
}

/// The TypeScript compiler.
pub(crate) fn tsc(places: &Places) -> Outcome<PathBuf> {
    npm(places)?;
    existing(places.node_modules().join("typescript/bin/tsc"), "tsc")
}

/// Lets scripts beside `at`, in a folder of the checkout, import the packages.
fn link(at: &Path, packages: &str) -> Outcome<()> {
    link_from(at, "..", packages)
}

/// The same, where `up` leads from the folder to the checkout.
fn link_from(at: &Path, up: &str, packages: &str) -> Outcome<()> {
    let target = Path::new(up).join("target/tools").join(packages).join("node_modules");
    if fs::read_link(at).is_ok_and(|link| link == target) {
        return Ok(());
    }
    let made = match fs::remove_file(at) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => std::os::unix::fs::symlink(&target, at),
    };
    made.map_err(|error| {
        Failure::new(format!("linking {}: {error}", at.display()))
            .next(format!("remove {} and try again", at.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn nodes_that_will_do() {
        for good in ["v20.19.0\n", "v20.20.2", "v22.0.0", "v100.1.1"] {
            assert!(is_new_enough(good), "{good}");
        }
        for bad in ["v20.18.3", "v18.20.0", "", "20"] {
            assert!(!is_new_enough(bad), "{bad}");
        }
    }
}
