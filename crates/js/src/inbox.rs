//! Where JavaScript puts a request's head: a place in the module's memory that is kept, so that a request
//! costs one `TextEncoder.encodeInto`, and no allocation for each of its texts.

use std::cell::RefCell;

use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

/// Room for a head with a long token. Longer ones go the long way.
const BYTES: usize = 32 * 1024;

/// Between two fields. No header value that came over HTTP has it (RFC 9110 §5.5).
const SEPARATOR: u8 = 0;

thread_local! {
    // JavaScript writes between calls, never during one: who reads gets what was written last.
    static PLACE: RefCell<Vec<u8>> = RefCell::new(vec![0; BYTES]);
}

/// The module's memory. When it grows, views of it have no length any more.
#[must_use]
#[wasm_bindgen(unchecked_return_type = "WebAssembly.Memory")]
pub fn module_memory() -> JsValue {
    wasm_bindgen::memory()
}

/// Where in the memory the place begins.
#[must_use]
#[wasm_bindgen]
pub fn inbox_start() -> usize {
    PLACE.with_borrow(|place| place.as_ptr() as usize)
}

/// How many bytes it has.
#[must_use]
#[wasm_bindgen]
pub fn inbox_bytes() -> usize {
    BYTES
}

/// Reads what was written: one text of ASCII. `None` where it is anything else.
pub(crate) fn text<R>(length: usize, read: impl FnOnce(&[u8]) -> R) -> Option<R> {
    PLACE.with_borrow(|place| place.get(..length).filter(|text| text.is_ascii()).map(read))
}

/// Reads so many fields. `None` where there are not as many: then one of them had a separator in it.
pub(crate) fn fields<R>(
    length: usize,
    count: usize,
    read: impl FnOnce(&[&[u8]]) -> R,
) -> Option<R> {
    text(length, |text| {
        let mut fields = Vec::with_capacity(count);
        fields.extend(text.split(|byte| *byte == SEPARATOR));
        (fields.len() == count).then(|| read(&fields))
    })
    .flatten()
}
