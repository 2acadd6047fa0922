//! Keys, tokens and shared vectors for Countersign's tests. Nothing here is secret, and nothing here
//! is for production.
#![forbid(unsafe_code)]
#![allow(clippy::missing_panics_doc, reason = "tests end where something is wrong")]

pub mod attacks;
pub mod drive;
pub mod json_suite;
pub mod keys;
#[cfg(unix)]
pub mod postgres;
#[cfg(unix)]
pub mod redis;
mod rsa_key;
pub mod status;
pub mod token;
pub mod vectors;
