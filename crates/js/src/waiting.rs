//! A request that waits for its host.

use countersign_core::guard::Pending;
use js_sys::Array;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::host;

/// A request in the middle of its decision. Consumed by what resumes it, else to be freed.
#[derive(Debug)]
#[wasm_bindgen]
pub struct Waiting {
    pub(crate) pending: Pending,
    wants: Wants,
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[wasm_bindgen]
pub enum Wants {
    /// Something that is fetched.
    Fetch,
    /// The next part of its body.
    Body,
    /// A signature to be verified by the host.
    Signature,
}

impl Waiting {
    pub(crate) const fn new(pending: Pending, wants: Wants) -> Self {
        Self { pending, wants }
    }
}

#[wasm_bindgen]
impl Waiting {
    /// What it waits for.
    #[must_use]
    #[wasm_bindgen(getter)]
    pub fn wants(&self) -> Wants {
        self.wants
    }

    /// The signature that it waits for: JOSE's name of the algorithm, a name of the key that no other key
    /// has, the bytes that were signed, and the signature. Empty when it waits for something else.
    #[must_use]
    #[wasm_bindgen(unchecked_return_type = "SignatureParts | []")]
    pub fn signature(&self) -> Array {
        host::parts(&self.pending)
    }

    /// The key of that signature, as `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn key(&self) -> Option<Vec<u8>> {
        Some(self.pending.signature()?.for_host()?.key.to_vec())
    }
}
