//! Revocation: what ends, ends for the database, and in the status lists that guards read, at once.

use super::{Store, Transaction, sql::again_if_deadlocked, status::Places};
use crate::{Error, clock};

/// A grant, as an administrator sees it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Grant {
    /// Its name.
    pub id: String,
    /// The name of the user who gave it.
    pub user: Option<String>,
    /// The client that has it.
    pub client_id: String,
    /// The client's name.
    pub client_name: String,
    /// The resource that it is for.
    pub resource: String,
    /// What it allows, separated by spaces.
    pub scopes: String,
    /// When it was given, in seconds since the epoch.
    pub created_at: i64,
    /// When tokens were last issued from it.
    pub last_used_at: Option<i64>,
}

/// Whose grants end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of<'a> {
    Client(&'a str),
    Resource(&'a str),
    User(&'a str),
}

impl Store {
    /// The grants that are alive, the newest first; of a user or of a client, where one is named.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn grants(
        &self,
        user: Option<&str>,
        client_id: Option<&str>,
    ) -> Result<Vec<Grant>, Error> {
        self.sql(
            "SELECT grants.id, users.name AS \"user\", client_id, clients.name AS client_name, \
             resource, scopes, grants.created_at, grants.last_used_at FROM grants JOIN clients ON \
             clients.id = client_id LEFT JOIN users ON users.id = user_id WHERE \
             grants.revoked_at IS NULL AND ($1 = '' OR users.name_key = $2) AND ($3 = '' OR \
             client_id = $4) ORDER BY grants.created_at DESC, grants.id",
        )
        .bind(user.unwrap_or(""))
        .bind(user.unwrap_or("").to_ascii_lowercase())
        .bind(client_id.unwrap_or(""))
        .bind(client_id.unwrap_or(""))
        .all()
        .await
    }

    /// Ends a grant: none of its refresh tokens works any more, and its access tokens are revoked.
    /// Nothing like it is granted again without a question. Says whether there was something to end.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn revoke_grant(&self, id: &str, reason: &str) -> Result<bool, Error> {
        again_if_deadlocked(|| self.end_grant(id, reason, true)).await
    }

    /// The client gives a grant back. What the user allowed it is still allowed.
    pub(crate) async fn give_back_grant(&self, id: &str) -> Result<bool, Error> {
        again_if_deadlocked(|| self.end_grant(id, "revoked_by_client", false)).await
    }

    async fn end_grant(&self, id: &str, reason: &str, for_good: bool) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let done = transaction
            .sql(
                "UPDATE grants SET revoked_at = $1, reason = $2 WHERE id = $3 AND revoked_at IS \
                 NULL",
            )
            .bind(clock::now())
            .bind(reason)
            .bind(id)
            .execute()
            .await?;
        // What was revoked before has no token that is not.
        if done == 0 {
            return Ok(false);
        }
        if for_good {
            transaction
                .sql(
                    "DELETE FROM consents WHERE (user_id, client_id, resource) IN (SELECT user_id, \
                     client_id, resource FROM grants WHERE id = $1)",
                )
                .bind(id)
                .execute()
                .await?;
        }
        // Whoever reads the tokens now sees those of everybody who was faster: they held the row.
        let rows = transaction
            .sql(
                "SELECT status_list, status_index FROM issued_tokens WHERE grant_id = $1 AND \
                 expires_at > $2",
            )
            .bind(id)
            .bind(clock::now())
            .all()
            .await?;
        let mut places = Places::default();
        places.add(rows);
        places.revoke(&mut transaction).await?;
        log(&mut transaction, "grant", id, reason).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Revokes one access token. One that is revoked already changes nothing. Says whether it was not.
    pub(crate) async fn revoke_access_token(
        &self,
        status_list: &str,
        status_index: u32,
        jti: &str,
        reason: &str,
    ) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let mut places = Places::default();
        places.add(vec![(status_list.to_owned(), i64::from(status_index))]);
        if !places.revoke(&mut transaction).await? {
            return Ok(false);
        }
        log(&mut transaction, "token", jti, reason).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Locks a user out: no login, session, grant or token is worth anything any more.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none of this name, [`Error::Database`].
    pub async fn disable_user(&self, name: &str) -> Result<(), Error> {
        again_if_deadlocked(|| self.end_user(name)).await
    }

    async fn end_user(&self, name: &str) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        let now = clock::now();
        let user: Option<(String,)> = transaction
            .sql(
                "UPDATE users SET disabled_at = COALESCE(disabled_at, $1) WHERE name_key = $2 \
                 RETURNING id",
            )
            .bind(now)
            .bind(name.to_ascii_lowercase())
            .returning()
            .await?;
        let Some((user,)) = user else {
            return Err(Error::Invalid(format!("there is no user {name}")));
        };
        transaction.sql("DELETE FROM sessions WHERE user_id = $1").bind(&user).execute().await?;
        let (_, places) =
            end_grants(&mut transaction, Of::User(&user), "user_disabled", now).await?;
        places.revoke(&mut transaction).await?;
        log(&mut transaction, "user", &user, "user_disabled").await?;
        transaction.commit().await
    }

    /// Lets a user log in again. What was revoked stays so.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none of this name, [`Error::Database`].
    pub async fn enable_user(&self, name: &str) -> Result<(), Error> {
        let done = self
            .sql("UPDATE users SET disabled_at = NULL WHERE name_key = $1")
            .bind(name.to_ascii_lowercase())
            .execute()
            .await?;
        match done {
            0 => Err(Error::Invalid(format!("there is no user {name}"))),
            _ => Ok(()),
        }
    }

    /// Shuts a client out: it cannot authenticate, and no grant or token of it is worth anything.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none of this name, [`Error::Database`].
    pub async fn disable_client(&self, id: &str) -> Result<(), Error> {
        again_if_deadlocked(async || {
            let mut transaction = self.begin().await?;
            end_client(&mut transaction, id, "client_disabled").await?;
            transaction.commit().await
        })
        .await?;
        self.cache.look_again();
        Ok(())
    }

    /// Lets a client in again. What was revoked stays so.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none of this name, [`Error::Database`].
    pub async fn enable_client(&self, id: &str) -> Result<(), Error> {
        let done = self
            .sql("UPDATE clients SET disabled_at = NULL WHERE id = $1")
            .bind(id)
            .execute()
            .await?;
        self.cache.look_again();
        match done {
            0 => Err(Error::Invalid(format!("there is no client {id}"))),
            _ => Ok(()),
        }
    }

    /// Forgets a client, after everything of it has ended.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is none of this name, [`Error::Database`].
    pub async fn delete_client(&self, id: &str) -> Result<(), Error> {
        again_if_deadlocked(async || {
            let mut transaction = self.begin().await?;
            // A client that is known by its document comes back with it, as a new one. First the
            // document, as where one comes.
            transaction
                .sql("DELETE FROM client_documents WHERE url = $1")
                .bind(id)
                .execute()
                .await?;
            end_client(&mut transaction, id, "client_deleted").await?;
            transaction.sql("DELETE FROM clients WHERE id = $1").bind(id).execute().await?;
            transaction.commit().await
        })
        .await?;
        self.cache.look_again();
        Ok(())
    }
}

