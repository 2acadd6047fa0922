//! The keys of clients that sign what they are: stored with the client, or fetched from where it
//! publishes them (`jwks_uri`).

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use countersign_core::jose::jwks::JwkSet;
use url::Url;

use super::{
    App,
    assertion::{self, Assertion, Expected},
    client_auth::unreachable,
    clients::TOO_MANY,
    fetches::Fetches,
    post::Failure,
};
use crate::{
    client_metadata::MAX_KEYS,
    clock,
    outbound::{FetchError, Fetched},
    store::{ClientKind, ClientRow, IdentityProvider},
};

/// Longest key set, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// How long a key set is used before it is fetched again.
const FRESH: Duration = Duration::from_secs(300);

/// How often it is fetched for the sake of a key that it does not have, or after it could not be had.
const COOLDOWN: Duration = Duration::from_secs(30);

/// For so long keys are used while there is no answer that says otherwise. A client that took a key back
/// has to answer for that; who keeps it from answering gains no more than this.
const AT_MOST: Duration = Duration::from_secs(3600);

/// Most key sets that are held.
const CAPACITY: usize = 1000;

/// Key sets by their URL, and the turns for fetching them.
#[derive(Debug, Default)]
pub(super) struct ClientKeys {
    fetches: Fetches,
    held: Mutex<HashMap<String, Held>>,
}

/// A key set that was had.
#[derive(Clone, Debug)]
struct Held {
    keys: Arc<JwkSet>,
    /// When its site gave it.
    had_at: Instant,
    /// When it was asked for last, and whether in vain.
    asked_at: Instant,
    in_vain: bool,
}

/// What came of asking a site.
#[derive(Debug)]
enum Asked {
    Keys(JwkSet),
    /// It says that there are none, or it is not one to be asked.
    None,
    /// Whatever is there, it is no key set: an error, a page for people, something cut off.
    InVain {
        why: &'static str,
        /// Whether it answered at all, and may be well in a moment.
        is_passing: bool,
    },
}

impl Asked {
    fn read(answer: Result<Fetched, FetchError>) -> Self {
        let is_passing = matches!(answer, Err(FetchError::Status(_)));
        let why = match answer {
            Ok(Fetched::Document { body, .. }) => match JwkSet::parse(&body, MAX_KEYS) {
                Ok(keys) => return Self::Keys(keys),
                Err(_) => "the answer is no key set",
            },
            Err(FetchError::Address | FetchError::Status(404 | 410)) => return Self::None,
            Err(FetchError::Unreachable) => "the server did not answer, or is not trusted",
            Err(FetchError::Status(_)) => "the server answered with an error",
            Err(FetchError::TooLarge) => "the answer is too large",
            Ok(Fetched::NotModified { .. }) | Err(FetchError::Type) => "the answer is not JSON",
        };
        Self::InVain { why, is_passing }
    }
}

/// Whose keys they are, and where: given, or published.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeySource<'a> {
    owner: &'a str,
    /// Whether the administrator vouches for them.
    is_trusted: bool,
    jwks: Option<&'a str>,
    jwks_uri: Option<&'a str>,
}

impl<'a> From<&'a ClientRow> for KeySource<'a> {
    fn from(row: &'a ClientRow) -> Self {
        Self {
            owner: &row.client.id,
            is_trusted: row.client.kind == ClientKind::Static,
            jwks: row.jwks.as_deref(),
            jwks_uri: row.jwks_uri.as_deref(),
        }
    }
}

impl<'a> From<&'a IdentityProvider> for KeySource<'a> {
    fn from(provider: &'a IdentityProvider) -> Self {
        Self {
            owner: &provider.issuer,
            is_trusted: true,
            jwks: provider.jwks.as_deref(),
            jwks_uri: provider.jwks_uri.as_deref(),
        }
    }
}

/// Checks that a client signed this, for this server alone, in its time.
///
/// The inner error is a sentence about what is wrong with it. `address` is who has keys fetched for this,
/// where that was not counted already.
pub(super) async fn signed_by(
    app: &App,
    row: &ClientRow,
    text: &str,
    types: &[&str],
    address: Option<IpAddr>,
) -> Result<Result<Assertion, &'static str>, Failure> {
    signed(app, row.into(), address, |keys| {
        assertion::check(text, &Expected::of(app, keys, types, &row.client.id))
    })
    .await
}

