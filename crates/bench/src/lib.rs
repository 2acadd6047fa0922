//! What is measured of the engine: the same code natively and in wasm.
#![forbid(unsafe_code)]

pub mod suite;
#[cfg(target_family = "wasm")]
pub mod wasm;
