//! A response whose lists are filtered, as a JavaScript class.

use countersign_core::guard::{FilterStep, FilteredBody, ListFilter, ResponseHead};
use js_sys::Array;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::{engine::byte_strings, wire};

/// A request that goes on, and what is to be done with its response. To be freed.
#[derive(Debug)]
#[wasm_bindgen]
pub struct WasmListFilter {
    forward: String,
    filter: Option<Box<ListFilter>>,
    body: Option<Box<FilteredBody>>,
}

impl WasmListFilter {
    pub(crate) const fn new(forward: String, filter: Box<ListFilter>) -> Self {
        Self { forward, filter: Some(filter), body: None }
    }
}

#[wasm_bindgen]
impl WasmListFilter {
    /// How the request goes on, as JSON.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn forward(&self) -> String {
        self.forward.clone()
    }

    /// Begins to read the response: gives as JSON what becomes of it. `headers` has name and value in
    /// turn.
    ///
    /// # Errors
    /// A `TypeError` when something is no byte string.
    pub fn begin(
        &mut self,
        status: u16,
        #[wasm_bindgen(unchecked_param_type = "string[]")] headers: &Array,
        has_body: bool,
    ) -> Result<String, JsValue> {
        let headers = byte_strings(headers)?;
        let (pairs, _) = headers.as_chunks();
        let pairs: Vec<(&[u8], &[u8])> =
            pairs.iter().map(|[name, value]| (&name[..], &value[..])).collect();
        // It is there the first time.
        let Some(filter) = self.filter.take() else {
            return Err(js_sys::TypeError::new("a response is filtered once").into());
        };
        match filter.begin(ResponseHead { status, headers: &pairs, has_body }) {
            FilterStep::Pass => Ok(wire::pass()),
            FilterStep::Respond(response) => Ok(wire::respond(&response)),
            FilterStep::Filter(body) => {
                let text = wire::filter(&body);
                self.body = Some(body);
                Ok(text)
            }
        }
    }

    /// Reads the next part of the body, or its end: what goes on of it.
    pub fn push(&mut self, part: Option<Vec<u8>>) -> Vec<u8> {
        match (&mut self.body, part) {
            (Some(body), Some(part)) => body.push(&part),
            (Some(body), None) => body.finish(),
            (None, _) => Vec::new(),
        }
    }

    /// The record of what was refused since this was last asked, as JSON.
    pub fn take_refused(&mut self) -> Option<String> {
        let refused = self.body.as_mut()?.take_refused()?;
        Some(wire::refused(&refused))
    }
}
