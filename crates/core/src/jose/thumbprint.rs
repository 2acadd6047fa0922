//! Thumbprints of keys (RFC 7638, RFC 8037 §2) with SHA-256.

use alloc::{collections::BTreeMap, string::ToString as _};

use sha2::{Digest as _, Sha256};

use super::{
    base64url,
    json::{Object, Value},
    jwk::JwkError,
    unchecked_jwk::text,
};

/// The SHA-256 thumbprint of an `EC`, `OKP`, `RSA` or `oct` key, private or public: 32 bytes.
///
/// The same key gives the same thumbprint, whatever other members it has: only those that RFC 7638
/// §3.2 requires are looked at. Whether they are a *good* key is not: see [`super::jwk::Jwk`]. The
/// thumbprint of an `oct` key is a hash of the secret, and no more to be shown than that (§7).
///
/// # Errors
/// [`JwkError::UnsupportedKind`] for another `kty`; [`JwkError::InvalidMember`] when a required
/// member is missing, no text, or not canonical base64url.
///
/// ```
/// use countersign_core::jose::{base64url, json, thumbprint};
///
/// // RFC 8037 A.3
/// let jwk = json::parse(
///     br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
/// )?;
/// let thumbprint = thumbprint::sha256(jwk.as_object().unwrap()).unwrap();
/// assert_eq!(base64url::encode(thumbprint), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
/// # Ok::<(), json::JsonError>(())
/// ```
pub fn sha256(jwk: &Object) -> Result<[u8; 32], JwkError> {
    let required: &[&'static str] = match text(jwk, "kty")? {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "RSA" => &["e", "kty", "n"],
        "oct" => &["k", "kty"],
        _ => return Err(JwkError::UnsupportedKind),
    };
    let mut members = BTreeMap::new();
    for name in required.iter().copied() {
        let value = text(jwk, name)?;
        if !matches!(name, "crv" | "kty") {
            base64url::decode(value).map_err(|_| JwkError::InvalidMember(name))?;
        }
        members.insert(name.into(), Value::from(value));
    }
    // §3.3: no white space, and the members in the order of their names.
    Ok(Sha256::digest(Value::Object(members).to_string()).into())
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::jose::json;

    fn of(jwk: &str) -> Result<alloc::string::String, JwkError> {
        let jwk = json::parse(jwk.as_bytes()).expect("JSON");
        sha256(jwk.as_object().expect("an object")).map(base64url::encode)
    }

    /// RFC 7638 §3.1, with the members that do not count.
    #[test]
    fn rfc_7638() {
        let n = concat!(
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1R",
            "K7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6C",
            "f0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbIS",
            "D08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awa",
            "pJzKnqDKgw"
        );
        for members in ["", r#","alg":"RS256","kid":"2011-04-29""#, r#","d":"AA","x5c":[1]"#] {
            let jwk = format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"{members}}}"#);
            assert_eq!(of(&jwk).unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        }
    }

    /// The keys of RFC 7515 A.3.1 and RFC 7520 §3.5, with the thumbprints that the npm package
    /// `jose` 6.2 gives.
    #[test]
    fn ec_and_oct() {
        for (jwk, expected) in [EC, OCT] {
            assert_eq!(of(jwk).unwrap(), expected);
        }
    }

    const EC: (&str, &str) = (
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U",
    );
    const OCT: (&str, &str) = (
        r#"{"kty":"oct","k":"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"}"#,
        "RtoRur_1Dir5M4wuOfqNkDYOf9O_4RJ-aHkTA75RLA8",
    );

    #[test]
    fn what_has_no_thumbprint() {
        for (jwk, expected) in [
            (r#"{"kty":"AKP"}"#, JwkError::UnsupportedKind),
            (r#"{}"#, JwkError::InvalidMember("kty")),
            (r#"{"kty":"RSA","n":"AQAB"}"#, JwkError::InvalidMember("e")),
            (r#"{"kty":"oct","k":1}"#, JwkError::InvalidMember("k")),
            (r#"{"kty":"oct","k":"AB"}"#, JwkError::InvalidMember("k")),
            (r#"{"kty":"OKP","crv":"Ed25519","x":"AA=="}"#, JwkError::InvalidMember("x")),
        ] {
            assert_eq!(of(jwk).unwrap_err(), expected, "{jwk}");
        }
    }
}
