//! URIs of MCP resources, made comparable with the patterns of a policy.

use alloc::{string::String, vec::Vec};

use crate::oauth::resource::split;

/// The form in which URIs and patterns are compared: scheme and host in lower case, percent-encoded
/// unreserved characters decoded (RFC 3986 §6.2.2).
///
/// `None` when the path has dot segments, encoded or not: a server would resolve
/// `file:///public/../secret` to something that no pattern names.
pub(crate) fn comparable(uri: &str) -> Option<String> {
    let decoded = decode_unreserved(uri);
    let (prefix, path) = match split(&decoded) {
        Some((_, _, rest)) => decoded.split_at(decoded.len() - rest.len()),
        None => ("", decoded.as_str()),
    };
    let path_only = path.split(['?', '#']).next().unwrap_or(path).to_ascii_lowercase();
    // A server that decodes before it resolves sees a separator here.
    let path_only = path_only.replace("%2f", "/").replace("%5c", "/");
    if path_only.split(['/', '\\']).any(|segment| segment == "." || segment == "..") {
        return None;
    }
    Some(prefix.to_ascii_lowercase() + path)
}

fn decode_unreserved(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if let (b'%', [high, low, after @ ..]) = (first, tail)
            && let Some(byte) = hex_pair(*high, *low)
            && (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        {
            decoded.push(byte);
            rest = after;
        } else {
            decoded.push(first);
        }
    }
    // Only ASCII was put in for ASCII: the text is still UTF-8.
    String::from_utf8(decoded).unwrap_or_default()
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? * 16 + digit(low)?)
}

/// Whether a request target would be read differently by different servers: dot segments,
/// backslashes, encoded slashes or control characters in its path.
pub(crate) fn ambiguous_path(path: &str) -> bool {
    let decoded = decode_unreserved(path);
    let lower = decoded.to_ascii_lowercase();
    lower.contains(['\\', '#'])
        || lower.contains("%2f")
        || lower.contains("%5c")
        || lower.contains("%00")
        || lower.contains("//")
        || lower.bytes().any(|byte| byte <= b' ' || byte >= 0x7f)
        || lower.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_segments_never_compare() {
        for uri in [
            "file:///public/../secret",
            "file:///public/%2e%2E/secret",
            "file:///public/.%2e/secret",
            "file:///public/./x",
            "file:///public%2f..%2Fsecret",
            "file:///public%5C..%5csecret",
            "..",
            "file:///public\\..\\secret",
        ] {
            assert_eq!(comparable(uri), None, "{uri}");
        }
        assert_eq!(comparable("FILE:///Public/a%62c").as_deref(), Some("file:///Public/abc"));
        assert_eq!(comparable("file:///a..b/...").as_deref(), Some("file:///a..b/..."));
        assert_eq!(comparable("note://x?y=../z").as_deref(), Some("note://x?y=../z"));
    }

    #[test]
    fn ambiguous_targets() {
        for path in [
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
