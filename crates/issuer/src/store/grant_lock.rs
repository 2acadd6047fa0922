//! The lock of a grant: what is done with it comes before its end, or not at all.

use super::Transaction;
use crate::Error;

/// What a grant must be for anything to be done with it: not revoked, nor its user or its client locked
/// out.
macro_rules! open_grant_sql {
    () => {
        "revoked_at IS NULL AND (SELECT disabled_at FROM users WHERE users.id = user_id) IS NULL AND \
         (SELECT disabled_at FROM clients WHERE clients.id = client_id) IS NULL"
    };
}
pub(super) use open_grant_sql;

/// Takes the grant $2 at the time $1: nobody else changes anything of it until the transaction ends. No
/// row: it is over.
macro_rules! lock_grant_sql {
    () => {
        concat!(
            "UPDATE grants SET last_used_at = $1 WHERE id = $2 AND ",
            $crate::store::grant_lock::open_grant_sql!()
        )
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
