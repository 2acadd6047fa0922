//! The lock of a grant: what is done with it comes before its end, or not at all.

use super::Transaction;
use crate::Error;

/// Takes the grant $2 at the time $1: nobody else changes anything of it until the transaction ends. No
/// row: it is revoked, or its user or its client is locked out.
macro_rules! lock_grant_sql {
    () => {
        "UPDATE grants SET last_used_at = $1 WHERE id = $2 AND revoked_at IS NULL \
         AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = user_id AND disabled_at IS NOT NULL) \
         AND NOT EXISTS (SELECT 1 FROM clients WHERE clients.id = client_id AND disabled_at IS NOT NULL)"
    };
}
pub(super) use lock_grant_sql;

pub(super) const LOCK_GRANT: &str = lock_grant_sql!();

/// [`LOCK_GRANT`] within a transaction that has more to do.
pub(super) async fn lock_grant(
    transaction: &mut Transaction,
    id: &str,
    now: i64,
) -> Result<bool, Error> {
    Ok(transaction.sql(LOCK_GRANT).bind(now).bind(id).execute().await? == 1)
}

#[cfg(test)]
#[path = "grant_lock_tests.rs"]
mod tests;
