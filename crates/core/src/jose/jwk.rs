//! One key as JWK (RFC 7517, RFC 7518 §6, RFC 8037 §2).
//!
//! What a key may be used for is decided here, once, by `kty`, `crv`, `alg`, `use` and `key_ops`:
//!
//! | `kty` | `crv` | algorithms without `alg` | bounds |
//! |---|---|---|---|
//! | `EC` | `P-256` | ES256 | a point of the curve, coordinates of 32 bytes |
//! | `EC` | `P-384` | ES384 | a point of the curve, coordinates of 48 bytes |
//! | `OKP` | `Ed25519` | EdDSA | a canonical point, not of small order |
//! | `RSA` | | RS256, RS384, RS512, PS256, PS384, PS512 | odd modulus of 2048 to 8192 bits, odd exponent in 3 < e < 2^33 |
//! | `oct` | | HS256 | in the policy only, 32 bytes or more, not made up |
//!
//! With `alg` a key serves that algorithm only, which must be one of its row. `use` must be `sig` and
//! `key_ops` must have `verify`, where they are there. Private keys are refused: who published one
//! has given away its signatures.

use alloc::{string::String, vec::Vec};
use core::fmt;

use countersign_verify::{Key, KeyError};

use super::{
    alg::Algorithm,
    host_check::{HostCheck, HostKey},
    json::Object,
    unchecked_jwk::UncheckedJwk,
};

/// A signature key, bound to the algorithms that it may serve.
///
/// The binding is made when the key is read, so that no token can talk a host into another check.
#[derive(Clone)]
pub struct Jwk {
    pub(super) kid: Option<String>,
    /// One for all kinds of keys but RSA without `alg`.
    pub(super) verifiers: Vec<(Algorithm, Key)>,
    pub(super) thumbprint: [u8; 32],
    /// The key as hosts' verifiers take it, where they may be asked.
    pub(super) host_key: Option<HostKey>,
}

/// Whether symmetric keys are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// Yes: the keys stand in the operator's own policy.
    Allow,
    /// No: the keys were published, and whoever can read them could sign.
    Refuse,
}

/// Why a JWK is no usable signature key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwkError {
    /// `alg` does not go with `kty` and `crv`, or is not supported.
    AlgorithmMismatch,
    /// A member is missing, of the wrong type, or not canonical base64url.
    InvalidMember(&'static str),
    /// The key material was refused.
    Key(KeyError),
    /// `use` or `key_ops` does not allow the verification of signatures (RFC 7517 §4.2, §4.3).
    NotForSignatures,
    /// A private or symmetric key was published; whoever reads it could sign.
    Private,
    /// `kty` or `crv` names no supported kind of key.
    UnsupportedKind,
}

impl fmt::Display for JwkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlgorithmMismatch => f.write_str("alg does not go with the kind of key"),
            Self::InvalidMember(name) => write!(f, "member {name} is missing or malformed"),
            Self::Key(error) => error.fmt(f),
            Self::NotForSignatures => f.write_str("use or key_ops does not allow verification"),
            Self::Private => {
                f.write_str("the key is private or symmetric and must not be published")
            }
            Self::UnsupportedKind => f.write_str("kty or crv is not supported"),
        }
    }
}

impl core::error::Error for JwkError {}

impl Jwk {
    /// Reads one JWK.
    ///
    /// # Errors
    /// [`JwkError`] says what stands in the way; a key set skips such a key.
    pub fn from_json(jwk: &Object, secrets: Secrets) -> Result<Self, JwkError> {
        UncheckedJwk::from_json(jwk, secrets)?.check()
    }

    /// The key's name within its set, if it has one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithms that this key may serve: one, but for an RSA key without `alg`.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.verifiers.iter().map(|(algorithm, _)| *algorithm)
    }

    /// The verifier for an algorithm, if the key may serve it.
    #[must_use]
    pub fn verifier(&self, algorithm: Algorithm) -> Option<&Key> {
        self.verifiers.iter().find(|(served, _)| *served == algorithm).map(|(_, key)| key)
    }

    /// What a host's own verifier needs for a signature by ES384 or one of RSA's algorithms: `None` for
    /// other algorithms, for those that this key does not serve, and for signatures of the wrong length.
    #[must_use]
    pub fn host_check<'a>(
        &'a self,
        algorithm: Algorithm,
        message: &'a [u8],
        signature: &'a [u8],
    ) -> Option<HostCheck<'a>> {
        self.verifier(algorithm)?;
        self.host_key.as_ref()?.check(algorithm, message, signature)
    }

    /// The SHA-256 thumbprint (RFC 7638), 32 bytes.
    #[must_use]
    pub const fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }
}

