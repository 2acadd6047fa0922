//! The binary as people and scripts run it.
#![allow(clippy::unwrap_used, missing_docs)]

mod administration;
mod audit;
mod backup;
mod changes;
mod completions;
mod configuration;
mod documented;
mod explain;
#[path = "../../../issuer/tests/issuer/http.rs"]
#[allow(dead_code)]
mod http;
mod keys;
mod server;
mod token;
mod tool;
mod verify;
