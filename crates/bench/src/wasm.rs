//! The suites for JavaScript, which has the clock.

use wasm_bindgen::prelude::wasm_bindgen;

use crate::{
    case,
    suite::{Inputs, Suite},
    verify_suite::VerifySuite,
};

/// The engine's suite.
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

/// The verifier's suite.
#[derive(Debug)]
#[wasm_bindgen]
pub struct WasmVerifySuite(VerifySuite);

#[wasm_bindgen]
impl WasmVerifySuite {
    /// From lines of names and cases.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(lines: &str) -> Self {
        Self(VerifySuite::new(lines))
    }

    /// The bytes of the generator's table and of a key's.
    #[wasm_bindgen(js_name = tableBytes)]
    pub fn table_bytes(&mut self) -> Vec<usize> {
        self.0.table_bytes().into()
    }

    /// Does it so many times.
    pub fn run(&mut self, who: &str, name: &str, times: u32) {
        self.0.run(who, name, times);
    }
}

/// Verifies each case of a corpus, and how many there are; throws with the first that comes out differently.
#[wasm_bindgen]
pub fn judge(corpus: &str) -> Result<usize, String> {
    case::judge(corpus)
}
