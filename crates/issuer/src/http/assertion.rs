//! Signed assertions (RFC 7523 §3, as draft-ietf-oauth-rfc7523bis-11 tightens it): by whom, for whom,
//! until when.

use countersign_core::{
    jose::{
        alg::Algorithm,
        json::Value,
        jwks::{JwkSet, Selection},
        jws::{CompactJws, is_type},
    },
    jwt::claims::Claims,
};

use super::App;
use crate::clock;

/// Seconds by which clocks may differ.
const LEEWAY: u64 = super::LEEWAY.unsigned_abs();

/// An assertion is made for one request: it needs no longer life than this, in seconds.
const MAX_LIFETIME: u64 = 300;

/// One that is a grant may be fetched some time before it is used; it is remembered for so long.
const MAX_GRANT_LIFETIME: u64 = 3600;

/// Longest `jti`, in bytes: no identifier needs more.
const MAX_JTI: usize = 256;

/// Said when the key set lacks the key, which a newer one may have.
pub(super) const NO_KEY: &str = "no key, or more than one, fits its kid and alg";

/// What an assertion has to say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    /// The key set of whoever signs.
    pub(super) keys: &'a JwkSet,
    /// The values of `typ` that it may have; the empty text stands for none.
    pub(super) types: &'a [&'a str],
    /// `iss`.
    pub(super) issuer: &'a str,
    /// `aud`: this server's identifier, as a single string (rfc7523bis §3).
    pub(super) audience: &'a str,
    /// The time, in seconds since the epoch.
    pub(super) now: u64,
}

impl<'a> Expected<'a> {
    /// What an assertion for this server has to say now.
    pub(super) fn of(
        app: &'a App,
        keys: &'a JwkSet,
        types: &'a [&'a str],
        issuer: &'a str,
    ) -> Self {
        let now = clock::now().unsigned_abs();
        Self { keys, types, issuer, audience: app.issuer.as_str(), now }
    }
}

/// An assertion that holds, as far as it can be told without knowing what was used before.
#[derive(Debug)]
pub(super) struct Assertion {
    pub(super) claims: Claims,
    /// Its own name: to be remembered until `forget_at`.
    pub(super) token_id: String,
    /// First second at which it would be refused anyway.
    pub(super) forget_at: u64,
}

/// Who an assertion says it is from, before anything is verified: to find the keys.
pub(super) fn claimed_issuer(text: &str) -> Option<String> {
    let jws = CompactJws::parse(text).ok()?;
    Claims::parse(jws.payload()).ok()?.issuer
}

/// Checks an assertion.
///
/// # Errors
/// What is wrong, for the log.
pub(super) fn check(text: &str, expected: &Expected<'_>) -> Result<Assertion, &'static str> {
    let claims = signed(text, expected)?;
    // A list could name another server too, which would then hold an assertion that is good here.
    if !matches!(claims.all.get("aud"), Some(Value::String(aud)) if aud == expected.audience) {
        return Err("its aud is not this issuer's identifier alone");
    }
    in_time(claims, expected.now, MAX_LIFETIME)
}

/// Checks an assertion that is a grant: an identity provider made it about a user
/// (draft-ietf-oauth-identity-assertion-authz-grant, RFC 7521 §5.2).
///
/// # Errors
/// What is wrong, for the log.
pub(super) fn check_grant(text: &str, expected: &Expected<'_>) -> Result<Assertion, &'static str> {
    let claims = signed(text, expected)?;
    // That draft allows a list of one.
    let audience = match claims.all.get("aud") {
        Some(Value::Array(list)) => match list.as_slice() {
            [only] => only.as_str(),
            _ => None,
        },
        other => other.and_then(Value::as_str),
    };
    if audience != Some(expected.audience) {
        return Err("its aud is not this issuer's identifier alone");
    }
    if claims.issued_at.is_none() {
        return Err("it has no iat");
    }
    in_time(claims, expected.now, MAX_GRANT_LIFETIME)
}

/// The claims, if the key that fits has signed them, for the issuer that is expected.
fn signed(text: &str, expected: &Expected<'_>) -> Result<Claims, &'static str> {
    let jws = CompactJws::parse(text).map_err(|_| "it is no strict compact JWS")?;
    let typ = jws.header().typ.as_deref().unwrap_or("");
    if !expected.types.iter().any(|allowed| is_type(typ, allowed)) {
        return Err("its typ is that of another kind of token");
    }
    let algorithm = jws
        .header()
        .algorithm
        .filter(|algorithm| Algorithm::ASYMMETRIC.contains(algorithm))
        .ok_or("its algorithm is not an asymmetric one that is supported")?;
    let Selection::Found(key) = expected.keys.select(jws.header().kid.as_deref(), algorithm) else {
        return Err(NO_KEY);
    };
    let fits = key
        .verifier(algorithm)
        .is_some_and(|key| key.verify(jws.signing_input().as_bytes(), jws.signature()));
    if !fits {
        return Err("its signature does not verify");
    }
    let claims = Claims::parse(jws.payload()).map_err(|_| "a claim is malformed")?;
    if claims.issuer.as_deref() != Some(expected.issuer) {
        return Err("its iss is somebody else");
    }
    Ok(claims)
}

fn in_time(claims: Claims, now: u64, max_lifetime: u64) -> Result<Assertion, &'static str> {
    let expires_at = claims.expires_at.ok_or("it has no exp")?;
    if expires_at.saturating_add(LEEWAY) <= now {
        return Err("it has expired");
    }
    if expires_at > now + max_lifetime + LEEWAY {
        return Err("its exp lies too far ahead");
    }
    let latest_start = now + LEEWAY;
    if [claims.issued_at, claims.not_before].into_iter().flatten().any(|start| start > latest_start)
    {
        return Err("its iat or nbf lies in the future");
    }
    let token_id = claims.token_id.clone().filter(|id| (1..=MAX_JTI).contains(&id.len()));
    let token_id = token_id.ok_or("its jti is missing or too long")?;
    Ok(Assertion { claims, token_id, forget_at: expires_at.saturating_add(LEEWAY) })
}
