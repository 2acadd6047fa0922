//! The headers that mirror a message since revision 2026-07-28 (MCP, Streamable HTTP).

use alloc::{borrow::ToOwned as _, string::String};

use crate::jose::base64url;

/// The first revision in which clients must send `Mcp-Method` and `Mcp-Name`.
const MIRRORED_SINCE: &str = "2026-07-28";

/// Whether this `MCP-Protocol-Version` is one in which the mirrored headers must be sent. Absent
/// and unknown versions are not: their operation stands in the body alone.
#[must_use]
pub fn must_mirror(version: Option<&[u8]>) -> bool {
    let is_date = |text: &[u8]| {
        text.len() == 10
            && text.iter().enumerate().all(|(index, byte)| match index {
                4 | 7 => *byte == b'-',
                _ => byte.is_ascii_digit(),
            })
    };
    version.is_some_and(|version| is_date(version) && version >= MIRRORED_SINCE.as_bytes())
}

/// Decodes a mirrored value: `=?base64?…?=` holds UTF-8 that a header cannot carry plainly.
///
/// `None` when the value is not text or the base64 form is malformed.
///
/// ```
/// use countersign_core::mcp::headers::decode_value;
/// assert_eq!(decode_value(b"read_file").as_deref(), Some("read_file"));
/// assert_eq!(decode_value("=?base64?bMO2c2NoZW4=?=".as_bytes()).as_deref(), Some("löschen"));
/// assert_eq!(decode_value(b"=?base64?%%?="), None);
/// ```
#[must_use]
pub fn decode_value(value: &[u8]) -> Option<String> {
    let text = core::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    let encoded = text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    match encoded {
        None => Some(text.to_owned()),
        Some(encoded) => String::from_utf8(base64url::decode_standard(encoded).ok()?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for version in ["2026-07-28", "2026-11-01", "2027-01-01"] {
            assert!(must_mirror(Some(version.as_bytes())), "{version}");
        }
        for version in ["2025-11-25", "2025-03-26", "", "latest", "DRAFT-2026-v1", "9999"] {
            assert!(!must_mirror(Some(version.as_bytes())), "{version}");
        }
        assert!(!must_mirror(None));
    }
}
