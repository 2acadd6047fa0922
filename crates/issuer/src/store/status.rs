//! Token Status Lists: who has which place, and which places are revoked.

use std::collections::BTreeMap;

use rusqlite::OptionalExtension as _;

use super::{Store, Transaction, plan::Value, sql::Pools, together::FindVersion};
use crate::{Error, clock};

/// A list as it is stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct StatusListRow {
    pub(crate) size: i64,
    pub(crate) permutation_sealed: Vec<u8>,
    pub(crate) version: i64,
    pub(crate) bits: Vec<u8>,
}

/// A list that is to be begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewStatusList<'a> {
    pub(crate) id: &'a str,
    pub(crate) size: u32,
    pub(crate) permutation_sealed: &'a [u8],
    /// The name of the key that sealed it.
    pub(crate) sealed_by: &'a str,
    /// The last second at which a token in it may end.
    pub(crate) closes_at: i64,
    pub(crate) drop_at: i64,
}

/// A block of numbers, from `start` on.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct LeasedBlock {
    pub(crate) status_list: String,
    pub(crate) start: i64,
    pub(crate) permutation_sealed: Vec<u8>,
}

/// Where a token stands, to be found again by its grant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IssuedToken<'a> {
    pub(crate) status_list: &'a str,
    pub(crate) status_index: u32,
    /// Its scopes that no resource has: what `/userinfo` may tell.
    pub(crate) general_scopes: &'a str,
    pub(crate) expires_at: i64,
}

pub(super) const FIND_VERSION: &str =
    "SELECT version FROM status_lists WHERE id = $1 AND drop_at > $2";

impl Store {
    /// Takes the next block of a list that closes then, if one has room that was sealed by one of these
    /// keys. `client` and its generation say that all tokens of the block are this client's own. It is
    /// taken once it is opened: what cannot be used is not used up.
    ///
    /// # Errors
    /// [`Error::Ended`] when the client was shut out since: nothing would revoke the block. Those of
    /// `open`.
    pub(crate) async fn lease_block<B>(
        &self,
        closes_at: i64,
        length: u32,
        client: Option<(&str, i64)>,
        sealed_by: &str,
        open: impl FnOnce(LeasedBlock) -> Result<B, Error>,
    ) -> Result<Option<B>, Error> {
        let length = i64::from(length);
        let mut transaction = self.begin().await?;
        // Who shuts the client out changes its row first: this comes before all of that, which then
        // finds the block, or after it.
        if let Some((id, generation)) = client
            && !lock_client(&mut transaction, id, generation).await?
        {
            self.cache.look_again();
            return Err(Error::Ended);
        }
        let block: Option<LeasedBlock> = transaction
            .sql(
                "UPDATE status_lists SET next_index = next_index + $1 WHERE id = (SELECT id FROM \
                 status_lists WHERE closes_at = $2 AND next_index + $3 <= size AND $4 LIKE '%' || \
                 sealed_by || '%' ORDER BY id LIMIT 1) AND next_index + $5 <= size RETURNING id AS \
                 status_list, next_index - $6 AS start, permutation_sealed",
            )
            .bind(length)
            .bind(closes_at)
            .bind(length)
            .bind(sealed_by)
            .bind(length)
            .bind(length)
            .returning()
            .await?;
        let Some(block) = block else {
            return Ok(None);
        };
        transaction
            .sql(
                "INSERT INTO status_leases (status_list, start, length, client_id) VALUES ($1, \
                 $2, $3, $4)",
            )
            .bind(&block.status_list)
            .bind(block.start)
            .bind(length)
            .bind(client.map(|(id, _)| id))
            .execute()
            .await?;
        let opened = open(block)?;
        transaction.commit().await?;
        Ok(Some(opened))
    }

