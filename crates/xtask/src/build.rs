//! `cargo xtask build`: the native binary, the Envoy filter, the npm package's module.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_e2e::{Failure, Outcome, Places};

use crate::command::{cargo, copy, files_in, make_dir, remove_dir, run, timed};
use crate::tools;
use crate::wasm::{self, Toolchain};

/// Cargo's profile for modules, and the folder that its output lands in.
const PROFILE: &str = "wasm";

/// The npm package's crate.
const JS: &str = "countersign-js";

/// Builds the parts that are named, or all of them.
pub(crate) fn parts(places: &Places, args: &[String]) -> Outcome<()> {
    let release = args.iter().any(|arg| arg == "--release");
    let named: Vec<&str> =
        args.iter().map(String::as_str).filter(|arg| *arg != "--release").collect();
    if let Some(unknown) = named.iter().find(|part| !["native", "envoy", "js"].contains(part)) {
        return Err(Failure::new(format!("nothing is called `{unknown}`"))
            .next("cargo xtask build [native|envoy|js] [--release]"));
    }
    let wanted = |part| named.is_empty() || named.contains(&part);
    if wanted("native") {
        timed("native", || native(places, release))?;
    }
    if wanted("envoy") {
        timed("Envoy filter", || envoy(places))?;
    }
    if wanted("js") {
        timed("npm package", || js(places))?;
    }
    Ok(())
}

fn native(places: &Places, release: bool) -> Outcome<()> {
    let mut command = cargo(places);
    command.args(["build", "--package", "countersign"]);
    if release {
        command.arg("--release");
    }
    run(&mut command)
}

fn envoy(places: &Places) -> Outcome<()> {
    let module = compile(places, "countersign-envoy")?;
    wasm::optimise_filter(places, &module, &places.filter())
}

/// crates/js → wasm-bindgen → wasm-opt → `js/dist/core*`, then the TypeScript around it.
fn js(places: &Places) -> Outcome<()> {
    let module = compile(places, JS)?;
    let dist = places.path("js/dist");
    if !wasm::is_newer(&dist.join("core_bg.wasm"), &module) {
        glue(places, &module, &places.made("wasm/js"), &dist)?;
    }
    typescript(places)
}

/// Makes `core.js`, `core.d.ts` and the module that they go with, by way of the folder `made`.
pub(crate) fn glue(places: &Places, module: &Path, made: &Path, dist: &Path) -> Outcome<()> {
    remove_dir(made)?;
    make_dir(made)?;
    run(cargo(places)
        .args(["run", "--quiet", "--package", "countersign-glue", "--"])
        .arg(module)
        .arg(made))?;
    for file in files_in(made)? {
        match file.file_name() {
            Some(name) if name != "core_bg.wasm" => copy(&file, &dist.join(name))?,
            _ => {}
        }
    }
    // Last: its age tells whether all this was done.
    wasm::optimise(places, &made.join("core_bg.wasm"), &dist.join("core_bg.wasm"))
}

/// Compiles `js/src` when the package is there.
fn typescript(places: &Places) -> Outcome<()> {
    if !places.path("js/tsconfig.json").is_file() {
        return Ok(());
    }
    // Nothing of what was compiled before.
    remove_dir(&places.made("js"))?;
    run(Command::new(tools::tsc(places)?).current_dir(places.root()).args(["-p", "js"]))?;
    // The module as text, for hosts that cannot import the file; and few files for those that load them.
    for script in ["js/build/embed.mjs", "js/build/bundle.mjs"] {
        run(Command::new("node").current_dir(places.root()).arg(script))?;
    }
    Ok(())
}

/// Compiles one cdylib; returns the module.
pub(crate) fn compile(places: &Places, package: &str) -> Outcome<PathBuf> {
    compile_with(places, package, &[])
}

/// The same with these dependencies made for speed, whatever the profile says.
pub(crate) fn compile_with(places: &Places, package: &str, fast: &[&str]) -> Outcome<PathBuf> {
    compile_into(places, package, fast, "wasm-build")
}

/// The same in another folder of `target`.
pub(crate) fn compile_into(
    places: &Places,
    package: &str,
    fast: &[&str],
    folder: &str,
) -> Outcome<PathBuf> {
    let toolchain = Toolchain::find(places)?;
    let mut cargo = toolchain.cargo_with(places, "build", None, folder);
    for dependency in fast {
        cargo.arg("--config").arg(format!("profile.{PROFILE}.package.{dependency}.opt-level=3"));
    }
    if package == JS {
        // Its module is downloaded and compiled by each isolate: 90 KB less, and no slower in V8, where signatures
        // take most of a request's time.
        cargo
            .arg("--config")
            .arg(format!("profile.{PROFILE}.package.countersign-core.opt-level=\"s\""));
    }
    // wasm-bindgen reads the section that names the module's features; wasm-opt strips it later.
    cargo.env("CARGO_PROFILE_WASM_STRIP", "none");
    run(cargo.args(["--profile", PROFILE, "--package", package]))?;
    let module = places
        .made(folder)
        .join(wasm::TARGET)
        .join(PROFILE)
        .join(format!("{}.wasm", package.replace('-', "_")));
    match fs::metadata(&module) {
        Ok(_) => Ok(module),
        Err(_) => Err(Failure::new(format!("{package} built, but made no {}", module.display()))
            .next("its Cargo.toml needs [lib] crate-type = [\"cdylib\", \"rlib\"]")),
    }
}
