//! Status lists (draft-ietf-oauth-status-list-21), signed and compressed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    keys::TestKey,
    token::{EXPIRES_AT, ISSUED_AT, Token},
};

/// A list of 64 places with one bit each, as the issuer's first key signs it.
#[derive(Clone, Debug)]
pub struct TestList(Token);

impl TestList {
    /// The list at this address in which these places are revoked.
    #[must_use]
    pub fn new(uri: &str, revoked: &[usize]) -> Self {
        let mut bytes = [0_u8; 8];
        for place in revoked {
            bytes[place / 8] |= 1 << (place % 8);
        }
        Self::of(uri, 1, &bytes)
    }

    /// The list at this address, of these bytes with so many bits for each place.
    #[must_use]
    pub fn of(uri: &str, bits: u64, bytes: &[u8]) -> Self {
        let lst = URL_SAFE_NO_PAD.encode(miniz_oxide::deflate::compress_to_vec_zlib(bytes, 9));
        let mut token = Token::new("", "").header("typ", "statuslist+jwt");
        for name in ["iss", "aud", "client_id", "scope", "jti"] {
            token = token.claim(name, Value::Null);
        }
        Self(
            token
                .claim("sub", uri)
                .claim("iat", ISSUED_AT)
                .claim("exp", EXPIRES_AT)
                .claim("ttl", 3600)
                .claim("status_list", json!({ "bits": bits, "lst": lst })),
        )
    }

    /// Sets a claim; null removes it.
    #[must_use]
    pub fn claim(self, name: &str, value: impl Into<Value>) -> Self {
        Self(self.0.claim(name, value))
    }

    /// Sets a header parameter.
    #[must_use]
    pub fn header(self, name: &str, value: impl Into<Value>) -> Self {
        Self(self.0.header(name, value))
    }

    /// Signs with another key, under the same name.
    #[must_use]
    pub fn key(self, key: TestKey) -> Self {
        Self(self.0.key(key, "es1"))
    }

    /// The compact token.
    #[must_use]
    pub fn sign(&self) -> String {
        self.0.sign()
    }
}

/// The `status` claim for a place in a list.
#[must_use]
pub fn reference(uri: &str, index: u64) -> Value {
    json!({ "status_list": { "idx": index, "uri": uri } })
}
