//! What is signed of a token: for assertions, for proofs, and for the audit's forgeries.

use countersign_core::jose::base64url;
use serde_json::Value;

/// Header and claims, as the signature has them (RFC 7515 §5.1).
pub(crate) fn signing_input(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| base64url::encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}
