//! Request targets that servers would read differently.

use super::unescaped;

/// Whether a request target would be read differently by different servers: dot segments, empty
/// segments, parameters, backslashes, encoded separators, control characters, and encoded characters
/// that need no encoding (RFC 3986 §6.2.2.2: `/%61dmin` is `/admin` to every server that decodes).
pub(crate) fn ambiguous_path(path: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encodes = |path: &str| {
        let lower = path.to_ascii_lowercase();
        unescaped(path).flatten().any(|(byte, was_escaped)| was_escaped && is_unreserved(byte))
            || ["%2f", "%5c", "%00", "%3b"].iter().any(|part| lower.contains(part))
    };
    path.contains('%') && encodes(path)
        || path.contains("//")
        || path.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || b"\\#;".contains(&byte))
        || path.split('/').any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::ambiguous_path;

    #[test]
    fn ambiguous_targets() {
        for path in [
            "/%61",
            "/%%61",
            "/a;x",
            "/a%3Bx",
            "/a/../b",
            "/a/%2e%2e/b",
            "/a/..;x/b",
            "/a\\b",
            "/a%2fb",
            "/a%5Cb",
            "//a",
            "/a//b",
            "/a%00",
            "/a b",
            "/a#b",
            "/ü",
            "/.",
            "/..",
        ] {
            assert!(ambiguous_path(path), "{path}");
        }
        for path in ["/", "/mcp", "/mcp/", "/a.b/...", "/a%20b", "/~user"] {
            assert!(!ambiguous_path(path), "{path}");
        }
    }
}
