//! Models written apart from the engine: laxer, slower, and simple enough to be seen to be right.

use std::collections::BTreeSet;

use serde_json::Value;

/// Decodes base64url as a lenient reader would: without padding, whatever the unused bits are.
pub fn base64url(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for character in text.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == character)?;
        bits = (bits << 6 | digit as u32) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}

/// Header and payload of a compact JWS, for whoever trusts it.
pub fn jws(text: &str) -> Option<(Value, Vec<u8>)> {
    let mut segments = text.split('.');
    let header = serde_json::from_slice(&base64url(segments.next()?)?).ok()?;
    Some((header, base64url(segments.next()?)?))
}

/// Whether two readings of one JSON text are the same. Floats may differ by rounding: serde_json
/// does not promise the nearest one, so that writing and reading one can move it a little.
pub fn same_json(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let float = |number: &serde_json::Number| number.as_f64().unwrap_or(f64::NAN);
            a == b
                || (a.is_f64() && b.is_f64() && {
                    let (a, b) = (float(a), float(b));
                    (a - b).abs() <= a.abs().max(b.abs()) * 1e-14
                })
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_json(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same_json(a, b)))
        }
        (a, b) => a == b,
    }
}

/// A resource identifier with everything in its one place: lower case scheme and host, no default
/// port, no port with leading zeros, at least `/` as path (RFC 8707 as docs/policy.md reads it).
pub fn canonical(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    let scheme = scheme.to_lowercase();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let authority = authority.to_lowercase();
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let authority = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => {
            let port: u16 = port.parse().ok()?;
            match (scheme.as_str(), port) {
                ("https", 443) | ("http", 80) => host.to_owned(),
                _ => format!("{host}:{port}"),
            }
        }
        _ => authority,
    };
    let slash = if tail.starts_with('/') { "" } else { "/" };
    Some(format!("{scheme}://{authority}{slash}{tail}"))
}

/// Everything that scopes give by a policy's `implies`: added until nothing more comes.
pub fn granted(scopes: &BTreeSet<String>, implies: &Value) -> BTreeSet<String> {
    let mut all = scopes.clone();
    loop {
        let before = all.len();
        for (scope, implied) in implies.as_object().into_iter().flatten() {
            if all.contains(scope) {
                all.extend(texts(implied));
            }
        }
        if all.len() == before {
            return all;
        }
    }
}

/// The texts of a string or of an array of strings.
pub fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(all) => all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}
