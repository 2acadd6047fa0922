//! Builds the wasm standard library once, from Debian's sources, into `target/wasm-sysroot`.

use std::fs;
use std::path::{Path, PathBuf};

use countersign_e2e::{Failure, Outcome, Places};

use super::{TARGET, Toolchain, debian};
use crate::command::{copy, files_in, make_dir, remove_dir, run_quietly, say, timed, write};
use crate::tools::lock;

/// A crate with nothing in it, so that `-Z build-std` has something to build the library for.
const MANIFEST: &str = "\
[package]
name = \"wasm-std\"
edition = \"2024\"

[lib]
path = \"lib.rs\"

[profile.release]
panic = \"abort\"

[workspace]
";

/// Where a sysroot keeps its libraries for wasm.
pub(super) fn libraries(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("lib")
}

/// Does this folder hold a standard library?
pub(super) fn has_core(libraries: &Path) -> bool {
    files_in(libraries).is_ok_and(|files| files.iter().any(|file| crate_name(file) == Some("core")))
}

/// The sysroot for Debian's compiler; built when there is none, or one of another version.
pub(super) fn ensure(places: &Places) -> Outcome<PathBuf> {
    let sysroot = places.made("wasm-sysroot");
    let _lock = lock(&places.made("wasm-build"))?;
    let version = debian::version()?;
    let stamp = sysroot.join("compiler-version");
    if fs::read_to_string(&stamp).is_ok_and(|text| text == version) {
        return Ok(sysroot);
    }
    say(format_args!("building the standard library for {TARGET} (once, about a minute)"));
    timed("standard library", || {
        remove_dir(&sysroot)?;
        let built = build(places)?;
        let into = libraries(&sysroot);
        make_dir(&into)?;
        for file in built {
            if let Some(name) = file.file_name() {
                copy(&file, &into.join(name))?;
            }
        }
        write(&stamp, &version)
    })?;
    Ok(sysroot)
}

/// A sysroot that has `core` and `alloc` but no `std`: what builds against it needs none.
pub(crate) fn without_std(places: &Places, toolchain: &Toolchain) -> Outcome<PathBuf> {
    let sysroot = places.made("no-std-sysroot");
    remove_dir(&sysroot)?;
    let into = libraries(&sysroot);
    for file in files_in(&toolchain.libraries())? {
        let kept = matches!(crate_name(&file), Some("core" | "alloc" | "compiler_builtins"));
        if let (true, Some(name)) = (kept, file.file_name()) {
            copy(&file, &into.join(name))?;
        }
    }
    if !has_core(&into) {
        return Err(Failure::new(format!("no libcore in {}", toolchain.libraries().display())));
    }
    Ok(sysroot)
}

/// Compiles the library in a throw-away crate; returns its rlibs.
fn build(places: &Places) -> Outcome<Vec<PathBuf>> {
    let dir = places.made("wasm-std");
    remove_dir(&dir)?;
    write(&dir.join("Cargo.toml"), MANIFEST)?;
    write(&dir.join("lib.rs"), "#![no_std]\n")?;
    let vendored = format!("source.debian.directory=\"{}/vendor\"", debian::LIBRARY);
    let mut command = debian::cargo_in(&dir);
    command
        // -Z is for this crate alone; what we ship is built without it.
        .env("RUSTC_BOOTSTRAP", "1")
        // Bitcode lets the fat LTO of profile `wasm` reach into the library.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .env("CARGO_TARGET_DIR", dir.join("target"))
        // The library's own dependencies lie beside its sources: nothing is downloaded.
        .args(["build", "--offline", "--release", "--target", TARGET])
        .args(["-Z", "build-std=std,panic_abort"])
        .args(["--config", "source.crates-io.replace-with=\"debian\""])
        .args(["--config", &vendored]);
    run_quietly(&mut command)?;
    let all = files_in(&dir.join("target").join(TARGET).join("release/deps"))?;
    Ok(all
        .into_iter()
        .filter(|file| crate_name(file).is_some_and(|name| name != "wasm_std"))
        .collect())
}

/// `core` for `…/libcore-0123456789abcdef.rlib`.
fn crate_name(file: &Path) -> Option<&str> {
    let stem = file.file_name()?.to_str()?;
    let stem = stem.strip_prefix("lib")?.strip_suffix(".rlib")?;
    stem.split('-').next()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::crate_name;

    #[test]
    fn names_of_libraries() {
        let name = |file| crate_name(Path::new(file));
        assert_eq!(name("/x/libcore-01ab.rlib"), Some("core"));
        assert_eq!(name("/x/libcompiler_builtins-01ab.rlib"), Some("compiler_builtins"));
        assert_eq!(name("/x/libcore-01ab.rmeta"), None);
        assert_eq!(name("/x/core.d"), None);
    }
}
