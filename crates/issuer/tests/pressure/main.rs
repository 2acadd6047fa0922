//! The authorization server when many come at once, when they hang up half way, when two servers
//! share a database, and under a path. Numbers of attacks are those of the issuer's list of duties.
#![allow(clippy::unwrap_used, missing_docs)]

mod abandoned;
#[allow(dead_code)]
#[path = "../issuer/browser.rs"]
mod browser;
mod down;
#[allow(dead_code)]
#[path = "../issuer/http.rs"]
mod http;
#[allow(dead_code)]
#[path = "../issuer/issuer.rs"]
mod issuer;
mod parallel;
mod path;
mod redis;
mod shared;
mod strangers;
