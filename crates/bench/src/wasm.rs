//! The suite for JavaScript, which has the clock.

use wasm_bindgen::prelude::wasm_bindgen;

use crate::suite::{Inputs, Suite};

/// The suite.
#[derive(Debug)]
#[wasm_bindgen]
pub struct WasmSuite(Suite);

#[wasm_bindgen]
impl WasmSuite {
    /// From policies, key set and tokens as text.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(policy: String, rules: String, jwks: String, tokens: Vec<String>) -> Self {
        Self(Suite::new(Inputs { policy, rules, jwks, tokens }))
    }

    /// Does it so many times.
    pub fn run(&mut self, name: &str, times: u32) {
        self.0.run(name, times);
    }
}
