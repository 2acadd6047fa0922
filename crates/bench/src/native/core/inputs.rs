//! Policies, keys and tokens, as an issuer in production has them.

use countersign_bench::suite::{Inputs, NOW};
use countersign_testkit::{keys::TestKey, token::Token};
use serde_json::{Value, json};

/// The keys that sign the tokens, in their order.
pub(crate) const KEYS: [(TestKey, &str); 3] =
    [(TestKey::Es256(1), "es1"), (TestKey::Rs256, "rs1"), (TestKey::Ed25519(1), "ed1")];

pub(crate) const ISSUER: &str = "https://auth.example.com";
pub(crate) const RESOURCE: &str = "https://mcp.example.com/mcp";

pub(crate) fn make() -> Inputs {
    let mut keys: Vec<Value> = KEYS.iter().map(|(key, kid)| key.jwk(kid)).collect();
    keys.push(TestKey::Es256(2).jwk("es2"));
    let jwks = json!({ "keys": keys });
    let policy = |scopes: Value| {
        let issuer = json!({ "issuer": ISSUER, "jwks": jwks });
        let resource = json!({ "resource": RESOURCE, "scopes": scopes });
        json!({ "issuers": [issuer], "resources": [resource] }).to_string()
    };
    let tools = json!({
        "read_*": ["files:read"], "write_*": ["files:write"], "search_files": ["files:read"],
        "delete_file": ["files:admin"],
    });
    let implies = json!({ "files:admin": ["files:write"], "files:write": ["files:read"] });
    Inputs {
        policy: policy(json!({ "baseline": ["mcp:use"] })),
        rules: policy(json!({ "baseline": ["mcp:use"], "implies": implies, "tools": tools })),
        jwks: jwks.to_string(),
        tokens: KEYS.iter().map(|(key, kid)| token(*key, kid)).collect(),
    }
}

/// About 700 bytes, as `spec/performance.md` measures.
fn token(key: TestKey, kid: &str) -> String {
    Token::new(ISSUER, RESOURCE)
        .key(key, kid)
        .claim("iat", NOW - 60)
        .claim("exp", NOW + 840)
        .claim("auth_time", NOW - 3600)
        .claim("scope", "mcp:use files:read files:write")
        .claim("sub", "248289761001")
        .claim("client_id", "s6BhdRkqt3YYeYpzBqmzXg")
        .claim("jti", "d4f1c2aab0e14f5f9d1c2b3a4e5f6071")
        .claim("name", "Ada Lovelace")
        .claim("groups", json!(["engineering", "analytical-engine"]))
        .sign()
}
