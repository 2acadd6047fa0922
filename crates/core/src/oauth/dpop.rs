//! Demonstrating Proof of Possession (DPoP, RFC 9449): the proof that comes with a request.

use alloc::{
    borrow::ToOwned as _,
    string::{String, ToString as _},
    vec::Vec,
};
use core::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::resource::ResourceId;
use crate::{
    UnixSeconds,
    jose::{
        alg::Algorithm,
        base64url,
        json::{self, Object, Value},
        jwk::Secrets,
        jws::{CompactJws, is_type},
        unchecked_jwk::UncheckedJwk,
    },
    jwt::numeric_date,
    mcp::comparable_uri,
};

/// How old a proof may be, in seconds, beside the leeway for clocks that differ. A client makes one
/// for each request; what takes longer was kept back by somebody (RFC 9449 §11.1).
pub const MAX_AGE: u64 = 60;

/// Longest `jti`, in bytes. RFC 9449 §4.2 asks for 96 bits of randomness; no use has this much.
const MAX_JTI: usize = 256;

/// A proof taken apart. Nothing in it is trusted before its signature is verified by the key that the
/// token is bound to.
#[derive(Clone, Debug)]
pub struct Proof {
    key: UncheckedJwk,
    algorithm: Algorithm,
    signing_input: String,
    signature: Vec<u8>,
    token_id: String,
    method: String,
    uri: String,
    issued_at: UnixSeconds,
    token_hash: Option<String>,
    nonce: Option<String>,
}

/// What a proof for this request has to say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The HTTP method (`htm`).
    pub method: &'a [u8],
    /// The URLs by which the request may have been made, without query; one of them is `htu`.
    pub urls: &'a [String],
    /// SHA-256 of the access token's text (`ath`); `None` where a token is asked for, not used.
    pub token_digest: Option<&'a [u8; 32]>,
    /// The nonces that were given out and are still good; `None` when none are asked for.
    pub nonces: Option<&'a [String]>,
    /// The time.
    pub now: UnixSeconds,
    /// Seconds by which clocks may differ.
    pub leeway: u64,
}

/// What stands against a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProofError {
    /// Not a compact JWS of type `dpop+jwt` with a public key in its header that can sign by its
    /// algorithm (RFC 9449 §4.2, §4.3 steps 3 to 7).
    Header(&'static str),
    /// A claim is missing or has the wrong type.
    Claim(&'static str),
    /// The `jwk` in its header is no usable public key.
    Key,
    /// `htm` names another method.
    Method,
    /// `htu` names another URL.
    Uri,
    /// `ath` is missing, or that of another token.
    TokenHash,
    /// `iat` lies too far back.
    TooOld,
    /// `iat` lies in the future.
    NotYetValid,
    /// `nonce` is missing, or none that is still good.
    Nonce,
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header(what) => return write!(f, "the proof's header: {what}"),
            Self::Claim(name) => return write!(f, "the proof's {name} is missing or malformed"),
            Self::Key => "the jwk in the proof's header is no usable public key",
            Self::Method => "the proof's htm is not the request's method",
            Self::Uri => "the proof's htu is not the request's URL",
            Self::TokenHash => "the proof's ath is not that of the access token",
            Self::TooOld => "the proof's iat lies too far back",
            Self::NotYetValid => "the proof's iat lies in the future",
            Self::Nonce => "the proof has no nonce that is still good",
        })
    }
}

impl core::error::Error for ProofError {}

