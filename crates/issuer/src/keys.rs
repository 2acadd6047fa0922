//! Signing keys: made at the first start, sealed at rest, published as a key set.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use countersign_core::jose::base64url;
use serde_json::{Value, json};

use crate::{
    Error, clock,
    seal::SealingKey,
    secret,
    store::{SigningKeyRow, Store},
};

/// The key that signs, and the key set that is published.
pub(crate) struct SigningKeys {
    kid: String,
    pair: EcdsaKeyPair,
    random: SystemRandom,
    jwks: String,
}

impl SigningKeys {
    /// Opens the stored keys; makes the first one.
    pub(crate) async fn load(store: &Store, sealing: &SealingKey) -> Result<Self, Error> {
        let mut rows = store.signing_keys().await?;
        if !rows.iter().any(|row| row.state == "active") {
            // Another process may make one at the same moment: what is stored then counts.
            store.add_signing_key(&generate(sealing)?).await?;
            rows = store.signing_keys().await?;
        }
        let active = rows
            .iter()
            .find(|row| row.state == "active")
            .ok_or(Error::Crypto("there is no active signing key"))?;
        let private = sealing.open(&place(&active.kid), &active.private_sealed)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &private)
            .map_err(|_| Error::Crypto("the signing key cannot be read"))?;
        let keys: Vec<Value> = rows
            .iter()
            .filter(|row| row.state != "revoked")
            .filter_map(|row| serde_json::from_str(&row.public_jwk).ok())
            .collect();
        let jwks = json!({ "keys": keys }).to_string();
        Ok(Self { kid: active.kid.clone(), pair, random: SystemRandom::new(), jwks })
    }

    /// The published key set (RFC 7517 §5).
    pub(crate) fn jwks(&self) -> &str {
        &self.jwks
    }

    /// Signs claims as a compact JWS of this type.
    pub(crate) fn sign(&self, typ: &str, claims: &Value) -> Result<String, Error> {
        let header = json!({ "alg": "ES256", "kid": self.kid, "typ": typ });
        let input = format!(
            "{}.{}",
            base64url::encode(header.to_string()),
            base64url::encode(claims.to_string())
        );
        let signature = self.pair.sign(&self.random, input.as_bytes())?;
        Ok(format!("{input}.{}", base64url::encode(signature)))
    }
}

fn generate(sealing: &SealingKey) -> Result<SigningKeyRow, Error> {
    let now = clock::now();
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    let private = pair.to_pkcs8v1()?;
    // 0x04, then both coordinates of 32 bytes (SEC 1 §2.3.3).
    let point = pair.public_key().as_ref();
    let (Some(x), Some(y)) = (point.get(1..33), point.get(33..65)) else {
        return Err(Error::Crypto("the new key has an unknown form"));
    };
    let (x, y) = (base64url::encode(x), base64url::encode(y));
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let kid = base64url::encode(secret::sha256(&[canonical.as_bytes()]));
    let public_jwk = json!({
        "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "alg": "ES256", "use": "sig",
    });
    Ok(SigningKeyRow {
        private_sealed: sealing.seal(&place(&kid), private.as_ref())?,
        kid,
        alg: "ES256".to_owned(),
        state: "active".to_owned(),
        public_jwk: public_jwk.to_string(),
        created_at: now,
        sign_from: now,
        sign_until: now + 90 * 86_400,
    })
}

fn place(kid: &str) -> String {
    format!("signing_keys/{kid}")
}
