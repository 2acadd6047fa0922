//! Parts that are nobody's interface, open to the fuzz targets: only with `--cfg fuzzing`.

use alloc::string::String;

/// The form in which URIs of MCP resources are compared.
#[must_use]
pub fn comparable_uri(uri: &str) -> Option<String> {
    crate::mcp::comparable_uri(uri)
}

/// Whether servers would read a request target differently.
#[must_use]
pub fn ambiguous_path(path: &str) -> bool {
    crate::mcp::ambiguous_path(path)
}
