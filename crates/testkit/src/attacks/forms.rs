//! Tokens in other forms, and headers that must not be obeyed.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::{Case, good};
use crate::{keys::TestKey, token::Token};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = segments();
    cases.extend(encodings());
    cases.extend(headers_text());
    cases.extend(headers());
    cases.extend(types());
    cases.extend(payload_text());
    cases
}

fn malformed(id: &str, clause: &'static str, token: impl Into<Vec<u8>>) -> Case {
    Case::new(id, clause, token).refused("es256", "token_malformed")
}

/// RFC 7515 §7.1: three segments, no more and no fewer.
fn segments() -> Vec<Case> {
    let clause = "RFC 7515 §5.2, §7.1";
    let token = good().sign();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { unreachable!("three segments") };
    let join = |parts: &[&str]| parts.join(".");
    let case = |id: &str, token: String| malformed(id, clause, token);
    let flattened = json!({ "protected": header, "payload": payload, "signature": signature });
    let general = json!({
        "payload": payload, "signatures": [{ "protected": header, "signature": signature }],
    });
    // What is no token68 is no bearer token at all (RFC 6750 §2.1).
    let no_credentials = |id: &str, token: Vec<u8>| {
        Case::new(id, "RFC 6750 §2.1, RFC 7515 §7.2", token)
            .refused("es256", "credentials_malformed")
    };
    vec![
        case("one-segment", header.to_owned()),
        case("two-segments", join(&[header, payload])),
        case("four-segments", join(&[header, payload, signature, "AA"])),
        case("five-segments", join(&[header, payload, signature, "AA", "AA"])),
        case("empty-segment-behind", format!("{token}.")),
        case("empty-segment-before", format!(".{token}")),
        case("empty-header", join(&["", payload, signature])),
        case("empty-payload", join(&[header, "", signature])),
        case("two-dots", join(&[header, "", payload, signature])),
        case("dots-alone", "..".to_owned()),
        case("parts-exchanged", join(&[payload, header, signature])),
        no_credentials("flattened-json", flattened.to_string().into_bytes()),
        no_credentials("general-json", general.to_string().into_bytes()),
        no_credentials("two-tokens", format!("{token},{token}").into_bytes()),
        no_credentials("two-tokens-with-a-space", format!("{token} {token}").into_bytes()),
        no_credentials("in-quotes", format!("\"{token}\"").into_bytes()),
        no_credentials("with-a-nul", [token.as_bytes(), &[0]].concat()),
        no_credentials("with-a-tab-inside", token.replacen('.', ".\t", 1).into_bytes()),
        no_credentials("with-a-line-break-inside", token.replacen('.', "\r\n.", 1).into_bytes()),
        no_credentials("with-bytes-that-are-no-text", [token.as_bytes(), &[0xff, 0xfe]].concat()),
        no_credentials("with-overlong-dots", token.replace('.', "\u{2024}").into_bytes()),
        no_credentials("percent-encoded", token.replace('.', "%2E").into_bytes()),
    ]
}

