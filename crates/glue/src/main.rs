//! Makes the JavaScript glue around a wasm module: wasm-bindgen's own command line as a library, so
//! that its version is the one in Cargo.lock.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    let [module, out_dir] = args.as_slice() else {
        eprintln!("usage: countersign-glue MODULE.wasm OUT_DIR");
        return ExitCode::from(2);
    };
    let made = Bindgen::new()
        .web(true)
        .map(|bindgen| {
            bindgen
                .input_path(module)
                .out_name("core")
                .typescript(true)
                // The glue must not name the module's file by itself: each host finds it its own way.
                .omit_default_module_path(true)
                .remove_producers_section(true)
                .remove_name_section(true)
        })
        .and_then(|bindgen| bindgen.generate(out_dir));
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("countersign-glue: {error:#}");
            ExitCode::FAILURE
        }
    }
}
