//! Starts the real things — issuer, Envoy with the filter, MCP server — on free loopback ports, for
//! the demo and for tests, and ends them again.
#![forbid(unsafe_code)]
#![allow(
    clippy::std_instead_of_core,
    reason = "starts processes: there is no build of it without std"
)]

mod envoy;
mod failure;
pub mod http;
mod issuer;
pub mod load;
mod mcp_server;
mod places;
mod ports;
mod process;
mod stack;
mod stopwatch;
mod stub;

pub use envoy::{Clock, Envoy, EnvoyConfig};
pub use failure::{Failure, Outcome};
pub use issuer::{ACCOUNT, Issuer, PASSWORD, Resource};
pub use mcp_server::node_server;
pub use places::{Places, existing};
pub use ports::free_ports;
pub use process::{Scratch, Server};
pub use stack::{Options, Stack};
pub use stopwatch::Stopwatch;
pub use stub::{Answer, Stub};
