//! Signatures that the host verifies: at once, through an object of its own, or later, while the request
//! waits.

use std::{cell::RefCell, collections::VecDeque, fmt};

use countersign_core::{
    guard::{Pending, SignatureCheck},
    jose::{
        alg::Algorithm,
        base64url,
        host_check::{HostCheck, KnownAnswers},
    },
};
use countersign_verify::{Limits, Verifier};
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

#[wasm_bindgen(typescript_custom_section)]
const SIGNATURE_PARTS: &str = "export type SignatureParts = \
    [algorithm: string, key: string, message: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer>];
/** A host's verifier that answers at once. The bytes are the module's own, and good for the call only. */
export interface HostVerifier {
    /** From now on this number means this key: algorithm, name, `SubjectPublicKeyInfo`. */
    learn(key: number, algorithm: string, name: string, info: Uint8Array<ArrayBuffer>): void;
    /** 0: the signature is bad; 1: it is good; 2: nobody knows; 3: the key is to be learnt first. Never throws. */
    verify(key: number, message: Uint8Array<ArrayBuffer>, signature: Uint8Array<ArrayBuffer>): 0 | 1 | 2 | 3;
}";

#[wasm_bindgen]
extern "C" {
    /// A host's verifier that answers at once.
    #[wasm_bindgen(typescript_type = "HostVerifier")]
    pub type HostVerifier;

    #[wasm_bindgen(method)]
    fn learn(this: &HostVerifier, key: u32, algorithm: &str, name: &str, info: &[u8]);

    #[wasm_bindgen(method)]
    fn verify(this: &HostVerifier, key: u32, message: &[u8], signature: &[u8]) -> u32;
}

impl fmt::Debug for HostVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostVerifier")
    }
}

/// Whom an engine asks for signatures that a host may be faster with.
#[derive(Debug, Default)]
pub(crate) enum Signatures {
    /// Nobody.
    #[default]
    Module,
    AtOnce(HostVerifier),
    Later,
}

thread_local! {
    /// One for all engines: an isolate has little memory, and `verifyAccessToken` makes several engines.
    static VERIFIER: RefCell<Verifier> = const { RefCell::new(Verifier::new(Limits::DEFAULT)) };

    static KEYS: RefCell<Keys> = const { RefCell::new(Keys { last: 0, numbers: VecDeque::new() }) };
}

/// Whether the verifiers' arithmetic gives the known answers. `false`: well-known crates verify everything
/// instead, which is slow, and belongs into a log.
#[must_use]
#[wasm_bindgen]
pub fn self_test() -> bool {
    VERIFIER.with_borrow_mut(Verifier::self_test)
}

/// By the module's own verifiers.
pub(crate) fn verify(pending: &Pending) -> bool {
    let check = pending.signature();
    check.is_some_and(|check| VERIFIER.with_borrow_mut(|verifier| check.verify(verifier)))
}

impl HostVerifier {
    /// By the host; `None` where it cannot tell, or is not to be asked.
    pub(crate) fn verdict(&self, pending: &Pending) -> Option<bool> {
        const UNKNOWN_KEY: u32 = 3;
        let check = pending.signature()?;
        let asked = check.for_host()?;
        let number = KEYS.with_borrow_mut(|keys| keys.number(&check))?;
        let mut answer = self.verify(number, asked.message, asked.signature);
        if answer == UNKNOWN_KEY {
            self.learn(number, asked.algorithm.name(), &name(&check), asked.key);
            answer = self.verify(number, asked.message, asked.signature);
        }
        match answer {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// A name that no other key has.
fn name(check: &SignatureCheck<'_>) -> String {
    base64url::encode(check.key.thumbprint())
}

/// Numbers for keys, since names are long. None is ever given to a second key.
struct Keys {
    last: u32,
    numbers: VecDeque<(Algorithm, [u8; 32], u32)>,
}

impl Keys {
    /// Most that are known at once.
    const MOST: usize = 64;

    fn number(&mut self, check: &SignatureCheck<'_>) -> Option<u32> {
        let thumbprint = check.key.thumbprint();
        let is_it = |(algorithm, known, _): &&(Algorithm, [u8; 32], u32)| {
            *algorithm == check.algorithm && known == thumbprint
        };
        if let Some((_, _, number)) = self.numbers.iter().find(is_it) {
            return Some(*number);
        }
        if self.numbers.len() >= Self::MOST {
            self.numbers.pop_front();
        }
        self.last = self.last.checked_add(1)?;
        self.numbers.push_back((check.algorithm, *thumbprint, self.last));
        Some(self.last)
    }
}

/// The signature that a request waits for: JOSE's name of the algorithm, a name of the key that no other key
/// has, the bytes that were signed, and the signature. Empty when it waits for something else.
pub(crate) fn parts(pending: &Pending) -> Array {
    let asked = pending.signature().and_then(|check| Some((name(&check), check.for_host()?)));
    asked.map_or_else(Array::new, |(name, asked)| signature_to_verify(&name, asked))
}

fn signature_to_verify(key: &str, asked: HostCheck<'_>) -> Array {
    let bytes = |bytes: &[u8]| JsValue::from(Uint8Array::from(bytes));
    let name = JsValue::from(asked.algorithm.name());
    Array::of4(&name, &key.into(), &bytes(asked.message), &bytes(asked.signature))
}

/// By which a host's verifier of this algorithm is proven: the key, as `SubjectPublicKeyInfo` in DER, and then
/// signatures as [`crate::Waiting::signature`] gives them, each followed by whether it is good. Nothing for
/// algorithms that no host is asked for.
#[must_use]
#[wasm_bindgen(
    unchecked_return_type = "[Uint8Array<ArrayBuffer>, ...(SignatureParts | boolean)[]] | []"
)]
pub fn known_answers(algorithm: &str) -> Array {
    let found = Array::new();
    let Some(algorithm) = Algorithm::from_name(algorithm) else {
        return found;
    };
    // No thumbprint has a blank in it.
    let name = format!("known {}", algorithm.name());
    for (asked, good) in KnownAnswers::of(algorithm).checks() {
        if found.length() == 0 {
            found.push(&Uint8Array::from(asked.key).into());
        }
        found.push(&signature_to_verify(&name, asked).into());
        found.push(&good.into());
    }
    found
}
