//! One private key: made, opened, signing. By aws-lc-rs: constant time, RSA blinded.

use std::collections::BTreeMap;

use aws_lc_rs::{
    encoding::AsDer as _,
    rand::SystemRandom,
    rsa::{self, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256,
    },
};
use countersign_core::jose::{alg::Algorithm, base64url};
use serde::Serialize;
use serde_json::json;

use crate::{Error, secret};

/// RS256 keys have so many bits: NIST SP 800-131A allows it, and every verifier takes it. It signs
/// four times as often as 3072, and a key is used for three months.
const RSA_SIZE: KeySize = KeySize::Rsa2048;

/// A key that signs.
pub(crate) struct Signer {
    kid: String,
    alg: Algorithm,
    pair: Pair,
    random: SystemRandom,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(rsa::KeyPair),
}

/// A key that was just made.
pub(crate) struct NewKey {
    pub(crate) kid: String,
    /// As it is published (RFC 7517).
    pub(crate) public_jwk: String,
    /// PKCS #8, to be sealed.
    pub(crate) private: Vec<u8>,
}

impl Signer {
    /// Opens a key that was stored.
    pub(super) fn from_pkcs8(kid: &str, alg: Algorithm, private: &[u8]) -> Result<Self, Error> {
        let unreadable = |_| Error::Crypto("a signing key cannot be read");
        let pair = match alg {
            Algorithm::Es256 => Pair::Ecdsa(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private)
                    .map_err(unreadable)?,
            ),
            Algorithm::EdDsa => {
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8(private).map_err(unreadable)?)
            }
            Algorithm::Rs256 => Pair::Rsa(rsa::KeyPair::from_pkcs8(private).map_err(unreadable)?),
            _ => return Err(unsupported()),
        };
        Ok(Self { kid: kid.to_owned(), alg, pair, random: SystemRandom::new() })
    }

    /// Its name in the key set.
    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// Signs claims as a compact JWS of this type (RFC 7515 §3.1).
    pub(crate) fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, Error> {
        let header = json!({ "alg": self.alg.name(), "kid": self.kid, "typ": typ });
        let claims = serde_json::to_vec(claims);
        let claims = claims.map_err(|_| Error::Crypto("claims that are no JSON"))?;
        let mut token = base64url::encode(header.to_string());
        token.push('.');
        token.push_str(&base64url::encode(claims));
        let signature = match &self.pair {
            Pair::Ecdsa(pair) => base64url::encode(pair.sign(&self.random, token.as_bytes())?),
            Pair::Ed25519(pair) => base64url::encode(pair.sign(token.as_bytes())),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &self.random, token.as_bytes(), &mut signature)?;
                base64url::encode(signature)
            }
        };
        token.push('.');
        token.push_str(&signature);
        Ok(token)
    }
}

impl NewKey {
    /// Makes a key. An RSA key takes a tenth of a second, or several.
    pub(crate) fn generate(alg: Algorithm) -> Result<Self, Error> {
        match alg {
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
                // 0x04, then both coordinates of 32 bytes (SEC 1 §2.3.3).
                let point = pair.public_key().as_ref();
                let (Some(x), Some(y)) = (point.get(1..33), point.get(33..65)) else {
                    return Err(Error::Crypto("the new key has an unknown form"));
                };
                let members = [("crv", "P-256"), ("kty", "EC")];
                Ok(Self::new(alg, &members, &[("x", x), ("y", y)], pair.to_pkcs8v1()?.as_ref()))
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate()?;
                let members = [("crv", "Ed25519"), ("kty", "OKP")];
                let public = pair.public_key().as_ref();
                Ok(Self::new(alg, &members, &[("x", public)], pair.to_pkcs8()?.as_ref()))
            }
            Algorithm::Rs256 => {
                let pair = rsa::KeyPair::generate(RSA_SIZE)?;
                let private = pair.as_der()?;
                let public = pair.public_key();
                let exponent = public.exponent().big_endian_without_leading_zero();
                let modulus = public.modulus().big_endian_without_leading_zero();
                let numbers = [("e", exponent), ("n", modulus)];
                Ok(Self::new(alg, &[("kty", "RSA")], &numbers, private.as_ref()))
            }
            _ => Err(unsupported()),
        }
    }

    /// `kid` is the key's thumbprint (RFC 7638): its required members in the order of their names.
    fn new(
        alg: Algorithm,
        names: &[(&str, &str)],
        numbers: &[(&str, &[u8])],
        private: &[u8],
    ) -> Self {
        let numbers = numbers.iter().map(|(name, bytes)| (*name, base64url::encode(bytes)));
        let names = names.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let mut jwk: BTreeMap<&str, String> = names.chain(numbers).collect();
        let kid = base64url::encode(secret::sha256(&[json!(jwk).to_string().as_bytes()]));
        jwk.extend([
            ("alg", alg.name().to_owned()),
            ("kid", kid.clone()),
            ("use", "sig".to_owned()),
        ]);
        Self { kid, public_jwk: json!(jwk).to_string(), private: private.to_vec() }
    }
}

const fn unsupported() -> Error {
    Error::Crypto("the issuer signs with ES256, EdDSA and RS256 only")
}

#[cfg(test)]
mod tests {
    use countersign_core::jose::{
        jwks::{JwkSet, Selection},
        jws::CompactJws,
    };

    use super::*;

    /// The engine, which is another implementation, takes what each algorithm signs; RFC 7638 §3.1
    /// gives the thumbprint.
    #[test]
    fn every_algorithm_makes_what_a_guard_verifies() {
        for alg in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
            let new = NewKey::generate(alg).unwrap();
            let signer = Signer::from_pkcs8(&new.kid, alg, &new.private).unwrap();
            let token = signer.sign("at+jwt", &json!({ "sub": "ada" })).unwrap();
            let set = format!("{{\"keys\":[{}]}}", new.public_jwk);
            let keys = JwkSet::parse(set.as_bytes(), 1).unwrap();
            let jws = CompactJws::parse(&token).unwrap();
            assert_eq!(jws.header().algorithm, Some(alg));
            let Selection::Found(key) = keys.select(jws.header().kid.as_deref(), alg) else {
                panic!("{:?} in {set}", jws.header());
            };
            let verifier = key.verifier(alg).unwrap();
            assert!(verifier.verify(jws.signing_input().as_bytes(), jws.signature()), "{alg:?}");
            assert!(!verifier.verify(b"other", jws.signature()), "{alg:?}");
        }
        assert!(NewKey::generate(Algorithm::Hs256).is_err());
    }

    #[test]
    fn a_key_is_of_its_algorithm() {
        let key = NewKey::generate(Algorithm::Es256).unwrap();
        assert!(Signer::from_pkcs8("k", Algorithm::Rs256, &key.private).is_err());
        assert!(Signer::from_pkcs8("k", Algorithm::EdDsa, &key.private).is_err());
        assert!(Signer::from_pkcs8("k", Algorithm::Es256, b"nothing").is_err());
    }
}
