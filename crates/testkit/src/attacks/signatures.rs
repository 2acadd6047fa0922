//! Signatures that are none, for every algorithm, and algorithms that are not the key's.

use super::{ASYMMETRIC, Case, by, control, good};
use crate::{
    keys::{TestKey, hs256},
    rsa_key,
    token::Token,
};

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = ASYMMETRIC.into_iter().flat_map(of_any_kind).collect();
    cases.extend(ASYMMETRIC.into_iter().flat_map(exchanged));
    cases.extend([TestKey::Es256(1), TestKey::Es384(1)].into_iter().flat_map(ecdsa));
    cases.extend(ed25519());
    cases.extend(secrets());
    cases.extend(no_algorithm());
    cases
}

const fn clause(key: TestKey) -> &'static str {
    match key {
        TestKey::Es256(_) | TestKey::Es384(_) => "RFC 7518 §3.4",
        TestKey::Ed25519(_) => "RFC 8037 §3.1",
        TestKey::Hs256 => "RFC 7518 §3.2",
        TestKey::Ps256 | TestKey::Ps384 | TestKey::Ps512 => "RFC 7518 §3.5",
        TestKey::Rs256 | TestKey::Rs384 | TestKey::Rs512 => "RFC 7518 §3.3",
    }
}

fn invalid(key: TestKey, what: &str, signature: &[u8]) -> Case {
    let token = by(key).with_signature(signature);
    let id = format!("{}-{what}", control(key));
    let reason = if signature.is_empty() { "token_malformed" } else { "signature_invalid" };
    Case::new(id, clause(key), token).refused(control(key), reason)
}

/// What no algorithm may take.
fn of_any_kind(key: TestKey) -> Vec<Case> {
    let signature = by(key).signature();
    let length = signature.len();
    let flipped = |at: usize, bit: u8| {
        let mut bytes = signature.clone();
        bytes[at] ^= bit;
        bytes
    };
    let of = |token: Token| token.signature();
    vec![
        invalid(key, "no-signature", b""),
        invalid(key, "first-bit", &flipped(0, 0x80)),
        invalid(key, "middle-bit", &flipped(length / 2, 1)),
        invalid(key, "last-bit", &flipped(length - 1, 1)),
        invalid(key, "one-byte", &signature[..1]),
        invalid(key, "byte-less-at-the-end", &signature[..length - 1]),
        invalid(key, "byte-less-at-the-start", &signature[1..]),
        invalid(key, "zero-at-the-end", &[&signature[..], &[0]].concat()),
        invalid(key, "zero-at-the-start", &[&[0], &signature[..]].concat()),
        invalid(key, "twice", &[&signature[..], &signature[..]].concat()),
        invalid(key, "backwards", &signature.iter().rev().copied().collect::<Vec<u8>>()),
        invalid(key, "zeros", &vec![0; length]),
        invalid(key, "ones", &vec![0xff; length]),
        invalid(key, "of-another-subject", &of(by(key).claim("sub", "admin"))),
        invalid(key, "of-another-header", &of(by(key).header("typ", "JWT"))),
        invalid(key, "of-the-payload-alone", &{
            let input = by(key).signing_input();
            key.sign(input.split('.').nth(1).unwrap_or_default().as_bytes())
        }),
    ]
}

/// Signed by its own key and algorithm, but it names another one (RFC 8725 §3.1).
fn exchanged(key: TestKey) -> Vec<Case> {
    let others = ASYMMETRIC.into_iter().filter(move |other| other.alg() != key.alg());
    let mut cases = Vec::new();
    for other in others {
        let id = format!("{}-named-{}", control(key), control(other));
        let named = by(key).header("alg", other.alg()).sign();
        // The key of that name is for its own algorithm only (RFC 7517 §4.4).
        cases.push(
            Case::new(id, "RFC 8725 §3.1, RFC 7517 §4.4", named)
                .refused(control(key), "key_unknown"),
        );
        if rsa(key) && rsa(other) {
            // A key without "alg" serves all of its kind: the signature has to tell.
            let token = by(key).header("kid", "rsa");
            let signature = other.sign(token.signing_input().as_bytes());
            let id = format!("{}-signed-with-{}", control(key), control(other));
            cases.push(
                Case::new(id, "RFC 8725 §3.1", token.with_signature(&signature))
                    .set("unlabelled")
                    .refused(format!("{}-unlabelled", control(key)), "signature_invalid"),
            );
        }
    }
    if rsa(key) {
        let token = by(key).header("kid", "rsa").sign();
        let id = format!("{}-unlabelled", control(key));
        cases.push(Case::new(id, "RFC 7517 §4.4", token).set("unlabelled"));
    }
    cases
}

const fn rsa(key: TestKey) -> bool {
    !matches!(key, TestKey::Es256(_) | TestKey::Es384(_) | TestKey::Ed25519(_) | TestKey::Hs256)
}