impl Proof {
    /// Takes the value of the `DPoP` header apart (RFC 9449 §4.3, steps 2 to 7 but the signature).
    ///
    /// # Errors
    /// [`ProofError::Header`] or [`ProofError::Claim`].
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let (jws, header) = CompactJws::parse_with_header(text)
            .map_err(|_| ProofError::Header("not a strict compact JWS without crit"))?;
        if !jws.header().typ.as_deref().is_some_and(|typ| is_type(typ, "dpop+jwt")) {
            return Err(ProofError::Header("typ is not dpop+jwt"));
        }
        // Here, and nowhere else, a key comes with what it signed: `cnf` says whether it is the one.
        let key = embedded_key(&header)?;
        let algorithm = jws
            .header()
            .algorithm
            .filter(|named| key.serves(*named))
            .ok_or(ProofError::Header("alg is not one that goes with the key"))?;
        let Ok(Value::Object(claims)) = json::parse(jws.payload()) else {
            return Err(ProofError::Claim("payload"));
        };
        let token_id = required(&claims, "jti")?;
        if token_id.is_empty() || token_id.len() > MAX_JTI {
            return Err(ProofError::Claim("jti"));
        }
        let issued_at = claims.get("iat").and_then(numeric_date::from_json);
        Ok(Self {
            key,
            algorithm,
            token_id,
            method: required(&claims, "htm")?,
            uri: required(&claims, "htu")?,
            issued_at: issued_at.ok_or(ProofError::Claim("iat"))?,
            token_hash: optional(&claims, "ath")?,
            nonce: optional(&claims, "nonce")?,
            signing_input: jws.signing_input().to_owned(),
            signature: jws.signature().to_vec(),
        })
    }

    /// Holds the proof against the request (RFC 9449 §4.3, steps 8 to 12 without the key's binding).
    ///
    /// # Errors
    /// The first [`ProofError`] that stands against it.
    pub fn check(&self, expected: &Expected<'_>) -> Result<(), ProofError> {
        if self.method.as_bytes() != expected.method {
            return Err(ProofError::Method);
        }
        if !expected.urls.iter().any(|url| is_same_url(&self.uri, url)) {
            return Err(ProofError::Uri);
        }
        if let Some(digest) = expected.token_digest
            && self.token_hash != Some(base64url::encode(digest))
        {
            return Err(ProofError::TokenHash);
        }
        let Expected { now, leeway, .. } = *expected;
        if self.issued_at > now.saturating_add(leeway) {
            return Err(ProofError::NotYetValid);
        }
        if self.issued_at.saturating_add(MAX_AGE).saturating_add(leeway) < now {
            return Err(ProofError::TooOld);
        }
        match expected.nonces {
            None => Ok(()),
            Some(nonces) if nonces.iter().any(|nonce| self.has_nonce(nonce)) => Ok(()),
            Some(_) => Err(ProofError::Nonce),
        }
    }

    /// Whether the proof carries this nonce.
    #[must_use]
    pub fn has_nonce(&self, nonce: &str) -> bool {
        self.nonce.as_ref().is_some_and(|own| own.as_bytes().ct_eq(nonce.as_bytes()).into())
    }

    /// When it says that it was made (`iat`).
    #[must_use]
    pub const fn issued_at(&self) -> UnixSeconds {
        self.issued_at
    }

    /// The key that signed it, as it says itself: to be checked once it is known to be the one that
    /// the token is bound to.
    #[must_use]
    pub const fn key(&self) -> &UncheckedJwk {
        &self.key
    }

    /// The algorithm, which is one that the key serves.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The bytes that were signed.
    #[must_use]
    pub const fn signing_input(&self) -> &[u8] {
        self.signing_input.as_bytes()
    }

    /// The signature in JWS encoding.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// A name under which to remember that it was used: SHA-256 over key and `jti` (RFC 9449 §11.1),
    /// so that its length is ours to choose.
    #[must_use]
    pub fn replay_digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.key.thumbprint());
        hash.update(&self.token_id);
        hash.finalize().into()
    }
}

/// The header's `jwk`, which is public and may verify.
fn embedded_key(header: &Object) -> Result<UncheckedJwk, ProofError> {
    let jwk = header.get("jwk").and_then(Value::as_object);
    let jwk = jwk.ok_or(ProofError::Header("there is no jwk"))?;
    UncheckedJwk::from_json(jwk, Secrets::Refuse).map_err(|_| ProofError::Key)
}

/// RFC 9449 §4.3 step 9: without query and fragment, after normalisation (RFC 3986 §6.2.2, §6.2.3).
fn is_same_url(htu: &str, url: &str) -> bool {
    let bare = htu.split(['?', '#']).next().unwrap_or(htu);
    let normal = |text: &str| ResourceId::parse(&comparable_uri(text)?).ok();
    match (normal(bare), normal(url)) {
        (Some(htu), Some(url)) => htu == url,
        _ => false,
    }
}

fn required(claims: &Object, name: &'static str) -> Result<String, ProofError> {
    optional(claims, name)?.ok_or(ProofError::Claim(name))
}

