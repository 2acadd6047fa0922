//! `verify_signature`, a foreign function of Envoy's: RSA by BoringSSL.
//!
//! Its messages are protocol buffers of four and two fields (`source/extensions/common/wasm/ext/
//! verify_signature.proto` in Envoy), written and read by hand here.

use core::ptr;

use countersign_core::jose::{alg::Algorithm, host_check::HostCheck};

use super::{HostError, MALFORMED, check, take};

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_call_foreign_function(
        name: *const u8,
        name_length: usize,
        arguments: *const u8,
        arguments_length: usize,
        results: *mut *mut u8,
        results_length: *mut usize,
    ) -> u32;
}

/// Whether Envoy finds the signature good. An error when it cannot tell: it lacks the function, the
/// plugin may not call it, or it does not take the key; and for other algorithms than RS256, RS384 and RS512,
/// since its messages cannot say that another padding is meant.
pub(crate) fn verify_signature(asked: HostCheck<'_>) -> Result<bool, HostError> {
    if !matches!(asked.algorithm, Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512) {
        return Err(HostError(MALFORMED));
    }
    let answer = call("verify_signature", &question(asked))?;
    read_answer(&answer).ok_or(HostError(MALFORMED))
}

pub(super) fn call(name: &str, arguments: &[u8]) -> Result<Vec<u8>, HostError> {
    let (mut data, mut length) = (ptr::null_mut(), 0);
    // SAFETY: pointers and lengths are those of live slices; the host writes a pointer and a length.
    check(unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            &raw mut data,
            &raw mut length,
        )
    })?;
    Ok(take(data, length))
}

/// `VerifySignatureArguments`: `hash_function` = 1, `public_key` = 2, `signature` = 3, `text` = 4.
fn question(asked: HostCheck<'_>) -> Vec<u8> {
    let fields = [asked.hash().as_bytes(), asked.key, asked.signature, asked.message];
    let length: usize = fields.iter().map(|field| field.len()).sum();
    let mut message = Vec::with_capacity(length.saturating_add(4 * 6));
    for (number, field) in (1_u8..).zip(fields) {
        // Wire type 2: a length, then as many bytes.
        message.push(number << 3 | 2);
        push_varint(&mut message, field.len());
        message.extend_from_slice(field);
    }
    message
}

/// `VerifySignatureResult`: `result` = 1, a bool, which is left out when it is false; `error` = 2, a
/// text. Anything else is no answer.
fn read_answer(message: &[u8]) -> Option<bool> {
    match message {
        [] => Some(false),
        // With `result` = 1 Envoy gives no error.
        [0x08, 1] => Some(true),
        // An error alone, or after `result` = 0.
        [0x08, 0, rest @ ..] => read_answer(rest).filter(|result| !result),
        [0x12, ..] => Some(false),
        _ => None,
    }
}

fn push_varint(message: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        message.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    message.push(u8::try_from(number).unwrap_or_default());
}