    /// Begins a list.
    pub(crate) async fn add_status_list(&self, list: &NewStatusList<'_>) -> Result<(), Error> {
        self.sql(
            "INSERT INTO status_lists (id, size, permutation_sealed, sealed_by, bits, created_at, \
             closes_at, drop_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(list.id)
        .bind(i64::from(list.size))
        .bind(list.permutation_sealed)
        .bind(list.sealed_by)
        .bind(vec![0_u8; list.size.div_ceil(8) as usize])
        .bind(clock::now())
        .bind(list.closes_at)
        .bind(list.drop_at)
        .execute()
        .await?;
        Ok(())
    }

    /// The lists that may still have valid tokens.
    pub(crate) async fn status_lists(&self) -> Result<Vec<String>, Error> {
        let rows: Vec<(String,)> = self
            .sql("SELECT id FROM status_lists WHERE drop_at > $1 ORDER BY created_at, id")
            .bind(clock::now())
            .all()
            .await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// A number that changes with each revocation in a list that is in use.
    pub(crate) async fn status_list_version(&self, id: &str) -> Result<Option<i64>, Error> {
        let now = clock::now();
        match &self.pools {
            Pools::Postgres { together, .. } => {
                together.versions.join(FindVersion(id.to_owned())).await
            }
            Pools::Sqlite { direct, .. } => direct.read(|connection| {
                let mut statement = connection.prepare_cached(FIND_VERSION)?;
                statement.query_row(rusqlite::params![id, now], |row| row.get(0)).optional()
            }),
        }
    }

    pub(crate) async fn status_list(&self, id: &str) -> Result<Option<StatusListRow>, Error> {
        self.sql(
            "SELECT size, permutation_sealed, version, bits FROM status_lists WHERE id \
             = $1",
        )
        .bind(id)
        .optional()
        .await
    }

    /// The blocks of a list whose clients were revoked: start and length.
    pub(crate) async fn revoked_blocks(&self, list: &str) -> Result<Vec<(i64, i64)>, Error> {
        self.sql(
            "SELECT start, length FROM status_leases WHERE status_list = $1 AND revoked_at IS NOT \
             NULL",
        )
        .bind(list)
        .all()
        .await
    }
}

/// Remembers where a token of a grant stands.
pub(super) const INSERT_ISSUED_TOKEN: &str = "INSERT INTO issued_tokens (status_list, status_index, \
    grant_id, expires_at, general_scopes) VALUES ($1, $2, $3, $4, $5)";

impl IssuedToken<'_> {
    /// For [`INSERT_ISSUED_TOKEN`].
    pub(super) fn values(&self, grant_id: &str) -> [Value; 5] {
        [
            self.status_list.into(),
            i64::from(self.status_index).into(),
            grant_id.into(),
            self.expires_at.into(),
            self.general_scopes.into(),
        ]
    }
}

/// Nobody shuts this user or this client out until the transaction ends. `false`: somebody has.
pub(super) async fn lock_enabled(
    transaction: &mut Transaction,
    user: &str,
    client: &str,
) -> Result<bool, Error> {
    let find = match transaction {
        Transaction::Postgres(_) => [
            "SELECT 1::bigint FROM users WHERE id = $1 AND disabled_at IS NULL FOR SHARE",
            "SELECT 1::bigint FROM clients WHERE id = $1 AND disabled_at IS NULL FOR SHARE",
        ],
        // It is alone from its beginning.
        Transaction::Sqlite(_) => [
            "SELECT 1 FROM users WHERE id = $1 AND disabled_at IS NULL",
            "SELECT 1 FROM clients WHERE id = $1 AND disabled_at IS NULL",
        ],
    };
    for (find, id) in find.into_iter().zip([user, client]) {
        if transaction.sql(find).bind(id).scalar::<i64>().await?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// [`INSERT_ISSUED_TOKEN`] within a transaction that has more to do.
pub(super) async fn insert_issued_token(
    transaction: &mut Transaction,
    grant_id: &str,
    token: &IssuedToken<'_>,
) -> Result<(), Error> {
    let insert = transaction.sql(INSERT_ISSUED_TOKEN).bind(token.status_list);
    let insert = insert.bind(i64::from(token.status_index)).bind(grant_id);
    insert.bind(token.expires_at).bind(token.general_scopes).execute().await?;
    Ok(())
}

/// Nobody shuts this client out until the transaction ends. `false`: somebody has, since it was of this
/// generation. The row stays as it is: its changes are counted.
pub(super) async fn lock_client(
    transaction: &mut Transaction,
    id: &str,
    generation: i64,
) -> Result<bool, Error> {
    let find = match transaction {
        Transaction::Postgres(_) => {
            "SELECT 1::bigint FROM clients WHERE id = $1 AND not_before = $2 AND disabled_at IS \
             NULL FOR SHARE"
        }
        // It is alone from its beginning.
        Transaction::Sqlite(_) => {
            "SELECT 1 FROM clients WHERE id = $1 AND not_before = $2 AND disabled_at IS NULL"
        }
    };
    Ok(transaction.sql(find).bind(id).bind(generation).scalar::<i64>().await?.is_some())
}

/// Places by list: those that are to be revoked. The lists are taken in order, so that two who do this
/// wait for each other in a line and not in a circle.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<String, Ending>);

/// What ends in one list.
#[derive(Debug, Default)]
struct Ending {
    places: Vec<i64>,
    /// Whether blocks end too, which are not among the bits.
    blocks: bool,
}

impl Places {
    pub(super) fn add(&mut self, rows: Vec<(String, i64)>) {
        for (list, place) in rows {
            self.0.entry(list).or_default().places.push(place);
        }
    }

    /// A list in which whole blocks were revoked.
    pub(super) fn touch(&mut self, list: String) {
        self.0.entry(list).or_default().blocks = true;
    }

    /// Marks them as revoked, and the lists as changed. Says whether anything was not so before.
    pub(super) async fn revoke(self, transaction: &mut Transaction) -> Result<bool, Error> {
        let mut changed = false;
        for (list, Ending { places, blocks }) in self.0 {
            // The row is ours from here to the end of the transaction, on both engines.
            let bits: Option<(Vec<u8>,)> = transaction
                .sql("UPDATE status_lists SET version = version + $1 WHERE id = $2 RETURNING bits")
                .bind(i64::from(blocks))
                .bind(&list)
                .returning()
                .await?;
            // A list that was dropped has no valid tokens.
            let Some((mut bits,)) = bits else {
                continue;
            };
            let before = bits.clone();
            for place in &places {
                let byte = usize::try_from(place / 8).ok();
                if let Some(byte) = byte.and_then(|byte| bits.get_mut(byte)) {
                    *byte |= 1 << (place % 8);
                }
            }
            changed |= blocks || bits != before;
            if bits == before {
                continue;
            }
            transaction
                .sql("UPDATE status_lists SET bits = $1, version = version + 1 WHERE id = $2")
                .bind(bits)
                .bind(&list)
                .execute()
                .await?;
        }
        Ok(changed)
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