fn optional(claims: &Object, name: &'static str) -> Result<Option<String>, ProofError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.to_string())),
        Some(_) => Err(ProofError::Claim(name)),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// RFC 9449 §7.1, figure 12: the proof and the token of a protected resource request.
    const PROOF: &str = concat!(
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNo",
        "UklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERW",
        "clUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1",
        "IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwi",
        "YXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71",
        "EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA",
    );
    const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    const IAT: u64 = 1_562_262_618;

    fn expected<'a>(urls: &'a [String], digest: &'a [u8; 32]) -> Expected<'a> {
        let token_digest = Some(digest);
        Expected { method: b"GET", urls, token_digest, nonces: None, now: IAT, leeway: 0 }
    }

    #[test]
    fn rfc_9449_example() {
        let proof = Proof::parse(PROOF).unwrap();
        let key = proof.key().check().unwrap();
        let key = key.verifier(proof.algorithm()).unwrap();
        assert!(key.verify(proof.signing_input(), proof.signature()));
        // RFC 9449 §6.1, figure 8: the `jkt` of the token in the examples.
        let thumbprint = base64url::encode(proof.key().thumbprint());
        assert_eq!(thumbprint, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        let urls = [String::from("https://resource.example.org/protectedresource")];
        let digest = Sha256::digest(TOKEN).into();
        let good = expected(&urls, &digest);
        assert_eq!(proof.check(&good), Ok(()));

        let other = [String::from("https://resource.example.org/other")];
        let nonces = [String::from("n")];
        for (change, error) in [
            (Expected { method: b"POST", ..good }, ProofError::Method),
            (Expected { method: b"get", ..good }, ProofError::Method),
            (Expected { urls: &other, ..good }, ProofError::Uri),
            (Expected { urls: &[], ..good }, ProofError::Uri),
            (Expected { token_digest: Some(&[0; 32]), ..good }, ProofError::TokenHash),
            (Expected { now: IAT - 1, ..good }, ProofError::NotYetValid),
            (Expected { now: IAT + 61, ..good }, ProofError::TooOld),
            (Expected { nonces: Some(&nonces), ..good }, ProofError::Nonce),
        ] {
            assert_eq!(proof.check(&change), Err(error));
        }
        for now in [IAT - 5, IAT, IAT + 65] {
            assert_eq!(proof.check(&Expected { now, leeway: 5, ..good }), Ok(()), "{now}");
        }
        // §4.3 step 11 is for protected resources alone.
        assert_eq!(proof.check(&Expected { token_digest: None, ..good }), Ok(()));
    }

    /// RFC 9449 §4.2 and §4.3, steps 2 to 7.
    #[test]
    fn what_is_no_proof() {
        const KEY: &str =
            r#""crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
        const CLAIMS: &str = r#"{"jti":"a","htm":"GET","htu":"https://h/","iat":1}"#;
        let proof = |header: String, claims: &str| {
            let text = [base64url::encode(header), base64url::encode(claims)].join(".");
            Proof::parse(&(text + ".AA")).map(|_| ())
        };
        let header = |rest: &str| {
            alloc::format!(r#"{{"typ":"dpop+jwt","alg":"EdDSA","jwk":{{{KEY}{rest}}}}}"#)
        };
        assert_eq!(proof(header(""), CLAIMS), Ok(()));
        for typ in ["application/dpop+jwt", "DPOP+JWT"] {
            assert_eq!(proof(header("").replace("dpop+jwt", typ), CLAIMS), Ok(()));
        }
        let with = |from: &str, to: &str| header("").replace(from, to);
        for wrong in [
            with("dpop+jwt", "JWT"),
            with("dpop+jwt", "at+jwt"),
            with(r#""typ":"dpop+jwt","#, ""),
            with("EdDSA", "ES256"),
            with("EdDSA", "none"),
            with("EdDSA", "HS256"),
            with(r#""jwk""#, r#""jku""#),
            with("OKP", "oct"),
            with(r#""typ""#, r#""crit":["x"],"typ""#),
            header(r#","d":"AA""#),
            header(r#","use":"enc""#),
            "[]".to_owned(),
        ] {
            assert!(
                matches!(
                    proof(wrong.clone(), CLAIMS),
                    Err(ProofError::Header(_) | ProofError::Key)
                ),
                "{wrong}"
            );
        }
        for (from, to) in [
            (r#""jti":"a","#, ""),
            (r#""jti":"a""#, r#""jti":"""#),
            (r#""jti":"a""#, r#""jti":1"#),
            (r#""htm":"GET","#, ""),
            (r#""htu":"https://h/","#, ""),
            (r#""htu":"https://h/""#, r#""htu":["https://h/"]"#),
            (r#","iat":1"#, ""),
            (r#""iat":1"#, r#""iat":"1""#),
            (r#""iat":1"#, r#""iat":1,"ath":1"#),
            (r#""iat":1"#, r#""iat":1,"nonce":null"#),
            (r#""iat":1"#, r#""iat":1,"iat":1"#),
        ] {
            let wrong = CLAIMS.replace(from, to);
            assert!(matches!(proof(header(""), &wrong), Err(ProofError::Claim(_))), "{wrong}");
        }
        let long = CLAIMS.replace(r#""a""#, &alloc::format!("{:?}", "a".repeat(257)));
        assert_eq!(proof(header(""), &long), Err(ProofError::Claim("jti")));
    }

    /// RFC 9449 §4.3: query and fragment do not count, spelling is normalised, all else is exact.
    #[test]
    fn urls() {
        for same in [
            "https://h.example/mcp",
            "HTTPS://H.example:443/mcp?x=1",
            "https://h.example/mcp#a",
            "https://h.example/%6dcp",
        ] {
            assert!(is_same_url(same, "https://h.example/mcp"), "{same}");
        }
        for other in [
            "",
            "/mcp",
            "http://h.example/mcp",
            "https://h.example/mcp/",
            "https://h.example/x/../mcp",
            "https://h.example:8443/mcp",
            "https://u@h.example/mcp",
            "https://h.example/MCP",
        ] {
            assert!(!is_same_url(other, "https://h.example/mcp"), "{other}");
        }
        assert!(is_same_url("https://h.example", "https://h.example/"));
    }

    #[test]
    fn names_of_uses_differ_by_key_and_name() {
        let proof = Proof::parse(PROOF).unwrap();
        let mut renamed = proof.clone();
        renamed.token_id.push('x');
        let mut digests = vec![proof.replay_digest(), renamed.replay_digest()];
        digests.dedup();
        assert_eq!(digests.len(), 2);
    }
}
