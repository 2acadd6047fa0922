//! Token Status Lists (draft-ietf-oauth-status-list-21): each access token has a place in a list, and
//! guards read the lists every few seconds. This is how a revocation reaches those who never ask.
//!
//! A list holds the tokens that end within one window of time, and is dropped when the last of them
//! has ended. Nodes take blocks of places, so that no place is given twice and few tokens cost a write.

mod blocks;
mod list;
mod permutation;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::rand;
use countersign_core::jose::base64url;
use serde_json::{Value, json};

use self::{blocks::Blocks, list::Bits, permutation::Permutation};
use crate::{
    Error, clock,
    http::App,
    keys::{DEFAULT_ALGORITHM, Signer},
    seal::KeyRing,
    secret,
    store::Store,
};

/// Places of a list: 16 KiB before compression, and few enough that many lists are no burden.
const PLACES: u32 = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 17;

/// Length of the window in which the tokens of one list end, in seconds.
const WINDOW: i64 = 900;

/// How long after its window a list is still published, in seconds: for clocks that differ.
const KEPT: i64 = 120;

/// How long a list that was looked at is published without another look.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a list that has not changed is published under one signature, in seconds. Together with
/// [`TTL`] well below the shortest lifetime of the signature.
const SIGN_EVERY: i64 = 20;

/// Lists that are kept as they were read, 16 KiB each. An issuer has one for each window of time, and a
/// further one where that is full.
const MOST_READ: usize = 256;

/// Where an access token stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) list: String,
    pub(crate) index: u32,
}

/// A list that is ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) token: String,
    pub(crate) etag: String,
    version: i64,
    kid: String,
    /// Of the key set, as the token says it.
    generation: i64,
    signed_at: i64,
    looked_at: Instant,
}

/// The bits of a list as they were at a version.
#[derive(Clone)]
struct Read {
    version: i64,
    bits: Arc<Bits>,
}

/// This node's blocks, the lists that it has published, and those that it has read.
#[derive(Default)]
pub(crate) struct StatusLists {
    blocks: Blocks,
    published: Mutex<HashMap<String, Arc<Published>>>,
    read: Mutex<HashMap<String, Read>>,
}

impl Place {
    /// The claim `status` of a token that stands there (§6.2).
    pub(crate) fn claim(&self, issuer: &str) -> Value {
        json!({ "status_list": { "idx": self.index, "uri": list_uri(issuer, &self.list) } })
    }
}

/// Where a list is published.
pub(crate) fn list_uri(issuer: &str, list: &str) -> String {
    format!("{issuer}/status-lists/{list}")
}

impl StatusLists {
    /// A place that no other token has. `client` and its generation for a token that the client gets
    /// for itself: then nothing more needs to be stored to revoke all of these.
    pub(crate) async fn take(
        &self,
        app: &App,
        expires_at: i64,
        client: Option<(&str, i64)>,
    ) -> Result<Place, Error> {
        self.blocks.take(app, expires_at, client).await
    }

    /// Whether the token at a place is revoked, as of now. A list that is gone has no valid tokens.
    pub(crate) async fn is_revoked(
        &self,
        store: &Store,
        ring: &KeyRing,
        place: &Place,
    ) -> Result<bool, Error> {
        let Some(version) = store.status_list_version(&place.list).await? else {
            return Ok(true);
        };
        let list = self.read(store, ring, (&place.list, version)).await?;
        Ok(list.is_none_or(|list| list.bits.is_set(place.index)))
    }

    /// The list as it is to be sent; `None` when there is none of this name, or no longer.
    pub(crate) async fn publish(
        &self,
        app: &App,
        list: &str,
    ) -> Result<Option<Arc<Published>>, Error> {
        let known = self.known(list);
        let now = clock::now();
        let signer = app.keys.signer(DEFAULT_ALGORITHM).await?;
        let generation = app.keys.published().generation;
        // A key that was revoked in the meantime has signed nothing, and guards are told at once.
        let is_young = |known: &Published| {
            (0..SIGN_EVERY).contains(&(now - known.signed_at))
                && known.kid == signer.kid()
                && known.generation == generation
        };
        if let Some(known) = &known
            && known.looked_at.elapsed() < LOOK_EVERY
            && is_young(known)
        {
            return Ok(Some(Arc::clone(known)));
        }
        let looked_at = Instant::now();
        let Some(version) = app.store.status_list_version(list).await? else {
            self.lists().remove(list);
            return Ok(None);
        };
        let uri = list_uri(app.issuer.as_str(), list);
        let fresh = match known {
            Some(known) if known.version == version && is_young(&known) => {
                Published { looked_at, ..(*known).clone() }
            }
            _ => {
                let Some(read) = self.read(&app.store, app.keys.ring(), (list, version)).await?
                else {
                    return Ok(None);
                };
                let lifetime = app.config.status_list_lifetime_seconds();
                Published::sign((&signer, generation), &uri, (&read, lifetime), looked_at)?
            }
        };
        let fresh = Arc::new(fresh);
        let mut lists = self.lists();
        // Somebody may have been faster with a newer one.
        match lists.get(list) {
            Some(held) if held.version > fresh.version => Ok(Some(Arc::clone(held))),
            _ => {
                lists.insert(list.to_owned(), Arc::clone(&fresh));
                Ok(Some(fresh))
            }
        }
    }

