//! PKCE (RFC 7636): grammar by a model, and verification against another implementation of SHA-256 in
//! base64url.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::oauth::pkce::{CodeChallenge, CodeVerifier, PkceError};
use proptest::prelude::*;

proptest! {
    /// code-verifier = 43*128unreserved (RFC 7636 §4.1).
    #[test]
    fn verifier_grammar(text in prop_oneof![
        "[A-Za-z0-9._~-]{40,132}", "[A-Za-z0-9._~-]{20,64}[+/= %é\0][A-Za-z0-9._~-]{20,64}",
    ]) {
        let unreserved = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~');
        let count = text.chars().count();
        let valid = text.chars().all(unreserved) && (43..=128).contains(&count);
        prop_assert_eq!(CodeVerifier::parse(&text).is_ok(), valid);
    }

    /// Only the canonical form of 32 bytes is a challenge, and it comes back as it was.
    #[test]
    fn challenge_grammar(bytes in prop::collection::vec(any::<u8>(), 30..35)) {
        let text = URL_SAFE_NO_PAD.encode(&bytes);
        let parsed = CodeChallenge::parse(&text);
        prop_assert_eq!(parsed.is_ok(), bytes.len() == 32);
        if let Ok(challenge) = parsed {
            prop_assert_eq!(challenge.to_string(), text);
        }
    }

    /// A challenge is verified by its verifier and by no near one.
    #[test]
    fn only_its_own_verifier(random: [u8; 32], at in 0..43_usize, bit in 0..8_u8) {
        let verifier = CodeVerifier::from_random(&random);
        prop_assert_eq!(verifier.as_str(), URL_SAFE_NO_PAD.encode(random));
        let challenge = verifier.challenge();
        prop_assert!(challenge.verify(&verifier));
        prop_assert_eq!(
            CodeChallenge::from_request(&challenge.to_string(), Some("S256")),
            Ok(challenge.clone())
        );
        let mut near = random;
        near[at % 32] ^= 1 << bit;
        prop_assert!(!challenge.verify(&CodeVerifier::from_random(&near)));
        // The verifier itself, as with `plain`, is not the challenge.
        let plain = CodeChallenge::parse(verifier.as_str()).unwrap();
        prop_assert!(!plain.verify(&verifier));
    }
}

/// RFC 7636 §4.3: a request without a method means `plain`; names are case-sensitive.
#[test]
fn plain_is_refused() {
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    for method in [None, Some("plain"), Some(""), Some("s256"), Some("S256 "), Some("S512")] {
        let found = CodeChallenge::from_request(challenge, method);
        assert_eq!(found, Err(PkceError::UnsupportedMethod), "{method:?}");
    }
    assert!(CodeChallenge::from_request(challenge, Some("S256")).is_ok());
    let short = CodeChallenge::from_request("short", Some("S256"));
    assert_eq!(short, Err(PkceError::InvalidChallenge));
}

/// A verifier is a secret until it is used.
#[test]
fn verifiers_are_not_shown() {
    let verifier = CodeVerifier::from_random(&[7; 32]);
    assert!(!format!("{verifier:?}").contains(verifier.as_str()));
}
