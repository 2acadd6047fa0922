//! URIs of MCP resources, made comparable with the patterns of a policy.

use alloc::{borrow::ToOwned as _, string::String, vec::Vec};

use crate::oauth::resource::{is_scheme, split};

/// The form in which URIs and patterns are compared: scheme and host in lower case, percent-encoded
/// unreserved characters decoded (RFC 3986 §6.2.2), one spelling for local files (RFC 8089).
///
/// `None` when servers could resolve the path to something that no pattern names: dot segments
/// (`file:///public/../secret`), empty segments, encoded separators and backslashes; and when a `%`
/// encodes nothing, since `%%361` is `%61` to a lenient server, which is `a` to the next one.
pub(crate) fn comparable(uri: &str) -> Option<String> {
    if encodes_nothing(uri) {
        return None;
    }
    let decoded = decode_unreserved(uri);
    let (prefix, path) = split_prefix(&decoded);
    let (path, rest) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
    let lower = path.to_ascii_lowercase();
    let hidden = ["%2f", "%5c", "\\", "//"].iter().any(|separator| lower.contains(separator));
    if hidden || lower.split('/').any(|segment| segment == "." || segment == "..") {
        return None;
    }
    let prefix = match prefix.to_ascii_lowercase() {
        file if file == "file://localhost" => "file://".to_owned(),
        // Without a slash there is no path from the root: `file:a/b` is not of the host `a`.
        file if file == "file:" && path.starts_with('/') => "file://".to_owned(),
        other => other,
    };
    Some(prefix + path + rest)
}

/// Scheme and, where there is one, authority; and what follows. What stands before `://` is a scheme or
/// nothing: `note:/public/../secret?x=://h` has its path before it.
fn split_prefix(uri: &str) -> (&str, &str) {
    if let Some((scheme, _, rest)) = split(uri)
        && is_scheme(scheme)
    {
        return uri.split_at(uri.len() - rest.len());
    }
    match uri.split_once(':') {
        Some((scheme, _)) if is_scheme(scheme) => uri.split_at(scheme.len() + 1),
        _ => ("", uri),
    }
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

/// Whether there is a `%` without two hexadecimal digits behind it (RFC 3986 §2.1).
fn encodes_nothing(uri: &str) -> bool {
    uri.split('%').skip(1).any(|rest| match rest.as_bytes() {
        [high, low, ..] => hex_pair(*high, *low).is_none(),
        _ => true,
    })
}

/// The byte that two hexadecimal digits stand for.
pub(crate) fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? * 16 + digit(low)?)
}

/// Whether a request target would be read differently by different servers: dot segments, empty
/// segments, parameters, backslashes, encoded separators, control characters, and encoded characters
/// that need no encoding (RFC 3986 §6.2.2.2: `/%61dmin` is `/admin` to every server that decodes).
pub(crate) fn ambiguous_path(path: &str) -> bool {
    let encodes = |path: &str| {
        let lower = path.to_ascii_lowercase();
        decode_unreserved(path) != path
            || ["%2f", "%5c", "%00", "%3b"].iter().any(|part| lower.contains(part))
    };
    path.contains('%') && encodes(path)
        || path.contains("//")
        || path.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || b"\\#;".contains(&byte))
        || path.split('/').any(|segment| matches!(segment, "." | ".."))
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
            "file:///public%2Fsecret",
            "file:////secret",
            "file:///public%5C..%5csecret",
            "..",
            "file:///public\\..\\secret",
            "file:/public/../secret?x=://h/",
            "note:/public/../secret#://h",
            "file:///%%361",
            "file:///public/%2",
            "file:///public/%",
            "file:///public/%zz",
        ] {
            assert_eq!(comparable(uri), None, "{uri}");
        }
        assert_eq!(comparable("FILE:///Public/a%62c").as_deref(), Some("file:///Public/abc"));
        for file in ["file:/a", "FILE:///a", "file://LOCALHOST/a"] {
            assert_eq!(comparable(file).as_deref(), Some("file:///a"), "{file}");
        }
        assert_eq!(comparable("FILE:Server/a").as_deref(), Some("file:Server/a"));
        assert_eq!(comparable("URN:x:Y").as_deref(), Some("urn:x:Y"));
        assert_eq!(comparable("file:///a..b/...").as_deref(), Some("file:///a..b/..."));
        assert_eq!(comparable("note://x?y=../z").as_deref(), Some("note://x?y=../z"));
    }

    #[test]
    fn ambiguous_targets() {
        for path in [
            "/%61",
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
