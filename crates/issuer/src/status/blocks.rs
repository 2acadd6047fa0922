//! Blocks of places in status lists: each node has its own, so that no place is given twice and few
//! tokens cost a write.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::rand;

use super::{
    DAMAGED, KEPT, PLACES, Place, WINDOW, permutation, permutation::Permutation, place_of_key,
    random_name,
};
use crate::{
    Error, clock,
    http::App,
    seal::KeyRing,
    store::{LeasedBlock, NewStatusList},
    turns::Turns,
};

/// Places that a node takes at once, for the tokens of grants. What it has not used when it ends is
/// lost, and so is what is left when the window changes.
const BLOCK: u32 = 256;

/// The first block of a client that gets tokens for itself; each further one is twice as long.
const FIRST_BLOCK: u32 = 32;
const LONGEST_BLOCK: u32 = 1024;

/// A block of each kind. While one is taken, who wants a place of another kind does not wait.
#[derive(Default)]
pub(super) struct Blocks(Mutex<Held>);

/// For which generation of the key set they were taken: it changes with a restored database too, whose
/// lists are others.
#[derive(Default)]
struct Held {
    generation: i64,
    blocks: HashMap<BlockOf, Arc<Turns<Option<Block>>>>,
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

impl Blocks {
    /// A place that no other token has, for a token that ends then. `client` and its generation for one
    /// that the client gets for itself.
    pub(super) async fn take(
        &self,
        app: &App,
        expires_at: i64,
        client: Option<(&str, i64)>,
    ) -> Result<Place, Error> {
        let closes_at = (expires_at.div_euclid(WINDOW) + 1) * WINDOW;
        let client = client.map(|(id, generation)| (id.to_owned(), generation));
        let of = BlockOf { closes_at, client, restored: app.store.restored().await? };
        let turns = self.turns(&of, app.keys.published().generation);
        let mut held = turns.take().await?;
        if let Some(place) = held.as_mut().and_then(Block::place) {
            return Ok(place);
        }
        let first = if of.client.is_some() { FIRST_BLOCK } else { BLOCK };
        let length = held.as_ref().map_or(first, |used_up| used_up.next_length);
        let leased = held.work(lease(app, &of, length)).await?;
        held.insert(leased).place().ok_or(DAMAGED)
    }

    fn turns(&self, of: &BlockOf, generation: i64) -> Arc<Turns<Option<Block>>> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.generation != generation {
            *held = Held { generation, blocks: HashMap::new() };
        }
        if let Some(turns) = held.blocks.get(of) {
            return Arc::clone(turns);
        }
        let now = clock::now();
        held.blocks.retain(|of, _| of.closes_at > now);
        Arc::clone(held.blocks.entry(of.clone()).or_default())
    }
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

    /// The next place, where one is left.
    fn place(&mut self) -> Option<Place> {
        if self.next >= self.end {
            return None;
        }
        let index = self.permutation.at(self.next);
        self.next += 1;
        Some(Place { list: self.list.clone(), index })
    }
}

/// Takes a block, and begins a list where none has room: while the sealing key is replaced, also where
/// those with room were sealed by a key that this node does not have yet.
async fn lease(app: &App, of: &BlockOf, length: u32) -> Result<Block, Error> {
    let client = of.client.as_ref().map(|(id, generation)| (id.as_str(), *generation));
    let ring = app.keys.ring();
    let sealed_by = ring.ids();
    // Others may fill a new list before we come to it, but not again and again.
    for _ in 0..5 {
        let open = |leased| Block::new(leased, ring, length);
        let block = app.store.lease_block(of.closes_at, length, client, &sealed_by, open).await?;
        if let Some(block) = block {
            return Ok(block);
        }
        let id = random_name()?;
        let mut key = [0; 32];
        rand::fill(&mut key)?;
        let list = NewStatusList {
            id: &id,
            size: PLACES,
            permutation_sealed: &ring.seal(&place_of_key(&id), &key)?,
            sealed_by: ring.id(),
            closes_at: of.closes_at,
            drop_at: of.closes_at + KEPT,
        };
        app.store.add_status_list(&list).await?;
    }
    Err(Error::Crypto("the status lists fill faster than they are made"))
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use tokio::time::timeout;

    use super::*;
    use crate::{new_sealing_key, store::test_stores};

    /// Whoever waits for the row of one client, which an administrator is changing, holds up no other.
    #[tokio::test]
    async fn each_kind_waits_for_itself() {
        let store = test_stores::sqlite().await;
        store.fill().await;
        let app = store.app().await;
        let blocks = Blocks::default();
        let expires_at = clock::now() + 60;
        let of = BlockOf {
            closes_at: (expires_at.div_euclid(WINDOW) + 1) * WINDOW,
            client: Some(("s".to_owned(), 0)),
            restored: store.restored().await.unwrap(),
        };
        let turns = blocks.turns(&of, app.keys.published().generation);
        let held = turns.take().await.unwrap();
        for client in [None, Some(("c", 0))] {
            let place = blocks.take(&app, expires_at, client);
            timeout(Duration::from_secs(60), place).await.unwrap().unwrap();
        }
        drop(held);
        let first = blocks.take(&app, expires_at, Some(("s", 0))).await.unwrap();
        let second = blocks.take(&app, expires_at, Some(("s", 0))).await.unwrap();
        assert_eq!(first.list, second.list);
        assert_ne!(first.index, second.index);
    }

    /// While the sealing key is replaced, a node that does not have the new one yet goes on, with lists
    /// of its own; and what a node cannot open is not used up.
    #[tokio::test]
    async fn nodes_with_different_keys_have_different_lists() {
        for store in test_stores::each().await {
            store.fill().await;
            // The other store has deleted it.
            fs::create_dir_all(&store.folder).unwrap();
            let key = |text: &str| fs::write(store.folder.join("key"), text).unwrap();
            let (old, new) = (new_sealing_key().unwrap(), new_sealing_key().unwrap());
            key(&old);
            let behind = store.app().await;
            key(&format!("{new}\n{old}"));
            let ahead = store.app().await;
            let expires_at = clock::now() + 60;
            let take = async |app: &App| Blocks::default().take(app, expires_at, None).await;
            let theirs = take(&ahead).await.unwrap();
            let own = take(&behind).await.unwrap();
            assert_ne!(own.list, theirs.list);
            let used = "SELECT CAST(MAX(next_index) + MIN(next_index) AS BIGINT) FROM status_lists";
            assert_eq!(store.number(used).await, 2 * i64::from(BLOCK));
            // Who has both keys uses both lists, and no third.
            take(&ahead).await.unwrap();
            assert_eq!(store.number(used).await, 3 * i64::from(BLOCK));

            store.run("UPDATE status_lists SET permutation_sealed = ''").await;
            assert_eq!(
                take(&behind).await.err().map(|error| error.reason()),
                Some("crypto_failed")
            );
            assert_eq!(store.number(used).await, 3 * i64::from(BLOCK));
        }
    }
}
