//! Jobs that one node does at a time.

use super::Store;
use crate::Error;

impl Store {
    /// Takes or keeps a job for so many seconds. `false`: another node has it.
    ///
    /// A lease saves work and is no lock: clocks differ, and a node may be slow. What must happen
    /// once is a conditional change all the same.
    pub(crate) async fn take_lease(
        &self,
        name: &str,
        node: &str,
        now: i64,
        seconds: i64,
    ) -> Result<bool, Error> {
        let taken = self
            .sql(
                "INSERT INTO leases (name, node, expires_at) VALUES ($1, $2, $3) \
                 ON CONFLICT (name) DO UPDATE SET node = excluded.node, \
                 expires_at = excluded.expires_at \
                 WHERE leases.node = excluded.node OR leases.expires_at <= $4",
            )
            .bind(name)
            .bind(node)
            .bind(now + seconds)
            .bind(now)
            .execute()
            .await?;
        Ok(taken == 1)
    }

    /// Gives back what a node has, when it ends.
    pub(crate) async fn give_back_leases(&self, node: &str) -> Result<(), Error> {
        self.sql("DELETE FROM leases WHERE node = $1").bind(node).execute().await?;
        Ok(())
    }
}
