//! An access token of our own, presented to us: read as strictly as by any guard.

use std::sync::{Arc, Mutex, PoisonError};

use countersign_core::{
    Reason,
    jose::{
        json::{Number, Value},
        jwks::{JwkSet, Selection},
        jws::{CompactJws, is_type},
    },
    jwt::claims::Claims,
    oauth::status_list::StatusReference,
};
use countersign_verify::{Key, Limits, Verifier};

use super::{Judge, Refusal};
use crate::{clock, status::Place};

/// The published keys, read once for each set, and what verifies by them: they are few and come again and
/// again, so they have tables, with which a verification takes a tenth of the time.
pub(crate) struct OwnKeys {
    held: Mutex<Option<(String, Arc<JwkSet>)>>,
    verifier: Mutex<Verifier>,
}

/// A token whose signature fits, and that was issued by this server.
#[derive(Debug)]
pub(crate) struct OwnToken {
    pub(crate) claims: Claims,
    pub(crate) place: Place,
    /// First second at which it is over.
    pub(crate) expires_at: u64,
}

impl OwnToken {
    /// Reads a token. The checks come in the order of the guard's, so that both give the same reason.
    pub(super) fn read(judge: &Judge<'_>, text: &str) -> Result<Self, Refusal> {
        let jws = CompactJws::parse(text).map_err(|error| Refusal {
            reason: Reason::TokenMalformed,
            detail: Some(error.to_string()),
        })?;
        let claims = Claims::parse(jws.payload())?;
        if claims.issuer.as_deref() != Some(judge.issuer) {
            return Err(Refusal { reason: Reason::IssuerUnknown, detail: claims.issuer });
        }
        let header = jws.header();
        if !header.typ.as_deref().is_some_and(|typ| is_type(typ, "at+jwt")) {
            return Err(Reason::TokenTypeUnsupported.into());
        }
        let algorithm = header.algorithm.filter(|algorithm| !algorithm.is_symmetric());
        let algorithm = algorithm.ok_or(Reason::AlgorithmUnsupported)?;
        // A set without any key is not read.
        let keys = judge.keys.get(&judge.published.jwks).ok_or(Reason::KeyUnknown)?;
        let key = match keys.select(header.kid.as_deref(), algorithm) {
            Selection::Found(key) => key.verifier(algorithm).ok_or(Reason::KeyUnknown)?,
            Selection::Missing => {
                let kid = header.kid.as_deref().unwrap_or("(none)");
                let detail = Some(format!("kid={kid} alg={}", algorithm.name()));
                return Err(Refusal { reason: Reason::KeyUnknown, detail });
            }
            Selection::Ambiguous => return Err(Reason::KeyAmbiguous.into()),
        };
        if !judge.keys.verify(key, &jws) {
            return Err(Reason::SignatureInvalid.into());
        }
        let expires_at = claims.expires_at.ok_or(Reason::ClaimMissing)?;
        let status = StatusReference::of(&claims.all)?.ok_or(Reason::ClaimMissing)?;
        let list = status.uri.strip_prefix(judge.issuer);
        let list = list.and_then(|path| path.strip_prefix("/status-lists/"));
        let list = list.ok_or(Reason::ClaimMalformed)?.to_owned();
        let index = u32::try_from(status.index).map_err(|_| Reason::ClaimMalformed)?;
        Ok(Self { claims, place: Place { list, index }, expires_at })
    }

    /// Whether its time is over, by our own clock and without leeway.
    pub(super) fn is_over(&self) -> bool {
        self.expires_at <= clock::now().unsigned_abs()
    }
}

/// When the user logged in, if a token says so.
pub(crate) fn auth_time(claims: &Claims) -> Option<i64> {
    match claims.all.get("auth_time")? {
        Value::Number(Number::Unsigned(time)) => i64::try_from(*time).ok(),
        _ => None,
    }
}

impl Default for OwnKeys {
    fn default() -> Self {
        let verifier = Mutex::new(Verifier::new(Limits::default()));
        Self { held: Mutex::default(), verifier }
    }
}

impl OwnKeys {
    fn get(&self, jwks: &str) -> Option<Arc<JwkSet>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((text, set)) = held.as_ref()
            && text == jwks
        {
            return Some(Arc::clone(set));
        }
        let set = Arc::new(JwkSet::parse(jwks.as_bytes(), usize::MAX).ok()?);
        *held = Some((jwks.to_owned(), Arc::clone(&set)));
        Some(set)
    }

    fn verify(&self, key: &Key, jws: &CompactJws<'_>) -> bool {
        let mut verifier = self.verifier.lock().unwrap_or_else(PoisonError::into_inner);
        let was_reference = verifier.is_reference();
        let is_good = verifier.verify(key, jws.signing_input().as_bytes(), jws.signature());
        if verifier.is_reference() && !was_reference {
            let text = "known answers came out wrong: well-known crates verify instead, and slowly";
            tracing::error!(reason = "self_test_failed", "{text}");
        }
        is_good
    }
}