/// Leaves out the thumbprint: that of a secret is a hash of it (RFC 7638 §7).
impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.verifiers.iter().map(|(_, key)| key);
        f.debug_struct("Jwk")
            .field("kid", &self.kid)
            .field("verifiers", &keys.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::jose::json;

    fn read(text: &str, secrets: Secrets) -> Result<Jwk, JwkError> {
        Jwk::from_json(json::parse(text.as_bytes()).unwrap().as_object().unwrap(), secrets)
    }

    fn jwk(text: &str) -> Result<Jwk, JwkError> {
        read(text, Secrets::Refuse)
    }

    fn names(key: &Jwk) -> Vec<&'static str> {
        key.algorithms().map(Algorithm::name).collect()
    }

    const X: &str =
        r#""crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

    /// The key of RFC 7638 §3.1.
    const RSA: &str = concat!(
        r#""kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1R"#,
        "K7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6C",
        "f0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbIS",
        "D08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awa",
        r#"pJzKnqDKgw","e":"AQAB""#
    );

    /// RFC 7517 §4.4: `alg` narrows what the kind of key allows, and never widens it.
    #[test]
    fn alg_narrows() {
        let all = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
        assert_eq!(names(&jwk(&format!("{{{RSA}}}")).unwrap()), all);
        for alg in all {
            let key = jwk(&format!(r#"{{{RSA},"alg":"{alg}"}}"#)).unwrap();
            assert_eq!(names(&key), [alg]);
            assert!(key.verifier(Algorithm::from_name(alg).unwrap()).is_some());
            for other in all {
                let check = key.host_check(Algorithm::from_name(other).unwrap(), b"", &[0; 256]);
                assert_eq!(check.is_some(), other == alg, "{other}");
            }
        }
        for alg in ["ES256", "EdDSA", "HS256", "RSA-OAEP", "RS1", "none", "rs256", ""] {
            let refused = jwk(&format!(r#"{{{RSA},"alg":"{alg}"}}"#)).unwrap_err();
            assert_eq!(refused, JwkError::AlgorithmMismatch, "{alg}");
        }
        for alg in ["EdDSA", "Ed25519"] {
            assert_eq!(names(&jwk(&format!(r#"{{{X},"alg":"{alg}"}}"#)).unwrap()), ["EdDSA"]);
        }
    }

    /// A symmetric key is one in the policy only, and only a good one.
    #[test]
    fn secrets_are_for_the_policy() {
        let good = r#"{"kty":"oct","k":"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"}"#;
        assert_eq!(jwk(good).unwrap_err(), JwkError::Private);
        let key = read(good, Secrets::Allow).unwrap();
        assert_eq!(names(&key), ["HS256"]);
        assert_eq!(format!("{key:?}"), "Jwk { kid: None, verifiers: [Key(HS256)], .. }");
        let weak = JwkError::Key(KeyError::WeakSecret);
        for (members, expected) in [
            (r#""k":"c2VjcmV0""#, weak),
            (r#""k":"""#, weak),
            // "your-256-bit-secret-your-256-bit-secret"
            (r#""k":"eW91ci0yNTYtYml0LXNlY3JldC15b3VyLTI1Ni1iaXQtc2VjcmV0""#, weak),
            (r#""x":"AA""#, JwkError::InvalidMember("k")),
            (r#""k":"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg=""#, JwkError::InvalidMember("k")),
            (
                r#""k":"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg","alg":"HS512""#,
                JwkError::AlgorithmMismatch,
            ),
        ] {
            let text = format!(r#"{{"kty":"oct",{members}}}"#);
            assert_eq!(read(&text, Secrets::Allow).unwrap_err(), expected, "{members}");
        }
    }

    /// RFC 7517 §4.2–4.4: a key is used only for what it says it is for.
    #[test]
    fn purpose_and_algorithm_bind() {
        for (members, expected) in [
            (r#""use":"enc""#, JwkError::NotForSignatures),
            (r#""key_ops":["sign"]"#, JwkError::NotForSignatures),
            (r#""key_ops":"verify""#, JwkError::InvalidMember("key_ops")),
            (r#""use":["sig"]"#, JwkError::InvalidMember("use")),
            (r#""alg":"ES256""#, JwkError::AlgorithmMismatch),
            (r#""alg":"none""#, JwkError::AlgorithmMismatch),
            (r#""kid":1"#, JwkError::InvalidMember("kid")),
            (r#""d":"AA""#, JwkError::Private),
            (r#""qi":"AA""#, JwkError::Private),
            (r#""k":"AA""#, JwkError::Private),
            (r#""key_ops":["verify","verify"]"#, JwkError::InvalidMember("key_ops")),
            (r#""key_ops":["verify",1]"#, JwkError::InvalidMember("key_ops")),
            (r#""key_ops":[]"#, JwkError::NotForSignatures),
            (r#""use":"enc","key_ops":["verify"]"#, JwkError::NotForSignatures),
        ] {
            assert_eq!(jwk(&format!("{{{X},{members}}}")).unwrap_err(), expected, "{members}");
        }
        for members in
            [r#""use":"sig""#, r#""key_ops":["verify","sign"]"#, r#""alg":"EdDSA""#, r#""x5c":[]"#]
        {
            assert!(jwk(&format!("{{{X},{members}}}")).is_ok(), "{members}");
        }
        for kind in [
            r#""kty":"EC","crv":"secp256k1","x":"AA","y":"AA""#,
            r#""kty":"EC","crv":"P-521","x":"AA","y":"AA""#,
            r#""kty":"OKP","crv":"Ed448","x":"AA""#,
            r#""kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#,
            r#""kty":"AKP","alg":"ML-DSA-44","pub":"AA""#,
            r#""kty":"ec","crv":"P-256","x":"AA","y":"AA""#,
        ] {
            assert_eq!(
                jwk(&format!("{{{kind}}}")).unwrap_err(),
                JwkError::UnsupportedKind,
                "{kind}"
            );
        }
    }
}
