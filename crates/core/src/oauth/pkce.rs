//! Proof Key for Code Exchange with S256 (RFC 7636). `plain` is not supported, as OAuth 2.1 asks.

use alloc::{borrow::ToOwned as _, string::String};
use core::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::jose::base64url;

/// A code verifier of valid grammar: 43 to 128 unreserved characters (RFC 7636 §4.1).
///
/// ```
/// use countersign_core::oauth::pkce::{CodeChallenge, CodeVerifier};
///
/// // RFC 7636 Appendix B.
/// let verifier = CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
/// let sent = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// assert_eq!(verifier.challenge().to_string(), sent);
/// let challenge = CodeChallenge::from_request(sent, Some("S256")).unwrap();
/// assert!(challenge.verify(&verifier));
/// ```
#[derive(Clone)]
pub struct CodeVerifier(String);

/// An S256 code challenge (RFC 7636 §4.2): the base64url form of a SHA-256 digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeChallenge([u8; 32]);

/// Why a verifier or a challenge is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PkceError {
    /// Not the base64url form of 32 bytes.
    InvalidChallenge,
    /// Not 43 to 128 characters of `A-Z a-z 0-9 - . _ ~`.
    InvalidVerifier,
    /// The method is not `S256`, or is left out, which means `plain` (RFC 7636 §4.3).
    UnsupportedMethod,
}

impl fmt::Display for PkceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidChallenge => "the code challenge is not a base64url SHA-256 digest",
            Self::InvalidVerifier => "the code verifier is not 43 to 128 unreserved characters",
            Self::UnsupportedMethod => "the code challenge method is not S256",
        })
    }
}

impl core::error::Error for PkceError {}

impl CodeVerifier {
    /// Makes a verifier from 32 random bytes, which the caller draws from a secure generator.
    #[must_use]
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        Self(base64url::encode(bytes))
    }

    /// Checks a verifier that was received.
    ///
    /// # Errors
    /// [`PkceError::InvalidVerifier`] when length or characters are not those of RFC 7636 §4.1.
    pub fn parse(text: &str) -> Result<Self, PkceError> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if (43..=128).contains(&text.len()) && text.bytes().all(unreserved) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PkceError::InvalidVerifier)
        }
    }

    /// The text that the client sends to the token endpoint. A secret until then.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The challenge that goes with it.
    #[must_use]
    pub fn challenge(&self) -> CodeChallenge {
        CodeChallenge(Sha256::digest(&self.0).into())
    }
}

impl fmt::Debug for CodeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeVerifier(…)")
    }
}

impl CodeChallenge {
    /// Reads the parameters `code_challenge` and `code_challenge_method` of an authorization request.
    ///
    /// # Errors
    /// [`PkceError::UnsupportedMethod`] unless the method is `S256`; [`PkceError::InvalidChallenge`] as
    /// with [`Self::parse`].
    pub fn from_request(challenge: &str, method: Option<&str>) -> Result<Self, PkceError> {
        if method != Some("S256") {
            return Err(PkceError::UnsupportedMethod);
        }
        Self::parse(challenge)
    }

    /// Reads a `code_challenge` parameter.
    ///
    /// # Errors
    /// [`PkceError::InvalidChallenge`] when it is not the base64url form of a SHA-256 digest.
    pub fn parse(text: &str) -> Result<Self, PkceError> {
        base64url::decode(text)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(PkceError::InvalidChallenge)
    }

    /// Whether `verifier` belongs to this challenge, in constant time (RFC 7636 §4.6).
    #[must_use]
    pub fn verify(&self, verifier: &CodeVerifier) -> bool {
        self.0.ct_eq(&verifier.challenge().0).into()
    }
}

/// The form that goes into a request.
impl fmt::Display for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    /// RFC 7636 Appendix B.
    #[test]
    fn rfc_7636_appendix_b() {
        let verifier = CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        let challenge =
            CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert_eq!(verifier.challenge().to_string(), challenge.to_string());
        assert!(challenge.verify(&verifier));
        assert!(!challenge.verify(&CodeVerifier::from_random(&[0; 32])));
    }

    /// RFC 7636 §4.1.
    #[test]
    fn verifier_grammar() {
        assert!(CodeVerifier::parse(&"a".repeat(42)).is_err());
        assert!(CodeVerifier::parse(&"~".repeat(43)).is_ok());
        assert!(CodeVerifier::parse(&"a".repeat(128)).is_ok());
        assert!(CodeVerifier::parse(&"a".repeat(129)).is_err());
        for bad in ["+", "/", "=", " ", "ä", "\0"] {
            assert!(CodeVerifier::parse(&("a".repeat(60) + bad)).is_err(), "{bad:?}");
        }
    }

    /// RFC 7636 §4.2: a challenge is 43 characters of canonical base64url.
    #[test]
    fn challenge_grammar() {
        for bad in [
            "",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=",
        ] {
            assert_eq!(
                CodeChallenge::parse(bad).unwrap_err(),
                PkceError::InvalidChallenge,
                "{bad:?}"
            );
        }
    }
}
