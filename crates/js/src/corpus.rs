//! The corpus driver for the script `countersign/verify-jsonl`.

use countersign_core::{
    UnixSeconds,
    corpus::{Corpus, Reply},
};
use wasm_bindgen::prelude::wasm_bindgen;

/// Reads a corpus of tokens line by line, and has the answer to the last line.
#[derive(Debug)]
#[wasm_bindgen]
pub struct WasmCorpus {
    corpus: Corpus,
    reply: Reply,
}

#[wasm_bindgen]
impl WasmCorpus {
    /// Nothing was read.
    #[must_use]
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default, reason = "for JavaScript")]
    pub fn new() -> Self {
        Self { corpus: Corpus::default(), reply: Reply::Noted }
    }

    /// Reads a line, without its end. `clock`: the time, where the corpus does not say it.
    pub fn line(&mut self, line: &[u8], clock: f64) {
        self.reply = self.corpus.line(line, clock as UnixSeconds);
    }

    /// The line to print, if the last one was to be answered, which took so many milliseconds.
    #[must_use]
    pub fn verdict(&self, milliseconds: f64) -> Option<String> {
        match &self.reply {
            Reply::Verdict(verdict) => Some(verdict.to_line((milliseconds * 1000.0) as u64)),
            _ => None,
        }
    }

    /// Why the last line cannot be used, if it was no token.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn mistake(&self) -> Option<String> {
        match &self.reply {
            Reply::Unusable(mistake) => Some(mistake.clone()),
            _ => None,
        }
    }
}
