//! Random texts: state, verifiers, identifiers of proofs.

use aws_lc_rs::rand;
use countersign_core::{jose::base64url, oauth::pkce::CodeVerifier};

use crate::Error;

fn bytes() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| Error::Crypto("the system gives no random bytes"))?;
    Ok(bytes)
}

/// 256 random bits as base64url.
pub(crate) fn text() -> Result<String, Error> {
    Ok(base64url::encode(bytes()?))
}

/// A code verifier (RFC 7636 §4.1).
pub(crate) fn code_verifier() -> Result<CodeVerifier, Error> {
    Ok(CodeVerifier::from_random(&bytes()?))
}
