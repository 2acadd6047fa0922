//! `cargo xtask dist`: what is released, in `target/dist`.

use std::fs;

use countersign_e2e::{Failure, Outcome, Places};

use crate::build::{self, compile_into};
use crate::command::{make_dir, remove_dir, say, timed, write};
use crate::oci::{sha256, write_layout};
use crate::wasm;

/// Beyond this Envoy takes long to start.
const TARGET_KB: usize = 350;

/// The filter, optimised, and the image with it. `--check` builds it once more from nothing and compares.
pub(crate) fn make(places: &Places, args: &[String]) -> Outcome<()> {
    let check = match args {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err(Failure::new("wrong arguments").next("cargo xtask dist [--check]")),
    };
    build::parts(places, &["envoy".to_owned()])?;
    let read = |path| fs::read(path).map_err(Failure::during("reading the filter"));
    let module = read(places.filter())?;
    if check {
        timed("built again", || compare(places, &module))?;
    }
    let dist = places.made("dist");
    make_dir(&dist)?;
    write(&dist.join("countersign_envoy.wasm"), &module)?;
    let digest = sha256(&module);
    write(&dist.join("SHA256SUMS"), format!("{digest}  countersign_envoy.wasm\n"))?;
    let manifest = write_layout(&dist.join("oci"), &module, env!("CARGO_PKG_VERSION"))?;
    let size = module.len() / 1000;
    say(format_args!("target/dist/countersign_envoy.wasm: {size} KB, sha256 {digest}"));
    if size > TARGET_KB {
        say(format_args!("that is more than the {TARGET_KB} KB that were aimed at"));
    }
    say(format_args!("target/dist/oci: an OCI image layout, manifest sha256:{manifest}"));
    say("push it with: oras copy --from-oci-layout target/dist/oci:VERSION REGISTRY/IMAGE:TAG");
    Ok(())
}

/// Compiles into another folder, from nothing, and wants the same bytes.
fn compare(places: &Places, module: &[u8]) -> Outcome<()> {
    remove_dir(&places.made("dist-check"))?;
    let compiled = compile_into(places, "countersign-envoy", &[], "dist-check")?;
    let again = places.made("dist-check/again.wasm");
    wasm::optimise_filter(places, &compiled, &again)?;
    let again = fs::read(again).map_err(Failure::during("reading the second filter"))?;
    if again == module {
        say("built again from nothing: the same bytes");
        return Ok(());
    }
    Err(Failure::new("a second build made other bytes"))
}
