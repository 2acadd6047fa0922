//! Key sets (RFC 7517 §5) and the choice of a key for a token.
//!
//! The choice follows these rules, and a token has no other say in it than its `alg` and `kid`:
//!
//! 1. The `alg` must be one that the policy allows for the issuer; this is checked before.
//! 2. Only keys that may serve this algorithm are looked at (see [`super::jwk`]). So two keys of one
//!    `kid` and different kinds do not disturb each other (RFC 7517 §4.5).
//! 3. A token with `kid` gets the key of the same `kid`, compared byte for byte. A key without `kid`
//!    never fits such a token.
//! 4. A token without `kid` gets the only key of the set that may serve its algorithm.
//! 5. Where several different keys fit, none is tried. The same key listed twice, which its
//!    thumbprint tells, is one key.
//!
//! A key that cannot be used is left out, whatever is wrong with it, and does not spoil the others.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use super::{
    alg::Algorithm,
    json::{self, Number, Value},
    jwk::{Jwk, JwkError, Secrets},
};

/// A member of key sets and a claim of signed status lists, both private to this project: a number that
/// grows with every change of the key set. Whoever holds a set with a lower number than that of a list
/// fetches the set again, so that a key that was taken out of it is not believed any longer.
pub const GENERATION: &str = "jwks_gen";

/// The usable keys of a set. One bad or unknown key never spoils the others.
#[derive(Clone, Debug, Default)]
pub struct JwkSet {
    keys: Vec<Arc<Jwk>>,
    skipped: Vec<(usize, JwkError)>,
    generation: Option<u64>,
}

/// Why a document is no key set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwksError {
    /// Not strict JSON; the text says what and where.
    Json(json::JsonError),
    /// No object with a `keys` array.
    NoKeys,
    /// Not one of the keys can be used.
    NoUsableKey,
    /// More keys than allowed.
    TooManyKeys,
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "the key set is not strict JSON: {error}"),
            Self::NoKeys => f.write_str("the key set has no keys array"),
            Self::NoUsableKey => f.write_str("the key set has no usable signature key"),
            Self::TooManyKeys => f.write_str("the key set has more keys than allowed"),
        }
    }
}

impl core::error::Error for JwksError {}

/// What a set has for a token's `kid` and `alg`.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// Exactly one key fits.
    Found(&'a Arc<Jwk>),
    /// Several keys fit: same `kid` and algorithm, or no `kid` in the token. None is tried, since a
    /// set that names two keys alike does not say which one is meant.
    Ambiguous,
    /// No key fits.
    Missing,
}

impl JwkSet {
    /// Reads a published key set; symmetric keys in it are left out.
    ///
    /// # Errors
    /// [`JwksError`] when the document as a whole cannot be used. Single keys that cannot are in
    /// [`JwkSet::skipped`].
    pub fn parse(document: &[u8], max_keys: usize) -> Result<Self, JwksError> {
        let document = json::parse(document).map_err(JwksError::Json)?;
        Self::from_json(&document, max_keys, Secrets::Refuse)
    }

    /// The same from JSON already read, which may be the operator's own and have secrets in it.
    ///
    /// # Errors
    /// As [`JwkSet::parse`].
    pub fn from_json(
        document: &Value,
        max_keys: usize,
        secrets: Secrets,
    ) -> Result<Self, JwksError> {
        let member = |name| document.as_object().and_then(|members| members.get(name));
        let entries = member("keys").and_then(Value::as_array).ok_or(JwksError::NoKeys)?;
        if entries.len() > max_keys {
            return Err(JwksError::TooManyKeys);
        }
        let generation = match member(GENERATION) {
            Some(Value::Number(Number::Unsigned(number))) => Some(*number),
            _ => None,
        };
        let mut set = Self { generation, ..Self::default() };
        for (index, entry) in entries.iter().enumerate() {
            let members = entry.as_object().ok_or(JwkError::InvalidMember("keys"));
            match members.and_then(|members| Jwk::from_json(members, secrets)) {
                Ok(key) => set.keys.push(Arc::new(key)),
                Err(error) => set.skipped.push((index, error)),
            }
        }
        if set.keys.is_empty() { Err(JwksError::NoUsableKey) } else { Ok(set) }
    }

    /// The usable keys in the document's order.
    #[must_use]
    pub fn keys(&self) -> &[Arc<Jwk>] {
        &self.keys
    }

    /// Position and reason of each key that was left out.
    #[must_use]
    pub fn skipped(&self) -> &[(usize, JwkError)] {
        &self.skipped
    }

    /// A number that grows with every change of the set, if its issuer says it ([`GENERATION`]).
    #[must_use]
    pub const fn generation(&self) -> Option<u64> {
        self.generation
    }

    /// The key for a token, by the rules of [this module](self).
    #[must_use]
    pub fn select(&self, kid: Option<&str>, algorithm: Algorithm) -> Selection<'_> {
        let mut fitting = self.keys.iter().filter(|key| {
            key.verifier(algorithm).is_some() && kid.is_none_or(|kid| key.kid() == Some(kid))
        });
        match (fitting.next(), fitting.next()) {
            (None, _) => Selection::Missing,
            (Some(key), None) => Selection::Found(key),
            // The same key listed twice is no contradiction.
            (Some(key), Some(second))
                if second.thumbprint() == key.thumbprint()
                    && fitting.all(|other| other.thumbprint() == key.thumbprint()) =>
            {
                Selection::Found(key)
            }
            (Some(_), Some(_)) => Selection::Ambiguous,
        }
    }
}