/// What takes the grants with this column in the order of their names, ends them, and reads their places.
macro_rules! end_grants_sql {
    ($column:literal) => {
        [
            concat!(
                "SELECT id FROM grants WHERE ",
                $column,
                " = $1 AND revoked_at IS NULL ORDER BY id FOR UPDATE"
            ),
            concat!(
                "UPDATE grants SET revoked_at = $1, reason = $2 WHERE ",
                $column,
                " = $3 AND revoked_at IS NULL"
            ),
            concat!(
                "SELECT status_list, status_index FROM issued_tokens JOIN grants ON grants.id = \
                 grant_id WHERE grants.",
                $column,
                " = $1 AND issued_tokens.expires_at > $2"
            ),
        ]
    };
}

/// Ends grants, in the order of their names, so that two who end the same ones wait for each other in a
/// line and not in a circle. Gives how many were alive, and the places to revoke: of their access tokens,
/// and of those that came of them by exchange.
pub(super) async fn end_grants(
    transaction: &mut Transaction,
    of: Of<'_>,
    reason: &'static str,
    now: i64,
) -> Result<(u64, Places), Error> {
    let ([take, end, tokens], name) = match of {
        Of::Client(id) => (end_grants_sql!("client_id"), id),
        Of::Resource(uri) => (end_grants_sql!("resource"), uri),
        Of::User(id) => (end_grants_sql!("user_id"), id),
    };
    // SQLite is alone from the beginning.
    if let Transaction::Postgres(_) = transaction {
        transaction.sql(take).bind(name).execute().await?;
    }
    let ended = transaction.sql(end).bind(now).bind(reason).bind(name).execute().await?;
    // Whoever reads the tokens now sees those of everybody who was faster: they held the row.
    let rows = transaction.sql(tokens).bind(name).bind(now).all().await?;
    let mut places = Places::default();
    places.add(rows);
    Ok((ended, places))
}

