//! The keys of clients that sign what they are: stored with the client, or fetched from where it
//! publishes them (`jwks_uri`).

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use countersign_core::jose::jwks::JwkSet;
use url::Url;

use super::{
    App,
    assertion::{self, Assertion, Expected},
    client_auth::unreachable,
    post::Failure,
};
use crate::{
    client_metadata::MAX_KEYS,
    clock,
    outbound::{FetchError, Fetched},
    store::ClientRow,
};

/// Longest key set, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// How long a key set is used before it is fetched again.
const FRESH: Duration = Duration::from_secs(300);

/// How often it is fetched for the sake of a key that it does not have.
const COOLDOWN: Duration = Duration::from_secs(30);

/// Most key sets that are held.
const CAPACITY: usize = 1000;

/// Key sets by their URL.
#[derive(Debug, Default)]
pub(super) struct ClientKeys(Mutex<HashMap<String, (Instant, Arc<JwkSet>)>>);

/// Checks that a client signed this, for this server alone, in its time.
///
/// The inner error is a sentence about what is wrong with it.
pub(super) async fn signed_by(
    app: &App,
    row: &ClientRow,
    text: &str,
    types: &[&str],
) -> Result<Result<Assertion, &'static str>, Failure> {
    let expected = |keys| Expected {
        keys,
        types,
        issuer: &row.client.id,
        audience: app.issuer.as_str(),
        now: clock::now().unsigned_abs(),
    };
    let Some(keys) = app.client_keys.of(app, row, false).await? else {
        return Ok(Err("the client has no usable keys"));
    };
    let mut checked = assertion::check(text, &expected(&keys));
    // Keys that are published elsewhere may be new.
    if matches!(checked, Err(assertion::NO_KEY))
        && let Some(keys) = app.client_keys.of(app, row, true).await?
    {
        checked = assertion::check(text, &expected(&keys));
    }
    Ok(checked)
}

/// Where somebody's keys are: given, or published.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeySource<'a> {
    /// Whose they are, for the log.
    pub(super) owner: &'a str,
    pub(super) jwks: Option<&'a str>,
    pub(super) jwks_uri: Option<&'a str>,
}

impl ClientKeys {
    /// The keys of a client; `newer` than those that lack a key. `None`: there are none.
    pub(super) async fn of(
        &self,
        app: &App,
        row: &ClientRow,
        newer: bool,
    ) -> Result<Option<Arc<JwkSet>>, Failure> {
        let source = KeySource {
            owner: &row.client.id,
            jwks: row.jwks.as_deref(),
            jwks_uri: row.jwks_uri.as_deref(),
        };
        self.find(app, source, newer).await
    }

    /// The same of anybody who has keys.
    pub(super) async fn find(
        &self,
        app: &App,
        source: KeySource<'_>,
        newer: bool,
    ) -> Result<Option<Arc<JwkSet>>, Failure> {
        let Some(uri) = source.jwks_uri else {
            let jwks = source.jwks.filter(|_| !newer);
            let keys = jwks.and_then(|jwks| JwkSet::parse(jwks.as_bytes(), MAX_KEYS).ok());
            return Ok(keys.map(Arc::new));
        };
        let wait = if newer { COOLDOWN } else { FRESH };
        if let Some((fetched_at, keys)) = self.held(uri)
            && fetched_at.elapsed() < wait
        {
            return Ok((!newer).then_some(keys));
        }
        let Ok(url) = Url::parse(uri) else {
            return Ok(None);
        };
        let unreachable = |why: &dyn fmt::Display| {
            tracing::warn!(reason = "client_keys_unreachable", owner = source.owner, "{why}");
            unreachable()
        };
        let turn = app.fetches.turn(uri).await.map_err(|why| unreachable(&why.why()))?;
        // Whoever had the turn before may have fetched them.
        if let Some((fetched_at, keys)) = self.held(uri)
            && fetched_at.elapsed() < wait
        {
            return Ok(Some(keys));
        }
        let found = match app.fetcher.json(&url, None, MAX_BYTES).await {
            Ok(Fetched::Document { body, .. }) => JwkSet::parse(&body, MAX_KEYS).ok(),
            Err(error) if error.is_passing() => {
                if error == FetchError::Unreachable {
                    turn.failed();
                }
                return Err(unreachable(&error));
            }
            Ok(Fetched::NotModified { .. }) | Err(_) => None,
        };
        if found.is_none() && newer {
            // Those that are held still count; they are looked for again in a while.
            turn.failed();
            return Ok(None);
        }
        // That there are none is held too: nobody's requests make the server ask again and again.
        let keys = Arc::new(found.unwrap_or_default());
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= CAPACITY {
            held.retain(|_, (fetched_at, _)| fetched_at.elapsed() < FRESH);
        }
        if held.len() < CAPACITY || held.contains_key(uri) {
            held.insert(uri.to_owned(), (Instant::now(), Arc::clone(&keys)));
        }
        Ok(Some(keys))
    }

    fn held(&self, uri: &str) -> Option<(Instant, Arc<JwkSet>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(uri).cloned()
    }
}
