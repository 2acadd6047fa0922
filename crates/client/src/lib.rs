//! An OAuth 2.1 client for MCP servers: what `countersign login`, `call` and `audit` are made of.
//!
//! A login goes through these files, in this order: [`discovery`] finds the resource's metadata and its
//! authorization server, [`registration`] becomes a client there, [`authorization`] asks a user by way
//! of their browser, [`callback`] receives the answer, [`token`] trades it for tokens, and [`store`]
//! keeps them. [`session`] has a token ready for each request, renews it, and asks for more where a server
//! does; [`mcp`] makes the requests; [`logout`] gives back what was given. All of it is held to MCP's
//! authorization specification, revision 2026-07-28, and to what that asks of clients; older servers are
//! understood where that costs no safety.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::expect_used, clippy::panic, clippy::unwrap_used))]

pub mod access;
pub mod audit;
pub mod authorization;
pub mod callback;
pub mod client_auth;
pub mod discovery;
pub mod dpop;
mod error;
mod http;
pub mod identity;
mod jws;
pub mod login;
pub mod logout;
pub mod mcp;
mod random;
mod refusal;
pub mod registration;
mod secret;
pub mod session;
pub mod store;
#[cfg(test)]
mod tests;
mod text;
pub mod token;

pub use reqwest::Url;

pub use self::{
    error::Error,
    http::{Answer, Http, check_url},
    refusal::Refusal,
    secret::Secret,
    text::is_unseemly,
};
