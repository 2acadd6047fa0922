//! The authorization server over real HTTP. Numbers of attacks and complaints are those of the
//! issuer's list of duties; everything else names its clause.
#![allow(clippy::unwrap_used, missing_docs)]

mod authorize;
mod browser;
mod client_auth;
mod codes;
mod consent;
mod flow;
mod http;
mod issuer;
mod keys;
mod login;
mod metadata;
mod refresh;
mod register;
mod resources;
mod restart;
mod stranger;
mod tokens;
