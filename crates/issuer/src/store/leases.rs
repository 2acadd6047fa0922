//! Jobs that one node does at a time.

use super::Store;
use crate::Error;

impl Store {
    /// Takes or keeps a job for so many seconds. `false`: another node has it.
    ///
    /// A lease saves work and is no lock: clocks differ, and a node may be slow. What must happen
    /// once is a conditional change all the same. A lease that lasts longer than any is taken for
    /// was taken by a clock that leapt, and is none.
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
                 WHERE leases.node = excluded.node OR leases.expires_at <= $4 OR leases.expires_at > $5",
            )
            .bind(name)
            .bind(node)
            .bind(now + seconds)
            .bind(now)
            // Twice as long: a node whose clock is a little ahead keeps what it has.
            .bind(now + 2 * seconds)
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

#[cfg(test)]
mod tests {
    use crate::store::test_stores;

    /// Attack 64: a node whose clock leapt must not keep the job for years.
    #[tokio::test]
    async fn a_lease_of_a_clock_that_leapt_is_none() {
        for store in test_stores::each().await {
            let take = async |node, now| store.take_lease("tidy", node, now, 90).await.unwrap();
            assert!(take("a", 1000).await);
            assert!(!take("b", 1089).await);
            assert!(!take("b", 970).await, "a clock that is a little behind takes nothing away");
            assert!(take("b", 1090).await);
            assert!(!take("a", 1100).await);
            assert!(take("leapt", 1_000_000).await);
            assert!(take("a", 1200).await);
            assert!(!take("b", 1200).await);
        }
    }
}
