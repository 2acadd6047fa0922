//! Debian's compiler beside rustup's: where no toolchain may be downloaded, its packages still can.

use std::path::Path;
use std::process::Command;

use countersign_e2e::{Failure, Outcome, Places};

use crate::command::{cargo_at, find_program, run_quietly, say};

/// rustc and cargo of Debian's web line, the standard library's sources, the wasm linker.
const PACKAGES: [&str; 5] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "lld-22"];
/// Where those packages put them; the ones on the PATH may be rustup's.
const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
/// The standard library's sources, with their dependencies in `vendor`.
pub(super) const LIBRARY: &str = "/usr/lib/rustlib/src/rust/library";

/// Installs the packages when they are missing and we may.
pub(super) fn ensure_installed() -> Outcome<()> {
    if is_installed() {
        return Ok(());
    }
    let packages = PACKAGES.join(" ");
    let by_hand = Failure::new("there is no Rust standard library for wasm32-unknown-unknown")
        .next(format!(
            "`rustup target add wasm32-unknown-unknown`, or on Debian: apt-get install {packages}"
        ));
    if find_program("apt-get").is_none() || !is_root() {
        return Err(by_hand);
    }
    say(format_args!("installing Debian's Rust for wasm: {packages}"));
    run_quietly(Command::new("apt-get").args(["update", "-q"]))?;
    run_quietly(
        Command::new("apt-get")
            .args(["install", "-q", "-y", "--no-install-recommends"])
            .args(PACKAGES)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    if is_installed() { Ok(()) } else { Err(by_hand) }
}

/// Debian's cargo with Debian's rustc, in the checkout.
pub(super) fn cargo(places: &Places) -> Command {
    with_debian_rustc(cargo_at(CARGO, places))
}

/// The same in a folder of its own, with a lock file of its own.
pub(super) fn cargo_in(dir: &Path) -> Command {
    let mut command = Command::new(CARGO);
    command.current_dir(dir);
    with_debian_rustc(command)
}

/// Takes out of the environment what rustup and our own cargo put there.
fn with_debian_rustc(mut command: Command) -> Command {
    command.env("RUSTC", RUSTC);
    for name in
        ["CARGO", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "RUSTFLAGS", "RUSTUP_TOOLCHAIN"]
    {
        command.env_remove(name);
    }
    command
}

/// The compiler's version, in full: a library belongs to exactly one.
pub(super) fn version() -> Outcome<String> {
    run_quietly(Command::new(RUSTC).arg("-vV"))
}

/// Asks dpkg, not the PATH: another rustc may be there too, and of another age.
fn is_installed() -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${db:Status-Status}\n"]).args(PACKAGES);
    run_quietly(&mut query).is_ok_and(|states| {
        states.lines().filter(|state| *state == "installed").count() == PACKAGES.len()
    })
}

fn is_root() -> bool {
    run_quietly(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
