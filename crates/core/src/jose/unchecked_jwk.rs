//! A JWK that was read, whose key nobody has calculated with yet.
//!
//! To check a key costs more than to read it: an RSA key of 8192 bits half a millisecond. Whoever gets
//! keys from strangers (DPoP, RFC 9449) asks first whose thumbprint it is, and checks only that one.

use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use countersign_verify::{Key, KeyError, RsaAlgorithm, RsaPublicKey};

use super::{
    alg::Algorithm,
    base64url,
    host_check::HostKey,
    json::{Object, Value},
    jwk::{Jwk, JwkError, Secrets},
    thumbprint,
};

/// A JWK whose members are in order: bound to its algorithms, with everything said in [`super::jwk`]
/// but the bounds.
#[derive(Clone, Debug)]
pub struct UncheckedJwk {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    material: Material,
    thumbprint: [u8; 32],
}

/// The numbers, decoded, as they were sent.
#[derive(Clone)]
enum Material {
    P256 { x: Vec<u8>, y: Vec<u8> },
    P384 { x: Vec<u8>, y: Vec<u8> },
    Ed25519 { x: Vec<u8> },
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Secret { k: Vec<u8> },
}

/// Leaves out the numbers: there are secrets among them.
impl core::fmt::Debug for Material {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::P256 { .. } => "P256",
            Self::P384 { .. } => "P384",
            Self::Ed25519 { .. } => "Ed25519",
            Self::Rsa { .. } => "Rsa",
            Self::Secret { .. } => "Secret",
        })
    }
}

impl UncheckedJwk {
    /// Reads one JWK.
    ///
    /// # Errors
    /// [`JwkError`], all but [`JwkError::Key`].
    pub fn from_json(jwk: &Object, secrets: Secrets) -> Result<Self, JwkError> {
        // RFC 7518 §6.2.2 and §6.3.2, RFC 8037 §2.
        if ["d", "p", "q", "dp", "dq", "qi", "oth"].iter().any(|name| jwk.contains_key(*name)) {
            return Err(JwkError::Private);
        }
        let kind = text(jwk, "kty")?;
        if secrets == Secrets::Refuse && (kind == "oct" || jwk.contains_key("k")) {
            return Err(JwkError::Private);
        }
        if !allows_verification(jwk)? {
            return Err(JwkError::NotForSignatures);
        }
        let material = match kind {
            "EC" => match text(jwk, "crv")? {
                "P-256" => Material::P256 { x: bytes(jwk, "x")?, y: bytes(jwk, "y")? },
                "P-384" => Material::P384 { x: bytes(jwk, "x")?, y: bytes(jwk, "y")? },
                _ => return Err(JwkError::UnsupportedKind),
            },
            "OKP" if text(jwk, "crv")? == "Ed25519" => Material::Ed25519 { x: bytes(jwk, "x")? },
            "RSA" => Material::Rsa { n: bytes(jwk, "n")?, e: bytes(jwk, "e")? },
            "oct" => Material::Secret { k: bytes(jwk, "k")? },
            _ => return Err(JwkError::UnsupportedKind),
        };
        let mut algorithms = material.algorithms();
        if let Some(alg) = optional_text(jwk, "alg")? {
            let named = Algorithm::from_name(alg);
            algorithms.retain(|algorithm| Some(*algorithm) == named);
            if algorithms.is_empty() {
                return Err(JwkError::AlgorithmMismatch);
            }
        }
        let kid = optional_text(jwk, "kid")?.map(ToString::to_string);
        Ok(Self { kid, algorithms, material, thumbprint: thumbprint::sha256(jwk)? })
    }

    /// Whether a key with these members may serve this algorithm.
    #[must_use]
    pub fn serves(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// The SHA-256 thumbprint (RFC 7638), 32 bytes.
    #[must_use]
    pub const fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// Checks the key: points on their curves, the bounds of RSA, secrets that nobody made up.
    ///
    /// # Errors
    /// [`JwkError::Key`].
    pub fn check(&self) -> Result<Jwk, JwkError> {
        let mut verifiers = self.material.verifiers().map_err(JwkError::Key)?;
        verifiers.retain(|(algorithm, _)| self.algorithms.contains(algorithm));
        let host_key = match &self.material {
            Material::P384 { x, y } => Some(HostKey::p384(x, y)),
            Material::Rsa { n, e } => Some(HostKey::rsa(n, e)),
            _ => None,
        };
        let (kid, thumbprint) = (self.kid.clone(), self.thumbprint);
        Ok(Jwk { kid, verifiers, thumbprint, host_key })
    }
}

impl Material {
    /// What a key of this kind may serve, if nothing narrows it.
    fn algorithms(&self) -> Vec<Algorithm> {
        match self {
            Self::P256 { .. } => vec![Algorithm::Es256],
            Self::P384 { .. } => vec![Algorithm::Es384],
            Self::Ed25519 { .. } => vec![Algorithm::EdDsa],
            Self::Rsa { .. } => RSA.map(|(named, _)| named).into(),
            Self::Secret { .. } => vec![Algorithm::Hs256],
        }
    }

    fn verifiers(&self) -> Result<Vec<(Algorithm, Key)>, KeyError> {
        Ok(match self {
            Self::P256 { x, y } => vec![(Algorithm::Es256, Key::es256(x, y)?)],
            Self::P384 { x, y } => vec![(Algorithm::Es384, Key::es384(x, y)?)],
            Self::Ed25519 { x } => vec![(Algorithm::EdDsa, Key::ed25519(x)?)],
            Self::Rsa { n, e } => {
                let public = RsaPublicKey::new(n, e)?;
                RSA.map(|(named, algorithm)| (named, Key::rsa(&public, algorithm))).into()
            }
            Self::Secret { k } => vec![(Algorithm::Hs256, Key::hs256(k)?)],
        })
    }
}

const RSA: [(Algorithm, RsaAlgorithm); 6] = [
    (Algorithm::Rs256, RsaAlgorithm::Rs256),
    (Algorithm::Rs384, RsaAlgorithm::Rs384),
    (Algorithm::Rs512, RsaAlgorithm::Rs512),
    (Algorithm::Ps256, RsaAlgorithm::Ps256),
    (Algorithm::Ps384, RsaAlgorithm::Ps384),
    (Algorithm::Ps512, RsaAlgorithm::Ps512),
];

/// `use` and `key_ops`, where present, must both allow it. No operation is listed twice (RFC 7517
/// §4.3).
fn allows_verification(jwk: &Object) -> Result<bool, JwkError> {
    const INVALID: JwkError = JwkError::InvalidMember("key_ops");
    let use_allows = optional_text(jwk, "use")?.is_none_or(|value| value == "sig");
    let operations = match jwk.get("key_ops") {
        None => return Ok(use_allows),
        Some(Value::Array(operations)) => operations,
        Some(_) => return Err(INVALID),
    };
    let names: Option<Vec<&str>> = operations.iter().map(Value::as_str).collect();
    let mut names = names.ok_or(INVALID)?;
    names.sort_unstable();
    if !names.is_sorted_by(|a, b| a < b) {
        return Err(INVALID);
    }
    Ok(use_allows && names.contains(&"verify"))
}

/// A member that must be there and a text.
pub(super) fn text<'a>(jwk: &'a Object, name: &'static str) -> Result<&'a str, JwkError> {
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