/// Numbers at the edges, and other encodings.
fn ecdsa(key: TestKey) -> Vec<Case> {
    let order: Vec<u8> = match key {
        TestKey::Es256(_) => P256_ORDER.to_vec(),
        _ => P384_ORDER.to_vec(),
    };
    let signature = by(key).signature();
    let (r, s) = signature.split_at(signature.len() / 2);
    let zero = vec![0; r.len()];
    let mut one = zero.clone();
    one[r.len() - 1] = 1;
    let pair = |what: &str, r: &[u8], s: &[u8]| invalid(key, what, &[r, s].concat());
    let integer = |bytes: &[u8]| {
        let sign: &[u8] = if bytes[0] & 0x80 == 0 { &[] } else { &[0] };
        let length = u8::try_from(sign.len() + bytes.len()).expect("short");
        [&[2, length], sign, bytes].concat()
    };
    let integers = [integer(r), integer(s)].concat();
    let der = [&[0x30, u8::try_from(integers.len()).expect("short")], &integers[..]].concat();
    vec![
        pair("r-zero", &zero, s),
        pair("s-zero", r, &zero),
        pair("r-and-s-one", &one, &one),
        pair("r-order", &order, s),
        pair("s-order", r, &order),
        pair("r-and-s-order", &order, &order),
        pair("halves-exchanged", s, r),
        pair("r-twice", r, r),
        pair("r-alone", r, &[]),
        invalid(key, "in-der", &der),
        invalid(key, "with-recovery-byte", &[&signature[..], &[0x1b]].concat()),
    ]
}

const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

const P384_ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// RFC 8032 §5.1.7: s is below the order, and R a point.
fn ed25519() -> Vec<Case> {
    let key = TestKey::Ed25519(1);
    let signature = by(key).signature();
    let (point, scalar) = signature.split_at(32);
    let mut identity = [0; 32];
    identity[0] = 1;
    let pair = |what: &str, r: &[u8], s: &[u8]| invalid(key, what, &[r, s].concat());
    vec![
        pair("s-plus-order", point, &plus_order(scalar)),
        pair("s-zero", point, &[0; 32]),
        pair("r-identity", &identity, scalar),
        pair("r-identity-s-zero", &identity, &[0; 32]),
        pair("r-zero", &[0; 32], scalar),
        pair("halves-exchanged", scalar, point),
        Case::new("eddsa-lower-case", "RFC 8037 §3.1", by(key).header("alg", "eddsa").sign())
            .refused("eddsa", "algorithm_unsupported"),
        Case::new("eddsa-named-ed448", "RFC 9864 §2.2", by(key).header("alg", "Ed448").sign())
            .refused("eddsa", "algorithm_unsupported"),
        Case::new("eddsa-named-ed25519", "RFC 9864 §2.2", by(key).header("alg", "Ed25519").sign()),
    ]
}

/// s + L, for which sloppy verifiers find the same signature good.
fn plus_order(scalar: &[u8]) -> Vec<u8> {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    let add = |(byte, order): (&u8, u8)| {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        carry = sum / 256;
        u8::try_from(sum % 256).expect("below 256")
    };
    scalar.iter().zip(L).map(add).collect()
}

/// A public key is no secret, and a published secret is none (RFC 8725 §2.1).
fn secrets() -> Vec<Case> {
    let (modulus, _) = rsa_key::public();
    let keyed = |what: &str, kid: &str, secret: &[u8]| {
        let token = good().header("alg", "HS256").header("kid", kid);
        let signature = hs256(secret, token.signing_input().as_bytes());
        Case::new(
            format!("hs256-by-{what}"),
            "RFC 8725 §2.1, §3.1",
            token.with_signature(&signature),
        )
        .refused("es256", "algorithm_unsupported")
    };
    let jwk = |key: TestKey| key.jwk(key.alg()).to_string();
    let x = jwk_bytes(TestKey::Ed25519(1), "x");
    vec![
        keyed("the-modulus", "RS256", &modulus),
        keyed("the-jwk-of-rsa", "RS256", jwk(TestKey::Rs256).as_bytes()),
        keyed("the-jwk-of-p256", "ES256", jwk(TestKey::Es256(1)).as_bytes()),
        keyed("the-point", "EdDSA", &x),
        keyed("nothing", "ES256", b""),
        keyed("the-word-secret", "ES256", b"secret"),
        Case::new("hs256-by-a-published-secret", "RFC 8725 §2.1", by(TestKey::Hs256).sign())
            .refused("es256", "algorithm_unsupported"),
    ]
}

fn jwk_bytes(key: TestKey, member: &str) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let jwk = key.jwk("");
    URL_SAFE_NO_PAD.decode(jwk[member].as_str().unwrap_or_default()).unwrap_or_default()
}

/// RFC 8725 §2.1, §3.1: `none` in all its spellings, and what is not registered or not for signing.
fn no_algorithm() -> Vec<Case> {
    let named = [
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        "",
        "es256",
        "ES256 ",
        "ES256K",
        "ES512",
        "HS256",
        "HS384",
        "HS512",
        "RS1",
        "dir",
        "RSA-OAEP",
        "ECDH-ES",
        "A128GCM",
        "PBES2-HS256+A128KW",
    ];
    let mut cases: Vec<Case> = named
        .into_iter()
        .map(|alg| {
            let id = format!("alg-{alg:?}").replace('"', "");
            Case::new(id, "RFC 8725 §2.1, §3.1", good().header("alg", alg).sign())
                .refused("es256", "algorithm_unsupported")
        })
        .collect();
    for alg in ["none", "nOnE"] {
        let unsigned = format!("{}.", good().header("alg", alg).signing_input());
        cases.push(
            Case::new(format!("alg-{alg}-unsigned"), "RFC 7519 §6, RFC 8725 §2.1", unsigned)
                .refused("es256", "token_malformed"),
        );
    }
    cases
}
