//! Token Status Lists (draft-ietf-oauth-status-list-21): each access token has a place in a list, and
//! guards read the lists every few seconds. This is how a revocation reaches those who never ask.
//!
//! A list holds the tokens that end within one window of time, and is dropped when the last of them
//! has ended. Nodes take blocks of places, so that no place is given twice and few tokens cost a write.

mod list;
mod permutation;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex as SyncMutex, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::rand;
use countersign_core::jose::base64url;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use self::{list::Bits, permutation::Permutation};
use crate::{
    Error, clock,
    http::App,
    keys::{DEFAULT_ALGORITHM, Signer},
    seal::KeyRing,
    secret,
    store::{LeasedBlock, NewStatusList, Store},
};

/// Places of a list: 16 KiB before compression, and few enough that many lists are no burden.
const PLACES: u32 = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 17;

/// Length of the window in which the tokens of one list end, in seconds.
const WINDOW: i64 = 900;

/// How long after its window a list is still published, in seconds: for clocks that differ.
const KEPT: i64 = 120;

/// Places that a node takes at once, for the tokens of grants. What it has not used when it ends is
/// lost, and so is what is left when the window changes.
const BLOCK: u32 = 256;

/// The first block of a client that gets tokens for itself; each further one is twice as long.
const FIRST_BLOCK: u32 = 32;
const LONGEST_BLOCK: u32 = 1024;

/// How long a list that was looked at is published without another look.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a list that has not changed is published under one signature, in seconds. Together with
/// [`TTL`] well below the lifetime of the signature.
const SIGN_EVERY: i64 = 20;

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
    bits: Arc<Bits>,
    version: i64,
    kid: String,
    /// Of the key set, as the token says it.
    generation: i64,
    signed_at: i64,
    looked_at: Instant,
}

/// This node's blocks, and the lists that it has published.
#[derive(Default)]
pub(crate) struct StatusLists {
    blocks: Mutex<Blocks>,
    published: SyncMutex<HashMap<String, Arc<Published>>>,
}

/// Blocks, and for which generation of the key set they were taken: it changes with a restored
/// database too, whose lists are others.
#[derive(Default)]
struct Blocks {
    generation: i64,
    held: HashMap<BlockOf, Block>,
}

/// What a block is for: tokens that end in this window, of anybody's grants or of one client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct BlockOf {
    closes_at: i64,
    /// With the client's generation, since what it had before it was disabled stays revoked.
    client: Option<(String, i64)>,
    /// How often the database was restored: it has none of the blocks from before.
    restored: i64,
}

/// A block that is partly used.
struct Block {
    list: String,
    permutation: Permutation,
    next: u32,
    end: u32,
    next_length: u32,
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
        let closes_at = (expires_at.div_euclid(WINDOW) + 1) * WINDOW;
        let client = client.map(|(id, generation)| (id.to_owned(), generation));
        let of = BlockOf { closes_at, client, restored: app.store.restored().await? };
        let mut blocks = self.blocks.lock().await;
        let generation = app.keys.published().generation;
        if blocks.generation != generation {
            *blocks = Blocks { generation, held: HashMap::new() };
        }
        let blocks = &mut blocks.held;
        let block = match blocks.get_mut(&of) {
            Some(block) if block.next < block.end => block,
            used_up => {
                let first = if of.client.is_some() { FIRST_BLOCK } else { BLOCK };
                let length = used_up.map_or(first, |block| block.next_length);
                let leased = lease(app, &of, length).await?;
                let now = clock::now();
                blocks.retain(|of, _| of.closes_at > now);
                let block = Block::new(leased, app.keys.ring(), length)?;
                blocks.entry(of).insert_entry(block).into_mut()
            }
        };
        let index = block.permutation.at(block.next);
        block.next += 1;
        Ok(Place { list: block.list.clone(), index })
    }

    /// Whether the token at a place is revoked, as of now. A list that is gone has no valid tokens.
    pub(crate) async fn is_revoked(&self, app: &App, place: &Place) -> Result<bool, Error> {
        let Some(version) = app.store.status_list_version(&place.list).await? else {
            return Ok(true);
        };
        let known = self.known(&place.list);
        if let Some(known) = known.filter(|known| known.version == version) {
            return Ok(known.bits.is_set(place.index));
        }
        let bits = bits(&app.store, app.keys.ring(), &place.list).await?;
        Ok(bits.is_none_or(|(bits, _)| bits.is_set(place.index)))
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
            Some(known) if known.version == version => {
                let bits = Arc::clone(&known.bits);
                Published::sign((&signer, generation), &uri, bits, version, looked_at)?
            }
            _ => {
                let Some((bits, version)) = bits(&app.store, app.keys.ring(), list).await? else {
                    return Ok(None);
                };
                Published::sign((&signer, generation), &uri, Arc::new(bits), version, looked_at)?
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

    /// Forgets the lists that are over.
    pub(crate) fn keep_only(&self, live: &[String]) {
        self.lists().retain(|list, _| live.contains(list));
    }

    fn known(&self, list: &str) -> Option<Arc<Published>> {
        self.lists().get(list).cloned()
    }

    fn lists(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Published>>> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a block, and begins a list where none has room.
async fn lease(app: &App, of: &BlockOf, length: u32) -> Result<LeasedBlock, Error> {
    let client = of.client.as_ref().map(|(id, generation)| (id.as_str(), *generation));
    // Others may fill a new list before we come to it, but not again and again.
    for _ in 0..5 {
        let block = app.store.lease_block(of.closes_at, length, &app.node, client).await?;
        if let Some(block) = block {
            return Ok(block);
        }
        let id = random_name()?;
        let mut key = [0; 32];
        rand::fill(&mut key)?;
        let list = NewStatusList {
            id: &id,
            size: PLACES,
            permutation_sealed: &app.keys.ring().seal(&place_of_key(&id), &key)?,
            sealed_by: app.keys.ring().id(),
            closes_at: of.closes_at,
            drop_at: of.closes_at + KEPT,
        };
        app.store.add_status_list(&list).await?;
    }
    Err(Error::Crypto("the status lists fill faster than they are made"))
}

impl Block {
    fn new(leased: LeasedBlock, ring: &KeyRing, length: u32) -> Result<Self, Error> {
        let start = u32::try_from(leased.start).map_err(|_| DAMAGED)?;
        let permutation = permutation(ring, &leased.status_list, &leased.permutation_sealed)?;
        Ok(Self {
            list: leased.status_list,
            permutation,
            next: start,
            end: start + length,
            next_length: (length * 2).min(LONGEST_BLOCK).max(length),
        })
    }
}

impl Published {
    fn sign(
        (signer, generation): (&Signer, i64),
        uri: &str,
        bits: Arc<Bits>,
        version: i64,
        looked_at: Instant,
    ) -> Result<Self, Error> {
        let signed_at = clock::now();
        let token = bits.sign(signer, uri, signed_at, generation)?;
        let digest = secret::sha256(&[token.as_bytes()]);
        let etag = format!("\"{}\"", base64url::encode(digest));
        let kid = signer.kid().to_owned();
        Ok(Self { token, etag, bits, version, kid, generation, signed_at, looked_at })
    }
}

const DAMAGED: Error = Error::Crypto("a status list in the database is damaged");

/// The bits of a list with their version: single places, and whole blocks of clients.
async fn bits(store: &Store, ring: &KeyRing, list: &str) -> Result<Option<(Bits, i64)>, Error> {
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
    Ok(Some((bits, row.version)))
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
