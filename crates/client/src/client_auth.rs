//! How a client proves at the token endpoint who it is (OAuth 2.1 §2.4, RFC 7523 §2.2).

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_core::{jose::base64url, oauth::introspection::basic_credentials};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use crate::{Error, Secret, jws, random, registration::Registration};

/// The authentication methods that are known here, by their names in RFC 7591 §2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// The secret in an `Authorization` header.
    ClientSecretBasic,
    /// The secret in the form.
    ClientSecretPost,
    /// None: a public client.
    None,
    /// A signed assertion.
    PrivateKeyJwt,
}

impl AuthMethod {
    /// Its name in metadata.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::None => "none",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let all =
            [Self::ClientSecretBasic, Self::ClientSecretPost, Self::None, Self::PrivateKeyJwt];
        all.into_iter().find(|method| method.name() == name)
    }

    pub(crate) const fn needs_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }

    /// What a client on somebody's machine registers with: as a public client where that is possible,
    /// since a secret that each installation is given proves little. Without a list the server takes
    /// `client_secret_basic` (RFC 8414 §2).
    pub(crate) fn to_register(supported: &[&str]) -> Self {
        match supported {
            [] => Self::ClientSecretBasic,
            names if names.contains(&"none") => Self::None,
            names => Self::for_secret(names),
        }
    }

    /// How a client with a secret shows it.
    pub(crate) fn for_secret(supported: &[&str]) -> Self {
        let has = |method: Self| supported.contains(&method.name());
        match has(Self::ClientSecretPost) && !has(Self::ClientSecretBasic) {
            true => Self::ClientSecretPost,
            false => Self::ClientSecretBasic,
        }
    }
}

/// A private key for `private_key_jwt`: PKCS #8, of P-256 (ES256), RSA (RS256) or Ed25519 (EdDSA).
#[derive(Clone)]
pub struct ClientKey {
    pem: Secret,
    pair: Arc<Pair>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl ClientKey {
    /// Reads a key from PEM.
    ///
    /// # Errors
    /// [`Error::Crypto`], which says what is expected.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        const EXPECTED: Error = Error::Crypto(
            "the client's key is not a PKCS #8 private key of P-256, RSA or Ed25519 in PEM \
             (-----BEGIN PRIVATE KEY-----)",
        );
        let inner = pem
            .split_once("-----BEGIN PRIVATE KEY-----")
            .and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"))
            .map(|(inner, _)| inner.split_whitespace().collect::<String>())
            .ok_or(EXPECTED)?;
        let der = STANDARD.decode(inner).map_err(|_| EXPECTED)?;
        let pair = if let Ok(pair) =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)
        {
            Pair::Ecdsa(pair)
        } else if let Ok(pair) = RsaKeyPair::from_pkcs8(&der) {
            Pair::Rsa(pair)
        } else {
            Pair::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| EXPECTED)?)
        };
        Ok(Self { pem: Secret::new(pem), pair: Arc::new(pair) })
    }

    fn algorithm(&self) -> &'static str {
        match *self.pair {
            Pair::Ecdsa(_) => "ES256",
            Pair::Ed25519(_) => "EdDSA",
            Pair::Rsa(_) => "RS256",
        }
    }

    fn sign(&self, input: &[u8]) -> Result<Vec<u8>, Error> {
        const FAILED: Error = Error::Crypto("the client's key does not sign");
        let random = SystemRandom::new();
        match &*self.pair {
            Pair::Ecdsa(pair) => {
                Ok(pair.sign(&random, input).map_err(|_| FAILED)?.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(input).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, input, &mut signature).map_err(|_| FAILED)?;
                Ok(signature)
            }
        }
    }

    /// An assertion for one request (RFC 7523 §3), with the issuer as its only audience.
    fn assertion(&self, client_id: &str, issuer: &str, now: u64) -> Result<Secret, Error> {
        let header = json!({ "alg": self.algorithm(), "typ": "JWT" });
        let claims = json!({
            "iss": client_id,
            "sub": client_id,
            "aud": issuer,
            "iat": now,
            "exp": now + 60,
            "jti": random::text()?,
        });
        let input = jws::signing_input(&header, &claims);
        let signature = base64url::encode(self.sign(input.as_bytes())?);
        Ok(Secret::new(format!("{input}.{signature}")))
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKey({})", self.algorithm())
    }
}

impl PartialEq for ClientKey {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

impl Serialize for ClientKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.pem.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ClientKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pem = Secret::deserialize(deserializer)?;
        Self::from_pem(pem.expose()).map_err(serde::de::Error::custom)
    }
}

/// A client's proof for one request: what goes into the form, and what into the `Authorization` header.
pub(crate) struct Proof {
    pub(crate) form: Vec<(&'static str, Secret)>,
    pub(crate) basic: Option<Secret>,
}

/// What one request to the token endpoint needs.
pub(crate) fn prove(client: &Registration, issuer: &str, now: u64) -> Result<Proof, Error> {
    let id = || ("client_id", Secret::new(&client.client_id));
    let missing = Error::Crypto("the client's secret or key is missing; log in again");
    let secret = client.client_secret.as_ref().ok_or_else(|| missing.clone());
    Ok(match client.auth_method {
        AuthMethod::None => Proof { form: vec![id()], basic: None },
        AuthMethod::ClientSecretPost => {
            Proof { form: vec![id(), ("client_secret", secret?.clone())], basic: None }
        }
        AuthMethod::ClientSecretBasic => {
            let basic = basic_credentials(&client.client_id, secret?.expose());
            Proof { form: Vec::new(), basic: Some(Secret::new(basic)) }
        }
        AuthMethod::PrivateKeyJwt => {
            let key = client.client_key.as_ref().ok_or(missing)?;
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let assertion = key.assertion(&client.client_id, issuer, now)?;
            let form = vec![
                id(),
                ("client_assertion_type", Secret::new(kind)),
                ("client_assertion", assertion),
            ];
            Proof { form, basic: None }
        }
    })
}
