//! OAuth 2.1 authorization for MCP servers: the engine, without I/O.
//!
//! [`guard::Engine`] turns an HTTP request into a decision. It never fetches, blocks or reads a
//! clock: the host feeds it request heads, key sets and the time, and carries out what it answers.
//! Around it are the parts it is made of, usable by themselves: [`jose`], [`jwt`], [`oauth`],
//! [`mcp`].
//!
//! `no_std` with `alloc`; no unsafe code; no panic for any input.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)
)]

extern crate alloc;

#[cfg(feature = "corpus")]
pub mod corpus;
#[cfg(fuzzing)]
pub mod fuzzing;
mod grammar;
pub mod guard;
pub mod jose;
pub mod jwt;
pub mod mcp;
pub mod oauth;
mod reason;
mod sorted;

pub use reason::{ChallengeError, Reason};

/// Seconds since 1970-01-01T00:00:00Z, as the host's clock has them.
pub type UnixSeconds = u64;
