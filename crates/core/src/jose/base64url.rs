//! Strict base64url without padding (RFC 7515 §2, RFC 4648 §5).

use alloc::{string::String, vec::Vec};
use core::fmt;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

/// The text is not canonical, unpadded base64url.
///
/// Padding, white space, the `+/` alphabet and unused bits that are not zero are all refused:
/// otherwise one token would have several spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidBase64;

impl fmt::Display for InvalidBase64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not canonical base64url without padding")
    }
}

impl core::error::Error for InvalidBase64 {}

/// Decodes canonical, unpadded base64url.
///
/// # Errors
/// [`InvalidBase64`] for everything else.
///
/// ```
/// use countersign_core::jose::base64url::decode;
/// assert_eq!(decode("-_8").unwrap(), [0xfb, 0xff]);
/// assert!(decode("-_9").is_err(), "unused bits must be zero");
/// assert!(decode("-_8=").is_err(), "no padding");
/// ```
pub fn decode(text: impl AsRef<[u8]>) -> Result<Vec<u8>, InvalidBase64> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidBase64)
}

/// Encodes without padding.
#[must_use]
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The other alphabet, with padding (RFC 4648 §4).
pub(crate) fn encode_standard(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Decodes canonical standard base64 with padding (RFC 4648 §4), which MCP uses in header values.
pub(crate) fn decode_standard(text: &str) -> Result<Vec<u8>, InvalidBase64> {
    STANDARD.decode(text).map_err(|_| InvalidBase64)
}
