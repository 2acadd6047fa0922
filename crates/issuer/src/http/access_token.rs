//! An access token of our own, presented to us: read as strictly as by any guard.

use std::sync::{Arc, Mutex, PoisonError};

use countersign_core::{
    jose::{
        json::{Number, Value},
        jwks::{JwkSet, Selection},
        jws::{CompactJws, is_type},
    },
    jwt::claims::Claims,
    oauth::status_list::StatusReference,
};
use countersign_verify::{Key, Limits, Verifier};

use super::App;
use crate::{Error, clock, status::Place};

/// The published keys, read once for each set, and what verifies by them: they are few and come again and
/// again, so they have tables, with which a verification takes a tenth of the time.
pub(super) struct OwnKeys {
    held: Mutex<Option<(String, Arc<JwkSet>)>>,
    verifier: Mutex<Verifier>,
}

/// A token whose signature fits, that is not over, and was issued by this server.
#[derive(Debug)]
pub(super) struct OwnToken {
    pub(super) claims: Claims,
    pub(super) place: Place,
}

impl OwnToken {
    /// Reads a token; `None` for whatever is not one of ours, or is over.
    pub(super) fn read(app: &App, text: &str) -> Option<Self> {
        let jws = CompactJws::parse(text).ok()?;
        let header = jws.header();
        if !header.typ.as_deref().is_some_and(|typ| is_type(typ, "at+jwt")) {
            return None;
        }
        let keys = app.own_keys.get(&app.keys.published().jwks)?;
        let algorithm = header.algorithm.filter(|algorithm| !algorithm.is_symmetric())?;
        let Selection::Found(key) = keys.select(header.kid.as_deref(), algorithm) else {
            return None;
        };
        if !app.own_keys.verify(key.verifier(algorithm)?, &jws) {
            return None;
        }
        let claims = Claims::parse(jws.payload()).ok()?;
        let is_ours = claims.issuer.as_deref() == Some(app.issuer.as_str());
        if !is_ours || claims.expires_at? <= clock::now().unsigned_abs() {
            return None;
        }
        let status = StatusReference::of(&claims.all).ok()??;
        let list = status.uri.strip_prefix(app.issuer.as_str())?.strip_prefix("/status-lists/")?;
        let place = Place { list: list.to_owned(), index: u32::try_from(status.index).ok()? };
        Some(Self { claims, place })
    }

    /// Whether it was revoked, as of now.
    pub(super) async fn is_revoked(&self, app: &App) -> Result<bool, Error> {
        app.status.is_revoked(app, &self.place).await
    }
}

/// When the user logged in, if a token says so.
pub(super) fn auth_time(claims: &Claims) -> Option<i64> {
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
