//! `cargo xtask bench`: the engine, or its verifier, natively and in Node's V8, with others beside it,
//! interleaved in one run. The machine's speed drifts; ratios of one run stay.
#![forbid(unsafe_code)]

#[cfg(not(target_family = "wasm"))]
mod native;

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    match native::run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("countersign-bench: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

/// The library is what wasm has.
#[cfg(target_family = "wasm")]
fn main() {}
