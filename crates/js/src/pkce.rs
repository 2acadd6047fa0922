//! PKCE (RFC 7636) by the engine's own code. The random bytes are the host's.

use countersign_core::oauth::pkce::{CodeChallenge, CodeVerifier};
use wasm_bindgen::prelude::wasm_bindgen;

/// The code verifier of 32 random bytes; `undefined` for another number of bytes.
#[must_use]
#[wasm_bindgen]
pub fn pkce_verifier(random: &[u8]) -> Option<String> {
    let random = random.try_into().ok()?;
    Some(CodeVerifier::from_random(random).as_str().to_owned())
}

/// The S256 challenge of a code verifier; `undefined` when it is none.
#[must_use]
#[wasm_bindgen]
pub fn pkce_challenge(verifier: &str) -> Option<String> {
    CodeVerifier::parse(verifier).ok().map(|verifier| verifier.challenge().to_string())
}

/// Whether verifier and challenge are well-formed and belong together.
#[must_use]
#[wasm_bindgen]
pub fn pkce_verify(verifier: &str, challenge: &str) -> bool {
    match (CodeVerifier::parse(verifier), CodeChallenge::parse(challenge)) {
        (Ok(verifier), Ok(challenge)) => challenge.verify(&verifier),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 Appendix B.
    #[test]
    fn rfc_7636_appendix_b() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = pkce_challenge(verifier).unwrap();
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(pkce_verify(verifier, &challenge));
        assert!(!pkce_verify(verifier, verifier));
        assert!(!pkce_verify("short", &challenge));
    }

    #[test]
    fn verifiers_are_made_of_32_bytes() {
        assert_eq!(pkce_verifier(&[0; 32]).unwrap().len(), 43);
        assert_eq!(pkce_verifier(&[0; 31]), None);
    }
}
