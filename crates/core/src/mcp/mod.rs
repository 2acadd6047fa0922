//! What an HTTP request asks of an MCP server.

pub(crate) mod events;
pub(crate) mod extent;
pub mod headers;
pub(crate) mod list;
pub mod message;
pub mod operation;
mod scan;
mod uri;

#[cfg(feature = "corpus")]
pub(crate) use uri::hex_pair;
pub(crate) use uri::{
    ambiguous_path, bare as bare_uris, comparable as comparable_uri,
    comparable_beginning as comparable_uri_beginning,
};
