//! The policies of the vectors.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    FILES, ISSUER, algorithms, dpop, introspection, lists, presets, resources, sessions, status,
};
use crate::keys::TestKey;

/// In effect no limit: the vectors' tokens live until 2099.
pub(super) const LONG: u64 = 3_155_760_000;

pub(super) fn policies() -> BTreeMap<String, Value> {
    let fetched = |issuer: Value| {
        json!({
            "issuers": [issuer],
            "resources": [{
                "resource": FILES,
                "scopes": { "baseline": ["mcp:use"] },
            }],
        })
    };
    [
        ("main", main()),
        ("algorithms", algorithms::policy()),
        ("algorithms-narrow", algorithms::narrow_policy()),
        ("dpop", dpop::policy("require")),
        ("dpop-accept", dpop::policy("accept")),
        ("dpop-nonce", dpop::policy_with_nonces()),
        ("lists", lists::policy()),
        ("opaque", introspection::policy("off")),
        ("presets", presets::policy()),
        ("resources", resources::policy()),
        ("sessions", sessions::policy("enforce")),
        ("sessions-shadow", sessions::policy("shadow")),
        ("status", status::policy(None)),
        ("status-required", status::policy(Some("required"))),
        ("status-ignored", status::policy(Some("ignore"))),
        (
            "discovery",
            fetched(json!({ "issuer": "https://auth.example.com/tenant", "cluster": "auth", "max_lifetime": LONG })),
        ),
        (
            "oidc",
            fetched(json!({ "issuer": "https://oidc.example.com", "cluster": "auth", "max_lifetime": LONG })),
        ),
        (
            "mix-up",
            fetched(json!({ "issuer": "https://mixed.example.com", "cluster": "auth", "max_lifetime": LONG })),
        ),
        (
            "uri",
            fetched(json!({
                "issuer": ISSUER, "cluster": "auth", "max_lifetime": LONG,
                "jwks_uri": "https://auth.example.com/keys",
            })),
        ),
        (
            "down",
            fetched(json!({
                "issuer": ISSUER, "cluster": "auth", "max_lifetime": LONG,
                "jwks_uri": "https://auth.example.com/down",
            })),
        ),
        (
            "garbage",
            fetched(json!({
                "issuer": ISSUER, "cluster": "auth", "max_lifetime": LONG,
                "jwks_uri": "https://auth.example.com/garbage",
            })),
        ),
    ]
    .map(|(name, mut policy)| {
        // In Envoy all cases come from one address, and most of them are refused.
        policy["limits"]["failures_per_minute"] = json!(0);
        (name.to_owned(), policy)
    })
    .into()
}

/// All that needs no fetch, on several hosts.
fn main() -> Value {
    json!({
        "issuers": [
            { "issuer": ISSUER, "jwks": jwks(), "max_lifetime": LONG },
            {
                "issuer": "https://legacy.example.com",
                "jwks": { "keys": [TestKey::Rs256.jwk("legacy")] },
                "algorithms": ["RS256"], "token_types": ["JWT", ""],
                "required_claims": ["sub"], "max_lifetime": LONG,
            },
            { "issuer": "https://brief.example.com", "jwks": jwks() },
        ],
        "resources": [
            {
                "resource": FILES, "name": "Example files",
                "issuers": [ISSUER, "https://brief.example.com"],
                "accept_audiences": ["mcp://files"],
                "documentation": "https://docs.example.com/files",
                "scopes": {
                    "baseline": ["mcp:use"],
                    "implies": { "files:write": ["files:read"], "files:admin": ["files:write"] },
                    "tools": {
                        "read_file": ["files:read"],
                        "write_*": ["files:write"],
                        "write_log": [],
                        "write_secret_*": ["files:admin"],
                        "löschen": ["files:admin"],
                    },
                    "prompts": { "summary": ["prompts:read"] },
                    "resources": { "file:///public/*": [], "file:///*": ["files:read"], "urn:secret:*": ["files:admin"] },
                    "methods": { "logging/setLevel": ["files:admin"], "completion/*": ["files:read"] },
                },
                "origins": ["https://app.example.com"],
                "public_paths": ["/healthz"],
            },
            {
                "resource": "https://mcp.example.com/notes/mcp",
                "issuers": [ISSUER],
                "exclusive_audience": false,
                "scopes": { "baseline": ["notes:use"] },
                "forward": {
                    "token": "keep",
                    "headers": { "x-user": "sub", "x-tenant": "tenant", "x-roles": "roles", "x-name": "name" },
                    "claims": "x-claims",
                },
            },
            {
                "resource": "https://strict.example.com/mcp",
                "issuers": [ISSUER],
                "scopes": {
                    "baseline": ["mcp:use"],
                    "tools": { "read_file": ["files:read"] },
                    "methods": { "tools/list": [] },
                    "unlisted": "deny",
                },
            },
            {
                "resource": "https://legacy-api.example.com",
                "issuers": ["https://legacy.example.com"],
            },
            { "resource": "https://nested.example.com/", "issuers": [ISSUER], "public_paths": ["/Admin/health"] },
            {
                "resource": "https://nested.example.com/admin",
                "issuers": [ISSUER],
                "scopes": { "baseline": ["admin"] },
            },
            {
                "resource": "https://shadow.example.com/mcp",
                "issuers": [ISSUER],
                "scopes": { "baseline": ["mcp:use"], "tools": { "read_file": ["files:read"] } },
                "mode": "shadow",
            },
        ],
        "limits": { "token_bytes": 4096, "body_bytes": 4096 },
    })
}

/// Good keys, and what must not spoil them: bad ones, and two of one name.
pub(super) fn jwks() -> Value {
    let mut encryption = TestKey::Es256(5).jwk("enc1");
    encryption["use"] = json!("enc");
    let mut mislabelled = TestKey::Es256(6).jwk("mislabelled");
    mislabelled["alg"] = json!("RS256");
    json!({ "keys": [
        { "kty": "oct", "k": "c2VjcmV0", "kid": "oct1" },
        TestKey::Hs256.jwk("secret1"),
        { "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "broken" },
        "not a key",
        encryption,
        mislabelled,
        TestKey::Es256(1).jwk("es1"),
        TestKey::Es256(2).jwk("twin"),
        TestKey::Es256(3).jwk("twin"),
        TestKey::Rs256.jwk("rs1"),
        TestKey::Ed25519(1).jwk("ed1"),
    ] })
}
