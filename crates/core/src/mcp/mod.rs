//! What an HTTP request asks of an MCP server.

pub mod headers;
pub mod message;
pub mod operation;
mod uri;