/// RFC 7515 §2: base64url without padding, and one spelling for each (RFC 4648 §3.5).
fn encodings() -> Vec<Case> {
    let clause = "RFC 7515 §2, RFC 4648 §3.5, §5";
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("our own");
    // Signed as they are sent: only the encoding is wrong.
    let signed = |header: &str, payload: &str| {
        let input = format!("{header}.{payload}");
        let signature = TestKey::Es256(1).sign(input.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    // Header and payload that do not fill their last group: both would be padded.
    let filled = |n: usize| good().header("x", "y".repeat(n % 3)).claim("x", "y".repeat(n / 3));
    let open = |input: &String| input.split('.').all(|part| part.len() % 4 != 0);
    let input = (0..9).map(|n| filled(n).signing_input()).find(open).expect("one of them");
    let (header, payload) = input.split_once('.').expect("two parts");
    let pad = |text: &str| URL_SAFE.encode(decode(text));
    let standard = |text: &str| STANDARD_NO_PAD.encode(decode(text));
    let other = good().claim("x", "\u{7ff}\u{7fe}??>>\u{fff}").signing_input();
    let other = payload_of(&other);
    let token = good().sign();
    let case = |id: &str, token: String| malformed(id, clause, token);
    vec![
        // Within a bearer token there is no padding either (RFC 6750 §2.1).
        case("header-padded", signed(&pad(header), payload)).because("credentials_malformed"),
        case("payload-padded", signed(header, &pad(payload))).because("credentials_malformed"),
        case("header-unused-bits", signed(&other_tail(header), payload)),
        case("payload-unused-bits", signed(header, &other_tail(payload))),
        case("signature-unused-bits", other_tail(&token)),
        case("signature-padded", format!("{token}==")),
        case("payload-in-the-other-alphabet", signed(header, &standard(other))),
        case("payload-encoded-twice", signed(header, &URL_SAFE_NO_PAD.encode(payload))),
        case("payload-not-encoded", signed(header, "claims")),
        case("signature-of-an-odd-length", format!("{}.A", good().signing_input())),
    ]
}

fn payload_of(input: &str) -> &str {
    input.split('.').nth(1).unwrap_or_default()
}

/// The same bytes with another last character, whose unused bits are not zero.
fn other_tail(text: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = text.split_at(text.len() - 1);
    let at = ALPHABET.find(last).unwrap_or_default();
    format!("{rest}{}", &ALPHABET[at + 1..at + 2])
}

/// RFC 7515 §4, RFC 8259: what two parsers would read differently.
fn headers_text() -> Vec<Case> {
    let case = |id: &str, header: &str| {
        malformed(id, "RFC 7515 §4, RFC 8259", good().raw_header(header).sign())
    };
    let deep = format!(
        r#"{{"alg":"ES256","typ":"at+jwt","kid":"ES256","x":{}{}}}"#,
        "[".repeat(70),
        "]".repeat(70)
    );
    vec![
        case("header-empty-text", ""),
        case("header-array", r#"[{"alg":"ES256","typ":"at+jwt","kid":"ES256"}]"#),
        case("header-string", r#""ES256""#),
        case("header-null", "null"),
        case("header-alg-twice", r#"{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"ES256"}"#),
        case("header-kid-twice", r#"{"alg":"ES256","typ":"at+jwt","kid":"x","kid":"ES256"}"#),
        case(
            "header-alg-twice-by-escapes",
            r#"{"alg":"ES256","\u0061lg":"none","typ":"at+jwt","kid":"ES256"}"#,
        ),
        case("header-trailing-comma", r#"{"alg":"ES256","typ":"at+jwt","kid":"ES256",}"#),
        case("header-trailing-data", r#"{"alg":"ES256","typ":"at+jwt","kid":"ES256"}x"#),
        case("header-single-quotes", "{'alg':'ES256','typ':'at+jwt','kid':'ES256'}"),
        case("header-comment", r#"{/**/"alg":"ES256","typ":"at+jwt","kid":"ES256"}"#),
        case("header-mark", "\u{feff}{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"ES256\"}"),
        case(
            "header-lone-surrogate",
            r#"{"alg":"ES256","typ":"at+jwt","kid":"ES256","x":"\udc00"}"#,
        ),
        case("header-deep", &deep),
    ]
}

/// RFC 7515 §4.1: members that say how the token is to be read.
fn headers() -> Vec<Case> {
    let case = |id: &str, clause: &'static str, name: &str, value: Value| {
        malformed(id, clause, good().header(name, value).sign())
    };
    // Signed by the attacker, with the attacker's key inside or behind a link.
    let injected = |id: &str, name: &str, value: Value| {
        let token = good().key(TestKey::Es256(9), "ES256").header(name, value).sign();
        Case::new(id, "RFC 8725 §3.10", token).refused("es256", "signature_invalid")
    };
    let kid = |id: &str, kid: Value, reason: &'static str| {
        Case::new(id, "RFC 7515 §4.1.4, RFC 8725 §3.10", good().header("kid", kid).sign())
            .refused("es256", reason)
    };
    let evil = TestKey::Es256(9).jwk("ES256");
    vec![
        case("crit-unknown", "RFC 7515 §4.1.11", "crit", json!(["exp"])),
        case("crit-empty", "RFC 7515 §4.1.11", "crit", json!([])),
        case("crit-no-array", "RFC 7515 §4.1.11", "crit", json!("b64")),
        case("crit-null", "RFC 7515 §4.1.11", "crit", json!({})),
        case("b64-false", "RFC 7797 §6", "b64", json!(false)),
        case("b64-true", "RFC 7797 §6", "b64", json!(true)),
        case("nested", "RFC 7519 §5.2", "cty", json!("JWT")),
        case("nested-media-type", "RFC 7519 §5.2", "cty", json!("application/jwt")),
        case("encrypted", "RFC 7516 §4.1.2", "enc", json!("A128GCM")),
        case("alg-array", "RFC 7515 §4.1.1", "alg", json!(["ES256"])),
        case("alg-number", "RFC 7515 §4.1.1", "alg", json!(256)),
        case("alg-absent", "RFC 7515 §4.1.1", "alg", Value::Null),
        case("typ-array", "RFC 7515 §4.1.9", "typ", json!(["at+jwt"])),
        case("kid-array", "RFC 7515 §4.1.4", "kid", json!(["ES256"])),
        case("kid-number", "RFC 7515 §4.1.4", "kid", json!(0)),
        injected("injected-jwk", "jwk", evil.clone()),
        injected("injected-jku", "jku", json!("https://evil.example/jwks")),
        injected("injected-x5u", "x5u", json!("https://evil.example/cert")),
        injected("injected-x5c", "x5c", json!(["MIIB"])),
        injected("injected-key-set", "jwks", json!({ "keys": [evil] })),
        kid("kid-unknown", json!("nobody"), "key_unknown"),
        kid("kid-empty", json!(""), "key_unknown"),
        kid("kid-in-other-case", json!("es256"), "key_unknown"),
        kid("kid-with-a-space", json!("ES256 "), "key_unknown"),
        kid("kid-path", json!("../../../../dev/null"), "key_unknown"),
        kid("kid-sql", json!("' UNION SELECT 'ES256"), "key_unknown"),
        kid("kid-with-a-nul", json!("ES256\u{0}"), "key_unknown"),
        kid("kid-url", json!("https://evil.example/jwks#ES256"), "key_unknown"),
        kid("kid-of-another-key", json!("other"), "signature_invalid"),
        kid("kid-of-an-rsa-key", json!("RS256"), "key_unknown"),
        Case::new(
            "kid-of-the-attacker",
            "RFC 7515 §4.1.4",
            good().key(TestKey::Es256(9), "evil").sign(),
        )
        .refused("es256", "key_unknown"),
    ]
}

/// RFC 9068 §4, RFC 8725 §3.11: no other kind of token is an access token.
fn types() -> Vec<Case> {
    let clause = "RFC 9068 §4, RFC 8725 §3.11";
    let typed = |token: &Token, typ: Value| token.clone().header("typ", typ).sign();
    let refused = |id: &str, typ: &str| {
        let typ = if typ.is_empty() { Value::Null } else { json!(typ) };
        Case::new(id, clause, typed(&good(), typ)).refused("es256", "token_type_unsupported")
    };
    vec![
        Case::new("typ-media-type", clause, typed(&good(), json!("application/at+jwt"))),
        Case::new("typ-upper-case", clause, typed(&good(), json!("AT+JWT"))),
        refused("typ-absent", ""),
        refused("typ-jwt", "JWT"),
        refused("typ-id-token", "id_token+jwt"),
        refused("typ-logout-token", "logout+jwt"),
        refused("typ-dpop-proof", "dpop+jwt"),
        refused("typ-request-object", "oauth-authz-req+jwt"),
        refused("typ-security-event", "secevent+jwt"),
        refused("typ-status-list", "statuslist+jwt"),
        refused("typ-longer", "at+jwt+x"),
        refused("typ-shorter", "at+jw"),
        refused("typ-with-a-space", " at+jwt"),
        refused("typ-with-a-parameter", "at+jwt; charset=utf-8"),
        refused("typ-other-tree", "text/at+jwt"),
        refused("typ-twice", "application/application/at+jwt"),
    ]
}

/// RFC 7519 §4, RFC 8259: claims that two parsers would read differently.
fn payload_text() -> Vec<Case> {
    let clause = "RFC 7519 §4, RFC 8259";
    let raw = |id: &str, payload: &[u8]| malformed(id, clause, good().raw_payload(payload).sign());
    let edit = |id: &str, replacement: &str| {
        malformed(id, clause, good().edit_payload("{", replacement).sign())
    };
    let inside = |levels: usize| format!("{{\"x\":{}{},", "[".repeat(levels), "]".repeat(levels));
    vec![
        raw("payload-text", b"claims"),
        raw("payload-array", b"[]"),
        raw("payload-null", b"null"),
        raw("payload-number", b"1"),
        raw("payload-two-objects", b"{}{}"),
        raw("payload-no-text", b"{\"iss\":\"\xff\"}"),
        raw("payload-overlong", b"{\"iss\":\"\xc0\xaf\"}"),
        raw(
            "payload-in-utf-16",
            &"{}".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
        ),
        edit("payload-iss-twice", r#"{"iss":"https://evil.example","#),
        edit("payload-aud-twice", r#"{"aud":"https://evil.example","#),
        edit("payload-exp-twice", r#"{"exp":9999999999,"#),
        edit("payload-scope-twice", r#"{"scope":"admin","#),
        edit("payload-scope-twice-by-escapes", r#"{"\u0073cope":"admin","#),
        edit("payload-duplicates-inside", r#"{"x":{"y":1,"y":2},"#),
        edit("payload-mark", "\u{feff}{"),
        edit("payload-lone-surrogate", r#"{"x":"\ud800","#),
        edit("payload-raw-control", "{\"x\":\"\n\","),
        edit("payload-bad-escape", r#"{"x":"\x41","#),
        edit("payload-leading-zero", r#"{"x":01,"#),
        edit("payload-plus", r#"{"x":+1,"#),
        edit("payload-nan", r#"{"x":NaN,"#),
        edit("payload-infinity", r#"{"x":1e999,"#),
        edit("payload-hexadecimal", r#"{"x":0x10,"#),
        edit("payload-comment", "{/* */"),
        edit("payload-unquoted", "{x:1,"),
        edit("payload-deep", &inside(70)),
    ]
}
