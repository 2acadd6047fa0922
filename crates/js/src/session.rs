//! The session ids that clients get.

use countersign_core::{guard::SessionSeal, jose::base64url};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::latin1;

/// What the client gets in the place of the server's session id; nothing if it must get none.
/// `key` is what a forwarded request came with.
#[must_use]
#[wasm_bindgen]
pub fn seal_session(key: &str, id: &str) -> Option<String> {
    let key = base64url::decode(key).ok()?.try_into().ok()?;
    SessionSeal::from_key(key).seal(&latin1::bytes(id)?)
}
