//! Keys that tokens are bound to, and the proofs made with them (RFC 9449).

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_core::jose::base64url;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::{Error, Secret, jws, random};

/// A P-256 key of one login.
#[derive(Clone)]
pub struct Key {
    pkcs8: Secret,
    pair: Arc<EcdsaKeyPair>,
}

impl Key {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn generate() -> Result<Self, Error> {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(|_| Error::Crypto("the system gives no random bytes"))?;
        Self::from_pkcs8(Secret::new(STANDARD.encode(document.as_ref())))
    }

    fn from_pkcs8(pkcs8: Secret) -> Result<Self, Error> {
        const BROKEN: Error = Error::Crypto("the login's key cannot be read; log in again");
        let der = STANDARD.decode(pkcs8.expose()).map_err(|_| BROKEN)?;
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).map_err(|_| BROKEN)?;
        Ok(Self { pkcs8, pair: Arc::new(pair) })
    }

    fn coordinates(&self) -> (String, String) {
        // Uncompressed SEC 1: a byte, then x, then y.
        let point = self.pair.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
        (base64url::encode(x), base64url::encode(y))
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.coordinates();
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
    }

    /// The key's thumbprint (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let (x, y) = self.coordinates();
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        base64url::encode(digest(&SHA256, canonical.as_bytes()).as_ref())
    }

    /// A proof for one request (RFC 9449 §4.2), for a resource with the token that it goes with.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn proof(
        &self,
        method: &str,
        url: &str,
        token: Option<&Secret>,
        nonce: Option<&str>,
        now: u64,
    ) -> Result<Secret, Error> {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk() });
        let target = url.split(['?', '#']).next().unwrap_or_default();
        let mut claims =
            json!({ "jti": random::text()?, "htm": method, "htu": target, "iat": now });
        if let Some(token) = token {
            let hash = digest(&SHA256, token.expose().as_bytes());
            claims["ath"] = base64url::encode(hash.as_ref()).into();
        }
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        let input = jws::signing_input(&header, &claims);
        let signature = self
            .pair
            .sign(&SystemRandom::new(), input.as_bytes())
            .map_err(|_| Error::Crypto("the login's key does not sign"))?;
        Ok(Secret::new(format!("{input}.{}", base64url::encode(signature.as_ref()))))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.thumbprint())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.pkcs8 == other.pkcs8
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.pkcs8.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pkcs8 = Secret::deserialize(deserializer)?;
        Self::from_pkcs8(pkcs8).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use countersign_core::oauth::dpop::{Expected, Proof};

    use super::*;

    /// RFC 9449 §4.3, as the guard checks it.
    #[test]
    fn proofs_are_what_the_guard_takes() {
        let key = Key::generate().unwrap();
        let token = Secret::new("t");
        let text = key.proof("POST", "https://h/mcp?a=b", Some(&token), Some("n"), 1000).unwrap();
        let proof = Proof::parse(text.expose()).unwrap();
        let expected = Expected {
            method: b"POST",
            urls: &["https://h/mcp".to_owned()],
            token_digest: Some(&digest(&SHA256, b"t").as_ref().try_into().unwrap()),
            nonces: Some(&["n".to_owned()]),
            now: 1000,
            leeway: 0,
        };
        assert_eq!(proof.check(&expected), Ok(()));
        let unchecked = proof.key();
        assert_eq!(base64url::encode(unchecked.thumbprint()), key.thumbprint());
        let checked = unchecked.check().unwrap();
        let verifier = checked.verifier(proof.algorithm()).unwrap();
        assert!(verifier.verify(proof.signing_input(), proof.signature()));
    }

    /// No jti comes twice (RFC 9449 §4.2), and a key is the same after it was kept.
    #[test]
    fn keys_are_kept() {
        let key = Key::generate().unwrap();
        let again: Key = serde_json::from_str(&serde_json::to_string(&key).unwrap()).unwrap();
        assert_eq!(again.thumbprint(), key.thumbprint());
        let digest = |key: &Key| {
            let text = key.proof("GET", "https://h/", None, None, 1).unwrap();
            Proof::parse(text.expose()).unwrap().replay_digest()
        };
        assert_ne!(digest(&key), digest(&key));
        assert!(!format!("{key:?}").contains(key.pkcs8.expose()));
    }
}
