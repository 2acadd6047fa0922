//! The token: its shape, header, signature and claims.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Case, FILES, FILES_METADATA, ISSUER, challenge, token};
use crate::{
    keys::TestKey,
    token::{EXPIRES_AT, ISSUED_AT, Token},
};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = shapes();
    cases.extend(headers());
    cases.extend(signatures());
    cases.extend(claims());
    cases.extend(times());
    cases.extend(audiences());
    cases.extend(other_profiles());
    cases
}

fn refused(name: &str, clause: &str, token: &str, reason: &str) -> Case {
    Case::new(name, clause).bearer(token).invalid_token(reason)
}

fn accepted(name: &str, clause: &str, token: &Token) -> Case {
    Case::new(name, clause).bearer(&token.sign()).allowed()
}

fn shapes() -> Vec<Case> {
    let good = token().sign();
    let shape =
        |name: &str, token: &str| refused(name, "RFC 7515 §3.1, §5.2", token, "token_malformed");
    let header = |name: &str, header: &str| shape(name, &token().raw_header(header).sign());
    let payload = |name: &str, payload: &str| shape(name, &token().raw_payload(payload).sign());
    vec![
        shape("opaque-token", "opaque-token"),
        shape("two-segments", good.rsplit_once('.').map_or("", |(input, _)| input)),
        shape("empty-signature", &format!("{}.", token().signing_input())),
        shape("four-segments", &format!("{good}.AA")),
        shape("encrypted-token", &format!("{good}.AA.AA")),
        shape("token-with-padding", &format!("{good}=")),
        shape("token-in-the-other-alphabet", &format!("{}.A+/A", token().signing_input())),
        shape("unused-bits-set", &format!("{}.AB", token().signing_input())),
        header("header-not-json", "{"),
        header(
            "header-with-duplicates",
            r#"{"alg":"ES256","alg":"ES256","typ":"at+jwt","kid":"es1"}"#,
        ),
        header(
            "header-with-crit",
            r#"{"alg":"ES256","typ":"at+jwt","kid":"es1","crit":["exp"],"exp":1}"#,
        ),
        header("header-with-b64", r#"{"alg":"ES256","typ":"at+jwt","kid":"es1","b64":true}"#),
        header(
            "header-of-a-nested-token",
            r#"{"alg":"ES256","typ":"at+jwt","kid":"es1","cty":"JWT"}"#,
        ),
        header("header-with-trailing-data", r#"{"alg":"ES256","typ":"at+jwt","kid":"es1"}{}"#),
        header("header-with-array-type", r#"{"alg":"ES256","typ":["at+jwt"],"kid":"es1"}"#),
        payload("payload-not-json", "claims"),
        payload("payload-array", "[]"),
        shape("payload-with-duplicates", &token().edit_payload("{", r#"{"aud":"x","#).sign()),
        shape("payload-with-trailing-data", &token().edit_payload("}", "} {}").sign()),
        shape("payload-with-bad-number", &token().edit_payload("{", r#"{"x":01,"#).sign()),
        shape(
            "payload-with-lone-surrogate",
            &token().edit_payload("{", r#"{"x":"\ud800","#).sign(),
        ),
        shape(
            "payload-nested-too-deeply",
            &token()
                .edit_payload("{", &format!(r#"{{"x":{}{},"#, "[".repeat(65), "]".repeat(65)))
                .sign(),
        ),
        refused(
            "oversize-token",
            "DESIGN, limits",
            &token().claim("padding", "x".repeat(4096)).sign(),
            "token_too_large",
        ),
    ]
}

fn headers() -> Vec<Case> {
    let typ = |name: &str, typ: Value, reason: &str| {
        refused(name, "RFC 9068 §4, RFC 8725 §3.11", &token().header("typ", typ).sign(), reason)
    };
    let alg = |name: &str, alg: &str| {
        refused(name, "RFC 8725 §3.1", &token().header("alg", alg).sign(), "algorithm_unsupported")
    };
    let good_typ = |name: &str, typ: &str| {
        accepted(name, "RFC 9068 §4, RFC 7515 §4.1.9", &token().header("typ", typ))
    };
    vec![
        good_typ("typ-as-media-type", "application/at+jwt"),
        good_typ("typ-in-upper-case", "AT+JWT"),
        typ("typ-jwt", json!("JWT"), "token_type_unsupported"),
        typ("typ-absent", Value::Null, "token_type_unsupported"),
        typ("typ-of-an-id-token-hint", json!("at+jwt+x"), "token_type_unsupported"),
        alg("alg-none", "none"),
        alg("alg-none-in-other-case", "nOnE"),
        alg("alg-hs256", "HS256"),
        alg("alg-es256k", "ES256K"),
        alg("alg-in-lower-case", "es256"),
        refused(
            "alg-of-another-key",
            "RFC 8725 §3.1",
            &token().header("alg", "RS256").sign(),
            "key_unknown",
        ),
        accepted(
            "injected-keys-are-not-looked-at",
            "RFC 8725 §3.10",
            &token()
                .header("jku", "https://evil.example/jwks")
                .header("x5u", "https://evil.example/x")
                .header("jwk", TestKey::Es256(9).jwk("evil")),
        ),
        refused(
            "injected-key-is-not-used",
            "RFC 8725 §3.10",
            &token()
                .key(TestKey::Es256(9), "es1")
                .header("jwk", TestKey::Es256(9).jwk("es1"))
                .sign(),
            "signature_invalid",
        ),
        refused(
            "kid-unknown",
            "RFC 7515 §4.1.4",
            &token().header("kid", "nobody").sign(),
            "key_unknown",
        ),
        refused(
            "kid-absent-and-several-keys",
            "RFC 7515 §4.1.4, DESIGN",
            &token().header("kid", Value::Null).sign(),
            "key_ambiguous",
        ),
        accepted(
            "kid-absent-and-one-key",
            "RFC 7515 §4.1.4, DESIGN",
            &token().key(TestKey::Ed25519(1), "ed1").header("kid", Value::Null),
        ),
        refused(
            "kid-of-two-keys",
            "RFC 7517 §4.5",
            &token().key(TestKey::Es256(2), "twin").sign(),
            "key_ambiguous",
        ),
        refused(
            "key-for-encryption",
            "RFC 7517 §4.2",
            &token().key(TestKey::Es256(5), "enc1").sign(),
            "key_unknown",
        ),
        refused(
            "key-labelled-for-another-algorithm",
            "RFC 7517 §4.4",
            &token().key(TestKey::Es256(6), "mislabelled").sign(),
            "key_unknown",
        ),
        accepted(
            "unknown-header-parameters",
            "RFC 7515 §4",
            &token().header("x", json!({ "y": 1 })),
        ),
    ]
}

fn signatures() -> Vec<Case> {
    let invalid = |name: &str, token: &str| {
        refused(name, "RFC 7515 §5.2, RFC 7518 §3.4", token, "signature_invalid")
    };
    let good = token();
    let signature = good.signature();
    let flipped = |index: usize| {
        let mut bytes = signature.clone();
        bytes[index] ^= 1;
        good.with_signature(&bytes)
    };
    let rsa = token().key(TestKey::Rs256, "rs1");
    let mut rsa_flipped = rsa.signature();
    rsa_flipped[100] ^= 1;
    let ed = token().key(TestKey::Ed25519(1), "ed1");
    let mut ed_flipped = ed.signature();
    ed_flipped[40] ^= 1;
    vec![
        accepted("es256-with-high-s", "RFC 7518 §3.4", &good).instead(
            "authorization",
            &format!("Bearer {}", good.with_signature(&high_s(&signature))),
        ),
        accepted("rs256", "RFC 7518 §3.3", &rsa),
        accepted("eddsa", "RFC 8037 §3.1", &ed),
        accepted("eddsa-by-its-new-name", "RFC 9864", &ed.clone().header("alg", "Ed25519")),
        invalid("signature-of-zeros", &good.with_signature(&[0; 64])),
        invalid("signature-flipped-in-r", &flipped(0)),
        invalid("signature-flipped-in-s", &flipped(63)),
        invalid("signature-too-short", &good.with_signature(&signature[..63])),
        invalid("signature-too-long", &good.with_signature(&[&signature[..], &[0]].concat())),
        invalid("signature-in-der", &good.with_signature(&der(&signature))),
        invalid("signature-of-another-key", &token().key(TestKey::Es256(2), "es1").sign()),
        invalid(
            "signature-of-another-token",
            &good.clone().claim("sub", "admin").with_signature(&signature),
        ),
        invalid("rs256-flipped", &rsa.with_signature(&rsa_flipped)),
        invalid(
            "rs256-with-a-zero-before",
            &rsa.with_signature(&[&[0], &rsa.signature()[..]].concat()),
        ),
        invalid("eddsa-flipped", &ed.with_signature(&ed_flipped)),
        invalid("payload-of-another-token", &{
            let other = good.clone().claim("scope", "files:admin").signing_input();
            format!("{other}.{}", URL_SAFE_NO_PAD.encode(&signature))
        }),
    ]
}

fn claims() -> Vec<Case> {
    let without = |name: &str, claim: &str, reason: &str| {
        refused(name, "RFC 9068 §2.2", &token().claim(claim, Value::Null).sign(), reason)
    };
    let wrong = |name: &str, claim: &str, value: Value| {
        refused(
            name,
            "RFC 7519 §4.1, RFC 9068 §2.2",
            &token().claim(claim, value).sign(),
            "claim_malformed",
        )
    };
    vec![
        without("iss-absent", "iss", "issuer_unknown"),
        without("sub-absent", "sub", "claim_missing"),
        without("aud-absent", "aud", "claim_missing"),
        without("exp-absent", "exp", "claim_missing"),
        without("iat-absent", "iat", "claim_missing"),
        without("client-id-absent", "client_id", "claim_missing"),
        without("jti-absent", "jti", "claim_missing"),
        refused("sub-empty", "RFC 9068 §2.2", &token().claim("sub", "").sign(), "claim_missing"),
        refused(
            "issuer-with-trailing-slash",
            "RFC 9068 §4",
            &token().claim("iss", "https://auth.example.com/").sign(),
            "issuer_unknown",
        ),
        refused(
            "issuer-in-other-case",
            "RFC 9068 §4",
            &token().claim("iss", "https://AUTH.example.com").sign(),
            "issuer_unknown",
        ),
        refused(
            "issuer-that-another-resource-accepts",
            "DESIGN, resources.issuers",
            &token()
                .claim("iss", "https://legacy.example.com")
                .key(TestKey::Rs256, "legacy")
                .sign(),
            "issuer_unknown",
        ),
        wrong("iss-array", "iss", json!([ISSUER])),
        wrong("sub-number", "sub", json!(1)),
        wrong("client-id-array", "client_id", json!(["client-1"])),
        wrong("aud-number", "aud", json!(1)),
        wrong("aud-with-number", "aud", json!([FILES, 1])),
        wrong("scope-number", "scope", json!(1)),
        wrong("scope-with-quote", "scope", json!("mcp:use \"x\"")),
        wrong("scope-with-two-spaces", "scope", json!("mcp:use  files:read")),
        accepted(
            "scope-array",
            "DESIGN, scopes",
            &token().claim("scope", json!(["mcp:use", "files:read"])),
        ),
        Case::new("scope-absent", "RFC 9068 §2.2.3")
            .bearer(&token().claim("scope", Value::Null).sign())
            .needs("mcp:use"),
        refused(
            "token-bound-to-a-key",
            "RFC 9449 §7.2",
            &token().claim("cnf", json!({ "jkt": "x" })).sign(),
            "token_bound",
        ),
        refused(
            "subject-with-line-break",
            "RFC 9110 §5.5",
            &token().claim("sub", "a\r\nx-admin: true").sign(),
            "claim_malformed",
        ),
        refused(
            "subject-with-space-at-its-end",
            "RFC 9110 §5.5",
            &token().claim("sub", "user-1 ").sign(),
            "claim_malformed",
        ),
        accepted("unknown-claims", "RFC 7519 §4", &token().claim("x", json!([{ "y": null }]))),
    ]
}

fn times() -> Vec<Case> {
    let malformed = |name: &str, find: &str, replacement: &str| {
        refused(
            name,
            "RFC 7519 §2, §4.1.4",
            &token().edit_payload(find, replacement).sign(),
            "claim_malformed",
        )
    };
    let exp = format!("\"exp\":{EXPIRES_AT}");
    let expired = challenge(FILES_METADATA, "invalid_token", "The access token expired", "mcp:use");
    vec![
        Case::new("expired", "RFC 7519 §4.1.4")
            .bearer(&token().claim("exp", ISSUED_AT + 60).sign())
            .challenged(401, "token_expired", &expired),
        Case::new("expired-in-1970", "RFC 7519 §4.1.4")
            .bearer(&token().claim("exp", 0).sign())
            .challenged(401, "token_expired", &expired),
        refused(
            "not-yet-valid",
            "RFC 7519 §4.1.5",
            &token().claim("nbf", EXPIRES_AT - 60).sign(),
            "token_not_yet_valid",
        ),
        refused(
            "issued-in-the-future",
            "RFC 9068 §4",
            &token().claim("iat", EXPIRES_AT - 60).sign(),
            "token_not_yet_valid",
        ),
        accepted("valid-since", "RFC 7519 §4.1.5", &token().claim("nbf", ISSUED_AT)),
        accepted(
            "exp-with-fraction",
            "RFC 7519 §2",
            &token().edit_payload(&exp, "\"exp\":4102358400.5"),
        ),
        accepted(
            "exp-with-exponent",
            "RFC 7519 §2",
            &token().edit_payload(&exp, "\"exp\":4.1023584e9"),
        ),
        malformed("exp-string", &exp, "\"exp\":\"4102358400\""),
        malformed("exp-boolean", &exp, "\"exp\":true"),
        malformed("exp-null", &exp, "\"exp\":null"),
        malformed("exp-negative", &exp, "\"exp\":-1"),
        malformed("exp-in-milliseconds", &exp, "\"exp\":4102358400000"),
        malformed("exp-array", &exp, "\"exp\":[4102358400]"),
        refused(
            "exp-overflow",
            "RFC 8259 §6",
            &token().edit_payload(&exp, "\"exp\":1e999").sign(),
            "token_malformed",
        ),
        malformed("iat-string", &format!("\"iat\":{ISSUED_AT}"), "\"iat\":\"1767225600\""),
        refused(
            "lifetime-too-long",
            "DESIGN, max_lifetime",
            &Token::new("https://brief.example.com", FILES).sign(),
            "token_lifetime_excessive",
        ),
    ]
}

fn audiences() -> Vec<Case> {
    let aud = |name: &str, aud: Value| {
        accepted(name, "RFC 8707 §2, RFC 3986 §6.2", &token().claim("aud", aud))
    };
    let foreign = |name: &str, aud: Value| {
        refused(
            name,
            "RFC 8707 §2, MCP token audience validation",
            &token().claim("aud", aud).sign(),
            "audience_mismatch",
        )
    };
    vec![
        aud("aud-array", json!([FILES])),
        aud("aud-in-upper-case-host", json!("HTTPS://MCP.example.com/files/mcp")),
        aud("aud-with-default-port", json!("https://mcp.example.com:443/files/mcp")),
        aud("aud-alias", json!("mcp://files")),
        aud("aud-twice-ours", json!([FILES, "mcp://files"])),
        foreign("aud-of-another-server", json!("https://other.example.com/mcp")),
        foreign("aud-also-for-another-server", json!([FILES, "https://other.example.com/mcp"])),
        foreign("aud-with-trailing-slash", json!("https://mcp.example.com/files/mcp/")),
        foreign("aud-by-http", json!("http://mcp.example.com/files/mcp")),
        foreign("aud-host-only", json!("https://mcp.example.com")),
        foreign(
            "aud-that-contains-ours",
            json!("https://evil.example/?x=https://mcp.example.com/files/mcp"),
        ),
        foreign("aud-that-begins-like-ours", json!("https://mcp.example.com/files/mcp2")),
        foreign("aud-that-ours-begins-with", json!("https://mcp.example.com/files")),
        foreign("aud-in-other-case-path", json!("https://mcp.example.com/Files/mcp")),
        foreign("aud-with-port", json!("https://mcp.example.com:8443/files/mcp")),
        foreign("aud-with-userinfo", json!("https://mcp.example.com@evil.example/files/mcp")),
        foreign("aud-client-id", json!("client-1")),
        foreign("aud-empty", json!("")),
        refused(
            "aud-empty-array",
            "RFC 9068 §2.2",
            &token().claim("aud", json!([])).sign(),
            "claim_missing",
        ),
        accepted("resource-claim-ours", "RFC 8707", &token().claim("resource", FILES)),
        refused(
            "resource-claim-of-another-server",
            "RFC 8707",
            &token().claim("resource", "https://other.example.com/mcp").sign(),
            "audience_mismatch",
        ),
    ]
}

fn other_profiles() -> Vec<Case> {
    let legacy = || {
        Token::new("https://legacy.example.com", "https://legacy-api.example.com/")
            .key(TestKey::Rs256, "legacy")
            .claim("client_id", Value::Null)
            .claim("jti", Value::Null)
    };
    let at = |name: &str, token: &Token| {
        Case::new(name, "DESIGN, token_types, algorithms, required_claims")
            .at("legacy-api.example.com", "/")
            .bearer(&token.sign())
    };
    let told = [("x-mcp-subject", "user-1"), ("x-mcp-scope", "mcp:use files:read")];
    let metadata = "https://legacy-api.example.com/.well-known/oauth-protected-resource";
    let refused = format!(
        r#"Bearer resource_metadata="{metadata}", error="invalid_token", error_description="The access token is invalid""#
    );
    vec![
        at("profile-with-typ-jwt", &legacy().header("typ", "JWT")).forwarded("allow", &told),
        at("profile-without-typ", &legacy().header("typ", Value::Null)).forwarded("allow", &told),
        at("profile-without-at-jwt", &legacy()).challenged(401, "token_type_unsupported", &refused),
        at("profile-with-one-algorithm", &legacy().header("typ", "JWT").header("alg", "ES256"))
            .challenged(401, "algorithm_unsupported", &refused),
    ]
}

/// The other valid `s` of an ECDSA signature: n − s.
fn high_s(signature: &[u8]) -> Vec<u8> {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut bytes = signature.to_vec();
    let mut borrow = 0;
    for index in (0..32).rev() {
        let difference = i16::from(N[index]) - i16::from(bytes[32 + index]) - borrow;
        borrow = i16::from(difference < 0);
        bytes[32 + index] = u8::try_from(difference.rem_euclid(256)).expect("below 256");
    }
    bytes
}

/// The same signature as ASN.1 has it.
fn der(signature: &[u8]) -> Vec<u8> {
    let parsed = p256::ecdsa::Signature::from_slice(signature).expect("a valid signature");
    parsed.to_der().as_bytes().to_vec()
}
