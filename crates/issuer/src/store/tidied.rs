//! What the nodes know of the time, for the deletion of what is over.

use super::{Store, sql::Pools};
use crate::Error;

impl Store {
    /// The time of the last round of tidying up, whichever node did it.
    pub(crate) async fn tidied_until(&self) -> Result<Option<i64>, Error> {
        self.sql("SELECT value FROM counters WHERE name = 'tidied_until'").scalar().await
    }

    /// Notes it.
    pub(crate) async fn tidied(&self, until: i64) -> Result<(), Error> {
        self.sql(
            "INSERT INTO counters (name, value) VALUES ('tidied_until', $1) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(until)
        .execute()
        .await?;
        Ok(())
    }

    /// The time of the database server, where there is one: a second clock, for what cannot be undone.
    pub(crate) async fn server_clock(&self) -> Result<Option<i64>, Error> {
        match self.pools {
            Pools::Postgres { .. } => {
                self.sql("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)")
                    .scalar()
                    .await
            }
            Pools::Sqlite { .. } => Ok(None),
        }
    }
}
