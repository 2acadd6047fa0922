//! Starts the real things — issuer, Envoy with the filter, MCP server — on free loopback ports, for
//! the demo and for tests, and ends them again.
#![forbid(unsafe_code)]

mod failure;
mod places;

pub use failure::{Failure, Outcome};
pub use places::{Places, existing};