/// Checks with somebody's keys, and once more with newer ones where one is missing: those that are
/// published elsewhere may be new.
pub(super) async fn signed(
    app: &App,
    source: KeySource<'_>,
    address: Option<IpAddr>,
    check: impl Fn(&JwkSet) -> Result<Assertion, &'static str>,
) -> Result<Result<Assertion, &'static str>, Failure> {
    // Apart: no flood of clients that registered themselves takes the place of others.
    let known = if source.is_trusted { &app.trusted_keys } else { &app.client_keys };
    let Some(keys) = known.find(app, source, address, false).await? else {
        return Ok(Err("there are no usable keys of its issuer"));
    };
    let checked = check(&keys);
    if matches!(checked, Err(assertion::NO_KEY))
        && let Some(keys) = known.find(app, source, address, true).await?
    {
        return Ok(check(&keys));
    }
    Ok(checked)
}

impl ClientKeys {
    /// Somebody's keys; `newer` than those that lack a key. `None`: there are none.
    async fn find(
        &self,
        app: &App,
        source: KeySource<'_>,
        address: Option<IpAddr>,
        newer: bool,
    ) -> Result<Option<Arc<JwkSet>>, Failure> {
        let Some(uri) = source.jwks_uri else {
            let jwks = source.jwks.filter(|_| !newer);
            let keys = jwks.and_then(|jwks| JwkSet::parse(jwks.as_bytes(), MAX_KEYS).ok());
            return Ok(keys.map(Arc::new));
        };
        if let Some(held) = self.fresh(uri, newer, Instant::now()) {
            return match (newer, held.in_vain) {
                (false, _) => Ok(Some(held.keys)),
                (true, false) => Ok(None),
                // It may be in those that cannot be had.
                (true, true) => Err(unreachable()),
            };
        }
        let Ok(url) = Url::parse(uri) else {
            return Ok(None);
        };
        // A client that registered itself names any site that it likes.
        if !source.is_trusted && app.beginnings.take(address, clock::milliseconds()).await.is_err()
        {
            return self.without(source, uri, newer, TOO_MANY);
        }
        let turn = match self.fetches.turn(uri).await {
            Ok(turn) => turn,
            Err(why) => return self.without(source, uri, newer, why.why()),
        };
        // Whoever had the turn before may have fetched them.
        if let Some(held) = self.fresh(uri, newer, Instant::now()).filter(|held| !held.in_vain) {
            return Ok(Some(held.keys));
        }
        let keys = match Asked::read(app.fetcher.json(&url, None, MAX_BYTES).await) {
            Asked::Keys(keys) => keys,
            // That there are none is held too: nobody's requests make the server ask again and again.
            Asked::None => JwkSet::default(),
            Asked::InVain { why, is_passing } => {
                match is_passing {
                    true => turn.was_in_vain(),
                    false => turn.failed(),
                }
                return self.without(source, uri, newer, why);
            }
        };
        Ok(Some(self.keep(uri, keys, Instant::now())))
    }

    /// What there is while nothing newer can be had: the keys that were good not long ago. Whoever needs
    /// another one is told neither yes nor no.
    fn without(
        &self,
        source: KeySource<'_>,
        uri: &str,
        newer: bool,
        why: &str,
    ) -> Result<Option<Arc<JwkSet>>, Failure> {
        tracing::warn!(reason = "client_keys_unreachable", owner = source.owner, "{why}");
        let kept = self.kept(uri, Instant::now()).filter(|_| !newer);
        kept.map(Some).ok_or_else(unreachable)
    }