async fn end_client(
    transaction: &mut Transaction,
    id: &str,
    reason: &'static str,
) -> Result<(), Error> {
    let now = clock::now();
    let done = transaction
        .sql(
            "UPDATE clients SET disabled_at = COALESCE(disabled_at, $1), not_before = CASE WHEN \
             not_before < $2 THEN $3 ELSE not_before + 1 END WHERE id = $4",
        )
        .bind(now)
        .bind(now)
        .bind(now)
        .bind(id)
        .execute()
        .await?;
    if done == 0 {
        return Err(Error::Invalid(format!("there is no client {id}")));
    }
    let (_, mut places) = end_grants(transaction, Of::Client(id), reason, now).await?;
    // What it has by exchange belongs to grants of other clients.
    let rows = transaction
        .sql(
            "SELECT status_list, status_index FROM issued_tokens WHERE holder = $1 AND expires_at \
             > $2",
        )
        .bind(id)
        .bind(now)
        .all()
        .await?;
    places.add(rows);
    // Its own tokens have no rows: they stand in blocks that are all its own.
    let blocks: Vec<(String,)> = transaction
        .sql("SELECT DISTINCT status_list FROM status_leases WHERE client_id = $1")
        .bind(id)
        .all()
        .await?;
    for (list,) in blocks {
        places.touch(list);
    }
    places.revoke(transaction).await?;
    transaction
        .sql("UPDATE status_leases SET revoked_at = $1 WHERE client_id = $2 AND revoked_at IS NULL")
        .bind(now)
        .bind(id)
        .execute()
        .await?;
    log(transaction, "client", id, reason).await
}

/// Writes down what was revoked, under a number that has no gaps.
pub(super) async fn log(
    transaction: &mut Transaction,
    kind: &'static str,
    name: &str,
    reason: &str,
) -> Result<(), Error> {
    let seq = count_up(transaction, 1).await?;
    transaction
        .sql(
            "INSERT INTO revocation_log (seq, kind, ref, revoked_at, reason) VALUES ($1, $2, \
             $3, $4, $5)",
        )
        .bind(seq)
        .bind(kind)
        .bind(name)
        .bind(clock::now())
        .bind(reason)
        .execute()
        .await?;
    Ok(())
}

/// Writes down that the grants of a resource have ended just now, all at once: there may be many.
pub(super) async fn log_grants_of(
    transaction: &mut Transaction,
    resource: &str,
    reason: &'static str,
    now: i64,
) -> Result<(), Error> {
    let count =
        "SELECT COUNT(*) FROM grants WHERE resource = $1 AND reason = $2 AND revoked_at = $3";
    let count = transaction.sql(count).bind(resource).bind(reason).bind(now);
    let count: Option<i64> = count.scalar().await?;
    let last = count_up(transaction, count.unwrap_or_default()).await?;
    transaction
        .sql(
            "INSERT INTO revocation_log (seq, kind, ref, revoked_at, reason) SELECT $1 + 1 - \
             row_number() OVER (ORDER BY id DESC), 'grant', id, revoked_at, reason FROM grants WHERE \
             resource = $2 AND reason = $3 AND revoked_at = $4",
        )
        .bind(last)
        .bind(resource)
        .bind(reason)
        .bind(now)
        .execute()
        .await?;
    Ok(())
}

/// Takes so many numbers of the log; gives the last of them.
async fn count_up(transaction: &mut Transaction, by: i64) -> Result<i64, Error> {
    let count = "UPDATE counters SET value = value + $1 WHERE name = 'revocations' RETURNING value";
    let last: Option<(i64,)> = transaction.sql(count).bind(by).returning().await?;
    last.map(|(last,)| last).ok_or(Error::Crypto("the counter of revocations is missing"))
}
