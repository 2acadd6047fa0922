//! Further forms of tokens: what other verifiers were found to take (spec/assurance.md).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Case, FILES, FILES_METADATA, challenge, token};
use crate::{
    keys::TestKey,
    token::{EXPIRES_AT, Token},
};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = shapes();
    cases.extend(headers());
    cases.extend(signatures());
    cases.extend(claims());
    cases.extend(scopes());
    cases.extend(audiences());
    cases
}

fn refused(name: &str, clause: &str, token: &str, reason: &str) -> Case {
    Case::new(name, clause).bearer(token).invalid_token(reason)
}

fn shapes() -> Vec<Case> {
    let shape =
        |name: &str, token: &str| refused(name, "RFC 7515 §3.1, §5.2", token, "token_malformed");
    let header = |name: &str, header: &str| shape(name, &token().raw_header(header).sign());
    let good = token().sign();
    let (input, signature) = good.rsplit_once('.').unwrap_or_default();
    let (head, payload) = input.split_once('.').unwrap_or_default();
    let not_text = token().edit_payload("{", "{\"x\":\"?\",").signing_input();
    let not_text = not_text.split('.').nth(1).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let not_text =
        not_text.unwrap_or_default().into_iter().map(|b| if b == b'?' { 0xff } else { b });
    let malformed = challenge(
        FILES_METADATA,
        "invalid_request",
        "The Authorization header is malformed",
        "mcp:use",
    );
    vec![
        shape("empty-header-segment", &format!(".{payload}.{signature}")),
        shape("empty-payload-segment", &format!("{head}..{signature}")),
        shape(
            "payload-with-bytes-that-are-no-text",
            &token().raw_payload(not_text.collect::<Vec<u8>>()).sign(),
        ),
        shape("payload-with-byte-order-mark", &token().edit_payload("{", "\u{feff}{").sign()),
        shape(
            "payload-with-duplicates-inside",
            &token().edit_payload("{", r#"{"x":{"y":1,"y":2},"#).sign(),
        ),
        shape(
            "payload-with-duplicates-by-escapes",
            &token().edit_payload("{", r#"{"\u0061ud":"https://evil.example","#).sign(),
        ),
        shape("payload-with-nan", &token().edit_payload("{", r#"{"x":NaN,"#).sign()),
        shape("payload-null", &token().raw_payload("null").sign()),
        header("header-with-empty-crit", r#"{"alg":"ES256","typ":"at+jwt","kid":"es1","crit":[]}"#),
        header("header-with-enc", r#"{"alg":"ES256","enc":"A128GCM","typ":"at+jwt","kid":"es1"}"#),
        header("header-with-number-kid", r#"{"alg":"ES256","typ":"at+jwt","kid":1}"#),
        header("header-with-null-typ", r#"{"alg":"ES256","typ":null,"kid":"es1"}"#),
        header("header-with-array-alg", r#"{"alg":["ES256"],"typ":"at+jwt","kid":"es1"}"#),
        header("header-without-alg", r#"{"typ":"at+jwt","kid":"es1"}"#),
        Case::new("token-in-json-form", "RFC 7515 §7.2; RFC 6750 §2.1")
            .bearer(r#"{"payload":"e30"}"#)
            .challenged(400, "credentials_malformed", &malformed),
    ]
}

fn headers() -> Vec<Case> {
    let typ = |name: &str, typ: &str| {
        let token = token().header("typ", typ).sign();
        refused(name, "RFC 9068 §4, RFC 8725 §3.11", &token, "token_type_unsupported")
    };
    let alg = |name: &str, alg: &str| {
        refused(name, "RFC 8725 §3.1", &token().header("alg", alg).sign(), "algorithm_unsupported")
    };
    vec![
        typ("typ-empty", ""),
        typ("typ-with-a-space", "at+jwt "),
        typ("typ-of-a-logout-token", "logout+jwt"),
        typ("typ-media-type-twice", "application/application/at+jwt"),
        alg("alg-es512", "ES512"),
        alg("alg-rs1", "RS1"),
        alg("alg-empty", ""),
        refused(
            "kid-of-a-key-for-another-algorithm",
            "RFC 7517 §4.4",
            &token().header("kid", "rs1").sign(),
            "key_unknown",
        ),
        refused(
            "kid-that-looks-like-a-path",
            "RFC 7515 §4.1.4",
            &token().header("kid", "../../es1").sign(),
            "key_unknown",
        ),
    ]
}

fn signatures() -> Vec<Case> {
    let invalid =
        |name: &str, clause: &str, token: &str| refused(name, clause, token, "signature_invalid");
    let (es, rsa) = (token(), token().key(TestKey::Rs256, "rs1"));
    let ed = token().key(TestKey::Ed25519(1), "ed1");
    let (es_bytes, rsa_bytes, ed_bytes) = (es.signature(), rsa.signature(), ed.signature());
    vec![
        invalid(
            "signature-of-96-bytes",
            "RFC 7518 §3.4",
            &es.with_signature(&[&es_bytes[..], &es_bytes[..32]].concat()),
        ),
        invalid("signature-out-of-range", "RFC 7518 §3.4", &es.with_signature(&[0xff; 64])),
        invalid(
            "signature-with-zero-s",
            "RFC 7518 §3.4",
            &es.with_signature(&[&es_bytes[..32], &[0; 32]].concat()),
        ),
        invalid(
            "signature-with-halves-exchanged",
            "RFC 7518 §3.4",
            &es.with_signature(&[&es_bytes[32..], &es_bytes[..32]].concat()),
        ),
        invalid("rs256-too-short", "RFC 8017 §8.2.2", &rsa.with_signature(&rsa_bytes[1..])),
        invalid("rs256-of-ones", "RFC 8017 §8.2.2", &rsa.with_signature(&[0xff; 256])),
        invalid(
            "eddsa-with-s-out-of-range",
            "RFC 8032 §5.1.7",
            &ed.with_signature(&plus_order(&ed_bytes)),
        ),
        invalid(
            "eddsa-with-the-signature-of-es256",
            "RFC 8037 §3.1",
            &ed.with_signature(&es_bytes),
        ),
    ]
}

fn claims() -> Vec<Case> {
    let wrong = |name: &str, find: &str, replacement: &str| {
        let token = token().edit_payload(find, replacement).sign();
        refused(name, "RFC 7519 §4.1, RFC 9068 §2.2", &token, "claim_malformed")
    };
    let empty = |name: &str, claim: &str, reason: &str| {
        refused(name, "RFC 9068 §2.2", &token().claim(claim, "").sign(), reason)
    };
    let exp = format!("\"exp\":{EXPIRES_AT}");
    vec![
        empty("iss-empty", "iss", "issuer_unknown"),
        empty("client-id-empty", "client_id", "claim_missing"),
        empty("jti-empty", "jti", "claim_missing"),
        wrong("sub-null", "\"sub\":\"user-1\"", "\"sub\":null"),
        wrong("jti-number", "\"jti\":\"token-1\"", "\"jti\":1"),
        wrong("nbf-string", "{", "{\"nbf\":\"1767225600\","),
        wrong("nbf-null", "{", "{\"nbf\":null,"),
        wrong("iat-negative", "\"iat\":", "\"iat\":-"),
        wrong("iat-boolean", "\"iat\":1767225600", "\"iat\":true"),
        wrong("exp-beyond-64-bits", &exp, "\"exp\":99999999999999999999"),
        wrong("exp-object", &exp, "\"exp\":{}"),
        Case::new("exp-with-exponent-in-the-past", "RFC 7519 §2")
            .bearer(&token().edit_payload(&exp, "\"exp\":1.7672256e9").sign())
            .challenged(
                401,
                "token_expired",
                &challenge(FILES_METADATA, "invalid_token", "The access token expired", "mcp:use"),
            ),
        refused(
            "token-bound-to-a-certificate",
            "RFC 8705 §3, RFC 9449 §7.2",
            &token().claim("cnf", json!({ "x5t#S256": "x" })).sign(),
            "token_bound",
        ),
        refused(
            "subject-with-a-nul",
            "RFC 9110 §5.5",
            &token().claim("sub", "user-1\u{0}admin").sign(),
            "claim_malformed",
        ),
    ]
}

fn scopes() -> Vec<Case> {
    let wrong = |name: &str, scope: Value| {
        let token = token().claim("scope", scope).sign();
        refused(name, "RFC 6749 §3.3, RFC 9068 §2.2.3", &token, "claim_malformed")
    };
    let lacking = |name: &str, token: &Token| {
        Case::new(name, "RFC 6749 §3.3").bearer(&token.sign()).needs("mcp:use")
    };
    vec![
        wrong("scope-with-tab", json!("mcp:use\tfiles:read")),
        wrong("scope-with-space-before", json!(" mcp:use")),
        wrong("scope-array-with-number", json!(["mcp:use", 1])),
        wrong("scope-array-with-two-in-one", json!(["mcp:use files:read"])),
        wrong("scope-object", json!({ "mcp:use": true })),
        lacking("scope-empty", &token().claim("scope", "")),
        lacking("scope-in-other-case", &token().claim("scope", "MCP:USE")),
        lacking("scope-that-contains-it", &token().claim("scope", "xmcp:use mcp:user mcp")),
        lacking(
            "scope-under-another-name",
            &token().claim("scope", Value::Null).claim("scp", "mcp:use"),
        ),
    ]
}

fn audiences() -> Vec<Case> {
    let foreign = |name: &str, aud: &str| {
        let token = token().claim("aud", aud).sign();
        refused(name, "RFC 8707 §2, RFC 3986 §6.2", &token, "audience_mismatch")
    };
    let wrong = |name: &str, claim: &str, value: Value| {
        let token = token().claim(claim, value).sign();
        refused(name, "RFC 7519 §4.1.3", &token, "claim_malformed")
    };
    vec![
        foreign("aud-with-query", "https://mcp.example.com/files/mcp?x=1"),
        foreign("aud-with-fragment", "https://mcp.example.com/files/mcp#x"),
        foreign("aud-with-encoded-path", "https://mcp.example.com/%66iles/mcp"),
        foreign("aud-with-dot-segments", "https://mcp.example.com/x/../files/mcp"),
        foreign("aud-with-space", " https://mcp.example.com/files/mcp"),
        foreign("aud-of-several-in-one-string", &format!("{FILES} https://other.example.com")),
        foreign("aud-wildcard", "*"),
        foreign("aud-alias-in-other-case", "MCP://FILES"),
        wrong("aud-nested-array", "aud", json!([[FILES]])),
        wrong("aud-object", "aud", json!({ "0": FILES })),
        wrong("resource-claim-number", "resource", json!(1)),
    ]
}

/// The same Ed25519 signature with s + L, which verifiers must refuse (RFC 8032 §5.1.7).
fn plus_order(signature: &[u8]) -> Vec<u8> {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = signature.to_vec();
    let mut carry = 0;
    for (byte, order) in bytes[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = u8::try_from(sum % 256).expect("below 256");
        carry = sum / 256;
    }
    bytes
}
