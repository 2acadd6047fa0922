//! The headers that mirror a request since revision 2026-07-28 (Streamable HTTP, request metadata).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::Error;

/// The revision that a request is of.
pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// The session that a request belongs to, before revision 2026-07-28.
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// A value as it stands in a header: plainly where that is safe, else in base64 (value encoding).
///
/// A tab within a value would be safe, but some take it for a control character.
pub(super) fn encode(value: &str) -> String {
    let is_padded = value.starts_with(' ') || value.ends_with(' ');
    let is_like_base64 = value.starts_with("=?base64?") && value.ends_with("?=");
    if is_padded || is_like_base64 || !is_visible(value) {
        format!("=?base64?{}?=", STANDARD.encode(value))
    } else {
        value.to_owned()
    }
}

/// `Mcp-Method`, and `Mcp-Name` where the method has one (standard request headers).
pub(super) fn standard(method: &str, params: &Map<String, Value>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(METHOD, value(method)?);
    let source = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return Ok(headers),
    };
    if let Some(name) = params.get(source).and_then(Value::as_str) {
        headers.insert(NAME, value(&encode(name))?);
    }
    Ok(headers)
}

/// A header's value, of text that needs no encoding.
pub(super) fn value(text: &str) -> Result<HeaderValue, Error> {
    let value = HeaderValue::from_str(text).ok().filter(|_| is_visible(text));
    value.ok_or(Error::Request("a method has letters that no header can carry"))
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use countersign_core::mcp::headers::decode_value;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The examples of the specification, value encoding.
    #[test]
    fn values_of_the_specification() {
        for (value, encoded) in [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ] {
            assert_eq!(encode(value), encoded, "{value:?}");
        }
    }

    #[test]
    fn values_at_the_edge() {
        for plain in ["", "a b", "=?base64?x", "x?=", "=?BASE64?x?=", "~!", "file:///a%20b?c=d"] {
            assert_eq!(encode(plain), plain);
        }
        for hidden in ["a\tb", "\t", " a", "a ", "a\u{7f}", "a\0", "é", "a\r\nX-Evil: 1"] {
            assert!(encode(hidden).starts_with("=?base64?"), "{hidden:?}");
        }
    }

    #[test]
    fn what_is_mirrored() {
        let headers = |method, params: Value| {
            standard(method, params.as_object().unwrap())
                .unwrap()
                .iter()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            headers("tools/call", json!({ "name": "löschen", "uri": "x" })),
            ["mcp-method: tools/call", "mcp-name: =?base64?bMO2c2NoZW4=?="]
        );
        assert_eq!(
            headers("resources/read", json!({ "uri": "file:///a", "name": "x" })),
            ["mcp-method: resources/read", "mcp-name: file:///a"]
        );
        assert_eq!(
            headers("prompts/get", json!({ "name": "p" })),
            ["mcp-method: prompts/get", "mcp-name: p"]
        );
        assert_eq!(headers("tools/list", json!({ "name": "p" })), ["mcp-method: tools/list"]);
        assert_eq!(headers("tools/call", json!({})), ["mcp-method: tools/call"]);
        assert!(standard("a\nb", &Map::new()).is_err());
        assert!(standard("é", &Map::new()).is_err());
    }

    proptest! {
        /// The guard reads what this writes, and no value can break out of its header.
        #[test]
        fn guards_read_it_back(text in any::<String>()) {
            let encoded = encode(&text);
            prop_assert!(HeaderValue::from_str(&encoded).unwrap().to_str().is_ok());
            prop_assert_eq!(decode_value(encoded.as_bytes()), Some(text));
        }
    }
}
