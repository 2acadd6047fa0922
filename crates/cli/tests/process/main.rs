//! The `countersign` program as a process: its exit codes, and what survives its death.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod browser;
mod killed;
mod nodes;
mod policy;
mod program;
mod refusals;
#[cfg(target_os = "linux")]
mod synced;
mod tokens;