    /// What is held, where it need not be asked for again.
    fn fresh(&self, uri: &str, newer: bool, now: Instant) -> Option<Held> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).get(uri).cloned()?;
        let wait = if newer || held.in_vain { COOLDOWN } else { FRESH };
        let is_fresh = now.duration_since(held.asked_at) < wait;
        (is_fresh && now.duration_since(held.had_at) < AT_MOST).then_some(held)
    }

    /// What is held, after it was asked for in vain.
    fn kept(&self, uri: &str, now: Instant) -> Option<Arc<JwkSet>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.get_mut(uri)?;
        (held.asked_at, held.in_vain) = (now, true);
        (now.duration_since(held.had_at) < AT_MOST).then(|| Arc::clone(&held.keys))
    }

    fn keep(&self, uri: &str, keys: JwkSet, now: Instant) -> Arc<JwkSet> {
        let keys = Arc::new(keys);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= CAPACITY {
            held.retain(|_, held| now.duration_since(held.asked_at) < FRESH);
        }
        if held.len() < CAPACITY || held.contains_key(uri) {
            let keys = Arc::clone(&keys);
            let new = Held { keys, had_at: now, asked_at: now, in_vain: false };
            held.insert(uri.to_owned(), new);
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use countersign_testkit::keys::TestKey;
    use serde_json::json;

    use super::*;
    use crate::store::test_stores;

    /// Attack 37: strangers who name sites that do not answer, as many as they like, keep nobody from keys
    /// that the administrator vouches for.
    #[tokio::test]
    async fn strangers_do_not_take_the_turns_of_others() {
        let store = test_stores::sqlite().await;
        let app = store.app().await;
        let urls: Vec<String> = (0..16).map(|index| format!("https://a/{index}")).collect();
        let mut turns = Vec::new();
        for url in &urls {
            turns.push(app.fetches.turn(url).await.unwrap());
            turns.push(app.client_keys.fetches.turn(url).await.unwrap());
        }
        assert!(app.fetches.turn("https://b").await.is_err(), "all are taken");
        // Not to be connected to, which is an answer.
        let jwks_uri = Some("https://127.0.0.1:1/keys");
        let source = KeySource { owner: "b", is_trusted: true, jwks: None, jwks_uri };
        let signed = signed(&app, source, None, |_| Err("asked")).await;
        assert!(matches!(signed, Ok(Err("asked"))));
    }

    const URI: &str = "https://a/keys";

    fn document(body: &str) -> Result<Fetched, FetchError> {
        Ok(Fetched::Document { body: body.as_bytes().to_vec(), etag: None, max_age: None })
    }

    #[test]
    fn only_a_site_that_says_so_has_no_keys() {
        let keys = json!({ "keys": [TestKey::Es256(1).jwk("k")] }).to_string();
        assert!(matches!(Asked::read(document(&keys)), Asked::Keys(_)));
        for none in [FetchError::Status(404), FetchError::Status(410), FetchError::Address] {
            assert!(matches!(Asked::read(Err(none)), Asked::None), "{none}");
        }
        for in_vain in [
            document("<html>"),
            document(&keys[1..]),
            Ok(Fetched::NotModified { max_age: None }),
            Err(FetchError::Unreachable),
            Err(FetchError::Status(500)),
            Err(FetchError::Status(403)),
            Err(FetchError::Status(302)),
            Err(FetchError::Type),
            Err(FetchError::TooLarge),
        ] {
            let shown = format!("{in_vain:?}");
            assert!(matches!(Asked::read(in_vain), Asked::InVain { .. }), "{shown}");
        }
    }

    /// A site that fails leaves what it gave before, for an hour and no longer.
    #[test]
    fn keys_outlive_a_failing_site_for_a_while() {
        let known = ClientKeys::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(known.kept(URI, start).is_none(), "nothing was had");
        known.keep(URI, JwkSet::default(), start);
        assert!(known.fresh(URI, false, after(299)).is_some());
        assert!(known.fresh(URI, false, after(300)).is_none(), "it is asked again");
        assert!(known.fresh(URI, true, after(30)).is_none(), "sooner for a key that it lacks");

        assert!(known.kept(URI, after(300)).is_some());
        assert!(known.fresh(URI, false, after(329)).is_some_and(|held| held.in_vain));
        assert!(known.fresh(URI, false, after(330)).is_none(), "soon, since it failed");
        assert!(known.kept(URI, after(3599)).is_some());
        assert!(known.fresh(URI, false, after(3599)).is_some());
        assert!(known.fresh(URI, false, after(3600)).is_none());
        assert!(known.kept(URI, after(3600)).is_none());

        known.keep(URI, JwkSet::default(), after(4000));
        assert!(known.fresh(URI, false, after(4299)).is_some_and(|held| !held.in_vain));
    }
}
