//! Claims about a user that the administrator wrote down: roles, permissions, a tenant. Those that are
//! configured stand in the user's access tokens, for the MCP server behind the guard.

use serde_json::{Map, Value};

/// Longest claims of a user, in bytes of JSON: they are in every token.
const MAX_BYTES: usize = 4096;

/// What claims mean that a token has anyway (RFC 7519 §4.1, RFC 9068 §2.2, RFC 7800, RFC 8693 §4,
/// draft-ietf-oauth-status-list §6, OpenID Connect Core §2, RFC 9396).
const TAKEN: [&str; 24] = [
    "acr",
    "act",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "authorization_details",
    "azp",
    "c_hash",
    "client_id",
    "cnf",
    "exp",
    "iat",
    "iss",
    "jti",
    "may_act",
    "nbf",
    "nonce",
    "resource",
    "scope",
    "sid",
    "status",
    "sub",
    "token_introspection",
];

/// Whether a claim of this name may be anything.
pub(crate) fn is_free(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic())
        && !TAKEN.contains(&name)
}

/// Reads claims as an administrator gives them.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn read(text: &str) -> Result<Map<String, Value>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("the claims are longer than {MAX_BYTES} bytes"));
    }
    let strict = countersign_core::jose::json::parse(text.as_bytes());
    strict.map_err(|error| format!("the claims are not strict JSON: {error}"))?;
    let Ok(Value::Object(claims)) = serde_json::from_str(text) else {
        return Err("the claims are no JSON object".to_owned());
    };
    match claims.keys().find(|name| !is_free(name)) {
        None => Ok(claims),
        Some(name) => Err(format!("the claim {name:?} has a meaning of its own in tokens")),
    }
}
