//! A token minter that can also make what no issuer would.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::keys::TestKey;

/// 2026-01-01: before every clock that the vectors are run with.
pub const ISSUED_AT: u64 = 1_767_225_600;

/// 2099-12-31: after every clock that the vectors are run with.
pub const EXPIRES_AT: u64 = 4_102_358_400;

/// A token in the making.
#[derive(Clone, Debug)]
pub struct Token {
    key: TestKey,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    raw_header: Option<String>,
    raw_payload: Option<Vec<u8>>,
}

impl Token {
    /// A good token for `audience`, signed by the first ES256 key.
    #[must_use]
    pub fn new(issuer: &str, audience: &str) -> Self {
        let key = TestKey::Es256(1);
        let claims = json!({
            "iss": issuer, "aud": audience, "sub": "user-1", "client_id": "client-1",
            "scope": "mcp:use files:read", "jti": "token-1", "iat": ISSUED_AT, "exp": EXPIRES_AT,
        });
        let header = json!({ "alg": key.alg(), "typ": "at+jwt", "kid": "es1" });
        Self {
            key,
            header: object(header),
            claims: object(claims),
            raw_header: None,
            raw_payload: None,
        }
    }

    /// A good DPoP proof (RFC 9449 §4.2) by `key` for a request with this access token.
    #[must_use]
    pub fn proof(
        key: TestKey,
        method: &str,
        url: &str,
        access_token: &str,
        issued_at: u64,
    ) -> Self {
        let jwk = Self::public(key);
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(access_token));
        let header = json!({ "typ": "dpop+jwt", "alg": key.alg(), "jwk": jwk });
        let claims = json!({
            "jti": "proof-1", "htm": method, "htu": url, "iat": issued_at, "ath": hash,
        });
        Self {
            key,
            header: object(header),
            claims: object(claims),
            raw_header: None,
            raw_payload: None,
        }
    }

    /// The claims as they are so far.
    #[must_use]
    pub const fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Binds the token to a key (RFC 9449 §6.1).
    #[must_use]
    pub fn bound_to(self, key: TestKey) -> Self {
        let jwk = object(Self::public(key));
        let mut names: Vec<_> = jwk.keys().collect();
        names.sort();
        // RFC 7638 §3: the required members in order, without space.
        let canonical: Vec<String> =
            names.into_iter().map(|name| format!("{name:?}:{}", jwk[name])).collect();
        let thumbprint = Sha256::digest(format!("{{{}}}", canonical.join(",")));
        self.claim("cnf", json!({ "jkt": URL_SAFE_NO_PAD.encode(thumbprint) }))
    }

    /// The required members of the public key.
    fn public(key: TestKey) -> Value {
        let mut jwk = object(key.jwk(""));
        jwk.retain(|name, _| matches!(name.as_str(), "crv" | "e" | "kty" | "n" | "x" | "y"));
        Value::Object(jwk)
    }

    /// Signs with another key, whose name is `kid`.
    #[must_use]
    pub fn key(mut self, key: TestKey, kid: &str) -> Self {
        self.key = key;
        self.header("alg", key.alg()).header("kid", kid)
    }

    /// Sets a header parameter; null removes it.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.header, name, value.into());
        self
    }

    /// Sets a claim; null removes it.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.claims, name, value.into());
        self
    }

    /// Takes this text for the header, whatever it is.
    #[must_use]
    pub fn raw_header(mut self, text: &str) -> Self {
        self.raw_header = Some(text.to_owned());
        self
    }

    /// Takes these bytes for the payload, whatever they are.
    #[must_use]
    pub fn raw_payload(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.raw_payload = Some(bytes.as_ref().to_vec());
        self
    }

    /// Takes the claims with `find` replaced by `replacement` in their JSON text.
    #[must_use]
    pub fn edit_payload(self, find: &str, replacement: &str) -> Self {
        let text = Value::Object(self.claims.clone()).to_string();
        assert!(text.contains(find), "the claims do not have {find}");
        let edited = text.replacen(find, replacement, 1);
        self.raw_payload(edited)
    }

    /// Header and payload, encoded.
    #[must_use]
    pub fn signing_input(&self) -> String {
        let header = self
            .raw_header
            .clone()
            .unwrap_or_else(|| Value::Object(self.header.clone()).to_string());
        let payload = self
            .raw_payload
            .clone()
            .unwrap_or_else(|| Value::Object(self.claims.clone()).to_string().into_bytes());
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    /// The compact token.
    #[must_use]
    pub fn sign(&self) -> String {
        let input = self.signing_input();
        let signature = self.key.sign(input.as_bytes());
        self.with_signature(&signature)
    }

    /// The compact token with a signature of one's own.
    #[must_use]
    pub fn with_signature(&self, signature: &[u8]) -> String {
        format!("{}.{}", self.signing_input(), URL_SAFE_NO_PAD.encode(signature))
    }

    /// The signature that [`Self::sign`] makes.
    #[must_use]
    pub fn signature(&self) -> Vec<u8> {
        self.key.sign(self.signing_input().as_bytes())
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn set(members: &mut Map<String, Value>, name: &str, value: Value) {
    if value.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), value);
    }
}
