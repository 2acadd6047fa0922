//! What is measured of the engine and of its verifier: the same code natively and in wasm.
#![forbid(unsafe_code)]

pub mod case;
pub mod suite;
pub mod verify_suite;
#[cfg(target_family = "wasm")]
pub mod wasm;
