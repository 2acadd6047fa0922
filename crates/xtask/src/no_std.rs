//! Proves that the engine needs no standard library: it is compiled where there is none.

use countersign_e2e::{Failure, Outcome, Places};

use crate::command::{run, say};
use crate::wasm::{Toolchain, without_std};

/// What must build with `core` and `alloc` alone.
const PACKAGES: [&str; 2] = ["countersign-core", "countersign-verify"];

/// Builds them against a sysroot that has no `std`.
pub(crate) fn prove(places: &Places) -> Outcome<()> {
    let toolchain = Toolchain::find(places)?;
    let sysroot = without_std(places, &toolchain)?;
    for package in PACKAGES {
        let mut command =
            toolchain.cargo_with(places, "check", Some(sysroot.clone()), "no-std-build");
        run(command.args(["--quiet", "--package", package])).map_err(|failure| {
            Failure::new(format!("{package} does not compile without std: {failure}"))
                .next("look for a dependency whose default features pull in std, or a `use std::`")
        })?;
        say(format_args!("{package} compiles with core and alloc alone"));
    }
    Ok(())
}
