//! One public key as JWK (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use countersign_verify::{Key, KeyError};
use sha2::{Digest as _, Sha256};

use super::{
    alg::Algorithm,
    base64url,
    json::{Object, Value},
};

/// A public signature key, bound to exactly one algorithm.
///
/// The binding is made here, from `kty`, `crv`, `alg`, `use` and `key_ops`, so that no token can
/// talk a host into another check.
#[derive(Clone, Debug)]
pub struct Jwk {
    kid: Option<String>,
    algorithm: Algorithm,
    key: Key,
    thumbprint: [u8; 32],
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
    pub fn from_json(jwk: &Object) -> Result<Self, JwkError> {
        if ["d", "p", "q", "k", "oth"].iter().any(|name| jwk.contains_key(*name)) {
            return Err(JwkError::Private);
        }
        if !allows_verification(jwk)? {
            return Err(JwkError::NotForSignatures);
        }
        let (algorithm, key, thumbprint) = match text(jwk, "kty")? {
            "EC" => ec_key(jwk)?,
            "OKP" => okp_key(jwk)?,
            "RSA" => rsa_key(jwk)?,
            _ => return Err(JwkError::UnsupportedKind),
        };
        if let Some(alg) = optional_text(jwk, "alg")?
            && Algorithm::from_name(alg) != Some(algorithm)
        {
            return Err(JwkError::AlgorithmMismatch);
        }
        let kid = optional_text(jwk, "kid")?.map(ToString::to_string);
        Ok(Self { kid, algorithm, key, thumbprint })
    }

    /// The key's name within its set, if it has one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The only algorithm that this key verifies.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The verifier.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// The SHA-256 thumbprint (RFC 7638), 32 bytes.
    #[must_use]
    pub const fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }
}

type Parts = (Algorithm, Key, [u8; 32]);

fn ec_key(jwk: &Object) -> Result<Parts, JwkError> {
    if text(jwk, "crv")? != "P-256" {
        return Err(JwkError::UnsupportedKind);
    }
    let key = Key::es256(&bytes(jwk, "x")?, &bytes(jwk, "y")?).map_err(JwkError::Key)?;
    let (x, y) = (text(jwk, "x")?, text(jwk, "y")?);
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    Ok((Algorithm::Es256, key, sha256(&canonical)))
}

fn okp_key(jwk: &Object) -> Result<Parts, JwkError> {
    if text(jwk, "crv")? != "Ed25519" {
        return Err(JwkError::UnsupportedKind);
    }
    let key = Key::ed25519(&bytes(jwk, "x")?).map_err(JwkError::Key)?;
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(jwk, "x")?);
    Ok((Algorithm::EdDsa, key, sha256(&canonical)))
}

fn rsa_key(jwk: &Object) -> Result<Parts, JwkError> {
    let key = Key::rs256(&bytes(jwk, "n")?, &bytes(jwk, "e")?).map_err(JwkError::Key)?;
    let (e, n) = (text(jwk, "e")?, text(jwk, "n")?);
    let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    Ok((Algorithm::Rs256, key, sha256(&canonical)))
}

fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// `use` and `key_ops`, where present, must both allow it.
fn allows_verification(jwk: &Object) -> Result<bool, JwkError> {
    let use_allows = optional_text(jwk, "use")?.is_none_or(|value| value == "sig");
    let operations_allow = match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => {
            operations.iter().any(|operation| operation.as_str() == Some("verify"))
        }
        Some(_) => return Err(JwkError::InvalidMember("key_ops")),
    };
    Ok(use_allows && operations_allow)
}

fn text<'a>(jwk: &'a Object, name: &'static str) -> Result<&'a str, JwkError> {
    optional_text(jwk, name)?.ok_or(JwkError::InvalidMember(name))
}

fn optional_text<'a>(jwk: &'a Object, name: &'static str) -> Result<Option<&'a str>, JwkError> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JwkError::InvalidMember(name)),
    }
}

fn bytes(jwk: &Object, name: &'static str) -> Result<Vec<u8>, JwkError> {
    base64url::decode(text(jwk, name)?).map_err(|_| JwkError::InvalidMember(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::json;

    fn jwk(text: &str) -> Result<Jwk, JwkError> {
        Jwk::from_json(json::parse(text.as_bytes()).unwrap().as_object().unwrap())
    }

    const X: &str =
        r#""crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

    /// RFC 8037 A.2 and A.3: an Ed25519 key and its thumbprint.
    #[test]
    fn rfc_8037_thumbprint() {
        let key = jwk(&format!("{{{X}}}")).unwrap();
        assert_eq!(key.algorithm(), Algorithm::EdDsa);
        let thumbprint = base64url::encode(key.thumbprint());
        assert_eq!(thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    /// RFC 7638 §3.1: the RSA key of the example and its thumbprint.
    #[test]
    fn rfc_7638_thumbprint() {
        let key = jwk(concat!(
            r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1R"#,
            "K7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6C",
            "f0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbIS",
            "D08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awa",
            r#"pJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#
        ))
        .unwrap();
        let thumbprint = base64url::encode(key.thumbprint());
        assert_eq!(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
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
        ] {
            assert_eq!(jwk(&format!("{{{X},{members}}}")).unwrap_err(), expected, "{members}");
        }
        for members in
            [r#""use":"sig""#, r#""key_ops":["verify"]"#, r#""alg":"EdDSA""#, r#""x5c":[]"#]
        {
            assert!(jwk(&format!("{{{X},{members}}}")).is_ok(), "{members}");
        }
        assert_eq!(jwk(r#"{"kty":"oct","k":"AAAA"}"#).unwrap_err(), JwkError::Private);
        assert_eq!(
            jwk(r#"{"kty":"EC","crv":"secp256k1"}"#).unwrap_err(),
            JwkError::UnsupportedKind
        );
    }
}
