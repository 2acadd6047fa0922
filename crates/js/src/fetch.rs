//! How what an engine asks for is fetched.

use countersign_core::guard::{Fetch, Form};
use wasm_bindgen::prelude::wasm_bindgen;

/// The `Content-Type` header of a form.
#[must_use]
#[wasm_bindgen]
pub fn fetch_form_type() -> String {
    Form::CONTENT_TYPE.to_owned()
}

/// The `Accept` header of a fetch.
#[must_use]
#[wasm_bindgen]
pub fn fetch_accept() -> String {
    Fetch::ACCEPT.to_owned()
}

/// The longest answer to a fetch that is read, in bytes.
#[must_use]
#[wasm_bindgen]
pub fn fetch_max_bytes() -> usize {
    Fetch::MAX_BYTES
}

/// The longest time that an answer to a fetch is waited for, in seconds.
#[must_use]
#[wasm_bindgen]
pub fn fetch_timeout() -> f64 {
    Fetch::TIMEOUT as f64
}
