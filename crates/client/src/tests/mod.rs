//! What the tests of this crate share: a server that says what it is told to say, and a world of an MCP
//! server and its authorization server made of it.

pub(crate) mod stub;
pub(crate) mod world;