    /// A list at this version or a later one: from the database where it has changed since it was
    /// read. `None` when it is gone.
    async fn read(
        &self,
        store: &Store,
        ring: &KeyRing,
        (list, version): (&str, i64),
    ) -> Result<Option<Read>, Error> {
        let held = self.read_lists().get(list).cloned();
        if let Some(held) = held.filter(|held| held.version == version) {
            return Ok(Some(held));
        }
        let Some(fresh) = read(store, ring, list).await? else {
            return Ok(None);
        };
        let mut lists = self.read_lists();
        // Those that are over stay where nobody asks which lists there are.
        if lists.len() >= MOST_READ {
            lists.clear();
        }
        // Somebody may have been faster with a newer one.
        let is_newest = lists.get(list).is_none_or(|held| held.version < fresh.version);
        if is_newest {
            lists.insert(list.to_owned(), fresh.clone());
        }
        Ok(Some(fresh))
    }

    /// Forgets the lists that are over.
    pub(crate) fn keep_only(&self, live: &[String]) {
        self.lists().retain(|list, _| live.contains(list));
        self.read_lists().retain(|list, _| live.contains(list));
    }

    fn known(&self, list: &str) -> Option<Arc<Published>> {
        self.lists().get(list).cloned()
    }

    fn lists(&self) -> MutexGuard<'_, HashMap<String, Arc<Published>>> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_lists(&self) -> MutexGuard<'_, HashMap<String, Read>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Published {
    fn sign(
        (signer, generation): (&Signer, i64),
        uri: &str,
        (list, lifetime): (&Read, i64),
        looked_at: Instant,
    ) -> Result<Self, Error> {
        let signed_at = clock::now();
        let token = list.bits.sign(signer, uri, (signed_at, lifetime), generation)?;
        let digest = secret::sha256(&[token.as_bytes()]);
        let etag = format!("\"{}\"", base64url::encode(digest));
        let kid = signer.kid().to_owned();
        let version = list.version;
        Ok(Self { token, etag, version, kid, generation, signed_at, looked_at })
    }
}

const DAMAGED: Error = Error::Crypto("a status list in the database is damaged");

/// A list from the database: single places, and whole blocks of clients.
async fn read(store: &Store, ring: &KeyRing, list: &str) -> Result<Option<Read>, Error> {
    let Some(row) = store.status_list(list).await? else {
        return Ok(None);
    };
    let size = u32::try_from(row.size).map_err(|_| DAMAGED)?;
    let mut bits = Bits::from_bytes(row.bits, size).ok_or(DAMAGED)?;
    let blocks = store.revoked_blocks(list).await?;
    if !blocks.is_empty() {
        let permutation = permutation(ring, list, &row.permutation_sealed)?;
        for (start, length) in blocks {
            let start = u32::try_from(start).map_err(|_| DAMAGED)?;
            let length = u32::try_from(length).map_err(|_| DAMAGED)?;
            (start..start.saturating_add(length)).for_each(|n| bits.set(permutation.at(n)));
        }
    }
    Ok(Some(Read { version: row.version, bits: Arc::new(bits) }))
}

fn permutation(ring: &KeyRing, list: &str, sealed: &[u8]) -> Result<Permutation, Error> {
    Ok(Permutation::new(&ring.open(&place_of_key(list), sealed)?, PLACE_BITS))
}

fn place_of_key(list: &str) -> String {
    format!("status_lists/{list}")
}

/// 128 random bits: the name of a list.
fn random_name() -> Result<String, Error> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes)?;
    Ok(base64url::encode(bytes))
}
